-- Gives an order to hold the moves of a dimension, or to let them go, under the next number.
--
-- KEYS: 1 orders. ARGV: dimension, packed order without its number. Reply: its number.

local ORDERS = KEYS[1]
local DIMENSION, PACKED = ARGV[1], ARGV[2]
local known = redis.call('HGET', ORDERS, DIMENSION)

-- The same order again, by a call that was repeated, stays one.
if known and string.sub(known, string.find(known, '|', 1, true) + 1) == PACKED then
  return tonumber(string.sub(known, 1, string.find(known, '|', 1, true) - 1))
end
local number = redis.call('HINCRBY', ORDERS, '#', 1)
redis.call('HSET', ORDERS, DIMENSION, string.format('%.0f', number) .. '|' .. PACKED)
return number
