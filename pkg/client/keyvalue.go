package client

import (
	"context"
	"time"

	"github.com/prism-data-layer/prism/pkg/wire"
	"github.com/prism-data-layer/prism/pkg/wire/frame"
	kvv1 "github.com/prism-data-layer/prism/proto/prism/keyvalue/v1"
)

// KeyValue is one key-value namespace.
type KeyValue struct {
	c  *Client
	ns string
}

// KeyValue returns the namespace with that name; nothing is sent.
func (c *Client) KeyValue(namespace string) *KeyValue { return &KeyValue{c, namespace} }

// An Entry is what is stored under a key.
type Entry struct {
	Key       string // set by scans
	Value     []byte
	Size      int64 // of the value; set by Keys
	Version   uint64
	ExpiresAt time.Time // zero: never
}

// A WriteOption changes how a value is written.
type WriteOption func(*write)

type write struct {
	ttlMs      *int64
	keepTTL    bool
	createOnly bool
	ifVersion  *uint64
	key        string
}

// TTL ends the key d from now.
func TTL(d time.Duration) WriteOption {
	return func(w *write) { ms := millis(d); w.ttlMs = &ms }
}

// KeepTTL keeps the expiry that the key has.
func KeepTTL() WriteOption { return func(w *write) { w.keepTTL = true } }

// CreateOnly refuses with ALREADY_EXISTS if the key is there.
func CreateOnly() WriteOption { return func(w *write) { w.createOnly = true } }

// IfVersion refuses with VERSION_MISMATCH unless the key has that version.
func IfVersion(v uint64) WriteOption { return func(w *write) { w.ifVersion = &v } }

// IdempotencyKey makes the call happen once for this key, for 24 hours, even
// from another process.
func IdempotencyKey(key string) WriteOption { return func(w *write) { w.key = key } }

func writeOf(opts []WriteOption) (w write) {
	for _, o := range opts {
		o(&w)
	}
	return w
}

// Get returns the entry, or NOT_FOUND.
func (k *KeyValue) Get(ctx context.Context, key string) (Entry, error) {
	r, err := k.result(ctx, &operation{kind: frame.Get, key: key, size: len(key)})
	if err != nil {
		return Entry{}, err
	}
	e := Entry{Value: r.Value, Version: r.Number}
	if r.Expires {
		e.ExpiresAt = time.UnixMilli(r.ExpiresAtMs)
	}
	return e, nil
}

// Set stores value and returns the key's new version.
func (k *KeyValue) Set(ctx context.Context, key string, value []byte, opts ...WriteOption) (uint64, error) {
	w := writeOf(opts)
	op := operation{kind: frame.Set, key: key, value: value, once: w.key, size: len(key) + len(value)}
	if w.ttlMs != nil || w.keepTTL || w.createOnly || w.ifVersion != nil {
		op.kind, op.other = frame.Other, &kvv1.PipelineOp{Op: &kvv1.PipelineOp_Set{Set: &kvv1.SetRequest{
			Key: key, Value: value, TtlMs: w.ttlMs, KeepTtl: w.keepTTL, CreateOnly: w.createOnly, IfVersion: w.ifVersion, IdempotencyKey: w.key,
		}}}
	}
	if w.key == "" {
		op.retryID = k.c.ids.next()
	}
	r, err := k.result(ctx, &op)
	return r.Number, err
}

// Delete removes a key and tells whether it was there; version is the
// deletion's own, 0 if there was nothing to delete.
func (k *KeyValue) Delete(ctx context.Context, key string, opts ...WriteOption) (found bool, version uint64, err error) {
	w := writeOf(opts)
	r, err := k.mutate(ctx, &kvv1.PipelineOp{Op: &kvv1.PipelineOp_Delete{Delete: &kvv1.DeleteRequest{
		Key: key, IfVersion: w.ifVersion, IdempotencyKey: w.key,
	}}}, w, len(key))
	d := r.GetDelete()
	return d.GetFound(), d.GetVersion(), err
}

// Exists tells whether a key is there.
func (k *KeyValue) Exists(ctx context.Context, key string) (bool, error) {
	r, err := k.do(ctx, &kvv1.PipelineOp{Op: &kvv1.PipelineOp_Exists{Exists: &kvv1.ExistsRequest{Key: key}}}, len(key))
	return r.GetExists().GetExists(), err
}

