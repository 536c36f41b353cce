package gateway_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"runtime"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/grpc/codes"

	"github.com/prism-data-layer/prism/pkg/clock"
	"github.com/prism-data-layer/prism/pkg/prism"
	adminv1 "github.com/prism-data-layer/prism/proto/prism/admin/v1"
	timeseriesv1 "github.com/prism-data-layer/prism/proto/prism/timeseries/v1"
	"github.com/prism-data-layer/prism/test/harness"
)

// ticks is n events in columns.
func ticks(n int, from int64) *timeseriesv1.EventColumns {
	c := &timeseriesv1.EventColumns{EventType: &timeseriesv1.CodedColumn{Dictionary: []string{"tick"}}, Metrics: []*timeseriesv1.MetricColumn{{Name: "n"}}}
	for i := range n {
		c.TimeNs = append(c.TimeNs, from+int64(i))
		c.Metrics[0].Values = append(c.Metrics[0].Values, float64(i))
	}
	return c
}

func appending(c *timeseriesv1.EventColumns) *timeseriesv1.AppendEventsRequest {
	return &timeseriesv1.AppendEventsRequest{Namespace: "timeseries", Events: &timeseriesv1.AppendEventsRequest_Columns{Columns: c}}
}

func batchOf(id uint64, c *timeseriesv1.EventColumns) *timeseriesv1.StreamEventsRequest {
	return &timeseriesv1.StreamEventsRequest{Message: &timeseriesv1.StreamEventsRequest_Batch{Batch: &timeseriesv1.EventBatch{
		Id: id, Events: &timeseriesv1.EventBatch_Columns{Columns: c},
	}}}
}

func openOf(async bool) *timeseriesv1.StreamEventsRequest {
	return &timeseriesv1.StreamEventsRequest{Message: &timeseriesv1.StreamEventsRequest_Open{Open: &timeseriesv1.OpenStream{Namespace: "timeseries", Async: async}}}
}

func series(t *testing.T, o harness.Options) (*harness.Gateway, timeseriesv1.TimeSeriesServiceClient, context.Context) {
	t.Helper()
	if o.File == "" {
		o.File = harness.Models
	}
	g := harness.Start(t, o)
	return g, timeseriesv1.NewTimeSeriesServiceClient(g.Dial(t, "data")), harness.Context(t)
}

func TestEventsAreAppendedInEitherFormAndReadBack(t *testing.T) {
	t.Parallel()
	_, ts, ctx := series(t, harness.Options{})
	rows := &timeseriesv1.AppendEventsRequest{Namespace: "timeseries", Events: &timeseriesv1.AppendEventsRequest_Rows{Rows: &timeseriesv1.EventRows{Events: []*timeseriesv1.Event{
		{TimeNs: 5, EventType: "a", Dimensions: map[string]string{"host": "x"}, Metrics: map[string]float64{"n": 1}, Payload: []byte("p"), EventId: "i"},
		{EventType: "a"},
		{TimeNs: 7, EventType: "a", EventId: "i"},
	}}}}
	a := must[*timeseriesv1.AppendEventsResponse](t)(ts.AppendEvents(ctx, rows))
	if a.Accepted != 1 || a.Duplicates != 1 || a.Rejected != 1 || a.Rejections[0].Index != 1 || a.Rejections[0].Error.FieldViolations[0].Field != "time_ns" {
		t.Errorf("got %v", a)
	}
	must[*timeseriesv1.AppendEventsResponse](t)(ts.AppendEvents(ctx, appending(ticks(3, 10))))
	start, end := int64(0), int64(100)
	q := must[*timeseriesv1.QueryEventsResponse](t)(ts.QueryEvents(ctx, &timeseriesv1.QueryEventsRequest{Namespace: "timeseries", Selection: &timeseriesv1.Selection{StartNs: &start, EndNs: &end}}))
	if len(q.Events) != 4 || q.Cursor != "" || q.Events[0].Dimensions["host"] != "x" || string(q.Events[0].Payload) != "p" || q.Events[3].Metrics["n"] != 2 {
		t.Errorf("got %v", q)
	}
	d := must[*timeseriesv1.DescribeSeriesResponse](t)(ts.DescribeSeries(ctx, &timeseriesv1.DescribeSeriesRequest{Namespace: "timeseries"}))
	if d.Events != 4 || d.Sent != 6 || d.Stored != 4 || d.Duplicates != 1 || d.Rejected != 1 {
		t.Errorf("got %v", d)
	}
}

