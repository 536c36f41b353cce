-- What every script that changes a namespace shares. A script runs alone, so
-- what it reads, checks and writes is one step.
--
-- KEYS[1] the namespace's meta: v last version, c last change, b bytes, t set
--         while it is on the list of what is due
-- KEYS[2] the list of namespaces with something due
-- KEYS[3…] on a cluster, whatever else is touched: it looks whether all of it is here
-- ARGV[1] what the namespace's keys begin with; in one that is spread, those of a bucket
-- ARGV[2] the channel on which watchers wait
-- ARGV[3] changes to keep; 0 where the namespace is spread, which then has no history
-- ARGV[4] receipts to keep
local P = ARGV[1]
local call, pack, unpack_, sub = redis.call, struct.pack, struct.unpack, string.sub
local I, E, X, C, R, O = P .. 'i', P .. 'e', P .. 'x', P .. 'c', P .. 'r', P .. 'o'

-- Numbers are doubles: exact up to 2^53, which microseconds reach in 2255.
local function text(n) return string.format('%.0f', n) end

local clock = call('TIME')
local us = clock[1] * 1000000 + clock[2]
local ms = math.floor(us / 1000)
local meta = call('HMGET', KEYS[1], 'v', 'c', 'b', 't')
local v, last, bytes = tonumber(meta[1] or 0), tonumber(meta[2] or 0), tonumber(meta[3] or 0)
local v0, last0, bytes0 = v, last, bytes
local due, tidy = nil, false

-- upcoming is the next version. The buckets of a namespace that is spread give out
-- numbers of their own each, so that none comes twice.
local history = tonumber(ARGV[3])
local buckets = history == 0 and 256 or 1
local function upcoming()
  local n = math.max(v + 1, us)
  return n + (tonumber(string.match(P, ':(%d+)}$')) - n) % buckets
end

-- soon puts the namespace on the list of what is due.
local function soon(at)
  if not due or at < due then due = at end
end

-- note gives out a version and adds to the history. Each change names the one
-- before it, so that a reader can tell that nothing is missing.
local function note(kind, key, previous)
  v = upcoming()
  if history > 0 then
    call('XADD', C, 'MAXLEN', '~', ARGV[3], text(v) .. '-0', 'k', key, 'h', pack('>BI8I8I8', kind, last, previous, ms))
    last, tidy = v, true
  end
  return v
end

-- lapse ends a key that the server has dropped at its expiry.
local function lapse(key)
  local was = call('HGET', X, key)
  call('ZREM', E, key)
  call('HDEL', X, key)
  call('ZREM', I, key)
  local version, size = 0, 0
  if was then version, size = unpack_('>I8I8', was) end
  bytes = bytes - #key - size
  note(3, key, version)
end

-- unreadable is a letter for what is no record: Y for one of a newer format. Formats
-- are counted, text is not.
local function unreadable(raw)
  local format = string.byte(raw)
  if #raw >= 16 and format == 1 then return nil end
  return #raw >= 16 and format > 1 and format < 32 and 'Y' or 'F'
end

-- load is what is stored under a key, nil if nothing is: also after its
-- expiry, which then is told before anything else happens to the key.
local function load(key, whole)
  local raw, n
  if whole then
    raw = call('GET', P .. 'k' .. key)
    n = raw and #raw
  else
    raw = call('GETRANGE', P .. 'k' .. key, 0, 31)
    if raw == '' then raw = false else n = call('STRLEN', P .. 'k' .. key) end
  end
  if not raw then
    if call('ZSCORE', E, key) then lapse(key) end
    return nil
  end
  local err = unreadable(raw)
  if err then return nil, err end
  local c = { raw = sub(raw, 9, 16), expires = 0, ttl = 0 }
  c.version = unpack_('>I8', c.raw)
  local head = 16
  if string.byte(raw, 2) == 1 then
    c.expires, c.ttl = unpack_('>I8I8', raw, 17)
    head = 32
  end
  c.size = n - head
  if whole then c.value = sub(raw, head + 1) end
  return c
end

-- store writes the record; what the server refuses is given back as text. The
-- server keeps a key through the millisecond that it is given as its end.
local function store(key, version, value, expires, ttl)
  local r
  if expires > 0 then
    r = redis.pcall('SET', P .. 'k' .. key, pack('>BBI2I4I8I8I8', 1, 1, 0, 0, version, expires, ttl) .. value, 'PXAT', text(expires - 1))
  else
    r = redis.pcall('SET', P .. 'k' .. key, pack('>BBI2I4I8', 1, 0, 0, 0, version) .. value)
  end
  return r.err
