package client

import (
	"context"
	"time"

	"github.com/prism-data-layer/prism/pkg/prism"
	"github.com/prism-data-layer/prism/pkg/wire"
	"github.com/prism-data-layer/prism/pkg/wire/frame"
	cachev1 "github.com/prism-data-layer/prism/proto/prism/cache/v1"
)

// Cache is one namespace as a cache: its entries end, and may be evicted at any
// time.
type Cache struct {
	c  *Client
	ns string
}

// Cache returns the namespace with that name; nothing is sent.
func (c *Client) Cache(namespace string) *Cache { return &Cache{c, namespace} }

func (h *Cache) rpc() cachev1.CacheServiceClient { return cachev1.NewCacheServiceClient(h.c.Conn()) }

// result runs one operation over the namespace's pipeline.
func (h *Cache) result(ctx context.Context, op *operation) (frame.Result, error) {
	return h.c.traced(ctx, cacheFrames, h.ns, op)
}

// rare is result for the operations whose results stay generated messages.
func (h *Cache) rare(ctx context.Context, op *operation) (*cachev1.PipelineResult, error) {
	r, err := h.result(ctx, op)
	m, _ := r.Other.(*cachev1.PipelineResult)
	return m, err
}

// mutate makes the operation for what changes something: with an id, unless the
// caller has given it a key, so that sending it again is safe.
func (h *Cache) mutate(w write, size int, op *cachev1.PipelineOp) (*operation, error) {
	if w.keepTTL || w.createOnly || w.ifVersion != nil {
		return nil, prism.InvalidField("options", "must be TTL and IdempotencyKey: the others are of key-value")
	}
	o := &operation{other: op, once: w.key, size: size}
	if w.key == "" {
		o.retryID = h.c.ids.next()
	}
	return o, nil
}

// Get returns the entry; a missing one is no error.
func (h *Cache) Get(ctx context.Context, key string) (e Entry, found bool, err error) {
	r, err := h.result(ctx, &operation{kind: frame.Get, key: key, size: len(key)})
	if err != nil {
		return Entry{}, false, err
	}
	e.Value = r.Value
	if r.Expires {
		e.ExpiresAt = time.UnixMilli(r.ExpiresAtMs)
	}
	return e, r.Number != 0, nil
}

// GetMulti returns those of the entries that are there, by key.
func (h *Cache) GetMulti(ctx context.Context, keys ...string) (map[string]Entry, error) {
	found := make(map[string]Entry, len(keys))
	for len(keys) > 0 {
		part := keys[:min(len(keys), prism.MaxBatchItems)]
		rest, err := h.getMulti(ctx, part, found)
		if err != nil {
			return nil, err
		}
		keys = append(rest, keys[len(part):]...)
	}
	return found, nil
}

// getMulti asks for one batch; rest are the keys whose values did not fit.
func (h *Cache) getMulti(ctx context.Context, keys []string, found map[string]Entry) (rest []string, err error) {
	var r *cachev1.GetMultiResponse
	err = h.c.call(ctx, true, func(ctx context.Context) (err error) {
		r, err = h.rpc().GetMulti(ctx, &cachev1.GetMultiRequest{Namespace: h.ns, Keys: keys})
		return err
	})
	for i, e := range r.GetEntries() {
		switch {
		case e.Error != nil:
			return nil, wire.FromItem(e.Error)
		case e.Truncated:
			rest = append(rest, keys[i])
		case e.Found:
			found[keys[i]] = Entry{Key: keys[i], Value: e.Value, ExpiresAt: timeOf(e.ExpiresAtMs)}
		}
	}
	return rest, err
}

// Exists tells whether an entry is there.
func (h *Cache) Exists(ctx context.Context, key string) (bool, error) {
	r, err := h.rare(ctx, &operation{size: len(key), other: &cachev1.PipelineOp{Op: &cachev1.PipelineOp_Exists{Exists: &cachev1.ExistsRequest{Key: key}}}})
	return r.GetExists().GetExists(), err
}

// Set stores a value; without TTL it lives as long as the namespace says.
func (h *Cache) Set(ctx context.Context, key string, value []byte, opts ...WriteOption) error {
	_, err := h.set(ctx, &cachev1.SetRequest{Key: key, Value: value}, opts)
	return err
}

// SetIfAbsent stores value if the key is not there.
func (h *Cache) SetIfAbsent(ctx context.Context, key string, value []byte, opts ...WriteOption) (applied bool, err error) {
	return h.set(ctx, &cachev1.SetRequest{Key: key, Value: value, IfAbsent: true}, opts)
}

// SetIfPresent stores value if the key is there.
func (h *Cache) SetIfPresent(ctx context.Context, key string, value []byte, opts ...WriteOption) (applied bool, err error) {
	return h.set(ctx, &cachev1.SetRequest{Key: key, Value: value, IfPresent: true}, opts)
}

func (h *Cache) set(ctx context.Context, req *cachev1.SetRequest, opts []WriteOption) (applied bool, err error) {
	w := writeOf(opts)
	req.TtlMs, req.IdempotencyKey = w.ttlMs, w.key
	o, err := h.mutate(w, len(req.Key)+len(req.Value), &cachev1.PipelineOp{Op: &cachev1.PipelineOp_Set{Set: req}})
	if err != nil {
		return false, err
	}
	if w.ttlMs == nil && !req.IfAbsent && !req.IfPresent {
		o.kind, o.key, o.value = frame.Set, req.Key, req.Value
	}
	r, err := h.result(ctx, o)
	return r.Number != 0, err
}

