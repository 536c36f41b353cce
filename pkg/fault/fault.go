// Package fault does harm to one backend on purpose, for a while: calls take
// longer, or fail. It stands between the backend's store and its guard, so that
// breaker, deadlines and figures see what they would see of an ill store.
package fault

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"fmt"
	mathrand "math/rand/v2"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prism-data-layer/prism/pkg/clock"
	"github.com/prism-data-layer/prism/pkg/driver"
	"github.com/prism-data-layer/prism/pkg/driver/around"
	"github.com/prism-data-layer/prism/pkg/prism"
)

// Bounds of what one backend has to bear.
const (
	MaxTime    = time.Hour
	MaxLatency = time.Minute
	maxFaults  = 16
)

// The calls that a fault can meet.
const (
	Reads  = "read"
	Writes = "write"
	All    = "all"
)

// Reasons are those that calls can be made to fail with.
func Reasons() []prism.Reason {
	return []prism.Reason{prism.ReasonBackendUnavailable, prism.ReasonDeadlineExceeded, prism.ReasonOverloaded, prism.ReasonDiskFull, prism.ReasonInternal}
}

// A Spec is what a fault does.
type Spec struct {
	Calls   string // empty: All
	Latency time.Duration
	Jitter  time.Duration // up to so much more or less
	Errors  float64       // the share of calls that fail
	Reason  prism.Reason  // empty: BACKEND_UNAVAILABLE
	For     time.Duration
	Actor   string
}

// check fills what was left out, and refuses what makes no sense.
func (s *Spec) check() error {
	e := prism.New(prism.ReasonInvalidArgument, "the fault makes no sense")
	if s.Calls == "" {
		s.Calls = All
	}
	if s.Reason == "" {
		s.Reason = prism.ReasonBackendUnavailable
	}
	for _, x := range []struct {
		bad         bool
		field, text string
	}{
		{s.Calls != Reads && s.Calls != Writes && s.Calls != All, "calls", "must be read, write or all"},
		{s.Latency < 0 || s.Latency > MaxLatency, "latency_us", "must be 0 to 60,000,000: a minute"},
		{s.Jitter < 0 || s.Jitter > s.Latency, "jitter_us", "must be 0 to latency_us"},
		{!(s.Errors >= 0 && s.Errors <= 1), "error_share", "must be 0 to 1"},
		{s.Latency == 0 && s.Errors == 0, "latency_us", "must be set, or error_share: a fault does something"},
		{!slices.Contains(Reasons(), s.Reason), "reason", "must be one of " + words()},
		{s.For <= 0 || s.For > MaxTime, "duration_ms", "must be 1 to 3,600,000: an hour"},
	} {
		if x.bad {
			e.WithField(x.field, x.text)
		}
	}
	if len(e.Fields) == 0 {
		return nil
	}
	e.Message = e.Fields[0].Field + " " + e.Fields[0].Message
	return e
}

func words() string {
	var list []string
	for _, r := range Reasons() {
		list = append(list, string(r))
	}
	return strings.Join(list, ", ")
}

// A Fault is one that acts, or has acted.
type Fault struct {
	ID      string
	Backend string
	Spec
	StartedAt time.Time
	EndsAt    time.Time
	Slowed    int64 // calls
	Failed    int64
}

// String is what it does, for people.
func (f Fault) String() string {
	var parts []string
	if f.Latency > 0 {
		text := f.Latency.String() + " slower"
		if f.Jitter > 0 {
			text = fmt.Sprintf("%s ± %s slower", f.Latency, f.Jitter)
		}
		parts = append(parts, text)
	}
	if f.Errors > 0 {
		parts = append(parts, fmt.Sprintf("%g%% fail with %s", f.Errors*100, string(f.Reason)))
	}
	return fmt.Sprintf("fault %s: calls (%s) %s, until %s", f.ID, f.Calls, strings.Join(parts, ", "), f.EndsAt.UTC().Format(time.TimeOnly+"Z"))
}

type fault struct {
	Fault
	slowed, failed atomic.Int64
}

func (f *fault) read() Fault {
	x := f.Fault
	x.Slowed, x.Failed = f.slowed.Load(), f.failed.Load()
	return x
}

func (f *fault) meets(mutates bool) bool { return f.Calls == All || (f.Calls == Writes) == mutates }

func (f *fault) delay() time.Duration {
	if f.Jitter == 0 {
		return f.Latency
	}
	return f.Latency - f.Jitter + time.Duration(mathrand.Int64N(int64(2*f.Jitter)+1))
}

// An Injector holds the faults of one backend. Without any it costs a look at a
// pointer.
type Injector struct {
	backend string
	clock   clock.Clock
	ended   func(Fault) // is told of each that is over

	active atomic.Pointer[[]*fault] // nil: none
	mu     sync.Mutex               // held to change them
}

// New returns an injector without faults. ended is told of a fault when it is
// over; not at once, but by the next call or probe.
func New(backend string, c clock.Clock, ended func(Fault)) *Injector {
	return &Injector{backend: backend, clock: c, ended: ended}
}

