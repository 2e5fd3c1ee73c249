-- Gives a lane up: its token stays, and nobody need wait for the heartbeat to grow old.
--
-- KEYS: 1 lane. ARGV: token. Reply: 1 when the lane was ours, else 0.

local LANE, TOKEN = KEYS[1], ARGV[1]

if redis.call('HGET', LANE, 'token') ~= TOKEN then
  return 0
end
write_even_when_full(LANE)
redis.call('HSET', LANE, 'heartbeat', 0)
return 1
