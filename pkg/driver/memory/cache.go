package memory

import (
	"context"
	"math"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/maypok86/otter/v2"
	"github.com/puzpuzpuz/xsync/v4"

	"github.com/prism-data-layer/prism/pkg/driver"
	"github.com/prism-data-layer/prism/pkg/prism"
)

var (
	_ driver.Cache        = (*caches)(nil)
	_ driver.CacheBounded = (*caches)(nil)
	_ driver.CacheLock    = (*caches)(nil)
)

const (
	// cacheBytes bounds the cache of a namespace unless the options say other.
	cacheBytes = 64 << 20
	// cacheOverhead is what an entry takes beside its key and value: the node of
	// the cache, its place in the table and in the policy, the entry itself.
	cacheOverhead = 160
	// maxLocks bounds the locks of a namespace, which nothing else bounds.
	maxLocks = 100_000
)

// caches is the store as a cache: bounded for each namespace by W-TinyLFU,
// which forgets what is used least.
type caches struct {
	store  *store
	spaces *xsync.Map[prism.Namespace, *cacheSpace]
}

func newCaches(s *store) *caches {
	return &caches{store: s, spaces: xsync.NewMap[prism.Namespace, *cacheSpace]()}
}

// A cached entry is never changed: a change puts another in its place.
type cached struct {
	value []byte
	at    int64 // when it ends, in store time and milliseconds; 0: never
}

func (e *cached) ended(now int64) bool { return e.at != 0 && e.at <= now/1e6 }

// A cacheSpace is the cache of one namespace. Reads take no lock; changes are
// made one at a time, so that each sees what the one before left.
type cacheSpace struct {
	store   *store
	entries *otter.Cache[string, *cached]

	held, bytes             atomic.Int64 // entries, and bytes of keys and values
	hits, misses, evictions atomic.Int64

	mu       sync.Mutex
	gone     bool // dropped, or the store was closed
	receipts receipts
	locks    map[string]cacheLock
}

type cacheLock struct {
	owner driver.LockOwner
	until int64 // store time, milliseconds
}

func newCacheSpace(s *store) *cacheSpace {
	sp := &cacheSpace{store: s, receipts: newReceipts(s.opts.Receipts)}
	sp.entries = otter.Must(&otter.Options[string, *cached]{
		MaximumWeight: uint64(s.opts.CacheBytes),
		Weigher: func(key string, e *cached) uint32 {
			return uint32(len(key) + len(e.value) + cacheOverhead)
		},
		ExpiryCalculator: otter.ExpiryWritingFunc(func(e otter.Entry[string, *cached]) time.Duration {
			if e.Value.at == 0 {
				return math.MaxInt64
			}
			return time.Duration(e.Value.at*1e6 - e.SnapshotAtNano)
		}),
		OnAtomicDeletion: func(e otter.DeletionEvent[string, *cached]) {
			sp.add(e.Key, e.Value, -1)
			if e.Cause == otter.CauseOverflow {
				sp.evictions.Add(1)
			}
		},
		Clock: storeTime{s},
		// On the caller, so that the bound holds when a call returns and nothing
		// runs after Close. The functions above take none of the cache's locks.
		Executor: func(work func()) { work() },
	})
	return sp
}

// storeTime lets a cache give memory back by the store's time. What is served
// does not depend on it: readers look at the end of an entry themselves.
type storeTime struct{ s *store }

func (t storeTime) NowNano() int64                      { return t.s.now() }
func (t storeTime) Tick(time.Duration) <-chan time.Time { return nil } // the sweeper cleans up

// add counts an entry that comes (1) or goes (-1).
func (sp *cacheSpace) add(key string, e *cached, n int64) {
	sp.held.Add(n)
	sp.bytes.Add(n * int64(len(key)+len(e.value)))
}

func (c *caches) find(ctx context.Context, ns prism.Namespace) (*cacheSpace, error) {
	if err := ctx.Err(); err != nil {
		return nil, prism.From(err)
	}
	if c.store.closed.Load() {
		return nil, c.store.unavailable()
	}
	sp, _ := c.spaces.Load(ns)
	return sp, nil
}

