package report

import (
	"bytes"
	"math/rand/v2"
	"strings"
	"testing"
	"time"
)

// made is a run of so many blocks whose latencies are drawn evenly around a
// middle, which wanders from block to block.
func made(t *testing.T, seed uint64, blocks int, middle, wander time.Duration, failEvery int) *Report {
	t.Helper()
	random := rand.New(rand.NewPCG(seed, 9))
	r := &Report{APIVersion: APIVersion, Kind: Kind, Workload: "kv", Plan: Plan{Model: Open, Profile: "constant 1000/s"}, StartedAt: time.Unix(int64(seed), 0)}
	all := NewHistogram()
	for b := range blocks {
		h := NewHistogram()
		shift := time.Duration((random.Float64() - 0.5) * float64(wander))
		x := Block{LengthS: 1}
		for i := range 1000 {
			h.Record(middle + shift + time.Duration((random.Float64()-0.5)*float64(middle)/5))
			if failEvery > 0 && (b*1000+i)%failEvery == 0 {
				x.Failed++
			} else {
				x.OK++
			}
		}
		x.HDR, _ = h.Encode()
		all.Merge(h)
		r.Blocks = append(r.Blocks, x)
		r.Requests.OK, r.Requests.Failed = r.Requests.OK+x.OK, r.Requests.Failed+x.Failed
	}
	r.Response = NewLatency(all)
	r.ThroughputRPS = float64(r.Requests.OK) / float64(blocks)
	r.Requests.ErrorPct = share(r.Requests.Failed, r.Requests.Finished())
	return r
}

func verdictOf(c *Comparison, metric string) string {
	for _, x := range c.Changes {
		if x.Metric == metric {
			return x.Verdict
		}
	}
	return "not there"
}

func TestComparisonTellsARegressionFromChance(t *testing.T) {
	t.Parallel()
	const ms = time.Millisecond
	for name, c := range map[string]struct {
		before, after *Report
		want          string
		metric        string
		is            string
	}{
		"the same":       {made(t, 1, 30, 10*ms, ms/2, 0), made(t, 2, 30, 10*ms, ms/2, 0), Same, "p99_ms", Same},
		"20 % slower":    {made(t, 1, 30, 10*ms, ms/2, 0), made(t, 2, 30, 12*ms, ms/2, 0), Worse, "p50_ms", Worse},
		"20 % faster":    {made(t, 1, 30, 10*ms, ms/2, 0), made(t, 2, 30, 8*ms, ms/2, 0), Better, "p50_ms", Better},
		"wandering":      {made(t, 1, 10, 10*ms, 9*ms, 0), made(t, 3, 10, 10*ms, 9*ms, 0), Unsure, "p50_ms", Unsure},
		"too short":      {made(t, 1, 3, 10*ms, ms, 0), made(t, 2, 3, 13*ms, ms, 0), Unsure, "p50_ms", Unsure},
		"more errors":    {made(t, 1, 30, 10*ms, ms/2, 10_000), made(t, 2, 30, 10*ms, ms/2, 50), Worse, "error_pct", Worse},
		"no errors then": {made(t, 1, 30, 10*ms, ms/2, 0), made(t, 2, 30, 10*ms, ms/2, 100), Worse, "error_pct", Worse},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := Compare(c.before, c.after, 5)
			if got.Verdict != c.want || verdictOf(got, c.metric) != c.is {
				var b bytes.Buffer
				_ = got.WriteText(&b)
				t.Errorf("got %s, %s; want %s, %s\n%s", got.Verdict, verdictOf(got, c.metric), c.want, c.is, b.String())
			}
		})
	}
}

// Of many pairs of runs that are alike, the 95 % intervals must hold 0 in about
// 95 of 100, though blocks differ from each other.
func TestIntervalsHoldTheTruthAsOftenAsTheySay(t *testing.T) {
	t.Parallel()
	const pairs = 20
	held := 0
	for i := range uint64(pairs) {
		c := Compare(made(t, 2*i+100, 12, 10*time.Millisecond, 2*time.Millisecond, 0), made(t, 2*i+101, 12, 10*time.Millisecond, 2*time.Millisecond, 0), 5)
		if x := c.Changes[0]; *x.LowPct <= 0 && *x.HighPct >= 0 {
			held++
		}
	}
	if held < pairs*80/100 {
		t.Errorf("%d of %d intervals hold the truth", held, pairs)
	}
}

func TestComparisonNamesWhatDiffers(t *testing.T) {
	t.Parallel()
	a, b := made(t, 1, 10, time.Millisecond, 0, 0), made(t, 2, 10, time.Millisecond, 0, 0)
	a.Options, b.Options = map[string]string{"keys": "10", "prefix": "a"}, map[string]string{"keys": "20", "prefix": "b"}
	b.Plan.Profile, b.Aborted = "constant 2000/s", true
	got := strings.Join(Compare(a, b, 5).Notes, "\n")
	for _, want := range []string{"the load differs", "keys differs: 10 and 20", "aborted"} {
		if !strings.Contains(got, want) {
			t.Errorf("no note has %q:\n%s", want, got)
		}
	}
	if strings.Contains(got, "prefix") {
		t.Errorf("the prefix is said to differ:\n%s", got)
	}
}

func TestMergedReportIsThatOfAllRequests(t *testing.T) {
	t.Parallel()
	a, b := full(t), full(t)
	b.Response = NewLatency(func() *Histogram {
		h := NewHistogram()
		for i := range 1000 {
			h.Record(time.Duration(i) * time.Millisecond)
		}
		return h
	}())
	// What goes through files is not less exact.
	var file bytes.Buffer
	if err := b.WriteJSON(&file); err != nil {
		t.Fatal(err)
	}
	read, err := ReadJSON(&file)
	if err != nil {
		t.Fatal(err)
	}
	got, err := Merge(a, read)
	if err != nil {
		t.Fatal(err)
	}
	one := NewHistogram()
	one.Merge(a.Response.Histogram())
	one.Merge(b.Response.Histogram())
	want := NewLatency(one)
	if got.Response.P50Ms != want.P50Ms || got.Response.P99Ms != want.P99Ms || got.Response.MaxMs != want.MaxMs || got.Response.Count != want.Count || got.Response.HDR != want.HDR {
		t.Errorf("got %+v, want %+v", got.Response, want)
	}
	q := got.Requests
	if q.OK != 2*a.Requests.OK || q.Scheduled != 2*a.Requests.Scheduled || got.ThroughputRPS != 2*a.ThroughputRPS || got.Operations[0].OK != 2*a.Operations[0].OK || got.Errors[0].Count != 6 || got.Attempts.Retries != 24 {
		t.Errorf("got %+v", q)
	}
	if len(got.Thresholds) != 4 || got.Thresholds[0].Pass || got.Timeline[0].OK != 2*a.Timeline[0].OK {
		t.Errorf("p99<20ms passed with %g ms", got.Response.P99Ms)
	}
	b.Workload = "other"
	if _, err := Merge(a, b); err == nil {
		t.Error("two workloads were merged")
	}
	if _, err := Merge(a); err == nil {
		t.Error("one report was merged")
	}
}
