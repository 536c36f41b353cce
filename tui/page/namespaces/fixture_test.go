package namespaces_test

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/prism-data-layer/prism/pkg/prism"
	"github.com/prism-data-layer/prism/tui"
	"github.com/prism-data-layer/prism/tui/component/rates"
	"github.com/prism-data-layer/prism/tui/page"
	"github.com/prism-data-layer/prism/tui/page/namespaces"
	"github.com/prism-data-layer/prism/tui/theme"
	"github.com/prism-data-layer/prism/tui/tuitest"
)

var _ = flag.Bool("update", false, "write the golden files anew")

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// A gateway is a source that a test changes.
type gateway struct {
	err   error
	many  int
	quiet bool
	shape func(*namespaces.List)
	one   func(*namespaces.One)

	looks int
	asked []int
	ran   [][]string
	stdin string
}

func (g *gateway) at() time.Time { return tuitest.Noon().Add(time.Duration(g.looks) * time.Second) }

func (g *gateway) counters() rates.Snapshot {
	n := int64(g.looks)
	if g.quiet {
		n = 1
	}
	c := rates.Counter{Calls: 250 * n, Errors: n / 4, Latency: rates.Histogram{BoundsUS: []int64{64, 256, 1024, 4096}, Counts: []int64{150 * n, 80 * n, 15 * n, 5 * n, 0}}}
	return rates.Snapshot{At: g.at(), Total: c, Of: map[string]rates.Counter{"orders": c}}
}

func (g *gateway) Namespaces(_ context.Context, most int) (*namespaces.List, error) {
	g.looks++
	g.asked = append(g.asked, most)
	if g.err != nil {
		return nil, g.err
	}
	l := &namespaces.List{Now: g.at(), Started: tuitest.Noon().Add(-time.Hour), Stats: g.counters(), Namespaces: []namespaces.Namespace{
		{Name: "orders", Model: "keyvalue", Backend: "local", State: "active", Known: true, Estimated: true, Keys: 1_204_331, Bytes: 3 << 30, Sessions: 2, Streams: 1, HasData: true},
		{Name: "mail", Model: "queue", Backend: "local", State: "degraded", Known: true, Keys: 77, Bytes: 4100},
		{Name: "sessions-of-the-shop-in-a-long-name", Model: "cache", Backend: "volatile", State: "provisioning"},
	}}
	if g.many > 0 {
		l.Namespaces = nil
		for i := range min(g.many, most) {
			l.Namespaces = append(l.Namespaces, namespaces.Namespace{Name: fmt.Sprintf("ns-%05d", i), Model: "keyvalue", Backend: "local", State: "active", Known: true, Keys: int64(i)})
		}
		l.More = int64(g.many - len(l.Namespaces))
	}
	if g.shape != nil {
		g.shape(l)
	}
	return l, nil
}

func (g *gateway) Namespace(_ context.Context, name string) (*namespaces.One, error) {
	g.looks++
	if g.err != nil {
		return nil, g.err
	}
	now := g.at()
	o := &namespaces.One{
		Now: now, Started: tuitest.Noon().Add(-time.Hour), Stats: g.counters(),
		Namespace: namespaces.Namespace{Name: name, Model: "keyvalue", Backend: "local", State: "active", Known: true, Keys: 1_204_331, Bytes: 3 << 30, Sessions: 2, Streams: 1, HasData: true},
		Driver:    "pebble", Durability: "fsynced before it is answered", Description: "The shop's orders", Declared: "prism.yaml:14", Revision: 3,
		Created: tuitest.Noon().Add(-50 * time.Hour), Updated: tuitest.Noon().Add(-3 * time.Minute), MaxTTL: 24 * time.Hour,
		Owners: []string{"team:shop"}, Grants: []namespaces.Grant{{Principal: "service:checkout", Permissions: "read, write"}},
		Limits: []namespaces.Limit{{Name: "requests a second", Of: 5000}, {Name: "message", Of: 1 << 20, Bytes: true}}, Receipts: 7, ReceiptsLimit: 1_000_000,
		Capabilities: []string{"keyvalue_basic", "keyvalue_scan", "keyvalue_ttl"},
		Sessions:     []namespaces.Session{{ID: "s-7f3a", Principal: "user:dev", Client: "shop 1.4", Status: "active", Active: now, Requests: 4200}},
		History: []namespaces.Event{
			{Time: now.Add(-3 * time.Minute), Kind: "updated", Actor: "user:ann", Detail: "limits", Revision: 3},
			{Time: now.Add(-50 * time.Hour), Kind: "created", Actor: "file", Revision: 1},
		},
		Failures: []namespaces.Failure{{Time: now.Add(-time.Minute), Method: "keyvalue.v1.KeyValueService/Get", Reason: "BACKEND_UNAVAILABLE", Took: 4210 * time.Microsecond, Trace: "4bf92f3577b34da6a3ce929d0e0e4736"}},
	}
	if g.one != nil {
		g.one(o)
	}
	return o, nil
}

func (g *gateway) Homes(_ context.Context, w namespaces.Wish) ([]namespaces.Backend, error) {
	return []namespaces.Backend{
		{Name: "volatile", Driver: "memory", Health: "healthy", Durability: "until it stops", Cannot: "no " + w.Model + "_basic"},
		{Name: "local", Driver: "pebble", Health: "healthy", Durability: "fsynced"},
		{Name: "spare", Driver: "memory", Health: "healthy", Durability: "until it stops", Fewer: []string{"keyvalue_ttl"}},
	}, g.err
}

func (g *gateway) Run(_ context.Context, args []string, in string, _ func(string)) (string, error) {
	g.ran, g.stdin = append(g.ran, args), in
	return "done\n", g.err
}

func factories(g *gateway) []page.Factory {
	return []page.Factory{namespaces.ListFactory(g), namespaces.OneFactory(g)}
}

func open(t testing.TB, g *gateway, view string, w, h int) *tuitest.Screen {
	t.Helper()
	return tuitest.Open(t, tui.Options{Pages: factories(g), View: view, Mode: theme.Mono}, w, h)
}

func dead() error {
	return prism.New(prism.ReasonUnavailable, "cannot reach the gateway at 127.0.0.1:8981 (context dev)").WithCause(errors.New("connection refused"))
}

func forbidden() error {
	return prism.New(prism.ReasonPermissionDenied, "permission denied: the call needs admin:read")
}
