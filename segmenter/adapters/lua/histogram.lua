-- Histograms: by bucket the customers in it, `<bucket>:n`, and the sum of their revenues in two fields, which
-- HINCRBY's 64 bits hold however large they are: `:l` of the low 40 bits of each revenue, `:h` of the rest.

-- Adds ARGV[first] … ARGV[last], by fours bucket, customers, low and high; forgets buckets that become empty.
local function count_in(key, first, last)
  for i = first, last, 4 do
    local bucket, customers, low, high = unpack(ARGV, i, i + 3)
    if redis.call('HINCRBY', key, bucket .. ':n', customers) == 0 then
      redis.call('HDEL', key, bucket .. ':n', bucket .. ':l', bucket .. ':h')
    else
      redis.call('HINCRBY', key, bucket .. ':l', low)
      if high ~= '0' then
        redis.call('HINCRBY', key, bucket .. ':h', high)
      end
    end
  end
end
