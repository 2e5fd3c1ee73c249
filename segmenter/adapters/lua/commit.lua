-- One commit of one lane: everything is checked first, then everything is written, or nothing is.
--
-- KEYS: 1 lane, 2 positions, 3 taken, 4 markers, 5 sizes, 6 coarse histogram; families 7 deadlines, 8 ranks,
-- 9 held; prefixes 10 profiles, 11 fine histograms, 12 outbox pages. What stands under a family or a prefix
-- is named by what is stored, and carries the lane's tag.
-- ARGV: token, commit id, version, buckets, first page to keep ('' for all), then sections. A section is the
-- number of its values, then these; grouped sections are the number of groups, then per group its name and a
-- section. In order: fields of the lane; positions (source, before or '', after); coarse (see histogram.lua);
-- taken; markers; sizes (name, difference); outbox pages (number, value); and grouped: profiles put, profiles
-- dropped, deadlines removed, deadlines added, ranks removed, ranks added, held removed, held added, fine.
-- Reply: 'stored', version, moves whose old place was empty, customers, buckets; or a kind of refusal, found;
-- or why it must be made again: 'buckets', found; 'crowded'.

local LANE, POSITIONS, TAKEN, MARKERS, SIZES, COARSE = unpack(KEYS, 1, 6)
local DEADLINES, RANKS, HELD, PROFILES, FINE, OUTBOX = unpack(KEYS, 7, 12)
local TOKEN, ID, VERSION, BUCKETS, KEEP_FROM = unpack(ARGV, 1, 5)
-- Dropping this many pages takes about 1 ms; who would drop more has to acknowledge them first.
local PAGES_DROPPED = 500

local at = 6

local function take()
  at = at + 1
  return ARGV[at - 1]
end

local function is_whole_number(text)
  return text and #text <= 18 and string.find(text, '^%-?%d+$')
end

-- Returns the first and last place of the next section's values, of which `per` belong together.
local function section(per)
  local count = tonumber(take())
  if not count or count < 0 or count % (per or 1) ~= 0 or at + count - 1 > #ARGV then
    error('section before ' .. at .. ' is malformed')
  end
  at = at + count
  return at - count, at - 1
end

-- Fails where values that have to be whole numbers are not: every `step`th from the first on.
local function demand_numbers(first, last, step)
  for i = first, last, step do
    if not is_whole_number(ARGV[i]) then
      error('argument ' .. i .. ' is no whole number')
    end
  end
end

-- Fails where the next grouped section is malformed. With `step` its values are numbers, as in `demand_numbers`.
local function demand_groups(per, step)
  local groups = take()
  if not is_whole_number(groups) then
    error('number of groups before ' .. at .. ' is malformed')
  end
  for _ = 1, tonumber(groups) do
    if not is_whole_number(take()) then
      error('name of the group before ' .. at .. ' is no whole number')
    end
    local first, last = section(per)
    if step then
      demand_numbers(first, last, step)
    end
  end
end

local function each_group(visit)
  for _ = 1, tonumber(take()) do
    local name = take()
    local first, last = section()
    visit(name, first, last)
  end
end

local stored = redis.call(
  'HMGET', LANE, 'token', 'version', 'commit', 'buckets', 'first_page', 'next_page', 'entries', 'bytes', 'customers'
)
local token, version, id, buckets = unpack(stored, 1, 4)
local first_page, next_page = tonumber(stored[5]), tonumber(stored[6])
local entries, bytes, customers = tonumber(stored[7]), tonumber(stored[8]), tonumber(stored[9])

-- Checks.

local refusal = token_refusal(token, TOKEN)
if refusal then
  return { refusal, token or 'none' }
end
local next_version = string.format('%.0f', tonumber(VERSION) + 1)
if version == next_version and id == ID then
  return { 'stored', version, 0, customers, tonumber(buckets) }
end
if version ~= VERSION then
  return { 'version', version }
end
if buckets ~= BUCKETS then
  return { 'buckets', buckets }
