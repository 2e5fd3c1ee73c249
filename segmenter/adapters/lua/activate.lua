-- Puts a revision of the rulebook in force, in place of the one before it.
--
-- KEYS: 1 what is in force, 2 this revision, 3 the one before it, 4 the one that is kept no longer.
-- ARGV: number, packed revision, packed revision before it for where none was ever applied ('' for none).
-- Reply: 1 when it is in force, now or by an earlier try of the same; else 0.

local HEAD, THIS, BEFORE, OLD = unpack(KEYS, 1, 4)
local NUMBER, PACKED, FIRST = unpack(ARGV, 1, 3)
local active = redis.call('HGET', HEAD, 'active')

if active == NUMBER and redis.call('GET', THIS) == PACKED then
  return 1
end
if not active and FIRST ~= '' then
  active = tostring(tonumber(NUMBER) - 1)
  redis.call('SET', BEFORE, FIRST)
end
if tonumber(active or 0) ~= tonumber(NUMBER) - 1 then
  return 0
end
redis.call('SET', THIS, PACKED)
redis.call('HSET', HEAD, 'active', NUMBER)
redis.call('UNLINK', OLD)
return 1
