package gateway_test

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"

	"github.com/prism-data-layer/prism/pkg/prism"
	"github.com/prism-data-layer/prism/pkg/wire"
	cachev1 "github.com/prism-data-layer/prism/proto/prism/cache/v1"
	"github.com/prism-data-layer/prism/test/harness"
)

// A cachePipe is a Pipeline of a cache as a bare stub has it.
type cachePipe struct {
	t  *testing.T
	st grpc.BidiStreamingClient[cachev1.PipelineRequest, cachev1.PipelineResponse]
}

func openCache(t *testing.T, c cachev1.CacheServiceClient, ctx context.Context, namespace string) *cachePipe {
	t.Helper()
	st, err := c.Pipeline(ctx)
	if err != nil {
		t.Fatal(err)
	}
	if err := st.Send(cacheOpening(namespace)); err != nil {
		t.Fatal(err)
	}
	first, err := st.Recv()
	if err != nil || first.Id != 0 || len(first.Results) != 0 {
		t.Fatalf("the answer to open is %v, %v", first, err)
	}
	return &cachePipe{t, st}
}

// run sends a frame and waits for its answer, which comes in messages messages.
func (p *cachePipe) run(id uint64, ops ...*cachev1.PipelineOp) (results []*cachev1.PipelineResult, messages int) {
	p.t.Helper()
	if err := p.st.Send(cacheFrameOf(id, ops...)); err != nil {
		_, err = p.st.Recv()
		p.t.Fatalf("send frame %d: %v", id, err)
	}
	for {
		r, err := p.st.Recv()
		if err != nil || r.Id != id {
			p.t.Fatalf("frame %d: %v, %v", id, r, err)
		}
		results = append(results, r.Results...)
		if messages++; !r.More {
			return results, messages
		}
	}
}

func cacheOpening(namespace string) *cachev1.PipelineRequest {
	return &cachev1.PipelineRequest{Message: &cachev1.PipelineRequest_Open{Open: &cachev1.PipelineOpen{Namespace: namespace}}}
}

func cacheFrameOf(id uint64, ops ...*cachev1.PipelineOp) *cachev1.PipelineRequest {
	return &cachev1.PipelineRequest{Message: &cachev1.PipelineRequest_Frame{Frame: &cachev1.PipelineFrame{Id: id, Ops: ops}}}
}

func cacheGetOf(key string) *cachev1.PipelineOp {
	return &cachev1.PipelineOp{Op: &cachev1.PipelineOp_Get{Get: &cachev1.GetRequest{Key: key}}}
}

func cacheSetOf(key, value string) *cachev1.PipelineOp {
	return cacheSetBy(&cachev1.SetRequest{Key: key, Value: []byte(value)})
}

func cacheSetBy(r *cachev1.SetRequest) *cachev1.PipelineOp {
	return &cachev1.PipelineOp{Op: &cachev1.PipelineOp_Set{Set: r}}
}

func cacheIncrementOf(r *cachev1.IncrementRequest) *cachev1.PipelineOp {
	return &cachev1.PipelineOp{Op: &cachev1.PipelineOp_Increment{Increment: r}}
}

func TestACachesPipelineRunsEveryOperation(t *testing.T) {
	t.Parallel()
	_, c, ctx := startCache(t, harness.Options{})
	for _, ns := range []string{"cache", "disk"} {
		began, hour := time.Now(), time.Hour.Milliseconds()
		r, _ := openCache(t, c, ctx, ns).run(
			1,
			cacheSetOf("k", "v"),
			cacheGetOf("k"),
			cacheGetOf("none"),
			cacheSetBy(&cachev1.SetRequest{Namespace: ns, Key: "k", IfAbsent: true}),
			cacheSetBy(&cachev1.SetRequest{Key: "k", Value: []byte("w"), IfPresent: true, TtlMs: &hour}),
			&cachev1.PipelineOp{Op: &cachev1.PipelineOp_Get{Get: &cachev1.GetRequest{Namespace: ns, Key: "k"}}},
			&cachev1.PipelineOp{Op: &cachev1.PipelineOp_Touch{Touch: &cachev1.TouchRequest{Key: "k", TtlMs: &hour}}},
			&cachev1.PipelineOp{Op: &cachev1.PipelineOp_Exists{Exists: &cachev1.ExistsRequest{Key: "k"}}},
			cacheIncrementOf(&cachev1.IncrementRequest{Key: "n", Delta: 2, Initial: 40}),
			&cachev1.PipelineOp{Op: &cachev1.PipelineOp_Delete{Delete: &cachev1.DeleteRequest{Key: "k"}}},
			cacheGetOf("k"),
			cacheIncrementOf(&cachev1.IncrementRequest{Key: "n", Delta: 1 << 62, Initial: 0}),
			cacheIncrementOf(&cachev1.IncrementRequest{Key: "n", Delta: 1 << 62, Initial: 0}),
		)
		within := func(ms int64, d time.Duration) bool {
			left := time.UnixMilli(ms).Sub(began)
			return left > d-time.Second && left < d+time.Minute
		}
		for i, ok := range []bool{
			r[0].GetSet().GetApplied(),
			r[1].GetGet().GetFound() && string(r[1].GetGet().Value) == "v" && within(r[1].GetGet().GetExpiresAtMs(), 15*time.Minute),
			r[2].GetGet() != nil && !r[2].GetGet().Found && r[2].GetGet().ExpiresAtMs == nil,
			r[3].GetSet() != nil && !r[3].GetSet().Applied,
			r[4].GetSet().GetApplied(),
			string(r[5].GetGet().GetValue()) == "w" && within(r[5].GetGet().GetExpiresAtMs(), time.Hour),
			r[6].GetTouch().GetFound() && within(r[6].GetTouch().GetExpiresAtMs(), time.Hour),
			r[7].GetExists().GetExists(),
			r[8].GetIncrement().GetValue() == 42,
			r[9].GetDelete().GetFound(),
			r[10].GetGet() != nil && !r[10].GetGet().Found,
			r[11].GetIncrement().GetValue() == 42+1<<62,
			r[12].GetError().GetReason() == string(prism.ReasonOverflow),
		} {
			if !ok {
				t.Errorf("%s: operation %d was answered with %v", ns, i, r[i])
			}
		}
	}
}