func TestAStreamAnswersEveryBatchAndEndsWithItsCaller(t *testing.T) {
	t.Parallel()
	_, ts, ctx := series(t, harness.Options{})
	st, err := ts.StreamEvents(ctx)
	if err != nil {
		t.Fatal(err)
	}
	_ = st.Send(openOf(false))
	for id := range uint64(100) {
		c := ticks(10, 1000*int64(id)+1)
		if id == 50 {
			c.Metrics[0].Values = nil
		}
		_ = st.Send(batchOf(id, c))
	}
	_ = st.CloseSend()
	answers := map[uint64]*timeseriesv1.BatchResult{}
	for {
		resp, err := st.Recv()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range resp.Results {
			answers[r.Id] = r
		}
	}
	for id := range uint64(100) {
		r := answers[id]
		if id == 50 && r.GetError().GetReason() != "INVALID_ARGUMENT" || id != 50 && r.GetAppended().GetAccepted() != 10 {
			t.Errorf("batch %d: %v", id, r)
		}
	}
	for name, messages := range map[string][]*timeseriesv1.StreamEventsRequest{
		"a batch first": {batchOf(1, ticks(1, 1))}, "an opening twice": {openOf(false), openOf(false)}, "nothing": {{}},
	} {
		st, err := ts.StreamEvents(ctx)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range messages {
			_ = st.Send(m)
		}
		_, err = st.Recv()
		want(t, name, err, codes.FailedPrecondition, prism.ReasonFailedPrecond)
	}
}

// F20 on ingest: a store that hears nothing makes callers wait or be refused, and
// the gateway's memory does not grow with what is sent.
func TestFault_F20_IngestIsRefusedAndNotBufferedWithoutEnd(t *testing.T) {
	t.Parallel()
	open := make(chan struct{})
	var slow atomic.Bool
	slow.Store(true)
	file := `apiVersion: prism/v1
auth: {mode: off}
backends:
  - {name: volatile, driver: memory}
namespaces:
  - {name: timeseries, model: timeseries, backend: volatile, limits: {buffer_bytes: 1MiB}, access: {owners: ["user:dev"]}}
drain: {timeout: 5s}
`
	_, ts, ctx := series(t, harness.Options{File: file, Drivers: harness.Faulty(func(ctx context.Context, _ string) error {
		if slow.Load() {
			select {
			case <-open:
			case <-ctx.Done():
				return ctx.Err()
			}
		}
		return nil
	})})
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	accepted, refused := int64(0), 0
	for i := range 200 { // 200 times 160 kB
		r := appending(ticks(10_000, int64(i)*10_000+1))
		r.Async = true
		start := time.Now()
		a, err := ts.AppendEvents(ctx, r)
		if err == nil {
			accepted += a.Accepted
			continue
		}
		refused++
		o := want(t, "an append too many", err, codes.ResourceExhausted, prism.ReasonBufferFull)
		if o.Retry == nil {
			t.Errorf("the refusal does not say when to try again")
		}
		if took := time.Since(start); took > 5*time.Second {
			t.Errorf("refused after %v", took)
		}
	}
	if accepted != 60_000 || refused != 194 {
		t.Errorf("%d events taken, %d appends refused", accepted, refused)
	}
	st, err := ts.StreamEvents(ctx)
	if err != nil {
		t.Fatal(err)
	}
	_ = st.Send(openOf(true))
	sent := make(chan int64, 1)
	go func() { // stands still where the gateway does not read
		n := int64(0)
		for i := range 200 {
			if st.Send(batchOf(uint64(i), ticks(10_000, int64(i)*10_000+5_000_000))) != nil {
				break
			}
			n += 10_000
		}
		_ = st.CloseSend()
		sent <- n
	}()
	time.Sleep(50 * time.Millisecond) // long enough for a gateway without a bound to read much
	runtime.GC()
	runtime.ReadMemStats(&after)
	if grown := int64(after.HeapAlloc) - int64(before.HeapAlloc); grown > 64<<20 {
		t.Errorf("the heap has grown by %d MiB", grown>>20)
	}
	close(open)
	slow.Store(false)
	answered := int64(0)
	for {
		resp, err := st.Recv()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range resp.Results {
			answered += r.GetAppended().GetAccepted()
		}
	}
	if n := <-sent; n != 2_000_000 || answered != n {
		t.Errorf("%d sent, %d answered", n, answered)
	}
	harness.Eventually(t, 30*time.Second, "all is stored", func() bool {
		d, err := ts.DescribeSeries(ctx, &timeseriesv1.DescribeSeriesRequest{Namespace: "timeseries"})
		return err == nil && d.Buffered == 0 && d.Sent == d.Stored && d.Sent == accepted+answered
	})
}

