package gateway

import (
	"context"
	"time"

	"google.golang.org/grpc"

	"github.com/prism-data-layer/prism/pkg/data/cache"
	"github.com/prism-data-layer/prism/pkg/prism"
	"github.com/prism-data-layer/prism/pkg/wire"
	cachev1 "github.com/prism-data-layer/prism/proto/prism/cache/v1"
)

// RegisterCache serves caches over the road.
func RegisterCache(s grpc.ServiceRegistrar, r *Road) {
	cachev1.RegisterCacheServiceServer(s, newCache(r))
}

type cacheService struct {
	cachev1.UnimplementedCacheServiceServer
	road *Road

	get, set, del, getMulti, exists *method
	touch, increment, pipeline      *method
	getOrLock, unlock, getStats     *method
}

func newCache(r *Road) *cacheService {
	m := r.methods(cachev1.CacheService_ServiceDesc.ServiceName)
	return &cacheService{
		road: r,
		get:  m["Get"], set: m["Set"], del: m["Delete"], getMulti: m["GetMulti"], exists: m["Exists"],
		touch: m["Touch"], increment: m["Increment"], pipeline: m["Pipeline"],
		getOrLock: m["GetOrLock"], unlock: m["Unlock"], getStats: m["GetStats"],
	}
}

// onCache is a unary call on a cache: it walks the road, runs do and leaves.
func onCache[Req interface{ GetNamespace() string }, Resp any](
	ctx context.Context, s *cacheService, m *method, req Req,
	do func(ctx context.Context, st *cache.Store, c *call) (Resp, error),
) (resp Resp, err error) {
	c, err := s.road.enter(ctx, m, req.GetNamespace(), req)
	if err != nil {
		return resp, err
	}
	defer c.finish(&err)
	st, err := c.target.Cache()
	if err != nil {
		return resp, err
	}
	resp, err = do(c.bound(), st, &c)
	c.answered(resp)
	return resp, err
}

// mutate gives an operation its receipt and runs it.
func (c *call) mutate(ctx context.Context, st *cache.Store, op *cache.Op, key string) (cache.Result, error) {
	retry, err := retryID(ctx, key)
	if err != nil {
		return cache.Result{}, err
	}
	if err := cache.Once(op, c.principal(), key, retry); err != nil {
		return cache.Result{}, err
	}
	return st.Do(ctx, op)
}

func (s *cacheService) Get(ctx context.Context, r *cachev1.GetRequest) (*cachev1.GetResponse, error) {
	return onCache(ctx, s, s.get, r, func(ctx context.Context, st *cache.Store, _ *call) (*cachev1.GetResponse, error) {
		e, found, err := st.Get(ctx, r.Key)
		if err != nil {
			return nil, err
		}
		return cacheEntry(e, found), nil
	})
}

func cacheEntry(e cache.Entry, found bool) *cachev1.GetResponse {
	return &cachev1.GetResponse{Found: found, Value: e.Value, ExpiresAtMs: millisOf(e.ExpiresAt)}
}

func (s *cacheService) Set(ctx context.Context, r *cachev1.SetRequest) (*cachev1.SetResponse, error) {
	return onCache(ctx, s, s.set, r, func(ctx context.Context, st *cache.Store, c *call) (*cachev1.SetResponse, error) {
		op, err := cacheSetOp(r)
		if err != nil {
			return nil, err
		}
		if r.Lock != "" {
			applied, err := st.Fill(ctx, c.principal(), r.Lock, &op)
			return &cachev1.SetResponse{Applied: applied}, err
		}
		res, err := c.mutate(ctx, st, &op, r.IdempotencyKey)
		return &cachev1.SetResponse{Applied: res.Applied}, err
	})
}

func cacheSetOp(r *cachev1.SetRequest) (cache.Op, error) {
	op := cache.Op{Kind: cache.OpSet, Key: r.Key, Value: r.Value}
	switch {
	case r.IfAbsent && r.IfPresent:
		return op, prism.InvalidField("if_present", "must not be set together with if_absent")
	case r.Lock != "" && (r.IfAbsent || r.IfPresent):
		return op, prism.InvalidField("lock", "must not be set together with a condition")
	case r.Lock != "" && r.IdempotencyKey != "":
		return op, prism.InvalidField("idempotency_key", "must not be set together with lock, which is used once itself")
	case len(r.Lock) > wire.MaxCursorBytes:
		return op, prism.InvalidField("lock", "must be at most 4096 bytes")
	case r.IfAbsent:
		op.If = cache.Absent
	case r.IfPresent:
		op.If = cache.Present
	}
	return op, cacheTTL(&op, r.TtlMs)
}

