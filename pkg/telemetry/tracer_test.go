package telemetry_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prism-data-layer/prism/pkg/clock"
	"github.com/prism-data-layer/prism/pkg/prism"
	"github.com/prism-data-layer/prism/pkg/telemetry"
)

const (
	parentTrace = "0af7651916cd43dd8448eb211c80319c"
	parentSpan  = "b7ad6b7169203331"
	unsampled   = "00-" + parentTrace + "-" + parentSpan + "-00"
)

func tracer(o telemetry.TracerOptions) (*telemetry.Tracer, *clock.Fake) {
	c := clock.NewFake(time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC))
	o.Clock = c
	return telemetry.NewTracer(o), c
}

func kept(t *telemetry.Tracer) []telemetry.KeptTrace { return slices.Collect(t.Traces) }

func TestWhichCallsAreKept(t *testing.T) {
	t.Parallel()
	ms := time.Millisecond
	for name, c := range map[string]struct {
		parent string
		sample float64
		waits  bool
		end    telemetry.Ending
		want   bool
	}{
		"neither":           {end: telemetry.Ending{Took: 249 * ms}},
		"slow":              {end: telemetry.Ending{Took: 250 * ms}, want: true},
		"a long stream":     {end: telemetry.Ending{Took: time.Hour, Stream: true}},
		"one that waited":   {end: telemetry.Ending{Took: time.Hour}, waits: true},
		"failed":            {end: telemetry.Ending{Reason: prism.ReasonBackendUnavailable}, want: true},
		"a failed stream":   {end: telemetry.Ending{Reason: prism.ReasonInternal, Stream: true}, want: true},
		"refused":           {end: telemetry.Ending{Reason: prism.ReasonPermissionDenied}, want: true},
		"not found":         {end: telemetry.Ending{Reason: prism.ReasonNotFound}},
		"a conflict":        {end: telemetry.Ending{Reason: prism.ReasonConflict}},
		"the caller left":   {end: telemetry.Ending{Reason: prism.ReasonCancelled}},
		"recorded":          {parent: parent, want: true},
		"recorded by none":  {parent: unsampled},
		"all":               {sample: 1, want: true},
		"not found, of all": {sample: 1, end: telemetry.Ending{Reason: prism.ReasonNotFound}, want: true},
	} {
		tr, _ := tracer(telemetry.TracerOptions{Sample: c.sample})
		call := tr.Begin(t.Context(), time.Now(), "", c.parent)
		if c.waits {
			call.Waits()
		}
		call.Finish(c.end)
		if got := len(kept(tr)) == 1; got != c.want {
			t.Errorf("%s: kept %v, want %v", name, got, c.want)
		}
	}
}

func TestAShareOfTheOthersIsKept(t *testing.T) {
	t.Parallel()
	tr, c := tracer(telemetry.TracerOptions{Sample: 0.1})
	for range 100 {
		for range 50 {
			tr.Begin(t.Context(), c.Now(), "", "").Finish(telemetry.Ending{})
		}
		c.Advance(time.Second)
	}
	if n := len(kept(tr)); n < 350 || n > 650 {
		t.Errorf("kept %d of 5000, want about 500", n)
	}
}

