package wire

import (
	"context"
	"time"

	"google.golang.org/grpc"

	"github.com/prism-data-layer/prism/pkg/driver"
	"github.com/prism-data-layer/prism/pkg/prism"
	pwire "github.com/prism-data-layer/prism/pkg/wire"
	cachev1 "github.com/prism-data-layer/prism/proto/prism/cache/v1"
)

// Always is the time to live that stands for none; no promise asks for it.
const Always = (10*365 - 1) * 24 * time.Hour

// A CacheStub is the cache capabilities over the generated client: one operation
// is a unary call, more are a frame of a Pipeline. Its namespaces give Always to
// an entry that asks for no time to live.
type CacheStub struct {
	c   cachev1.CacheServiceClient
	now func() time.Time
	// Via, if set, carries single operations instead of the unary calls.
	Via func(ctx context.Context, ns string, op *cachev1.PipelineOp) (*cachev1.PipelineResult, error)
	*seen[driver.CacheResult]
	bounds
	held held
}

// NewCacheStub calls over conn; now is the gateway's time, bound may be nil.
func NewCacheStub(conn grpc.ClientConnInterface, now func() time.Time, bound Bound) *CacheStub {
	return &CacheStub{
		c: cachev1.NewCacheServiceClient(conn), now: now, bounds: bounds{set: bound},
		seen: newSeen(func(a, b driver.CacheResult) bool {
			return a.Found == b.Found && a.Applied == b.Applied && a.Number == b.Number && a.ExpiresAt.Equal(b.ExpiresAt)
		}),
	}
}

// Get is the unary call.
func (s *CacheStub) Get(ctx context.Context, key prism.Key) (driver.CacheEntry, bool, error) {
	r, err := s.one(ctx, key.Namespace, &driver.CacheOp{Kind: driver.CacheGet, Key: key.Name})
	return driver.CacheEntry{Value: r.Value, ExpiresAt: r.ExpiresAt}, r.Found, err
}

// Do is a unary call for one operation, else a frame.
func (s *CacheStub) Do(ctx context.Context, ns prism.Namespace, ops []driver.CacheOp, results []driver.CacheResult) error {
	for i := range ops {
		if err := s.reach(ctx, ns, ops[i].Receipt); err != nil {
			return err
		}
	}
	var err error
	if len(ops) == 1 && ops[0].Kind >= driver.CacheGet && ops[0].Kind <= driver.CacheIncrement {
		results[0], err = s.one(ctx, ns, &ops[0])
		if e := prism.From(err); e != nil && e.Reason != prism.ReasonUnavailable && e.Reason != prism.ReasonBackendUnavailable && ctx.Err() == nil {
			results[0], err = driver.CacheResult{Err: e}, nil
		}
	} else {
		err = failed(s.frame(ctx, ns, ops, results))
	}
	if err != nil {
		return err
	}
	for i := range ops {
		if results[i].Err == nil {
			results[i].Replayed = s.again(ns, ops[i].Receipt, results[i])
		}
	}
	return nil
}

// cacheRequest is the wire's form of an operation.
func cacheRequest(ns prism.Namespace, op *driver.CacheOp) *cachev1.PipelineOp {
	n, id := string(ns), keyOf(op.Receipt)
	ttl := ttlOf(driver.SetOptions{TTL: op.TTL})
	switch op.Kind {
	case driver.CacheGet:
		return &cachev1.PipelineOp{Op: &cachev1.PipelineOp_Get{Get: &cachev1.GetRequest{Namespace: n, Key: op.Key}}}
	case driver.CacheExists:
		return &cachev1.PipelineOp{Op: &cachev1.PipelineOp_Exists{Exists: &cachev1.ExistsRequest{Namespace: n, Key: op.Key}}}
	case driver.CacheSet:
		return &cachev1.PipelineOp{Op: &cachev1.PipelineOp_Set{Set: &cachev1.SetRequest{
			Namespace: n, Key: op.Key, Value: op.Value, TtlMs: ttl, IfAbsent: op.If == driver.CacheAbsent, IfPresent: op.If == driver.CachePresent, IdempotencyKey: id,
		}}}
	case driver.CacheDelete:
		return &cachev1.PipelineOp{Op: &cachev1.PipelineOp_Delete{Delete: &cachev1.DeleteRequest{Namespace: n, Key: op.Key, IdempotencyKey: id}}}
	case driver.CacheTouch:
		return &cachev1.PipelineOp{Op: &cachev1.PipelineOp_Touch{Touch: &cachev1.TouchRequest{Namespace: n, Key: op.Key, TtlMs: ttl, IdempotencyKey: id}}}
	case driver.CacheIncrement:
		return &cachev1.PipelineOp{Op: &cachev1.PipelineOp_Increment{Increment: &cachev1.IncrementRequest{
			Namespace: n, Key: op.Key, Delta: op.Delta, Initial: op.Initial, TtlMs: ttl, IdempotencyKey: id,
		}}}
	}
	return &cachev1.PipelineOp{}
}

