-- Adds what a worker heard of the topics, and returns what is known of all of them.
--
-- KEYS: 1 hash of all topics; beside it `<hash>:<topic>` is the sorted set of the hours in which a topic spoke.
-- ARGV: hours remembered; then per topic its name, its newest instant, the number of its hours, and these.
-- Reply: the hash: `last|<topic>`, `gap|<topic>` in hours, and what resume.lua writes.

local SOURCES = KEYS[1]
local REMEMBERED = tonumber(ARGV[1])

local function longest_gap(spoken)
  local hours, longest = redis.call('ZRANGE', spoken, 0, -1), 0
  for i = 2, #hours do
    longest = math.max(longest, tonumber(hours[i]) - tonumber(hours[i - 1]))
  end
  return longest
end

local at = 2
while at <= #ARGV do
  local topic, last, count = ARGV[at], ARGV[at + 1], tonumber(ARGV[at + 2])
  local spoken, added = SOURCES .. ':' .. topic, 0
  at = at + 3
  for i = at, at + count - 1 do
    added = added + redis.call('ZADD', spoken, ARGV[i], ARGV[i])
  end
  at = at + count
  local known = redis.call('HGET', SOURCES, 'last|' .. topic)
  if not known or tonumber(known) < tonumber(last) then
    redis.call('HSET', SOURCES, 'last|' .. topic, last)
  end
  if added > 0 then
    local newest = redis.call('ZRANGE', spoken, -1, -1)[1]
    redis.call('ZREMRANGEBYSCORE', spoken, '-inf', tonumber(newest) - REMEMBERED)
    redis.call('HSET', SOURCES, 'gap|' .. topic, longest_gap(spoken))
  end
end
return redis.call('HGETALL', SOURCES)
