-- Makes a token the owner of a lane, which is created when it is new.
--
-- KEYS: 1 lane. ARGV: token, partitions, buckets of a new lane, seconds that a heartbeat is valid.
-- Reply: 'acquired', the token before or ''; or a kind of refusal, found.

local LANE = KEYS[1]
local TOKEN, PARTITIONS, BUCKETS, VALID = unpack(ARGV, 1, 4)
local token, partitions, heartbeat = unpack(redis.call('HMGET', LANE, 'token', 'partitions', 'heartbeat'))
local now = redis.call('TIME')[1]

if partitions and partitions ~= PARTITIONS then
  return { 'partitions', partitions }
end
if token and generation_of(token) > generation_of(TOKEN) and tonumber(now) - tonumber(heartbeat) <= tonumber(VALID) then
  return { 'newer_token', token }
end

write_even_when_full(LANE)
if not partitions then
  redis.call(
    'HSET', LANE, 'partitions', PARTITIONS, 'buckets', BUCKETS, 'version', 0, 'commit', '', 'customers', 0,
    'first_page', 0, 'next_page', 0, 'entries', 0, 'bytes', 0
  )
end
redis.call('HSET', LANE, 'token', TOKEN, 'heartbeat', now)
return { 'acquired', token or '' }