end

-- index keeps the list of expiries; the server forgets what a key was when it
-- drops it, so version and size stand here too.
local function index(key, c, expires, version, size)
  if expires > 0 then
    call('ZADD', E, text(expires), key)
    call('HSET', X, key, pack('>I8I8', version, size))
    soon(expires)
  elseif c and c.expires > 0 then
    call('ZREM', E, key)
    call('HDEL', X, key)
  end
end

-- put stores a value as a new version.
local function put(key, c, value, expires, ttl)
  local err = store(key, upcoming(), value, expires, ttl)
  if err then return nil, err end
  if c then
    bytes = bytes + #value - c.size
  else
    call('ZADD', I, 0, key)
    bytes = bytes + #key + #value
  end
  local version = note(1, key, c and c.version or 0)
  index(key, c, expires, version, #value)
  return version
end

-- remove takes a key away.
local function remove(key, c)
  call('UNLINK', P .. 'k' .. key)
  call('ZREM', I, key)
  if c.expires > 0 then
    call('ZREM', E, key)
    call('HDEL', X, key)
  end
  bytes = bytes - #key - c.size
  return note(2, key, c.version)
end

-- ends is the expiry that the options of a write ask for, and its time to
-- live: rounded up, so that nothing ends early. The calendar ends where 64 bits
-- of nanoseconds do.
local function ends(c, ttl, keepttl)
  if ttl > 0 then return math.min(math.ceil(us / 1000) + ttl, 9223372036854), ttl end
  if keepttl and c then return c.expires, c.ttl end
  return 0, 0
end

local replay, put_down = ledger(R, O, us, math.ceil(tonumber(ARGV[4]) / buckets)) -- each has its part

-- keep stores the answer to a receipt.
local function keep(...)
  put_down(...)
  tidy = true
end

-- answer is a result as it is sent and kept.
local function answer(flags, version, expires, number, value)
  number = number or ''
  return pack('>BI8I8B', flags, version, expires or 0, #number) .. number .. (value or '')
end

-- once does a change unless its receipt, which stands after n bytes of what is
-- to be done, says that it was done before. An answer is kept with its length,
-- as those of a transaction are.
local function once(n, change, what, key, value, extra)
  if #what == n then return change(what, key, value, extra) end
  local id, body = sub(what, n + 1, n + 16), sub(what, n + 17, n + 32)
  local first = replay(id, body)
  if first == 'P' then return 'P' .. answer(0, 0) end -- of an empty transaction
  if first == 'EK' then return first end
  if first then return 'P' .. sub(first, 6, 5 + unpack_('>I4', first, 2)) end
  local r = change(what, key, value, extra)
  if sub(r, 1, 1) == 'R' then
    local time, most = unpack_('>I8I8', what, n + 33)
    keep(id, body, time, most, pack('>I4', #r - 1) .. sub(r, 2))
  end
  return r
end

-- sum adds two decimal numbers: as doubles where those are exact, else by the
-- server, which also knows the bounds of 64 bits.
local function sum(a, b)
  local sign, digits = string.match(a, '^([+-]?)0*(%d+)$')
  if not digits then return nil, 'E#' end
  if sign == '-' then digits = '-' .. digits end
  local x, y = tonumber(digits), tonumber(b)
  if math.abs(x) < 4503599627370496 and math.abs(y) < 4503599627370496 then return text(x + y) end
  local scratch = P .. 'n'
  local r = redis.pcall('SET', scratch, digits)
  if r.err then return nil, 'ER' .. r.err end
  local n, err
  if type(redis.pcall('INCRBY', scratch, 0)) == 'table' then
    err = 'E#'
  elseif type(redis.pcall('INCRBY', scratch, b)) == 'table' then
    err = 'EO'
  else
    n = call('GET', scratch)
  end
  call('DEL', scratch)
  return n, err
end

-- finish writes down what the script has used up, and wakes watchers.
local function finish()
  if v ~= v0 or last ~= last0 or bytes ~= bytes0 then
    call('HSET', KEYS[1], 'v', text(v), 'c', text(last), 'b', text(bytes))
  end
  if tidy and not meta[4] then
    call('HSET', KEYS[1], 't', 1)
    soon(ms + 60000)
  end
  if due then call('ZADD', KEYS[2], 'LT', text(due), P) end
  if last ~= last0 then call('PUBLISH', ARGV[2], '') end
end
