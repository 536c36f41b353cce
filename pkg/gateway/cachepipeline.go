package gateway

import (
	"github.com/prism-data-layer/prism/pkg/data/cache"
	"github.com/prism-data-layer/prism/pkg/prism"
	"github.com/prism-data-layer/prism/pkg/route"
	"github.com/prism-data-layer/prism/pkg/wire/frame"
	cachev1 "github.com/prism-data-layer/prism/proto/prism/cache/v1"
)

var cacheOps = opsPool[cache.Op, cache.Result]{failed: func(err error) cache.Result { return cache.Result{Err: err} }}

// cacheFrames serves a cache by frames.
func cacheFrames(t route.Target) (framed[cache.Op, cache.Result], error) {
	st, err := t.Cache()
	if err != nil {
		return framed[cache.Op, cache.Result]{}, err
	}
	return framed[cache.Op, cache.Result]{
		model: frame.Cache, pool: &cacheOps, instant: st.Instant,
		decode:  cacheOpOf,
		keyOf:   func(op cache.Op) string { return op.Key },
		reads:   func(op *cache.Op) bool { return op.Reads() },
		once:    cache.OnceOf,
		run:     st.Batch,
		outcome: func(r *cache.Result) (int, error) { return len(r.Value), r.Err },
		encode:  cacheResultOf,
	}, nil
}

// cacheOpOf decodes one operation of a frame, with its idempotency key and the
// namespace that it names.
func cacheOpOf(f *frame.Op) (op cache.Op, key, namespace string, err error) {
	switch f.Kind {
	case frame.Get:
		return cache.Op{Kind: cache.OpGet, Key: f.Key}, "", f.Namespace, nil
	case frame.Set:
		return cache.Op{Kind: cache.OpSet, Key: f.Key, Value: f.Value}, f.IdempotencyKey, f.Namespace, nil
	}
	switch o := f.Other.(*cachev1.PipelineOp).Op.(type) {
	case *cachev1.PipelineOp_Get:
		return cache.Op{Kind: cache.OpGet, Key: o.Get.Key}, "", o.Get.Namespace, nil
	case *cachev1.PipelineOp_Set:
		if op, err = cacheSetOp(o.Set); err == nil && o.Set.Lock != "" {
			err = prism.InvalidField("lock", "must not be set in a frame: it is for the call Set")
		}
		return op, o.Set.IdempotencyKey, o.Set.Namespace, err
	case *cachev1.PipelineOp_Delete:
		return cache.Op{Kind: cache.OpDelete, Key: o.Delete.Key}, o.Delete.IdempotencyKey, o.Delete.Namespace, nil
	case *cachev1.PipelineOp_Exists:
		return cache.Op{Kind: cache.OpExists, Key: o.Exists.Key}, "", o.Exists.Namespace, nil
	case *cachev1.PipelineOp_Touch:
		op, err = cacheTouchOp(o.Touch)
		return op, o.Touch.IdempotencyKey, o.Touch.Namespace, err
	case *cachev1.PipelineOp_Increment:
		op, err = cacheIncrementOp(o.Increment)
		return op, o.Increment.IdempotencyKey, o.Increment.Namespace, err
	}
	return op, "", "", prism.InvalidField("op", "must be set")
}

// cacheResultOf encodes the result of f.
func cacheResultOf(f *frame.Op, r *cache.Result) frame.Result {
	switch f.Kind {
	case frame.Get:
		x := frame.Result{Kind: frame.Get, Value: r.Value, Number: oneIf(r.Found)}
		if !r.ExpiresAt.IsZero() {
			x.Expires, x.ExpiresAtMs = true, r.ExpiresAt.UnixMilli()
		}
		return x
	case frame.Set:
		return frame.Result{Kind: frame.Set, Number: oneIf(r.Applied)}
	}
	return frame.Result{Other: cacheOtherResult(f.Other.(*cachev1.PipelineOp), r)}
}

// cacheOtherResult is cacheResultOf for what is rarer.
func cacheOtherResult(f *cachev1.PipelineOp, r *cache.Result) *cachev1.PipelineResult {
	switch f.Op.(type) {
	case *cachev1.PipelineOp_Get:
		return &cachev1.PipelineResult{Result: &cachev1.PipelineResult_Get{Get: cacheEntry(cache.Entry{Value: r.Value, ExpiresAt: r.ExpiresAt}, r.Found)}}
	case *cachev1.PipelineOp_Set:
		return &cachev1.PipelineResult{Result: &cachev1.PipelineResult_Set{Set: &cachev1.SetResponse{Applied: r.Applied}}}
	case *cachev1.PipelineOp_Delete:
		return &cachev1.PipelineResult{Result: &cachev1.PipelineResult_Delete{Delete: &cachev1.DeleteResponse{Found: r.Found}}}
	case *cachev1.PipelineOp_Exists:
		return &cachev1.PipelineResult{Result: &cachev1.PipelineResult_Exists{Exists: &cachev1.ExistsResponse{Exists: r.Found}}}
	case *cachev1.PipelineOp_Touch:
		return &cachev1.PipelineResult{Result: &cachev1.PipelineResult_Touch{Touch: cacheTouched(r)}}
	default: // cacheOpOf has let nothing else through
		return &cachev1.PipelineResult{Result: &cachev1.PipelineResult_Increment{Increment: &cachev1.IncrementResponse{Value: r.Number}}}
	}
}

func oneIf(b bool) uint64 {
	if b {
		return 1
	}
	return 0
}
