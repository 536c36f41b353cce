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

// Set calls Set.
func (s *Stub) Set(ctx context.Context, key prism.Key, value []byte, o driver.SetOptions, r driver.Receipt) (driver.Result, error) {
	return s.call(ctx, key.Namespace, driver.Op{Kind: driver.OpSet, Key: key.Name, Value: value, Options: o, Receipt: r})
}

// Delete calls Delete.
func (s *Stub) Delete(ctx context.Context, key prism.Key, r driver.Receipt) (driver.Result, error) {
	return s.call(ctx, key.Namespace, driver.Op{Kind: driver.OpDelete, Key: key.Name, Receipt: r})
}

// Exists calls Exists.
func (s *Stub) Exists(ctx context.Context, key prism.Key) (bool, error) {
	r, err := s.call(ctx, key.Namespace, driver.Op{Kind: driver.OpExists, Key: key.Name})
	return r.Found, err
}

// SetIf calls Set with a condition.
func (s *Stub) SetIf(ctx context.Context, key prism.Key, value []byte, c driver.Condition, o driver.SetOptions, r driver.Receipt) (driver.Result, error) {
	return s.call(ctx, key.Namespace, driver.Op{Kind: driver.OpSetIf, Key: key.Name, Value: value, If: c, Options: o, Receipt: r})
}

// DeleteIf calls Delete with a condition.
func (s *Stub) DeleteIf(ctx context.Context, key prism.Key, c driver.Condition, r driver.Receipt) (driver.Result, error) {
	return s.call(ctx, key.Namespace, driver.Op{Kind: driver.OpDeleteIf, Key: key.Name, If: c, Receipt: r})
}

// Expire calls Expire.
func (s *Stub) Expire(ctx context.Context, key prism.Key, ttl time.Duration, r driver.Receipt) (driver.Result, error) {
	return s.call(ctx, key.Namespace, driver.Op{Kind: driver.OpExpire, Key: key.Name, Options: driver.SetOptions{TTL: ttl}, Receipt: r})
}

// ExpiresAt calls GetTTL.
func (s *Stub) ExpiresAt(ctx context.Context, key prism.Key) (time.Time, error) {
	r, err := s.call(ctx, key.Namespace, driver.Op{Kind: driver.OpExpiresAt, Key: key.Name})
	return r.ExpiresAt, err
}

// Persist calls Persist.
func (s *Stub) Persist(ctx context.Context, key prism.Key, r driver.Receipt) (driver.Result, error) {
	return s.call(ctx, key.Namespace, driver.Op{Kind: driver.OpPersist, Key: key.Name, Receipt: r})
}

// Touch calls Touch.
func (s *Stub) Touch(ctx context.Context, key prism.Key, r driver.Receipt) (driver.Result, error) {
	return s.call(ctx, key.Namespace, driver.Op{Kind: driver.OpTouch, Key: key.Name, Receipt: r})
}

// Increment calls Increment.
func (s *Stub) Increment(ctx context.Context, key prism.Key, delta int64, r driver.Receipt) (driver.Result, error) {
	return s.call(ctx, key.Namespace, driver.Op{Kind: driver.OpIncrement, Key: key.Name, Delta: delta, Receipt: r})
}

// Append calls Append.
func (s *Stub) Append(ctx context.Context, key prism.Key, value []byte, r driver.Receipt) (driver.Result, error) {
	return s.call(ctx, key.Namespace, driver.Op{Kind: driver.OpAppend, Key: key.Name, Value: value, Receipt: r})
}

// SetIfAbsent calls SetIfAbsent.
func (s *Stub) SetIfAbsent(ctx context.Context, key prism.Key, value []byte, o driver.SetOptions, r driver.Receipt) (driver.Result, error) {
	return s.call(ctx, key.Namespace, driver.Op{Kind: driver.OpSetIfAbsent, Key: key.Name, Value: value, Options: o, Receipt: r})
}

// GetAndSet calls GetAndSet.
func (s *Stub) GetAndSet(ctx context.Context, key prism.Key, value []byte, o driver.SetOptions, r driver.Receipt) (driver.Result, error) {
	return s.call(ctx, key.Namespace, driver.Op{Kind: driver.OpGetAndSet, Key: key.Name, Value: value, Options: o, Receipt: r})
}

// CompareAndSwap calls CompareAndSwap.
func (s *Stub) CompareAndSwap(ctx context.Context, key prism.Key, expected, value []byte, o driver.SetOptions, r driver.Receipt) (driver.Result, error) {
	return s.call(ctx, key.Namespace, driver.Op{Kind: driver.OpCompareAndSwap, Key: key.Name, Expected: expected, Value: value, Options: o, Receipt: r})
}

// CompareAndDelete calls CompareAndDelete.
func (s *Stub) CompareAndDelete(ctx context.Context, key prism.Key, expected []byte, r driver.Receipt) (driver.Result, error) {
	return s.call(ctx, key.Namespace, driver.Op{Kind: driver.OpCompareAndDelete, Key: key.Name, Expected: expected, Receipt: r})
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
