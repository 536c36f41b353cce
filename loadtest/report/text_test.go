package report

import (
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/prism-data-layer/prism/pkg/prism"
)

var update = flag.Bool("update", false, "write the golden files anew")

// golden compares got with a file in testdata; go test -update writes it.
func golden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.MkdirAll("testdata", 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("%s differs; got:\n%s\nwant:\n%s", path, got, want)
	}
}

// full is a run with something in every part of the report.
func full(t *testing.T) *Report {
	t.Helper()
	response, service, lag, sets := NewHistogram(), NewHistogram(), NewHistogram(), NewHistogram()
	for i := range 45_000 {
		d := 200*time.Microsecond + time.Duration(i)*20*time.Nanosecond
		if i%1000 == 0 {
			d += 30 * time.Millisecond
		}
		response.Record(d + 400*time.Microsecond)
		service.Record(d)
		lag.Record(time.Duration(i) * 25 * time.Nanosecond)
	}
	for range 4_990 {
		sets.Record(3 * time.Millisecond)
	}
	gets, get := NewLatency(response), NewLatency(service)
	all, allService := NewHistogram(), NewHistogram()
	all.Merge(response)
	all.Merge(sets)
	allService.Merge(service)
	allService.Merge(sets)
	r := &Report{
		APIVersion: APIVersion, Kind: Kind, Workload: "kv",
		Options: map[string]string{"mix": "get=90,set=10", "keys": "10000", "value_bytes": "128"},
		Plan: Plan{
			Model: Open, Profile: "constant 5000/s", RateRPS: 5000, MaxInFlight: 1024, MaxBacklog: 10_000,
			DurationS: 10, WarmUpS: 2, GraceS: 5, Seed: 42,
		},
		Command:   "prismctl loadtest run kv --rate 5000 --duration 10s --warm-up 2s --seed 42",
		StartedAt: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC),
		DurationS: 10, ElapsedS: 12.03,
		TargetRPS: 5000, AchievedRPS: 4999, AchievedPct: 99.98, ThroughputRPS: 4998.5,
		Requests: Requests{
			Scheduled: 50_000, Started: 49_990, OK: 49_985, Failed: 5, Missed: 12, Dropped: 10, Late: 45, Waited: 3,
			ErrorPct: 0.010002, SentBytes: 1_200_000, ReceivedBytes: 5_760_000,
		},
		WarmUp:   WarmUp{DurationS: 2, OK: 9_999, Failed: 1, PreparedS: 0.35},
		Attempts: &Attempts{Attempts: 50_002, Retries: 12, Hedges: 1, Coalesced: 31_000},
		Response: NewLatency(all), Service: NewLatency(allService),
		Operations: []Operation{
			{Name: "get", SharePct: 90.018, OK: 44_998, Failed: 2, Missed: 12, ThroughputRPS: 4499.8, Response: gets, Service: get},
			{Name: "set", SharePct: 9.982, OK: 4_987, Failed: 3, ThroughputRPS: 498.7, Response: NewLatency(sets), Service: NewLatency(sets)},
			{Name: "delete"},
		},
		Errors: []Error{
			{Operation: "set", Reason: "BACKEND_UNAVAILABLE", Code: "PRISM-60001", Status: "UNAVAILABLE", Message: "write to pebble: no space", Count: 3, TraceID: "4bf92f3577b34da6a3ce929d0e0e4736"},
			{Operation: "get", Reason: "UNKNOWN", Message: "hostile \x1b[2J\u202etext\nsecond line", Count: 2},
		},
		Generator: Generator{
			Lag: NewLatency(lag), CPUS: 0.41, CPUPct: 1.7, CPUPerRequestUs: 6.8, GCPauses: 3, GCPauseMs: 0.21, PeakInFlight: 130,
		},
		Timeline:    []Point{{AtS: 1, ThroughputRPS: 4998, OK: 4998, P50Ms: 1.1, P99Ms: 3, MaxMs: 31}},
		Environment: Environment{OS: "linux", Arch: "amd64", CPU: "Example CPU", Cores: 2, GOMAXPROCS: 2, Go: "go1.26.8", Commit: "17ea29a", Extra: map[string]string{"gateway": "v0.1.0"}},
	}
	ts, err := ParseThresholds("p99<20ms,error_rate<0.001%,rps>=4000,set:service_p95<=5ms")
	if err != nil {
		t.Fatal(err)
	}
	r.Thresholds = r.Check(ts)
	r.Verdicts = r.Judge()
	return r
}

func text(t *testing.T, r *Report) string {
	t.Helper()
	var b bytes.Buffer
	if err := r.WriteText(&b); err != nil {
		t.Fatal(err)
	}
	for i, c := range b.Bytes() {
		if c != '\n' && (c < ' ' || c > '~') {
			t.Fatalf("byte %d of the text is %#x; only printable ASCII may be there", i, c)
		}
	}
	return b.String()
}

func TestTextOfAWholeReport(t *testing.T) {
	t.Parallel()
	golden(t, "full.txt", text(t, full(t)))
}

func TestTextOfAnAbortedRun(t *testing.T) {
	t.Parallel()
	r := full(t)
	r.Aborted, r.AbortReason, r.DurationS = true, Interrupted, 4.2
	r.Requests.Unfinished, r.Thresholds, r.Errors, r.Attempts = 7, nil, nil, nil
	r.WarmUp.Dropped, r.Command = 4, ""
	r.Verdicts = r.Judge()
	golden(t, "aborted.txt", text(t, r))
}

