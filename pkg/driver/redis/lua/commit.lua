-- A transaction: all of its writes, or none.
--
-- ARGV[5] the receipt, or nothing
-- ARGV[6] how many checks, or x for what no store could do; two follow for each: the key and its version
-- then three for each write: what to do, the key, the value
local receipt = ARGV[5]
if receipt ~= '' then
  local first = replay(sub(receipt, 1, 16), sub(receipt, 17, 32))
  if first then return { first } end
end

if ARGV[6] == 'x' then return { 'EI' } end

local at = 7
local broken
for _ = 1, tonumber(ARGV[6]) do
  local c, err = load(ARGV[at])
  local have = c and c.raw or string.rep('\0', 8)
  if err or have ~= ARGV[at + 1] then
    broken = err and 'E' .. err or 'EC'
    break
  end
  at = at + 2
end
if broken then
  finish()
  return { broken }
end

-- Everything that can fail comes before the first write: what is there is
-- read, and the server refuses a first write that it has no memory for.
local cells = {}
for i = at, #ARGV, 3 do
  local c, err = load(ARGV[i + 1])
  if err then
    finish()
    return { 'E' .. err }
  end
  cells[i] = c
end
local all = ''
for i = at, #ARGV, 3 do
  local what, key, c = ARGV[i], ARGV[i + 1], cells[i]
  local r
  if sub(what, 1, 1) == 's' then
    local expires, lives = ends(c, unpack_('>I8', what, 3), string.byte(what, 2) % 2 == 1)
    local version, err = put(key, c, ARGV[i + 2], expires, lives)
    if err then
      finish()
      return { 'ER' .. err }
    end
    r = answer(0, version)
  elseif c then
    r = answer(1, remove(key, c))
  else
    r = answer(0, 0)
  end
  all = all .. pack('>I4', #r) .. r
end
if receipt ~= '' then
  local time, most = unpack_('>I8I8', receipt, 33)
  keep(sub(receipt, 1, 16), sub(receipt, 17, 32), time, most, all)
end
finish()
return { 'R' .. all }