// cacheTTL reads a time to live. One that is set must be valid: 0 does not mean
// the default.
func cacheTTL(op *cache.Op, ms *int64) error {
	if ms == nil {
		return nil
	}
	if *ms < 1 || *ms > cache.MaxTTL.Milliseconds() {
		return prism.InvalidField("ttl_ms", "must be 1 ms to 10 years")
	}
	op.TTL = time.Duration(*ms) * time.Millisecond
	return nil
}

func (s *cacheService) Delete(ctx context.Context, r *cachev1.DeleteRequest) (*cachev1.DeleteResponse, error) {
	return onCache(ctx, s, s.del, r, func(ctx context.Context, st *cache.Store, c *call) (*cachev1.DeleteResponse, error) {
		res, err := c.mutate(ctx, st, &cache.Op{Kind: cache.OpDelete, Key: r.Key}, r.IdempotencyKey)
		return &cachev1.DeleteResponse{Found: res.Found}, err
	})
}

// GetMulti counts each key against the rate limit. Entries that do not fit into
// the reply say so.
func (s *cacheService) GetMulti(ctx context.Context, r *cachev1.GetMultiRequest) (*cachev1.GetMultiResponse, error) {
	return onCache(ctx, s, s.getMulti, r, func(ctx context.Context, st *cache.Store, c *call) (*cachev1.GetMultiResponse, error) {
		if len(r.Keys) > prism.MaxBatchItems {
			return nil, prism.InvalidField("keys", "must have at most 1000 items")
		}
		if err := c.target.Take(c.start, len(r.Keys)-1); err != nil { // the call itself was counted at the door
			return nil, err
		}
		results, err := st.GetMulti(ctx, r.Keys)
		if err != nil {
			return nil, err
		}
		resp := &cachev1.GetMultiResponse{Entries: make([]*cachev1.GetMultiEntry, len(results))}
		room := prism.MaxPageBytes
		for i := range results {
			e := multiEntry(&results[i])
			size := e.SizeVT() + itemOverhead
			if size > room && e.Found {
				e = &cachev1.GetMultiEntry{Found: true, Truncated: true}
				size = e.SizeVT() + itemOverhead
			}
			room -= size
			resp.Entries[i] = e
		}
		return resp, nil
	})
}

func multiEntry(r *cache.Result) *cachev1.GetMultiEntry {
	if r.Err != nil {
		return &cachev1.GetMultiEntry{Error: itemError(r.Err)}
	}
	return &cachev1.GetMultiEntry{Found: r.Found, Value: r.Value, ExpiresAtMs: millisOf(r.ExpiresAt)}
}

func (s *cacheService) Exists(ctx context.Context, r *cachev1.ExistsRequest) (*cachev1.ExistsResponse, error) {
	return onCache(ctx, s, s.exists, r, func(ctx context.Context, st *cache.Store, _ *call) (*cachev1.ExistsResponse, error) {
		res, err := st.Do(ctx, &cache.Op{Kind: cache.OpExists, Key: r.Key})
		return &cachev1.ExistsResponse{Exists: res.Found}, err
	})
}

func (s *cacheService) Touch(ctx context.Context, r *cachev1.TouchRequest) (*cachev1.TouchResponse, error) {
	return onCache(ctx, s, s.touch, r, func(ctx context.Context, st *cache.Store, c *call) (*cachev1.TouchResponse, error) {
		op, err := cacheTouchOp(r)
		if err != nil {
			return nil, err
		}
		res, err := c.mutate(ctx, st, &op, r.IdempotencyKey)
		return cacheTouched(&res), err
	})
}

func cacheTouchOp(r *cachev1.TouchRequest) (cache.Op, error) {
	op := cache.Op{Kind: cache.OpTouch, Key: r.Key}
	return op, cacheTTL(&op, r.TtlMs)
}

func cacheTouched(r *cache.Result) *cachev1.TouchResponse {
	return &cachev1.TouchResponse{Found: r.Found, ExpiresAtMs: millisOf(r.ExpiresAt)}
}

func (s *cacheService) Increment(ctx context.Context, r *cachev1.IncrementRequest) (*cachev1.IncrementResponse, error) {
	return onCache(ctx, s, s.increment, r, func(ctx context.Context, st *cache.Store, c *call) (*cachev1.IncrementResponse, error) {
		op, err := cacheIncrementOp(r)
		if err != nil {
			return nil, err
		}
		res, err := c.mutate(ctx, st, &op, r.IdempotencyKey)
		return &cachev1.IncrementResponse{Value: res.Number}, err
	})
}

