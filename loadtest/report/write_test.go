package report

import (
	"bytes"
	"encoding/csv"
	"encoding/xml"
	"io"
	"regexp"
	"strings"
	"testing"
	"time"
)

// busy is a report with everything in it, and a stranger's hand in every text.
func busy(t *testing.T) *Report {
	t.Helper()
	const evil = "</title></svg><script>alert(1)</script>\x1b[2J\u202e|`*\"'=1+1"
	r := full(t)
	r.RunID = "abc"
	r.Workload, r.AbortReason, r.Command = evil, evil, evil
	r.Options[evil] = evil
	r.Environment.Extra[evil] = evil
	r.Environment.Host, r.Environment.CPU = evil, evil
	r.Plan.Profile = evil
	r.Operations[0].Name = evil
	r.Errors = append(r.Errors, Error{Operation: evil, Reason: evil, Code: evil, Message: evil, TraceID: evil, Count: 7})
	r.Thresholds = append(r.Thresholds, ThresholdCheck{Expression: evil, Actual: evil})
	r.Verdicts = append(r.Verdicts, Verdict{Code: "x", Severity: Warn, Text: evil})
	want := int64(100)
	r.Streams = []Stream{{Name: evil, Messages: 90, Expected: &want, FirstMs: 3, Delay: r.Service, Response: r.Response}}
	r.Events = []Event{{Name: evil, AtS: 0.2, ForS: 0.3, Error: evil}}
	h := NewHistogram()
	for i := range 10 {
		h.Record(time.Duration(i+1) * time.Millisecond)
		r.Timeline = append(r.Timeline, Point{AtS: float64(i+1) / 10, TargetRPS: 5000, ThroughputRPS: 4990, OK: 499, Failed: 1, P50Ms: 1, P95Ms: 2, P99Ms: 3, MaxMs: 31})
		hdr, _ := h.Encode()
		r.Blocks = append(r.Blocks, Block{LengthS: 0.1, OK: 499, Failed: 1, HDR: hdr})
	}
	return r
}

func write(t *testing.T, r *Report, format string) string {
	t.Helper()
	var b bytes.Buffer
	if err := r.Write(&b, format); err != nil {
		t.Fatalf("%s: %v", format, err)
	}
	return b.String()
}

func TestNoFormatLetsAStrangersTextOut(t *testing.T) {
	t.Parallel()
	for _, format := range Formats() {
		if format == "json" {
			continue // escapes it, and gives it back
		}
		got := write(t, busy(t), format)
		if strings.ContainsAny(got, "\x1b\u202e") {
			t.Errorf("%s: control or direction characters came through", format)
		}
		if format == "html" || format == "svg" || format == "md" || format == "junit" {
			if strings.Contains(got, "<script") || strings.Contains(got, "</title></svg><") {
				t.Errorf("%s: markup came through:\n%s", format, got)
			}
		}
	}
}

func TestThePageNeedsNothingElse(t *testing.T) {
	t.Parallel()
	for name, r := range map[string]*Report{"busy": busy(t), "empty": {Workload: "kv"}, "one point": {
		Workload: "kv", DurationS: 1, Plan: Plan{Model: Open, DurationS: 1}, Response: full(t).Response,
		Timeline: []Point{{AtS: 1, ThroughputRPS: 10, OK: 10, P50Ms: 1, P95Ms: 1, P99Ms: 1, MaxMs: 1}},
	}} {
		got := write(t, r, "html")
		for _, bad := range []string{"src=", "href=", "<script", "@import", "url(", "NaN", "Inf", "%!"} {
			if strings.Contains(got, bad) {
				t.Errorf("%s: the page has %q", name, bad)
			}
		}
		if n := strings.Count(got, "<svg"); n < 3 || n != strings.Count(got, "</svg>") || !strings.Contains(got, "prefers-color-scheme:dark") {
			t.Errorf("%s: %d plots", name, n)
		}
		if m := regexp.MustCompile(`http[s]?://[^"]*`).FindAllString(got, -1); len(m) > 0 && strings.Join(m, "") != strings.Repeat("http://www.w3.org/2000/svg", len(m)) {
			t.Errorf("%s: the page names other places: %v", name, m)
		}
		d := xml.NewDecoder(strings.NewReader(write(t, r, "svg")))
		for {
			if _, err := d.Token(); err == io.EOF {
				break
			} else if err != nil {
				t.Fatalf("%s: the picture is not XML: %v", name, err)
			}
		}
	}
}

