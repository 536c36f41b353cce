package wire

import (
	"context"
	"time"
	"unicode/utf8"

	"google.golang.org/grpc"

	"github.com/prism-data-layer/prism/pkg/driver"
	"github.com/prism-data-layer/prism/pkg/prism"
	pwire "github.com/prism-data-layer/prism/pkg/wire"
	kvv1 "github.com/prism-data-layer/prism/proto/prism/keyvalue/v1"
)

// call makes the unary call that an operation stands for.
func (s *Stub) call(ctx context.Context, ns prism.Namespace, op driver.Op) (driver.Result, error) {
	var answer any
	var err error
	if err := s.reach(ctx, ns, op.Receipt); err != nil {
		return driver.Result{}, err
	}
	if op.Kind == driver.OpGetAndSet && op.Options.KeepTTL {
		if op.Options.TTL, err = s.left(ctx, prism.Key{Namespace: ns, Name: op.Key}); err != nil {
			return driver.Result{}, err
		}
	}
	if s.Via != nil {
		a, err := s.Via(ctx, string(ns), request("", op))
		if err != nil {
			return driver.Result{}, err
		}
		r := s.frameResult(a)
		r.Replayed = s.again(ns, op.Receipt, r)
		return r, nil
	}
	switch o := request(ns, op).Op.(type) {
	case *kvv1.PipelineOp_Get:
		answer, err = s.kv.Get(ctx, o.Get)
	case *kvv1.PipelineOp_Set:
		answer, err = s.kv.Set(ctx, o.Set)
	case *kvv1.PipelineOp_Delete:
		answer, err = s.kv.Delete(ctx, o.Delete)
	case *kvv1.PipelineOp_Exists:
		answer, err = s.kv.Exists(ctx, o.Exists)
	case *kvv1.PipelineOp_Expire:
		answer, err = s.kv.Expire(ctx, o.Expire)
	case *kvv1.PipelineOp_GetTtl:
		answer, err = s.kv.GetTTL(ctx, o.GetTtl)
	case *kvv1.PipelineOp_Persist:
		answer, err = s.kv.Persist(ctx, o.Persist)
	case *kvv1.PipelineOp_Touch:
		answer, err = s.kv.Touch(ctx, o.Touch)
	case *kvv1.PipelineOp_Increment:
		answer, err = s.kv.Increment(ctx, o.Increment)
	case *kvv1.PipelineOp_Append:
		answer, err = s.kv.Append(ctx, o.Append)
	case *kvv1.PipelineOp_SetIfAbsent:
		answer, err = s.kv.SetIfAbsent(ctx, o.SetIfAbsent)
	case *kvv1.PipelineOp_GetAndSet:
		answer, err = s.kv.GetAndSet(ctx, o.GetAndSet)
	case *kvv1.PipelineOp_CompareAndSwap:
		answer, err = s.kv.CompareAndSwap(ctx, o.CompareAndSwap)
	case *kvv1.PipelineOp_CompareAndDelete:
		answer, err = s.kv.CompareAndDelete(ctx, o.CompareAndDelete)
	}
	if err != nil {
		return driver.Result{}, failed(err)
	}
	r := s.result(answer)
	r.Replayed = s.again(ns, op.Receipt, r)
	return r, nil
}

// Get calls Get.
func (s *Stub) Get(ctx context.Context, key prism.Key) (driver.Entry, bool, error) {
	r, err := s.call(ctx, key.Namespace, driver.Op{Kind: driver.OpGet, Key: key.Name})
	if e := prism.From(err); e != nil && e.Reason == prism.ReasonNotFound {
		return driver.Entry{}, false, nil
	}
	return driver.Entry{Value: r.Value, Version: r.Version, ExpiresAt: r.ExpiresAt}, r.Found, err
}

// Exists calls Exists.
func (s *Stub) Exists(ctx context.Context, key prism.Key) (bool, error) {
	r, err := s.call(ctx, key.Namespace, driver.Op{Kind: driver.OpExists, Key: key.Name})
	return r.Found, err
}

// ExpiresAt calls GetTTL.
func (s *Stub) ExpiresAt(ctx context.Context, key prism.Key) (time.Time, error) {
	r, err := s.call(ctx, key.Namespace, driver.Op{Kind: driver.OpExpiresAt, Key: key.Name})
	return r.ExpiresAt, err
}

// Scan calls Scan, or ScanKeys for keys alone.
func (s *Stub) Scan(ctx context.Context, ns prism.Namespace, q driver.Query, token []byte) (driver.Page, error) {
	var page driver.Page
	cursor := ""
	var opts []grpc.CallOption
	if !utf8.Valid(token) { // grpc-go's own codec would not send it
		opts = append(opts, grpc.ForceCodecV2(pwire.Codec()))
	}
	if q.KeysOnly {
		a, err := s.kv.ScanKeys(ctx, &kvv1.ScanKeysRequest{
			Namespace: string(ns), Prefix: q.Prefix, Start: q.Start, End: q.End, Reverse: q.Reverse,
			Limit: int32(q.Limit), MaxBytes: int32(q.MaxBytes), Cursor: string(token),
		}, opts...)
		if err != nil {
			return page, Inverted(q, err)
		}
		for _, k := range a.Keys {
			page.Entries = append(page.Entries, driver.Entry{Key: k.Key, Size: int(k.SizeBytes), Version: k.Version, ExpiresAt: timeOf(k.ExpiresAtMs)})
		}
		cursor = a.Cursor
	} else {
		a, err := s.kv.Scan(ctx, &kvv1.ScanRequest{
			Namespace: string(ns), Prefix: q.Prefix, Start: q.Start, End: q.End, Reverse: q.Reverse,
			Limit: int32(q.Limit), MaxBytes: int32(q.MaxBytes), Cursor: string(token),
		}, opts...)
		if err != nil {
			return page, Inverted(q, err)
		}
		for _, e := range a.Entries {
			page.Entries = append(page.Entries, driver.Entry{Key: e.Key, Value: e.Value, Size: len(e.Value), Version: e.Version, ExpiresAt: timeOf(e.ExpiresAtMs)})
		}
		cursor = a.Cursor
	}
	if cursor != "" {
		page.Next = []byte(cursor)
	}
	return page, nil
}

// Inverted is nil for the refusal of a range that ends before it starts.
func Inverted(q driver.Query, err error) error {
	e := pwire.FromStatus(err)
	if e == nil || q.End != "" && q.Start > q.End && e.Reason == prism.ReasonInvalidArgument && e.Fields[0].Field == "end" {
		return nil
	}
	return e
}

// Count calls Count.
func (s *Stub) Count(ctx context.Context, ns prism.Namespace, q driver.Query) (int64, error) {
	a, err := s.kv.Count(ctx, &kvv1.CountRequest{Namespace: string(ns), Prefix: q.Prefix, Start: q.Start, End: q.End})
	return a.GetCount(), Inverted(q, err)
}

// First is a page of one.
func (s *Stub) First(ctx context.Context, ns prism.Namespace, q driver.Query) (driver.Entry, bool, error) {
	q.Limit = 1
	page, err := s.Scan(ctx, ns, q, nil)
	if err != nil || len(page.Entries) == 0 {
		return driver.Entry{}, false, err
	}
	return page.Entries[0], true, nil
}
