-- Notes that nobody need wait for a topic until it speaks again.
--
-- KEYS: 1 hash of all topics. ARGV: topic, the instant of the order. Reply: 1, or 0 where the topic never spoke.

local SOURCES = KEYS[1]
local TOPIC, AT = ARGV[1], ARGV[2]
local last = redis.call('HGET', SOURCES, 'last|' .. TOPIC)

if not last then
  return 0
end
redis.call('HSET', SOURCES, 'resumed_at|' .. TOPIC, AT, 'resumed_last|' .. TOPIC, last)
return 1
