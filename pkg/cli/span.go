package cli

import (
	"context"
	"crypto/rand"
	"encoding/hex"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/trace"

	"github.com/prism-data-layer/prism/pkg/prism"
)

const scope = "github.com/prism-data-layer/prism/pkg/cli"

// Root starts the span of a command, if spans are sent.
func (f *Factory) Root(ctx context.Context, command string) (context.Context, trace.Span) {
	if f.Tracing == nil {
		return ctx, nil
	}
	return f.Tracing.Tracer(scope).Start(ctx, command, trace.WithSpanKind(trace.SpanKindInternal))
}

// EndRoot ends it.
func EndRoot(span trace.Span, err error) {
	if err != nil {
		endSpan(span, prism.From(err))
		return
	}
	endSpan(span, nil)
}

// span starts that of a call.
func (f *Factory) span(ctx context.Context, method string) (context.Context, trace.Span) {
	if f.Tracing == nil {
		return ctx, nil
	}
	return f.Tracing.Tracer(scope).Start(ctx, method[1:], trace.WithSpanKind(trace.SpanKindClient),
		trace.WithAttributes(attribute.String("rpc.system.name", "grpc"), attribute.String("rpc.method", method[1:])))
}

func endSpan(span trace.Span, e *prism.Error) {
	if span == nil {
		return
	}
	if e != nil {
		span.SetAttributes(attribute.String("error.type", string(e.Reason)))
		span.SetStatus(codes.Error, "")
	}
	span.End()
}

// traceOf is the trace of a command: that of its span, or one of its own.
func (f *Factory) traceOf(ctx context.Context) string {
	if sc := trace.SpanContextFromContext(ctx); sc.IsValid() {
		return sc.TraceID().String()
	}
	return f.traceID()
}

// traceparent is the place of a call in its trace. It asks to be recorded: what a
// person does is worth a look.
func (w *watcher) traceparent(ctx context.Context) string {
	if sc := trace.SpanContextFromContext(ctx); sc.IsValid() {
		return "00-" + sc.TraceID().String() + "-" + sc.SpanID().String() + "-01"
	}
	var span [8]byte
	_, _ = rand.Read(span[:])
	return "00-" + w.trace + "-" + hex.EncodeToString(span[:]) + "-01"
}
