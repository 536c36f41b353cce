package loadtest_test

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/prism-data-layer/prism/loadtest/report"
	"github.com/prism-data-layer/prism/pkg/cli/clitest"
	"github.com/prism-data-layer/prism/test/harness"
)

// models is a gateway with a namespace for each model, called as the command
// expects them.
func models(t *testing.T) *clitest.Rig {
	t.Helper()
	file := strings.NewReplacer("name: mem, model: keyvalue", "name: kv, model: keyvalue", "name: timeseries,", "name: ts,").Replace(harness.Models)
	g := harness.Start(t, harness.Options{File: file})
	r := clitest.Offline(t)
	r.Env["PRISM_DATA"], r.Env["PRISM_ADMIN"] = g.Addr("data"), g.Addr("admin")
	return r
}

func jsonReport(t *testing.T, text string) *report.Report {
	t.Helper()
	rep, err := report.ReadJSON(strings.NewReader(text))
	if err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
	return rep
}

func TestEveryModelIsLoaded(t *testing.T) {
	t.Parallel()
	r := models(t)
	for model, c := range map[string]struct {
		args []string
		also func(*report.Report) string // what is wrong
	}{
		"kv":    {[]string{"--keys", "20", "--order", "zipf(1.1)", "--value-size", "16B,1KiB", "--mix", "get=1,set=1,delete=1"}, nil},
		"cache": {[]string{"--keys", "20", "--value-size", "16B-64B", "--sessions", "2"}, nil},
		"queue": {nil, func(r *report.Report) string {
			if s := r.Streams[0]; s.Messages < r.Operations[0].OK || s.Missing() != 0 || s.Delay.P99Ms <= 0 || s.FirstMs <= 0 {
				return fmt.Sprintf("%+v of %d published", s, r.Operations[0].OK)
			}
			return ""
		}},
		"pubsub": {[]string{"--subscribers", "3", "--keys", "4"}, func(r *report.Report) string {
			if s := r.Streams[0]; s.Messages != 3*r.Operations[0].OK || s.Missing() != 0 || s.Delay.P99Ms <= 0 {
				return fmt.Sprintf("%+v of %d published", s, r.Operations[0].OK)
			}
			return ""
		}},
		"ts": {[]string{"--keys", "5", "--batch", "10", "--mix", "append=2,query=1,aggregate=1"}, func(r *report.Report) string {
			if o := r.Operations[0]; o.Items != 10*o.OK {
				return fmt.Sprintf("%d events in %d appends", o.Items, o.OK)
			}
			return ""
		}},
		"session": {[]string{"--keys", "3", "--mix", "heartbeat=1,create=1"}, nil},
	} {
		t.Run(model, func(t *testing.T) {
			args := append([]string{"loadtest", "run", model, "--rate", "200", "--duration", "250ms", "--warm-up", "50ms", "--allow-shortfall", "-o", "json"}, c.args...)
			rep := jsonReport(t, r.OK(args...))
			if rep.Workload != model || rep.Requests.OK != 50 || rep.Requests.Failed != 0 {
				t.Fatalf("got %+v, %+v", rep.Requests, rep.Errors)
			}
			if c.also != nil {
				if wrong := c.also(rep); wrong != "" {
					t.Error(wrong)
				}
			}
		})
	}
	if left := r.OK("kv", "scan", "-o", "name"); left != "" {
		t.Errorf("left\n%s", left)
	}
}

const mixFile = `apiVersion: prism/v1
kind: LoadScenario
name: checkout
phases:
  - {name: up, from: 50, to: 200, for: 200ms}
  - {rate: 100, for: 200ms}
warm_up: 50ms
allow_shortfall: true
workloads:
  - {model: kv, name: stock, share: 3, keys: 10, mix: "get=1"}
  - {model: queue, name: orders, share: 1}
thresholds: ["stock.get:p99<10s", "orders.delivery:p99<10s"]
`