// space is the cache of a namespace, made if it is new.
func (c *caches) space(ctx context.Context, ns prism.Namespace) (*cacheSpace, error) {
	sp, err := c.find(ctx, ns)
	if sp == nil && err == nil {
		return c.make(ns)
	}
	return sp, err
}

// lock is space with its lock held.
func (c *caches) lock(ctx context.Context, ns prism.Namespace) (*cacheSpace, error) {
	for {
		sp, err := c.space(ctx, ns)
		if err != nil {
			return nil, err
		}
		sp.mu.Lock()
		if !sp.gone {
			return sp, nil
		}
		sp.mu.Unlock() // dropped or closed meanwhile
	}
}

func (c *caches) make(ns prism.Namespace) (*cacheSpace, error) {
	c.store.mu.Lock()
	defer c.store.mu.Unlock()
	if c.store.closed.Load() {
		return nil, c.store.unavailable()
	}
	sp, ok := c.spaces.Load(ns)
	if !ok {
		sp = newCacheSpace(c.store)
		c.spaces.Store(ns, sp)
	}
	return sp, nil
}

// drop forgets the cache of a namespace; the caller holds the store's lock.
func (c *caches) drop(ns prism.Namespace) {
	if sp, ok := c.spaces.LoadAndDelete(ns); ok {
		sp.release()
	}
}

func (c *caches) close() {
	c.spaces.Range(func(_ prism.Namespace, sp *cacheSpace) bool { sp.release(); return true })
	c.spaces.Clear()
}

func (sp *cacheSpace) release() {
	sp.mu.Lock()
	defer sp.mu.Unlock()
	sp.gone = true
	sp.entries.InvalidateAll()
	sp.receipts, sp.locks = receipts{}, nil
}

// usage is what the cache of a namespace holds. Entries past their end count
// until they are swept.
func (c *caches) usage(ns prism.Namespace) driver.Usage {
	sp, ok := c.spaces.Load(ns)
	if !ok {
		return driver.Usage{}
	}
	sp.mu.Lock()
	defer sp.mu.Unlock()
	sp.entries.CleanUp()
	held := sp.held.Load()
	return driver.Usage{Keys: held, Bytes: sp.bytes.Load(), Receipts: int64(sp.receipts.len()), Estimated: held > 0}
}

// held is what all caches take.
func (c *caches) held() (bytes int64) {
	c.spaces.Range(func(_ prism.Namespace, sp *cacheSpace) bool {
		bytes += sp.bytes.Load()
		return true
	})
	return bytes
}

// tidy is the sweeper's work: it gives back what has ended.
func (c *caches) tidy() {
	c.spaces.Range(func(_ prism.Namespace, sp *cacheSpace) bool {
		sp.mu.Lock()
		defer sp.mu.Unlock()
		now := c.store.now() / 1e6
		sp.entries.CleanUp()
		sp.receipts.sweep(now, 10_000)
		sp.endLocks(now)
		return true
	})
}

func (c *caches) Stats(ctx context.Context, ns prism.Namespace) (driver.CacheStats, error) {
	sp, err := c.find(ctx, ns)
	if err != nil {
		return driver.CacheStats{}, err
	}
	s := driver.CacheStats{MaxBytes: int64(c.store.opts.CacheBytes)}
	if sp != nil {
		s.Entries, s.Evictions, s.Hits, s.Misses = sp.held.Load(), sp.evictions.Load(), sp.hits.Load(), sp.misses.Load()
		s.Bytes = sp.bytes.Load() + s.Entries*cacheOverhead
	}
	return s, nil
}

// live is the entry of a key, nil if there is none or its time is over.
func (sp *cacheSpace) live(key string) *cached {
	e, ok := sp.entries.GetIfPresent(key)
	if !ok || e.at != 0 && e.ended(sp.store.now()) {
		return nil
	}
	return e
}

