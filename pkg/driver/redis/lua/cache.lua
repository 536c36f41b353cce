-- Operations on cache entries in order, each with an answer of its own. What
-- changes an entry ends the lock on it: a value that was computed before is
-- then not stored.
--
-- ARGV[5…] four for each: what to do, the key, the value or the number that is
--          added, and what a missing key counts as

replay, put_down = ledger(P .. 's', P .. 'q', us, tonumber(ARGV[4])) -- receipts of a cache are apart

-- fill stores an entry: format, nothing, and its end, in 16 bytes, and the value.
local function fill(name, value, expires)
  local r
  local record = pack('>BBI2I4I8', 1, 0, 0, 0, expires) .. value
  if expires > 0 then
    r = redis.pcall('SET', name, record, 'PXAT', text(expires - 1))
  else
    r = redis.pcall('SET', name, record)
  end
  return r.err
end

local function change(what, key, value, initial)
  local kind = sub(what, 1, 1)
  local flags = string.byte(what, 2)
  local ttl = unpack_('>I8', what, 3)
  local name, lock = P .. 'h' .. key, P .. 'l' .. key
  local err

  if kind == 'd' then
    call('UNLINK', lock)
    return 'R' .. answer(call('UNLINK', name), 0)

  elseif kind == 's' then
    if flags > 0 and (call('EXISTS', name) == 1) ~= (flags == 2) then return 'R' .. answer(0, 0) end
    err = fill(name, value, (ends(nil, ttl, false)))
    if err then return 'ER' .. err end
    call('UNLINK', lock)
    return 'R' .. answer(2, 0)
  end

  if kind ~= 't' and kind ~= 'i' then return 'EI' end
  local raw = call('GET', name)
  err = raw and unreadable(raw)
  if err then return 'E' .. err end
  local expires = (ends(nil, ttl, false))
  if kind == 't' then
    if not raw then return 'R' .. answer(0, 0) end
    err = fill(name, sub(raw, 17), expires)
    if err then return 'ER' .. err end
    return 'R' .. answer(1, 0, expires)
  end
  if raw then expires = unpack_('>I8', raw, 9) end
  local number
  number, err = sum(raw and sub(raw, 17) or initial, value)
  if err then return err end
  err = fill(name, number, expires)
  if err then return 'ER' .. err end
  call('UNLINK', lock)
  return 'R' .. answer(0, 0, 0, number)
end

local out = {}
for i = 5, #ARGV, 4 do
  out[#out + 1] = once(10, change, ARGV[i], ARGV[i + 1], ARGV[i + 2], ARGV[i + 3])
end
finish()
return out
