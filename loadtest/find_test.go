package loadtest_test

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/prism-data-layer/prism/loadtest"
	"github.com/prism-data-layer/prism/loadtest/report"
)

// bears is a system that holds p99<20ms up to a rate, but for some hiccups.
func bears(limit float64, hiccups map[int]bool) (func(context.Context, float64) (*report.Report, error), *int) {
	n := new(int)
	return func(_ context.Context, rate float64) (*report.Report, error) {
		*n++
		held := rate <= limit && !hiccups[*n]
		r := &report.Report{ThroughputRPS: min(rate, limit), Thresholds: []report.ThresholdCheck{{Expression: "p99<20ms", Actual: "25 ms", Pass: held}}}
		return r, nil
	}, n
}

func TestSearchFindsTheHighestRate(t *testing.T) {
	t.Parallel()
	for _, limit := range []float64{3, 90, 100, 1234, 57_000} {
		probe, n := bears(limit, map[int]bool{2: true, 5: true})
		f, err := loadtest.Search{Probe: probe}.Run(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if f.RateRPS > limit || f.Failed <= limit || f.Failed-f.RateRPS > max(f.RateRPS*0.05, 1) || *n > 40 || !strings.Contains(f.Verdict, "p99<20ms was 25 ms") {
			t.Errorf("limit %g: found %g, failed at %g after %d probes: %s", limit, f.RateRPS, f.Failed, *n, f.Verdict)
		}
	}
}

func TestSearchSaysWhenThereIsNothingToFind(t *testing.T) {
	t.Parallel()
	never, _ := bears(0, nil)
	if f, err := (loadtest.Search{Probe: never}).Run(t.Context()); err != nil || f.RateRPS != 0 || !strings.Contains(f.Verdict, "no rate was found") {
		t.Errorf("got %+v, %v", f, err)
	}
	always, n := bears(1e9, nil)
	if f, err := (loadtest.Search{Probe: always, From: 100, Max: 500}).Run(t.Context()); err != nil || f.RateRPS != 500 || *n != 4 || !strings.Contains(f.Verdict, "highest rate that was allowed") {
		t.Errorf("got %+v, %v after %d", f, err, *n)
	}
	if _, err := (loadtest.Search{Probe: always, From: 100, Max: 50}).Run(t.Context()); err == nil {
		t.Error("a search from above its end was made")
	}
}

func TestSearchKnowsItsOwnLimit(t *testing.T) {
	t.Parallel()
	f, err := loadtest.Search{Probe: func(_ context.Context, rate float64) (*report.Report, error) {
		r := &report.Report{}
		if rate > 1000 {
			r.Verdicts = []report.Verdict{{Code: "shortfall", Severity: report.Fail, Text: fmt.Sprintf("achieved half of %g", rate)}, {Code: "generator-bottleneck", Severity: report.Warn}}
		}
		return r, nil
	}}.Run(t.Context())
	if err != nil || !f.Generator || !strings.Contains(f.Verdict, "the generator was the bottleneck") {
		t.Errorf("got %+v, %v", f, err)
	}
}