// Add puts a fault on the backend; a dry one is only checked.
func (i *Injector) Add(s Spec, dry bool) (Fault, error) {
	if err := s.check(); err != nil {
		return Fault{}, err
	}
	i.mu.Lock()
	defer i.mu.Unlock()
	list := i.list()
	if len(list) >= maxFaults {
		return Fault{}, prism.New(prism.ReasonFailedPrecond, "backend %q has %d faults already, as many as it may", i.backend, maxFaults).WithBackend(i.backend)
	}
	now := i.clock.Now()
	f := &fault{Fault: Fault{Backend: i.backend, Spec: s, StartedAt: now, EndsAt: now.Add(s.For)}}
	if dry {
		return f.Fault, nil
	}
	var id [4]byte
	rand.Read(id[:]) //nolint:errcheck // crypto/rand does not fail
	f.ID = "f-" + hex.EncodeToString(id[:])
	i.store(append(slices.Clip(list), f))
	return f.Fault, nil
}

// Remove ends a fault before its time; false if it does not act.
func (i *Injector) Remove(id string) (Fault, bool) {
	i.prune()
	i.mu.Lock()
	defer i.mu.Unlock()
	list := i.list()
	at := slices.IndexFunc(list, func(f *fault) bool { return f.ID == id })
	if at < 0 {
		return Fault{}, false
	}
	gone := list[at]
	i.store(slices.Delete(slices.Clone(list), at, at+1))
	return gone.read(), true
}

// Faults lists those that act, the oldest first.
func (i *Injector) Faults() (list []Fault) {
	i.prune()
	for _, f := range i.list() {
		list = append(list, f.read())
	}
	return list
}

func (i *Injector) list() []*fault {
	if p := i.active.Load(); p != nil {
		return *p
	}
	return nil
}

func (i *Injector) store(list []*fault) {
	if len(list) == 0 {
		i.active.Store(nil)
		return
	}
	i.active.Store(&list)
}

// prune takes out what is over.
func (i *Injector) prune() {
	now := i.clock.Now()
	over := func(f *fault) bool { return !now.Before(f.EndsAt) }
	if !slices.ContainsFunc(i.list(), over) {
		return
	}
	i.mu.Lock()
	var left, gone []*fault
	for _, f := range i.list() {
		if over(f) {
			gone = append(gone, f)
		} else {
			left = append(left, f)
		}
	}
	i.store(left)
	i.mu.Unlock()
	for _, f := range gone {
		i.ended(f.read())
	}
}

// Wrap puts the injector around the backend's store.
func (i *Injector) Wrap(s driver.Set) driver.Set {
	s = around.Wrap(s, hook{i})
	s.Store = probed{s.Store, i}
	return s
}

type hook struct{ *Injector }

func (h hook) Begin(ctx context.Context, c around.Call) (context.Context, struct{}, error) {
	if h.active.Load() == nil {
		return ctx, struct{}{}, nil
	}
	return ctx, struct{}{}, h.meet(ctx, c.Mutates)
}

func (hook) End(struct{}, error) {}

// meet does to a call what the faults say. The store is not asked by one that
// fails: it has changed nothing.
func (i *Injector) meet(ctx context.Context, mutates bool) error {
	i.prune()
	var wait time.Duration
	var fails *fault
	for _, f := range i.list() {
		if !f.meets(mutates) {
			continue
		}
		if d := f.delay(); d > 0 {
			f.slowed.Add(1)
			wait += d
		}
		if fails == nil && f.Errors > 0 && mathrand.Float64() < f.Errors {
			fails = f
		}
	}
	if wait > 0 {
		t := i.clock.NewTimer(wait)
		defer t.Stop()
		select {
		case <-t.C:
		case <-ctx.Done():
			return prism.From(ctx.Err())
		}
	}
	if fails == nil {
		return nil
	}
	fails.failed.Add(1)
	return prism.New(fails.Reason, "backend %q was made to fail on purpose, by fault %s", i.backend, fails.ID).
		WithBackend(i.backend).WithMeta("fault", fails.ID)
}

// probed is a store whose probes meet the faults too, as reads do, and whose
// health tells of them.
type probed struct {
	driver.Store
	injector *Injector
}

func (p probed) Health(ctx context.Context) driver.Health {
	i := p.injector
	if i.active.Load() == nil {
		return p.Store.Health(ctx)
	}
	err := i.meet(ctx, false)
	var notes []string
	for _, f := range i.Faults() {
		notes = append(notes, f.String())
	}
	h := driver.Health{State: driver.Unhealthy}
	switch {
	case err == nil:
		if h = p.Store.Health(ctx); h.State == driver.Healthy && len(notes) > 0 {
			h.State = driver.Degraded
		}
	case len(notes) == 0: // it has ended meanwhile
		h.Message = prism.From(err).Message
	}
	if h.Message != "" {
		notes = append([]string{h.Message}, notes...)
	}
	h.Message = strings.Join(notes, "; ")
	return h
}
