package timeseries

import (
	"context"
	"sync"
	"time"

	"github.com/prism-data-layer/prism/pkg/driver"
	"github.com/prism-data-layer/prism/pkg/prism"
)

// A keeper puts a namespace's retention in force, in the background, until the
// store has taken it.
type keeper struct {
	mu      sync.Mutex
	want    *retention // nil: in force
	working bool
	stopped bool
}

type retention struct {
	store driver.TimeSeriesRetention
	ns    prism.Namespace
	age   time.Duration
}

// Retain sees to it that events are kept so long; what was asked for before is
// forgotten. A store without the capability keeps all.
func (in *Intake) Retain(set driver.Set, ns prism.Namespace, age time.Duration) {
	if set.TimeSeriesRetention == nil {
		return
	}
	k := &in.retain
	k.mu.Lock()
	defer k.mu.Unlock()
	k.want = &retention{set.TimeSeriesRetention, ns, age}
	if !k.working && !k.stopped {
		k.working = true
		go in.keep()
	}
}

// keep tries until what is wanted is in force, or nothing more is tried.
func (in *Intake) keep() {
	k := &in.retain
	for backoff := firstBackoff; ; backoff = min(2*backoff, lastBackoff) {
		k.mu.Lock()
		w := k.want
		if w == nil || k.stopped {
			k.working = false
			k.mu.Unlock()
			return
		}
		in.held.Add(1) // no drop meanwhile
		k.mu.Unlock()
		ctx, cancel := context.WithTimeout(in.ctx, Patience)
		err := w.store.RetainEvents(ctx, w.ns, w.age)
		cancel()
		in.held.Add(-1)
		if err != nil {
			in.sleep(backoff)
			continue
		}
		k.mu.Lock()
		if k.want == w {
			k.want = nil
		}
		k.mu.Unlock()
	}
}

// stop says that nothing more is tried.
func (k *keeper) stop() {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.stopped = true
}