// A frame's errors are its operations' own; the rest of it is done.
func TestACachesPipelineRefusesByOperation(t *testing.T) {
	t.Parallel()
	_, c, ctx := startCache(t, harness.Options{})
	none, long := int64(0), (3 * time.Minute).Milliseconds()
	set := func(r *cachev1.SetRequest) *cachev1.PipelineOp { return cacheSetBy(r) }
	r, _ := openCache(t, c, ctx, "short").run(
		1,
		cacheSetOf("good", "v"),
		&cachev1.PipelineOp{},
		cacheGetOf(""),
		set(&cachev1.SetRequest{Key: "k", Value: make([]byte, prism.MaxValueBytes+1)}),
		set(&cachev1.SetRequest{Key: "k", TtlMs: &none}),
		set(&cachev1.SetRequest{Key: "k", TtlMs: &long}),
		set(&cachev1.SetRequest{Key: "k", IfAbsent: true, IfPresent: true}),
		set(&cachev1.SetRequest{Key: "k", Lock: "x"}),
		set(&cachev1.SetRequest{Namespace: "cache", Key: "k"}),
		set(&cachev1.SetRequest{Key: "k", IdempotencyKey: strings.Repeat("i", 129)}),
		&cachev1.PipelineOp{Op: cacheSetOf("k", "v").Op, RetryId: make([]byte, 129)},
		&cachev1.PipelineOp{Op: cacheGetOf("k").Op, TimeoutMs: -1},
		cacheGetOf("good"),
	)
	fields := []string{"op", "key", "value", "ttl_ms", "ttl_ms", "if_present", "lock", "namespace", "idempotency_key", "retry_id", "timeout_ms"}
	for i, want := range fields {
		e := r[1+i].GetError()
		if e.GetReason() != string(prism.ReasonInvalidArgument) || len(e.FieldViolations) != 1 || e.FieldViolations[0].Field != want {
			t.Errorf("operation %d: %v, want %s refused", 1+i, r[1+i], want)
		}
	}
	if !r[0].GetSet().GetApplied() || string(r[len(r)-1].GetGet().GetValue()) != "v" {
		t.Errorf("the good ones: %v, %v", r[0], r[len(r)-1])
	}
}

func TestACachesPipelineHasTheRulesOfFrames(t *testing.T) {
	t.Parallel()
	_, c, ctx := startCache(t, harness.Options{})
	frame := func(messages ...*cachev1.PipelineRequest) error {
		st, err := c.Pipeline(ctx)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range messages {
			if st.Send(m) != nil {
				break
			}
		}
		return ends(t, 30*time.Second, st.Recv)
	}
	want(t, "a frame first", frame(cacheFrameOf(1)), codes.FailedPrecondition, prism.ReasonFailedPrecond)
	want(t, "opened twice", frame(cacheOpening("cache"), cacheOpening("cache")), codes.FailedPrecondition, prism.ReasonFailedPrecond)
	want(t, "id 0", frame(cacheOpening("cache"), cacheFrameOf(0)), codes.InvalidArgument, prism.ReasonInvalidArgument, "frame.id")
	want(t, "too many operations", frame(cacheOpening("cache"), cacheFrameOf(1, make([]*cachev1.PipelineOp, 1001)...)), codes.InvalidArgument, prism.ReasonInvalidArgument, "frame.ops")
	want(t, "another model's namespace", frame(cacheOpening("mem")), codes.Unimplemented, prism.ReasonCapabilityMissing)
	want(t, "no namespace", frame(cacheOpening("none")), codes.NotFound, prism.ReasonNotFound)
	big := strings.Repeat("x", prism.MaxValueBytes)
	p := openCache(t, c, ctx, "cache")
	p.run(1, cacheSetOf("a", big), cacheSetOf("b", big))
	if r, messages := p.run(2, cacheGetOf("a"), cacheGetOf("b"), cacheGetOf("none")); len(r) != 3 || messages < 2 || len(r[1].GetGet().GetValue()) != len(big) {
		t.Errorf("large results came as %d in %d messages", len(r), messages)
	}
}

