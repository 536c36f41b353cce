package gateway_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"runtime"
	"strconv"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"

	"github.com/prism-data-layer/prism/pkg/driver"
	"github.com/prism-data-layer/prism/pkg/prism"
	kvv1 "github.com/prism-data-layer/prism/proto/prism/keyvalue/v1"
	"github.com/prism-data-layer/prism/test/harness"
)

// A pipe is a Pipeline stream as a bare stub has it.
type pipe struct {
	t  *testing.T
	st grpc.BidiStreamingClient[kvv1.PipelineRequest, kvv1.PipelineResponse]
	// got holds the answers that came before they were asked for.
	got map[uint64][]*kvv1.PipelineResult
	// messages counts the messages that answered a frame.
	messages map[uint64]int
	order    []uint64
}

func open(t *testing.T, kv kvv1.KeyValueServiceClient, ctx context.Context) *pipe {
	t.Helper()
	st, err := kv.Pipeline(ctx)
	if err != nil {
		t.Fatal(err)
	}
	p := &pipe{t: t, st: st, got: map[uint64][]*kvv1.PipelineResult{}, messages: map[uint64]int{}}
	if err := st.Send(opening(ns)); err != nil {
		t.Fatal(err)
	}
	first, err := st.Recv()
	if err != nil || first.Id != 0 || len(first.Results) != 0 {
		t.Fatalf("the answer to open is %v, %v", first, err)
	}
	return p
}

func opening(namespace string) *kvv1.PipelineRequest {
	return &kvv1.PipelineRequest{Message: &kvv1.PipelineRequest_Open{Open: &kvv1.PipelineOpen{Namespace: namespace}}}
}

func frameOf(id uint64, ops ...*kvv1.PipelineOp) *kvv1.PipelineRequest {
	return &kvv1.PipelineRequest{Message: &kvv1.PipelineRequest_Frame{Frame: &kvv1.PipelineFrame{Id: id, Ops: ops}}}
}

func (p *pipe) send(id uint64, ops ...*kvv1.PipelineOp) {
	p.t.Helper()
	if err := p.st.Send(frameOf(id, ops...)); err != nil {
		_, err = p.st.Recv()
		p.t.Fatalf("send frame %d: %v", id, err)
	}
}

// answer waits for the whole answer to a frame.
func (p *pipe) answer(id uint64) []*kvv1.PipelineResult {
	p.t.Helper()
	for {
		for _, done := range p.order {
			if done == id {
				return p.got[id]
			}
		}
		r, err := p.st.Recv()
		if err != nil {
			p.t.Fatalf("frame %d: %v", id, err)
		}
		p.got[r.Id] = append(p.got[r.Id], r.Results...)
		p.messages[r.Id]++
		if !r.More {
			p.order = append(p.order, r.Id)
		}
	}
}

func (p *pipe) end() error {
	p.t.Helper()
	return ends(p.t, 10*time.Second, p.st.Recv)
}

func getOf(key string) *kvv1.PipelineOp {
	return &kvv1.PipelineOp{Op: &kvv1.PipelineOp_Get{Get: &kvv1.GetRequest{Key: key}}}
}

func setOf(key, value string) *kvv1.PipelineOp {
	return &kvv1.PipelineOp{Op: &kvv1.PipelineOp_Set{Set: &kvv1.SetRequest{Key: key, Value: []byte(value)}}}
}

func appendOf(key, value string) *kvv1.PipelineOp {
	return &kvv1.PipelineOp{Op: &kvv1.PipelineOp_Append{Append: &kvv1.AppendRequest{Key: key, Value: []byte(value)}}}
}

