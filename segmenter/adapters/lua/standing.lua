-- Returns a customer's profile and where he stands in families of his lane, as of one moment.
--
-- KEYS: 1 lane, 2 profiles bucket, then families. ARGV: customer, then the slices to look in, by family:
-- how many, and which.
-- Reply: the lane's buckets, the packed profile or nil, then for each family the scores under which it holds him.

local LANE, PROFILES, CUSTOMER = KEYS[1], KEYS[2], ARGV[1]
local reply = { redis.call('HGET', LANE, 'buckets') or '', redis.call('HGET', PROFILES, CUSTOMER) }
local at = 2

for place = 3, #KEYS do
  local family, found = KEYS[place], {}
  local count = tonumber(ARGV[at])
  for i = at + 1, at + count do
    for page = 0, tonumber(redis.call('HGET', family .. ':pages', ARGV[i]) or 0) do
      local score = redis.call('ZSCORE', page_key(family, ARGV[i], page), CUSTOMER)
      if score then
        found[#found + 1] = score
      end
    end
  end
  at = at + count + 1
  reply[#reply + 1] = found
end
return reply
