package gateway

import (
	"context"
	"encoding/hex"

	"google.golang.org/grpc"

	"github.com/prism-data-layer/prism/pkg/data/keyvalue"
	"github.com/prism-data-layer/prism/pkg/prism"
	"github.com/prism-data-layer/prism/pkg/wire"
	kvv1 "github.com/prism-data-layer/prism/proto/prism/keyvalue/v1"
)

// RegisterKeyValue serves key-value over the road.
func RegisterKeyValue(s grpc.ServiceRegistrar, r *Road) {
	kvv1.RegisterKeyValueServiceServer(s, newKeyValue(r))
}

type keyValue struct {
	kvv1.UnimplementedKeyValueServiceServer
	road *Road

	get, set, del, exists            *method
	scan, scanKeys, count            *method
	expire, getTTL, persist, touch   *method
	batchGet, batchSet, batchDelete  *method
	increment, add                   *method
	setIfAbsent, getAndSet           *method
	compareAndSwap, compareAndDelete *method
	transaction, pipeline, watch     *method
}

func newKeyValue(r *Road) *keyValue {
	m := r.methods(kvv1.KeyValueService_ServiceDesc.ServiceName)
	return &keyValue{
		road: r,
		get:  m["Get"], set: m["Set"], del: m["Delete"], exists: m["Exists"],
		scan: m["Scan"], scanKeys: m["ScanKeys"], count: m["Count"],
		expire: m["Expire"], getTTL: m["GetTTL"], persist: m["Persist"], touch: m["Touch"],
		batchGet: m["BatchGet"], batchSet: m["BatchSet"], batchDelete: m["BatchDelete"],
		increment: m["Increment"], add: m["Append"],
		setIfAbsent: m["SetIfAbsent"], getAndSet: m["GetAndSet"],
		compareAndSwap: m["CompareAndSwap"], compareAndDelete: m["CompareAndDelete"],
		transaction: m["Transaction"], pipeline: m["Pipeline"], watch: m["Watch"],
	}
}

// walk is how every call on a namespace begins that has one message. What it
// lets in is to be finished.
func (k *keyValue) walk(ctx context.Context, m *method, req interface{ GetNamespace() string }) (c call, kv *keyvalue.Store, err error) {
	ns := req.GetNamespace()
	if ns == "" { // as in a message that cannot be read
		if err := wire.Unreadable(req); err != nil {
			return c, nil, k.road.refuseUnread(ctx, m, err)
		}
	}
	if c, err = k.road.enter(ctx, m, ns, req); err != nil {
		return c, nil, err
	}
	if kv, err = c.target.KeyValue(); err != nil {
		return c, nil, c.leave(err)
	}
	return c, kv, nil
}

// refuseUnread answers a message that could not be read to a caller who may
// call at all.
func (r *Road) refuseUnread(ctx context.Context, m *method, why error) error {
	c, err := r.knock(ctx, m, "")
	if err != nil {
		return err
	}
	return c.refuse("", why)
}

// on is a unary call on a namespace: it walks the road, runs do and leaves.
func on[Req interface{ GetNamespace() string }, Resp any](
	ctx context.Context, k *keyValue, m *method, req Req,
	do func(ctx context.Context, kv *keyvalue.Store, c *call, req Req) (Resp, error),
) (resp Resp, err error) {
	c, kv, err := k.walk(ctx, m, req)
	if err != nil {
		return resp, err
	}
	defer c.finish(&err)
	resp, err = do(c.bound(), kv, &c, req)
	c.answered(resp)
	return resp, err
}

// one is a unary call that is one operation: op decodes it, answer encodes. It
// is on without the function value, which would move the call to the heap.
func one[Req interface{ GetNamespace() string }, Resp any](
	ctx context.Context, k *keyValue, m *method, req Req,
	op func(Req) (keyvalue.Op, string, error),
	answer func(*keyvalue.Store, *keyvalue.Result) Resp,
) (resp Resp, err error) {
	c, kv, err := k.walk(ctx, m, req)
	if err != nil {
		return resp, err
	}
	defer c.finish(&err)
	o, key, err := op(req)
	if err != nil {
		return resp, err
	}
	if !o.Kind.Reads() {
		if err := once(ctx, &o, c.principal(), key); err != nil {
			return resp, err
		}
	}
	in := context.Context(c.note)
	if !kv.Instant() { // what never waits needs no end to its waiting
		in = c.bound()
	}
	r, err := kv.Do(in, &o)
	if err != nil {
		return resp, err
	}
	resp = answer(kv, &r)
	c.answered(resp)
	return resp, nil
}

