package gateway

import (
	"context"
	"sync"
	"time"

	"github.com/prism-data-layer/prism/pkg/data/keyvalue"
	"github.com/prism-data-layer/prism/pkg/prism"
	"github.com/prism-data-layer/prism/pkg/wire"
	commonv1 "github.com/prism-data-layer/prism/proto/prism/common/v1"
	kvv1 "github.com/prism-data-layer/prism/proto/prism/keyvalue/v1"
)

// This file turns each request into an operation, with its idempotency key,
// and each result into a response. Unary calls, batches and Pipeline share it.

func getOp(r *kvv1.GetRequest) (keyvalue.Op, string, error) {
	return keyvalue.Op{Kind: keyvalue.OpGet, Key: r.Key}, "", nil
}

func getAnswer(_ *keyvalue.Store, r *keyvalue.Result) *kvv1.GetResponse {
	return &kvv1.GetResponse{Value: r.Value, Version: r.Version, ExpiresAtMs: millisOf(r.ExpiresAt)}
}

func setOp(r *kvv1.SetRequest) (keyvalue.Op, string, error) {
	op := keyvalue.Op{Kind: keyvalue.OpSet, Key: r.Key, Value: r.Value, Options: keyvalue.SetOptions{KeepTTL: r.KeepTtl}}
	if err := ttlInto(&op, r.TtlMs); err != nil {
		return op, "", err
	}
	if r.CreateOnly {
		op.Kind, op.If.Absent = keyvalue.OpSetIf, true
		if r.IfVersion != nil {
			return op, "", prism.InvalidField("if_version", "must not be set together with create_only")
		}
		return op, r.IdempotencyKey, nil
	}
	err := versionInto(&op, keyvalue.OpSetIf, r.IfVersion)
	return op, r.IdempotencyKey, err
}

func setAnswer(_ *keyvalue.Store, r *keyvalue.Result) *kvv1.SetResponse {
	return &kvv1.SetResponse{Version: r.Version}
}

func deleteOp(r *kvv1.DeleteRequest) (keyvalue.Op, string, error) {
	op := keyvalue.Op{Kind: keyvalue.OpDelete, Key: r.Key}
	err := versionInto(&op, keyvalue.OpDeleteIf, r.IfVersion)
	return op, r.IdempotencyKey, err
}

func deleteAnswer(_ *keyvalue.Store, r *keyvalue.Result) *kvv1.DeleteResponse {
	return &kvv1.DeleteResponse{Found: r.Found, Version: r.Version}
}

func existsOp(r *kvv1.ExistsRequest) (keyvalue.Op, string, error) {
	return keyvalue.Op{Kind: keyvalue.OpExists, Key: r.Key}, "", nil
}

func existsAnswer(_ *keyvalue.Store, r *keyvalue.Result) *kvv1.ExistsResponse {
	return &kvv1.ExistsResponse{Exists: r.Found}
}

func expireOp(r *kvv1.ExpireRequest) (keyvalue.Op, string, error) {
	op := keyvalue.Op{Kind: keyvalue.OpExpire, Key: r.Key}
	err := ttlInto(&op, &r.TtlMs)
	return op, r.IdempotencyKey, err
}

func expireAnswer(_ *keyvalue.Store, r *keyvalue.Result) *kvv1.ExpireResponse {
	return &kvv1.ExpireResponse{ExpiresAtMs: r.ExpiresAt.UnixMilli()}
}

func getTTLOp(r *kvv1.GetTTLRequest) (keyvalue.Op, string, error) {
	return keyvalue.Op{Kind: keyvalue.OpExpiresAt, Key: r.Key}, "", nil
}

func getTTLAnswer(kv *keyvalue.Store, r *keyvalue.Result) *kvv1.GetTTLResponse {
	if r.ExpiresAt.IsZero() {
		return &kvv1.GetTTLResponse{}
	}
	ms := kv.TTLLeft(r.ExpiresAt).Milliseconds()
	return &kvv1.GetTTLResponse{TtlMs: &ms}
}

