package pebble

import (
	"context"
	"errors"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/cockroachdb/pebble/v2"

	"github.com/prism-data-layer/prism/pkg/driver"
	"github.com/prism-data-layer/prism/pkg/prism"
)

var (
	_ driver.Cache     = (*caches)(nil)
	_ driver.CacheLock = (*caches)(nil)
)

// caches is the store as a cache: entries end, and nothing is evicted.
//
// Reads go to pebble directly. Changes are made by one worker, in order, many
// in one pebble batch when many wait; the batch is not synced. What a cache
// acked outlives a clean stop, and a crash may take the last of it: the log is
// written in order, so that entries, receipts and counters go together. The
// committer of key-value has no part in it, for each of its groups is synced.
type caches struct {
	s     *store
	queue chan *cacheRequest
	stop  chan struct{} // closed when no call is left
	done  chan struct{} // closed when the worker has ended
	// applying: pebble is at work on a batch.
	applying atomic.Bool
	// next is when something ends, swept when the worker last looked; its own.
	next, swept int64

	mu     sync.RWMutex // guards the map
	spaces map[prism.Namespace]*cacheSpace
}

// cacheSpace is what is kept in memory of the cache of a namespace.
type cacheSpace struct {
	name prism.Namespace
	// counters as of the last batch, for everyone.
	entries, bytes, receipts atomic.Int64

	// The worker's own.
	meta  cacheMeta
	dirty bool
	due   int64 // a time before which nothing ends
	// receiptsDue is a time before which no receipt ends; head is the first
	// one in the order they go, nil: not known.
	receiptsDue int64
	head        []byte
	locks       map[string]cacheLock
}

type cacheLock struct {
	owner driver.LockOwner
	until int64 // Unix milliseconds
}

// cacheQueue is how many requests may wait.
const cacheQueue = 256

func newCaches(s *store) *caches {
	return &caches{
		s: s, queue: make(chan *cacheRequest, cacheQueue), stop: make(chan struct{}), done: make(chan struct{}),
		spaces: make(map[prism.Namespace]*cacheSpace),
	}
}

func newCacheSpace(name prism.Namespace) *cacheSpace {
	return &cacheSpace{name: name, due: never, receiptsDue: never, locks: make(map[string]cacheLock)}
}

func (sp *cacheSpace) publish() {
	sp.entries.Store(sp.meta.entries)
	sp.bytes.Store(sp.meta.bytes)
	sp.receipts.Store(sp.meta.receipts)
}

// load reads what is known of all caches. When something ends is found out by
// the first sweep.
func (c *caches) load() error {
	it, err := c.s.db.NewIter(&pebble.IterOptions{LowerBound: []byte{kindCache}, UpperBound: []byte{kindCache + 1}})
	if err != nil {
		return err
	}
	defer it.Close()
	var end []byte
	for ok := it.First(); ok; ok = it.SeekGE(end) {
		_, ns, rest, err := splitKey(it.Key())
		if err != nil {
			return err
		}
		sp := newCacheSpace(prism.Namespace(ns))
		sp.due, sp.receiptsDue = 0, 0
		if len(rest) == 1 && rest[0] == cachePartMeta {
			if sp.meta, err = parseCacheMeta(keySum(it.Key()), it.Value()); err != nil {
				c.s.damage.Add(1)
				c.s.log.Error("what is known of a cache is damaged; its counters start anew", "namespace", string(ns), "error", err)
			}
		}
		sp.publish()
		c.spaces[sp.name] = sp
		end = appendSpanEnd(end[:0], kindCache, sp.name)
	}
	return it.Error()
}

func (c *caches) find(ns prism.Namespace) *cacheSpace {
	c.mu.RLock()
	defer c.mu.RUnlock()
	return c.spaces[ns]
}

