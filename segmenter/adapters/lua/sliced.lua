-- Variadic commands over long runs of ARGV: Lua's stack takes about 8,000 values, so they go in slices.

local SLICE = 4000

-- Calls `command key ARGV[first] … ARGV[last]` in slices and returns the sum of the integer replies.
local function call_sliced(command, key, first, last)
  local sum = 0
  for from = first, last, SLICE do
    sum = sum + redis.call(command, key, unpack(ARGV, from, math.min(last, from + SLICE - 1)))
  end
  return sum
end
