package route_test

import (
	"context"
	"sync"
	"testing"
	"time"

	"github.com/prism-data-layer/prism/pkg/auth"
	"github.com/prism-data-layer/prism/pkg/clock"
	"github.com/prism-data-layer/prism/pkg/control"
	"github.com/prism-data-layer/prism/pkg/prism"
	"github.com/prism-data-layer/prism/pkg/session"
)

// limited is the namespace kv with a limit.
func limited(rps, burst int64) control.Namespace {
	n := ns("kv", control.Access{})
	n.Limits = control.Limits{RequestRPS: rps, Burst: burst}
	return n
}

// call makes a call that counts for n, and says how long to wait if it is
// refused.
func call(t *testing.T, r *rig, s session.Session, n int) time.Duration {
	t.Helper()
	target, err := r.Resolve(context.Background(), s, "kv", prism.ActionRead, n)
	if err == nil {
		target.Release()
		return 0
	}
	return refusal(t, err)
}

func refusal(t *testing.T, err error) time.Duration {
	t.Helper()
	e := prism.From(err)
	if e.Reason != prism.ReasonRateLimited || e.Quota == nil || e.Quota.Subject != "namespace:kv" || e.Quota.Message == "" || e.Namespace != "kv" || e.Retry <= 0 {
		t.Fatalf("got %+v, want RATE_LIMITED with its quota and when to try again", e)
	}
	return e.Retry
}

func TestALimitIsABurstThatFillsAgain(t *testing.T) {
	t.Parallel()
	c := clock.NewFake(start)
	r := newRig(t, c)
	r.apply(limited(10, 3))
	dev := r.as(auth.Dev)
	steps := func(advance time.Duration, waits ...time.Duration) {
		t.Helper()
		c.Advance(advance)
		for i, want := range waits {
			if got := call(t, r, dev, 1); got.Round(time.Microsecond) != want {
				t.Errorf("%s later, call %d: wait %s, want %s", advance, i, got, want)
			}
		}
	}
	const ms = time.Millisecond
	steps(0, 0, 0, 0, 100*ms, 100*ms) // a refused call costs nothing
	steps(50*ms, 50*ms)
	steps(50*ms, 0, 100*ms)
	steps(200*ms, 0, 0, 100*ms)
	steps(time.Hour, 0, 0, 0, 100*ms) // no more than the burst is saved up
	steps(-time.Minute, 100*ms)       // a clock that goes back gives nothing
	steps(time.Minute, 100*ms)
	steps(100*ms, 0, 100*ms)
	if s, _ := r.Namespace(context.Background(), "kv"); s.Inflight != 0 {
		t.Errorf("%d calls in flight", s.Inflight)
	}
}

func TestWaitingAsToldIsEnough(t *testing.T) {
	t.Parallel()
	c := clock.NewFake(start)
	r := newRig(t, c)
	r.apply(limited(7, 5))
	dev := r.as(auth.Dev)
	for range 200 {
		if wait := call(t, r, dev, 2); wait > 0 {
			c.Advance(wait + time.Microsecond)
			if again := call(t, r, dev, 2); again > 0 {
				t.Fatalf("waited %s, and must wait %s more", wait, again)
			}
		}
	}
}

// A batch larger than the burst would never pass; it passes when the bucket is
// full, and those after it pay.
func TestMoreThanTheBurstAtOnceIsPaidForAfterwards(t *testing.T) {
	t.Parallel()
	c := clock.NewFake(start)
	r := newRig(t, c)
	r.apply(limited(10, 5))
	dev := r.as(auth.Dev)
	if wait := call(t, r, dev, 25); wait != 0 {
		t.Errorf("with a full bucket: wait %s", wait)
	}
	if wait := call(t, r, dev, 1); wait != 2100*time.Millisecond { // 20 owed and one more
		t.Errorf("the next: wait %s", wait)
	}
	if wait := call(t, r, dev, 25); wait != 2500*time.Millisecond { // until it is full
		t.Errorf("as many again: wait %s", wait)
	}
	c.Advance(2500 * time.Millisecond)
	if wait := call(t, r, dev, 25); wait != 0 {
		t.Errorf("after the wait: %s", wait)
	}
}

func TestAStreamTakesForWhatItCarries(t *testing.T) {
	t.Parallel()
	c := clock.NewFake(start)
	r := newRig(t, c)
	r.apply(limited(10, 3))
	target, err := r.Resolve(context.Background(), r.as(auth.Dev), "kv", prism.ActionRead, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer target.Release()
	for _, n := range []int{0, 3, 0} {
		if err := target.Take(c.Now(), n); err != nil {
			t.Errorf("%d: %v", n, err)
		}
	}
	if wait := refusal(t, target.Take(c.Now(), 1)); wait != 100*time.Millisecond {
		t.Errorf("wait %s", wait)
	}
}

func TestWithoutALimitThereIsNone(t *testing.T) {
	t.Parallel()
	r := newRig(t, clock.NewFake(start))
	for _, rps := range []int64{0, -5} {
		r.apply(limited(rps, 1))
		for range 100 {
			if wait := call(t, r, r.as(auth.Dev), 1000); wait != 0 {
				t.Fatalf("rps %d: wait %s", rps, wait)
			}
		}
	}
	r.apply(limited(4, 0)) // without a burst it is a second's worth
	dev := r.as(auth.Dev)
	for i, want := range []time.Duration{0, 0, 0, 0, 250 * time.Millisecond} {
		if got := call(t, r, dev, 1); got != want {
			t.Errorf("call %d: wait %s, want %s", i, got, want)
		}
	}
}

// Callers share a namespace's limit, and none gets in beside it.
func TestALimitHoldsForAllCallersTogether(t *testing.T) {
	t.Parallel()
	r := newRig(t, clock.NewFake(start))
	r.apply(limited(1, 50))
	var wg sync.WaitGroup
	var mu sync.Mutex
	passed := 0
	for range 20 {
		s := r.as(auth.Dev)
		wg.Go(func() {
			for range 10 {
				if target, err := r.resolve(s, "kv", prism.ActionRead); err == nil {
					target.Release()
					mu.Lock()
					passed++
					mu.Unlock()
				}
			}
		})
	}
	wg.Wait()
	if passed != 50 {
		t.Errorf("%d calls passed, want 50", passed)
	}
}

func TestAChangeOfAnythingElseDoesNotFillTheBucket(t *testing.T) {
	t.Parallel()
	r := newRig(t, clock.NewFake(start))
	n := limited(1, 1)
	r.apply(n)
	dev := r.as(auth.Dev)
	if call(t, r, dev, 1) != 0 {
		t.Fatal("the first call was refused")
	}
	n.Description = "changed"
	r.apply(n)
	if call(t, r, dev, 1) == 0 {
		t.Error("a change of the description filled the bucket")
	}
	n.Limits.Burst = 2
	r.apply(n)
	if call(t, r, dev, 1) != 0 {
		t.Error("a new limit does not hold")
	}
}
