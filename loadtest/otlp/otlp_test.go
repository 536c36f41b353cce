package otlp_test

import (
	"context"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	metricv1 "go.opentelemetry.io/proto/otlp/metrics/v1"

	"github.com/prism-data-layer/prism/loadtest"
	"github.com/prism-data-layer/prism/loadtest/otlp"
	"github.com/prism-data-layer/prism/loadtest/pace"
	"github.com/prism-data-layer/prism/loadtest/report"
	"github.com/prism-data-layer/prism/pkg/clock"
	"github.com/prism-data-layer/prism/pkg/prism"
	"github.com/prism-data-layer/prism/pkg/telemetry/telemetrytest"
)

// start exports to endpoint, by a clock that the test moves.
func start(t *testing.T, endpoint string) (*otlp.Export, *clock.Fake) {
	t.Helper()
	now := clock.NewFake(time.Unix(1_700_000_000, 0))
	where, err := otlp.Endpoint(endpoint)
	if err != nil {
		t.Fatal(err)
	}
	x, err := otlp.Start(t.Context(), otlp.Options{Endpoint: where, Version: "1.2.3", Run: "abcd", Scenario: "checkout", Clock: now})
	if err != nil {
		t.Fatal(err)
	}
	return x, now
}

func end(x *otlp.Export, d time.Duration) otlp.Outcome {
	ctx, cancel := context.WithTimeout(context.Background(), d)
	defer cancel()
	return x.Close(ctx)
}

// figures are what reports say in the end: each series' last value, added up
// over the phases.
func figures(reports []*metricv1.ResourceMetrics) (sums map[string]float64, phases []string) {
	last := map[string]float64{}
	for _, r := range reports {
		phase := telemetrytest.Attributes(r.Resource.Attributes)["prism.loadtest.phase"]
		if len(phases) == 0 || phases[len(phases)-1] != phase {
			phases = append(phases, phase)
		}
		for _, m := range r.ScopeMetrics[0].Metrics {
			for _, p := range m.GetSum().GetDataPoints() {
				a := telemetrytest.Attributes(p.Attributes)
				last[phase+"|"+m.Name+" "+a["operation"]+a["outcome"]+a["error.type"]] = float64(p.GetAsInt())
			}
			for _, p := range m.GetHistogram().GetDataPoints() {
				last[phase+"|"+m.Name+" "+telemetrytest.Attributes(p.Attributes)["operation"]] = float64(p.Count)
			}
			for _, p := range m.GetGauge().GetDataPoints() {
				last[phase+"|"+m.Name+" max"] = max(last[phase+"|"+m.Name+" max"], p.GetAsDouble())
			}
		}
	}
	sums = map[string]float64{}
	for name, v := range last {
		_, name, _ = strings.Cut(name, "|")
		if strings.HasSuffix(name, " max") {
			sums[name] = max(sums[name], v)
			continue
		}
		sums[name] += v
	}
	return sums, phases
}

// Each phase counts for itself, so that what all of them counted is what the
// report of the run says.
func TestTheFiguresOfAllPhasesAddUpToTheReport(t *testing.T) {
	t.Parallel()
	sink := telemetrytest.Start(t)
	x, now := start(t, sink.Endpoint)
	var seen []report.Snapshot
	r := scripted(t, func(s report.Snapshot) { seen = append(seen, s) })
	for _, s := range seen {
		now.Advance(250 * time.Millisecond)
		x.Observe(s)
	}
	if got := end(x, 20*time.Second); got.Dropped > 0 || got.Sent < 6 {
		t.Fatalf("got %+v; want some sent, none dropped", got)
	}
	reports := sink.Reports()
	sums, phases := figures(reports)
	for name, want := range map[string]float64{
		"prism.loadtest.requests opok":                    float64(r.Requests.OK),
		"prism.loadtest.requests opfailed":                float64(r.Requests.Failed),
		"prism.loadtest.errors op" + string(reasons()[0]): float64(r.Requests.Failed) / 2,
		"prism.loadtest.errors op" + string(reasons()[1]): float64(r.Requests.Failed) / 2,
		"prism.loadtest.response.duration op":             float64(r.Requests.OK + r.Requests.Failed),
		"prism.loadtest.dropped ":                         0,
		"prism.loadtest.rate.target max":                  100,
		"prism.loadtest.in_flight max":                    1,
	} {
		if got, ok := sums[name]; !ok || got != want {
			t.Errorf("%s is %g (%t), want %g", name, got, ok, want)
		}
	}
	if rate := sums["prism.loadtest.rate max"]; rate < 90 || rate > 110 {
		t.Errorf("the rate was %g at most, want about 100", rate)
	}
	if got, want := strings.Join(phases, ","), "warm-up,running,draining,done"; got != want && got != strings.Replace(want, "draining,", "", 1) {
		t.Errorf("phases %s, want %s", got, want)
	}
	a := telemetrytest.Attributes(reports[0].Resource.Attributes)
	for k, v := range map[string]string{"service.name": "prismctl-loadtest", "service.version": "1.2.3", "prism.run.id": "abcd", "prism.loadtest.scenario": "checkout"} {
		if a[k] != v {
			t.Errorf("resource: %s is %q, want %q", k, a[k], v)
		}
	}
	buckets(t, reports[len(reports)-1])
}

