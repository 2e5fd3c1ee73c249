-- Histograms: a hash from bucket to three packed doubles: the customers in it, and the sum of their revenues as
-- the sums of their low 26 bits and of the rest. Revenues are below 2^53, so these sums stay whole numbers that
-- a double holds exactly for 2^26 customers, where the sum of the revenues themselves would not.

local COUNT_FORMAT = '<ddd'
local BUCKETS_A_CALL = 500

-- Adds ARGV[first] … ARGV[last], by fours bucket, customers, low and high; forgets buckets that become empty.
local function count_in(key, first, last)
  for from = first, last, 4 * BUCKETS_A_CALL do
    local to, buckets, set, empty = math.min(last, from + 4 * BUCKETS_A_CALL - 1), {}, {}, {}
    for i = from, to, 4 do
      buckets[#buckets + 1] = ARGV[i]
    end
    for place, packed in ipairs(redis.call('HMGET', key, unpack(buckets))) do
      local i = from + 4 * (place - 1)
      local customers, low, high = 0, 0, 0
      if packed then
        customers, low, high = struct.unpack(COUNT_FORMAT, packed)
      end
      customers = customers + ARGV[i + 1]
      if customers == 0 then
        empty[#empty + 1] = ARGV[i]
      else
        set[#set + 1] = ARGV[i]
        set[#set + 1] = struct.pack(COUNT_FORMAT, customers, low + ARGV[i + 2], high + ARGV[i + 3])
      end
    end
    if #set > 0 then
      redis.call('HSET', key, unpack(set))
    end
    if #empty > 0 then
      redis.call('HDEL', key, unpack(empty))
    end
  end
end
