package report

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/prism-data-layer/prism/pkg/prism"
)

func TestThresholdsAreReadStrictly(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"p99<20ms":              "p99<20ms",
		" p99 < 20ms ":          "p99<20ms",
		"p99.99<=1.5s":          "p99.99<=1.5s",
		"p50<250us":             "p50<250µs",
		"max<1s":                "max<1s",
		"mean<5ms":              "mean<5ms",
		"p0.1>=0ms":             "p0.1>=0s",
		"error_rate<0.1%":       "error_rate<0.1%",
		"error_rate==0%":        "error_rate==0%",
		"rps>=4000":             "rps>=4000",
		"achieved_rps>99.5":     "achieved_rps>99.5",
		"errors==0":             "errors==0",
		"dropped<10":            "dropped<10",
		"get:p99<5ms":           "get:p99<5ms",
		"set:service_p95<=2ms":  "set:service_p95<=2ms",
		"get:error_rate<1%":     "get:error_rate<1%",
		"service_stdev<1ms":     "service_stdev<1ms",
		"retries<=5":            "retries<=5",
		"p99<20ms,p99.9<50ms":   "p99<20ms p99.9<50ms",
		"rps>=1 , errors < 100": "rps>=1 errors<100",
	} {
		got, err := ParseThresholds(in)
		if err != nil {
			t.Errorf("%q: %v", in, err)
			continue
		}
		var words []string
		for _, th := range got {
			words = append(words, th.String())
		}
		if s := strings.Join(words, " "); s != want {
			t.Errorf("%q read as %q, want %q", in, s, want)
		}
	}
	for _, in := range []string{
		"", ",", "p99", "p99<", "<20ms", "p99<20", "p99=20ms", "p99<0", "p99<-1ms", "p99<20ms<30ms", "p99<>20ms", "p99!=20ms",
		"p<1ms", "p0<1ms", "p101<1ms", "p099<1ms", "p99.0<1ms", "p1e1<1ms", "pNaN<1ms", "p+9<1ms", "P99<1ms", "median<1ms",
		"error_rate<0.1", "error_rate<101%", "error_rate<-1%", "error_rate<%", "error_rate<1e-3%", "error_rate<NaN%",
		"rps>=4k", "rps>=", "rps>=-1", "rps>=Inf", "rps>=0x10", "rps>=1.2.3", "errors<1.5", "errors<-1", "errors<1%",
		"service_rps>1", "service_errors<1", "get:dropped<1", "get:achieved_rps>1", ":p99<1ms", "a b:p99<1ms", "get:get:p99<1ms",
		"p99<20ms,", "p99<20ms,,rps>1",
	} {
		got, err := ParseThresholds(in)
		if !errors.Is(err, prism.ReasonInvalidArgument) {
			t.Errorf("%q: got %v, %v; want INVALID_ARGUMENT", in, got, err)
		}
	}
}

func FuzzParseThreshold(f *testing.F) {
	for _, s := range []string{"p99<20ms", "error_rate<0.1%", "rps>=4000", "get:service_p99.9<=1.5s", "errors==0", "p99<0.0000001ms"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		th, err := ParseThreshold(s)
		if err != nil {
			return
		}
		again, err := ParseThreshold(th.String())
		if err != nil || again != th {
			t.Fatalf("%q was read as %+v, which is written %q and read as %+v, %v", s, th, th, again, err)
		}
		r := Report{}
		r.Check([]Threshold{th})
	})
}

// sample is a run with 1,000 gets of 1..1000 ms and 100 sets of 10 ms.
func sample() *Report {
	gets, sets, all := NewHistogram(), NewHistogram(), NewHistogram()
	for i := range 1000 {
		gets.Record(time.Duration(i+1) * time.Millisecond)
	}
	for range 100 {
		sets.Record(10 * time.Millisecond)
	}
	all.Merge(gets)
	all.Merge(sets)
	return &Report{
		ThroughputRPS: 109, AchievedRPS: 110,
		Requests: Requests{OK: 1090, Failed: 10, ErrorPct: 10.0 / 11, Late: 7, Missed: 3},
		Attempts: &Attempts{Attempts: 1105, Retries: 5},
		Response: NewLatency(all), Service: NewLatency(sets),
		Operations: []Operation{
			{Name: "get", OK: 990, Failed: 10, ErrorPct: 1, ThroughputRPS: 99, Response: NewLatency(gets), Service: NewLatency(sets)},
			{Name: "set", OK: 100, ThroughputRPS: 10, Response: NewLatency(sets), Service: NewLatency(sets)},
			{Name: "delete"},
		},
	}
}

func TestThresholdsAreComparedWithTheRun(t *testing.T) {
	t.Parallel()
	r := sample()
	for _, c := range []struct {
		in     string
		pass   bool
		actual string
	}{
		{"p99<990ms", true, "989 ms"},
		{"p99<989ms", false, "989 ms"},
		{"max<=1s", true, "1,000 ms"},
		{"max<1s", false, "1,000 ms"},
		{"min>=1ms", true, "1.00 ms"},
		{"service_p99<=11ms", true, "10.0 ms"},
		{"set:p99<11ms", true, "10.0 ms"},
		{"set:mean==10ms", true, "10.0 ms"},
		{"set:stdev<1ms", true, "0.000 ms"},
		{"get:p50<501ms", true, "500 ms"},
		{"get:service_max<=10ms", true, "10.0 ms"},
		{"error_rate<1%", true, "0.9%"},
		{"error_rate<0.1%", false, "0.9%"},
		{"get:error_rate<1%", false, "1.0%"},
		{"set:error_rate==0%", true, "0.0%"},
		{"rps>=109", true, "109.0"},
		{"rps>109", false, "109.0"},
		{"achieved_rps>109", true, "110.0"},
		{"get:rps>=99", true, "99.0"},
		{"errors==10", true, "10"},
		{"get:errors<=10", true, "10"},
		{"late<7", false, "7"},
		{"missed<=3", true, "3"},
		{"retries<5", false, "5"},
		// What was not measured is not a pass.
		{"delete:p99<1s", false, "not measured"},
		{"delete:error_rate<1%", false, "not measured"},
		{"scan:p99<1s", false, "not measured"},
	} {
		th, err := ParseThreshold(c.in)
		if err != nil {
			t.Fatal(err)
		}
		got := r.Check([]Threshold{th})[0]
		if got.Pass != c.pass || got.Actual != c.actual {
			t.Errorf("%s: pass %v, measured %q; want %v, %q", c.in, got.Pass, got.Actual, c.pass, c.actual)
		}
	}
	r.Attempts = nil
	th, _ := ParseThreshold("retries==0")
	if got := r.Check([]Threshold{th})[0]; got.Pass {
		t.Errorf("retries that nobody counted passed: %+v", got)
	}
}