// buckets checks the histogram of the last report: answers take 2 ms.
func buckets(t *testing.T, r *metricv1.ResourceMetrics) {
	t.Helper()
	for _, m := range r.ScopeMetrics[0].Metrics {
		for _, p := range m.GetHistogram().GetDataPoints() {
			if len(p.BucketCounts) != len(p.ExplicitBounds)+1 {
				t.Errorf("%d counts for %d bounds", len(p.BucketCounts), len(p.ExplicitBounds))
			}
			for i, n := range p.BucketCounts {
				if n > 0 && (p.ExplicitBounds[i-1] >= 0.0021 || p.ExplicitBounds[i] < 0.002) {
					t.Errorf("%d answers of 2 ms are in the bucket up to %g s", n, p.ExplicitBounds[i])
				}
			}
		}
	}
}

func reasons() []prism.Reason {
	return []prism.Reason{prism.ReasonBackendUnavailable, prism.ReasonDeadlineExceeded}
}

// every is a workload that takes 2 ms, and fails in each fifth request for two
// reasons in turn.
type every struct{}

func (every) Name() string               { return "every" }
func (every) Operations() []string       { return []string{"op"} }
func (every) Options() map[string]string { return nil }

func (every) Do(_ context.Context, n uint64) loadtest.Outcome {
	time.Sleep(2 * time.Millisecond) // of a bubble's time
	if n%5 == 0 {
		return loadtest.Outcome{Err: prism.New(reasons()[n/5%2], "it fails")}
	}
	return loadtest.Outcome{}
}

// scripted is a run of exact figures: a second of warm-up and two of load.
func scripted(t *testing.T, progress func(report.Snapshot)) (r *report.Report) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		s, err := pace.Constant(100, 2*time.Second)
		if err == nil {
			r, err = loadtest.Run(t.Context(), loadtest.Plan{Schedule: s, WarmUp: time.Second, Progress: progress, Bounds: otlp.Bounds()}, every{})
		}
		if err != nil {
			t.Fatal(err)
		}
	})
	return r
}

func TestACollectorThatDoesNotTakeAnythingHoldsNoLoadUp(t *testing.T) {
	t.Parallel()
	for name, endpoint := range map[string]string{"down": "127.0.0.1:1", "hanging": telemetrytest.Hang(t).Endpoint} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			x, now := start(t, endpoint)
			begun := time.Now()
			const n = 100
			for range n {
				now.Advance(otlp.Every)
				x.Observe(report.Snapshot{Phase: report.Running})
			}
			if took := time.Since(begun); took > 3*time.Second {
				t.Errorf("observing took %s", took)
			}
			if got := end(x, 200*time.Millisecond); got.Sent != 0 || got.Dropped != n || got.Err == nil {
				t.Errorf("got %+v; want %d dropped, and why", got, n)
			}
			if took := time.Since(begun); took > 10*time.Second {
				t.Errorf("it took %s to end", took)
			}
		})
	}
}

func TestEndpoints(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"localhost:4317": "http://localhost:4317", "[::1]:4317": "http://[::1]:4317", "collector.example:4317": "https://collector.example:4317",
		"http://collector.example:4317": "http://collector.example:4317", "https://127.0.0.1:4317/": "https://127.0.0.1:4317",
		"collector": "", "ftp://collector:21": "", "http://collector": "", "": "", "localhost:": "",
	} {
		if got, err := otlp.Endpoint(text); got != want || (err == nil) != (want != "") {
			t.Errorf("%q: got %q, %v; want %q", text, got, err, want)
		}
	}
}
