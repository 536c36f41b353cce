// Package otlp sends the figures of a load test to a collector while it runs,
// as OTLP over gRPC.
package otlp

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"net/url"
	"sync"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/exporters/otlp/otlpmetric/otlpmetricgrpc"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	"go.opentelemetry.io/otel/sdk/resource"

	"github.com/prism-data-layer/prism/loadtest/report"
	"github.com/prism-data-layer/prism/pkg/clock"
	"github.com/prism-data-layer/prism/pkg/prism"
)

const (
	// Every is the pace of reports.
	Every = time.Second
	// queued is how many may wait for a slow collector.
	queued  = 16
	timeout = 5 * time.Second
	// Service is whose metrics they are.
	Service = "prismctl-loadtest"
	scope   = "github.com/prism-data-layer/prism/loadtest"
)

// Options say where figures go and whose they are.
type Options struct {
	Endpoint string // as Endpoint gives it
	Version  string
	Run      string // the word of the run
	Scenario string
	Clock    clock.Clock
}

// Endpoint is where a collector listens, as http://HOST:PORT or
// https://HOST:PORT. Without a scheme what is on this machine is spoken to in
// plain text, and everybody else is not.
func Endpoint(text string) (string, error) {
	scheme, host := "https", text
	if u, err := url.Parse(text); err == nil && u.Host != "" {
		scheme, host = u.Scheme, u.Host
	} else if name, _, err := net.SplitHostPort(text); err == nil {
		if addr, _ := netip.ParseAddr(name); name == "localhost" || addr.IsLoopback() {
			scheme = "http"
		}
	}
	if _, port, err := net.SplitHostPort(host); err != nil || port == "" || scheme != "http" && scheme != "https" {
		return "", prism.InvalidField("otlp", "must be http://HOST:PORT, https://HOST:PORT or HOST:PORT, not "+text)
	}
	return scheme + "://" + host, nil
}

// An Export sends reports in the background. The load never waits for it: what
// a collector does not take is dropped and counted, and the next report of the
// same phase has it all again.
type Export struct {
	exporter *otlpmetricgrpc.Exporter
	resource *resource.Resource
	clock    clock.Clock
	cancel   context.CancelFunc
	queue    chan *metricdata.ResourceMetrics
	done     chan struct{}

	// Observe's own.
	last    report.Snapshot
	lastAt  time.Time
	base    report.Snapshot // what was counted when the phase began
	begun   time.Time
	offered time.Time

	mu      sync.Mutex
	outcome Outcome
}

// An Outcome is what became of the reports.
type Outcome struct {
	Sent, Dropped int
	Err           error // why the last was dropped that was
}

var errSlow = errors.New("it is too slow")

// Start makes ready to send. No collector need be there.
func Start(ctx context.Context, o Options) (*Export, error) {
	exporter, err := otlpmetricgrpc.New(ctx, otlpmetricgrpc.WithEndpointURL(o.Endpoint), otlpmetricgrpc.WithTimeout(timeout),
		otlpmetricgrpc.WithRetry(otlpmetricgrpc.RetryConfig{}))
	if err != nil {
		return nil, prism.New(prism.ReasonInvalidConfig, "the OTEL_EXPORTER_OTLP_ variables cannot be read").WithCause(err)
	}
	// What cannot be read of OTEL_RESOURCE_ATTRIBUTES is left out.
	res, _ := resource.New(ctx, resource.WithFromEnv(), resource.WithAttributes( //nolint:errcheck // see above
		attribute.String("service.name", Service), attribute.String("service.version", o.Version),
		attribute.String("prism.run.id", o.Run), attribute.String("prism.loadtest.scenario", o.Scenario)))
	ctx, cancel := context.WithCancel(context.WithoutCancel(ctx))
	x := &Export{
		exporter: exporter, resource: res, clock: o.Clock, cancel: cancel,
		queue: make(chan *metricdata.ResourceMetrics, queued), done: make(chan struct{}),
	}
	go x.send(ctx)
	return x, nil
}

// Observe takes a snapshot of the run, one after the other. It never waits.
func (x *Export) Observe(s report.Snapshot) {
	now := x.clock.Now()
	if s.Phase != x.last.Phase {
		x.enter(now)
	}
	x.last, x.lastAt = s, now
	if s.Phase == report.Done || now.Sub(x.offered) >= Every {
		x.offer()
	}
}

// enter begins a phase, which counts from what was counted last. What was not
// yet reported of the phase before is.
func (x *Export) enter(now time.Time) {
	if x.last.Phase != "" && x.offered.Before(x.lastAt) {
		x.offer()
	}
	x.base, x.begun, x.offered = x.last, x.lastAt, time.Time{}
	if x.begun.IsZero() {
		x.begun = now
	}
}

func (x *Export) offer() {
	x.offered = x.lastAt
	select {
	case x.queue <- x.metrics():
	default:
		x.settle(errSlow)
	}
}

func (x *Export) send(ctx context.Context) {
	defer close(x.done)
	for r := range x.queue {
		x.settle(x.exporter.Export(ctx, r))
	}
}

func (x *Export) settle(err error) {
	x.mu.Lock()
	defer x.mu.Unlock()
	if err == nil {
		x.outcome.Sent++
		return
	}
	x.outcome.Dropped++
	x.outcome.Err = err
}

// Close sends what waits, for as long as ctx lasts, and says what became of it
// all. Nothing may be observed from here on.
func (x *Export) Close(ctx context.Context) Outcome {
	close(x.queue)
	select {
	case <-x.done:
	case <-ctx.Done():
		x.cancel()
		<-x.done
	}
	x.cancel()
	_ = x.exporter.Shutdown(ctx) // it has nothing left to send
	return x.outcome
}
