-- Paged sorted sets: a family of members, cut into slices by their score and into pages of at most 5,000.
--
--   <family>                  index: every slice that is not empty, scored by its number
--   <family>:pages            hash: highest page of a slice, where it has more than page 0
--   <family>:<slice>:<page>   sorted set of members
--
-- A slice's pages are not ordered among each other; holes that removals leave are filled again.

local PAGE_MEMBERS = 5000

local function page_key(family, slice, page)
  return family .. ':' .. slice .. ':' .. page
end

-- Returns the highest page by slice, for slices that have more than one.
local function highest_pages(family)
  local highest, flat = {}, redis.call('HGETALL', family .. ':pages')
  for i = 1, #flat, 2 do
    highest[flat[i]] = tonumber(flat[i + 1])
  end
  return highest
end

-- Forgets pages at the end of a slice that have become empty, and the slice when all have.
local function close_empty_pages(family, slice, highest)
  local last = highest[slice] or 0
  local open = last
  while open >= 0 and redis.call('EXISTS', page_key(family, slice, open)) == 0 do
    open = open - 1
  end
  if open == last then
    return
  end
  if open < 0 then
    redis.call('ZREM', family, slice)
  end
  if open > 0 then
    redis.call('HSET', family .. ':pages', slice, open)
    highest[slice] = open
  else
    redis.call('HDEL', family .. ':pages', slice)
    highest[slice] = nil
  end
end

-- Takes the members ARGV[first] … ARGV[last] out of a slice; returns how many of them were not there.
-- Its pages may be left empty: `close_empty_pages` is for whoever does not fill them again.
local function paged_remove(family, slice, first, last, highest)
  local missing = last - first + 1
  for page = 0, highest[slice] or 0 do
    if missing > 0 then
      missing = missing - call_sliced('ZREM', page_key(family, slice, page), first, last)
    end
  end
  return missing
end

-- Puts ARGV[first] … ARGV[last], alternately score and member, into a slice; the members are not in it yet.
local function paged_add(family, slice, first, last, highest)
  local page = 0
  while first <= last do
    local key = page_key(family, slice, page)
    local members = redis.call('ZCARD', key)
    local take = math.min(last, first + 2 * (PAGE_MEMBERS - members) - 1)
    if take > first then
      call_sliced('ZADD', key, first, take)
      if members == 0 and page == 0 then
        redis.call('ZADD', family, slice, slice)
      elseif members == 0 and page > (highest[slice] or 0) then
        redis.call('HSET', family .. ':pages', slice, page)
        highest[slice] = page
      end
    end
    first = take + 1
    page = page + 1
  end
end
