package drivertest_test

import (
	"context"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/prism-data-layer/prism/pkg/driver"
	"github.com/prism-data-layer/prism/pkg/driver/drivertest"
	"github.com/prism-data-layer/prism/pkg/driver/memory"
	"github.com/prism-data-layer/prism/pkg/prism"
)

// eachOp changes the operations of a cache before, or their results after.
type eachOp struct {
	driver.Cache
	before func(op *driver.CacheOp)
	after  func(op *driver.CacheOp, r *driver.CacheResult)
}

func (e eachOp) Do(ctx context.Context, ns prism.Namespace, ops []driver.CacheOp, results []driver.CacheResult) error {
	ops = slices.Clone(ops)
	for i := range ops {
		if e.before != nil {
			e.before(&ops[i])
		}
	}
	err := e.Cache.Do(ctx, ns, ops, results)
	for i := range ops {
		if e.after != nil && err == nil {
			e.after(&ops[i], &results[i])
		}
	}
	return err
}

// stubborn locks do not end with a change of the key.
type stubbornLocks struct {
	driver.CacheLock
	mu   sync.Mutex
	held map[prism.Key]driver.LockOwner
}

func (s *stubbornLocks) Lock(ctx context.Context, key prism.Key, owner driver.LockOwner, hold time.Duration) (driver.CacheLease, error) {
	l, err := s.CacheLock.Lock(ctx, key, owner, hold)
	if l.Locked {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.held[key] = owner
	}
	return l, err
}

// Fill takes the lock again if it was lost.
func (s *stubbornLocks) Fill(ctx context.Context, key prism.Key, owner driver.LockOwner, value []byte, ttl time.Duration) (bool, error) {
	applied, err := s.CacheLock.Fill(ctx, key, owner, value, ttl)
	s.mu.Lock()
	mine := s.held[key] == owner
	delete(s.held, key)
	s.mu.Unlock()
	if applied || err != nil || !mine {
		return applied, err
	}
	if l, err := s.CacheLock.Lock(ctx, key, owner, time.Minute); !l.Locked {
		return false, err
	}
	return s.CacheLock.Fill(ctx, key, owner, value, ttl)
}

// unlocksAll lets anybody unlock.
type unlocksAll struct{ driver.CacheLock }

func (u unlocksAll) Unlock(ctx context.Context, key prism.Key, owner driver.LockOwner) (bool, error) {
	for _, o := range []driver.LockOwner{owner, {1}, {2}} {
		if released, err := u.CacheLock.Unlock(ctx, key, o); released || err != nil {
			return released, err
		}
	}
	return false, nil
}

// noBound tells more than it may take.
type noBound struct{ driver.CacheBounded }

func (n noBound) Stats(ctx context.Context, ns prism.Namespace) (driver.CacheStats, error) {
	s, err := n.CacheBounded.Stats(ctx, ns)
	s.Evictions, s.Bytes = 0, 10*s.Bytes
	return s, err
}

