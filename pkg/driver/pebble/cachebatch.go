package pebble

import (
	"encoding/binary"
	"errors"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/cockroachdb/pebble/v2"

	"github.com/prism-data-layer/prism/pkg/driver"
	"github.com/prism-data-layer/prism/pkg/prism"
)

const (
	// cacheNap is the longest sleep of the worker while something may end.
	cacheNap = time.Second
	// cacheBreath is the least time between two sweeps.
	cacheBreath = 100 * time.Millisecond
	// cacheIdle is its sleep otherwise.
	cacheIdle = time.Minute
	// cacheSweep is how much one batch of the sweep removes.
	cacheSweep = 2048
	// maxLocks bounds the locks of a namespace, which nothing else bounds.
	maxLocks = 100_000
)

// A cacheBatch is what the worker does at once. It is indexed, so that an
// operation sees what the ones before it wrote.
type cacheBatch struct {
	c       *caches
	batch   *pebble.Batch
	now     time.Time
	nowMs   int64
	sync    bool
	full    bool // only what frees space may write
	touched []*cacheSpace
	before  []cacheMeta

	key, buf []byte
}

func (c *caches) begin() *cacheBatch {
	now := c.s.clock.Now()
	free, low := c.s.disk.room()
	return &cacheBatch{
		c: c, batch: c.s.db.NewIndexedBatch(), now: now, nowMs: now.UnixMilli(),
		full: free < low || c.s.disk.flushFails.Load(),
	}
}

// touch is the counters of a cache, to be changed.
func (b *cacheBatch) touch(sp *cacheSpace) *cacheMeta {
	if !sp.dirty {
		sp.dirty = true
		b.touched, b.before = append(b.touched, sp), append(b.before, sp.meta)
	}
	return &sp.meta
}

// apply hands the batch to pebble, which writes it to its log and syncs it only
// if that was asked for.
func (b *cacheBatch) apply() (err error) {
	defer b.batch.Close()
	for _, sp := range b.touched {
		b.key = appendCachePart(b.key[:0], sp.name, cachePartMeta)
		b.buf = sp.meta.append(keySum(b.key), b.buf[:0])
		_ = b.batch.Set(b.key, b.buf, nil) // fails only on an applied batch
	}
	switch failure := b.c.s.failure.Load(); {
	case failure != nil:
		err = failure
	case b.batch.Empty():
	default:
		if free, low := b.c.s.disk.room(); int64(b.batch.Len()) > free-low/4 {
			err = b.c.s.refuseFull()
			break
		}
		b.c.applying.Store(true)
		options := pebble.NoSync
		if b.sync {
			options = pebble.Sync
		}
		if err = b.c.s.db.Apply(b.batch, options); err != nil {
			b.c.s.fail(err)
			err = b.c.s.failure.Load()
		}
		b.c.applying.Store(false)
	}
	for i, sp := range b.touched {
		if sp.dirty = false; err != nil {
			// Nothing of it happened: what was learned on the way is looked up
			// again, and locks that were taken end by themselves.
			sp.meta, sp.due, sp.receiptsDue, sp.head = b.before[i], 0, 0, nil
			b.c.next = b.nowMs + cacheNap.Milliseconds()
		}
		sp.publish()
	}
	return err
}

