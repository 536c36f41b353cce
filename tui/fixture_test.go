package tui_test

import (
	"context"
	"errors"
	"flag"
	"sync"
	"testing"
	"time"

	"github.com/prism-data-layer/prism/pkg/prism"
	"github.com/prism-data-layer/prism/tui"
	"github.com/prism-data-layer/prism/tui/component/rates"
	"github.com/prism-data-layer/prism/tui/page"
	"github.com/prism-data-layer/prism/tui/page/overview"
	"github.com/prism-data-layer/prism/tui/theme"
	"github.com/prism-data-layer/prism/tui/tuitest"
)

var _ = flag.Bool("update", false, "write the golden files anew")

// A gateway is a source that a test turns on and off.
type gateway struct {
	mu    sync.Mutex
	now   time.Time
	calls int
	err   error
	shape func(*overview.Snapshot)
	quiet bool
	count rates.Counter
}

func (g *gateway) Overview(ctx context.Context) (*overview.Snapshot, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.err != nil {
		return nil, g.err
	}
	if !g.quiet || g.calls == 0 {
		n := int64(100 + 40*(g.calls%7) + 11*(g.calls%13))
		add := rates.Histogram{BoundsUS: []int64{64, 128, 256, 512, 1024, 4096}, Counts: []int64{n / 2, n / 4, n / 8, n / 16, n / 20, n / 50, n / 200}}
		g.count = g.count.Plus(rates.Counter{Calls: n, Errors: int64(g.calls % 5 / 4 * 3), Latency: add})
	}
	g.calls++
	g.now = g.now.Add(time.Second)
	s := snapshot(g.now, g.count)
	if g.shape != nil {
		g.shape(s)
	}
	return s, nil
}

func (g *gateway) set(f func(*gateway)) {
	g.mu.Lock()
	defer g.mu.Unlock()
	f(g)
}

func snapshot(now time.Time, c rates.Counter) *overview.Snapshot {
	start := noon().Add(-26 * time.Hour)
	return &overview.Snapshot{
		Now: now, Started: start, Version: "0.1.0", State: "Running",
		Namespaces: []overview.Namespace{
			{Name: "kv", Model: "keyvalue", Backend: "local", State: "active", Keys: 1_204_331, KeysKnown: true, Estimated: true},
			{Name: "orders", Model: "keyvalue", Backend: "local", State: "degraded", Keys: 77, KeysKnown: true},
			{Name: "sessions-of-the-shop-in-a-long-name", Model: "keyvalue", Backend: "volatile", State: "provisioning"},
		},
		Backends: []overview.Backend{
			{Name: "local", Driver: "pebble", Health: "healthy", Latency: 85 * time.Microsecond, Durability: "fsynced"},
			{Name: "volatile", Driver: "memory", Health: "unhealthy", Latency: 12 * time.Millisecond, Durability: "until it stops", Error: "disk quota exceeded on /data: 0 bytes left"},
		},
		Sessions: []overview.Session{
			{ID: "ses_01JZX4T8QK", Principal: "service:checkout", Client: "go 0.1.0", Status: "active", Created: start, Active: now, Requests: 12_345},
			{ID: "ses_01JZX4T8QL", Principal: "user:ann", Status: "expiring", Created: now.Add(-40 * time.Minute), Active: now.Add(-5 * time.Minute), Requests: 3},
		},
		More:  map[overview.Part]int64{overview.PartSessions: 338},
		Stats: rates.Snapshot{At: now, Total: c, Of: map[string]rates.Counter{"kv": c}},
	}
}

func dead() error {
	return prism.New(prism.ReasonUnavailable, "cannot reach the gateway at 127.0.0.1:8981 (context dev)").WithCause(errors.New("connection refused"))
}

func open(t testing.TB, g *gateway, w, h int, shape func(*tui.Options)) *screen {
	t.Helper()
	if g.now.IsZero() {
		g.now = noon()
	}
	o := tui.Options{Pages: []page.Factory{overview.Factory(g)}, Mode: theme.Mono}
	if shape != nil {
		shape(&o)
	}
	return tuitest.Open(t, o, w, h)
}

type screen = tuitest.Screen

func noon() time.Time { return tuitest.Noon() }
