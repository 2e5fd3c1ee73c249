-- Who owns a lane: `generation:nonce`.

local function generation_of(token)
  return tonumber(string.match(token, '^(%-?%d+):'))
end

-- Returns nil when `mine` is the stored token, else the kind of refusal.
local function token_refusal(stored, mine)
  if stored == mine then
    return nil
  end
  if not stored or generation_of(stored) < generation_of(mine) then
    return 'older_token'
  end
  return 'newer_token'
end

-- A full Redis refuses a script whose first write could grow it, and goes on with one that began by deleting.
-- What keeps a lane owned and drains its outbox must work when Redis is full, so it deletes nothing first.
local function write_even_when_full(lane)
  redis.call('UNLINK', lane .. ':nothing')
end
