-- Renews the heartbeat of a lane, and puts a newer token of the same owner in place of the old one.
--
-- KEYS: 1 lane. ARGV: old token, new token, expected version ('' for any).
-- Reply: 1 when lane and version were still ours, else 0. A repeat finds the new token and says 1 too.

local LANE = KEYS[1]
local OLD, NEW, VERSION = unpack(ARGV, 1, 3)
local token, version = unpack(redis.call('HMGET', LANE, 'token', 'version'))

if (token ~= OLD and token ~= NEW) or (VERSION ~= '' and version ~= VERSION) then
  return 0
end
write_even_when_full(LANE)
redis.call('HSET', LANE, 'token', NEW, 'heartbeat', redis.call('TIME')[1])
return 1