// Delete removes an entry and tells whether it was there.
func (h *Cache) Delete(ctx context.Context, key string, opts ...WriteOption) (found bool, err error) {
	w := writeOf(opts)
	o, err := h.mutate(w, len(key), &cachev1.PipelineOp{Op: &cachev1.PipelineOp_Delete{Delete: &cachev1.DeleteRequest{Key: key, IdempotencyKey: w.key}}})
	if err != nil {
		return false, err
	}
	r, err := h.rare(ctx, o)
	return r.GetDelete().GetFound(), err
}

// Touch gives an entry a new time to live, that of TTL or the namespace's, and
// returns its end.
func (h *Cache) Touch(ctx context.Context, key string, opts ...WriteOption) (ends time.Time, found bool, err error) {
	w := writeOf(opts)
	o, err := h.mutate(w, len(key), &cachev1.PipelineOp{Op: &cachev1.PipelineOp_Touch{Touch: &cachev1.TouchRequest{
		Key: key, TtlMs: w.ttlMs, IdempotencyKey: w.key,
	}}})
	if err != nil {
		return time.Time{}, false, err
	}
	r, err := h.rare(ctx, o)
	if err != nil {
		return time.Time{}, false, err
	}
	return timeOf(r.GetTouch().ExpiresAtMs), r.GetTouch().GetFound(), nil
}

// Increment adds delta to a number and returns the sum. A missing entry counts as
// initial and gets its time to live then.
func (h *Cache) Increment(ctx context.Context, key string, delta, initial int64, opts ...WriteOption) (int64, error) {
	w := writeOf(opts)
	o, err := h.mutate(w, len(key), &cachev1.PipelineOp{Op: &cachev1.PipelineOp_Increment{Increment: &cachev1.IncrementRequest{
		Key: key, Delta: delta, Initial: initial, TtlMs: w.ttlMs, IdempotencyKey: w.key,
	}}})
	if err != nil {
		return 0, err
	}
	r, err := h.rare(ctx, o)
	return r.GetIncrement().GetValue(), err
}

// fillWait is how long one call waits for what another computes.
const fillWait = 10 * time.Second

// GetOrFill returns the value of a key. If it is missing, one caller of all those
// who ask, on any gateway, calls fill and stores what it returns; the others wait
// for that. A fill that takes longer than hold is given up for lost: another
// caller begins anew, and a value that comes late is returned but not stored.
func (h *Cache) GetOrFill(ctx context.Context, key string, hold time.Duration, fill func(context.Context) ([]byte, error), opts ...WriteOption) ([]byte, error) {
	for {
		r, err := h.getOrLock(ctx, key, hold)
		switch {
		case err != nil:
			return nil, err
		case r.GetEntry() != nil:
			return r.GetEntry().Value, nil
		case r.GetLock() != "":
			return h.fill(ctx, key, r.GetLock(), fill, opts)
		}
		if !sleep(ctx, time.Duration(r.GetRetryAfterMs())*time.Millisecond) {
			return nil, prism.From(ctx.Err())
		}
	}
}

// getOrLock may be sent again: a lock that was lost on the way only makes its
// callers wait until it ends.
func (h *Cache) getOrLock(ctx context.Context, key string, hold time.Duration) (r *cachev1.GetOrLockResponse, err error) {
	err = h.c.call(ctx, true, func(ctx context.Context) (err error) {
		r, err = h.rpc().GetOrLock(ctx, &cachev1.GetOrLockRequest{Namespace: h.ns, Key: key, LockMs: millis(hold), WaitMs: fillWait.Milliseconds()})
		return err
	})
	return r, err
}

func (h *Cache) fill(ctx context.Context, key, lock string, fill func(context.Context) ([]byte, error), opts []WriteOption) ([]byte, error) {
	filled := false
	defer func() {
		if !filled { // those who wait need not wait for the end of the lock
			_ = h.c.call(context.WithoutCancel(ctx), true, func(ctx context.Context) error {
				_, err := h.rpc().Unlock(ctx, &cachev1.UnlockRequest{Namespace: h.ns, Key: key, Lock: lock})
				return err
			})
		}
	}()
	value, err := fill(ctx)
	if err != nil {
		return nil, err
	}
	filled = true
	w := writeOf(opts)
	// Not sent again: the lock is used once, and the caller has the value.
	err = h.c.call(ctx, false, func(ctx context.Context) error {
		_, err := h.rpc().Set(ctx, &cachev1.SetRequest{Namespace: h.ns, Key: key, Value: value, TtlMs: w.ttlMs, Lock: lock})
		return err
	})
	return value, err
}

// CacheStats are figures of a cache since the gateway was started.
type CacheStats struct {
	Hits, Misses int64
	// Bounded: the backend bounds the cache and tells the rest.
	Bounded                             bool
	Entries, Bytes, MaxBytes, Evictions int64
}

// Stats tells how well the cache does.
func (h *Cache) Stats(ctx context.Context) (CacheStats, error) {
	var r *cachev1.GetStatsResponse
	err := h.c.call(ctx, true, func(ctx context.Context) (err error) {
		r, err = h.rpc().GetStats(ctx, &cachev1.GetStatsRequest{Namespace: h.ns})
		return err
	})
	if err != nil {
		return CacheStats{}, err
	}
	return CacheStats{
		Hits: r.Hits, Misses: r.Misses, Bounded: r.MaxSizeBytes != nil,
		Entries: r.GetEntries(), Bytes: r.GetSizeBytes(), MaxBytes: r.GetMaxSizeBytes(), Evictions: r.GetEvictions(),
	}, nil
}