func TestTextOfAClosedLoopThatMeasuredNothing(t *testing.T) {
	t.Parallel()
	r := &Report{
		Workload: "kv", Plan: Plan{Model: Closed, Workers: 8, DurationS: 1}, AchievedPct: 100,
		StartedAt: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC), Operations: []Operation{{Name: "get"}},
		Environment: Environment{OS: "linux", Arch: "amd64", Cores: 2, Go: "go1.26.8"},
	}
	r.Verdicts = r.Judge()
	golden(t, "empty.txt", text(t, r))
}

func TestJSONRoundTripKeepsEveryFigureAndTheBuckets(t *testing.T) {
	t.Parallel()
	r := full(t)
	var b bytes.Buffer
	if err := r.WriteJSON(&b); err != nil {
		t.Fatal(err)
	}
	back, err := ReadJSON(bytes.NewReader(b.Bytes()))
	if err != nil {
		t.Fatal(err)
	}
	if text(t, back) != text(t, r) {
		t.Error("the text of the report read back differs")
	}
	if got, want := back.Response.At(97), r.Response.At(97); got != want {
		t.Errorf("p97 read back is %s, want %s", got, want)
	}
	if len(back.Thresholds) != 4 || back.ExitCode() != ExitThreshold {
		t.Errorf("%d thresholds, exit %d; want 4, 99", len(back.Thresholds), back.ExitCode())
	}
}

// Programs read these names: they may be added to, never changed.
func TestJSONFieldNamesCarryUnits(t *testing.T) {
	t.Parallel()
	var b bytes.Buffer
	if err := full(t).WriteJSON(&b); err != nil {
		t.Fatal(err)
	}
	var doc map[string]any
	if err := json.Unmarshal(b.Bytes(), &doc); err != nil {
		t.Fatal(err)
	}
	if doc["apiVersion"] != "prism/v1" || doc["kind"] != "LoadReport" || doc["aborted"] != false {
		t.Errorf("head: %v %v aborted %v", doc["apiVersion"], doc["kind"], doc["aborted"])
	}
	var names []string
	walk("", doc, &names)
	golden(t, "fields.txt", strings.Join(names, "\n")+"\n")
}

func walk(path string, v any, names *[]string) {
	switch v := v.(type) {
	case map[string]any:
		keys := make([]string, 0, len(v))
		for k := range v {
			keys = append(keys, k)
		}
		// Insertion sort: a handful of names.
		for i := range keys {
			for j := i; j > 0 && keys[j] < keys[j-1]; j-- {
				keys[j], keys[j-1] = keys[j-1], keys[j]
			}
		}
		for _, k := range keys {
			walk(path+"."+k, v[k], names)
		}
	case []any:
		if len(v) > 0 {
			walk(path+"[]", v[0], names)
		}
	default:
		*names = append(*names, strings.TrimPrefix(path, "."))
	}
}

func TestOnlyLoadReportsAreRead(t *testing.T) {
	t.Parallel()
	for _, in := range []string{"", "[]", "{}", `{"apiVersion":"prism/v1","kind":"Gateway"}`, `{"apiVersion":"prism/v2","kind":"LoadReport"}`, `{"kind":`} {
		if _, err := ReadJSON(strings.NewReader(in)); !errors.Is(err, prism.ReasonInvalidArgument) {
			t.Errorf("%q: got %v, want INVALID_ARGUMENT", in, err)
		}
	}
}

type broken struct{}

func (broken) Write([]byte) (int, error) { return 0, os.ErrClosed }

func TestAWriterThatFailsIsReported(t *testing.T) {
	t.Parallel()
	r := full(t)
	if err := r.WriteText(broken{}); !errors.Is(err, os.ErrClosed) {
		t.Errorf("text: got %v", err)
	}
	if err := r.WriteJSON(broken{}); !errors.Is(err, os.ErrClosed) {
		t.Errorf("json: got %v", err)
	}
}

func TestLinesComeAtTheirInterval(t *testing.T) {
	t.Parallel()
	var b bytes.Buffer
	show := Lines(&b, 5*time.Second)
	show(Snapshot{Phase: Preparing})
	for at := 250 * time.Millisecond; at <= 11*time.Second; at += 250 * time.Millisecond {
		s := Snapshot{
			Phase: Running, Elapsed: at, TargetRPS: 5000, RecentRPS: 4000, InFlight: 12, OK: uint64(at.Milliseconds() * 5), Failed: 3,
			Total: Percentiles{300 * time.Microsecond, 1200 * time.Microsecond, 9870 * time.Microsecond, 123 * time.Millisecond},
		}
		if at%(500*time.Millisecond) == 0 {
			s.RecentRPS = 6000
		}
		if at > 6*time.Second {
			s.Backlog, s.Dropped = 40, 1234
		}
		show(s)
	}
	show(Snapshot{Phase: Done, Elapsed: 11 * time.Second})
	want := `[   5s] running  5,000/s of 5,000/s  in flight 12  ok 25,000  failed 3  ms: p50 0.300  p95 1.20  p99 9.87  max 123
[  10s] running  5,000/s of 5,000/s  in flight 12  ok 50,000  failed 3  waiting 40  dropped 1,234  ms: p50 0.300  p95 1.20  p99 9.87  max 123
`
	if b.String() != want {
		t.Errorf("got:\n%swant:\n%s", b.String(), want)
	}
	closed := Snapshot{Phase: Warming, Elapsed: time.Second, RecentRPS: 10}
	if got, want := closed.Line(), "[   1s] warm-up  10/s  in flight 0  ok 0  failed 0"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}
