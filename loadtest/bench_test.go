package loadtest_test

import (
	"context"
	"testing"
	"time"

	"github.com/prism-data-layer/prism/loadtest"
	"github.com/prism-data-layer/prism/loadtest/pace"
)

// nothing answers at once, so that what is left is the generator.
type nothing struct{}

func (nothing) Name() string               { return "nothing" }
func (nothing) Operations() []string       { return []string{"noop"} }
func (nothing) Options() map[string]string { return nil }
func (nothing) Do(context.Context, uint64) loadtest.Outcome {
	return loadtest.Outcome{}
}

// BenchmarkGenerator shows the generator's CPU for each request and its lag.
// One iteration is one second of load.
func BenchmarkGenerator(b *testing.B) {
	for _, c := range []struct {
		name    string
		rate    float64
		precise bool
		closed  int
	}{
		{"rate=5000", 5_000, false, 0},
		{"rate=5000/precise", 5_000, true, 0},
		{"rate=50000", 50_000, false, 0},
		{"rate=200000", 200_000, false, 0},
		{"closed=8", 0, false, 8},
	} {
		b.Run(c.name, func(b *testing.B) {
			p := loadtest.Plan{Precise: c.precise, Closed: c.closed, AllowShortfall: true}
			if c.closed > 0 {
				p.Duration = time.Second
			} else {
				p.Schedule, _ = pace.Constant(c.rate, time.Second)
			}
			for b.Loop() {
				r, err := loadtest.Run(b.Context(), p, nothing{})
				if err != nil {
					b.Fatal(err)
				}
				b.ReportMetric(r.Generator.CPUPerRequestUs, "cpu-us/request")
				b.ReportMetric(r.Generator.CPUPct, "cpu-%")
				b.ReportMetric(r.Generator.Lag.P50Ms, "lag-p50-ms")
				b.ReportMetric(r.Generator.Lag.P99Ms, "lag-p99-ms")
				b.ReportMetric(r.AchievedPct, "achieved-%")
			}
		})
	}
}