func TestPipelineRunsEveryOperation(t *testing.T) {
	t.Parallel()
	_, kv, ctx := start(t, harness.Options{})
	p := open(t, kv, ctx)
	ttl := int64(60_000)
	ops := []*kvv1.PipelineOp{
		setOf("k", "v"),
		getOf("k"),
		{Op: &kvv1.PipelineOp_Exists{Exists: &kvv1.ExistsRequest{Key: "k"}}},
		{Op: &kvv1.PipelineOp_Expire{Expire: &kvv1.ExpireRequest{Key: "k", TtlMs: ttl}}},
		{Op: &kvv1.PipelineOp_GetTtl{GetTtl: &kvv1.GetTTLRequest{Key: "k"}}},
		{Op: &kvv1.PipelineOp_Touch{Touch: &kvv1.TouchRequest{Key: "k"}}},
		{Op: &kvv1.PipelineOp_Persist{Persist: &kvv1.PersistRequest{Key: "k"}}},
		{Op: &kvv1.PipelineOp_Increment{Increment: &kvv1.IncrementRequest{Key: "n", Delta: 5}}},
		appendOf("k", "w"),
		{Op: &kvv1.PipelineOp_SetIfAbsent{SetIfAbsent: &kvv1.SetIfAbsentRequest{Key: "k", TtlMs: &ttl}}},
		{Op: &kvv1.PipelineOp_GetAndSet{GetAndSet: &kvv1.GetAndSetRequest{Key: "k", Value: []byte("x")}}},
		{Op: &kvv1.PipelineOp_CompareAndSwap{CompareAndSwap: &kvv1.CompareAndSwapRequest{Key: "k", Expected: []byte("x"), Value: []byte("y")}}},
		{Op: &kvv1.PipelineOp_CompareAndDelete{CompareAndDelete: &kvv1.CompareAndDeleteRequest{Key: "k", Expected: []byte("y")}}},
		{Op: &kvv1.PipelineOp_Delete{Delete: &kvv1.DeleteRequest{Key: "n"}}},
	}
	p.send(7, ops...)
	r := p.answer(7)
	if len(r) != len(ops) {
		t.Fatalf("%d results for %d operations", len(r), len(ops))
	}
	for i, ok := range []bool{
		r[0].GetSet().GetVersion() > 0,
		string(r[1].GetGet().GetValue()) == "v",
		r[2].GetExists().GetExists(),
		r[3].GetExpire().GetExpiresAtMs() > time.Now().UnixMilli(),
		r[4].GetGetTtl().GetTtlMs() > 50_000,
		r[5].GetTouch().GetExpiresAtMs() > 0,
		r[6].GetPersist().GetRemoved(),
		r[7].GetIncrement().GetValue() == 5,
		r[8].GetAppend().GetSizeBytes() == 2,
		r[9].GetSetIfAbsent() != nil && !r[9].GetSetIfAbsent().Applied,
		string(r[10].GetGetAndSet().GetPrevious()) == "vw",
		r[11].GetCompareAndSwap().GetApplied(),
		r[12].GetCompareAndDelete().GetApplied(),
		r[13].GetDelete().GetFound(),
	} {
		if !ok {
			t.Errorf("operation %d was answered with %v", i, r[i])
		}
	}
}

func TestPipelineKeepsTheOrderOfEachKeyOverFrames(t *testing.T) {
	t.Parallel()
	_, kv, ctx := start(t, harness.Options{})
	p := open(t, kv, ctx)
	const frames, keys = 200, 3
	go func() {
		for f := range frames {
			var ops []*kvv1.PipelineOp
			for k := range keys {
				ops = append(ops, appendOf(fmt.Sprint("k", k), string(rune('a'+f%26))), getOf(fmt.Sprint("k", k)))
			}
			if p.st.Send(frameOf(uint64(f+1), ops...)) != nil {
				return
			}
		}
	}()
	want := ""
	for f := range frames {
		want += string(rune('a' + f%26))
		for i, r := range p.answer(uint64(f + 1)) {
			if got := r.GetGet(); i%2 == 1 && string(got.GetValue()) != want {
				t.Fatalf("frame %d read %q, want %q", f+1, got.GetValue(), want)
			}
		}
	}
}

func TestPipelineAnswersOutOfOrder(t *testing.T) {
	t.Parallel()
	release := make(chan struct{})
	_, kv, ctx := start(t, harness.Options{Drivers: harness.Faulty(func(_ context.Context, key string) error {
		if key == "slow" {
			<-release
		}
		return nil
	})})
	p := open(t, kv, ctx)
	p.send(1, getOf("slow"))
	p.send(2, getOf("quick"))
	p.send(3, setOf("slow", "v")) // behind the first, on its key
	p.answer(2)
	if len(p.order) != 1 {
		t.Errorf("answered before the slow one: %v", p.order)
	}
	close(release)
	if r := p.answer(1); r[0].GetError().GetReason() != "NOT_FOUND" {
		t.Errorf("the first frame saw what came after it: %v", r[0])
	}
	p.answer(3)
}