// once gives a mutation its receipt: from the caller's key, or from the id that
// its client made for retries.
func once(ctx context.Context, o *keyvalue.Op, principal, key string) error {
	retry, err := retryID(ctx, key)
	if err != nil {
		return err
	}
	return keyvalue.Once(o, principal, key, retry)
}

// retryID is the id that a client made for its retries, of a call without a key.
func retryID(ctx context.Context, key string) ([]byte, error) {
	text := ""
	if key == "" {
		text = wire.MetadataOf(ctx).First(wire.RetryID)
	}
	if text == "" {
		return nil, nil
	}
	retry, err := hex.DecodeString(text)
	if err != nil || len(retry) > prism.MaxIdempotencyKeyBytes {
		return nil, prism.InvalidField(wire.RetryID, "must be hexadecimal, at most 128 bytes")
	}
	return retry, nil
}

func (k *keyValue) Pipeline(st grpc.BidiStreamingServer[kvv1.PipelineRequest, kvv1.PipelineResponse]) error {
	return pipe(st, k.road, k.pipeline, keyValueFrames)
}

func (k *keyValue) Get(ctx context.Context, r *kvv1.GetRequest) (*kvv1.GetResponse, error) {
	return one(ctx, k, k.get, r, getOp, getAnswer)
}

func (k *keyValue) Set(ctx context.Context, r *kvv1.SetRequest) (*kvv1.SetResponse, error) {
	return one(ctx, k, k.set, r, setOp, setAnswer)
}

func (k *keyValue) Delete(ctx context.Context, r *kvv1.DeleteRequest) (*kvv1.DeleteResponse, error) {
	return one(ctx, k, k.del, r, deleteOp, deleteAnswer)
}

func (k *keyValue) Exists(ctx context.Context, r *kvv1.ExistsRequest) (*kvv1.ExistsResponse, error) {
	return one(ctx, k, k.exists, r, existsOp, existsAnswer)
}

func (k *keyValue) Expire(ctx context.Context, r *kvv1.ExpireRequest) (*kvv1.ExpireResponse, error) {
	return one(ctx, k, k.expire, r, expireOp, expireAnswer)
}

func (k *keyValue) GetTTL(ctx context.Context, r *kvv1.GetTTLRequest) (*kvv1.GetTTLResponse, error) {
	return one(ctx, k, k.getTTL, r, getTTLOp, getTTLAnswer)
}

func (k *keyValue) Persist(ctx context.Context, r *kvv1.PersistRequest) (*kvv1.PersistResponse, error) {
	return one(ctx, k, k.persist, r, persistOp, persistAnswer)
}

func (k *keyValue) Touch(ctx context.Context, r *kvv1.TouchRequest) (*kvv1.TouchResponse, error) {
	return one(ctx, k, k.touch, r, touchOp, touchAnswer)
}

func (k *keyValue) Increment(ctx context.Context, r *kvv1.IncrementRequest) (*kvv1.IncrementResponse, error) {
	return one(ctx, k, k.increment, r, incrementOp, incrementAnswer)
}

func (k *keyValue) Append(ctx context.Context, r *kvv1.AppendRequest) (*kvv1.AppendResponse, error) {
	return one(ctx, k, k.add, r, appendOp, appendAnswer)
}

func (k *keyValue) SetIfAbsent(ctx context.Context, r *kvv1.SetIfAbsentRequest) (*kvv1.SetIfAbsentResponse, error) {
	return one(ctx, k, k.setIfAbsent, r, setIfAbsentOp, setIfAbsentAnswer)
}

func (k *keyValue) GetAndSet(ctx context.Context, r *kvv1.GetAndSetRequest) (*kvv1.GetAndSetResponse, error) {
	return one(ctx, k, k.getAndSet, r, getAndSetOp, getAndSetAnswer)
}

