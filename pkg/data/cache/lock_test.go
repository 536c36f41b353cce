package cache_test

import (
	"context"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/prism-data-layer/prism/pkg/data/cache"
	"github.com/prism-data-layer/prism/pkg/driver"
	"github.com/prism-data-layer/prism/pkg/prism"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func (r *rig) ask(principal, key string, hold, wait time.Duration) cache.Outcome {
	r.t.Helper()
	o, err := r.GetOrLock(r.t.Context(), principal, key, hold, wait, nil)
	if err != nil {
		r.t.Fatal(err)
	}
	return o
}

// locks wants the lock.
func (r *rig) locks(principal, key string, hold time.Duration) string {
	r.t.Helper()
	o := r.ask(principal, key, hold, 0)
	if o.Found || o.Lock == "" {
		r.t.Fatalf("GetOrLock by %s: %+v, want the lock", principal, o)
	}
	return o.Lock
}

func (r *rig) fill(principal, key, lock, value string) (bool, error) {
	r.t.Helper()
	return r.Fill(r.t.Context(), principal, lock, &cache.Op{Kind: cache.OpSet, Key: key, Value: []byte(value)})
}

// waiting starts a GetOrLock that waits, and returns when it does.
func (r *rig) waiting(ctx context.Context, key string, wait time.Duration, stop <-chan struct{}) <-chan answer {
	r.t.Helper()
	before := r.now.Timers()
	got := make(chan answer, 1)
	go func() {
		o, err := r.GetOrLock(ctx, "bob", key, time.Minute, wait, stop)
		got <- answer{o, err}
	}()
	r.until("a waiter", func() bool { return r.now.Timers() > before })
	return got
}

type answer struct {
	cache.Outcome
	err error
}

func (r *rig) until(what string, f func() bool) {
	r.t.Helper()
	for end := time.Now().Add(20 * time.Second); !f(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			r.t.Fatalf("%s: not within 20 s", what)
		}
	}
}

func (r *rig) answered(got <-chan answer) answer {
	r.t.Helper()
	select {
	case a := <-got:
		return a
	case <-time.After(20 * time.Second):
		r.t.Fatal("the waiter was not answered within 20 s")
		return answer{}
	}
}

func TestOneCallerGetsTheLockAndFillsTheEntry(t *testing.T) {
	t.Parallel()
	r := newRig(t, cache.Policy{})
	lock := r.locks("ann", "k", 0)
	if o := r.ask("bob", "k", 0, 0); o.Found || o.Lock != "" || o.RetryAfter <= 0 || o.RetryAfter > time.Second {
		t.Errorf("another gets %+v, want to be told to ask again", o)
	}
	if applied, err := r.fill("ann", "k", lock, "v"); err != nil || !applied {
		t.Errorf("the fill: %v %v", applied, err)
	}
	o := r.ask("bob", "k", 0, 0)
	if !o.Found || string(o.Entry.Value) != "v" || !o.Entry.ExpiresAt.Equal(began.Add(cache.DefaultTTL)) {
		t.Errorf("after the fill: %+v", o)
	}
	if applied, err := r.fill("ann", "k", lock, "again"); err != nil || applied {
		t.Errorf("a second fill: %v %v, want not applied", applied, err)
	}
}

func TestALockHoldsForASecondUnlessTheCallSaysOther(t *testing.T) {
	t.Parallel()
	r := newRig(t, cache.Policy{})
	first := r.locks("ann", "k", 0)
	r.now.Advance(time.Second - time.Millisecond)
	if o := r.ask("bob", "k", 0, 0); o.Lock != "" || o.RetryAfter != time.Millisecond {
		t.Errorf("a millisecond before its end: %+v", o)
	}
	r.now.Advance(time.Millisecond)
	second := r.locks("bob", "k", time.Minute)
	if applied, err := r.fill("ann", "k", first, "late"); err != nil || applied {
		t.Errorf("the fill of a lock that ended: %v %v", applied, err)
	}
	r.now.Advance(59 * time.Second)
	if applied, err := r.fill("bob", "k", second, "v"); err != nil || !applied {
		t.Errorf("the fill: %v %v", applied, err)
	}
}

func TestASetOrADeleteEndsTheLock(t *testing.T) {
	t.Parallel()
	r := newRig(t, cache.Policy{})
	for name, op := range map[string]cache.Op{
		"set": {Kind: cache.OpSet, Value: []byte("new")}, "delete": {Kind: cache.OpDelete}, "increment": {Kind: cache.OpIncrement, Delta: 1},
	} {
		lock := r.locks("ann", name, time.Hour)
		op.Key = name
		r.do(op)
		if applied, err := r.fill("ann", name, lock, "computed before"); err != nil || applied {
			t.Errorf("a fill after %s: %v %v", name, applied, err)
		}
	}
}