func persistOp(r *kvv1.PersistRequest) (keyvalue.Op, string, error) {
	return keyvalue.Op{Kind: keyvalue.OpPersist, Key: r.Key}, r.IdempotencyKey, nil
}

func persistAnswer(_ *keyvalue.Store, r *keyvalue.Result) *kvv1.PersistResponse {
	return &kvv1.PersistResponse{Removed: r.Applied}
}

func touchOp(r *kvv1.TouchRequest) (keyvalue.Op, string, error) {
	return keyvalue.Op{Kind: keyvalue.OpTouch, Key: r.Key}, r.IdempotencyKey, nil
}

func touchAnswer(_ *keyvalue.Store, r *keyvalue.Result) *kvv1.TouchResponse {
	return &kvv1.TouchResponse{ExpiresAtMs: millisOf(r.ExpiresAt)}
}

func incrementOp(r *kvv1.IncrementRequest) (keyvalue.Op, string, error) {
	return keyvalue.Op{Kind: keyvalue.OpIncrement, Key: r.Key, Delta: r.Delta}, r.IdempotencyKey, nil
}

func incrementAnswer(_ *keyvalue.Store, r *keyvalue.Result) *kvv1.IncrementResponse {
	return &kvv1.IncrementResponse{Value: r.Number, Version: r.Version}
}

func appendOp(r *kvv1.AppendRequest) (keyvalue.Op, string, error) {
	return keyvalue.Op{Kind: keyvalue.OpAppend, Key: r.Key, Value: r.Value}, r.IdempotencyKey, nil
}

func appendAnswer(_ *keyvalue.Store, r *keyvalue.Result) *kvv1.AppendResponse {
	return &kvv1.AppendResponse{SizeBytes: r.Number, Version: r.Version}
}

func setIfAbsentOp(r *kvv1.SetIfAbsentRequest) (keyvalue.Op, string, error) {
	op := keyvalue.Op{Kind: keyvalue.OpSetIfAbsent, Key: r.Key, Value: r.Value}
	err := ttlInto(&op, r.TtlMs)
	return op, r.IdempotencyKey, err
}

func setIfAbsentAnswer(_ *keyvalue.Store, r *keyvalue.Result) *kvv1.SetIfAbsentResponse {
	return &kvv1.SetIfAbsentResponse{Applied: r.Applied, Version: r.Version}
}

func getAndSetOp(r *kvv1.GetAndSetRequest) (keyvalue.Op, string, error) {
	op := keyvalue.Op{Kind: keyvalue.OpGetAndSet, Key: r.Key, Value: r.Value}
	err := ttlInto(&op, r.TtlMs)
	return op, r.IdempotencyKey, err
}

func getAndSetAnswer(_ *keyvalue.Store, r *keyvalue.Result) *kvv1.GetAndSetResponse {
	return &kvv1.GetAndSetResponse{Found: r.Found, Previous: r.Value, Version: r.Version}
}

func compareAndSwapOp(r *kvv1.CompareAndSwapRequest) (keyvalue.Op, string, error) {
	op := keyvalue.Op{Kind: keyvalue.OpCompareAndSwap, Key: r.Key, Expected: r.Expected, Value: r.Value}
	err := ttlInto(&op, r.TtlMs)
	return op, r.IdempotencyKey, err
}

func compareAndSwapAnswer(_ *keyvalue.Store, r *keyvalue.Result) *kvv1.CompareAndSwapResponse {
	return &kvv1.CompareAndSwapResponse{Applied: r.Applied, Version: r.Version}
}

func compareAndDeleteOp(r *kvv1.CompareAndDeleteRequest) (keyvalue.Op, string, error) {
	return keyvalue.Op{Kind: keyvalue.OpCompareAndDelete, Key: r.Key, Expected: r.Expected}, r.IdempotencyKey, nil
}

