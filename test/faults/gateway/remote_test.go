package faults_test

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"

	"github.com/prism-data-layer/prism/pkg/driver"
	"github.com/prism-data-layer/prism/pkg/driver/all"
	"github.com/prism-data-layer/prism/pkg/driver/around"
	"github.com/prism-data-layer/prism/pkg/prism"
	adminv1 "github.com/prism-data-layer/prism/proto/prism/admin/v1"
	"github.com/prism-data-layer/prism/test/harness"
)

// eachRemote runs a test on every kind of server.
func eachRemote(t *testing.T, f func(t *testing.T, r *distant)) {
	for _, row := range remoteRows() {
		t.Run(row.name, func(t *testing.T) {
			addr, s := row.start(t)
			f(t, newDistant(t, row, addr, s, ""))
		})
	}
}

// A distant is a gateway with one remote backend behind a proxy, and one store
// in memory beside it.
type distant struct {
	remote
	t        *testing.T
	server   breakable
	proxy    *proxy
	gateway  *harness.Gateway
	conn     *grpc.ClientConn
	admin    adminv1.AdminServiceClient
	attempts *atomic.Int64 // operations that the backend was asked for
}

// newDistant starts it; settings are of the backend's guard.
func newDistant(t *testing.T, row remote, addr string, s breakable, settings string) *distant {
	r := &distant{remote: row, t: t, server: s, proxy: startProxy(t, addr), attempts: new(atomic.Int64)}
	r.gateway = harness.Start(t, harness.Options{Drivers: counted(r.attempts), File: fmt.Sprintf(`apiVersion: prism/v1
auth: {mode: off}
backends:
  - {name: volatile, driver: memory}
  - {%s%s}
namespaces:
  - {name: mem, model: keyvalue, backend: volatile, access: {owners: ["user:dev"]}}
  - {name: far, model: %s, backend: remote, access: {owners: ["user:dev"]}}
drain: {timeout: 5s}
`, row.backend(r.proxy.addr()), settings, row.model)})
	r.conn, r.admin = r.gateway.Dial(t, "data"), r.gateway.Admin(t)
	harness.Eventually(t, time.Minute, "the backend answers", func() bool { return r.try(r.write, 0, 5*time.Second) == nil })
	return r
}

// counted are the drivers of this build, with a count of the operations that
// remote ones are asked for: what a backend sees of its guard.
func counted(n *atomic.Int64) driver.Registry {
	list := all.Drivers()
	for i, spec := range list {
		if spec.Name == "memory" {
			continue
		}
		open := spec.Open
		list[i].Open = func(ctx context.Context, c driver.Config) (driver.Set, error) {
			set, err := open(ctx, c)
			if err != nil {
				return set, err
			}
			return around.Wrap(set, tally{n}), nil
		}
	}
	return list
}

type tally struct{ n *atomic.Int64 }

func (t tally) Begin(ctx context.Context, c around.Call) (context.Context, struct{}, error) {
	t.n.Add(int64(c.Ops))
	return ctx, struct{}{}, nil
}

func (tally) End(struct{}, error) {}

// try makes a call with a deadline.
func (r *distant) try(call func(context.Context, *grpc.ClientConn, int) error, n int, deadline time.Duration) error {
	ctx, cancel := context.WithTimeout(context.Background(), deadline)
	defer cancel()
	return call(ctx, r.conn, n)
}

// status is what the gateway knows of the backend.
func (r *distant) status() *adminv1.Backend {
	r.t.Helper()
	got, err := r.admin.GetBackend(harness.Context(r.t), &adminv1.GetBackendRequest{Name: "remote"})
	if err != nil {
		r.t.Fatal(err)
	}
	return got.Backend
}

// until waits for a word of the gateway about the backend, and tells how long
// that took.
func (r *distant) until(what string, within time.Duration, is func(b *adminv1.Backend) bool) time.Duration {
	r.t.Helper()
	begin := time.Now()
	harness.Eventually(r.t, within, what, func() bool { return is(r.status()) })
	return time.Since(begin)
}

func red(b *adminv1.Backend) bool {
	return b.Health == adminv1.HealthState_HEALTH_STATE_UNHEALTHY && b.Breaker == "open"
}

func green(b *adminv1.Backend) bool {
	return b.Health == adminv1.HealthState_HEALTH_STATE_HEALTHY && b.Breaker == "closed"
}

// unavailable reports whether a call ended as calls on a backend that is away
// must.
func unavailable(err error) bool {
	o := harness.Read(err)
	return o.Code() == codes.Unavailable && o.Info.GetReason() == string(prism.ReasonBackendUnavailable) && o.Retry.GetRetryDelay().AsDuration() > 0
}

// atRate makes calls at a rate, whatever becomes of them, until ctx ends.
func atRate(ctx context.Context, every time.Duration, call func(n int)) {
	pace := time.NewTicker(every)
	defer pace.Stop()
	var wg sync.WaitGroup
	defer wg.Wait()
	for n := 0; ctx.Err() == nil; n++ {
		wg.Go(func() { call(n) })
		select {
		case <-pace.C:
		case <-ctx.Done():
		}
	}
}

// lasting waits until something has lasted for d.
func lasting(t *testing.T, d time.Duration) {
	t.Helper()
	begin := time.Now()
	harness.Eventually(t, d+time.Minute, "time passes", func() bool { return time.Since(begin) >= d })
}
