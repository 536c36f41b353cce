-- Ends or changes leases, each with an answer of its own: L if the lease is
-- over, D if the message is a dead letter now, else R and when the lease ends.
--
-- ARGV[4] what to do: a acknowledge, e extend, r release, j reject
-- ARGV[5] the lease, or the delay, in milliseconds; ARGV[6] the reason
-- ARGV[7…] receipts: the message's id and the lease's number
local what, time, reason = ARGV[4], tonumber(ARGV[5]), ARGV[6]

local function settle(receipt)
  local id = sub(receipt, 1, 8)
  local raw = call('HGET', S, id)
  if not raw then return 'L' end
  local c = parse(id, raw)
  if c.state ~= LEASED or sub(raw, 35, 42) ~= sub(receipt, 9) or c.at <= ms then return 'L' end
  if what == 'e' then
    call('ZREM', L, due(c))
    c.at = after(time)
    save(c)
    call('ZADD', L, 0, due(c))
    if call('ZRANGE', L, 0, 0)[1] == due(c) then news = true end -- who waits must look sooner
    return 'R' .. pack('>I8', c.at)
  end
  unlease(c)
  if what == 'a' then
    forget(c)
    promote(c.key)
    tally.a = tally.a + 1
    return 'R'
  end
  c.reason = reason
  if what == 'j' or last(c) then
    make_dead(c, reason)
    return 'D'
  end
  if time > 0 then
    make_later(c, after(time))
  else
    make_ready(c)
  end
  return 'R'
end

local out = {}
for i = 7, #ARGV do
  out[#out + 1] = settle(ARGV[i])
end
finish()
return out
