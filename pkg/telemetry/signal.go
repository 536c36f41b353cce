package telemetry

import (
	"context"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	sdklog "go.opentelemetry.io/otel/sdk/log"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"

	"github.com/prism-data-layer/prism/pkg/clock"
)

// A signal is one kind of what is sent. The SDK's queue drops in silence what it
// has no room for; so the room is counted here, and nothing is put there that
// would not fit.
type signal struct {
	name    string
	waiting atomic.Int64
	dropped atomic.Int64
	trouble *trouble
}

// offer reports whether one more may wait.
func (s *signal) offer() bool {
	if s.waiting.Add(1) <= queueSize {
		return true
	}
	s.waiting.Add(-1)
	s.dropped.Add(1)
	return false
}

// sent takes note of what no longer waits. The error ends here: the SDK would
// print it, each time.
func (s *signal) sent(n int, err error) {
	s.waiting.Add(-int64(n))
	if err != nil {
		s.dropped.Add(int64(max(n, 1)))
		s.trouble.tell(s.name, err)
	}
}

// trouble tells of a collector that does not take what it is sent.
type trouble struct {
	log      *slog.Logger
	clock    clock.Clock
	endpoint string
	told     atomic.Int64 // when, in Unix seconds
}

const troubleEvery = time.Minute

func (t *trouble) tell(what string, err error) {
	now, last := t.clock.Now().Unix(), t.told.Load()
	if now-last < int64(troubleEvery.Seconds()) || !t.told.CompareAndSwap(last, now) {
		return
	}
	t.log.Warn("the collector does not take what it is sent: it is dropped and counted", "what", what, "endpoint", t.endpoint, "error", err)
}

type spanSink struct {
	sdktrace.SpanExporter
	signal *signal
}

func (s spanSink) ExportSpans(ctx context.Context, spans []sdktrace.ReadOnlySpan) error {
	s.signal.sent(len(spans), s.SpanExporter.ExportSpans(ctx, spans))
	return nil
}

type logSink struct {
	sdklog.Exporter
	signal *signal
}

func (s logSink) Export(ctx context.Context, records []sdklog.Record) error {
	s.signal.sent(len(records), s.Exporter.Export(ctx, records))
	return nil
}

// metricSink counts reports, not the numbers in them: the next has them all.
type metricSink struct {
	sdkmetric.Exporter
	signal *signal
}

func (s metricSink) Export(ctx context.Context, m *metricdata.ResourceMetrics) error {
	s.signal.sent(0, s.Exporter.Export(ctx, m))
	return nil
}

var droppedDesc = prometheus.NewDesc("prism_telemetry_dropped_total",
	"Spans, log records and reports of metrics that could not be sent to the collector, by signal.", []string{"signal"}, nil)

type dropCollector struct{ x *Export }

func (dropCollector) Describe(ch chan<- *prometheus.Desc) { ch <- droppedDesc }

func (c dropCollector) Collect(ch chan<- prometheus.Metric) {
	ch <- counter(droppedDesc, c.x.spans.dropped.Load(), "traces")
	ch <- counter(droppedDesc, c.x.metrics.dropped.Load(), "metrics")
	ch <- counter(droppedDesc, c.x.logs.dropped.Load(), "logs")
}