// Expire ends the key ttl from now, and returns when that is.
func (k *KeyValue) Expire(ctx context.Context, key string, ttl time.Duration, opts ...WriteOption) (time.Time, error) {
	w := writeOf(opts)
	r, err := k.mutate(ctx, &kvv1.PipelineOp{Op: &kvv1.PipelineOp_Expire{Expire: &kvv1.ExpireRequest{
		Key: key, TtlMs: millis(ttl), IdempotencyKey: w.key,
	}}}, w, len(key))
	if err != nil {
		return time.Time{}, err
	}
	return time.UnixMilli(r.GetExpire().GetExpiresAtMs()), nil
}

// TTL returns how long the key will still be there; expires is false if it
// stays for ever.
func (k *KeyValue) TTL(ctx context.Context, key string) (left time.Duration, expires bool, err error) {
	r, err := k.do(ctx, &kvv1.PipelineOp{Op: &kvv1.PipelineOp_GetTtl{GetTtl: &kvv1.GetTTLRequest{Key: key}}}, len(key))
	if err != nil || r.GetGetTtl().TtlMs == nil {
		return 0, false, err
	}
	return time.Duration(r.GetGetTtl().GetTtlMs()) * time.Millisecond, true, nil
}

// Persist removes the expiry and tells whether there was one.
func (k *KeyValue) Persist(ctx context.Context, key string, opts ...WriteOption) (removed bool, err error) {
	w := writeOf(opts)
	r, err := k.mutate(ctx, &kvv1.PipelineOp{Op: &kvv1.PipelineOp_Persist{Persist: &kvv1.PersistRequest{Key: key, IdempotencyKey: w.key}}}, w, len(key))
	return r.GetPersist().GetRemoved(), err
}

// Touch starts the key's time to live anew and returns its end, zero if it has
// none.
func (k *KeyValue) Touch(ctx context.Context, key string, opts ...WriteOption) (time.Time, error) {
	w := writeOf(opts)
	r, err := k.mutate(ctx, &kvv1.PipelineOp{Op: &kvv1.PipelineOp_Touch{Touch: &kvv1.TouchRequest{Key: key, IdempotencyKey: w.key}}}, w, len(key))
	if err != nil {
		return time.Time{}, err
	}
	return timeOf(r.GetTouch().ExpiresAtMs), nil
}

// Increment adds delta to a number and returns the sum and its version.
func (k *KeyValue) Increment(ctx context.Context, key string, delta int64, opts ...WriteOption) (sum int64, version uint64, err error) {
	w := writeOf(opts)
	r, err := k.mutate(ctx, &kvv1.PipelineOp{Op: &kvv1.PipelineOp_Increment{Increment: &kvv1.IncrementRequest{
		Key: key, Delta: delta, IdempotencyKey: w.key,
	}}}, w, len(key))
	n := r.GetIncrement()
	return n.GetValue(), n.GetVersion(), err
}

// Append adds to the end of a value and returns its size in bytes and version.
func (k *KeyValue) Append(ctx context.Context, key string, value []byte, opts ...WriteOption) (size int64, version uint64, err error) {
	w := writeOf(opts)
	r, err := k.mutate(ctx, &kvv1.PipelineOp{Op: &kvv1.PipelineOp_Append{Append: &kvv1.AppendRequest{
		Key: key, Value: value, IdempotencyKey: w.key,
	}}}, w, len(key)+len(value))
	a := r.GetAppend()
	return a.GetSizeBytes(), a.GetVersion(), err
}

// SetIfAbsent stores value if the key is not there; version is the key's then.
func (k *KeyValue) SetIfAbsent(ctx context.Context, key string, value []byte, opts ...WriteOption) (applied bool, version uint64, err error) {
	w := writeOf(opts)
	r, err := k.mutate(ctx, &kvv1.PipelineOp{Op: &kvv1.PipelineOp_SetIfAbsent{SetIfAbsent: &kvv1.SetIfAbsentRequest{
		Key: key, Value: value, TtlMs: w.ttlMs, IdempotencyKey: w.key,
	}}}, w, len(key)+len(value))
	s := r.GetSetIfAbsent()
	return s.GetApplied(), s.GetVersion(), err
}

// Replaced is the answer of GetAndSet.
type Replaced struct {
	Previous []byte
	Found    bool   // whether there was a value before
	Version  uint64 // of the value that was stored
}

