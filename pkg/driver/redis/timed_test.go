package redis_test

import (
	"context"
	"testing"
	"time"

	goredis "github.com/redis/go-redis/v9"

	"github.com/prism-data-layer/prism/pkg/driver/drivertest"
	"github.com/prism-data-layer/prism/pkg/driver/redis/redistest"
)

// timed is a harness whose time can be moved: as nobody can move the server's,
// the times that stand in it are moved the other way.
func timed(t *testing.T, v redistest.Version) drivertest.Harness {
	server, h := shared.get(t, v), single(v).harness(t)
	h.RealTime = true
	open := h.Open
	h.Open = func(t drivertest.TB, o drivertest.Options) drivertest.Opened {
		t.Helper()
		opened := open(t, o)
		c := goredis.NewClient(&goredis.Options{Network: "unix", Addr: server.Addr, MaxRetries: -1})
		t.Cleanup(func() { _ = c.Close() })
		opened.Clock = &shifted{t, c}
		return opened
	}
	return h
}

// shifted moves the times of all queues and topics of a server.
type shifted struct {
	t drivertest.TB
	c *goredis.Client
}

func (s *shifted) Now() time.Time { return time.Now() }

func (s *shifted) Advance(d time.Duration) {
	s.t.Helper()
	if err := shift.Run(context.Background(), s.c, nil, d.Milliseconds()).Err(); err != nil {
		s.t.Fatalf("move the server's data: %v", err)
	}
}

// shift knows all that lua/workqueue.lua and lua/stream.lua say of their keys.
var shift = goredis.NewScript(`
local call, pack, unpack_, sub, d = redis.call, struct.pack, struct.unpack, string.sub, tonumber(ARGV[1])

local function receipts(P, topic)
  local order = call('ZRANGE', P .. 'o', 0, -1, 'WITHSCORES')
  for i = 1, #order, 2 do
    call('ZADD', P .. 'o', string.format('%.0f', order[i + 1] - d * 1000), order[i])
    local r = call('HGET', P .. 'i', order[i])
    local answer = sub(r, 25)
    if topic then answer = sub(answer, 1, 12) .. pack('>I8', unpack_('>I8', answer, 13) - d) end
    call('HSET', P .. 'i', order[i], sub(r, 1, 16) .. pack('>I8', unpack_('>I8', r, 17) - d * 1000) .. answer)
  end
end

local function queue(P)
  call('HINCRBY', P .. 'm', 'e', -d)
  local known = call('HGETALL', P .. 's')
  for i = 1, #known, 2 do
    local raw = known[i + 1]
    local published, born, at = unpack_('>I8I8I8', raw, 11)
    if at > 0 then at = at - d end
    call('HSET', P .. 's', known[i], sub(raw, 1, 10) .. pack('>I8I8I8', published - d, born - d, at) .. sub(raw, 35))
  end
  for _, set in ipairs({ 'd', 'l' }) do
    local members = call('ZRANGE', P .. set, 0, -1)
    call('DEL', P .. set)
    for _, member in ipairs(members) do
      call('ZADD', P .. set, 0, pack('>I8', unpack_('>I8', member) - d) .. sub(member, 9))
    end
  end
end

local function topic(P)
  for n = 0, call('HGET', P .. 'm', 'p') - 1 do
    local p = call('HGET', P .. 'm', 'p' .. n)
    if p then
      local last, born = unpack_('>I8I8', p, 33)
      call('HSET', P .. 'm', 'p' .. n, sub(p, 1, 32) .. pack('>I8I8', last - d, born - d))
      local entries = call('XRANGE', P .. 's' .. n, '-', '+')
      call('DEL', P .. 's' .. n)
      for _, e in ipairs(entries) do
        local head = e[2][2]
        call('XADD', P .. 's' .. n, e[1], 'h', pack('>I8', unpack_('>I8', head) - d) .. sub(head, 9), 'b', e[2][4])
      end
    end
  end
end

for _, member in ipairs(call('ZRANGE', '{p1}lines', 0, -1)) do
  local P = sub(member, 2)
  if call('EXISTS', P .. 'm') == 1 then
    local is_topic = sub(member, 1, 1) == 't'
    receipts(P, is_topic)
    if is_topic then topic(P) else queue(P) end
  end
end
return 1
`)
