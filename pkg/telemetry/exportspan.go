package telemetry

import (
	"context"
	"time"

	"go.opentelemetry.io/otel/attribute"
	otelcodes "go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/trace"

	"github.com/prism-data-layer/prism/pkg/prism"
)

// givenIDs gives spans the ids that their calls have already told others.
type givenIDs struct{}

type given struct {
	trace traceID
	span  spanID
}

type givenKey struct{}

func (givenIDs) NewIDs(ctx context.Context) (trace.TraceID, trace.SpanID) {
	g, _ := ctx.Value(givenKey{}).(given)
	return trace.TraceID(g.trace), trace.SpanID(g.span)
}

func (givenIDs) NewSpanID(ctx context.Context, _ trace.TraceID) trace.SpanID {
	g, _ := ctx.Value(givenKey{}).(given)
	return trace.SpanID(g.span)
}

// trace sends a call that is kept, as spans.
func (x *Export) trace(r *record) {
	end := r.start.Add(r.Took)
	x.span(r.trace.trace, r.trace.span, r.parent, r.Method, trace.SpanKindServer, r.start, end, r.Reason, attributesOf(r))
	for i := range r.steps {
		s := &r.steps[i]
		x.span(r.trace.trace, r.spans[i], r.trace.span, s.name(), trace.SpanKindClient,
			r.start.Add(s.began), r.start.Add(s.ended), s.reason, s.attributes(r.Namespace))
	}
}

func (x *Export) span(
	id traceID, own, parent spanID, name string, kind trace.SpanKind, start, end time.Time, reason prism.Reason, attributes []Attribute,
) {
	if !x.spans.offer() {
		return
	}
	ctx := context.WithValue(context.Background(), givenKey{}, given{id, own})
	if parent != (spanID{}) {
		ctx = trace.ContextWithRemoteSpanContext(ctx, spanContext(id, parent))
	}
	list := make([]attribute.KeyValue, len(attributes))
	for i, a := range attributes {
		list[i] = attribute.String(a.Key, a.Value)
	}
	_, span := x.tracer.Start(ctx, name, trace.WithTimestamp(start), trace.WithSpanKind(kind), trace.WithAttributes(list...))
	if Failure(reason) {
		span.SetStatus(otelcodes.Error, "")
	}
	span.End(trace.WithTimestamp(end))
}

func spanContext(id traceID, span spanID) trace.SpanContext {
	return trace.NewSpanContext(trace.SpanContextConfig{TraceID: trace.TraceID(id), SpanID: trace.SpanID(span), TraceFlags: trace.FlagsSampled})
}
