-- Notes what the broker has acknowledged and drops outbox pages that are no longer needed.
--
-- KEYS: 1 lane, 2 prefix of the outbox pages.
-- ARGV: token, first page to keep, most pages to drop in this call, then fields of the lane.
-- Reply: 0 when the lane is not ours; 1 when done; 2 when there is more to drop.

local LANE, OUTBOX = KEYS[1], KEYS[2]
local TOKEN, KEEP_FROM, MOST = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3])
local token, first_page, next_page, entries, bytes =
  unpack(redis.call('HMGET', LANE, 'token', 'first_page', 'next_page', 'entries', 'bytes'))

if token ~= TOKEN then
  return 0
end
local wanted = math.max(first_page, math.min(KEEP_FROM, next_page))
local keep_from = math.min(wanted, first_page + MOST)
if #ARGV % 2 == 0 or keep_from % 1 ~= 0 then
  error('fields without a value, or a page that is no whole number')
end
-- All pages are looked at before the first goes: a script that fails in its midst takes nothing back.
for page = first_page, keep_from - 1 do
  local dropped_entries, dropped_bytes = page_load(redis.call('GETRANGE', OUTBOX .. page, 0, 7))
  entries, bytes = entries - dropped_entries, bytes - dropped_bytes
end
write_even_when_full(LANE)
for page = first_page, keep_from - 1 do
  redis.call('UNLINK', OUTBOX .. page)
end
redis.call(
  'HSET', LANE, 'first_page', keep_from, 'entries', entries, 'bytes', bytes, unpack(ARGV, 4)
)
return keep_from < wanted and 2 or 1
