package wire

import (
	"time"

	"github.com/prism-data-layer/prism/pkg/driver"
	"github.com/prism-data-layer/prism/pkg/prism"
	kvv1 "github.com/prism-data-layer/prism/proto/prism/keyvalue/v1"
)

// request is the wire's form of an operation.
func request(ns prism.Namespace, op driver.Op) *kvv1.PipelineOp {
	n, id := string(ns), keyOf(op.Receipt)
	p := &kvv1.PipelineOp{}
	switch op.Kind {
	case driver.OpGet:
		p.Op = &kvv1.PipelineOp_Get{Get: &kvv1.GetRequest{Namespace: n, Key: op.Key}}
	case driver.OpExists:
		p.Op = &kvv1.PipelineOp_Exists{Exists: &kvv1.ExistsRequest{Namespace: n, Key: op.Key}}
	case driver.OpExpiresAt:
		p.Op = &kvv1.PipelineOp_GetTtl{GetTtl: &kvv1.GetTTLRequest{Namespace: n, Key: op.Key}}
	case driver.OpSet, driver.OpSetIf:
		r := &kvv1.SetRequest{Namespace: n, Key: op.Key, Value: op.Value, TtlMs: ttlOf(op.Options), KeepTtl: op.Options.KeepTTL, IdempotencyKey: id}
		if op.Kind == driver.OpSetIf {
			if r.CreateOnly = op.If.Absent; !r.CreateOnly {
				r.IfVersion = &op.If.Version
			}
		}
		p.Op = &kvv1.PipelineOp_Set{Set: r}
	case driver.OpDelete, driver.OpDeleteIf:
		r := &kvv1.DeleteRequest{Namespace: n, Key: op.Key, IdempotencyKey: id}
		if op.Kind == driver.OpDeleteIf {
			r.IfVersion = &op.If.Version
		}
		p.Op = &kvv1.PipelineOp_Delete{Delete: r}
	case driver.OpExpire:
		p.Op = &kvv1.PipelineOp_Expire{Expire: &kvv1.ExpireRequest{Namespace: n, Key: op.Key, TtlMs: op.Options.TTL.Milliseconds(), IdempotencyKey: id}}
	case driver.OpPersist:
		p.Op = &kvv1.PipelineOp_Persist{Persist: &kvv1.PersistRequest{Namespace: n, Key: op.Key, IdempotencyKey: id}}
	case driver.OpTouch:
		p.Op = &kvv1.PipelineOp_Touch{Touch: &kvv1.TouchRequest{Namespace: n, Key: op.Key, IdempotencyKey: id}}
	case driver.OpIncrement:
		p.Op = &kvv1.PipelineOp_Increment{Increment: &kvv1.IncrementRequest{Namespace: n, Key: op.Key, Delta: op.Delta, IdempotencyKey: id}}
	case driver.OpAppend:
		p.Op = &kvv1.PipelineOp_Append{Append: &kvv1.AppendRequest{Namespace: n, Key: op.Key, Value: op.Value, IdempotencyKey: id}}
	case driver.OpSetIfAbsent:
		p.Op = &kvv1.PipelineOp_SetIfAbsent{SetIfAbsent: &kvv1.SetIfAbsentRequest{Namespace: n, Key: op.Key, Value: op.Value, TtlMs: ttlOf(op.Options), IdempotencyKey: id}}
	case driver.OpGetAndSet:
		p.Op = &kvv1.PipelineOp_GetAndSet{GetAndSet: &kvv1.GetAndSetRequest{Namespace: n, Key: op.Key, Value: op.Value, TtlMs: ttlOf(op.Options), IdempotencyKey: id}}
	case driver.OpCompareAndSwap:
		p.Op = &kvv1.PipelineOp_CompareAndSwap{CompareAndSwap: &kvv1.CompareAndSwapRequest{
			Namespace: n, Key: op.Key, Expected: op.Expected, Value: op.Value, TtlMs: ttlOf(op.Options), IdempotencyKey: id,
		}}
	case driver.OpCompareAndDelete:
		p.Op = &kvv1.PipelineOp_CompareAndDelete{CompareAndDelete: &kvv1.CompareAndDeleteRequest{Namespace: n, Key: op.Key, Expected: op.Expected, IdempotencyKey: id}}
	}
	return p
}

// result reads an answer of the wire, whichever call it came from.
func (s *Stub) result(answer any) (r driver.Result) {
	switch a := answer.(type) {
	case *kvv1.GetResponse:
		r = driver.Result{Found: true, Value: a.Value, Version: a.Version, ExpiresAt: timeOf(a.ExpiresAtMs)}
	case *kvv1.SetResponse:
		r.Version = a.Version
	case *kvv1.DeleteResponse:
		r.Found, r.Version = a.Found, a.Version
	case *kvv1.ExistsResponse:
		r.Found = a.Exists
	case *kvv1.ExpireResponse:
		r.ExpiresAt = time.UnixMilli(a.ExpiresAtMs)
	case *kvv1.GetTTLResponse:
		if a.TtlMs != nil {
			r.ExpiresAt = s.now().Add(time.Duration(*a.TtlMs) * time.Millisecond)
		}
	case *kvv1.PersistResponse:
		r.Applied = a.Removed
	case *kvv1.TouchResponse:
		r.ExpiresAt = timeOf(a.ExpiresAtMs)
	case *kvv1.IncrementResponse:
		r.Number, r.Version = a.Value, a.Version
	case *kvv1.AppendResponse:
		r.Number, r.Version = a.SizeBytes, a.Version
	case *kvv1.SetIfAbsentResponse:
		r.Applied, r.Version = a.Applied, a.Version
	case *kvv1.GetAndSetResponse:
		r.Found, r.Value, r.Version = a.Found, a.Previous, a.Version
	case *kvv1.CompareAndSwapResponse:
		r.Applied, r.Version = a.Applied, a.Version
	case *kvv1.CompareAndDeleteResponse:
		r.Applied, r.Version = a.Applied, a.Version
	}
	return r
}
