package telemetry

import (
	"context"
	"crypto/tls"
	"errors"
	"log/slog"
	"net"
	"net/netip"
	"net/url"
	"strings"
	"sync"
	"time"

	prometheusbridge "go.opentelemetry.io/contrib/bridges/prometheus"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/exporters/otlp/otlplog/otlploggrpc"
	"go.opentelemetry.io/otel/exporters/otlp/otlpmetric/otlpmetricgrpc"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracegrpc"
	"go.opentelemetry.io/otel/log"
	sdklog "go.opentelemetry.io/otel/sdk/log"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/resource"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"
	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"

	"github.com/prism-data-layer/prism/pkg/clock"
	"github.com/prism-data-layer/prism/pkg/prism"
)

// How much is sent and how often. What waits is bounded (see signal), and a
// collector that is not there is tried again for as long as one sending may take.
const (
	queueSize     = 2048
	batchEvery    = time.Second
	metricsEvery  = 30 * time.Second
	exportTimeout = 10 * time.Second
	reconnect     = 5 * time.Second // at most
	scope         = "github.com/prism-data-layer/prism"
)

// ExportOptions say where the gateway's own spans, metrics and log records go.
type ExportOptions struct {
	Endpoint string // http://HOST:PORT, https://HOST:PORT or HOST:PORT; OTLP over gRPC
	Version  string
	Instance string   // tells this process from others
	Metrics  *Metrics // sent too, and counts what could not be
	Clock    clock.Clock
	Log      *slog.Logger // of the gateway itself, which is told of trouble
}

// Export sends to a collector. Nobody waits for it: what it cannot take or send is
// dropped and counted.
type Export struct {
	conn    *grpc.ClientConn
	tracer  trace.Tracer
	logger  log.Logger
	stop    []func(context.Context) error
	stopped sync.Once

	spans, metrics, logs signal
}

// StartExport connects when there is something to send.
func StartExport(ctx context.Context, o ExportOptions) (*Export, error) {
	target, creds, err := endpoint(o.Endpoint)
	if err != nil {
		return nil, err
	}
	conn, err := grpc.NewClient(target, grpc.WithTransportCredentials(creds), grpc.WithUserAgent("prismd/"+o.Version),
		grpc.WithConnectParams(grpc.ConnectParams{Backoff: backoff.Config{BaseDelay: time.Second, Multiplier: 1.6, Jitter: 0.2, MaxDelay: reconnect}, MinConnectTimeout: reconnect}))
	if err != nil {
		return nil, badEndpoint(o.Endpoint).WithCause(err)
	}
	x := &Export{conn: conn}
	t := &trouble{log: o.Log, clock: o.Clock, endpoint: target}
	x.spans, x.metrics, x.logs = signal{name: "spans", trouble: t}, signal{name: "metrics", trouble: t}, signal{name: "log records", trouble: t}
	if err := x.start(ctx, o); err != nil {
		conn.Close()
		return nil, err
	}
	return x, nil
}

func (x *Export) start(ctx context.Context, o ExportOptions) error {
	res, err := resource.New(ctx, resource.WithFromEnv(), resource.WithAttributes(
		attribute.String("service.name", ServiceName),
		attribute.String("service.version", o.Version),
		attribute.String("service.instance.id", o.Instance),
	))
	if err != nil && !errors.Is(err, resource.ErrPartialResource) {
		return prism.New(prism.ReasonInvalidConfig, "OTEL_RESOURCE_ATTRIBUTES cannot be read").WithCause(err)
	}
	spans, err1 := otlptracegrpc.New(ctx, otlptracegrpc.WithGRPCConn(x.conn), otlptracegrpc.WithTimeout(exportTimeout))
	metrics, err2 := otlpmetricgrpc.New(ctx, otlpmetricgrpc.WithGRPCConn(x.conn), otlpmetricgrpc.WithTimeout(exportTimeout))
	logs, err3 := otlploggrpc.New(ctx, otlploggrpc.WithGRPCConn(x.conn), otlploggrpc.WithTimeout(exportTimeout))
	if err := errors.Join(err1, err2, err3); err != nil {
		return prism.New(prism.ReasonInvalidConfig, "the OTEL_EXPORTER_OTLP_ variables cannot be read").WithCause(err)
	}
	tracing := sdktrace.NewTracerProvider(
		sdktrace.WithResource(res), sdktrace.WithSampler(sdktrace.AlwaysSample()), sdktrace.WithIDGenerator(givenIDs{}),
		sdktrace.WithBatcher(spanSink{spans, &x.spans}, sdktrace.WithMaxQueueSize(queueSize),
			sdktrace.WithBatchTimeout(batchEvery), sdktrace.WithExportTimeout(exportTimeout)),
	)
	logging := sdklog.NewLoggerProvider(sdklog.WithResource(res), sdklog.WithProcessor(
		sdklog.NewBatchProcessor(logSink{logs, &x.logs}, sdklog.WithMaxQueueSize(queueSize),
			sdklog.WithExportInterval(batchEvery), sdklog.WithExportTimeout(exportTimeout)),
	))
	metering := sdkmetric.NewMeterProvider(sdkmetric.WithResource(res), sdkmetric.WithReader(
		sdkmetric.NewPeriodicReader(metricSink{metrics, &x.metrics}, sdkmetric.WithInterval(metricsEvery), sdkmetric.WithTimeout(exportTimeout),
			sdkmetric.WithProducer(prometheusbridge.NewMetricProducer(prometheusbridge.WithGatherer(o.Metrics.registry)))),
	))
	o.Metrics.registry.MustRegister(dropCollector{x})
	x.tracer, x.logger = tracing.Tracer(scope), logging.Logger(scope)
	x.stop = []func(context.Context) error{tracing.Shutdown, logging.Shutdown, metering.Shutdown}
	return nil
}

// Stop sends what waits, for as long as ctx lasts, and ends.
func (x *Export) Stop(ctx context.Context) {
	x.stopped.Do(func() {
		var all sync.WaitGroup
		for _, stop := range x.stop {
			all.Go(func() { stop(ctx) }) //nolint:errcheck // what is lost is counted, and nobody can wait longer
		}
		all.Wait()
		x.conn.Close()
	})
}

func badEndpoint(text string) *prism.Error {
	return prism.InvalidField("telemetry.otlp.endpoint", "must be http://HOST:PORT, https://HOST:PORT or HOST:PORT, not "+text)
}

// endpoint reads where a collector listens. Without a scheme what is on this
// machine is spoken to in plain text, and everybody else is not.
func endpoint(text string) (target string, creds credentials.TransportCredentials, err error) {
	host, plain := text, false
	if u, err := url.Parse(text); err == nil && u.Host != "" {
		host, plain = u.Host, u.Scheme == "http"
		if u.Scheme != "http" && u.Scheme != "https" {
			return "", nil, badEndpoint(text)
		}
	} else if name, _, err := net.SplitHostPort(text); err == nil {
		addr, _ := netip.ParseAddr(name)
		plain = name == "localhost" || addr.IsLoopback()
	}
	if _, port, err := net.SplitHostPort(host); err != nil || strings.Contains(port, "/") {
		return "", nil, badEndpoint(text)
	}
	if plain {
		return host, insecure.NewCredentials(), nil
	}
	return host, credentials.NewTLS(&tls.Config{MinVersion: tls.VersionTLS12}), nil
}