// space finds or makes one; only the worker makes them.
func (c *caches) space(ns prism.Namespace) *cacheSpace {
	if sp := c.find(ns); sp != nil {
		return sp
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	sp := newCacheSpace(ns)
	c.spaces[ns] = sp
	return sp
}

func (c *caches) list() []*cacheSpace {
	c.mu.RLock()
	defer c.mu.RUnlock()
	list := make([]*cacheSpace, 0, len(c.spaces))
	for _, sp := range c.spaces {
		list = append(list, sp)
	}
	return list
}

// usage is what the cache of a namespace holds; what has ended counts until it
// is swept.
func (c *caches) usage(ns prism.Namespace) driver.Usage {
	sp := c.find(ns)
	if sp == nil {
		return driver.Usage{}
	}
	n := sp.entries.Load()
	return driver.Usage{Keys: n, Bytes: sp.bytes.Load(), Receipts: sp.receipts.Load(), Estimated: n > 0}
}

// A cacheRequest waits for the worker.
type cacheRequest struct {
	work  func(*cacheBatch) error
	err   error
	state atomic.Int32 // requestQueued and what follows it
	done  chan struct{}
}

// submit has work done by the worker and waits for it.
func (c *caches) submit(ctx context.Context, work func(*cacheBatch) error) error {
	if err := c.s.enter(); err != nil {
		return err
	}
	defer c.s.leave()
	if err := ctx.Err(); err != nil {
		return prism.From(err)
	}
	r := &cacheRequest{work: work, done: make(chan struct{})}
	if c.stalled() {
		return c.s.refuseFull()
	}
	select {
	case c.queue <- r:
	case <-c.s.failed:
		return c.s.failure.Load()
	case <-ctx.Done():
		return prism.From(ctx.Err())
	}
	select {
	case <-r.done:
		return r.err
	case <-c.s.failed:
		return c.s.failure.Load()
	case <-ctx.Done():
	}
	if r.state.CompareAndSwap(requestQueued, requestAbandoned) {
		return prism.From(ctx.Err())
	}
	// The worker has it and reads the caller's memory, for a moment.
	for r.state.Load() == requestTaken {
		select {
		case <-r.done:
			return r.err
		case <-c.s.failed:
			return c.s.failure.Load()
		case <-time.After(50 * time.Microsecond):
		}
	}
	select {
	case <-r.done:
		return r.err
	default:
		return prism.From(ctx.Err())
	}
}

// stalled reports whether pebble is waiting for disk space.
func (c *caches) stalled() bool {
	return c.s.disk.waiting.Load() > 0 || c.s.disk.flushFails.Load() && c.applying.Load()
}

// refuse answers what is queued with err.
func (c *caches) refuse(err error) {
	for _, r := range c.take(nil) {
		if r.state.CompareAndSwap(requestQueued, requestTaken) {
			r.err = err
			close(r.done)
		}
	}
}

// run is the worker.
func (c *caches) run() {
	defer close(c.done)
	var list []*cacheRequest
	for {
		if c.dueNow() { // however busy it is
			c.sweep()
		}
		timer := c.s.clock.NewTimer(c.nap())
		select {
		case r := <-c.queue:
			list = c.take(append(list[:0], r))
			c.work(list)
		case <-timer.C:
			c.sweep()
		case <-c.stop:
			timer.Stop()
			return
		case <-c.s.failed:
			timer.Stop()
			return
		}
		timer.Stop()
	}
}

// take adds what waits, so that it shares a batch.
func (c *caches) take(list []*cacheRequest) []*cacheRequest {
	for len(list) < cacheQueue {
		select {
		case r := <-c.queue:
			list = append(list, r)
		default:
			return list
		}
	}
	return list
}

// work does a list of requests as one batch.
func (c *caches) work(list []*cacheRequest) {
	list = slices.DeleteFunc(list, func(r *cacheRequest) bool {
		return !r.state.CompareAndSwap(requestQueued, requestTaken)
	})
	b := c.begin()
	for _, r := range list {
		r.err = classify(c.s.name, r.work(b))
		r.state.Store(requestBuilt)
	}
	if err := b.apply(); err != nil {
		for _, r := range list {
			r.err = err
		}
	}
	for _, r := range list {
		close(r.done)
	}
}

// Get reads from pebble, past the worker.
func (c *caches) Get(ctx context.Context, key prism.Key) (driver.CacheEntry, bool, error) {
	if err := c.s.enter(); err != nil {
		return driver.CacheEntry{}, false, err
	}
	defer c.s.leave()
	if err := ctx.Err(); err != nil {
		return driver.CacheEntry{}, false, prism.From(err)
	}
	return c.read(key, true)
}

func (c *caches) read(key prism.Key, value bool) (driver.CacheEntry, bool, error) {
	buf := buffers.Get().(*[]byte)
	*buf = appendCacheKey((*buf)[:0], key.Namespace, cachePartEntry, key.Name)
	defer buffers.Put(buf)
	record, closer, err := c.s.db.Get(*buf)
	if errors.Is(err, pebble.ErrNotFound) {
		return driver.CacheEntry{}, false, nil
	}
	if err != nil {
		return driver.CacheEntry{}, false, classify(c.s.name, err)
	}
	expires, v, ok := c.s.parseCached(keySum(*buf), record)
	ok = ok && (expires == 0 || expires > c.s.clock.Now().UnixMilli())
	var e driver.CacheEntry
	if ok {
		e.ExpiresAt = timeOf(expires)
		if value {
			e.Value = append(make([]byte, 0, len(v)), v...)
		}
	}
	return e, ok, classify(c.s.name, closer.Close())
}

// parseCached reads an entry. A cache may forget: what is damaged is not there.
func (s *store) parseCached(keySum uint32, record []byte) (expires int64, value []byte, ok bool) {
	expires, value, err := parseCacheEntry(keySum, record)
	if err != nil {
		s.damage.Add(1)
		s.log.Error("an entry of a cache is damaged and is taken for missing", "error", err)
	}
	return expires, value, err == nil
}

// Do of reads alone goes past the worker.
func (c *caches) Do(ctx context.Context, ns prism.Namespace, ops []driver.CacheOp, results []driver.CacheResult) error {
	if len(results) < len(ops) {
		return prism.InvalidField("results", "must have room for every operation")
	}
	if slices.ContainsFunc(ops, func(op driver.CacheOp) bool { return !op.Reads() || op.Kind == 0 }) {
		return c.submit(ctx, func(b *cacheBatch) error {
			sp := b.c.space(ns)
			for i := range ops {
				results[i] = b.do(sp, &ops[i])
			}
			return nil
		})
	}
	if err := c.s.enter(); err != nil {
		return err
	}
	defer c.s.leave()
	if err := ctx.Err(); err != nil {
		return prism.From(err)
	}
	for i := range ops {
		e, found, err := c.read(prism.Key{Namespace: ns, Name: ops[i].Key}, ops[i].Kind == driver.CacheGet)
		if results[i] = (driver.CacheResult{Found: found, Err: err}); ops[i].Kind == driver.CacheGet {
			results[i].Value, results[i].ExpiresAt = e.Value, e.ExpiresAt
		}
	}
	return nil
}

func (c *caches) Lock(ctx context.Context, key prism.Key, owner driver.LockOwner, hold time.Duration) (l driver.CacheLease, err error) {
	err = c.submit(ctx, func(b *cacheBatch) (err error) {
		l, err = b.lock(b.c.space(key.Namespace), key.Name, owner, hold)
		return err
	})
	return l, err
}

func (c *caches) Fill(ctx context.Context, key prism.Key, owner driver.LockOwner, value []byte, ttl time.Duration) (applied bool, err error) {
	err = c.submit(ctx, func(b *cacheBatch) (err error) {
		applied, err = b.fill(b.c.space(key.Namespace), key.Name, owner, value, ttl)
		return err
	})
	return applied && err == nil, err
}

func (c *caches) Unlock(ctx context.Context, key prism.Key, owner driver.LockOwner) (released bool, err error) {
	err = c.submit(ctx, func(b *cacheBatch) error {
		released = b.c.space(key.Namespace).unlock(key.Name, owner, b.nowMs)
		return nil
	})
	return released && err == nil, err
}

// drop removes the cache of a namespace, durably.
func (c *caches) drop(ctx context.Context, ns prism.Namespace) error {
	if c.find(ns) == nil {
		return nil
	}
	return c.submit(ctx, func(b *cacheBatch) error {
		b.sync = true
		return b.drop(b.c.space(ns))
	})
}