// What was acked with async is stored before the gateway stops, and what a batch
// of a stream was taken is answered.
func TestADrainStoresWhatWasAcked(t *testing.T) {
	t.Parallel()
	var stored atomic.Int64
	g, ts, ctx := series(t, harness.Options{Drivers: harness.Faulty(func(context.Context, string) error {
		time.Sleep(5 * time.Millisecond)
		stored.Add(1)
		return nil
	})})
	st, err := ts.StreamEvents(ctx)
	if err != nil {
		t.Fatal(err)
	}
	_ = st.Send(openOf(true))
	for id := range uint64(50) {
		if err := st.Send(batchOf(id, ticks(10, int64(id)*100+1))); err != nil {
			t.Fatal(err)
		}
		if _, err := st.Recv(); err != nil {
			t.Fatal(err)
		}
	}
	ended := g.Draining()
	_, err = st.Recv()
	want(t, "the stream", err, codes.Unavailable, prism.ReasonDraining)
	if err := <-ended; err != nil {
		t.Errorf("the drain: %v", err)
	}
	if n := stored.Load(); n != 50 {
		t.Errorf("%d of 50 batches that were acked are stored", n)
	}
}

func TestAStreamOfEventsEndsWithItsCallersDeadline(t *testing.T) {
	t.Parallel()
	_, ts, ctx := series(t, harness.Options{})
	ctx, cancel := context.WithTimeout(ctx, 200*time.Millisecond)
	defer cancel()
	st, err := ts.StreamEvents(ctx)
	if err != nil {
		t.Fatal(err)
	}
	_ = st.Send(openOf(false))
	if _, err := st.Recv(); harness.Read(err).Code() != codes.DeadlineExceeded {
		t.Errorf("a stream out of time: %v", err)
	}
}

// A session that is revoked takes its streams of events with it; what was
// answered by then is stored.
func TestAStreamOfEventsEndsWhenItsSessionIsRevoked(t *testing.T) {
	t.Parallel()
	g, ts, ctx := series(t, harness.Options{})
	for what, async := range map[string]bool{"sync": false, "async": true} {
		id, token := session(t, g, ctx)
		st, err := ts.StreamEvents(harness.In(ctx, token))
		if err != nil {
			t.Fatal(err)
		}
		_ = st.Send(openOf(async))
		before := must[*timeseriesv1.DescribeSeriesResponse](t)(ts.DescribeSeries(ctx, &timeseriesv1.DescribeSeriesRequest{Namespace: "timeseries"}))
		const batches = 20
		for id := range uint64(batches) {
			_ = st.Send(batchOf(id, ticks(10, int64(id)*100+1)))
			if _, err := st.Recv(); err != nil {
				t.Fatalf("%s: %v", what, err)
			}
		}
		must[*adminv1.TerminateSessionResponse](t)(g.Admin(t).TerminateSession(ctx, &adminv1.TerminateSessionRequest{SessionId: id}))
		want(t, what, ends(t, 10*time.Second, st.Recv), codes.Unauthenticated, prism.ReasonSessionRevoked)
		harness.Eventually(t, 30*time.Second, what+": what was answered is stored", func() bool {
			d, err := ts.DescribeSeries(ctx, &timeseriesv1.DescribeSeriesRequest{Namespace: "timeseries"})
			return err == nil && d.Buffered == 0 && d.Stored-before.Stored == 10*batches && d.Sent-before.Sent == 10*batches
		})
	}
}

