package client

import (
	"context"
	"strings"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/trace"
	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"

	"github.com/prism-data-layer/prism/pkg/prism"
	"github.com/prism-data-layer/prism/pkg/wire"
	"github.com/prism-data-layer/prism/pkg/wire/frame"
)

const scope = "github.com/prism-data-layer/prism/pkg/client"

// WithTracerProvider makes a span of each call, operations that share a stream
// with others included. Without it the client makes none; the span in a call's
// context is told to the gateway in either case.
func WithTracerProvider(p trace.TracerProvider) Option {
	return func(o *options) { o.tracer = p.Tracer(scope) }
}

// begin starts the span of a call, if spans are made, and tells what to send: the
// traceparent of that span, or of the caller's; empty: there is none.
func (o *options) begin(ctx context.Context, method string) (_ context.Context, span trace.Span, traceparent string) {
	if o.tracer != nil {
		ctx, span = o.tracer.Start(ctx, method, trace.WithSpanKind(trace.SpanKindClient),
			trace.WithAttributes(attribute.String("rpc.system.name", "grpc"), attribute.String("rpc.method", method)))
	}
	sc := trace.SpanContextFromContext(ctx)
	if !sc.IsValid() {
		return ctx, span, ""
	}
	return ctx, span, "00-" + sc.TraceID().String() + "-" + sc.SpanID().String() + "-" + sc.TraceFlags().String()
}

// end ends a span, which may be nil.
func end(span trace.Span, err error) {
	if span == nil {
		return
	}
	if err != nil {
		e := wire.FromStatus(err)
		span.SetAttributes(attribute.String("error.type", string(e.Reason)))
		if e.Reason != prism.ReasonNotFound {
			span.SetStatus(codes.Error, "")
		}
	}
	span.End()
}

func (o *options) unary(ctx context.Context, method string, req, reply any, cc *grpc.ClientConn, invoke grpc.UnaryInvoker, opts ...grpc.CallOption) error {
	ctx, span, traceparent := o.begin(ctx, method[1:])
	if traceparent != "" {
		ctx = metadata.AppendToOutgoingContext(ctx, wire.Traceparent, traceparent)
	}
	err := invoke(ctx, method, req, reply, cc, opts...)
	end(span, err)
	return err
}

// stream tells the caller's span. A stream has none of its own: it may be open
// for days.
func (o *options) stream(ctx context.Context, desc *grpc.StreamDesc, cc *grpc.ClientConn, method string, open grpc.Streamer, opts ...grpc.CallOption) (grpc.ClientStream, error) {
	none := options{}
	if _, _, traceparent := none.begin(ctx, ""); traceparent != "" {
		ctx = metadata.AppendToOutgoingContext(ctx, wire.Traceparent, traceparent)
	}
	return open(ctx, desc, cc, method, opts...)
}

// traced is framed with a span.
func (c *Client) traced(ctx context.Context, of *framed, namespace string, op *operation) (r frame.Result, err error) {
	if c.o.tracer == nil && !trace.SpanContextFromContext(ctx).IsValid() {
		return c.framed(ctx, of, namespace, op)
	}
	name := frame.Op{Kind: op.kind, Other: op.other}
	ctx, span, traceparent := c.o.begin(ctx, strings.TrimSuffix(of.method[1:], "Pipeline")+name.Name())
	op.trace = traceparent
	r, err = c.framed(ctx, of, namespace, op)
	end(span, err)
	return r, err
}
