package telemetry_test

import (
	"bytes"
	"context"
	"encoding/hex"
	"io"
	"log/slog"
	"strings"
	"testing"
	"time"

	logv1 "go.opentelemetry.io/proto/otlp/logs/v1"
	tracev1 "go.opentelemetry.io/proto/otlp/trace/v1"

	"github.com/prism-data-layer/prism/pkg/clock"
	"github.com/prism-data-layer/prism/pkg/prism"
	"github.com/prism-data-layer/prism/pkg/telemetry"
	"github.com/prism-data-layer/prism/pkg/telemetry/telemetrytest"
)

func export(t *testing.T, endpoint string, log *slog.Logger) (*telemetry.Export, *telemetry.Metrics) {
	t.Helper()
	m := telemetry.NewMetrics(0)
	x, err := telemetry.StartExport(t.Context(), telemetry.ExportOptions{
		Endpoint: endpoint, Version: "1.2.3", Instance: "i-1", Metrics: m, Clock: clock.Real(), Log: log,
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { stopExport(x, 0) })
	return x, m
}

func stopExport(x *telemetry.Export, d time.Duration) {
	ctx, cancel := context.WithTimeout(context.Background(), d)
	defer cancel()
	x.Stop(ctx)
}

// logged is a log whose lines nobody reads.
func logged() *slog.Logger { return slog.New(slog.NewTextHandler(io.Discard, nil)) }

// Not parallel: it sets the environment.
func TestACollectorIsSentTracesMetricsAndLogs(t *testing.T) {
	t.Setenv("OTEL_RESOURCE_ATTRIBUTES", "deployment.environment=local,service.name=someone")
	sink := telemetrytest.Start(t)
	x, m := export(t, sink.Endpoint, slog.New(slog.DiscardHandler))
	m.Register("S/Get").Observe(0, time.Millisecond)
	tr := telemetry.NewTracer(telemetry.TracerOptions{Clock: clock.Real(), Export: x})

	start := time.Unix(1_700_000_000, 0)
	call := tr.Begin(t.Context(), start, "", parent)
	call.End(call.Begin(telemetry.Step{System: "redis", Backend: "hot", Operation: "Get"}), prism.NotFound("key", "k"))
	call.Finish(telemetry.Ending{Method: "S/Get", Namespace: "orders", Reason: prism.ReasonInternal, Took: time.Second})
	x.Logger(logged()).With("backend", "hot").WithGroup("g").WarnContext(call, "it is slow", "took", time.Second, "n", 3, "ok", true)
	kept, _ := tr.Trace(parentTrace)

	root, step := sink.Span(t, parentTrace, "S/Get"), sink.Span(t, parentTrace, "Get hot")
	if hex.EncodeToString(root.ParentSpanId) != parentSpan || root.Kind != tracev1.Span_SPAN_KIND_SERVER || root.Status.GetCode() != tracev1.Status_STATUS_CODE_ERROR ||
		root.StartTimeUnixNano != uint64(start.UnixNano()) || root.EndTimeUnixNano-root.StartTimeUnixNano != uint64(time.Second) {
		t.Errorf("the call: %v", root)
	}
	if !bytes.Equal(step.ParentSpanId, root.SpanId) || step.Kind != tracev1.Span_SPAN_KIND_CLIENT || step.Status.GetCode() == tracev1.Status_STATUS_CODE_ERROR {
		t.Errorf("the step: %v", step)
	}
	if kept.Spans[0].ID != hex.EncodeToString(root.SpanId) || kept.Spans[1].ID != hex.EncodeToString(step.SpanId) {
		t.Error("the spans that are sent have other ids than those that are kept")
	}
	if a := telemetrytest.Attributes(root.Attributes); a["prism.namespace"] != "orders" || a["error.type"] != "INTERNAL" {
		t.Errorf("the attributes: %v", a)
	}
	for k, v := range map[string]string{"service.name": "prismd", "service.version": "1.2.3", "service.instance.id": "i-1", "deployment.environment": "local"} {
		if root.Resource[k] != v {
			t.Errorf("resource: %s is %q, want %q", k, root.Resource[k], v)
		}
	}
	record := sink.Log(t, "it is slow")
	a := telemetrytest.Attributes(record.Attributes)
	if hex.EncodeToString(record.TraceId) != parentTrace || record.SeverityNumber != logv1.SeverityNumber_SEVERITY_NUMBER_WARN || record.SeverityText != "WARN" ||
		a["backend"] != "hot" || a["prism.request_id"] == "" || !strings.Contains(a["g.n"], "3") || !strings.Contains(a["g.took"], "1000000000") {
		t.Errorf("the record: %v", record)
	}
	stopExport(x, 2*time.Second) // sends what waits: the metrics are due in half a minute
	sink.Metric(t, "prism_requests_total")
	sink.Metric(t, "prism_telemetry_dropped_total")
}

func TestSecretsNeverReachTheCollector(t *testing.T) {
	t.Parallel()
	sink := telemetrytest.Start(t)
	x, _ := export(t, sink.Endpoint, slog.New(slog.DiscardHandler))
	log := x.Logger(logged())
	for _, a := range secrets() {
		log.With(a).WithGroup("g").Info("call with Bearer "+canary, a)
	}
	log.WithGroup("token").Info("the last", "of", canary)
	sink.Log(t, "the last")
	if text := sink.Text(); strings.Contains(text, canary) || strings.Contains(text, "918273645546372819") {
		t.Errorf("a secret came to the collector:\n%s", text)
	}
}

// A collector that is down, or that never answers, costs nobody anything: what
// has no room is dropped and counted.
func TestACollectorThatDoesNotTakeAnythingHoldsUpNobody(t *testing.T) {
	t.Parallel()
	for name, endpoint := range map[string]string{"down": "127.0.0.1:1", "hanging": telemetrytest.Hang(t).Endpoint} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			x, m := export(t, endpoint, slog.New(slog.DiscardHandler))
			log := x.Logger(logged())
			now := clock.NewFake(time.Now())
			tr := telemetry.NewTracer(telemetry.TracerOptions{Sample: 1, Clock: now, Export: x})
			start := time.Now()
			for range 5 {
				for range 1000 {
					tr.Begin(t.Context(), now.Now(), "", "").Finish(telemetry.Ending{Method: "S/Get"})
					log.Info("a line")
				}
				now.Advance(time.Second)
			}
			if took := time.Since(start); took > 5*time.Second {
				t.Errorf("5000 calls took %s", took)
			}
			got := scrape(t, m)
			for _, signal := range []string{"traces", "logs"} {
				if n := got[`prism_telemetry_dropped_total{signal="`+signal+`"}`]; n < 2000 || n > 5000 {
					t.Errorf("%v %s are counted as dropped, of 5000 with room for 2048", n, signal)
				}
			}
			start = time.Now()
			stopExport(x, 100*time.Millisecond)
			if took := time.Since(start); took > 2*time.Second {
				t.Errorf("stopping took %s", took)
			}
		})
	}
}

