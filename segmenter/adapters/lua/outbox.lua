-- A page of the outbox begins with the number of its entries and the bytes of their keys and values.

local function page_load(page)
  local entries, bytes = struct.unpack('<I4I4', page)
  return entries, bytes
end
