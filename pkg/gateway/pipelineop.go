package gateway

import (
	"github.com/prism-data-layer/prism/pkg/data/keyvalue"
	"github.com/prism-data-layer/prism/pkg/prism"
	"github.com/prism-data-layer/prism/pkg/route"
	"github.com/prism-data-layer/prism/pkg/wire/frame"
	kvv1 "github.com/prism-data-layer/prism/proto/prism/keyvalue/v1"
)

// keyValueFrames serves key-value by frames.
func keyValueFrames(t route.Target) (framed[keyvalue.Op, keyvalue.Result], error) {
	kv, err := t.KeyValue()
	if err != nil {
		return framed[keyvalue.Op, keyvalue.Result]{}, err
	}
	return framed[keyvalue.Op, keyvalue.Result]{
		model: frame.KeyValue, pool: &keyValueOps, instant: kv.Instant,
		decode:  opOf,
		keyOf:   func(op keyvalue.Op) string { return op.Key },
		reads:   func(op *keyvalue.Op) bool { return op.Kind.Reads() },
		once:    keyvalue.OnceOf,
		run:     kv.Batch,
		outcome: func(r *keyvalue.Result) (int, error) { return len(r.Value), r.Err },
		encode:  func(f *frame.Op, r *keyvalue.Result) frame.Result { return resultOf(kv, f, r) },
	}, nil
}

// opOf decodes one operation of a frame, with its idempotency key and the
// namespace that it names.
func opOf(f *frame.Op) (op keyvalue.Op, key, namespace string, err error) {
	switch f.Kind {
	case frame.Get:
		return keyvalue.Op{Kind: keyvalue.OpGet, Key: f.Key}, "", f.Namespace, nil
	case frame.Set:
		return keyvalue.Op{Kind: keyvalue.OpSet, Key: f.Key, Value: f.Value}, f.IdempotencyKey, f.Namespace, nil
	}
	switch o := f.Other.(*kvv1.PipelineOp).Op.(type) {
	case *kvv1.PipelineOp_Get:
		op, key, err = getOp(o.Get)
		return op, key, o.Get.Namespace, err
	case *kvv1.PipelineOp_Set:
		op, key, err = setOp(o.Set)
		return op, key, o.Set.Namespace, err
	case *kvv1.PipelineOp_Delete:
		op, key, err = deleteOp(o.Delete)
		return op, key, o.Delete.Namespace, err
	case *kvv1.PipelineOp_Exists:
		op, key, err = existsOp(o.Exists)
		return op, key, o.Exists.Namespace, err
	case *kvv1.PipelineOp_Expire:
		op, key, err = expireOp(o.Expire)
		return op, key, o.Expire.Namespace, err
	case *kvv1.PipelineOp_GetTtl:
		op, key, err = getTTLOp(o.GetTtl)
		return op, key, o.GetTtl.Namespace, err
	case *kvv1.PipelineOp_Persist:
		op, key, err = persistOp(o.Persist)
		return op, key, o.Persist.Namespace, err
	case *kvv1.PipelineOp_Touch:
		op, key, err = touchOp(o.Touch)
		return op, key, o.Touch.Namespace, err
	case *kvv1.PipelineOp_Increment:
		op, key, err = incrementOp(o.Increment)
		return op, key, o.Increment.Namespace, err
	case *kvv1.PipelineOp_Append:
		op, key, err = appendOp(o.Append)
		return op, key, o.Append.Namespace, err
	case *kvv1.PipelineOp_SetIfAbsent:
		op, key, err = setIfAbsentOp(o.SetIfAbsent)
		return op, key, o.SetIfAbsent.Namespace, err
	case *kvv1.PipelineOp_GetAndSet:
		op, key, err = getAndSetOp(o.GetAndSet)
		return op, key, o.GetAndSet.Namespace, err
	case *kvv1.PipelineOp_CompareAndSwap:
		op, key, err = compareAndSwapOp(o.CompareAndSwap)
		return op, key, o.CompareAndSwap.Namespace, err
	case *kvv1.PipelineOp_CompareAndDelete:
		op, key, err = compareAndDeleteOp(o.CompareAndDelete)
		return op, key, o.CompareAndDelete.Namespace, err
	}
	return op, "", "", prism.InvalidField("op", "must be set")
}

