package gateway_test

import (
	"context"
	"encoding/hex"
	"fmt"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"

	"github.com/prism-data-layer/prism/pkg/prism"
	"github.com/prism-data-layer/prism/pkg/telemetry/telemetrytest"
	"github.com/prism-data-layer/prism/pkg/wire"
	adminv1 "github.com/prism-data-layer/prism/proto/prism/admin/v1"
	kvv1 "github.com/prism-data-layer/prism/proto/prism/keyvalue/v1"
	"github.com/prism-data-layer/prism/test/harness"
)

const parentSpan = "b7ad6b7169203331"

// traceID is one that only the n-th call of a test has; byte 8 is large, so that
// chance does not keep it.
func traceID(n int) string { return fmt.Sprintf("0af7651916cd43ddff48eb21%08x", n) }

func traced(ctx context.Context, n int, flags string) context.Context {
	return metadata.AppendToOutgoingContext(ctx, wire.Traceparent, "00-"+traceID(n)+"-"+parentSpan+"-"+flags)
}

// spansOf asks an operator's way for what is kept of a trace, in one line.
func spansOf(t *testing.T, g *harness.Gateway, n int) string {
	t.Helper()
	r, err := g.Admin(t).GetTrace(harness.Context(t), &adminv1.GetTraceRequest{TraceId: traceID(n)})
	if harness.Read(err).Code() == codes.NotFound {
		return ""
	}
	if err != nil {
		t.Fatal(err)
	}
	var parts []string
	for _, s := range r.Trace.Spans {
		parts = append(parts, strings.TrimSpace(s.Name+" "+s.Error))
	}
	return strings.Join(parts, ", ")
}

func TestCallsAreTracedToTheirBackend(t *testing.T) {
	t.Parallel()
	g := harness.Start(t, harness.Options{Drivers: harness.Faulty(func(_ context.Context, key string) error {
		if key == "broken" {
			return prism.New(prism.ReasonDataLoss, "a record is damaged")
		}
		return nil
	})})
	ctx, kv := harness.Context(t), g.KeyValue(t)
	set := func(n int, flags, ns, key string) error {
		_, err := kv.Set(traced(ctx, n, flags), &kvv1.SetRequest{Namespace: ns, Key: key, Value: []byte("v")})
		return err
	}
	ok(t, set(1, "01", "mem", "k"))
	ok(t, set(2, "00", "mem", "k"))
	failed := set(3, "00", "mem", "broken")
	refused := set(4, "00", "mem", "")
	if _, err := kv.Get(traced(ctx, 5, "00"), &kvv1.GetRequest{Namespace: "mem", Key: "absent"}); harness.Reason(err) != "NOT_FOUND" {
		t.Errorf("got %v", err)
	}
	for n, want := range map[int]string{
		1: "prism.keyvalue.v1.KeyValueService/Set, Set volatile",
		2: "",
		3: "prism.keyvalue.v1.KeyValueService/Set DATA_LOSS, Set volatile DATA_LOSS",
		4: "prism.keyvalue.v1.KeyValueService/Set INVALID_ARGUMENT",
		5: "",
	} {
		if got := spansOf(t, g, n); got != want {
			t.Errorf("call %d: kept %q, want %q", n, got, want)
		}
	}
	// The error tells the same trace.
	for n, err := range map[int]error{3: failed, 4: refused} {
		if e := wire.FromStatus(err); e.TraceID != traceID(n) {
			t.Errorf("call %d: the error tells trace %s", n, e.TraceID)
		}
	}
	r, err := g.Admin(t).GetTrace(ctx, &adminv1.GetTraceRequest{TraceId: traceID(3)})
	ok(t, err)
	call, step := r.Trace.Spans[0], r.Trace.Spans[1]
	if call.ParentSpanId != parentSpan || step.ParentSpanId != call.SpanId || call.Service != "prismd" || call.Attributes["prism.namespace"] != "mem" ||
		step.Attributes["db.system.name"] != "memory" || step.Attributes["prism.backend"] != "volatile" || call.Attributes["prism.request_id"] == "" {
		t.Errorf("got %v", r.Trace)
	}
	list, err := g.Admin(t).ListTraces(ctx, &adminv1.ListTracesRequest{Errors: true, Limit: 1})
	if err != nil || len(list.Traces) != 1 || !list.More || list.Traces[0].TraceId != traceID(4) {
		t.Errorf("listed %v, %v", list, err)
	}
	list, err = g.Admin(t).ListTraces(ctx, &adminv1.ListTracesRequest{Slow: true})
	if err != nil || len(list.Traces) != 0 {
		t.Errorf("slow are %v, %v", list, err)
	}
}