func TestScenarioFileRunsAMix(t *testing.T) {
	t.Parallel()
	r := models(t)
	file := r.Write("mix.yaml", mixFile)
	rep := jsonReport(t, r.OK("loadtest", "run", file, "-o", "json"))
	if rep.Workload != "mix" || rep.Requests.OK != 45 || rep.Plan.Profile != "50/s to 200/s in 200ms, 100/s for 200ms" || len(rep.Thresholds) != 2 || rep.Streams[0].Name != "orders.delivery" {
		t.Errorf("got %+v, %+v", rep.Requests, rep.Plan)
	}
	if got := rep.Operations[0].SharePct; got < 73 || got > 77 {
		t.Errorf("stock has %g %% of the requests, want 75", got)
	}
	if rep = jsonReport(t, r.OK("loadtest", "run", file, "-o", "json", "--rate", "100", "--duration", "100ms", "--seed", "9")); rep.Requests.OK != 10 || rep.Plan.Seed != 9 {
		t.Errorf("flags over the file: got %+v, %+v", rep.Requests, rep.Plan)
	}
	r.Want(2, []string{"--duration", "phases"}, "loadtest", "run", file, "--duration", "1s")
	bad := r.Write("bad.yaml", strings.Replace(mixFile, "share: 3", "shore: 3", 1))
	for _, verb := range [][]string{{"run"}, {"scenario", "validate"}} {
		r.Want(7, []string{"bad.yaml:10:30", `did you mean "share"?`, "^^^^^"}, append(append([]string{"loadtest"}, verb...), bad)...)
	}
	r.Want(0, nil, "loadtest", "scenario", "validate", file)
	r.Want(3, []string{"not found"}, "loadtest", "run", "nowhere.yaml")
}

func TestCatalogueIsShownAndRuns(t *testing.T) {
	t.Parallel()
	r := models(t)
	list := r.OK("loadtest", "scenario", "list", "-o", "name")
	if !strings.Contains(list, "order-processing") || strings.Count(list, "\n") < 4 {
		t.Errorf("got %q", list)
	}
	for name := range strings.Lines(list) {
		name = strings.TrimSpace(name)
		if text := r.OK("loadtest", "scenario", "show", name); !strings.Contains(text, "name: "+name) {
			t.Errorf("%s shows\n%s", name, text)
		}
		rep := jsonReport(t, r.Run("loadtest", "run", name, "--rate", "100", "--duration", "200ms", "--warm-up", "0", "--allow-shortfall", "-o", "json").Out)
		if rep.Requests.OK != 20 {
			t.Errorf("%s: got %+v, %+v", name, rep.Requests, rep.Errors)
		}
	}
	r.Want(2, []string{"did you mean event-fanout?"}, "loadtest", "run", "event-fanot")
	r.Want(2, []string{"no scenario"}, "loadtest", "scenario", "show", "nope")
}

func TestReportsAreWrittenSavedComparedAndMerged(t *testing.T) {
	t.Parallel()
	r := models(t)
	dir := t.TempDir()
	a, page := filepath.Join(dir, "a.json"), filepath.Join(dir, "a.html")
	run := []string{"loadtest", "run", "kv", "--rate", "300", "--duration", "1s", "--warm-up", "0", "--keys", "20", "--allow-shortfall"}
	got := r.Want(0, []string{"wrote ", "saved as first"}, append(run, "--report", a, "--report", page, "--save", "first", "-o", "md")...)
	if !strings.HasPrefix(got.Out, "# Load test: kv") {
		t.Errorf("got\n%s", got.Out)
	}
	if b, err := os.ReadFile(page); err != nil || !strings.Contains(string(b), "</html>") {
		t.Errorf("the page: %v", err)
	}
	if list := r.OK("loadtest", "list", "-o", "name"); list != "first\n" {
		t.Errorf("saved: %q", list)
	}
	// Reading back gives what was written, in each format.
	for _, format := range report.Formats() {
		if out := r.OK("loadtest", "report", "first", "-o", format); out == "" {
			t.Errorf("-o %s printed nothing", format)
		}
	}
	if merged := jsonReport(t, r.OK("loadtest", "report", a, "first", "-o", "json")); merged.Requests.OK != 600 {
		t.Errorf("merged: %+v", merged.Requests)
	}
	// A run compared with itself is the same. One that is slower everywhere is worse.
	r.Want(0, nil, "loadtest", "compare", "first", a)
	slow := slower(t, a)
	res := r.Want(99, []string{"the second run is worse: p50_ms"}, "loadtest", "compare", a, slow, "-o", "json")
	var c report.Comparison
	if err := json.Unmarshal([]byte(res.Out), &c); err != nil || c.Verdict != report.Worse || c.Changes[0].LowPct == nil {
		t.Errorf("got %v\n%s", err, res.Out)
	}
	r.Want(0, nil, "loadtest", "compare", a, slow, "--max-regression", "900%")
	r.Want(2, []string{"--max-regression"}, "loadtest", "compare", a, slow, "--max-regression", "5")
	r.Want(3, []string{"did you mean first?"}, "loadtest", "report", "frst")
	r.Want(7, []string{"not a load report"}, "loadtest", "report", r.Write("x.json", "{}"))
	r.Want(2, []string{"use one of: text, json, csv"}, "loadtest", "report", "first", "-o", "pdf")
}

