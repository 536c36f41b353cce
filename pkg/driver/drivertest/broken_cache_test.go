package drivertest_test

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/prism-data-layer/prism/pkg/driver"
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

// cacheDefects are ways in which caches are wrong.
var cacheDefects = narrowed([]defect{
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
	{name: "deleting tells nothing", finds: []string{
		"a random mix of operations on a cache does what a map does",
		"caches of two namespaces share nothing, whatever bytes they are made of",
		"deleting an entry tells whether it was there",
		"operations on one entry run in order, each with its own result",
	}, wrap: afterOps(func(op *driver.CacheOp, r *driver.CacheResult) {
		if op.Kind == driver.CacheDelete {
			r.Found = false
		}
	})},
	{name: "counting wraps around in a cache", finds: []string{
		"a random mix of operations on a cache does what a map does",
		"counting what is no number, or past an end, changes nothing",
		"what changes nothing leaves the lock",
	}, wrap: afterOps(func(_ *driver.CacheOp, r *driver.CacheResult) {
		if errors.Is(r.Err, prism.ReasonOverflow) {
			r.Err = nil
		}
	})},
	{name: "an empty value is no entry", finds: []string{
		"a random mix of operations on a cache does what a map does",
		"an empty value in a cache is an entry",
		"counting what is no number, or past an end, changes nothing",
	}, wrap: afterOps(func(op *driver.CacheOp, r *driver.CacheResult) {
		if op.Kind == driver.CacheGet && len(r.Value) == 0 {
			r.Found = false
		}
	})},
	{name: "a missing entry counts as nothing", finds: []string{
		"a cache counts, a missing entry as its initial value",
		"a random mix of operations on a cache does what a map does",
		"counting what is no number, or past an end, changes nothing",
		"what changes nothing leaves the lock",
	}, wrap: func(s driver.Set) driver.Set {
		s.Cache = eachOp{Cache: s.Cache, before: func(op *driver.CacheOp) { op.Initial = 0 }}
		return s
	}},
	{name: "setting an entry again keeps its value", wrap: func(s driver.Set) driver.Set {
		s.Cache = eachOp{Cache: s.Cache, before: func(op *driver.CacheOp) {
			if op.Kind == driver.CacheSet && op.If == driver.CacheAlways {
				op.If = driver.CacheAbsent
			}
		}}
		return s
	}, wide: true, finds: []string{"setting an entry again replaces its value and its end"}},
	{name: "a cache works while its caller is gone", finds: []string{
		"a context that has ended changes nothing in a cache",
	}, wrap: func(s driver.Set) driver.Set {
		s.Cache = ignoresEnd{s.Cache}
		return s
	}},
	{name: "caches of two namespaces are one", finds: []string{
		"Drop empties a cache, receipts too, and no other",
		"Usage counts a cache's entries and bytes",
		"a cache's receipts of other ids and other namespaces are strangers",
		"a random mix of operations on a cache does what a map does",
		"an entry that a cache lacks is no error",
	}, wrap: func(s driver.Set) driver.Set {
		s.Cache = cachesAt{s.Cache, inOne}
		return only(s, "cache_basic")
	}},
	{name: "Drop leaves caches", finds: []string{
		"Drop empties a cache, receipts too, and no other",
		"Drop forgets locks",
		"Stats begin anew after Drop",
	}, wrap: func(s driver.Set) driver.Set {
		s.Store = deafDrop{s.Store}
		return s
	}},
	{name: "hits are misses", finds: []string{
		"Stats count hits and misses",
	}, wrap: func(s driver.Set) driver.Set {
		s.CacheBounded = turnsFigures{s.CacheBounded}
		return s
	}},
	{name: "everybody gets the lock", finds: []string{
		"Unlock lets go for the owner alone",
		"a lock ends after its time, and the next who asks gets it",
		"of 100 who ask at once exactly one gets the lock",
		"the first who asks gets the lock, the others learn when it ends",
		"the same owner's lock starts anew",
		"what changes nothing leaves the lock",
	}, wrap: func(s driver.Set) driver.Set {
		s.CacheLock = locksForAll{s.CacheLock}
		return s
	}},
	{name: "Fill needs no lock", finds: []string{
		"Drop forgets locks",
		"Fill stores the value and lets go of the lock",
		"Fill without the lock changes nothing",
		"a Set, a Delete or an Increment ends the lock, and its Fill changes nothing",
		"a lock ends after its time, and the next who asks gets it",
		"an entry that is there is answered and nothing is locked",
		"locks of other keys and namespaces are strangers",
	}, wrap: func(s driver.Set) driver.Set {
		s.CacheLock = fillsAlways{s.CacheLock, s.Cache}
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
}, "cache_basic", "cache_bounded", "cache_lock")

func afterOps(after func(*driver.CacheOp, *driver.CacheResult)) func(driver.Set) driver.Set {
	return func(s driver.Set) driver.Set {
		s.Cache = eachOp{Cache: s.Cache, after: after}
		return s
	}
}

type ignoresEnd struct{ driver.Cache }

func (c ignoresEnd) Do(ctx context.Context, ns prism.Namespace, ops []driver.CacheOp, results []driver.CacheResult) error {
	if err := c.Cache.Do(context.WithoutCancel(ctx), ns, ops, results); err != nil {
		return err
	}
	if err := ctx.Err(); err != nil {
		return prism.From(err)
	}
	return nil
}

// cachesAt keeps caches somewhere else.
type cachesAt struct {
	driver.Cache
	at whereabouts
}

func (c cachesAt) Get(ctx context.Context, key prism.Key) (driver.CacheEntry, bool, error) {
	return c.Cache.Get(ctx, prism.Key{Namespace: c.at(key.Namespace), Name: key.Name})
}

func (c cachesAt) Do(ctx context.Context, ns prism.Namespace, ops []driver.CacheOp, results []driver.CacheResult) error {
	return c.Cache.Do(ctx, c.at(ns), ops, results)
}

type turnsFigures struct{ driver.CacheBounded }

func (c turnsFigures) Stats(ctx context.Context, ns prism.Namespace) (driver.CacheStats, error) {
	s, err := c.CacheBounded.Stats(ctx, ns)
	s.Hits, s.Misses = s.Misses, s.Hits
	return s, err
}

type locksForAll struct{ driver.CacheLock }

func (c locksForAll) Lock(ctx context.Context, key prism.Key, owner driver.LockOwner, hold time.Duration) (driver.CacheLease, error) {
	l, err := c.CacheLock.Lock(ctx, key, owner, hold)
	l.Locked = err == nil && !l.Found
	return l, err
}

type fillsAlways struct {
	driver.CacheLock
	cache driver.Cache
}

func (c fillsAlways) Fill(ctx context.Context, key prism.Key, _ driver.LockOwner, value []byte, ttl time.Duration) (bool, error) {
	var r [1]driver.CacheResult
	err := c.cache.Do(ctx, key.Namespace, []driver.CacheOp{{Kind: driver.CacheSet, Key: key.Name, Value: value, TTL: ttl}}, r[:])
	return r[0].Applied, err
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
