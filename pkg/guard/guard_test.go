package guard_test

import (
	"context"
	"errors"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prism-data-layer/prism/pkg/clock"
	"github.com/prism-data-layer/prism/pkg/driver"
	"github.com/prism-data-layer/prism/pkg/driver/drivertest"
	"github.com/prism-data-layer/prism/pkg/driver/memory"
	"github.com/prism-data-layer/prism/pkg/guard"
	"github.com/prism-data-layer/prism/pkg/prism"
)

var start = time.Date(2030, 1, 2, 3, 4, 5, 0, time.UTC)

// away is what a driver says of a store that does not answer.
func away() error { return prism.New(prism.ReasonBackendUnavailable, "no route to host") }

// moody is a store of one key-value whose answers are the test's.
type moody struct {
	driver.KeyValue
	get func(context.Context) error
}

func (m *moody) Get(ctx context.Context, key prism.Key) (driver.Entry, bool, error) {
	if err := m.get(ctx); err != nil {
		return driver.Entry{}, false, err
	}
	return driver.Entry{}, true, nil
}

// A rig is a guard around a moody store.
type rig struct {
	*guard.Guard
	t     *testing.T
	clock *clock.Fake
	store *moody
	set   driver.Set
	calls atomic.Int64 // that reached the store
	err   atomic.Value // of mood
}

// A mood is how the store answers.
type mood struct{ err error }

func newRig(t *testing.T, s guard.Settings) *rig {
	r := &rig{t: t, clock: clock.NewFake(start)}
	r.store = &moody{get: func(context.Context) error { r.calls.Add(1); return r.err.Load().(mood).err }}
	r.Guard = guard.New("b", s, r.clock)
	r.set = r.Wrap(driver.Set{Info: driver.Info{Driver: "moody"}, KeyValue: r.store})
	return r
}

// get makes a call with the store in some mood.
func (r *rig) get(err error) error {
	r.err.Store(mood{err})
	_, _, got := r.set.KeyValue.Get(r.t.Context(), prism.Key{Namespace: "n", Name: "k"})
	return got
}

// refused makes a call that must not reach the store.
func (r *rig) refused(what string) {
	r.t.Helper()
	before := r.calls.Load()
	e := prism.From(r.get(nil))
	if e == nil || e.Reason != prism.ReasonBackendUnavailable || strings.Contains(e.Message, "10.0.0.7") || e.Meta["breaker"] == "" || e.Backend != "b" || e.RetryAfter() <= 0 || r.calls.Load() != before {
		r.t.Errorf("%s: got %v, %d calls reached the store; want a refusal", what, e, r.calls.Load()-before)
	}
}

func (r *rig) state(what string, want guard.State) {
	r.t.Helper()
	if got := r.Figures().Breaker; got != want {
		r.t.Fatalf("%s: the breaker is %s, want %s", what, got, want)
	}
}

// probe tells the guard what a probe found.
func (r *rig) probe(s driver.HealthState) {
	r.Probed(driver.Health{State: s, Message: "dial 10.0.0.7: refused"})
}

// open makes the breaker open.
func (r *rig) open() {
	r.t.Helper()
	for range guard.DefaultFailures {
		if err := r.get(away()); !errors.Is(err, prism.ReasonBackendUnavailable) {
			r.t.Fatal(err)
		}
	}
	r.state("after failures in a row", guard.Open)
}

func TestAGuardedStoreKeepsEveryPromise(t *testing.T) {
	wrap := func(s driver.Set) driver.Set {
		s.Info.Instant = false // so that all of the guard is in the way
		return guard.New("memory", guard.Settings{}, clock.Real()).Wrap(s)
	}
	drivertest.Run(t, drivertest.Driver(memory.Spec()).Wrapped("memory, guarded", wrap))
}

func TestFailuresInARowOpenTheBreakerAndAnAnswerBreaksTheRow(t *testing.T) {
	t.Parallel()
	r := newRig(t, guard.Settings{})
	for range 3 {
		for range guard.DefaultFailures - 1 {
			_ = r.get(away())
		}
		if err := r.get(nil); err != nil {
			t.Fatal(err)
		}
	}
	r.state("rows that were broken", guard.Closed)
	r.open()
	r.refused("open")
	f := r.Figures()
	if f.Opened != 1 || f.Refused != 1 || f.Faults != 17 || f.LastError == "" || !f.LastErrorAt.Equal(start) || f.Errors[prism.ReasonBackendUnavailable] != 17 {
		t.Errorf("figures: %+v", f)
	}
}

func TestMostCallsOfAWindowFailingOpenTheBreaker(t *testing.T) {
	t.Parallel()
	r := newRig(t, guard.Settings{Failures: 1000})
	mix := func(rounds int) {
		for range rounds {
			for range 4 {
				_ = r.get(away())
			}
			_ = r.get(nil)
		}
	}
	mix(3)
	r.clock.Advance(11 * time.Second)
	mix(3)
	r.state("fifteen calls in each of two windows", guard.Closed)
	mix(1)
	_ = r.get(away())
	r.state("seventeen of twenty-one calls", guard.Open)
}