func TestFramesOfAStoreThatNeverWaitsRunInTurn(t *testing.T) {
	t.Parallel()
	var running, most atomic.Int64
	drivers := harness.Faulty(func(context.Context, string) error {
		n := running.Add(1)
		runtime.Gosched() // what could run beside it, does
		most.Store(max(most.Load(), n))
		running.Add(-1)
		return nil
	})
	bare := drivers[0].Open
	drivers[0].Open = func(ctx context.Context, c driver.Config) (driver.Set, error) {
		set, err := bare(ctx, c)
		set.Info.Instant = true
		return set, err
	}
	_, kv, ctx := start(t, harness.Options{Drivers: drivers})
	p := open(t, kv, ctx)
	const frames = 64
	for i := range frames {
		p.send(uint64(i+1), setOf(strconv.Itoa(i), "v"), getOf(strconv.Itoa(i)))
	}
	for i := range frames {
		if r := p.answer(uint64(i + 1)); string(r[1].GetGet().GetValue()) != "v" {
			t.Errorf("frame %d: %v", i+1, r)
		}
	}
	if n := most.Load(); n != 1 {
		t.Errorf("%d frames ran at once", n)
	}
	for i, id := range p.order {
		if id != uint64(i+1) {
			t.Fatalf("answered in the order %v", p.order)
		}
	}
}

func TestPipelineStopsReadingAtSixteenOpenFrames(t *testing.T) {
	t.Parallel()
	release := make(chan struct{})
	var running atomic.Int64
	_, kv, ctx := start(t, harness.Options{Drivers: harness.Faulty(func(context.Context, string) error {
		running.Add(1)
		<-release
		return nil
	})})
	p := open(t, kv, ctx)
	const frames = 40
	for i := range frames {
		p.send(uint64(i+1), getOf(strconv.Itoa(i)))
	}
	harness.Eventually(t, 30*time.Second, "sixteen frames run", func() bool { return running.Load() == prism.MaxPipelineFrames })
	time.Sleep(50 * time.Millisecond)
	if n := running.Load(); n != prism.MaxPipelineFrames {
		t.Errorf("%d frames run at once, want %d", n, prism.MaxPipelineFrames)
	}
	close(release)
	for i := range frames {
		p.answer(uint64(i + 1))
	}
}

func TestPipelineRefusesWhatIsOutOfOrder(t *testing.T) {
	t.Parallel()
	_, kv, ctx := start(t, harness.Options{})
	many := make([]*kvv1.PipelineOp, prism.MaxBatchItems+1)
	for i := range many {
		many[i] = getOf("k")
	}
	for _, c := range []struct {
		what   string
		send   []*kvv1.PipelineRequest
		code   codes.Code
		reason prism.Reason
		fields []string
	}{
		{"nothing at all", nil, codes.InvalidArgument, prism.ReasonInvalidArgument, []string{"open"}},
		{"an empty message", []*kvv1.PipelineRequest{{}}, codes.FailedPrecondition, prism.ReasonFailedPrecond, nil},
		{"a frame first", []*kvv1.PipelineRequest{frameOf(1, getOf("k"))}, codes.FailedPrecondition, prism.ReasonFailedPrecond, nil},
		{"a bad namespace", []*kvv1.PipelineRequest{opening("A")}, codes.InvalidArgument, prism.ReasonInvalidArgument, []string{"namespace"}},
		{"no such namespace", []*kvv1.PipelineRequest{opening("none")}, codes.NotFound, prism.ReasonNotFound, nil},
		{"two opens", []*kvv1.PipelineRequest{opening(ns), opening(ns)}, codes.FailedPrecondition, prism.ReasonFailedPrecond, nil},
		{"an empty message later", []*kvv1.PipelineRequest{opening(ns), {}}, codes.FailedPrecondition, prism.ReasonFailedPrecond, nil},
		{"id 0", []*kvv1.PipelineRequest{opening(ns), frameOf(0, getOf("k"))}, codes.InvalidArgument, prism.ReasonInvalidArgument, []string{"frame.id"}},
		{"1,001 operations", []*kvv1.PipelineRequest{opening(ns), frameOf(1, many...)}, codes.InvalidArgument, prism.ReasonInvalidArgument, []string{"frame.ops"}},
	} {
		st, err := kv.Pipeline(ctx)
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range c.send {
			_ = st.Send(r)
		}
		_ = st.CloseSend()
		want(t, c.what, ends(t, 30*time.Second, st.Recv), c.code, c.reason, c.fields...)
	}
	p := open(t, kv, ctx)
	p.send(1, many[:prism.MaxBatchItems]...)
	if r := p.answer(1); len(r) != prism.MaxBatchItems {
		t.Errorf("%d results for a thousand operations", len(r))
	}
	p.send(2)
	if r := p.answer(2); len(r) != 0 {
		t.Errorf("a frame of nothing is answered with %v", r)
	}
}

