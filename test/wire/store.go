package wire

import (
	"context"
	"fmt"
	"strings"
	"sync/atomic"
	"time"

	"github.com/prism-data-layer/prism/pkg/clock"
	"github.com/prism-data-layer/prism/pkg/driver"
	"github.com/prism-data-layer/prism/pkg/driver/drivertest"
	"github.com/prism-data-layer/prism/pkg/prism"
	adminv1 "github.com/prism-data-layer/prism/proto/prism/admin/v1"
	"github.com/prism-data-layer/prism/test/harness"
)

// A store is a gateway as a driver.Store: what a driver does for a namespace
// beside its model is the operator's API here.
type store struct {
	g      *harness.Gateway
	admin  adminv1.AdminServiceClient
	now    *clock.Fake
	closed atomic.Bool
	calls  Calls
}

func (s *store) Health(ctx context.Context) driver.Health {
	if s.closed.Load() {
		return driver.Health{State: driver.Unhealthy, Message: "the gateway has stopped"}
	}
	r, err := s.admin.CheckBackendHealth(ctx, &adminv1.CheckBackendHealthRequest{Name: "main"})
	if err != nil || len(r.Backends) != 1 {
		return driver.Health{State: driver.Unhealthy, Message: fmt.Sprint(err)}
	}
	return driver.Health{State: driver.HealthState(r.Backends[0].Health), Message: r.Backends[0].Message}
}

func (s *store) Usage(ctx context.Context, ns prism.Namespace) (driver.Usage, error) {
	r, err := s.admin.GetNamespace(ctx, &adminv1.GetNamespaceRequest{Name: string(ns)})
	if err != nil {
		return driver.Usage{}, failed(err)
	}
	u := r.Namespace.Usage
	return driver.Usage{Keys: u.GetKeys(), Bytes: u.GetSizeBytes(), Receipts: u.GetReceipts(), Estimated: u.GetEstimated() || s.calls.OwnReceipts}, nil
}

// Drop deletes the namespace and makes it again.
func (s *store) Drop(ctx context.Context, ns prism.Namespace) error {
	r, err := s.admin.DeleteNamespace(ctx, &adminv1.DeleteNamespaceRequest{Name: string(ns)})
	if err != nil {
		return failed(err)
	}
	for {
		o, err := s.admin.GetOperation(ctx, &adminv1.GetOperationRequest{OperationId: r.Operation.OperationId})
		switch {
		case err != nil:
			return failed(err)
		case o.Operation.State == adminv1.OperationState_OPERATION_STATE_DONE:
			if s.calls.Dropped != nil {
				s.calls.Dropped(ns)
			}
			return s.create(ctx, string(ns))
		case o.Operation.State != adminv1.OperationState_OPERATION_STATE_RUNNING:
			return prism.New(prism.ReasonInternal, "the deletion ended as %s: %s", o.Operation.State, o.Operation.Message)
		}
		time.Sleep(time.Millisecond)
		s.now.Advance(10 * time.Millisecond) // a deletion that waits for calls sleeps by the gateway's clock
	}
}

func (s *store) create(ctx context.Context, name string) error {
	_, err := s.admin.CreateNamespace(ctx, &adminv1.CreateNamespaceRequest{Spec: &adminv1.NamespaceSpec{
		Name: name, Model: s.calls.Model, Backend: "main", DefaultTtlMs: s.calls.DefaultTTL.Milliseconds(),
	}})
	return failed(err)
}

func (s *store) Close() error {
	s.closed.Store(true)
	err := s.g.Stop()
	s.g.Hang()
	return err
}

// Harness runs promises against a gateway whose backend has that driver, over
// what over makes of it.
func Harness(name, driverName string, durable bool, over func(t drivertest.TB, g *harness.Gateway, now *clock.Fake) Calls) drivertest.Harness {
	return drivertest.Harness{Name: name, Bounds: true, Wire: true, Async: true, Open: func(t drivertest.TB, o drivertest.Options) drivertest.Opened {
		t.Helper()
		now := clock.NewFake(time.Now().Truncate(time.Second))
		g := harness.Start(t, harness.Options{File: fileOf(driverName, o), Clock: now})
		s := &store{g: g, admin: g.Admin(t), now: now}
		c := over(t, g, now)
		s.calls = c
		opened := drivertest.Opened{Set: c.set(s, driver.Info{Driver: driverName, Durability: "as the backend's", Durable: durable}), Clock: now}
		var made atomic.Int64
		opened.Namespace = func() prism.Namespace {
			ns := fmt.Sprintf("t%d", made.Add(1))
			if err := s.create(context.Background(), ns); err != nil {
				t.Fatalf("make namespace %s: %v", ns, err)
			}
			return prism.Namespace(ns)
		}
		if durable {
			opened.Reopen = func() driver.Set {
				g.Restart(t)
				return c.set(s, opened.Set.Info)
			}
		}
		return opened
	}}
}

// Calls are what an adapter can do.
type Calls struct {
	driver.Set
	// Model is the model of the namespaces; empty: key-value. DefaultTTL is what
	// they give an entry that asks for none.
	Model      string
	DefaultTTL time.Duration
	// OwnReceipts is true if mutations leave receipts that nobody asked for.
	OwnReceipts bool
	// Dropped, if set, is told of each namespace that is dropped.
	Dropped func(ns prism.Namespace)
}

func (c Calls) set(s *store, info driver.Info) driver.Set {
	set := c.Set
	set.Info, set.Store = info, s
	return set
}

func fileOf(driverName string, o drivertest.Options) string {
	var options []string
	if driverName == "pebble" {
		options = append(options, "memtable: 1MiB", "cache: 1MiB")
	}
	if o.Receipts > 0 {
		options = append(options, fmt.Sprintf("receipts: %d", o.Receipts))
	}
	if o.History > 0 {
		options = append(options, fmt.Sprintf("history: %d", o.History))
	}
	if o.CacheBytes > 0 {
		options = append(options, fmt.Sprintf("cache_bytes: %d", o.CacheBytes))
	}
	if o.Events > 0 {
		options = append(options, fmt.Sprintf("pubsub_events: %d", o.Events))
	}
	return fmt.Sprintf("apiVersion: prism/v1\nauth: {mode: off}\nbackends:\n  - {name: main, driver: %s, options: {%s}}\n", driverName, strings.Join(options, ", "))
}

// A Bound sets how many receipts a namespace keeps.
type Bound func(ctx context.Context, ns string, max int64) error

// Bounds sets how many receipts a namespace of g keeps.
func Bounds(t drivertest.TB, g *harness.Gateway) Bound {
	admin := g.Admin(t)
	return func(ctx context.Context, ns string, max int64) error {
		_, err := admin.UpdateNamespace(ctx, &adminv1.UpdateNamespaceRequest{
			Spec: &adminv1.NamespaceSpec{Name: ns, Limits: &adminv1.NamespaceLimits{Receipts: max}}, UpdateMask: []string{"limits"},
		})
		return failed(err)
	}
}