func TestCSVIsOneTable(t *testing.T) {
	t.Parallel()
	rows, err := csv.NewReader(strings.NewReader(write(t, busy(t), "csv"))).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	kinds := map[string]int{}
	for _, r := range rows[1:] {
		kinds[r[0]]++
	}
	if kinds["total"] != 1 || kinds["operation"] != 3 || kinds["stream"] != 1 || kinds["interval"] != 11 || len(rows[0]) != 35 {
		t.Errorf("got %v in %d columns", kinds, len(rows[0]))
	}
	r := full(t)
	r.Operations[0].Name = "=1+1"
	if got := write(t, r, "csv"); !strings.Contains(got, "operation,'=1+1") {
		t.Error("a spreadsheet would compute a name")
	}
}

func TestJUnitHasATestForEachThreshold(t *testing.T) {
	t.Parallel()
	var s junitSuite
	if err := xml.Unmarshal([]byte(write(t, full(t), "junit")), &s); err != nil {
		t.Fatal(err)
	}
	if s.Tests != 5 || s.Failures != 1 || s.Cases[0].Failure != nil || s.Cases[2].Failure == nil || s.Cases[2].Failure.Message != "measured 0.01%" {
		t.Errorf("got %+v", s)
	}
}

func TestHDRLogReadsBack(t *testing.T) {
	t.Parallel()
	r := busy(t)
	var n int
	for line := range strings.Lines(write(t, r, "hdr")) {
		cells := strings.Split(strings.TrimSpace(line), ",")
		if strings.HasPrefix(line, "#") || strings.HasPrefix(line, `"`) {
			continue
		}
		n++
		tag := ""
		if strings.HasPrefix(cells[0], "Tag=") {
			tag, cells = cells[0][4:], cells[1:]
		}
		h, err := Decode(cells[3])
		if err != nil || len(cells) != 4 {
			t.Fatalf("line %q: %v", line, err)
		}
		if tag == "response" && h.Count() != r.Response.Count {
			t.Errorf("%d values came back of %d", h.Count(), r.Response.Count)
		}
	}
	if n != 10+2+2*2+1 {
		t.Errorf("%d histograms", n)
	}
}

func TestPrometheusLinesAreWellFormed(t *testing.T) {
	t.Parallel()
	sample := regexp.MustCompile(`^prism_load_[a-z_]+\{workload="(\\.|[^"\\])*"(,[a-z]+="(\\.|[^"\\])*")*\} [0-9.e+-]+$`)
	got := write(t, busy(t), "prometheus")
	for line := range strings.Lines(got) {
		if line = strings.TrimSuffix(line, "\n"); !strings.HasPrefix(line, "#") && !sample.MatchString(line) {
			t.Errorf("%q", line)
		}
	}
	if !strings.Contains(got, `clock="response",quantile="0.99"} 0.003`) || !strings.Contains(got, "prism_load_passed") {
		t.Errorf("got\n%s", got)
	}
}

func TestFormatsAreToldByTheirName(t *testing.T) {
	t.Parallel()
	for path, want := range map[string]string{"a/b.JSON": "json", "x.html": "html", "y.xml": "junit", "z.hdr": "hdr", "p.prom": "prometheus", "t.txt": "text", "none": "", "a.doc": ""} {
		if got, err := FormatOf(path); got != want || (err == nil) != (want != "") {
			t.Errorf("%s: got %q, %v", path, got, err)
		}
	}
	if err := full(t).Write(io.Discard, "pdf"); err == nil {
		t.Error("an unknown format was written")
	}
}

func TestTextDrawsTheRunAndItsMessages(t *testing.T) {
	t.Parallel()
	got := write(t, busy(t), "text")
	for _, want := range []string{"response time over the run, ms: * p99, . p50", "***", "messages", "latency of messages", "fault "} {
		if !strings.Contains(got, want) {
			t.Errorf("the text has no %q:\n%s", want, got)
		}
	}
}