func (k *keyValue) CompareAndSwap(ctx context.Context, r *kvv1.CompareAndSwapRequest) (*kvv1.CompareAndSwapResponse, error) {
	return one(ctx, k, k.compareAndSwap, r, compareAndSwapOp, compareAndSwapAnswer)
}

func (k *keyValue) CompareAndDelete(ctx context.Context, r *kvv1.CompareAndDeleteRequest) (*kvv1.CompareAndDeleteResponse, error) {
	return one(ctx, k, k.compareAndDelete, r, compareAndDeleteOp, compareAndDeleteAnswer)
}

func (k *keyValue) Scan(ctx context.Context, r *kvv1.ScanRequest) (*kvv1.ScanResponse, error) {
	return on(ctx, k, k.scan, r, func(ctx context.Context, kv *keyvalue.Store, c *call, r *kvv1.ScanRequest) (*kvv1.ScanResponse, error) {
		page, err := kv.Scan(ctx, c.principal(), keyvalue.Query{
			Prefix: r.Prefix, Start: r.Start, End: r.End, Reverse: r.Reverse,
			Limit: r.Limit, MaxBytes: r.MaxBytes, Cursor: r.Cursor,
		})
		if err != nil {
			return nil, err
		}
		resp := &kvv1.ScanResponse{Cursor: page.Cursor, Entries: make([]*kvv1.Entry, len(page.Entries))}
		for i := range page.Entries {
			e := &page.Entries[i]
			resp.Entries[i] = &kvv1.Entry{Key: e.Key, Value: e.Value, Version: e.Version, ExpiresAtMs: millisOf(e.ExpiresAt)}
		}
		return resp, nil
	})
}

func (k *keyValue) ScanKeys(ctx context.Context, r *kvv1.ScanKeysRequest) (*kvv1.ScanKeysResponse, error) {
	return on(ctx, k, k.scanKeys, r, func(ctx context.Context, kv *keyvalue.Store, c *call, r *kvv1.ScanKeysRequest) (*kvv1.ScanKeysResponse, error) {
		page, err := kv.Scan(ctx, c.principal(), keyvalue.Query{
			Prefix: r.Prefix, Start: r.Start, End: r.End, Reverse: r.Reverse, KeysOnly: true,
			Limit: r.Limit, MaxBytes: r.MaxBytes, Cursor: r.Cursor,
		})
		if err != nil {
			return nil, err
		}
		resp := &kvv1.ScanKeysResponse{Cursor: page.Cursor, Keys: make([]*kvv1.KeyInfo, len(page.Entries))}
		for i := range page.Entries {
			e := &page.Entries[i]
			resp.Keys[i] = &kvv1.KeyInfo{Key: e.Key, Version: e.Version, SizeBytes: int64(e.Size), ExpiresAtMs: millisOf(e.ExpiresAt)}
		}
		return resp, nil
	})
}

func (k *keyValue) Count(ctx context.Context, r *kvv1.CountRequest) (*kvv1.CountResponse, error) {
	return on(ctx, k, k.count, r, func(ctx context.Context, kv *keyvalue.Store, _ *call, r *kvv1.CountRequest) (*kvv1.CountResponse, error) {
		n, err := kv.Count(ctx, keyvalue.Query{Prefix: r.Prefix, Start: r.Start, End: r.End})
		return &kvv1.CountResponse{Count: n}, err
	})
}

func (k *keyValue) BatchGet(ctx context.Context, r *kvv1.BatchGetRequest) (*kvv1.BatchGetResponse, error) {
	return on(ctx, k, k.batchGet, r, func(ctx context.Context, kv *keyvalue.Store, c *call, r *kvv1.BatchGetRequest) (*kvv1.BatchGetResponse, error) {
		resp := &kvv1.BatchGetResponse{Results: make([]*kvv1.GetResult, 0, len(r.Keys))}
		room := prism.MaxPageBytes
		return resp, k.batch(ctx, kv, c, "keys", len(r.Keys), func(i int) (keyvalue.Op, string, error) {
			return keyvalue.Op{Kind: keyvalue.OpGet, Key: r.Keys[i]}, "", nil
		}, func(result *keyvalue.Result) {
			r := getResult(kv, result)
			if room -= r.SizeVT() + itemOverhead; room < 0 && r.GetEntry() != nil {
				r = &kvv1.GetResult{Result: &kvv1.GetResult_Error{Error: itemError(
					prism.New(prism.ReasonMessageTooBig, "the entries are over 4 MiB together: ask for fewer at once"))}}
			}
			resp.Results = append(resp.Results, r)
		})
	})
}

