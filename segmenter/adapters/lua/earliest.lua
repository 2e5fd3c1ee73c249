-- Returns the lowest score of a family of paged sorted sets, or nothing when it is empty.
--
-- KEYS: 1 family.

local FAMILY = KEYS[1]
local slice = redis.call('ZRANGE', FAMILY, 0, 0)[1]
if not slice then
  return false
end
local lowest
for page = 0, tonumber(redis.call('HGET', FAMILY .. ':pages', slice) or 0) do
  local score = redis.call('ZRANGE', page_key(FAMILY, slice, page), 0, 0, 'WITHSCORES')[2]
  if score and (not lowest or tonumber(score) < tonumber(lowest)) then
    lowest = score
  end
end
return lowest