// A bad operation fails alone.
func TestPipelineItemsFailAlone(t *testing.T) {
	t.Parallel()
	_, kv, ctx := start(t, harness.Options{})
	p := open(t, kv, ctx)
	zero := uint64(0)
	ttl := int64(-1)
	p.send(
		1,
		setOf("a", "1"),
		&kvv1.PipelineOp{},
		getOf(""),
		&kvv1.PipelineOp{Op: &kvv1.PipelineOp_Get{Get: &kvv1.GetRequest{Namespace: "other", Key: "a"}}},
		&kvv1.PipelineOp{Op: &kvv1.PipelineOp_Get{Get: &kvv1.GetRequest{Namespace: ns, Key: "a"}}},
		&kvv1.PipelineOp{Op: &kvv1.PipelineOp_Set{Set: &kvv1.SetRequest{Key: "a", IfVersion: &zero}}},
		&kvv1.PipelineOp{Op: &kvv1.PipelineOp_SetIfAbsent{SetIfAbsent: &kvv1.SetIfAbsentRequest{Key: "a", TtlMs: &ttl}}},
		&kvv1.PipelineOp{Op: &kvv1.PipelineOp_Delete{Delete: &kvv1.DeleteRequest{Key: "a"}}, RetryId: make([]byte, 129)},
		setOf("a", "2"),
	)
	r := p.answer(1)
	for i, field := range map[int]string{1: "op", 2: "key", 3: "namespace", 5: "if_version", 6: "ttl_ms", 7: "retry_id"} {
		e := r[i].GetError()
		if e.GetReason() != "INVALID_ARGUMENT" || len(e.GetFieldViolations()) != 1 || e.FieldViolations[0].Field != field {
			t.Errorf("operation %d: %v, want INVALID_ARGUMENT on %s", i, r[i], field)
		}
	}
	if r[0].GetSet() == nil || string(r[4].GetGet().GetValue()) != "1" || r[8].GetSet() == nil {
		t.Errorf("the good ones: %v", r)
	}
}

func TestPipelineSplitsLargeAnswers(t *testing.T) {
	t.Parallel()
	_, kv, ctx := start(t, harness.Options{})
	value := bytes.Repeat([]byte("x"), 300<<10)
	if _, err := kv.Set(ctx, &kvv1.SetRequest{Namespace: ns, Key: "big", Value: value}); err != nil {
		t.Fatal(err)
	}
	p := open(t, kv, ctx)
	// More than a message may hold, within as many operations as run at once.
	ops := make([]*kvv1.PipelineOp, 150)
	for i := range ops {
		ops[i] = getOf("big")
	}
	for _, n := range []int{1, 5, 150} {
		p.send(uint64(n), ops[:n]...)
		r := p.answer(uint64(n))
		if len(r) != n {
			t.Fatalf("%d results for %d gets", len(r), n)
		}
		for i := range r {
			if len(r[i].GetGet().GetValue()) != len(value) {
				t.Fatalf("result %d of %d is %v", i, n, r[i])
			}
		}
		if n > 3 && p.messages[uint64(n)] < 2 {
			t.Errorf("%d times 300 KiB came in %d messages", n, p.messages[uint64(n)])
		}
	}
}

func TestPipelineHalfCloseAnswersWhatWasSent(t *testing.T) {
	t.Parallel()
	_, kv, ctx := start(t, harness.Options{})
	p := open(t, kv, ctx)
	for i := range 30 {
		p.send(uint64(i+1), setOf(strconv.Itoa(i), "v"))
	}
	_ = p.st.CloseSend()
	for i := range 30 {
		p.answer(uint64(i + 1))
	}
	if _, err := p.st.Recv(); !errors.Is(err, io.EOF) {
		t.Errorf("the stream ends with %v", err)
	}
}

// A drain answers the frames that were taken, then says DRAINING.
func TestPipelineDrains(t *testing.T) {
	t.Parallel()
	release, taken := make(chan struct{}), make(chan struct{}, 1)
	g, kv, ctx := start(t, harness.Options{Drivers: harness.Faulty(func(_ context.Context, key string) error {
		if key == "slow" {
			taken <- struct{}{}
			<-release
		}
		return nil
	})})
	p := open(t, kv, ctx)
	p.send(1, setOf("slow", "v"))
	<-taken
	stopped := g.Draining()
	time.Sleep(100 * time.Millisecond)
	close(release)
	if r := p.answer(1); r[0].GetSet().GetVersion() == 0 {
		t.Errorf("the open frame was answered with %v", r[0])
	}
	want(t, "the end", p.end(), codes.Unavailable, prism.ReasonDraining)
	if err := <-stopped; err != nil {
		t.Errorf("the drain was not clean: %v", err)
	}
}

