package gateway_test

import (
	"bytes"
	"context"
	"encoding/hex"
	"sync"
	"sync/atomic"
	"testing"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"

	"github.com/prism-data-layer/prism/pkg/prism"
	"github.com/prism-data-layer/prism/pkg/wire"
	kvv1 "github.com/prism-data-layer/prism/proto/prism/keyvalue/v1"
	"github.com/prism-data-layer/prism/test/harness"
)

// One idempotency key is one receipt, by whichever door the call comes.
func TestAKeyIsTheSameReceiptThroughEveryDoor(t *testing.T) {
	t.Parallel()
	_, kv, ctx := start(t, harness.Options{})
	req := func() *kvv1.SetRequest {
		return &kvv1.SetRequest{Namespace: ns, Key: "k", Value: []byte("v"), IdempotencyKey: "once"}
	}
	unary := must[*kvv1.SetResponse](t)(kv.Set(ctx, req()))
	again := must[*kvv1.SetResponse](t)(kv.Set(ctx, req()))
	batch := must[*kvv1.BatchSetResponse](t)(kv.BatchSet(ctx, &kvv1.BatchSetRequest{Namespace: ns, Items: []*kvv1.SetRequest{req()}}))
	p := open(t, kv, ctx)
	p.send(1, &kvv1.PipelineOp{Op: &kvv1.PipelineOp_Set{Set: req()}, RetryId: []byte("the key wins")})
	frame := p.answer(1)
	for door, v := range map[string]uint64{
		"unary again": again.Version, "batch": batch.Results[0].GetSet().GetVersion(), "pipeline": frame[0].GetSet().GetVersion(),
	} {
		if v != unary.Version {
			t.Errorf("%s: version %d, the first call had %d", door, v, unary.Version)
		}
	}
	other := req()
	other.Value = []byte("w")
	_, err := kv.Set(ctx, other)
	want(t, "another body", err, codes.InvalidArgument, prism.ReasonKeyReused)
	p.send(2, &kvv1.PipelineOp{Op: &kvv1.PipelineOp_Set{Set: other}})
	if r := p.answer(2); r[0].GetError().GetReason() != "KEY_REUSED" {
		t.Errorf("another body over the pipeline: %v", r[0])
	}
	// A key belongs to its RPC.
	d := must[*kvv1.DeleteResponse](t)(kv.Delete(ctx, &kvv1.DeleteRequest{Namespace: ns, Key: "k", IdempotencyKey: "once"}))
	if !d.Found {
		t.Error("the key of a Set was taken for one of a Delete")
	}
}

// An id for retries in metadata is the one of a Pipeline operation.
func TestARetryIDIsTheSameReceiptThroughBothDoors(t *testing.T) {
	t.Parallel()
	_, kv, ctx := start(t, harness.Options{})
	id := []byte{1, 2, 3, 0xFF}
	with := metadata.AppendToOutgoingContext(ctx, wire.RetryID, hex.EncodeToString(id))
	first := must[*kvv1.IncrementResponse](t)(kv.Increment(with, &kvv1.IncrementRequest{Namespace: ns, Key: "n", Delta: 1}))
	again := must[*kvv1.IncrementResponse](t)(kv.Increment(with, &kvv1.IncrementRequest{Namespace: ns, Key: "n", Delta: 1}))
	p := open(t, kv, ctx)
	p.send(1, &kvv1.PipelineOp{Op: &kvv1.PipelineOp_Increment{Increment: &kvv1.IncrementRequest{Key: "n", Delta: 1}}, RetryId: id})
	frame := p.answer(1)[0].GetIncrement()
	if first.Value != 1 || again.Value != 1 || frame.GetValue() != 1 {
		t.Errorf("incremented to %d, %d, %d with one id", first.Value, again.Value, frame.GetValue())
	}
	for _, bad := range []string{"xyz", "0", hex.EncodeToString(make([]byte, 129))} {
		_, err := kv.Increment(metadata.AppendToOutgoingContext(ctx, wire.RetryID, bad), &kvv1.IncrementRequest{Namespace: ns, Key: "n", Delta: 1})
		want(t, "retry id "+bad[:1], err, codes.InvalidArgument, prism.ReasonInvalidArgument, wire.RetryID)
	}
}