func (k *keyValue) BatchSet(ctx context.Context, r *kvv1.BatchSetRequest) (*kvv1.BatchSetResponse, error) {
	return on(ctx, k, k.batchSet, r, func(ctx context.Context, kv *keyvalue.Store, c *call, r *kvv1.BatchSetRequest) (*kvv1.BatchSetResponse, error) {
		resp := &kvv1.BatchSetResponse{Results: make([]*kvv1.SetResult, 0, len(r.Items))}
		return resp, k.batch(ctx, kv, c, "items", len(r.Items), func(i int) (keyvalue.Op, string, error) {
			if err := sameNamespace(r.Items[i], r.Namespace); err != nil {
				return keyvalue.Op{}, "", err
			}
			return setOp(r.Items[i])
		}, func(result *keyvalue.Result) {
			if e := result.Err; e != nil {
				resp.Results = append(resp.Results, &kvv1.SetResult{Result: &kvv1.SetResult_Error{Error: itemError(e)}})
				return
			}
			resp.Results = append(resp.Results, &kvv1.SetResult{Result: &kvv1.SetResult_Set{Set: setAnswer(kv, result)}})
		})
	})
}

func (k *keyValue) BatchDelete(ctx context.Context, r *kvv1.BatchDeleteRequest) (*kvv1.BatchDeleteResponse, error) {
	return on(ctx, k, k.batchDelete, r, func(ctx context.Context, kv *keyvalue.Store, c *call, r *kvv1.BatchDeleteRequest) (*kvv1.BatchDeleteResponse, error) {
		resp := &kvv1.BatchDeleteResponse{Results: make([]*kvv1.DeleteResult, 0, len(r.Items))}
		return resp, k.batch(ctx, kv, c, "items", len(r.Items), func(i int) (keyvalue.Op, string, error) {
			if err := sameNamespace(r.Items[i], r.Namespace); err != nil {
				return keyvalue.Op{}, "", err
			}
			return deleteOp(r.Items[i])
		}, func(result *keyvalue.Result) {
			if e := result.Err; e != nil {
				resp.Results = append(resp.Results, &kvv1.DeleteResult{Result: &kvv1.DeleteResult_Error{Error: itemError(e)}})
				return
			}
			resp.Results = append(resp.Results, &kvv1.DeleteResult{Result: &kvv1.DeleteResult_Deleted{Deleted: deleteAnswer(kv, result)}})
		})
	})
}

// itemOverhead is what an item adds to a reply beside its own size.
const itemOverhead = 8

func getResult(kv *keyvalue.Store, r *keyvalue.Result) *kvv1.GetResult {
	if r.Err != nil {
		return &kvv1.GetResult{Result: &kvv1.GetResult_Error{Error: itemError(r.Err)}}
	}
	return &kvv1.GetResult{Result: &kvv1.GetResult_Entry{Entry: getAnswer(kv, r)}}
}

// batch runs n operations that op decodes and hands each result to answer, in
// order; it keeps none. An operation that cannot be decoded fails alone.
func (k *keyValue) batch(
	ctx context.Context, kv *keyvalue.Store, c *call, field string, n int,
	op func(i int) (keyvalue.Op, string, error), answer func(*keyvalue.Result),
) error {
	if n > prism.MaxBatchItems {
		return prism.InvalidField(field, "must have at most 1000 items")
	}
	if err := kv.Require("keyvalue_batch"); err != nil {
		return err
	}
	if err := c.target.Take(c.start, n-1); err != nil { // the call itself was counted at the door
		return err
	}
	b := keyValueOps.get(n)
	defer b.free()
	for i := range n {
		o, key, err := op(i)
		if err == nil {
			err = keyvalue.Once(&o, c.principal(), key, nil)
		}
		b.add(o)
		if err != nil {
			b.fail(i, err)
		}
	}
	results, err := b.run(ctx, kv.Batch)
	if err != nil {
		return err
	}
	for i := range results {
		answer(&results[i])
	}
	return nil
}