// The lock is bound to who got it, for what.
func TestALockIsAProofOfItsOwner(t *testing.T) {
	t.Parallel()
	r := newRig(t, cache.Policy{})
	lock := r.locks("ann", "k", time.Hour)
	other := cache.New(r.set, "ns2", cache.Policy{}, sealer, r.now, nil)
	for name, call := range map[string]func() error{
		"another principal": func() error { _, err := r.fill("bob", "k", lock, "v"); return err },
		"another key":       func() error { _, err := r.fill("ann", "l", lock, "v"); return err },
		"another namespace": func() error {
			_, err := other.Fill(t.Context(), "ann", lock, &cache.Op{Kind: cache.OpSet, Key: "k"})
			return err
		},
		"tampered": func() error { _, err := r.fill("ann", "k", lock[:len(lock)-1]+"A", "v"); return err },
		"made up":  func() error { _, err := r.Unlock(t.Context(), "ann", "k", "AQ"); return err },
		"none":     func() error { _, err := r.Unlock(t.Context(), "ann", "k", ""); return err },
		"sealed for other": func() error {
			_, err := r.Unlock(t.Context(), "ann", "k", sealer.Seal([]byte("short"), "cache lock", "ns", "ann", "k"))
			return err
		},
	} {
		wants(t, name, call(), prism.ReasonInvalidArgument, "lock")
	}
	_, err := r.Unlock(t.Context(), "ann", "", lock)
	wants(t, "no key", err, prism.ReasonInvalidArgument, "key")
	_, err = r.Fill(t.Context(), "ann", lock, &cache.Op{Kind: cache.OpSet, Key: "k", TTL: -1})
	wants(t, "a wrong time to live", err, prism.ReasonInvalidArgument, "ttl_ms")
	if released, err := r.Unlock(t.Context(), "ann", "k", lock); err != nil || !released {
		t.Errorf("its owner's: %v %v", released, err)
	}
	if released, err := r.Unlock(t.Context(), "ann", "k", lock); err != nil || released {
		t.Errorf("a second time: %v %v", released, err)
	}
}

// The clock stands still, so that no poll can be what answers.
func TestTheFillWakesThoseWhoWait(t *testing.T) {
	t.Parallel()
	r := newRig(t, cache.Policy{})
	lock := r.locks("ann", "k", time.Hour)
	var waiters []<-chan answer
	for range 20 {
		waiters = append(waiters, r.waiting(t.Context(), "k", time.Hour, nil))
	}
	if applied, err := r.fill("ann", "k", lock, "v"); err != nil || !applied {
		t.Fatalf("%v %v", applied, err)
	}
	for _, got := range waiters {
		if a := r.answered(got); a.err != nil || !a.Found || string(a.Entry.Value) != "v" {
			t.Errorf("a waiter got %+v", a)
		}
	}
	if n := r.now.Timers(); n > 1 { // the store's own
		t.Errorf("%d timers are left", n)
	}
}

func TestASetWakesThoseWhoWaitToo(t *testing.T) {
	t.Parallel()
	r := newRig(t, cache.Policy{})
	r.locks("ann", "k", time.Hour)
	got := r.waiting(t.Context(), "k", time.Hour, nil)
	// Through another version of the namespace, which knows them.
	next := cache.New(r.set, "ns", cache.Policy{}, sealer, r.now, r.Store)
	if _, err := next.Do(t.Context(), &cache.Op{Kind: cache.OpSet, Key: "k", Value: []byte("v")}); err != nil {
		t.Fatal(err)
	}
	if a := r.answered(got); a.err != nil || !a.Found {
		t.Errorf("the waiter got %+v", a)
	}
}

func TestUnlockAndDeletePassTheLockOnToOneWhoWaits(t *testing.T) {
	t.Parallel()
	for name, let := range map[string]func(r *rig, lock string){
		"Unlock": func(r *rig, lock string) {
			if released, err := r.Unlock(r.t.Context(), "ann", "k", lock); err != nil || !released {
				r.t.Errorf("%v %v", released, err)
			}
		},
		"Delete": func(r *rig, _ string) { r.do(cache.Op{Kind: cache.OpDelete, Key: "k"}) },
	} {
		r := newRig(t, cache.Policy{})
		lock := r.locks("ann", "k", time.Hour)
		waiters := []<-chan answer{r.waiting(t.Context(), "k", time.Hour, nil), r.waiting(t.Context(), "k", time.Hour, nil)}
		let(r, lock)
		var next answer
		select {
		case next = <-waiters[0]:
			waiters = waiters[1:]
		case next = <-waiters[1]:
			waiters = waiters[:1]
		case <-time.After(20 * time.Second):
			t.Fatalf("%s: nobody got the lock within 20 s", name)
		}
		if next.err != nil || next.Lock == "" {
			t.Errorf("%s: the next got %+v, want the lock", name, next)
		}
		if applied, err := r.fill("bob", "k", next.Lock, "v"); err != nil || !applied {
			t.Errorf("%s: the fill: %v %v", name, applied, err)
		}
		if a := r.answered(waiters[0]); a.err != nil || !a.Found {
			t.Errorf("%s: the last got %+v, want the entry", name, a)
		}
	}
}