// Of a hundred equal calls at once one has an effect, and all agree.
func TestAHundredEqualCallsHaveOneEffect(t *testing.T) {
	t.Parallel()
	_, kv, ctx := start(t, harness.Options{})
	var wg sync.WaitGroup
	var refused atomic.Int64
	for range 100 {
		wg.Go(func() {
			r, err := kv.Increment(ctx, &kvv1.IncrementRequest{Namespace: ns, Key: "n", Delta: 1, IdempotencyKey: "one"})
			switch {
			case err == nil && r.Value == 1:
			case harness.Read(err).Code() == codes.Aborted:
				refused.Add(1)
			default:
				t.Errorf("got %v, %v", r, err)
			}
		})
	}
	wg.Wait()
	has(t, kv, "n", "1")
}

// The keys of two principals have nothing to do with each other.
func TestAKeyIsItsPrincipalsOwn(t *testing.T) {
	t.Parallel()
	g, kv, _ := start(t, harness.Options{File: secured})
	admin := adminKey(t, g)
	owner, _ := g.Key(t, admin, "user:owner")
	for i, key := range []string{admin, owner} {
		r, err := kv.Increment(harness.As(harness.Context(t), key), &kvv1.IncrementRequest{Namespace: ns, Key: "n", Delta: 1, IdempotencyKey: "mine"})
		if err != nil || r.Value != int64(i+1) {
			t.Errorf("the key of another was taken: %v, %v", r, err)
		}
	}
}

func TestBatchesAnswerEachItem(t *testing.T) {
	t.Parallel()
	_, kv, ctx := start(t, harness.Options{})
	s := must[*kvv1.BatchSetResponse](t)(kv.BatchSet(ctx, &kvv1.BatchSetRequest{Namespace: ns, Items: []*kvv1.SetRequest{
		{Key: "a", Value: []byte("1")}, {Key: ""}, {Namespace: "other", Key: "a"}, {Namespace: ns, Key: "a", Value: []byte("2")}, nil,
	}}))
	for i, field := range map[int]string{1: "key", 2: "namespace", 4: "key"} {
		if e := s.Results[i].GetError(); e.GetReason() != "INVALID_ARGUMENT" || e.FieldViolations[0].Field != field {
			t.Errorf("item %d: %v", i, s.Results[i])
		}
	}
	if s.Results[0].GetSet() == nil || s.Results[3].GetSet().GetVersion() <= s.Results[0].GetSet().GetVersion() {
		t.Errorf("the good ones: %v", s.Results)
	}
	got := must[*kvv1.BatchGetResponse](t)(kv.BatchGet(ctx, &kvv1.BatchGetRequest{Namespace: ns, Keys: []string{"a", "none", "a"}}))
	if string(got.Results[0].GetEntry().GetValue()) != "2" || got.Results[1].GetError().GetReason() != "NOT_FOUND" || string(got.Results[2].GetEntry().GetValue()) != "2" {
		t.Errorf("BatchGet: %v", got.Results)
	}
	d := must[*kvv1.BatchDeleteResponse](t)(kv.BatchDelete(ctx, &kvv1.BatchDeleteRequest{Namespace: ns, Items: []*kvv1.DeleteRequest{
		{Key: "a"}, {Key: "a"}, {Namespace: "other", Key: "a"},
	}}))
	if !d.Results[0].GetDeleted().GetFound() || d.Results[1].GetDeleted().GetFound() || d.Results[2].GetError() == nil {
		t.Errorf("BatchDelete: %v", d.Results)
	}
	if r := must[*kvv1.BatchGetResponse](t)(kv.BatchGet(ctx, &kvv1.BatchGetRequest{Namespace: ns})); len(r.Results) != 0 {
		t.Errorf("a batch of nothing: %v", r)
	}
	for n, code := range map[int]codes.Code{999: codes.OK, 1000: codes.OK, 1001: codes.InvalidArgument} {
		keys := make([]string, n)
		for i := range keys {
			keys[i] = "a"
		}
		if _, err := kv.BatchGet(ctx, &kvv1.BatchGetRequest{Namespace: ns, Keys: keys}); harness.Read(err).Code() != code {
			t.Errorf("%d keys: %v", n, err)
		}
	}
}