// slower is the report with every response three times as long.
func slower(t *testing.T, path string) string {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	r := jsonReport(t, string(b))
	stretch := func(hdr string) *report.Histogram {
		from, err := report.Decode(hdr)
		if err != nil {
			t.Fatal(err)
		}
		to := report.NewHistogram()
		for i := range from.Count() {
			to.Record(3 * from.At(100*(float64(i)+0.5)/float64(from.Count())))
		}
		return to
	}
	r.Response = report.NewLatency(stretch(r.Response.HDR))
	for i := range r.Blocks {
		r.Blocks[i].HDR, _ = stretch(r.Blocks[i].HDR).Encode()
	}
	out := filepath.Join(t.TempDir(), "slow.json")
	f, err := os.Create(out)
	if err == nil {
		err = r.WriteJSON(f)
		f.Close()
	}
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func TestFindSearchesUnderAnObjective(t *testing.T) {
	t.Parallel()
	r := models(t)
	begun := time.Now()
	got := r.Want(0, []string{"held"}, "loadtest", "find", "kv", "--objective", "p99<10s", "--rate", "50", "--max-rate", "100", "--duration", "100ms", "--warm-up", "0", "--keys", "10", "--allow-shortfall", "-o", "json")
	var f struct {
		Kind    string
		RateRPS float64 `json:"rate_rps"`
		Verdict string
	}
	if err := json.Unmarshal([]byte(got.Out), &f); err != nil || f.Kind != "LoadSearch" || f.RateRPS != 100 || !strings.Contains(f.Verdict, "highest rate that was allowed") {
		t.Errorf("got %v after %s\n%s", err, time.Since(begun), got.Out)
	}
	r.Want(99, []string{"no rate was found", "MISSED"}, "loadtest", "find", "kv", "--objective", "p99<1ns", "--rate", "2", "--duration", "1s", "--warm-up", "0", "--keys", "10", "--allow-shortfall")
	r.Want(2, []string{"--closed"}, "loadtest", "find", "kv", "--closed", "4")
	r.Want(2, []string{"no comparison"}, "loadtest", "find", "kv", "--objective", "p99")
}

func TestFaultsNeedAGatewayThatAllowsThem(t *testing.T) {
	t.Parallel()
	r := models(t)
	file := r.Write("fault.yaml", strings.Replace(mixFile, "thresholds:", "faults: [{at: 50ms, for: 100ms, backend: volatile, latency: 20ms}]\nthresholds:", 1))
	got := r.Run("loadtest", "run", file)
	if got.Code == 0 || got.Out != "" || !strings.Contains(got.ErrOut, "faults: true") {
		t.Errorf("exit %d\n%s", got.Code, got.ErrOut)
	}
	if out := r.OK("loadtest", "run", file, "--dry-run"); !strings.Contains(out, "fault      volatile +20ms, at 50ms for 100ms") {
		t.Errorf("the plan is\n%s", out)
	}
}
