-- Reads a family of paged sorted sets in the order of its slices.
--
-- KEYS: 1 family. ARGV: first slice, last slice, highest score, score and member to begin after in the
-- first slice ('' for its beginning), most members to return.
-- Reply: the next slice, not read yet, or ''; then for each page read, in the order of slices: slice, 1 when the page
-- holds more of the range, {member, score, …}.

local FAMILY = KEYS[1]
local LOW_SLICE, HIGH_SLICE, HIGHEST, AFTER_SCORE, AFTER, MOST = unpack(ARGV, 1, 6)
local SLICES_A_CALL = 500

-- Orders by bytes, as sorted sets do; Lua's own `<` follows the locale of the server.
local function is_beyond(member, bound)
  for i = 1, math.min(#member, #bound) do
    local a, b = string.byte(member, i), string.byte(bound, i)
    if a ~= b then
      return a > b
    end
  end
  return #member > #bound
end

-- Returns the place in a page of the first slice of the first (score, member) beyond the one to begin after.
local function place_after(key)
  local low = redis.call('ZCOUNT', key, '-inf', '(' .. AFTER_SCORE)
  local high = redis.call('ZCOUNT', key, '-inf', AFTER_SCORE)
  while low < high do
    local middle = math.floor((low + high) / 2)
    if is_beyond(redis.call('ZRANGE', key, middle, middle)[1], AFTER) then
      high = middle
    else
      low = middle + 1
    end
  end
  return low
end

local slices =
  redis.call('ZRANGEBYSCORE', FAMILY, LOW_SLICE, HIGH_SLICE, 'LIMIT', 0, SLICES_A_CALL + 1)
local reply, left, highest = { '' }, tonumber(MOST), highest_pages(FAMILY)
for i = 1, math.min(#slices, SLICES_A_CALL) do
  local slice = slices[i]
  local last_page = highest[slice] or 0
  local share = math.max(1, math.floor(left / (last_page + 1)))
  for page = 0, last_page do
    local key = page_key(FAMILY, slice, page)
    local from, to = 0, redis.call('ZCOUNT', key, '-inf', HIGHEST)
    if slice == LOW_SLICE and AFTER_SCORE ~= '' then
      from = place_after(key)
    end
    if from < to then
      local taken = math.min(to - from, share)
      reply[#reply + 1] = slice
      reply[#reply + 1] = from + taken < to and 1 or 0
      reply[#reply + 1] = redis.call('ZRANGE', key, from, from + taken - 1, 'WITHSCORES')
      left = left - taken
    end
  end
  reply[1] = slices[i + 1] or ''
  if left <= 0 then
    break
  end
end
return reply