func TestOperationsOfAFrameAreTracedOneByOne(t *testing.T) {
	t.Parallel()
	g := harness.Start(t, harness.Options{})
	ctx := harness.Context(t)
	st, err := g.KeyValue(t).Pipeline(ctx)
	ok(t, err)
	ok(t, st.Send(&kvv1.PipelineRequest{Message: &kvv1.PipelineRequest_Open{Open: &kvv1.PipelineOpen{Namespace: "mem"}}}))
	_, err = st.Recv()
	ok(t, err)
	parent := func(n int, flags string) string { return "00-" + traceID(n) + "-" + parentSpan + "-" + flags }
	set := func(key string) *kvv1.PipelineOp {
		return &kvv1.PipelineOp{Op: &kvv1.PipelineOp_Set{Set: &kvv1.SetRequest{Key: key, Value: []byte("v")}}}
	}
	a, b, c := set("a"), set("b"), set("c")
	a.Traceparent, b.Traceparent = parent(1, "01"), parent(2, "00")
	d := &kvv1.PipelineOp{Op: &kvv1.PipelineOp_Increment{Increment: &kvv1.IncrementRequest{Key: "a", Delta: 1}}, Traceparent: parent(3, "00")}
	ok(t, st.Send(&kvv1.PipelineRequest{Message: &kvv1.PipelineRequest_Frame{Frame: &kvv1.PipelineFrame{Id: 1, Ops: []*kvv1.PipelineOp{a, b, c, d}}}}))
	_, err = st.Recv()
	ok(t, err)
	for n, want := range map[int]string{
		1: "prism.keyvalue.v1.KeyValueService/Set, Batch volatile", 2: "",
		3: "prism.keyvalue.v1.KeyValueService/Increment NOT_A_NUMBER, Batch volatile",
	} {
		if got := spansOf(t, g, n); got != want {
			t.Errorf("operation %d: kept %q, want %q", n, got, want)
		}
	}
}

// From the caller's span to the backend's, at a collector; the log tells the
// same trace.
func TestACollectorSeesACall(t *testing.T) {
	t.Parallel()
	sink := telemetrytest.Start(t)
	g := harness.Start(t, harness.Options{
		File:    harness.Volatile + "telemetry: {otlp: {endpoint: '" + sink.Endpoint + "'}}\n",
		Drivers: harness.Faulty(func(context.Context, string) error { return prism.New(prism.ReasonDataLoss, "a record is damaged") }),
	})
	_, err := g.KeyValue(t).Get(traced(harness.Context(t), 1, "00"), &kvv1.GetRequest{Namespace: "mem", Key: "k"})
	if harness.Reason(err) != "DATA_LOSS" {
		t.Fatalf("got %v", err)
	}
	call := sink.Span(t, traceID(1), "prism.keyvalue.v1.KeyValueService/Get")
	step := sink.Span(t, traceID(1), "Get volatile")
	if hex.EncodeToString(call.ParentSpanId) != parentSpan || string(step.ParentSpanId) != string(call.SpanId) {
		t.Errorf("got %v and %v", call, step)
	}
	if l := sink.Log(t, "call failed"); hex.EncodeToString(l.TraceId) != traceID(1) || string(l.SpanId) != string(call.SpanId) {
		t.Errorf("the record is of another call: %v", l)
	}
	start := time.Now()
	ok(t, g.Stop())
	if took := time.Since(start); took > 4*time.Second {
		t.Errorf("stopping took %s", took)
	}
	sink.Metric(t, "prism_errors_total") // half a minute early: what waits is sent at the end
}

func TestWithTracesOffNoneAreKept(t *testing.T) {
	t.Parallel()
	g := harness.Start(t, harness.Options{File: harness.Volatile + "telemetry: {traces: {mode: off}}\n"})
	_, err := g.KeyValue(t).Get(traced(harness.Context(t), 1, "01"), &kvv1.GetRequest{Namespace: "mem", Key: "k"})
	if e := wire.FromStatus(err); e == nil || e.TraceID != traceID(1) {
		t.Errorf("got %v", err)
	}
	if got := spansOf(t, g, 1); got != "" {
		t.Errorf("kept %q", got)
	}
}

func ok(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatalf("unexpected error: %v", err)
	}
}
