-- Ends or changes leases, each with an answer of its own: L if the lease is
-- over, D if the message is a dead letter now, else R and when the lease ends.
--
-- ARGV[4] what to do: a acknowledge, e extend, r release, j reject
-- ARGV[5] the lease, or the delay, in milliseconds; ARGV[6] the reason
-- ARGV[7…] receipts: the message's id and the lease's number
local what, time, reason = ARGV[4], tonumber(ARGV[5]), ARGV[6]

local ids, known, done, leases = {}, {}, {}, {}
for i = 7, #ARGV do ids[#ids + 1] = sub(ARGV[i], 1, 8) end
if #ids > 0 then known = call('HMGET', S, unpack(ids)) end

-- acknowledge ends a message; what it leaves behind goes with that of others.
local function acknowledge(c)
  done[#done + 1], leases[#leases + 1] = c.id, due(c)
  bytes, tally.a = bytes - c.size, tally.a + 1
  if c.key ~= '' then
    call('HDEL', H, c.key)
    promote(c.key)
  end
  return 'R'
end

local seen = {}
local function settle(i, receipt)
  local id, raw = ids[i], known[i]
  if seen[id] then raw = call('HGET', S, id) end -- it was named before
  if not raw or seen[id] == 'a' then return 'L' end
  local c = parse(id, raw)
  if c.state ~= LEASED or sub(raw, 35, 42) ~= sub(receipt, 9) or c.at <= ms then return 'L' end
  seen[id] = what
  if what == 'a' then return acknowledge(c) end
  if what == 'e' then
    call('ZREM', L, due(c))
    c.at = after(time)
    save(c)
    call('ZADD', L, 0, due(c))
    if call('ZRANGE', L, 0, 0)[1] == due(c) then news = true end -- who waits must look sooner
    return 'R' .. pack('>I8', c.at)
  end
  unlease(c)
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
for i = 1, #ids do
  out[i] = settle(i, ARGV[i + 6])
end
if #done > 0 then
  call('ZREM', L, unpack(leases))
  call('HDEL', S, unpack(done))
  call('HDEL', B, unpack(done))
end
finish()
return out