// GetAndSet stores value and returns the one before.
func (k *KeyValue) GetAndSet(ctx context.Context, key string, value []byte, opts ...WriteOption) (Replaced, error) {
	w := writeOf(opts)
	r, err := k.mutate(ctx, &kvv1.PipelineOp{Op: &kvv1.PipelineOp_GetAndSet{GetAndSet: &kvv1.GetAndSetRequest{
		Key: key, Value: value, TtlMs: w.ttlMs, IdempotencyKey: w.key,
	}}}, w, len(key)+len(value))
	g := r.GetGetAndSet()
	return Replaced{Previous: g.GetPrevious(), Found: g.GetFound(), Version: g.GetVersion()}, err
}

// CompareAndSwap stores value if the present one equals expected; version is
// the key's afterwards.
func (k *KeyValue) CompareAndSwap(ctx context.Context, key string, expected, value []byte, opts ...WriteOption) (applied bool, version uint64, err error) {
	w := writeOf(opts)
	r, err := k.mutate(ctx, &kvv1.PipelineOp{Op: &kvv1.PipelineOp_CompareAndSwap{CompareAndSwap: &kvv1.CompareAndSwapRequest{
		Key: key, Expected: expected, Value: value, TtlMs: w.ttlMs, IdempotencyKey: w.key,
	}}}, w, len(key)+len(expected)+len(value))
	s := r.GetCompareAndSwap()
	return s.GetApplied(), s.GetVersion(), err
}

// CompareAndDelete removes the key if its value equals expected; version is the
// deletion's, or the key's if it stays (0: it is not there).
func (k *KeyValue) CompareAndDelete(ctx context.Context, key string, expected []byte, opts ...WriteOption) (applied bool, version uint64, err error) {
	w := writeOf(opts)
	r, err := k.mutate(ctx, &kvv1.PipelineOp{Op: &kvv1.PipelineOp_CompareAndDelete{CompareAndDelete: &kvv1.CompareAndDeleteRequest{
		Key: key, Expected: expected, IdempotencyKey: w.key,
	}}}, w, len(key)+len(expected))
	d := r.GetCompareAndDelete()
	return d.GetApplied(), d.GetVersion(), err
}

// mutate is do for an operation that changes something: it gets an id, unless
// the caller has given it a key, so that sending it again is safe.
func (k *KeyValue) mutate(ctx context.Context, op *kvv1.PipelineOp, w write, size int) (*kvv1.PipelineResult, error) {
	o := operation{other: op, size: size}
	if w.key == "" {
		o.retryID = k.c.ids.next()
	}
	return k.rare(ctx, &o)
}

// do is result for the operations whose results stay generated messages.
func (k *KeyValue) do(ctx context.Context, op *kvv1.PipelineOp, size int) (*kvv1.PipelineResult, error) {
	return k.rare(ctx, &operation{other: op, size: size})
}

func (k *KeyValue) rare(ctx context.Context, op *operation) (*kvv1.PipelineResult, error) {
	r, err := k.result(ctx, op)
	m, _ := r.Other.(*kvv1.PipelineResult)
	return m, err
}

// result runs one operation over the namespace's pipeline.
func (k *KeyValue) result(ctx context.Context, op *operation) (frame.Result, error) {
	return k.c.traced(ctx, keyValueFrames, k.ns, op)
}

func timeOf(ms *int64) time.Time {
	if ms == nil {
		return time.Time{}
	}
	return time.UnixMilli(*ms)
}

// call runs a unary call with the session attached, again where that is safe.
func (c *Client) call(ctx context.Context, safe bool, f func(ctx context.Context) error) error {
	ctx, cancel := bound(ctx)
	defer cancel()
	return c.retry.do(ctx, safe, func(ctx context.Context) error {
		return c.once(ctx, f)
	})
}

// once runs f with the session; if the session was lost it makes another and
// runs f a second time, which is safe: the first was refused at the door.
func (c *Client) once(ctx context.Context, f func(ctx context.Context) error) error {
	for again := false; ; again = true {
		attached, sess, err := c.session.attach(ctx)
		if err != nil {
			return err
		}
		e := wire.FromStatus(f(attached))
		switch {
		case e == nil:
			return nil
		case again || !c.session.lost(sess, e):
			return e
		}
	}
}