end

local field_first, field_last = section(2)
local position_first, position_last = section(3)
for i = position_first, position_last, 3 do
  local found = redis.call('HGET', POSITIONS, ARGV[i]) or ''
  if found ~= ARGV[i + 1] then
    return { 'position', ARGV[i], found, ARGV[i + 1] }
  end
end
local coarse_first, coarse_last = section(4)
demand_numbers(coarse_first, coarse_last, 1)
local taken_first, taken_last = section(2)
local marker_first, marker_last = section(2)
local size_first, size_last = section(2)
demand_numbers(size_first + 1, size_last, 2)
local page_first, page_last = section(2)
if page_first < page_last and tonumber(ARGV[page_first]) ~= next_page then
  return { 'page', stored[6], ARGV[page_first] }
end
local keep_from = math.max(first_page, math.min(tonumber(KEEP_FROM) or 0, next_page))
if keep_from - first_page > PAGES_DROPPED then
  return { 'crowded' }
end
for page = first_page, keep_from - 1 do
  local dropped_entries, dropped_bytes = page_load(redis.call('GETRANGE', OUTBOX .. page, 0, 7))
  entries, bytes = entries - dropped_entries, bytes - dropped_bytes
end
for i = page_first, page_last, 2 do
  local new_entries, new_bytes = page_load(ARGV[i + 1])
  entries, bytes = entries + new_entries, bytes + new_bytes
end

-- What follows is read again while it is written; a script that fails in its midst takes nothing back.
local groups_at = at
demand_groups(2)
demand_groups(1)
for _ = 1, 3 do
  demand_groups(1)
  demand_groups(2, 2)
end
demand_groups(4, 1)
if at ~= #ARGV + 1 then
  error('arguments from ' .. at .. ' on belong to no section')
end
at = groups_at

-- Writes. The first one is refused by a full Redis, and with it the whole script.

redis.call(
  'HSET', LANE, 'version', next_version, 'commit', ID, 'first_page', keep_from, 'entries', entries, 'bytes', bytes,
  'next_page', next_page + math.floor((page_last - page_first + 1) / 2), unpack(ARGV, field_first, field_last)
)
for i = position_first, position_last, 3 do
  redis.call('HSET', POSITIONS, ARGV[i], ARGV[i + 2])
end
call_sliced('HSET', TAKEN, taken_first, taken_last)
call_sliced('HSET', MARKERS, marker_first, marker_last)
for i = size_first, size_last, 2 do
  if redis.call('HINCRBY', SIZES, ARGV[i], ARGV[i + 1]) == 0 then
    redis.call('HDEL', SIZES, ARGV[i])
  end
end
for i = page_first, page_last, 2 do
  redis.call('SET', OUTBOX .. ARGV[i], ARGV[i + 1])
end
for page = first_page, keep_from - 1 do
  redis.call('UNLINK', OUTBOX .. page)
end

local missing = 0

local function move(family)
  local highest, left = highest_pages(family), {}
  each_group(function(slice, first, last)
    missing = missing + paged_remove(family, slice, first, last, highest)
    left[slice] = true
  end)
  each_group(function(slice, first, last)
    paged_add(family, slice, first, last, highest)
    left[slice] = nil
  end)
  for slice in pairs(left) do
    close_empty_pages(family, slice, highest)
  end
end

count_in(COARSE, coarse_first, coarse_last)
each_group(function(bucket, first, last)
  customers = customers + call_sliced('HSET', PROFILES .. bucket, first, last)
end)
each_group(function(bucket, first, last)
  customers = customers - call_sliced('HDEL', PROFILES .. bucket, first, last)
end)
redis.call('HSET', LANE, 'customers', customers)
move(DEADLINES)
move(RANKS)
move(HELD)
each_group(function(coarse, first, last)
  count_in(FINE .. coarse, first, last)
end)
return { 'stored', next_version, missing, customers, tonumber(BUCKETS) }