// A trace of a call and its steps: what is read is what happened.
func TestATraceTellsTheCallAndItsSteps(t *testing.T) {
	t.Parallel()
	tr, c := tracer(telemetry.TracerOptions{})
	call := tr.Begin(t.Context(), c.Now(), "req-7", parent)
	if telemetry.CallOf(context.WithoutCancel(call)) != call || telemetry.TraceID(call) != parentTrace || telemetry.RequestID(call) != "req-7" {
		t.Fatal("the context does not carry the call")
	}
	c.Advance(time.Millisecond)
	at := call.Begin(telemetry.Step{System: "redis", Backend: "hot", Operation: "Get"})
	c.Advance(2 * time.Millisecond)
	call.End(at, prism.New(prism.ReasonBackendUnavailable, "no answer"))
	running := call.Begin(telemetry.Step{System: "redis", Backend: "hot", Operation: "Batch", Ops: 3})
	c.Advance(time.Millisecond)
	call.Finish(telemetry.Ending{
		Method: "prism.keyvalue.v1.KeyValueService/Get", Namespace: "orders", Reason: prism.ReasonBackendUnavailable, Took: 4 * time.Millisecond,
	})
	call.End(running, errors.New("too late")) // changes nothing

	got, ok := tr.Trace(parentTrace)
	if !ok || len(got.Spans) != 3 || got.ID != parentTrace {
		t.Fatalf("got %+v, %v", got, ok)
	}
	root, first, second := got.Spans[0], got.Spans[1], got.Spans[2]
	if root.Parent != parentSpan || root.Took != 4*time.Millisecond || root.Reason != prism.ReasonBackendUnavailable || root.Service != "prismd" {
		t.Errorf("the call: %+v", root)
	}
	if first.Parent != root.ID || second.Parent != root.ID || first.ID == second.ID || first.ID == root.ID {
		t.Errorf("the tree: %s, %s of %s", first.Parent, second.Parent, root.ID)
	}
	if first.Took != 2*time.Millisecond || first.Start.Sub(root.Start) != time.Millisecond || first.Name != "Get hot" || first.Reason != prism.ReasonBackendUnavailable {
		t.Errorf("the first step: %+v", first)
	}
	if second.Took != time.Millisecond || second.Reason != "" {
		t.Errorf("the step that still ran: %+v", second)
	}
	for _, want := range []struct {
		span telemetry.Span
		list string
	}{
		{root, "rpc.system.name=grpc rpc.method=prism.keyvalue.v1.KeyValueService/Get rpc.response.status_code=UNAVAILABLE prism.request_id=req-7 prism.namespace=orders error.type=BACKEND_UNAVAILABLE"},
		{first, "db.system.name=redis db.operation.name=Get prism.backend=hot prism.namespace=orders error.type=BACKEND_UNAVAILABLE"},
		{second, "db.system.name=redis db.operation.name=Batch prism.backend=hot db.operation.batch.size=3 prism.namespace=orders"},
	} {
		var list []string
		for _, a := range want.span.Attributes {
			list = append(list, a.Key+"="+a.Value)
		}
		if got := strings.Join(list, " "); got != want.list {
			t.Errorf("attributes: got  %s\nwant %s", got, want.list)
		}
	}
	for _, id := range []string{"", "0af7", strings.ToUpper(parentTrace), strings.Repeat("0", 32), strings.Repeat("z", 32)} {
		if _, ok := tr.Trace(id); ok {
			t.Errorf("there is a trace %q", id)
		}
	}
}

func TestAnOperationOfAFrameHasItsOwnTrace(t *testing.T) {
	t.Parallel()
	tr, c := tracer(telemetry.TracerOptions{})
	call := tr.Begin(t.Context(), c.Now(), "", "")
	call.End(call.Begin(telemetry.Step{Backend: "b", Operation: "Batch"}), nil)
	call.FinishOp(parent, telemetry.Ending{Method: "S/Get", Ops: 2})
	call.FinishOp(unsampled, telemetry.Ending{Method: "S/Set", Ops: 2})
	call.FinishOp("nonsense", telemetry.Ending{Method: "S/Set", Reason: prism.ReasonInternal})
	call.Finish(telemetry.Ending{Method: "S/Pipeline", Ops: 2})
	all := kept(tr)
	if len(all) != 1 || len(all[0].Spans) != 2 || all[0].ID != parentTrace || all[0].Spans[0].Name != "S/Get" || all[0].Spans[0].Parent != parentSpan {
		t.Fatalf("kept %+v", all)
	}
}

