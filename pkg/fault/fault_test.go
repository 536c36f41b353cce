package fault_test

import (
	"context"
	"errors"
	"math"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prism-data-layer/prism/pkg/clock"
	"github.com/prism-data-layer/prism/pkg/driver"
	"github.com/prism-data-layer/prism/pkg/fault"
	"github.com/prism-data-layer/prism/pkg/prism"
)

// A store answers and counts.
type store struct {
	driver.Store
	driver.KeyValue
	reads, writes atomic.Int64
}

func (s *store) Health(context.Context) driver.Health { return driver.Health{State: driver.Healthy} }

func (s *store) Get(context.Context, prism.Key) (driver.Entry, bool, error) {
	s.reads.Add(1)
	return driver.Entry{}, true, nil
}

func (s *store) Set(context.Context, prism.Key, []byte, driver.SetOptions, driver.Receipt) (driver.Result, error) {
	s.writes.Add(1)
	return driver.Result{}, nil
}

// rig is a store with an injector around it, and the faults that have ended.
type rig struct {
	*fault.Injector
	*store
	set   driver.Set
	clock *clock.Fake

	mu    sync.Mutex
	ended []fault.Fault
}

func newRig() *rig {
	r := &rig{store: &store{}, clock: clock.NewFake(time.Unix(1000, 0))}
	r.Injector = fault.New("redis", r.clock, func(f fault.Fault) {
		r.mu.Lock()
		defer r.mu.Unlock()
		r.ended = append(r.ended, f)
	})
	r.set = r.Injector.Wrap(driver.Set{Store: r.store, KeyValue: r.store})
	return r
}

func (r *rig) get(ctx context.Context) error {
	_, _, err := r.set.KeyValue.Get(ctx, prism.Key{})
	return err
}

func (r *rig) put(ctx context.Context) error {
	_, err := r.set.KeyValue.Set(ctx, prism.Key{}, nil, driver.SetOptions{}, driver.Receipt{})
	return err
}

func (r *rig) add(t *testing.T, s fault.Spec) fault.Fault {
	t.Helper()
	f, err := r.Add(s, false)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func TestAFaultFailsWhatItMeetsAndEnds(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		calls      string
		get, put   bool // fails
		wantReason prism.Reason
	}{
		{"", true, true, prism.ReasonBackendUnavailable},
		{fault.Reads, true, false, prism.ReasonDiskFull},
		{fault.Writes, false, true, prism.ReasonInternal},
	} {
		r := newRig()
		reason := c.wantReason
		if c.calls == "" {
			reason = ""
		}
		f := r.add(t, fault.Spec{Calls: c.calls, Errors: 1, Reason: reason, For: time.Minute, Actor: "ann"})
		for _, x := range []struct {
			fails bool
			err   error
		}{{c.get, r.get(t.Context())}, {c.put, r.put(t.Context())}} {
			if x.fails != errors.Is(x.err, c.wantReason) || !x.fails && x.err != nil {
				t.Errorf("%q: %v, fails %v", c.calls, x.err, x.fails)
			}
			if e := prism.From(x.err); x.fails && (e.Backend != "redis" || e.Meta["fault"] != f.ID || !strings.Contains(e.Message, "on purpose")) {
				t.Errorf("%q: the error does not say whose it is: %+v", c.calls, e)
			}
		}
		if r.reads.Load() == 1 == c.get || r.writes.Load() == 1 == c.put {
			t.Errorf("%q: the store was asked %d and %d times", c.calls, r.reads.Load(), r.writes.Load())
		}
		r.clock.Advance(time.Minute)
		if err := errors.Join(r.get(t.Context()), r.put(t.Context())); err != nil {
			t.Errorf("%q: after its time: %v", c.calls, err)
		}
		if len(r.ended) != 1 || r.ended[0].ID != f.ID || r.ended[0].Failed == 0 || len(r.Faults()) != 0 {
			t.Errorf("%q: it ended as %+v, and %v are left", c.calls, r.ended, r.Faults())
		}
	}
}

func TestAShareOfCallsFails(t *testing.T) {
	t.Parallel()
	r := newRig()
	r.add(t, fault.Spec{Errors: 0.25, For: time.Minute})
	failed := 0
	const n = 4000
	for range n {
		if r.get(t.Context()) != nil {
			failed++
		}
	}
	if share := float64(failed) / n; math.Abs(share-0.25) > 0.05 {
		t.Errorf("%g of the calls failed", share)
	}
	if f := r.Faults()[0]; f.Failed != int64(failed) || f.Slowed != 0 {
		t.Errorf("counted %+v, %d failed", f, failed)
	}
}

