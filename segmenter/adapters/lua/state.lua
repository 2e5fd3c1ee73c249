-- Returns the small hashes of a lane as of one moment. A script, since a full Redis refuses even reads in MULTI.
--
-- KEYS: hashes. Reply: for each {field, value, …}.

local reply = {}
for i, key in ipairs(KEYS) do
  reply[i] = redis.call('HGETALL', key)
end
return reply
