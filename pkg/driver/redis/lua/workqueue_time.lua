-- What scripts share that look at a queue as it is now.

local function stale(c) return retention > 0 and c.born + retention <= ms end

-- expire ends a message that may go and is past its retention.
local function expire(c)
  call('ZREM', R, rank(c))
  if c.key ~= '' then call('ZREM', G, line(c.key) .. c.id) end
  forget(c)
  promote(c.key)
end

-- ripen makes delayed messages ready whose time has come.
local function ripen(most)
  local members = call('ZRANGEBYLEX', D, '-', '(' .. pack('>I8', ms + 1), 'LIMIT', 0, most)
  for _, member in ipairs(members) do
    call('ZREM', D, member)
    local c = load(sub(member, 9))
    c.state, c.at = READY, 0
    save(c)
    if c.key == '' then
      offer(c)
    else
      call('ZADD', W, 0, rank(c))
      promote(c.key)
    end
  end
  return #members
end

-- lapse ends leases whose time is over.
local function lapse(most)
  local members = call('ZRANGEBYLEX', L, '-', '(' .. pack('>I8', ms + 1), 'LIMIT', 0, most)
  for _, member in ipairs(members) do
    local c = load(sub(member, 9))
    unlease(c)
    if last(c) then
      make_dead(c, string.format('not acknowledged in %d deliveries', c.attempts))
    else
      make_ready(c)
    end
  end
  return #members
end

-- rot ends what goes next, of each priority, and is past its retention. What
-- is behind it is looked at when it is gone.
local function rot(most)
  if retention == 0 or ms < look then return 0 end
  look = ms + retention
  local gone = 0
  for p = 0, 9 do
    local member = head(R, string.char(p))
    while member do
      local c = load(sub(member, 2))
      if not stale(c) or gone == most then
        look = math.min(look, c.born + retention)
        break
      end
      expire(c)
      gone = gone + 1
      member = head(R, string.char(p))
    end
  end
  return gone
end

-- advance does what time has brought, up to a bound; true if there is more.
local function advance()
  local most = 200 -- one or two milliseconds
  local ripe, lapsed, rotten = ripen(most), lapse(most), rot(most)
  return ripe == most or lapsed == most or rotten == most
end

-- soonest is when the first delayed message is due or the first lease ends.
local function soonest()
  local at
  for _, set in ipairs({ D, L }) do
    local member = call('ZRANGE', set, 0, 0)[1]
    if member then
      local t = unpack_('>I8', member)
      if not at or t < at then at = t end
    end
  end
  return at
end