func TestAFaultMakesCallsWait(t *testing.T) {
	t.Parallel()
	r := newRig()
	r.add(t, fault.Spec{Calls: fault.Writes, Latency: 200 * time.Millisecond, For: time.Minute})
	if err := r.get(t.Context()); err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- r.put(t.Context()) }()
	for r.Faults()[0].Slowed == 0 {
		select {
		case err := <-done:
			t.Fatalf("it did not wait: %v", err)
		default:
		}
	}
	for ended := false; !ended; { // its timer may not have been made yet
		select {
		case err := <-done:
			if ended = true; err != nil {
				t.Error(err)
			}
		default:
			r.clock.Advance(200 * time.Millisecond)
		}
	}
	r.add(t, fault.Spec{Calls: fault.Writes, Latency: time.Minute, For: time.Hour})
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := r.put(ctx); !errors.Is(err, prism.ReasonCancelled) || r.writes.Load() != 1 {
		t.Errorf("a caller that has left: %v, %d writes", err, r.writes.Load())
	}
}

func TestAFaultIsSeenInHealth(t *testing.T) {
	t.Parallel()
	r := newRig()
	if h := r.set.Store.Health(t.Context()); h.State != driver.Healthy || h.Message != "" {
		t.Errorf("without a fault: %+v", h)
	}
	writes := r.add(t, fault.Spec{Calls: fault.Writes, Errors: 0.05, For: time.Minute})
	if h := r.set.Store.Health(t.Context()); h.State != driver.Degraded || !strings.Contains(h.Message, "5% fail with BACKEND_UNAVAILABLE") || !strings.Contains(h.Message, writes.ID) {
		t.Errorf("writes fail: %+v", h)
	}
	reads := r.add(t, fault.Spec{Calls: fault.Reads, Errors: 1, For: time.Minute})
	if h := r.set.Store.Health(t.Context()); h.State != driver.Unhealthy || !strings.Contains(h.Message, reads.ID) {
		t.Errorf("reads fail: %+v", h)
	}
	if got, found := r.Remove(reads.ID); !found || got.Failed != 1 {
		t.Errorf("removed %+v, %v", got, found)
	}
	if _, found := r.Remove(reads.ID); found {
		t.Error("it is removed twice")
	}
	r.clock.Advance(time.Minute)
	if h := r.set.Store.Health(t.Context()); h.State != driver.Healthy {
		t.Errorf("after all: %+v", h)
	}
}

func TestFaultsThatMakeNoSenseAreRefused(t *testing.T) {
	t.Parallel()
	good := fault.Spec{Latency: time.Second, Errors: 0.5, For: time.Minute}
	for field, change := range map[string]func(*fault.Spec){
		"calls":       func(s *fault.Spec) { s.Calls = "some" },
		"latency_us":  func(s *fault.Spec) { s.Latency = time.Hour },
		"jitter_us":   func(s *fault.Spec) { s.Jitter = 2 * time.Second },
		"error_share": func(s *fault.Spec) { s.Errors = math.NaN() },
		"reason":      func(s *fault.Spec) { s.Reason = prism.ReasonNotFound },
		"duration_ms": func(s *fault.Spec) { s.For = time.Hour + 1 },
	} {
		s := good
		change(&s)
		_, err := newRig().Add(s, false)
		if e := prism.From(err); err == nil || e.Reason != prism.ReasonInvalidArgument || len(e.Fields) != 1 || e.Fields[0].Field != field {
			t.Errorf("%s: %v", field, err)
		}
	}
	for _, s := range []fault.Spec{{For: time.Minute}, {Latency: time.Second}, {Latency: -1, For: time.Minute}, {Errors: 1.1, For: time.Minute}} {
		if _, err := newRig().Add(s, false); !errors.Is(err, prism.ReasonInvalidArgument) {
			t.Errorf("%+v: %v", s, err)
		}
	}
	r := newRig()
	if f, err := r.Add(good, true); err != nil || f.EndsAt != r.clock.Now().Add(time.Minute) || len(r.Faults()) != 0 {
		t.Errorf("dry: %+v, %v", f, err)
	}
	for range 16 {
		r.add(t, good)
	}
	if _, err := r.Add(good, false); !errors.Is(err, prism.ReasonFailedPrecond) {
		t.Errorf("too many: %v", err)
	}
}

func TestJitterStaysInItsBounds(t *testing.T) {
	t.Parallel()
	r := &rig{store: &store{}}
	r.Injector = fault.New("redis", clock.Real(), func(fault.Fault) {})
	r.set = r.Injector.Wrap(driver.Set{Store: r.store, KeyValue: r.store})
	r.add(t, fault.Spec{Latency: 3 * time.Millisecond, Jitter: 2 * time.Millisecond, For: time.Minute})
	var took []time.Duration
	for range 50 {
		start := time.Now()
		if err := r.get(t.Context()); err != nil {
			t.Fatal(err)
		}
		took = append(took, time.Since(start))
	}
	if least := slices.Min(took); least < time.Millisecond {
		t.Errorf("the quickest call took %s", least)
	}
}

func TestWithoutAFaultNothingIsAllocated(t *testing.T) {
	r := newRig()
	ctx := context.Background()
	if n := testing.AllocsPerRun(100, func() { _ = r.get(ctx) }); n != 0 {
		t.Errorf("%g allocations", n)
	}
}

func BenchmarkGet(b *testing.B) {
	r := newRig()
	ctx := context.Background()
	for b.Loop() {
		_ = r.get(ctx)
	}
}
