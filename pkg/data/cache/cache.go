// Package cache is what a cache means on every backend: what is valid, when an
// entry ends, who may fill a missing one, what a receipt covers. The gateway
// calls it with what came over the wire; below it are only drivers and the
// wrappers around them.
package cache

import (
	"context"
	"sync/atomic"
	"time"

	"github.com/prism-data-layer/prism/pkg/clock"
	"github.com/prism-data-layer/prism/pkg/data"
	"github.com/prism-data-layer/prism/pkg/driver"
	"github.com/prism-data-layer/prism/pkg/prism"
)

// The types of the contract, so that the gateway need not know drivers.
type (
	Op     = driver.CacheOp
	OpKind = driver.CacheOpKind
	Result = driver.CacheResult
	Entry  = driver.CacheEntry
	If     = driver.CacheIf
)

// The kinds of operations; Op and Result say what each reads and answers.
const (
	OpGet       = driver.CacheGet
	OpExists    = driver.CacheExists
	OpSet       = driver.CacheSet
	OpDelete    = driver.CacheDelete
	OpTouch     = driver.CacheTouch
	OpIncrement = driver.CacheIncrement
)

// The conditions of a set.
const (
	Always  = driver.CacheAlways
	Absent  = driver.CacheAbsent
	Present = driver.CachePresent
)

const (
	// DefaultTTL is given to an entry that asks for none in a namespace that says
	// nothing: a cache that keeps things for ever is no cache.
	DefaultTTL = 15 * time.Minute
	// MaxTTL is the longest time to live.
	MaxTTL = 10 * 365 * 24 * time.Hour
)

// A Policy is what a namespace says of all its entries.
type Policy struct {
	DefaultTTL time.Duration // given to an entry that asks for none; 0: the model's
	MaxTTL     time.Duration // refuses longer; 0: no bound but the model's
	Receipts   int64         // idempotency keys that are kept; 0: the store's bound
}

// A Store is one namespace as a cache.
type Store struct {
	set    driver.Set
	ns     prism.Namespace
	policy Policy
	ttl    time.Duration // of an entry that asks for none
	sealer *data.Sealer
	clock  clock.Clock
	live   *live
}

// live is what the versions of a namespace share: its figures, and those who
// wait for a missing entry.
type live struct {
	hits, misses atomic.Int64
	waiters      waiters
}

// New returns the namespace ns of set. The sealer authenticates its locks. was
// is the version before, on the same backend, whose figures and waiters go on;
// nil: there is none.
func New(set driver.Set, ns prism.Namespace, p Policy, s *data.Sealer, c clock.Clock, was *Store) *Store {
	st := &Store{set: set, ns: ns, policy: p, ttl: p.DefaultTTL, sealer: s, clock: c, live: &live{}}
	if was != nil {
		st.live = was.live
	}
	if st.ttl == 0 {
		st.ttl = DefaultTTL
	}
	if p.MaxTTL > 0 {
		st.ttl = min(st.ttl, p.MaxTTL)
	}
	return st
}

// Get returns the entry of a key; a missing one is no error.
func (s *Store) Get(ctx context.Context, key string) (e Entry, found bool, err error) {
	if err := prism.CheckKey("key", key); err != nil {
		return Entry{}, false, err
	}
	if s.set.Cache == nil {
		return Entry{}, false, s.missing("cache_basic")
	}
	e, found, err = s.set.Cache.Get(ctx, s.key(key))
	if err == nil {
		s.count(found)
	}
	return e, found, err
}

// Do checks and runs one operation.
func (s *Store) Do(ctx context.Context, op *Op) (Result, error) {
	if err := s.Check(op); err != nil {
		return Result{}, err
	}
	var results [1]Result
	if err := s.set.Cache.Do(ctx, s.ns, []Op{*op}, results[:]); err != nil {
		return Result{}, err
	}
	r := results[0]
	if r.Err != nil {
		return Result{}, r.Err
	}
	s.done(op, &r)
	return r, nil
}

