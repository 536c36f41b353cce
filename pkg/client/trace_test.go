package client_test

import (
	"testing"

	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"

	"github.com/prism-data-layer/prism/pkg/client"
	adminv1 "github.com/prism-data-layer/prism/proto/prism/admin/v1"
	"github.com/prism-data-layer/prism/test/harness"
)

// An operation that shares a stream, and a call of its own: the gateway's spans
// are below the client's.
func TestSpansReachFromTheCallerToTheGateway(t *testing.T) {
	t.Parallel()
	g := harness.Start(t, harness.Options{File: harness.Models})
	recorded := tracetest.NewSpanRecorder()
	p := sdktrace.NewTracerProvider(sdktrace.WithSpanProcessor(recorded))
	c, err := client.Dial(g.Addr("data"), client.WithTracerProvider(p), client.WithoutSession())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	ctx, root := p.Tracer("test").Start(harness.Context(t), "root")
	if _, err := c.KeyValue("mem").Get(ctx, "absent"); err == nil {
		t.Error("an absent key was found")
	}
	if _, err := c.PubSub("pubsub").Publish(ctx, client.Event{Topic: "a", Payload: []byte("x")}); err != nil {
		t.Error(err)
	}
	root.End()
	parents := map[string]string{} // of the client's spans, by what is called
	for _, s := range recorded.Ended() {
		if s.Parent().SpanID() == root.SpanContext().SpanID() {
			parents[s.Name()] = s.SpanContext().SpanID().String()
		}
	}
	got, err := g.Admin(t).GetTrace(harness.Context(t), &adminv1.GetTraceRequest{TraceId: root.SpanContext().TraceID().String()})
	if err != nil {
		t.Fatal(err)
	}
	below := map[string]string{}
	for _, s := range got.Trace.Spans {
		below[s.Name] = s.ParentSpanId
	}
	for _, call := range []string{"prism.keyvalue.v1.KeyValueService/Get", "prism.pubsub.v1.PubSubService/Publish"} {
		if parents[call] == "" || below[call] != parents[call] {
			t.Errorf("%s: the client's span is %q, and the gateway's is below %q", call, parents[call], below[call])
		}
	}
}
