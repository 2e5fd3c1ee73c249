-- Puts a boundary in force: for the owner of lane 0 only, and only in place of the one before it.
--
-- KEYS: 1 lane 0, 2 boundary. ARGV: token, number, packed boundary.
-- Reply: 1 when it is in force, now or by an earlier try of the same; else 0.

local LANE, BOUNDARY = KEYS[1], KEYS[2]
local TOKEN, NUMBER, PACKED = unpack(ARGV, 1, 3)
local number, packed = unpack(redis.call('HMGET', BOUNDARY, 'number', 'packed'))

if redis.call('HGET', LANE, 'token') ~= TOKEN then
  return 0
end
if number == NUMBER and packed == PACKED then
  return 1
end
if tonumber(number or 0) ~= tonumber(NUMBER) - 1 then
  return 0
end
redis.call('HSET', BOUNDARY, 'number', NUMBER, 'packed', PACKED)
return 1