// get is a read that counts.
func (sp *cacheSpace) get(key string) (driver.CacheEntry, bool) {
	e := sp.live(key)
	if e == nil {
		sp.misses.Add(1)
		return driver.CacheEntry{}, false
	}
	sp.hits.Add(1)
	return driver.CacheEntry{Value: clone(e.value), ExpiresAt: sp.store.shown(e.at)}, true
}

// put stores a value of the cache's own, which ends at.
func (sp *cacheSpace) put(key string, value []byte, at int64) {
	e := &cached{value: value, at: at}
	key = strings.Clone(key) // it may be part of a whole message
	sp.add(key, e, 1)
	sp.entries.Set(key, e)
}

func (sp *cacheSpace) end(ttl time.Duration) int64 {
	if ttl == 0 {
		return 0
	}
	return deadline(sp.store.now(), ttl)
}

func (c *caches) Get(ctx context.Context, key prism.Key) (driver.CacheEntry, bool, error) {
	sp, err := c.space(ctx, key.Namespace) // a miss is counted too
	if err != nil {
		return driver.CacheEntry{}, false, err
	}
	e, found := sp.get(key.Name)
	return e, found, nil
}

// Do takes the lock once, and not for reads alone.
func (c *caches) Do(ctx context.Context, ns prism.Namespace, ops []driver.CacheOp, results []driver.CacheResult) error {
	if len(results) < len(ops) {
		return prism.InvalidField("results", "must have room for every operation")
	}
	if slices.ContainsFunc(ops, func(op driver.CacheOp) bool { return !op.Reads() }) {
		sp, err := c.lock(ctx, ns)
		if err != nil {
			return err
		}
		defer sp.mu.Unlock()
		sp.applyAll(ops, results)
		return nil
	}
	sp, err := c.space(ctx, ns)
	if err == nil {
		sp.applyAll(ops, results)
	}
	return err
}

func (sp *cacheSpace) applyAll(ops []driver.CacheOp, results []driver.CacheResult) {
	for i := range ops {
		results[i] = sp.apply(&ops[i])
	}
}

// apply does one operation, under the lock unless it reads.
func (sp *cacheSpace) apply(op *driver.CacheOp) driver.CacheResult {
	switch op.Kind {
	case driver.CacheGet:
		e, found := sp.get(op.Key)
		return driver.CacheResult{Found: found, Value: e.Value, ExpiresAt: e.ExpiresAt}
	case driver.CacheExists:
		return driver.CacheResult{Found: sp.live(op.Key) != nil}
	case 0:
		return driver.CacheResult{Err: prism.InvalidField("kind", "is not an operation")}
	}
	if op.Receipt.IsZero() {
		return sp.change(op)
	}
	now := sp.store.now() / 1e6
	first, ok, err := sp.receipts.replay(op.Receipt, now)
	switch {
	case err != nil:
		return driver.CacheResult{Err: err}
	case ok:
		r := first[0]
		return driver.CacheResult{Found: r.Found, Applied: r.Applied, Number: r.Number, ExpiresAt: r.ExpiresAt, Replayed: true}
	}
	r := sp.change(op)
	if r.Err == nil {
		sp.receipts.keep(op.Receipt, now, driver.Result{Found: r.Found, Applied: r.Applied, Number: r.Number, ExpiresAt: r.ExpiresAt})
	}
	return r
}

// change is the one place where a mutation gets its meaning.
func (sp *cacheSpace) change(op *driver.CacheOp) (r driver.CacheResult) {
	if op.TTL < 0 {
		return driver.CacheResult{Err: prism.InvalidField("ttl", "must not be negative")}
	}
	e := sp.live(op.Key)
	switch op.Kind {
	case driver.CacheSet:
		if r.Applied = op.If == driver.CacheAlways || (op.If == driver.CachePresent) == (e != nil); r.Applied {
			sp.put(op.Key, clone(op.Value), sp.end(op.TTL))
			delete(sp.locks, op.Key)
		}
	case driver.CacheDelete:
		r.Found = e != nil
		sp.entries.Invalidate(op.Key)
		delete(sp.locks, op.Key)
	case driver.CacheTouch:
		if r.Found = e != nil; r.Found {
			at := sp.end(op.TTL)
			sp.put(op.Key, e.value, at)
			r.ExpiresAt = sp.store.shown(at)
		}
	case driver.CacheIncrement:
		r.Number, r.Err = cacheSum(e, op)
		if r.Err != nil {
			return driver.CacheResult{Err: r.Err}
		}
		var at int64
		if e != nil {
			at = e.at
		} else {
			at = sp.end(op.TTL)
		}
		sp.put(op.Key, strconv.AppendInt(nil, r.Number, 10), at)
		delete(sp.locks, op.Key)
	default:
		r.Err = prism.InvalidField("kind", "is not an operation")
	}
	return r
}