func TestTroubleIsToldOnceAMinute(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	x, m := export(t, "127.0.0.1:1", slog.New(slog.NewTextHandler(&out, nil)))
	tr := telemetry.NewTracer(telemetry.TracerOptions{Sample: 1, Clock: clock.Real(), Export: x})
	tr.Begin(t.Context(), time.Now(), "", "").Finish(telemetry.Ending{Method: "S/Get"})
	x.Logger(logged()).Info("a line")
	stopExport(x, 15*time.Second) // until each has given up
	if n := strings.Count(out.String(), "the collector does not take what it is sent"); n != 1 {
		t.Errorf("told %d times:\n%s", n, out.String())
	}
	got := scrape(t, m)
	for _, signal := range []string{"traces", "logs", "metrics"} {
		if got[`prism_telemetry_dropped_total{signal="`+signal+`"}`] != 1 {
			t.Errorf("%s: %v dropped", signal, got[`prism_telemetry_dropped_total{signal="`+signal+`"}`])
		}
	}
}

func TestWhereACollectorCanBe(t *testing.T) {
	t.Parallel()
	for endpoint, ok := range map[string]bool{
		"http://127.0.0.1:4317": true, "https://collector.example:4317": true, "localhost:4317": true, "[::1]:4317": true, "collector:4317": true,
		"ftp://collector:4317": false, "collector": false, "http://collector": false, "": false, "http://": false,
	} {
		x, err := telemetry.StartExport(t.Context(), telemetry.ExportOptions{Endpoint: endpoint, Metrics: telemetry.NewMetrics(0), Clock: clock.Real(), Log: slog.New(slog.DiscardHandler)})
		if (err == nil) != ok {
			t.Errorf("%q: %v", endpoint, err)
		}
		if err == nil {
			stopExport(x, 0)
		}
	}
}