// weight is how many events heavy stores: 90 MB of answers, more than any window.
const weight = 30_000

func heavy(t *testing.T, ts timeseriesv1.TimeSeriesServiceClient, ctx context.Context) {
	t.Helper()
	for i := range weight / 1000 {
		c := ticks(1000, int64(i)*1000+1)
		c.Payload = &timeseriesv1.BlobColumn{Data: make([]byte, 1000*3000)}
		for range 1000 {
			c.Payload.Lengths = append(c.Payload.Lengths, 3000)
		}
		must[*timeseriesv1.AppendEventsResponse](t)(ts.AppendEvents(ctx, appending(c)))
	}
}

// everything asks for what there is after a position.
func everything(after string) *timeseriesv1.StreamQueryRequest {
	start, end := int64(0), int64(1_000_000)
	return &timeseriesv1.StreamQueryRequest{Namespace: "timeseries", Selection: &timeseriesv1.Selection{StartNs: &start, EndNs: &end}, After: after}
}

// A query whose reader does not read costs the gateway no more memory than a
// stream may hold, and is ended with its position; from there the rest comes.
func TestAQueryWhoseReaderIsSlowIsBoundedAndLosesNothing(t *testing.T) {
	// Not parallel: it looks at the memory of the process.
	c := clock.NewFake(time.Now())
	g, ts, ctx := series(t, harness.Options{Clock: c})
	heavy(t, ts, ctx)
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	st, err := ts.StreamQuery(ctx, everything(""))
	if err != nil {
		t.Fatal(err)
	}
	harness.Eventually(t, 30*time.Second, "the stream ends at the gateway", func() bool {
		c.Advance(time.Second)
		status, err := g.Admin(t).GetStatus(ctx, &adminv1.GetStatusRequest{})
		return err == nil && status.ActiveStreams == 0
	})
	runtime.GC()
	runtime.ReadMemStats(&after)
	if grown := int64(after.HeapAlloc) - int64(before.HeapAlloc); grown > 32<<20 {
		t.Errorf("the heap has grown by %d MiB for a reader who does not read", grown>>20)
	}
	seen := map[int64]int{}
	read := func(st timeseriesv1.TimeSeriesService_StreamQueryClient) error {
		for {
			r, err := st.Recv()
			if err != nil {
				return err
			}
			for _, e := range r.Events {
				seen[e.TimeNs]++
			}
		}
	}
	o := want(t, "the slow reader's end", read(st), codes.ResourceExhausted, prism.ReasonSlowConsumer)
	if o.Resume.GetPosition() == "" || len(seen) == 0 || len(seen) == weight {
		t.Fatalf("after %d events its end says %v", len(seen), o.Resume)
	}
	// This reader takes its time, and is not slow: it reads.
	st, err = ts.StreamQuery(ctx, everything(o.Resume.Position))
	if err != nil {
		t.Fatal(err)
	}
	if err := read(st); !errors.Is(err, io.EOF) {
		t.Fatalf("the rest: %v", err)
	}
	twice := 0
	for _, n := range seen {
		twice += n - 1
	}
	// A message that was under way may come twice.
	if len(seen) != weight || twice > prism.MaxPageItems {
		t.Errorf("%d of %d events were read, %d of them twice", len(seen), weight, twice)
	}
}

func TestAQueryThatIsCutOffGoesOn(t *testing.T) {
	t.Parallel()
	g, ts, ctx := series(t, harness.Options{})
	heavy(t, ts, ctx)
	st, err := ts.StreamQuery(ctx, everything(""))
	if err != nil {
		t.Fatal(err)
	}
	first, err := st.Recv()
	if err != nil || len(first.Events) == 0 || first.Position == "" {
		t.Fatalf("the first message: %v", err)
	}
	g.Draining()
	last := first
	for {
		resp, err := st.Recv()
		if err == nil {
			last = resp
			continue
		}
		o := want(t, "the query", err, codes.Unavailable, prism.ReasonDraining)
		if o.Resume == nil || o.Resume.Position == "" {
			t.Errorf("its end has no position: %v, after %s", o, fmt.Sprint(last.Events[len(last.Events)-1].TimeNs))
		}
		return
	}
}