// What a store answers, however bad, is an answer; what ends by the caller's
// will says nothing.
func TestOnlyAStoreThatDoesNotAnswerOpensTheBreaker(t *testing.T) {
	t.Parallel()
	for _, reason := range []prism.Reason{
		prism.ReasonNotFound, prism.ReasonVersionMismatch, prism.ReasonDiskFull, prism.ReasonQuotaExceeded, prism.ReasonDataLoss,
		prism.ReasonCancelled, prism.ReasonDeadlineExceeded, prism.ReasonOverloaded, prism.ReasonInternal,
	} {
		r := newRig(t, guard.Settings{})
		for range 50 {
			_ = r.get(prism.New(reason, "no"))
		}
		r.state(string(reason), guard.Closed)
	}
}

func TestRecoveryNeedsNoVictim(t *testing.T) {
	t.Parallel()
	r := newRig(t, guard.Settings{})
	r.open()
	for range 3 {
		r.clock.Advance(time.Minute)
		r.probe(driver.Unhealthy)
		r.refused("open, and not well")
	}
	r.probe(driver.Healthy)
	r.state("well again", guard.HalfOpen)
	if err := r.get(nil); err != nil {
		t.Fatal(err)
	}
	r.state("a call was answered", guard.Closed)
	if f := r.Figures(); f.Opened != 1 || !f.Since.Equal(r.clock.Now()) {
		t.Errorf("figures: %+v", f)
	}

	r.open()
	r.probe(driver.Degraded)
	if err := r.get(away()); err == nil {
		t.Fatal("no error")
	}
	r.state("the one call failed", guard.Open)
	r.refused("open again")

	r.probe(driver.Healthy)
	r.probe(driver.Healthy)
	r.state("well twice, and nobody has called", guard.Closed)

	r.open()
	r.probe(driver.Healthy)
	r.probe(driver.Unhealthy)
	r.state("half open, and unwell", guard.Open)
}

func TestAHalfOpenBreakerLetsOneCallThroughAtATime(t *testing.T) {
	t.Parallel()
	r := newRig(t, guard.Settings{})
	r.open()
	r.probe(driver.Healthy)
	entered, leave := make(chan struct{}), make(chan error)
	r.store.get = func(context.Context) error { close(entered); return <-leave }
	var wg sync.WaitGroup
	wg.Go(func() { _ = r.get(nil) })
	<-entered
	r.refused("the place is taken")
	r.probe(driver.Healthy)
	r.state("the call is not over", guard.HalfOpen)
	leave <- prism.New(prism.ReasonCancelled, "the caller went away")
	wg.Wait()
	r.state("the call has proved nothing", guard.HalfOpen)
	r.store.get = func(context.Context) error { return nil }
	if err := r.get(nil); err != nil {
		t.Errorf("the place was not given back: %v", err)
	}
	r.state("proved", guard.Closed)
}

func TestProbesOpenTheBreakerOfAStoreThatIsIdle(t *testing.T) {
	t.Parallel()
	r := newRig(t, guard.Settings{})
	r.probe(driver.Unhealthy)
	r.state("one that may have come late", guard.Closed)
	r.probe(driver.Unhealthy)
	r.state("two in a row", guard.Open)
	r.refused("by its probes")

	r = newRig(t, guard.Settings{})
	_ = r.get(away())
	r.probe(driver.Unhealthy)
	r.state("one, and a call that failed", guard.Open)

	r = newRig(t, guard.Settings{})
	for range 10 {
		_ = r.get(nil)
		r.probe(driver.Unhealthy)
	}
	r.state("calls are answered meanwhile", guard.Closed)
}

func TestNoMoreCallsAreUnderWayThanMayBe(t *testing.T) {
	t.Parallel()
	r := newRig(t, guard.Settings{MaxInFlight: 3})
	leave := make(chan struct{})
	var entered sync.WaitGroup
	entered.Add(3)
	r.store.get = func(context.Context) error { entered.Done(); <-leave; return nil }
	var wg sync.WaitGroup
	for range 3 {
		wg.Go(func() { _ = r.get(nil) })
	}
	entered.Wait()
	if f := r.Figures(); f.InFlight != 3 {
		t.Errorf("%d calls under way, want 3", f.InFlight)
	}
	e := prism.From(r.get(nil))
	if e == nil || e.Reason != prism.ReasonOverloaded || e.RetryAfter() <= 0 || e.Quota == nil || e.Backend != "b" {
		t.Errorf("one too many: %v", e)
	}
	close(leave)
	wg.Wait()
	r.store.get = func(context.Context) error { return nil }
	if err := r.get(nil); err != nil {
		t.Errorf("there is room again: %v", err)
	}
	if f := r.Figures(); f.InFlight != 0 || f.Overloaded != 1 || f.Calls != 4 {
		t.Errorf("figures: %+v", f)
	}
}

