-- Lists messages of one state after a place.
--
-- ARGV[4] the state; ARGV[5] the place, empty for the beginning
-- ARGV[6] messages at most, ARGV[7] bytes at most, one message at least
--
-- The answer: 1 if there is more to do before it can be told; the place of the
-- last message if there are more; then three for each message: its id, what is
-- known of it, its body.
local again = advance()
finish()
if again then return { 1, '' } end

local state, limit, room = tonumber(ARGV[4]), tonumber(ARGV[6]), tonumber(ARGV[7])
local from = ARGV[5] == '' and '-' or '(' .. ARGV[5]

-- Places of one kind have one length, so that the order of bytes is that of
-- Lua's own comparison only where no locale meddles: numbers are compared.
local function before(a, b)
  for i = 1, #a do
    local x, y = string.byte(a, i), string.byte(b, i)
    if x ~= y then return x < y end
  end
  return false
end

local sets = { [READY] = { R, W }, [LATER] = { D }, [LEASED] = { L }, [DEAD] = { X } }
local members = {}
for _, set in ipairs(sets[state]) do
  for _, member in ipairs(call('ZRANGEBYLEX', set, from, '+', 'LIMIT', 0, limit + 1)) do members[#members + 1] = member end
end
table.sort(members, before)

local out = { 0, '' }
for i, member in ipairs(members) do
  local id = sub(member, -8)
  local raw = call('HGET', S, id)
  local size = unpack_('>I4', raw, 7)
  if i > limit or (i > 1 and size > room) then
    out[2] = members[i - 1]
    break
  end
  room = room - size
  local n = #out
  out[n + 1], out[n + 2], out[n + 3] = id, raw, call('HGET', B, id)
end
return out