// resultOf encodes the result of f.
func resultOf(kv *keyvalue.Store, f *frame.Op, r *keyvalue.Result) frame.Result {
	switch f.Kind {
	case frame.Get:
		x := frame.Result{Kind: frame.Get, Value: r.Value, Number: r.Version}
		if !r.ExpiresAt.IsZero() {
			x.Expires, x.ExpiresAtMs = true, r.ExpiresAt.UnixMilli()
		}
		return x
	case frame.Set:
		return frame.Result{Kind: frame.Set, Number: r.Version}
	}
	return frame.Result{Other: otherResult(kv, f.Other.(*kvv1.PipelineOp), r)}
}

// otherResult is resultOf for what is rarer.
func otherResult(kv *keyvalue.Store, f *kvv1.PipelineOp, r *keyvalue.Result) *kvv1.PipelineResult {
	switch f.Op.(type) {
	case *kvv1.PipelineOp_Get:
		return &kvv1.PipelineResult{Result: &kvv1.PipelineResult_Get{Get: getAnswer(kv, r)}}
	case *kvv1.PipelineOp_Set:
		return &kvv1.PipelineResult{Result: &kvv1.PipelineResult_Set{Set: setAnswer(kv, r)}}
	case *kvv1.PipelineOp_Delete:
		return &kvv1.PipelineResult{Result: &kvv1.PipelineResult_Delete{Delete: deleteAnswer(kv, r)}}
	case *kvv1.PipelineOp_Exists:
		return &kvv1.PipelineResult{Result: &kvv1.PipelineResult_Exists{Exists: existsAnswer(kv, r)}}
	case *kvv1.PipelineOp_Expire:
		return &kvv1.PipelineResult{Result: &kvv1.PipelineResult_Expire{Expire: expireAnswer(kv, r)}}
	case *kvv1.PipelineOp_GetTtl:
		return &kvv1.PipelineResult{Result: &kvv1.PipelineResult_GetTtl{GetTtl: getTTLAnswer(kv, r)}}
	case *kvv1.PipelineOp_Persist:
		return &kvv1.PipelineResult{Result: &kvv1.PipelineResult_Persist{Persist: persistAnswer(kv, r)}}
	case *kvv1.PipelineOp_Touch:
		return &kvv1.PipelineResult{Result: &kvv1.PipelineResult_Touch{Touch: touchAnswer(kv, r)}}
	case *kvv1.PipelineOp_Increment:
		return &kvv1.PipelineResult{Result: &kvv1.PipelineResult_Increment{Increment: incrementAnswer(kv, r)}}
	case *kvv1.PipelineOp_Append:
		return &kvv1.PipelineResult{Result: &kvv1.PipelineResult_Append{Append: appendAnswer(kv, r)}}
	case *kvv1.PipelineOp_SetIfAbsent:
		return &kvv1.PipelineResult{Result: &kvv1.PipelineResult_SetIfAbsent{SetIfAbsent: setIfAbsentAnswer(kv, r)}}
	case *kvv1.PipelineOp_GetAndSet:
		return &kvv1.PipelineResult{Result: &kvv1.PipelineResult_GetAndSet{GetAndSet: getAndSetAnswer(kv, r)}}
	case *kvv1.PipelineOp_CompareAndSwap:
		return &kvv1.PipelineResult{Result: &kvv1.PipelineResult_CompareAndSwap{CompareAndSwap: compareAndSwapAnswer(kv, r)}}
	default: // opOf has let nothing else through
		return &kvv1.PipelineResult{Result: &kvv1.PipelineResult_CompareAndDelete{CompareAndDelete: compareAndDeleteAnswer(kv, r)}}
	}
}
