package telemetry_test

import (
	"testing"
	"time"

	"github.com/prism-data-layer/prism/pkg/prism"
	"github.com/prism-data-layer/prism/pkg/telemetry"
)

func TestARecorderCountsAndTimes(t *testing.T) {
	t.Parallel()
	r := telemetry.NewRecorder()
	r.Count()
	for range 10 {
		r.Observe(time.Second)
	}
	before := r.Latency()
	if r.Calls() != 11 || before.Total() != 10 {
		t.Errorf("%d calls, %d timed", r.Calls(), before.Total())
	}
	for range 10 {
		r.Observe(time.Millisecond)
	}
	since := r.Latency().Minus(before)
	if since.Total() != 10 || since.Quantile(1) > 2*time.Millisecond || since.SumUS != 10_000 {
		t.Errorf("since then: %+v", since)
	}
	if both := since.Plus(before); both.Total() != 20 || (telemetry.Latency{}).Plus(since).Total() != 10 {
		t.Errorf("together: %+v", both)
	}
}

func TestBackendsAreTold(t *testing.T) {
	t.Parallel()
	m, r := telemetry.NewMetrics(0), telemetry.NewRecorder()
	r.Observe(time.Millisecond)
	m.Backends(func() []telemetry.BackendStats {
		return []telemetry.BackendStats{{
			Backend: "b", Up: true, Breaker: 2, Opened: 3, InFlight: 4, Rejected: map[string]int64{"breaker": 5},
			Errors:  map[prism.Reason]int64{prism.ReasonBackendUnavailable: 6},
			Classes: []telemetry.BackendClass{{Class: "cache_read", Calls: 7, Latency: r.Latency()}},
			Facts:   map[string]string{"pool_size": "50", "pool_name": "none", "disk_bytes": "8"},
		}}
	})
	got := scrape(t, m)
	for name, want := range map[string]float64{
		`prism_backend_up{backend="b"}`: 1, `prism_backend_breaker_state{backend="b"}`: 2, `prism_backend_breaker_opened_total{backend="b"}`: 3,
		`prism_backend_in_flight{backend="b"}`: 4, `prism_backend_rejected_total{backend="b",cause="breaker"}`: 5,
		`prism_backend_errors_total{backend="b",reason="BACKEND_UNAVAILABLE"}`: 6, `prism_backend_calls_total{backend="b",class="cache_read"}`: 7,
		`prism_backend_pool{backend="b",what="size"}`: 50,
	} {
		if got[name] != want {
			t.Errorf("%s is %v, want %v", name, got[name], want)
		}
	}
	for _, name := range []string{`prism_backend_pool{backend="b",what="name"}`, `prism_backend_pool{backend="b",what="bytes"}`} {
		if v, ok := got[name]; ok {
			t.Errorf("%s is told: %v", name, v)
		}
	}
}
