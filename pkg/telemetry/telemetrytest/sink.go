// Package telemetrytest has a collector for tests: it takes OTLP over gRPC and
// remembers what came.
package telemetrytest

import (
	"context"
	"encoding/hex"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	logcollector "go.opentelemetry.io/proto/otlp/collector/logs/v1"
	metriccollector "go.opentelemetry.io/proto/otlp/collector/metrics/v1"
	tracecollector "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	commonv1 "go.opentelemetry.io/proto/otlp/common/v1"
	logv1 "go.opentelemetry.io/proto/otlp/logs/v1"
	metricv1 "go.opentelemetry.io/proto/otlp/metrics/v1"
	tracev1 "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
)

// A Sink is a collector.
type Sink struct {
	Endpoint string // http://127.0.0.1:PORT

	hold chan struct{} // closed: answers come; see Hang

	mu      sync.Mutex
	changed chan struct{} // closed and made anew with all that comes
	all     []proto.Message
	spans   []Span
	logs    []Log
	metrics []*metricv1.Metric
}

// A Span is one that came, with the resource that it came from.
type Span struct {
	*tracev1.Span
	Resource map[string]string
}

// A Log is a record that came.
type Log struct {
	*logv1.LogRecord
	Resource map[string]string
}

// Start serves until the test ends.
func Start(t *testing.T) *Sink {
	t.Helper()
	s := &Sink{hold: make(chan struct{}), changed: make(chan struct{})}
	close(s.hold)
	s.serve(t)
	return s
}

// Hang is a collector that takes calls and never answers.
func Hang(t *testing.T) *Sink {
	t.Helper()
	s := &Sink{hold: make(chan struct{}), changed: make(chan struct{})}
	s.serve(t)
	return s
}

func (s *Sink) serve(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	g := grpc.NewServer()
	tracecollector.RegisterTraceServiceServer(g, traces{s: s})
	metriccollector.RegisterMetricsServiceServer(g, metrics{s: s})
	logcollector.RegisterLogsServiceServer(g, logs{s: s})
	s.Endpoint = "http://" + l.Addr().String()
	go g.Serve(l) //nolint:errcheck // it ends with the test
	t.Cleanup(g.Stop)
}

// take remembers what came.
func (s *Sink) take(ctx context.Context, m proto.Message, note func()) error {
	select {
	case <-s.hold:
	case <-ctx.Done():
		return ctx.Err()
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.all = append(s.all, m)
	note()
	close(s.changed)
	s.changed = make(chan struct{})
	return nil
}

// wait returns when ok says so; what tells what was waited for.
func (s *Sink) wait(t *testing.T, what string, ok func() bool) {
	t.Helper()
	patience := time.NewTimer(20 * time.Second)
	defer patience.Stop()
	for {
		s.mu.Lock()
		done, changed := ok(), s.changed
		s.mu.Unlock()
		if done {
			return
		}
		select {
		case <-changed:
		case <-patience.C:
			t.Fatalf("%s did not come to the collector; what did:\n%s", what, s.Text())
		}
	}
}

// Spans waits for n spans.
func (s *Sink) Spans(t *testing.T, n int) []Span {
	t.Helper()
	s.wait(t, "spans", func() bool { return len(s.spans) >= n })
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.spans
}

// Span waits for a span of that name in a trace; an empty trace is any.
func (s *Sink) Span(t *testing.T, trace, name string) (found Span) {
	t.Helper()
	s.wait(t, "span "+name, func() bool {
		for _, x := range s.spans {
			if x.Name == name && (trace == "" || trace == hex.EncodeToString(x.TraceId)) {
				found = x
				return true
			}
		}
		return false
	})
	return found
}

// Log waits for a record with that text in it.
func (s *Sink) Log(t *testing.T, text string) (found Log) {
	t.Helper()
	s.wait(t, "log record "+text, func() bool {
		for _, x := range s.logs {
			if strings.Contains(x.GetBody().GetStringValue(), text) {
				found = x
				return true
			}
		}
		return false
	})
	return found
}

// Metric waits for a metric.
func (s *Sink) Metric(t *testing.T, name string) (found *metricv1.Metric) {
	t.Helper()
	s.wait(t, "metric "+name, func() bool {
		for _, x := range s.metrics {
			if x.Name == name {
				found = x
				return true
			}
		}
		return false
	})
	return found
}

// Reports are all metrics that came so far, with the resources that they came
// from.
func (s *Sink) Reports() (all []*metricv1.ResourceMetrics) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, m := range s.all {
		if r, ok := m.(*metriccollector.ExportMetricsServiceRequest); ok {
			all = append(all, r.ResourceMetrics...)
		}
	}
	return all
}

// Text is all that came, to look for what must not be in it.
func (s *Sink) Text() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	var b strings.Builder
	for _, m := range s.all {
		b.WriteString(protojson.Format(m))
	}
	return b.String()
}

// SpanText is all spans that came.
func (s *Sink) SpanText() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	var b strings.Builder
	for _, x := range s.spans {
		b.WriteString(protojson.Format(x.Span))
	}
	return b.String()
}

// Attributes are those of a span, a record or a resource.
func Attributes(list []*commonv1.KeyValue) map[string]string {
	m := map[string]string{}
	for _, a := range list {
		text := a.GetValue().GetStringValue()
		if text == "" {
			text = strings.Trim(protojson.Format(a.GetValue()), "{} ")
		}
		m[a.Key] = text
	}
	return m
}

type traces struct {
	tracecollector.UnimplementedTraceServiceServer
	s *Sink
}

func (x traces) Export(ctx context.Context, r *tracecollector.ExportTraceServiceRequest) (*tracecollector.ExportTraceServiceResponse, error) {
	return &tracecollector.ExportTraceServiceResponse{}, x.s.take(ctx, r, func() {
		for _, rs := range r.ResourceSpans {
			for _, scope := range rs.ScopeSpans {
				for _, span := range scope.Spans {
					x.s.spans = append(x.s.spans, Span{span, Attributes(rs.GetResource().GetAttributes())})
				}
			}
		}
	})
}

type metrics struct {
	metriccollector.UnimplementedMetricsServiceServer
	s *Sink
}

func (x metrics) Export(ctx context.Context, r *metriccollector.ExportMetricsServiceRequest) (*metriccollector.ExportMetricsServiceResponse, error) {
	return &metriccollector.ExportMetricsServiceResponse{}, x.s.take(ctx, r, func() {
		for _, rm := range r.ResourceMetrics {
			for _, scope := range rm.ScopeMetrics {
				x.s.metrics = append(x.s.metrics, scope.Metrics...)
			}
		}
	})
}

type logs struct {
	logcollector.UnimplementedLogsServiceServer
	s *Sink
}

func (x logs) Export(ctx context.Context, r *logcollector.ExportLogsServiceRequest) (*logcollector.ExportLogsServiceResponse, error) {
	return &logcollector.ExportLogsServiceResponse{}, x.s.take(ctx, r, func() {
		for _, rl := range r.ResourceLogs {
			for _, scope := range rl.ScopeLogs {
				for _, record := range scope.LogRecords {
					x.s.logs = append(x.s.logs, Log{record, Attributes(rl.GetResource().GetAttributes())})
				}
			}
		}
	})
}