func TestACallWithoutAnEndGetsOneAndItCountsAgainstTheStore(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, guard.Settings{CallTimeout: time.Second})
		r.store.get = func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() }
		call := func(deadline time.Duration) (took time.Duration) {
			ctx, cancel := context.WithCancel(context.Background())
			if deadline > 0 {
				ctx, cancel = context.WithTimeout(ctx, deadline)
			}
			defer cancel()
			began := time.Now()
			if _, _, err := r.set.KeyValue.Get(ctx, prism.Key{Namespace: "n", Name: "k"}); !errors.Is(err, context.DeadlineExceeded) {
				t.Error(err)
			}
			return time.Since(began)
		}
		for range 20 {
			if took := call(300 * time.Millisecond); took != 300*time.Millisecond {
				t.Errorf("the caller's deadline came after %s", took)
			}
		}
		r.state("callers that were in a hurry", guard.Closed)
		for _, deadline := range []time.Duration{0, time.Hour, 0, 0, 0} {
			if took := call(deadline); took != time.Second {
				t.Errorf("with a deadline of %s it took %s", deadline, took)
			}
		}
		r.state("calls that we had to end", guard.Open)
	})
}

func TestAGuardThatIsOffCountsAndHoldsNothingBack(t *testing.T) {
	t.Parallel()
	r := newRig(t, guard.Settings{Off: true, MaxInFlight: 1, CallTimeout: time.Nanosecond})
	for range 20 {
		_ = r.get(away())
	}
	for range 20 {
		r.probe(driver.Unhealthy)
	}
	var err error
	r.store.get = func(ctx context.Context) error {
		if _, bounded := ctx.Deadline(); bounded {
			t.Error("a deadline was given")
		}
		r.store.get = func(context.Context) error { return nil }
		_, _, err = r.set.KeyValue.Get(ctx, prism.Key{})
		return nil
	}
	if outer := r.get(nil); outer != nil || err != nil {
		t.Errorf("got %v and %v", outer, err)
	}
	if f := r.Figures(); f.Breaker != guard.Closed || f.Calls != 22 || f.Faults != 40 {
		t.Errorf("figures: %+v", f)
	}
}

func TestQuantilesAreOfTheLastMinute(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, guard.Settings{})
		took := time.Second
		r.store.get = func(context.Context) error { time.Sleep(took); return nil }
		calls := func() {
			for range 100 {
				_ = r.get(nil)
			}
		}
		calls()
		near := func(what string, got, want time.Duration) {
			t.Helper()
			if got < want*2/3 || got > want*3/2 {
				t.Errorf("%s is %s, want about %s", what, got, want)
			}
		}
		near("p50", r.Figures().P50, took)
		for range 7 {
			r.probe(driver.Healthy)
			r.clock.Advance(10 * time.Second)
		}
		if f := r.Figures(); f.P50 != 0 || f.Calls != 100 {
			t.Errorf("after a quiet minute: %+v", f)
		}
		took = 10 * time.Millisecond
		calls()
		near("p99", r.Figures().P99, took)
	})
}

func TestAReadFromMemoryPaysNoAllocationForItsGuard(t *testing.T) {
	set, err := memory.Spec().Open(t.Context(), driver.Config{Name: "m", Clock: clock.Real(), Log: quiet})
	if err != nil {
		t.Fatal(err)
	}
	defer set.Store.Close()
	k := prism.Key{Namespace: "n", Name: "k"}
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	allocs := func(s driver.Set) float64 {
		return testing.AllocsPerRun(1000, func() { _, _, _ = s.KeyValue.Get(ctx, k) })
	}
	waits := set
	waits.Info.Instant = false
	for name, s := range map[string]driver.Set{"instant": set, "one that may wait": waits} {
		g := guard.New("m", guard.Settings{}, clock.Real())
		if bare, guarded := allocs(set), allocs(g.Wrap(s)); guarded != bare {
			t.Errorf("%s: %v allocations with a guard, %v without", name, guarded, bare)
		}
		if f := g.Figures(); f.Calls != 1001 || len(f.Classes) != 1 || f.Classes[0].Class != "keyvalue_read" {
			t.Errorf("%s: figures %+v", name, f)
		}
	}
}

// What a gateway asks its store about itself tells of whoever looks: it is
// neither a call for data nor in its times.
func TestLookingIsNoTraffic(t *testing.T) {
	t.Parallel()
	set, err := memory.Spec().Open(t.Context(), driver.Config{Name: "m", Clock: clock.Real(), Log: quiet})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = set.Store.Close() })
	set.Info.Instant = false // every call is timed
	r := guard.New("m", guard.Settings{}, clock.Real())
	s := r.Wrap(set)
	for range 10 {
		if _, err := s.Store.Usage(t.Context(), "n"); err != nil {
			t.Fatal(err)
		}
	}
	if f := r.Figures(); f.Calls != 0 || f.P50 != 0 || f.P99 != 0 || len(f.Classes) != 1 || f.Classes[0].Class != "store" || f.Classes[0].Calls != 10 {
		t.Errorf("after ten looks: %+v", f)
	}
	if _, _, err := s.KeyValue.Get(t.Context(), prism.Key{Namespace: "n", Name: "k"}); err != nil {
		t.Fatal(err)
	}
	if f := r.Figures(); f.Calls != 1 || f.P50 <= 0 {
		t.Errorf("after a call: %+v", f)
	}
}