// GetMulti reads many keys in one round trip; results[i] is of keys[i], with an
// error of its own where the key is wrong.
func (s *Store) GetMulti(ctx context.Context, keys []string) ([]Result, error) {
	if len(keys) > prism.MaxBatchItems {
		return nil, prism.InvalidField("keys", "must have at most 1000 items")
	}
	if s.set.Cache == nil {
		return nil, s.missing("cache_basic")
	}
	ops, results := make([]Op, len(keys)), make([]Result, len(keys))
	for i, key := range keys {
		ops[i] = Op{Kind: OpGet, Key: key}
	}
	return results, s.Batch(ctx, ops, results)
}

// Batch runs many operations in one round trip to the store, each with a result
// of its own. Operations on one key run in order. The error is for the batch as
// a whole.
func (s *Store) Batch(ctx context.Context, ops []Op, results []Result) error {
	if len(ops) > prism.MaxBatchItems {
		return prism.InvalidField("items", "must be at most 1000")
	}
	bad := 0
	for i := range ops {
		results[i] = Result{}
		if err := s.Check(&ops[i]); err != nil {
			results[i].Err = err
			bad++
		}
	}
	switch {
	case bad == len(ops):
		return nil
	case bad > 0:
		if err := s.batchGood(ctx, ops, results, len(ops)-bad); err != nil {
			return err
		}
	default:
		if err := s.set.Cache.Do(ctx, s.ns, ops, results); err != nil {
			return err
		}
	}
	for i := range ops {
		if results[i].Err == nil {
			s.done(&ops[i], &results[i])
		}
	}
	return nil
}

// batchGood runs only the operations that were found valid.
func (s *Store) batchGood(ctx context.Context, ops []Op, results []Result, n int) error {
	good, at := make([]Op, 0, n), make([]int, 0, n)
	for i := range ops {
		if results[i].Err == nil {
			good, at = append(good, ops[i]), append(at, i)
		}
	}
	answers := make([]Result, n)
	if err := s.set.Cache.Do(ctx, s.ns, good, answers); err != nil {
		return err
	}
	for j, i := range at {
		results[i] = answers[j]
	}
	return nil
}

// done is what follows an operation that worked.
func (s *Store) done(op *Op, r *Result) {
	switch op.Kind {
	case OpGet:
		s.count(r.Found)
	case OpSet, OpDelete, OpIncrement:
		s.live.waiters.wake(op.Key)
	}
}

func (s *Store) count(found bool) {
	if found {
		s.live.hits.Add(1)
	} else {
		s.live.misses.Add(1)
	}
}

// Stats are figures of the namespace since the gateway was started.
type Stats struct {
	Hits, Misses int64
	// Bounded: the backend bounds the cache and tells the rest.
	Bounded                             bool
	Entries, Bytes, MaxBytes, Evictions int64
}

// HitRatio is the part of the reads that found an entry, 0 without reads.
func (s Stats) HitRatio() float64 {
	if s.Hits+s.Misses == 0 {
		return 0
	}
	return float64(s.Hits) / float64(s.Hits+s.Misses)
}

// Stats tells how well the cache does.
func (s *Store) Stats(ctx context.Context) (Stats, error) {
	if s.set.Cache == nil {
		return Stats{}, s.missing("cache_basic")
	}
	st := Stats{Hits: s.live.hits.Load(), Misses: s.live.misses.Load()}
	if s.set.CacheBounded == nil {
		return st, nil
	}
	b, err := s.set.CacheBounded.Stats(ctx, s.ns)
	if err != nil {
		return Stats{}, err
	}
	st.Bounded, st.Entries, st.Bytes, st.MaxBytes, st.Evictions = true, b.Entries, b.Bytes, b.MaxBytes, b.Evictions
	return st, nil
}

// Instant reports whether the store never waits; see driver.Info.
func (s *Store) Instant() bool { return s.set.Info.Instant }

func (s *Store) key(name string) prism.Key { return prism.Key{Namespace: s.ns, Name: name} }

// missing is the refusal of a call that the backend cannot serve.
func (s *Store) missing(capability string) *prism.Error {
	return data.Missing(&s.set, s.ns, capability)
}
