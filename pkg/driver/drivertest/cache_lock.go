package drivertest

import (
	"context"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/prism-data-layer/prism/pkg/driver"
	"github.com/prism-data-layer/prism/pkg/prism"
)

var cacheLockPromises = []promise{
	{"the first who asks gets the lock, the others learn when it ends", testLock, "cache_basic"},
	{"an entry that is there is answered and nothing is locked", testLockFound, "cache_basic"},
	{"Fill stores the value and lets go of the lock", testLockFill, "cache_basic"},
	{"the same owner's lock starts anew", testLockAgain, "clock direct"},
	{"a lock ends after its time, and the next who asks gets it", testLockEnds, "cache_basic"},
	{"a Set, a Delete or an Increment ends the lock, and its Fill changes nothing", testLockLost, "cache_basic"},
	{"what changes nothing leaves the lock", testLockStays, "cache_basic"},
	{"Unlock lets go for the owner alone", testUnlock, "cache_basic"},
	{"Fill without the lock changes nothing", testFillWithout, "cache_basic"},
	{"an entry that has ended can be locked", testLockExpired, "cache_basic"},
	{"locks of other keys and namespaces are strangers", testLockStrangers, "cache_basic"},
	{"of 100 who ask at once exactly one gets the lock", testLockRace, ""},
	{"Drop forgets locks", testLockDrop, ""},
	{"a context that has ended locks nothing", testLockEndedContext, ""},
	{"locks are UNAVAILABLE after Close", testLockClosed, ""},
}

var (
	ann = driver.LockOwner{1}
	bob = driver.LockOwner{2}
)

func (t *T) lock(name string, owner driver.LockOwner, hold time.Duration) driver.CacheLease {
	t.Helper()
	l, err := t.set().CacheLock.Lock(t.Ctx, t.key(name), owner, hold)
	t.must(err)
	if l.Found && l.Locked {
		t.Errorf("Lock of %q both found and locked", name)
	}
	return l
}

// locks wants owner to get the lock.
func (t *T) locks(name string, owner driver.LockOwner, hold time.Duration) {
	t.Helper()
	if l := t.lock(name, owner, hold); !l.Locked {
		t.Errorf("Lock of %q: %+v, want the lock", name, l)
	}
}

// waits wants the lock to be another's.
func (t *T) waits(name string, owner driver.LockOwner) {
	t.Helper()
	if l := t.lock(name, owner, time.Hour); l.Locked || l.Found {
		t.Errorf("Lock of %q: %+v, want it to be another's", name, l)
	}
}

func (t *T) fills(name string, owner driver.LockOwner, value string, want bool) {
	t.Helper()
	applied, err := t.set().CacheLock.Fill(t.Ctx, t.key(name), owner, []byte(value), time.Hour)
	t.must(err)
	if applied != want {
		t.Errorf("Fill of %q: applied is %v, want %v", name, applied, want)
	}
}

func (t *T) unlocks(name string, owner driver.LockOwner, want bool) {
	t.Helper()
	released, err := t.set().CacheLock.Unlock(t.Ctx, t.key(name), owner)
	t.must(err)
	if released != want {
		t.Errorf("Unlock of %q: released is %v, want %v", name, released, want)
	}
}

func testLock(t *T) {
	before := t.now()
	first := t.lock("k", ann, time.Hour)
	if !first.Locked {
		t.Errorf("the first who asks: %+v, want the lock", first)
	}
	t.waits("k", bob)
	for i, l := range []driver.CacheLease{first, t.lock("k", bob, time.Minute)} {
		if i > 0 && t.harness.Wire {
			break // it tells others when to ask again, and no more
		}
		if d := l.Until.Sub(before); d < time.Hour-time.Second || d > time.Hour+time.Minute {
			t.Errorf("the lock of an hour ends in %v", d)
		}
	}
	t.cacheLacks("k")
}

func testLockFound(t *T) {
	t.cacheSet("k", "v", time.Hour)
	l := t.lock("k", ann, time.Hour)
	if !l.Found || string(l.Entry.Value) != "v" || l.Entry.ExpiresAt.IsZero() {
		t.Errorf("Lock of an entry: %+v", l)
	}
	t.unlocks("k", ann, false)
	t.fills("k", ann, "w", false)
	t.cacheHas("k", "v")
}

func testLockFill(t *T) {
	t.locks("k", ann, time.Hour)
	t.fills("k", ann, "v", true)
	if e := t.cacheHas("k", "v"); e.ExpiresAt.IsZero() {
		t.Errorf("Fill lost the time to live")
	}
	t.fills("k", ann, "w", false)
	t.cacheHas("k", "v")
	if l := t.lock("k", bob, time.Hour); !l.Found || string(l.Entry.Value) != "v" {
		t.Errorf("who asks after Fill gets %+v", l)
	}
	t.cacheOK(driver.CacheOp{Kind: driver.CacheDelete, Key: "k"})
	t.locks("k", bob, time.Hour)
}

func testLockAgain(t *T) {
	t.locks("k", ann, time.Minute)
	t.pass(40 * time.Second)
	t.locks("k", ann, time.Minute)
	t.pass(40 * time.Second)
	t.waits("k", bob)
	t.fills("k", ann, "v", true)
}