// get reads a record through the batch. What it returns is good until the next
// change of the batch.
func (b *cacheBatch) get(key []byte) ([]byte, error) {
	record, closer, err := b.batch.Get(key)
	if errors.Is(err, pebble.ErrNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	b.buf = append(b.buf[:0], record...)
	return b.buf, closer.Close()
}

// A cacheCell is the present state of a key.
type cacheCell struct {
	stored  bool // there is a record, ended or not
	live    bool
	expires int64
	size    int // of the value
	value   []byte
}

func (b *cacheBatch) load(sp *cacheSpace, key string) (c cacheCell, err error) {
	b.key = appendCacheKey(b.key[:0], sp.name, cachePartEntry, key)
	record, err := b.get(b.key)
	if record == nil || err != nil {
		return c, err
	}
	c.stored = true
	expires, value, ok := b.c.s.parseCached(keySum(b.key), record)
	if ok {
		c.expires, c.value, c.size = expires, append(make([]byte, 0, len(value)), value...), len(value)
		c.live = expires == 0 || expires > b.nowMs
	}
	return c, nil
}

// put stores an entry over what c found.
func (b *cacheBatch) put(sp *cacheSpace, key string, c *cacheCell, expires int64, value []byte) error {
	m := b.touch(sp)
	if !c.stored {
		m.entries++
		m.bytes += int64(len(key))
	}
	m.bytes += int64(len(value) - c.size)
	if err := b.reindex(sp, key, c.expires, expires); err != nil {
		return err
	}
	b.key = appendCacheKey(b.key[:0], sp.name, cachePartEntry, key)
	b.buf = putCacheEntry(keySum(b.key), b.buf[:0], expires, value)
	return b.batch.Set(b.key, b.buf, nil)
}

// remove takes away what c found.
func (b *cacheBatch) remove(sp *cacheSpace, key string, c *cacheCell) error {
	if !c.stored {
		return nil
	}
	m := b.touch(sp)
	m.entries--
	m.bytes -= int64(len(key) + c.size)
	if err := b.reindex(sp, key, c.expires, 0); err != nil {
		return err
	}
	b.key = appendCacheKey(b.key[:0], sp.name, cachePartEntry, key)
	return b.batch.Delete(b.key, nil)
}

// reindex moves a key among what ends.
func (b *cacheBatch) reindex(sp *cacheSpace, key string, from, to int64) error {
	if from == to {
		return nil
	}
	if from != 0 {
		b.key = appendCacheTimeKey(b.key[:0], sp.name, cachePartExpiry, from, key)
		if err := b.batch.Delete(b.key, nil); err != nil {
			return err
		}
	}
	if to == 0 {
		return nil
	}
	sp.due, b.c.next = min(sp.due, to), min(b.c.next, to)
	b.key = appendCacheTimeKey(b.key[:0], sp.name, cachePartExpiry, to, key)
	return b.batch.Set(b.key, nil, nil)
}

// end is when something set now ends; it is never before its time.
func (b *cacheBatch) end(ttl time.Duration) int64 {
	if ttl == 0 {
		return 0
	}
	g := group{now: b.now}
	return g.expiry(ttl)
}

// do is one operation, unless its receipt says that it was done before.
func (b *cacheBatch) do(sp *cacheSpace, op *driver.CacheOp) driver.CacheResult {
	r, err := b.once(sp, op)
	if err != nil {
		return driver.CacheResult{Err: classify(b.c.s.name, err)}
	}
	return r
}

func (b *cacheBatch) once(sp *cacheSpace, op *driver.CacheOp) (r driver.CacheResult, err error) {
	if op.Kind == 0 || op.Reads() || op.Receipt.IsZero() {
		return b.change(sp, op)
	}
	known, err := b.receipt(sp, op.Receipt.ID)
	switch {
	case err != nil:
		return r, err
	case known != nil && known.expires > b.nowMs && known.body != op.Receipt.Body:
		return r, prism.New(prism.ReasonKeyReused, "the idempotency key was used before with another request")
	case known != nil && known.expires > b.nowMs:
		known.answer.Replayed = true
		return known.answer, nil
	case known != nil:
		if err := b.forget(sp, op.Receipt.ID, known); err != nil {
			return r, err
		}
	}
	if r, err = b.change(sp, op); err != nil {
		return r, err
	}
	return r, b.keep(sp, op.Receipt, r)
}

// change is the one place where an operation gets its meaning.
func (b *cacheBatch) change(sp *cacheSpace, op *driver.CacheOp) (r driver.CacheResult, err error) {
	if op.Kind == 0 || op.Kind > driver.CacheIncrement {
		return r, errKind()
	}
	if op.TTL < 0 {
		return r, prism.InvalidField("ttl", "must not be negative")
	}
	c, err := b.load(sp, op.Key)
	if err != nil {
		return r, err
	}
	if b.full && !op.Reads() && op.Kind != driver.CacheDelete {
		return r, b.c.s.refuseFull()
	}
	switch op.Kind {
	case driver.CacheGet:
		if r.Found = c.live; r.Found {
			r.Value, r.ExpiresAt = c.value, timeOf(c.expires)
		}
	case driver.CacheExists:
		r.Found = c.live
	case driver.CacheSet:
		if r.Applied = op.If == driver.CacheAlways || (op.If == driver.CachePresent) == c.live; r.Applied {
			delete(sp.locks, op.Key)
			err = b.put(sp, op.Key, &c, b.end(op.TTL), op.Value)
		}
	case driver.CacheDelete:
		r.Found = c.live
		delete(sp.locks, op.Key)
		err = b.remove(sp, op.Key, &c)
	case driver.CacheTouch:
		if r.Found = c.live; r.Found {
			expires := b.end(op.TTL)
			r.ExpiresAt = timeOf(expires)
			err = b.put(sp, op.Key, &c, expires, c.value)
		}
	case driver.CacheIncrement:
		if r.Number, err = cacheSum(&c, op); err != nil {
			return driver.CacheResult{}, err
		}
		expires := c.expires
		if !c.live {
			expires = b.end(op.TTL)
		}
		delete(sp.locks, op.Key)
		err = b.put(sp, op.Key, &c, expires, strconv.AppendInt(nil, r.Number, 10))
	}
	return r, err
}

// cacheSum is the number under c, or the initial one, plus op's delta.
func cacheSum(c *cacheCell, op *driver.CacheOp) (n int64, err error) {
	if n = op.Initial; c.live {
		if n, err = number(c.value); err != nil {
			return 0, err
		}
	}
	if op.Delta > 0 && n > math.MaxInt64-op.Delta || op.Delta < 0 && n < math.MinInt64-op.Delta {
		return 0, prism.New(prism.ReasonOverflow, "%d plus %d does not fit 64 bits", n, op.Delta)
	}
	return n + op.Delta, nil
}

// receipt finds a receipt, ended or not; a damaged one is forgotten.
func (b *cacheBatch) receipt(sp *cacheSpace, id [16]byte) (*cacheReceipt, error) {
	b.key = appendCacheKey(b.key[:0], sp.name, cachePartReceipt, string(id[:]))
	record, err := b.get(b.key)
	if record == nil || err != nil {
		return nil, err
	}
	r, err := parseCacheReceipt(keySum(b.key), record)
	if err != nil {
		b.c.s.damage.Add(1)
		b.c.s.log.Error("a receipt of a cache is damaged and is forgotten", "namespace", string(sp.name), "error", err)
		b.touch(sp).receipts--
		return nil, b.batch.Delete(b.key, nil)
	}
	return &r, nil
}

func (b *cacheBatch) keep(sp *cacheSpace, q driver.Receipt, answer driver.CacheResult) error {
	bound := b.c.s.options.Receipts
	if q.Max > 0 {
		bound = min(bound, q.Max)
	}
	if err := b.trim(sp, bound-1, sweepStep); err != nil {
		return err
	}
	m := b.touch(sp)
	m.receipts++
	m.sequence++
	r := cacheReceipt{body: q.Body, expires: b.end(q.Keep), sequence: m.sequence, answer: answer}
	b.key = appendCacheKey(b.key[:0], sp.name, cachePartReceipt, string(q.ID[:]))
	b.buf = r.append(keySum(b.key), b.buf[:0])
	if err := b.batch.Set(b.key, b.buf, nil); err != nil {
		return err
	}
	b.key = binary.BigEndian.AppendUint64(appendCacheTimeKey(b.key[:0], sp.name, cachePartOrder, r.expires, ""), r.sequence)
	sp.receiptsDue, b.c.next = min(sp.receiptsDue, r.expires), min(b.c.next, r.expires)
	if sp.head != nil && string(b.key) < string(sp.head) {
		sp.head = nil // it goes before others that are kept longer
	}
	return b.batch.Set(b.key, q.ID[:], nil)
}

func (b *cacheBatch) forget(sp *cacheSpace, id [16]byte, r *cacheReceipt) error {
	b.touch(sp).receipts--
	b.key = appendCacheKey(b.key[:0], sp.name, cachePartReceipt, string(id[:]))
	if err := b.batch.Delete(b.key, nil); err != nil {
		return err
	}
	b.key = binary.BigEndian.AppendUint64(appendCacheTimeKey(b.key[:0], sp.name, cachePartOrder, r.expires, ""), r.sequence)
	return b.batch.Delete(b.key, nil)
}

// trim forgets receipts that have ended, at most some, and any over the bound,
// those that end first before the others.
func (b *cacheBatch) trim(sp *cacheSpace, bound int64, some int) error {
	if sp.meta.receipts <= bound && b.nowMs < sp.receiptsDue {
		return nil
	}
	from := appendCachePart(nil, sp.name, cachePartOrder)
	prefix := len(from)
	to := successor(slices.Clone(from), prefix-1)
	if sp.head != nil {
		from = sp.head
	}
	it, err := b.batch.NewIter(&pebble.IterOptions{LowerBound: from, UpperBound: to})
	if err != nil {
		return err
	}
	type gone struct {
		id [16]byte
		r  cacheReceipt
	}
	var list []gone
	sp.receiptsDue = never
	for ok := it.First(); ok; ok = it.Next() {
		at, rest, err := cutNumber(it.Key()[prefix:])
		if err != nil || len(rest) != 8 || len(it.Value()) != 16 {
			return errors.Join(errKey, it.Close())
		}
		over := sp.meta.receipts-int64(len(list)) > bound
		if !over && (int64(at) > b.nowMs || len(list) >= some) {
			sp.head, sp.receiptsDue = slices.Clone(it.Key()), int64(at)
			break
		}
		list = append(list, gone{[16]byte(it.Value()), cacheReceipt{expires: int64(at), sequence: binary.BigEndian.Uint64(rest)}})
	}
	if err := errors.Join(it.Error(), it.Close()); err != nil {
		return err
	}
	for i := range list {
		if err := b.forget(sp, list[i].id, &list[i].r); err != nil {
			return err
		}
	}
	return nil
}

// holder is the lock of a key that has not ended.
func (sp *cacheSpace) holder(key string, nowMs int64) (cacheLock, bool) {
	l, ok := sp.locks[key]
	if ok && l.until <= nowMs {
		delete(sp.locks, key)
		return cacheLock{}, false
	}
	return l, ok
}

func (sp *cacheSpace) endLocks(nowMs int64) {
	for key, l := range sp.locks {
		if l.until <= nowMs {
			delete(sp.locks, key)
		}
	}
}

// Locks are the store's own memory: nobody else has the folder, and who held
// one before a restart finds it gone.
func (b *cacheBatch) lock(sp *cacheSpace, key string, owner driver.LockOwner, hold time.Duration) (driver.CacheLease, error) {
	c, err := b.load(sp, key)
	if err != nil {
		return driver.CacheLease{}, err
	}
	if c.live {
		return driver.CacheLease{Entry: driver.CacheEntry{Value: c.value, ExpiresAt: timeOf(c.expires)}, Found: true}, nil
	}
	l, taken := sp.holder(key, b.nowMs)
	if taken && l.owner != owner {
		return driver.CacheLease{Until: timeOf(l.until)}, nil
	}
	if !taken && len(sp.locks) >= maxLocks {
		if sp.endLocks(b.nowMs); len(sp.locks) >= maxLocks {
			return driver.CacheLease{}, prism.New(prism.ReasonOverloaded, "%d keys are locked already", maxLocks)
		}
	}
	until := b.end(hold)
	sp.locks[strings.Clone(key)] = cacheLock{owner, until}
	return driver.CacheLease{Locked: true, Until: timeOf(until)}, nil
}

func (b *cacheBatch) fill(sp *cacheSpace, key string, owner driver.LockOwner, value []byte, ttl time.Duration) (bool, error) {
	if b.full {
		return false, b.c.s.refuseFull()
	}
	if !sp.unlock(key, owner, b.nowMs) {
		return false, nil
	}
	c, err := b.load(sp, key)
	if err != nil {
		return false, err
	}
	return true, b.put(sp, key, &c, b.end(ttl), value)
}

// unlock lets go of owner's lock; false if owner has none.
func (sp *cacheSpace) unlock(key string, owner driver.LockOwner, nowMs int64) bool {
	l, ok := sp.holder(key, nowMs)
	if !ok || l.owner != owner {
		return false
	}
	delete(sp.locks, key)
	return true
}

func (b *cacheBatch) drop(sp *cacheSpace) error {
	*b.touch(sp) = cacheMeta{}
	sp.due, sp.head, sp.receiptsDue = never, nil, never
	clear(sp.locks)
	return b.batch.DeleteRange(appendSpan(nil, kindCache, sp.name), appendSpanEnd(nil, kindCache, sp.name), nil)
}

// soonest is when the worker looks again for what has ended, Unix milliseconds.
func (c *caches) soonest() int64 { return max(c.next, c.swept+cacheBreath.Milliseconds()) }

func (c *caches) dueNow() bool { return c.soonest() <= c.s.clock.Now().UnixMilli() }

// nap is how long the worker may sleep. A wall clock that was set is noticed in
// time.
func (c *caches) nap() time.Duration {
	if c.next == never {
		return cacheIdle
	}
	return max(min(time.UnixMilli(c.soonest()).Sub(c.s.clock.Now()), cacheNap), time.Millisecond)
}

// sweep removes what has ended. Readers do not depend on it: they look at the
// end of an entry themselves.
func (c *caches) sweep() {
	c.next, c.swept = never, c.s.clock.Now().UnixMilli()
	for _, sp := range c.list() {
		b := c.begin()
		sp.endLocks(b.nowMs)
		err := errors.Join(b.sweep(sp), b.trim(sp, math.MaxInt64, cacheSweep))
		if err = errors.Join(err, b.apply()); err != nil && c.s.failure.Load() == nil {
			c.s.log.Warn("a cache could not be swept; what has ended is not served, and it is tried again", "namespace", string(sp.name), "error", err)
			c.next = min(c.next, b.nowMs+cacheNap.Milliseconds())
		}
		c.next = min(c.next, sp.due, sp.receiptsDue)
	}
}

func (b *cacheBatch) sweep(sp *cacheSpace) error {
	if sp.due > b.nowMs {
		return nil
	}
	from := appendCacheTimeKey(nil, sp.name, cachePartExpiry, sp.due, "")
	prefix := len(from) - 8
	it, err := b.c.s.db.NewIter(&pebble.IterOptions{
		LowerBound: from, UpperBound: successor(slices.Clone(from[:prefix]), prefix-1),
	})
	if err != nil {
		return err
	}
	defer it.Close()
	due := int64(never)
	n := 0
	for ok := it.First(); ok; ok = it.Next() {
		at, key, err := cutNumber(it.Key()[prefix:])
		if err != nil {
			return err
		}
		if int64(at) > b.nowMs || n == cacheSweep {
			due = int64(at)
			break
		}
		n++
		if err := b.endOne(sp, string(key), int64(at)); err != nil {
			return err
		}
	}
	if err := it.Error(); err != nil {
		return err
	}
	sp.due = due
	return nil
}

// endOne removes the entry that the index names, if it still ends then.
func (b *cacheBatch) endOne(sp *cacheSpace, key string, at int64) error {
	c, err := b.load(sp, key)
	if err != nil {
		return err
	}
	if c.stored && c.expires == at {
		return b.remove(sp, key, &c)
	}
	b.touch(sp)
	b.key = appendCacheTimeKey(b.key[:0], sp.name, cachePartExpiry, at, key)
	return b.batch.Delete(b.key, nil)
}