// A mutation is done once, however often and by which way it is sent.
func TestACachesPipelineMutatesOnce(t *testing.T) {
	t.Parallel()
	_, c, ctx := startCache(t, harness.Options{})
	for _, ns := range []string{"cache", "disk"} {
		p := openCache(t, c, ctx, ns)
		inc := &cachev1.IncrementRequest{Key: "n", Delta: 1}
		keyed := &cachev1.IncrementRequest{Key: "n", Delta: 1, IdempotencyKey: "once"}
		again := &cachev1.PipelineOp{Op: cacheIncrementOf(inc).Op, RetryId: []byte{0xab, 0xcd}}
		r, _ := p.run(1, again, again, cacheIncrementOf(keyed), cacheIncrementOf(keyed))
		unary := must[*cachev1.IncrementResponse](t)(c.Increment(
			metadata.AppendToOutgoingContext(ctx, wire.RetryID, "abcd"), &cachev1.IncrementRequest{Namespace: ns, Key: "n", Delta: 1}))
		got := fmt.Sprint(r[0].GetIncrement().GetValue(), r[1].GetIncrement().GetValue(), r[2].GetIncrement().GetValue(), r[3].GetIncrement().GetValue(), unary.Value)
		if got != "1 1 2 2 1" {
			t.Errorf("%s: counted %s", ns, got)
		}
	}
}

// Who may only read is told so for each write; the reads of its frame are done.
func TestACachesPipelineAsksForTheRightToWrite(t *testing.T) {
	t.Parallel()
	g, c, _ := startCache(t, harness.Options{File: strings.NewReplacer("model: keyvalue", "model: cache").Replace(secured)})
	reader, _ := g.Key(t, adminKey(t, g), "service:reader.a")
	r, _ := openCache(t, c, harness.As(harness.Context(t), reader), ns).run(1, cacheSetOf("k", "v"), cacheGetOf("k"))
	if r[0].GetError().GetReason() != string(prism.ReasonPermissionDenied) || r[1].GetGet() == nil || r[1].GetGet().Found {
		t.Errorf("a reader got %v", r)
	}
}

// Operations on one key run in order over frames, also on a store that waits.
func TestACachesPipelineKeepsTheOrderOfEachKey(t *testing.T) {
	t.Parallel()
	_, c, ctx := startCache(t, harness.Options{})
	p := openCache(t, c, ctx, "disk")
	const frames = 200
	var wg sync.WaitGroup
	wg.Go(func() {
		for f := range frames {
			value := fmt.Sprint(f)
			if p.st.Send(cacheFrameOf(uint64(f+1), cacheSetOf("k", value), cacheGetOf("k"))) != nil {
				return
			}
		}
	})
	defer wg.Wait()
	for range frames {
		r, err := p.st.Recv()
		if err != nil {
			t.Fatal(err)
		}
		if got := string(r.Results[1].GetGet().GetValue()); got != fmt.Sprint(r.Id-1) {
			t.Errorf("frame %d read %q", r.Id, got)
		}
	}
}

// A lock ends by a change over a Pipeline too, and who waits for it is woken.
func TestACachesPipelineEndsLocks(t *testing.T) {
	t.Parallel()
	_, c, ctx := startCache(t, harness.Options{})
	lock := must[*cachev1.GetOrLockResponse](t)(c.GetOrLock(ctx, &cachev1.GetOrLockRequest{Namespace: "cache", Key: "k", LockMs: 3_600_000})).GetLock()
	got := make(chan string, 1)
	go func() {
		r, err := c.GetOrLock(ctx, &cachev1.GetOrLockRequest{Namespace: "cache", Key: "k", WaitMs: 60_000})
		got <- fmt.Sprint(string(r.GetEntry().GetValue()), err)
	}()
	harness.Eventually(t, 20*time.Second, "a call that waits", func() bool {
		st, err := c.GetStats(ctx, &cachev1.GetStatsRequest{Namespace: "cache"})
		return err == nil && st.Misses == 2 // each GetOrLock began with one
	})
	openCache(t, c, ctx, "cache").run(1, cacheSetOf("k", "v"))
	if r := <-got; r != "v<nil>" {
		t.Errorf("who waited got %s", r)
	}
	if r := must[*cachev1.SetResponse](t)(c.Set(ctx, &cachev1.SetRequest{Namespace: "cache", Key: "k", Value: []byte("old"), Lock: lock})); r.Applied {
		t.Error("a value from before the change was stored")
	}
}