func cacheIncrementOp(r *cachev1.IncrementRequest) (cache.Op, error) {
	op := cache.Op{Kind: cache.OpIncrement, Key: r.Key, Delta: r.Delta, Initial: r.Initial}
	return op, cacheTTL(&op, r.TtlMs)
}

func (s *cacheService) Pipeline(st grpc.BidiStreamingServer[cachev1.PipelineRequest, cachev1.PipelineResponse]) error {
	return pipe(st, s.road, s.pipeline, cacheFrames)
}

// answerTime is kept of a call's deadline, so that who waits is told to ask again
// and not that time is up.
const answerTime = 100 * time.Millisecond

// GetOrLock waits no longer than the call may last, and not when the session
// ends, the namespace changes or the gateway drains.
func (s *cacheService) GetOrLock(ctx context.Context, r *cachev1.GetOrLockRequest) (*cachev1.GetOrLockResponse, error) {
	return onCache(ctx, s, s.getOrLock, r, func(ctx context.Context, st *cache.Store, c *call) (*cachev1.GetOrLockResponse, error) {
		if err := checkWait(r); err != nil {
			return nil, err
		}
		hold, wait := time.Duration(r.LockMs)*time.Millisecond, time.Duration(r.WaitMs)*time.Millisecond
		if d, ok := ctx.Deadline(); ok {
			wait = max(min(wait, time.Until(d)-answerTime), 0)
		}
		var stop <-chan struct{}
		if wait > 0 {
			live, cancel := c.live(ctx)
			defer cancel()
			stop = live.Done()
		}
		o, err := st.GetOrLock(ctx, c.principal(), r.Key, hold, wait, stop)
		switch {
		case err != nil:
			return nil, err
		case o.Found:
			return &cachev1.GetOrLockResponse{Outcome: &cachev1.GetOrLockResponse_Entry{Entry: cacheEntry(o.Entry, true)}}, nil
		case o.Lock != "":
			return &cachev1.GetOrLockResponse{Outcome: &cachev1.GetOrLockResponse_Lock{Lock: o.Lock}}, nil
		}
		ms := max(o.RetryAfter.Milliseconds(), 1)
		return &cachev1.GetOrLockResponse{Outcome: &cachev1.GetOrLockResponse_RetryAfterMs{RetryAfterMs: ms}}, nil
	})
}

func checkWait(r *cachev1.GetOrLockRequest) error {
	const longest = int64(cache.MaxHold / time.Millisecond)
	var e *prism.Error
	for _, f := range [...]struct {
		name string
		ms   int64
	}{{"lock_ms", r.LockMs}, {"wait_ms", r.WaitMs}} {
		if f.ms >= 0 && f.ms <= longest {
			continue
		}
		if e == nil {
			e = prism.InvalidField(f.name, "must be 0 to 1 hour")
		} else {
			e.WithField(f.name, "must be 0 to 1 hour")
		}
	}
	if e != nil {
		return e
	}
	return nil
}

func (s *cacheService) Unlock(ctx context.Context, r *cachev1.UnlockRequest) (*cachev1.UnlockResponse, error) {
	return onCache(ctx, s, s.unlock, r, func(ctx context.Context, st *cache.Store, c *call) (*cachev1.UnlockResponse, error) {
		if len(r.Lock) > wire.MaxCursorBytes {
			return nil, prism.InvalidField("lock", "must be at most 4096 bytes")
		}
		released, err := st.Unlock(ctx, c.principal(), r.Key, r.Lock)
		return &cachev1.UnlockResponse{Released: released}, err
	})
}

func (s *cacheService) GetStats(ctx context.Context, r *cachev1.GetStatsRequest) (*cachev1.GetStatsResponse, error) {
	return onCache(ctx, s, s.getStats, r, func(ctx context.Context, st *cache.Store, _ *call) (*cachev1.GetStatsResponse, error) {
		n, err := st.Stats(ctx)
		if err != nil {
			return nil, err
		}
		resp := &cachev1.GetStatsResponse{Hits: n.Hits, Misses: n.Misses}
		if n.Bounded {
			resp.Entries, resp.SizeBytes, resp.MaxSizeBytes, resp.Evictions = &n.Entries, &n.Bytes, &n.MaxBytes, &n.Evictions
		}
		return resp, nil
	})
}