// one makes the unary call that an operation stands for.
func (s *CacheStub) one(ctx context.Context, ns prism.Namespace, op *driver.CacheOp) (driver.CacheResult, error) {
	if s.Via != nil {
		r, err := s.Via(ctx, string(ns), cacheRequest("", op))
		if err != nil {
			return driver.CacheResult{}, err
		}
		return s.frameResult(r), nil
	}
	var answer any
	var err error
	switch o := cacheRequest(ns, op).Op.(type) {
	case *cachev1.PipelineOp_Get:
		answer, err = s.c.Get(ctx, o.Get)
	case *cachev1.PipelineOp_Exists:
		answer, err = s.c.Exists(ctx, o.Exists)
	case *cachev1.PipelineOp_Set:
		answer, err = s.c.Set(ctx, o.Set)
	case *cachev1.PipelineOp_Delete:
		answer, err = s.c.Delete(ctx, o.Delete)
	case *cachev1.PipelineOp_Touch:
		answer, err = s.c.Touch(ctx, o.Touch)
	case *cachev1.PipelineOp_Increment:
		answer, err = s.c.Increment(ctx, o.Increment)
	}
	if err != nil {
		return driver.CacheResult{}, failed(err)
	}
	return s.result(answer), nil
}

// result reads an answer of the wire, whichever call it came from.
func (s *CacheStub) result(answer any) (r driver.CacheResult) {
	switch a := answer.(type) {
	case *cachev1.GetResponse:
		r = driver.CacheResult{Found: a.Found, Value: a.Value, ExpiresAt: s.end(a.ExpiresAtMs)}
	case *cachev1.ExistsResponse:
		r.Found = a.Exists
	case *cachev1.SetResponse:
		r.Applied = a.Applied
	case *cachev1.DeleteResponse:
		r.Found = a.Found
	case *cachev1.TouchResponse:
		r.Found, r.ExpiresAt = a.Found, s.end(a.ExpiresAtMs)
	case *cachev1.IncrementResponse:
		r.Number = a.Value
	}
	return r
}

// end reads an expiry; one that is about Always away stands for none.
func (s *CacheStub) end(ms *int64) time.Time {
	at := timeOf(ms)
	if left := at.Sub(s.now()); (left - Always).Abs() < 12*time.Hour {
		return time.Time{}
	}
	return at
}

func (s *CacheStub) frameResult(r *cachev1.PipelineResult) driver.CacheResult {
	switch a := r.Result.(type) {
	case *cachev1.PipelineResult_Error:
		return driver.CacheResult{Err: pwire.FromItem(a.Error)}
	case *cachev1.PipelineResult_Get:
		return s.result(a.Get)
	case *cachev1.PipelineResult_Exists:
		return s.result(a.Exists)
	case *cachev1.PipelineResult_Set:
		return s.result(a.Set)
	case *cachev1.PipelineResult_Delete:
		return s.result(a.Delete)
	case *cachev1.PipelineResult_Touch:
		return s.result(a.Touch)
	case *cachev1.PipelineResult_Increment:
		return s.result(a.Increment)
	}
	return driver.CacheResult{Err: prism.New(prism.ReasonInternal, "the gateway answered with no result")}
}

// frame runs the operations as one frame of a stream of its own.
func (s *CacheStub) frame(ctx context.Context, ns prism.Namespace, ops []driver.CacheOp, results []driver.CacheResult) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	st, err := s.c.Pipeline(ctx)
	if err != nil {
		return err
	}
	frame := &cachev1.PipelineFrame{Id: 1}
	for i := range ops {
		frame.Ops = append(frame.Ops, cacheRequest("", &ops[i]))
	}
	for _, req := range []*cachev1.PipelineRequest{
		{Message: &cachev1.PipelineRequest_Open{Open: &cachev1.PipelineOpen{Namespace: string(ns)}}},
		{Message: &cachev1.PipelineRequest_Frame{Frame: frame}},
	} {
		if st.Send(req) != nil {
			break // Recv says why
		}
	}
	if _, err := st.Recv(); err != nil {
		return err
	}
	i := 0
	for more := true; more; {
		a, err := st.Recv()
		if err != nil {
			return err
		}
		for _, r := range a.Results {
			results[i] = s.frameResult(r)
			i++
		}
		more = a.More
	}
	return nil
}