// cacheSum is the number under e, or the initial one, plus op's delta.
func cacheSum(e *cached, op *driver.CacheOp) (int64, error) {
	n := op.Initial
	if e != nil {
		var err error
		if n, err = strconv.ParseInt(string(e.value), 10, 64); err != nil {
			return 0, prism.New(prism.ReasonNotANumber, "the value of key %q is not a decimal 64-bit integer", op.Key)
		}
	}
	s := n + op.Delta
	if (s > n) != (op.Delta > 0) && op.Delta != 0 {
		return 0, prism.New(prism.ReasonOverflow, "key %q counts %d: adding %d does not fit 64 bits", op.Key, n, op.Delta)
	}
	return s, nil
}

// holder is the lock of a key that has not ended.
func (sp *cacheSpace) holder(key string, now int64) (cacheLock, bool) {
	l, ok := sp.locks[key]
	if ok && l.until <= now {
		delete(sp.locks, key)
		return cacheLock{}, false
	}
	return l, ok
}

func (sp *cacheSpace) endLocks(now int64) {
	for key, l := range sp.locks {
		if l.until <= now {
			delete(sp.locks, key)
		}
	}
}

func (c *caches) Lock(ctx context.Context, key prism.Key, owner driver.LockOwner, hold time.Duration) (driver.CacheLease, error) {
	sp, err := c.lock(ctx, key.Namespace)
	if err != nil {
		return driver.CacheLease{}, err
	}
	defer sp.mu.Unlock()
	if e, found := sp.get(key.Name); found {
		return driver.CacheLease{Entry: e, Found: true}, nil
	}
	now := sp.store.now()
	l, taken := sp.holder(key.Name, now/1e6)
	if taken && l.owner != owner {
		return driver.CacheLease{Until: sp.store.shown(l.until)}, nil
	}
	if !taken && len(sp.locks) >= maxLocks {
		if sp.endLocks(now / 1e6); len(sp.locks) >= maxLocks {
			return driver.CacheLease{}, prism.New(prism.ReasonOverloaded, "%d keys are locked already", maxLocks)
		}
	}
	if sp.locks == nil {
		sp.locks = make(map[string]cacheLock)
	}
	until := deadline(now, hold)
	sp.locks[strings.Clone(key.Name)] = cacheLock{owner, until}
	return driver.CacheLease{Locked: true, Until: sp.store.shown(until)}, nil
}

func (c *caches) Fill(ctx context.Context, key prism.Key, owner driver.LockOwner, value []byte, ttl time.Duration) (bool, error) {
	sp, err := c.lock(ctx, key.Namespace)
	if err != nil {
		return false, err
	}
	defer sp.mu.Unlock()
	if !sp.unlock(key.Name, owner) {
		return false, nil
	}
	sp.put(key.Name, clone(value), sp.end(ttl))
	return true, nil
}

func (c *caches) Unlock(ctx context.Context, key prism.Key, owner driver.LockOwner) (bool, error) {
	sp, err := c.lock(ctx, key.Namespace)
	if err != nil {
		return false, err
	}
	defer sp.mu.Unlock()
	return sp.unlock(key.Name, owner), nil
}

// unlock lets go of owner's lock; false if owner has none.
func (sp *cacheSpace) unlock(key string, owner driver.LockOwner) bool {
	l, ok := sp.holder(key, sp.store.now()/1e6)
	if !ok || l.owner != owner {
		return false
	}
	delete(sp.locks, key)
	return true
}