func compareAndDeleteAnswer(_ *keyvalue.Store, r *keyvalue.Result) *kvv1.CompareAndDeleteResponse {
	return &kvv1.CompareAndDeleteResponse{Applied: r.Applied, Version: r.Version}
}

// ttlInto reads a time to live. One that is set must be valid: 0 does not mean
// none.
func ttlInto(op *keyvalue.Op, ms *int64) error {
	if ms == nil {
		return nil
	}
	if *ms < 1 || *ms > keyvalue.MaxTTL.Milliseconds() {
		return prism.InvalidField("ttl_ms", "must be 1 ms to 10 years")
	}
	op.Options.TTL = time.Duration(*ms) * time.Millisecond
	return nil
}

func versionInto(op *keyvalue.Op, kind keyvalue.OpKind, version *uint64) error {
	if version == nil {
		return nil
	}
	if *version == 0 {
		return prism.InvalidField("if_version", "must be at least 1; create_only asks for a key that is not there")
	}
	op.Kind, op.If.Version = kind, *version
	return nil
}

func millisOf(t time.Time) *int64 {
	if t.IsZero() {
		return nil
	}
	ms := t.UnixMilli()
	return &ms
}

// sameNamespace refuses an item that names another namespace than its batch.
func sameNamespace(item interface{ GetNamespace() string }, namespace string) error {
	if ns := item.GetNamespace(); ns != "" && ns != namespace {
		return prism.InvalidField("namespace", "must be empty or the same for all items")
	}
	return nil
}

func itemError(err error) *commonv1.Error { return wire.ToItem(prism.From(err)) }

// ops is a batch being put together, of operations O with results R: reused,
// because a Pipeline makes many.
type ops[O, R any] struct {
	from    *opsPool[O, R]
	list    []O
	results []R
	bad     []error // of list[i], nil where it could be decoded
	anyBad  bool
	series  series // of their receipts
}

// opsPool are the batches of one model. failed is the result of an operation
// that could not be run.
type opsPool[O, R any] struct {
	pool   sync.Pool
	failed func(error) R
}

var keyValueOps = opsPool[keyvalue.Op, keyvalue.Result]{failed: func(err error) keyvalue.Result { return keyvalue.Result{Err: err} }}

func (p *opsPool[O, R]) get(n int) *ops[O, R] {
	b, ok := p.pool.Get().(*ops[O, R])
	if !ok {
		b = &ops[O, R]{from: p}
	}
	if cap(b.list) < n {
		b.list, b.results, b.bad = make([]O, 0, n), make([]R, n), make([]error, 0, n)
	}
	return b
}

// free gives b back; nothing that it returned may be used afterwards.
func (b *ops[O, R]) free() {
	clear(b.list)
	clear(b.results[:cap(b.results)])
	clear(b.bad)
	b.list, b.bad, b.anyBad, b.series = b.list[:0], b.bad[:0], false, series{}
	b.from.pool.Put(b)
}

func (b *ops[O, R]) add(o O) {
	b.list = append(b.list, o)
	b.bad = append(b.bad, nil)
}

// fail says that the i-th operation cannot be run.
func (b *ops[O, R]) fail(i int, err error) { b.bad[i], b.anyBad = err, true }

// run runs the batch with do; results[i] belongs to the i-th operation added.
func (b *ops[O, R]) run(ctx context.Context, do func(context.Context, []O, []R) error) ([]R, error) {
	results := b.results[:len(b.list)]
	if !b.anyBad {
		return results, do(ctx, b.list, results)
	}
	good := b.from.get(len(b.list))
	defer good.free()
	for i := range b.list {
		if b.bad[i] == nil {
			good.add(b.list[i])
		}
	}
	answers, err := good.run(ctx, do)
	if err != nil {
		return nil, err
	}
	next := 0
	for i := range b.list {
		if b.bad[i] != nil {
			results[i] = b.from.failed(b.bad[i])
			continue
		}
		results[i] = answers[next]
		next++
	}
	return results, nil
}
