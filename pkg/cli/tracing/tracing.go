// Package tracing sends the spans of one command to a collector.
package tracing

import (
	"context"
	"net"
	"net/netip"
	"strings"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracegrpc"
	"go.opentelemetry.io/otel/sdk/resource"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"
)

// flush is how long a command may take to send what it did.
const flush = 500 * time.Millisecond

// Start returns where spans come from, and what sends them. A collector that is
// not there is nobody's trouble.
func Start(ctx context.Context, endpoint, version string) (trace.TracerProvider, func()) {
	where := []otlptracegrpc.Option{otlptracegrpc.WithEndpointURL(endpoint)}
	if !strings.Contains(endpoint, "://") {
		where = []otlptracegrpc.Option{otlptracegrpc.WithEndpoint(endpoint)}
		if host, _, err := net.SplitHostPort(endpoint); err == nil && loopback(host) {
			where = append(where, otlptracegrpc.WithInsecure())
		}
	}
	exporter, err := otlptracegrpc.New(ctx, append(where, otlptracegrpc.WithTimeout(flush), otlptracegrpc.WithRetry(otlptracegrpc.RetryConfig{}))...)
	if err != nil {
		return nil, func() {}
	}
	// What cannot be read of OTEL_RESOURCE_ATTRIBUTES is left out.
	res, _ := resource.New(ctx, resource.WithFromEnv(), resource.WithAttributes( //nolint:errcheck // see above
		attribute.String("service.name", "prismctl"), attribute.String("service.version", version)))
	p := sdktrace.NewTracerProvider(sdktrace.WithResource(res), sdktrace.WithSampler(sdktrace.AlwaysSample()), sdktrace.WithBatcher(quiet{exporter}))
	return p, func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), flush)
		defer cancel()
		_ = p.Shutdown(ctx)
	}
}

func loopback(host string) bool {
	addr, _ := netip.ParseAddr(host)
	return host == "localhost" || addr.IsLoopback()
}

// quiet keeps the SDK from printing that nobody listens.
type quiet struct{ sdktrace.SpanExporter }

func (q quiet) ExportSpans(ctx context.Context, spans []sdktrace.ReadOnlySpan) error {
	_ = q.SpanExporter.ExportSpans(ctx, spans)
	return nil
}
