-- Mutations in order, each with an answer of its own.
--
-- ARGV[5…] four for each: what to do, the key, the value, and what it is
--          compared with or the number that is added.

local whole = { e = true, p = true, t = true, i = true, a = true, g = true, c = true, C = true }

-- change does one mutation: R and its answer, or E, a letter for why not, and more.
local function change(what, key, value, extra)
  local kind = sub(what, 1, 1)
  if kind == 'x' then return 'EI' end
  local flags = string.byte(what, 2)
  local keepttl, absent = flags % 2 == 1, math.floor(flags / 2) % 2 == 1
  local ttl = unpack_('>I8', what, 3)
  local want = sub(what, 11, 18)
  local c, err = load(key, whole[kind])
  if err then return 'E' .. err end

  if kind == 'S' or kind == 'D' then
    if absent then
      if c then return 'EX' end
    elseif not c or c.raw ~= want then
      return 'EV' .. (c and c.raw or string.rep('\0', 8))
    end
  end

  local version
  if kind == 's' or kind == 'S' or kind == 'g' or (kind == 'n' and not c) then
    local expires, lives = ends(c, ttl, keepttl)
    version, err = put(key, c, value, expires, lives)
    if err then return 'ER' .. err end
    if kind == 'n' then return 'R' .. answer(2, version) end
    if kind == 'g' and c then return 'R' .. answer(5, version, 0, '', c.value) end
    return 'R' .. answer(0, version)

  elseif kind == 'n' then
    return 'R' .. answer(0, c.version)

  elseif kind == 'd' or kind == 'D' then
    if not c then return 'R' .. answer(0, 0) end
    return 'R' .. answer(1, remove(key, c))

  elseif kind == 'e' or kind == 'p' or kind == 't' then
    if not c then return 'EN' end
    local expires, lives = c.expires, c.ttl
    if kind == 'e' then
      expires, lives = ends(c, ttl, false)
    elseif kind == 'p' then
      expires, lives = 0, 0
    elseif expires > 0 then
      expires = ends(c, lives, false)
    end
    if expires ~= c.expires or lives ~= c.ttl then
      err = store(key, c.version, c.value, expires, lives)
      if err then return 'ER' .. err end
      index(key, c, expires, c.version, c.size)
    end
    return 'R' .. answer((kind == 'p' and c.expires > 0) and 2 or 0, c.version, expires)

  elseif kind == 'i' or kind == 'a' then
    local number
    if kind == 'i' then
      value, err = sum(c and c.value or '0', extra)
      if err then return err end
      number = value
    else
      value = (c and c.value or '') .. value
      if #value > 1048576 then return 'EL' end
      number = text(#value)
    end
    local expires, lives = ends(c, c and 0 or ttl, true)
    version, err = put(key, c, value, expires, lives)
    if err then return 'ER' .. err end
    return 'R' .. answer(0, version, 0, number)

  elseif kind == 'c' or kind == 'C' then
    if not c then return 'R' .. answer(0, 0) end
    if c.value ~= extra then return 'R' .. answer(0, c.version) end
    if kind == 'C' then return 'R' .. answer(2, remove(key, c)) end
    local expires, lives = ends(c, ttl, true)
    version, err = put(key, c, value, expires, lives)
    if err then return 'ER' .. err end
    return 'R' .. answer(2, version)
  end
  return 'EI'
end

local out = {}
for i = 5, #ARGV, 4 do
  out[#out + 1] = once(18, change, ARGV[i], ARGV[i + 1], ARGV[i + 2], ARGV[i + 3])
end
finish()
return out
