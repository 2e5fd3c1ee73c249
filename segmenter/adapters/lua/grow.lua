-- Adds one bucket to a lane's profiles: those whose hash now falls into it move there from the bucket it halves.
--
-- KEYS: 1 lane, 2 bucket to halve, 3 new bucket. ARGV: token, buckets before, buckets after, customers to move.
-- Reply: 1 when done, 0 when the lane is not ours or has other buckets.

local LANE, FROM, TO = KEYS[1], KEYS[2], KEYS[3]
local TOKEN, BEFORE, AFTER = unpack(ARGV, 1, 3)
local SLICE = 1000
local token, buckets = unpack(redis.call('HMGET', LANE, 'token', 'buckets'))

if token ~= TOKEN or buckets ~= BEFORE then
  return 0
end
if tonumber(AFTER) ~= tonumber(BEFORE) + 1 then
  error('buckets grow one by one')
end
redis.call('HSET', LANE, 'buckets', AFTER)
for from = 4, #ARGV, SLICE do
  local to = math.min(#ARGV, from + SLICE - 1)
  local packed, pairs_to_set = redis.call('HMGET', FROM, unpack(ARGV, from, to)), {}
  for i = from, to do
    if packed[i - from + 1] then
      pairs_to_set[#pairs_to_set + 1] = ARGV[i]
      pairs_to_set[#pairs_to_set + 1] = packed[i - from + 1]
    end
  end
  if #pairs_to_set > 0 then
    redis.call('HSET', TO, unpack(pairs_to_set))
    redis.call('HDEL', FROM, unpack(ARGV, from, to))
  end
end
return 1