// The holder is gone: whoever waits gets the lock when it ends.
func TestALockThatEndsGoesToOneWhoWaits(t *testing.T) {
	t.Parallel()
	r := newRig(t, cache.Policy{})
	r.locks("ann", "k", 300*time.Millisecond)
	got := r.waiting(t.Context(), "k", time.Hour, nil)
	var a answer
	r.until("the lock", func() bool {
		select {
		case a = <-got:
			return true
		default:
			r.now.Advance(10 * time.Millisecond)
			return false
		}
	})
	if a.err != nil || a.Lock == "" {
		t.Errorf("the waiter got %+v, want the lock", a)
	}
	if passed := r.now.Now().Sub(began); passed < 300*time.Millisecond {
		t.Errorf("it got the lock after %v, and it was held for 300 ms", passed)
	}
}

// What another gateway fills wakes nobody here: it is looked for.
func TestWhatAnotherGatewayFillsIsFound(t *testing.T) {
	t.Parallel()
	r := newRig(t, cache.Policy{})
	r.locks("ann", "k", time.Hour)
	got := r.waiting(t.Context(), "k", time.Hour, nil)
	other := cache.New(r.set, "ns", cache.Policy{}, sealer, r.now, nil)
	if _, err := other.Do(t.Context(), &cache.Op{Kind: cache.OpSet, Key: "k", Value: []byte("v")}); err != nil {
		t.Fatal(err)
	}
	r.now.Advance(time.Second)
	if a := r.answered(got); a.err != nil || !a.Found {
		t.Errorf("the waiter got %+v", a)
	}
}

func TestAWaitEndsWithItsTimeItsContextOrTheGateway(t *testing.T) {
	t.Parallel()
	r := newRig(t, cache.Policy{})
	r.locks("ann", "k", time.Hour)
	got := r.waiting(t.Context(), "k", 20*time.Millisecond, nil)
	r.now.Advance(20 * time.Millisecond)
	if a := r.answered(got); a.err != nil || a.Found || a.Lock != "" || a.RetryAfter <= 0 {
		t.Errorf("after its time: %+v, want to be told to ask again", a)
	}
	stop := make(chan struct{})
	got = r.waiting(t.Context(), "k", time.Hour, stop)
	close(stop)
	if a := r.answered(got); a.err != nil || a.Found || a.Lock != "" || a.RetryAfter <= 0 {
		t.Errorf("when the gateway stops: %+v, want to be told to ask again", a)
	}
	ctx, cancel := context.WithCancel(t.Context())
	got = r.waiting(ctx, "k", time.Hour, nil)
	cancel()
	wants(t, "its context", r.answered(got).err, prism.ReasonCancelled)
}

// counting counts how often a store is asked for a lock.
type counting struct {
	driver.CacheLock
	asked atomic.Int64
}

func (c *counting) Lock(ctx context.Context, key prism.Key, owner driver.LockOwner, hold time.Duration) (driver.CacheLease, error) {
	c.asked.Add(1)
	return c.CacheLock.Lock(ctx, key, owner, hold)
}

func TestALookForOthersComesLessAndLessOften(t *testing.T) {
	t.Parallel()
	r := newRig(t, cache.Policy{})
	r.locks("ann", "k", time.Hour)
	c := &counting{CacheLock: r.set.CacheLock}
	r.set.CacheLock = c
	r.Store = cache.New(r.set, "ns", cache.Policy{}, sealer, r.now, nil)
	got := r.waiting(t.Context(), "k", 10*time.Second, nil)
	var a answer
	r.until("the end of the wait", func() bool {
		select {
		case a = <-got:
			return true
		default:
			r.now.Advance(5 * time.Millisecond)
			return false
		}
	})
	if n := c.asked.Load(); a.err != nil || a.RetryAfter <= 0 || n < 2 || n > 20 {
		t.Errorf("asked %d times in ten seconds, and answered %+v", n, a)
	}
}