// What does not fit a message has an error of its own instead of failing all.
func TestBatchGetOverAMessage(t *testing.T) {
	t.Parallel()
	_, kv, ctx := start(t, harness.Options{})
	value := bytes.Repeat([]byte("x"), prism.MaxValueBytes)
	must[any](t)(kv.Set(ctx, &kvv1.SetRequest{Namespace: ns, Key: "big", Value: value}))
	r := must[*kvv1.BatchGetResponse](t)(kv.BatchGet(ctx, &kvv1.BatchGetRequest{Namespace: ns, Keys: []string{"big", "big", "big", "big", "big", "none"}}))
	fit, too := 0, 0
	for _, item := range r.Results {
		switch {
		case item.GetEntry() != nil:
			fit++
		case item.GetError().GetReason() == "MESSAGE_TOO_LARGE":
			too++
		}
	}
	if fit != 3 || too < 2 {
		t.Errorf("%d fit, %d too large: want 3 and 2", fit, too)
	}
}

func TestScansAndCounts(t *testing.T) {
	t.Parallel()
	_, kv, ctx := start(t, harness.Options{})
	for _, k := range []string{"a", "b1", "b2", "b3", "c"} {
		set(t, kv, k, "v")
	}
	var keys []string
	cursor := ""
	for {
		r := must[*kvv1.ScanResponse](t)(kv.Scan(ctx, &kvv1.ScanRequest{Namespace: ns, Prefix: "b", Limit: 2, Cursor: cursor}))
		for _, e := range r.Entries {
			keys = append(keys, e.Key)
		}
		if cursor = r.Cursor; cursor == "" {
			break
		}
	}
	if len(keys) != 3 {
		t.Errorf("scanned %q", keys)
	}
	k := must[*kvv1.ScanKeysResponse](t)(kv.ScanKeys(ctx, &kvv1.ScanKeysRequest{Namespace: ns, Reverse: true, Start: "b1", End: "c"}))
	if len(k.Keys) != 3 || k.Keys[0].Key != "b3" || k.Keys[0].SizeBytes != 1 {
		t.Errorf("ScanKeys: %v", k)
	}
	c := must[*kvv1.CountResponse](t)(kv.Count(ctx, &kvv1.CountRequest{Namespace: ns, Prefix: "b"}))
	if c.Count != 3 {
		t.Errorf("Count: %v", c)
	}
	page := must[*kvv1.ScanResponse](t)(kv.Scan(ctx, &kvv1.ScanRequest{Namespace: ns, Prefix: "b", Limit: 1}))
	for what, r := range map[string]*kvv1.ScanRequest{
		"another prefix": {Namespace: ns, Prefix: "a", Cursor: page.Cursor},
		"the other way":  {Namespace: ns, Prefix: "b", Reverse: true, Cursor: page.Cursor},
		"one bit off":    {Namespace: ns, Prefix: "b", Cursor: page.Cursor[:len(page.Cursor)-1] + "A"},
		"cut":            {Namespace: ns, Prefix: "b", Cursor: page.Cursor[:len(page.Cursor)-2]},
	} {
		_, err := kv.Scan(context.WithoutCancel(ctx), r)
		want(t, what, err, codes.InvalidArgument, prism.ReasonInvalidCursor, "cursor")
	}
	for what, r := range map[string]*kvv1.ScanRequest{
		"limit": {Namespace: ns, Limit: -1}, "max_bytes": {Namespace: ns, MaxBytes: -1}, "end": {Namespace: ns, Start: "b", End: "a"},
	} {
		_, err := kv.Scan(ctx, r)
		want(t, what, err, codes.InvalidArgument, prism.ReasonInvalidArgument, what)
	}
}