func TestAStreamDoesNotGrow(t *testing.T) {
	t.Parallel()
	tr, c := tracer(telemetry.TracerOptions{Sample: 1})
	call := tr.Begin(t.Context(), c.Now(), "", "")
	for i := range 1000 {
		call.End(call.Begin(telemetry.Step{Operation: fmt.Sprint(i)}), nil)
	}
	call.Finish(telemetry.Ending{Stream: true})
	if n := len(kept(tr)[0].Spans); n != 65 {
		t.Errorf("%d spans, want 65", n)
	}
}

func TestWhatIsKeptIsBounded(t *testing.T) {
	t.Parallel()
	tr, c := tracer(telemetry.TracerOptions{Sample: 1})
	keep := func(traceparent string) string {
		call := tr.Begin(t.Context(), c.Now(), "", traceparent)
		call.Finish(telemetry.Ending{})
		c.Advance(10 * time.Millisecond)
		return telemetry.TraceID(call)
	}
	oldest := keep("")
	for range 200 {
		keep(parent) // one trace, however many calls
	}
	if _, ok := tr.Trace(oldest); !ok {
		t.Error("one trace has pushed out another")
	}
	if got, _ := tr.Trace(parentTrace); len(got.Spans) != 64 {
		t.Errorf("%d calls of one trace, want 64", len(got.Spans))
	}
	last := ""
	for range 1500 {
		last = keep("")
	}
	if n := len(kept(tr)); n != 1000 {
		t.Errorf("%d traces, want 1000", n)
	}
	if all := kept(tr); all[0].ID != last {
		t.Error("the newest is not the first")
	}
	if _, ok := tr.Trace(oldest); ok {
		t.Error("the oldest is still there")
	}
	// By bytes too: calls with all their steps.
	for range 1500 {
		call := tr.Begin(t.Context(), c.Now(), "", "")
		for range 64 {
			call.Begin(telemetry.Step{Operation: "Next"})
		}
		call.Finish(telemetry.Ending{})
		c.Advance(10 * time.Millisecond)
	}
	if n := len(kept(tr)); n < 100 || n > 900 {
		t.Errorf("%d traces of 65 spans, want what 4 MiB hold", n)
	}
}

// A gateway whose every call fails must not be busy with keeping them.
func TestNotMoreThanSoManyASecondAreKept(t *testing.T) {
	t.Parallel()
	tr, c := tracer(telemetry.TracerOptions{})
	fail := func(n int) {
		for range n {
			tr.Begin(t.Context(), c.Now(), "", "").Finish(telemetry.Ending{Reason: prism.ReasonInternal})
		}
	}
	fail(1500)
	if n := tr.Lost(); n != 500 {
		t.Errorf("%d were not kept, want 500", n)
	}
	c.Advance(time.Second)
	fail(10)
	if n := tr.Lost(); n != 500 {
		t.Errorf("%d were not kept, want 500 still", n)
	}
}

func TestWithoutATracerThereAreIDsAlone(t *testing.T) {
	t.Parallel()
	var none *telemetry.Tracer
	call := none.Begin(t.Context(), time.Now(), "", parent)
	call.End(call.Begin(telemetry.Step{}), nil)
	call.FinishOp(parent, telemetry.Ending{})
	call.Finish(telemetry.Ending{Reason: prism.ReasonInternal})
	if telemetry.TraceID(call) != parentTrace {
		t.Error("no trace id")
	}
}

func BenchmarkCall(b *testing.B) {
	tr := telemetry.NewTracer(telemetry.TracerOptions{Sample: 0.01, Clock: clock.Real()})
	for name, tr := range map[string]*telemetry.Tracer{"on": tr, "off": nil} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				call := tr.Begin(context.Background(), time.Now(), "", "")
				call.End(call.Begin(telemetry.Step{System: "memory", Backend: "volatile", Operation: "Get"}), nil)
				call.Finish(telemetry.Ending{Method: "m", Namespace: "n", Took: time.Microsecond})
			}
		})
	}
}
