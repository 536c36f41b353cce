package loadtest_test

import (
	"context"
	"math"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prism-data-layer/prism/loadtest"
	"github.com/prism-data-layer/prism/loadtest/pace"
	"github.com/prism-data-layer/prism/loadtest/report"
)

func TestRateIsKeptAtAHundredAndAThousand(t *testing.T) {
	for _, rate := range []float64{100, 1000} {
		synctest.Test(t, func(t *testing.T) {
			r := run(t, loadtest.Plan{Schedule: constant(t, rate, time.Minute)}, &fake{do: takes(3 * time.Millisecond)})
			near(t, "rate", r.AchievedRPS, rate, 0.02)
			near(t, "rate of the first interval", r.Timeline[0].ThroughputRPS, rate, 0.02) // no burst at the start
		})
	}
}

func TestPercentilesAreThoseOfTheDistribution(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		// An exponential service time of 10 ms: percentile p is -10·ln(1-p).
		const n = 60_000
		r := run(t, loadtest.Plan{Schedule: constant(t, 1000, n/1000*time.Second), MaxInFlight: 5000}, &fake{do: func(ctx context.Context, i uint64) loadtest.Outcome {
			u := (float64(i*7919%n) + 0.5) / n // each quantile once
			return loadtest.Outcome{Err: pause(ctx, time.Duration(-10*math.Log(1-u)*float64(time.Millisecond)))}
		}})
		for p, got := range map[float64]float64{0.5: r.Response.P50Ms, 0.95: r.Response.P95Ms, 0.99: r.Response.P99Ms, 0.999: r.Response.P999Ms} {
			near(t, "percentile", got, -10*math.Log(1-p), 0.01)
		}
		near(t, "mean", r.Response.MeanMs, 10, 0.01)
	})
}

func TestSoakSaysThatItGotSlower(t *testing.T) {
	soak, err := pace.Profile{Kind: "soak", Rate: 100, For: 2 * time.Minute}.Schedule()
	if err != nil {
		t.Fatal(err)
	}
	for name, grow := range map[string]bool{"slower": true, "steady": false} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := run(t, loadtest.Plan{Schedule: soak}, &fake{do: func(ctx context.Context, n uint64) loadtest.Outcome {
					d := 5 * time.Millisecond
					if grow {
						d += time.Duration(n) * time.Microsecond
					}
					return loadtest.Outcome{Err: pause(ctx, d)}
				}})
				said := slices.ContainsFunc(r.Verdicts, func(v report.Verdict) bool { return v.Code == "drift" })
				if said != grow {
					t.Errorf("verdicts %q", verdicts(r))
				}
			})
		})
	}
}

// A worker is a server that stops for the first part of every second, and else
// answers one request after the other.
type worker struct {
	stall, each time.Duration

	mu   sync.Mutex
	free time.Time
}

func (w *worker) do(ctx context.Context, _ uint64) loadtest.Outcome {
	w.mu.Lock()
	now := time.Now()
	start := now
	if w.free.After(now) {
		start = w.free
	}
	if into := time.Duration(start.UnixNano()) % time.Second; into < w.stall {
		start = start.Add(w.stall - into)
	}
	w.free = start.Add(w.each)
	wait := w.free.Sub(now)
	w.mu.Unlock()
	return loadtest.Outcome{Err: pause(ctx, wait)}
}

// What waited in a stall S of every second is worked off at C requests a second
// while R more come, so that the share q of all waits longer than
// S + 1/C - q·(1-R/C) seconds. The last two are the row of the bench, which
// leaves C out.
func TestWhatIsWorkedOffAfterAStallIsInTheAnalyticValue(t *testing.T) {
	for _, c := range []struct {
		stall, each time.Duration // each is 1/C
		rate        float64
		want, off   float64 // ms, and by how much
	}{
		{100 * time.Millisecond, 100 * time.Microsecond, 1009, 91.109, 0.003},
		{100 * time.Millisecond, 500 * time.Microsecond, 1009, 95.545, 0.003},
		{500 * time.Millisecond, 100 * time.Microsecond, 503, 490.603, 0.001},
		{500 * time.Millisecond, 100 * time.Microsecond, 503, 490, 0.002},
	} {
		synctest.Test(t, func(t *testing.T) {
			w := &worker{stall: c.stall, each: c.each}
			r := run(t, loadtest.Plan{Schedule: constant(t, c.rate, 20*time.Second)}, &fake{do: w.do})
			near(t, "p99", r.Response.P99Ms, c.want, c.off)
		})
	}
}
