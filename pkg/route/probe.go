package route

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/prism-data-layer/prism/pkg/driver"
	"github.com/prism-data-layer/prism/pkg/guard"
	"github.com/prism-data-layer/prism/pkg/prism"
)

// probeTime bounds a probe: a store that takes longer is not healthy.
const probeTime = 2 * time.Second

// A probe is a question to a store and, once done is closed, its answer.
type probe struct {
	done   chan struct{}
	health driver.Health
}

// ask asks the store how it does, unless it still owes an answer: one that is
// stuck is not asked again and again, each time at the price of a goroutine.
// The question does not end with the caller, for others may wait for it too.
func (be *backend) ask(ctx context.Context) *probe {
	be.mu.Lock()
	defer be.mu.Unlock()
	if be.probing != nil {
		return be.probing
	}
	p := &probe{done: make(chan struct{})}
	be.probing = p
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), probeTime)
	go func() {
		defer cancel()
		p.health = be.set.Store.Health(ctx)
		be.mu.Lock()
		be.probing = nil
		be.mu.Unlock()
		close(p.done)
	}()
	return p
}

// Probe asks a backend how it does, now. A caller who does not wait for the
// answer says nothing about the backend.
func (r *Router) Probe(ctx context.Context, name string) (BackendStatus, error) {
	be, err := r.find(name)
	if err != nil {
		return BackendStatus{}, err
	}
	start := time.Now()
	late := time.NewTimer(probeTime)
	defer late.Stop()
	p := be.ask(ctx)
	var h driver.Health
	select {
	case <-p.done:
		h = p.health
	case <-late.C:
		h = driver.Health{State: driver.Unhealthy, Message: fmt.Sprintf("no answer to the probe within %s", probeTime)}
	case <-ctx.Done():
		return BackendStatus{}, prism.From(ctx.Err())
	}
	be.mu.Lock()
	be.health, be.checked, be.latency, be.watched = h, r.clock.Now(), time.Since(start), false
	be.mu.Unlock()
	be.guard.Probed(h)
	return r.Status(name)
}

// eager is how many times as often a backend is asked while its breaker is not
// closed: its callers are waiting.
const eager = 4

// Watch probes every backend each so often, until ctx ends. One that is slow to
// answer holds up no other.
func (r *Router) Watch(ctx context.Context, every time.Duration) {
	var wg sync.WaitGroup
	defer wg.Wait()
	for {
		for _, be := range r.opened() {
			if be.due(r.clock.Now(), every) {
				wg.Go(func() { r.Probe(ctx, be.Name) }) //nolint:errcheck // the status keeps it
			}
		}
		t := r.clock.NewTimer(every / eager)
		select {
		case <-t.C:
		case <-ctx.Done():
			t.Stop()
			return
		}
	}
}

// due reports whether a backend is to be asked again; it is not, then, until it has
// answered.
func (be *backend) due(now time.Time, every time.Duration) bool {
	be.mu.Lock()
	defer be.mu.Unlock()
	if be.watched || now.Sub(be.checked) < every && be.guard.State() == guard.Closed {
		return false
	}
	be.watched = true
	return true
}