func testLockEnds(t *T) {
	t.locks("k", ann, t.second())
	t.locks("other", ann, time.Hour)
	t.pass(t.second() + t.second()/2)
	t.locks("k", bob, time.Hour)
	t.fills("k", ann, "of ann", false)
	t.unlocks("k", ann, false)
	t.cacheLacks("k")
	t.fills("k", bob, "of bob", true)
	t.cacheHas("k", "of bob")
	t.waits("other", bob)
	t.locks("last", ann, t.second())
	t.pass(t.second() + t.second()/2)
	t.fills("last", ann, "late", false)
	t.cacheLacks("last")
}

func testLockLost(t *T) {
	for name, op := range map[string]driver.CacheOp{
		"set":       {Kind: driver.CacheSet, Value: []byte("5")},
		"absent":    {Kind: driver.CacheSet, Value: []byte("5"), If: driver.CacheAbsent},
		"delete":    {Kind: driver.CacheDelete},
		"increment": {Kind: driver.CacheIncrement, Delta: 5},
	} {
		t.locks(name, ann, time.Hour)
		op.Key = name
		t.cacheOK(op)
		t.fills(name, ann, "computed before", false)
		t.unlocks(name, ann, false)
		if op.Kind == driver.CacheDelete {
			t.cacheLacks(name)
		} else {
			t.cacheHas(name, "5")
			t.cacheOK(driver.CacheOp{Kind: driver.CacheDelete, Key: name})
		}
		t.locks(name, bob, time.Hour)
		t.fills(name, bob, "computed after", true)
	}
}

func testLockStays(t *T) {
	t.locks("k", ann, time.Hour)
	t.cacheOK(driver.CacheOp{Kind: driver.CacheSet, Key: "k", Value: []byte("v"), If: driver.CachePresent})
	t.cacheOK(driver.CacheOp{Kind: driver.CacheTouch, Key: "k", TTL: time.Hour})
	t.refused("counting past the end", t.cache(driver.CacheOp{Kind: driver.CacheIncrement, Key: "k", Initial: 1<<63 - 1, Delta: 1}).Err, prism.ReasonOverflow)
	t.cacheLacks("k")
	t.waits("k", bob)
	t.fills("k", ann, "v", true)
}

func testUnlock(t *T) {
	t.unlocks("k", ann, false)
	t.locks("k", ann, time.Hour)
	t.unlocks("k", bob, false)
	t.waits("k", bob)
	t.unlocks("k", ann, true)
	t.unlocks("k", ann, false)
	t.cacheLacks("k")
	t.locks("k", bob, time.Hour)
}

func testFillWithout(t *T) {
	t.fills("k", ann, "v", false)
	t.cacheLacks("k")
	t.locks("k", ann, time.Hour)
	t.fills("k", bob, "v", false)
	t.cacheLacks("k")
	t.fills("k", ann, "v", true)
}

func testLockExpired(t *T) {
	t.cacheSet("k", "v", t.second())
	t.pass(t.second() + t.second()/2)
	t.locks("k", ann, time.Hour)
	t.fills("k", ann, "w", true)
	t.cacheHas("k", "w")
}

func testLockStrangers(t *T) {
	t.locks("k", ann, time.Hour)
	t.locks("k2", bob, time.Hour)
	other := prism.Key{Namespace: t.another(), Name: "k"}
	l, err := t.set().CacheLock.Lock(t.Ctx, other, bob, time.Hour)
	t.must(err)
	if !l.Locked {
		t.Errorf("the lock of another namespace is taken: %+v", l)
	}
	applied, err := t.set().CacheLock.Fill(t.Ctx, other, ann, []byte("v"), 0)
	t.must(err)
	if applied {
		t.Errorf("an owner filled under a lock of another namespace")
	}
	t.cacheSet("k2", "v", 0)
	t.fills("k", ann, "v", true)
}

func testLockRace(t *T) {
	var locked atomic.Int64
	t.together(100, func(i int) error {
		l, err := t.set().CacheLock.Lock(t.Ctx, t.key("k"), driver.LockOwner{1, byte(i)}, time.Hour)
		switch {
		case err != nil:
			return err
		case l.Found:
			return fmt.Errorf("found %s", short(l.Entry.Value))
		case l.Locked:
			locked.Add(1)
		}
		return nil
	})
	if n := locked.Load(); n != 1 {
		t.Errorf("%d have the lock", n)
	}
}

func testLockDrop(t *T) {
	t.locks("k", ann, time.Hour)
	t.must(t.set().Store.Drop(t.Ctx, t.namespace()))
	t.fills("k", ann, "v", false)
	t.locks("k", bob, time.Hour)
}

func testLockEndedContext(t *T) {
	ctx, cancel := context.WithCancel(t.Ctx)
	cancel()
	_, err := t.set().CacheLock.Lock(ctx, t.key("k"), ann, time.Hour)
	t.refused("Lock", err, prism.ReasonCancelled)
	t.locks("k", bob, time.Hour)
	_, err = t.set().CacheLock.Fill(ctx, t.key("k"), bob, nil, 0)
	t.refused("Fill", err, prism.ReasonCancelled)
	_, err = t.set().CacheLock.Unlock(ctx, t.key("k"), bob)
	t.refused("Unlock", err, prism.ReasonCancelled)
	t.unlocks("k", bob, true)
}

func testLockClosed(t *T) {
	set, key := *t.set(), t.key("k")
	t.must(set.Store.Close())
	_, err := set.CacheLock.Lock(t.Ctx, key, ann, time.Hour)
	t.unavailable("Lock", err)
	_, err = set.CacheLock.Fill(t.Ctx, key, ann, nil, 0)
	t.unavailable("Fill", err)
	_, err = set.CacheLock.Unlock(t.Ctx, key, ann)
	t.unavailable("Unlock", err)
}