var cacheDefects = []defect{
	{name: "a cache loses the time to live", finds: []string{
		"a cache gives back what was set, byte for byte",
		"an entry ends at its time to live",
		"an entry ends neither before nor after its time",
		"an entry that has ended is not there for any operation",
		"a random mix of operations on a cache does what a map does",
		"what has ended makes room",
		"an entry that has ended can be locked",
		"an entry that is there is answered and nothing is locked",
	}, wrap: func(s driver.Set) driver.Set {
		s.Cache = eachOp{Cache: s.Cache, before: func(op *driver.CacheOp) {
			if op.Kind == driver.CacheSet && op.TTL > 0 {
				op.TTL = 0
			}
		}}
		return s
	}},
	{name: "NX overwrites", finds: []string{
		"set if absent and set if present hold to their condition",
		"operations on one entry run in order, each with its own result",
		"of 100 who set if absent at once exactly one wins",
		"a random mix of operations on a cache does what a map does",
	}, wrap: func(s driver.Set) driver.Set {
		s.Cache = eachOp{Cache: s.Cache, before: func(op *driver.CacheOp) {
			if op.If == driver.CacheAbsent {
				op.If = driver.CacheAlways
			}
		}}
		return s
	}},
	{name: "counting moves the end", finds: []string{
		"counting gives a time to live once, when it makes the entry",
		"a random mix of operations on a cache does what a map does",
	}, wrap: func(s driver.Set) driver.Set {
		inner := s.Cache
		s.Cache = countsAndTouches{inner}
		return s
	}},
	{name: "a cache ignores receipts", finds: []string{
		"a receipt makes each operation on a cache happen once",
		"a cache's receipt with another body is KEY_REUSED and changes nothing",
		"100 calls at once with one receipt have one effect on a cache",
		"a cache's receipt is forgotten after its time",
		"a cache's receipts are bounded and the oldest go first",
		"a receipt may bound a cache's receipts further",
		"Usage counts a cache's entries and bytes",
	}, wrap: func(s driver.Set) driver.Set {
		s.Cache = eachOp{Cache: s.Cache, before: func(op *driver.CacheOp) { op.Receipt = driver.Receipt{} }}
		return s
	}},
	{name: "Touch tells no end", finds: []string{
		"touching gives an entry a new end and keeps its value",
		"a random mix of operations on a cache does what a map does",
	}, wrap: func(s driver.Set) driver.Set {
		s.Cache = eachOp{Cache: s.Cache, after: func(op *driver.CacheOp, r *driver.CacheResult) {
			if op.Kind == driver.CacheTouch {
				r.ExpiresAt = time.Time{}
			}
		}}
		return s
	}},
	{name: "a lock outlives a change of its key", finds: []string{
		"a Set, a Delete or an Increment ends the lock, and its Fill changes nothing",
		"a lock ends after its time, and the next who asks gets it",
		"Drop forgets locks",
	}, wrap: func(s driver.Set) driver.Set {
		s.CacheLock = &stubbornLocks{CacheLock: s.CacheLock, held: map[prism.Key]driver.LockOwner{}}
		return s
	}},
	{name: "anybody unlocks", finds: []string{
		"Unlock lets go for the owner alone",
		"a lock ends after its time, and the next who asks gets it",
	}, wrap: func(s driver.Set) driver.Set {
		s.CacheLock = unlocksAll{s.CacheLock}
		return s
	}},
	{name: "a bound that does not hold", finds: []string{
		"a cache takes no more than its bound and tells what it evicts",
	}, wrap: func(s driver.Set) driver.Set {
		s.CacheBounded = noBound{s.CacheBounded}
		return s
	}},
}

// countsAndTouches gives an entry the time to live of each Increment.
type countsAndTouches struct{ driver.Cache }

func (c countsAndTouches) Do(ctx context.Context, ns prism.Namespace, ops []driver.CacheOp, results []driver.CacheResult) error {
	for i := range ops {
		if err := c.Cache.Do(ctx, ns, ops[i:i+1], results[i:i+1]); err != nil {
			return err
		}
		if ops[i].Kind == driver.CacheIncrement && results[i].Err == nil {
			touch := []driver.CacheOp{{Kind: driver.CacheTouch, Key: ops[i].Key, TTL: ops[i].TTL}}
			if err := c.Cache.Do(ctx, ns, touch, make([]driver.CacheResult, 1)); err != nil {
				return err
			}
		}
	}
	return nil
}

func TestEachDefectOfACacheIsFoundByItsPromises(t *testing.T) {
	t.Parallel()
	for _, d := range cacheDefects {
		t.Run(d.name, func(t *testing.T) {
			t.Parallel()
			h := drivertest.Driver(memory.Spec()).Wrapped(d.name, d.wrap)
			found := failed(drivertest.Check(t.Context(), h, "cache_basic", "cache_bounded", "cache_lock"))
			slices.Sort(found)
			want := slices.Sorted(slices.Values(d.finds))
			if !slices.Equal(found, want) {
				t.Errorf("found by\n%q, want\n%q", found, want)
			}
		})
	}
}
