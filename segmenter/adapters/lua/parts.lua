-- Counts and sums the ranks of one page of one slice, between consecutive edges.
--
-- KEYS: 1 family of the ranks. ARGV: slice, page, edges (rising revenues).
-- Reply: the slice's last page, then per part its count, and its sum as high and low digits to base 2^26:
-- each revenue is below 2^53, so their digits add up exactly where the revenues themselves would not.

local FAMILY, SLICE, PAGE = KEYS[1], ARGV[1], ARGV[2]
local BASE = 2 ^ 26
local key = page_key(FAMILY, SLICE, PAGE)
local reply = { tonumber(redis.call('HGET', FAMILY .. ':pages', SLICE) or 0) }
for i = 3, #ARGV - 1 do
  local members = redis.call('ZRANGEBYSCORE', key, ARGV[i], '(' .. ARGV[i + 1], 'WITHSCORES')
  local high, low = 0, 0
  for place = 2, #members, 2 do
    local revenue = tonumber(members[place])
    local rest = revenue % BASE
    high = high + (revenue - rest) / BASE
    low = low + rest
  end
  reply[#reply + 1] = #members / 2
  reply[#reply + 1] = string.format('%.0f', high)
  reply[#reply + 1] = string.format('%.0f', low)
end
return reply