// A stream whose caller says nothing does not hold up a drain.
func TestSilentStreamsDoNotHoldUpADrain(t *testing.T) {
	t.Parallel()
	g, kv, ctx := start(t, harness.Options{})
	p, err := kv.Pipeline(ctx)
	must[any](t)(nil, err)
	tx, err := kv.Transaction(ctx)
	must[any](t)(nil, err)
	set(t, kv, "k", "v") // the streams' headers came before this
	begun := time.Now()
	stopped := g.Draining()
	want(t, "the pipeline", ends(t, 30*time.Second, p.Recv), codes.Unavailable, prism.ReasonDraining)
	want(t, "the transaction", ends(t, 30*time.Second, tx.Recv), codes.Unavailable, prism.ReasonDraining)
	if err := <-stopped; err != nil || time.Since(begun) > 3*time.Second {
		t.Errorf("the drain took %v and ended with %v", time.Since(begun), err)
	}
}

func TestPipelineNeedsARightForEachWrite(t *testing.T) {
	t.Parallel()
	g, kv, ctx := start(t, harness.Options{File: secured})
	reader, _ := g.Key(t, adminKey(t, g), "service:reader.a")
	p := open(t, kv, harness.As(ctx, reader))
	p.send(1, getOf("k"), setOf("k", "v"), getOf("k"))
	r := p.answer(1)
	if r[1].GetError().GetReason() != "PERMISSION_DENIED" || r[2].GetError().GetReason() != "NOT_FOUND" {
		t.Errorf("a write over a reader's stream: %v", r)
	}
	// The stream opens with the right to read; a writer alone has not even that.
	writer, _ := g.Key(t, adminKey(t, g), "service:writer")
	st, err := kv.Pipeline(harness.As(harness.Context(t), writer))
	must[any](t)(nil, err)
	_ = st.Send(opening(ns))
	want(t, "without the right to read", ends(t, 30*time.Second, st.Recv), codes.PermissionDenied, prism.ReasonPermissionDenied)
}

// A frame that was taken runs to its end although its caller has left.
func TestPipelineFinishesWhatItTookAfterTheCallerLeft(t *testing.T) {
	t.Parallel()
	taken, release := make(chan struct{}, 1), make(chan struct{})
	g, kv, _ := start(t, harness.Options{Drivers: harness.Faulty(func(ctx context.Context, key string) error {
		if key == "slow" {
			taken <- struct{}{}
			<-release
			return ctx.Err()
		}
		return nil
	})})
	ctx, cancel := context.WithCancel(context.Background())
	p := open(t, kv, ctx)
	p.send(1, setOf("slow", "v"))
	<-taken
	cancel()
	time.Sleep(20 * time.Millisecond)
	close(release)
	harness.Eventually(t, 30*time.Second, "the write is done", func() bool {
		r, err := kv.Exists(harness.Context(t), &kvv1.ExistsRequest{Namespace: ns, Key: "slow"})
		return err == nil && r.Exists
	})
	if err := g.Stop(); err != nil {
		t.Errorf("stop: %v", err)
	}
}

func TestPipelineContainsAPanic(t *testing.T) {
	t.Parallel()
	_, kv, ctx := start(t, harness.Options{Drivers: harness.Faulty(func(_ context.Context, key string) error {
		if key == "panic" {
			panic("a bug")
		}
		return nil
	})})
	p := open(t, kv, ctx)
	p.send(1, setOf("k", "v"))
	p.answer(1)
	p.send(2, getOf("panic"))
	want(t, "the stream", p.end(), codes.Internal, prism.ReasonInternal)
	p = open(t, kv, ctx)
	p.send(1, getOf("k"))
	if r := p.answer(1); string(r[0].GetGet().GetValue()) != "v" {
		t.Errorf("after the panic: %v", r)
	}
}

func TestPipelineOperationsHaveATimeOfTheirOwn(t *testing.T) {
	t.Parallel()
	_, kv, ctx := start(t, harness.Options{Drivers: harness.Faulty(func(ctx context.Context, key string) error {
		if key == "slow" {
			<-ctx.Done()
			return ctx.Err()
		}
		return nil
	})})
	p := open(t, kv, ctx)
	slow := getOf("slow")
	slow.TimeoutMs = 30
	p.send(1, slow)
	if r := p.answer(1); r[0].GetError().GetReason() != "DEADLINE_EXCEEDED" {
		t.Errorf("an operation out of time: %v", r[0])
	}
}
