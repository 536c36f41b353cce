package ts_test

import (
	"context"
	"fmt"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc/metadata"

	"github.com/prism-data-layer/prism/pkg/cli"
	"github.com/prism-data-layer/prism/pkg/cli/clitest"
	"github.com/prism-data-layer/prism/pkg/clock"
	"github.com/prism-data-layer/prism/pkg/prism"
	timeseriesv1 "github.com/prism-data-layer/prism/proto/prism/timeseries/v1"
)

func TestMain(m *testing.M) { os.Exit(clitest.Main(m)) }

// hostile is a text that tries to move a cursor.
const hostile = "a\x1b[31mred\x07\nsecond line"

func rig(t *testing.T) *clitest.Rig {
	r := clitest.New(t)
	r.Each = func() {
		r.Refresh()
		at := r.Gateway.Now().Add(-time.Hour).UnixNano()
		r.Gateway.Series.Put(
			&timeseriesv1.Event{TimeNs: at, EventType: "cron\x1b[2J", Source: hostile, Dimensions: map[string]string{"host\x1b": hostile}, Metrics: map[string]float64{"ms\x07": 0.25}, Payload: []byte(hostile)},
			&timeseriesv1.Event{TimeNs: at + 1, EventType: "cron", Payload: []byte("\xff\x00"), EventId: "once"},
		)
	}
	r.Each()
	return r
}

func TestWhatIsPrinted(t *testing.T) {
	r := rig(t)
	good := r.Write("good.csv", "time,type,source,dim.host,metric.ms\n2026-03-01T11:00:00Z,http_request,web-1,a,1.5\n2026-03-01T11:00:01.5Z,http_request,,b,\n")
	bad := r.Write("bad.csv", "time,type,metric.ms\n2026-03-01T11:00:00Z,http_request,1\nyesterday,http_request,2\n2026-03-01T11:00:01Z,bad,3\n2026-03-01T11:00:02Z,http_request,4\n")
	odd := r.Write("odd.csv", "time,type,host,ms\n")
	for name, args := range map[string][]string{
		"append":                {"ts", "append", "--type", "http_request", "--source", "web-1", "--dim", "route=/cart", "--metric", "ms=12.5", "--id", "a"},
		"append-json":           {"ts", "append", "--type", "http_request", "--time", "2026-03-01T00:00:00.000000001Z", "-o", "json"},
		"append-dry":            {"ts", "append", "--type", "http_request", "--dry-run"},
		"append-nothing":        {"ts", "append"},
		"append-rejected":       {"ts", "append", "--type", "bad"},
		"append-dim":            {"ts", "append", "--type", "t", "--dim", "host"},
		"append-metric":         {"ts", "append", "--type", "t", "--metric", "ms=fast"},
		"append-time":           {"ts", "append", "--type", "t", "--time", "1772366400"},
		"append-time-unit":      {"ts", "append", "--type", "t", "--time-unit", "h"},
		"append-nowhere":        {"ts", "append", "--type", "t", "-n", "orders"},
		"append-both":           {"ts", "append", "--file", good, "--id", "a"},
		"append-file-flag":      {"ts", "append", "--type", "t", "--dims", "host"},
		"import":                {"ts", "append", "--file", good},
		"import-json":           {"ts", "append", "--file", good, "-o", "json"},
		"import-async":          {"ts", "append", "--file", good, "--async"},
		"import-dry":            {"ts", "append", "--file", good, "--dry-run"},
		"import-stops":          {"ts", "append", "--file", bad},
		"import-skips":          {"ts", "append", "--file", bad, "--skip-invalid"},
		"import-skips-json":     {"ts", "append", "--file", bad, "--skip-invalid", "-o", "json"},
		"import-odd":            {"ts", "append", "--file", odd},
		"import-no-such-column": {"ts", "append", "--file", odd, "--dims", "host", "--metrics", "ms,bytes"},
		"import-format":         {"ts", "append", "--file", "events.txt"},
		"import-absent":         {"ts", "append", "--file", "absent.csv"},
		"import-nowhere":        {"ts", "append", "--file", good, "-n", "orders"},
		"query":                 {"ts", "query", "--limit", "4"},
		"query-wide":            {"ts", "query", "--type", "cron", "-o", "wide"},
		"query-json":            {"ts", "query", "--limit", "2", "-o", "json"},
		"query-csv":             {"ts", "query", "--limit", "3", "--type", "http_request", "-o", "csv"},
		"query-where":           {"ts", "query", "--where", "host=web-1,web-3", "--where", "route^=/c", "--where", "!user", "--descending", "-q"},
		"query-since":           {"ts", "query", "--since", "1m", "--source", "web-2"},
		"query-none":            {"ts", "query", "--where", "nothing"},
		"query-operator":        {"ts", "query", "--where", "ms>5"},
		"query-regexp":          {"ts", "query", "--where", "host=~web"},
		"query-no-name":         {"ts", "query", "--where", "=web"},
		"query-range":           {"ts", "query", "--since", "1h", "--start", "2h"},
		"query-empty-range":     {"ts", "query", "--start", "1h", "--end", "2h"},
		"query-time":            {"ts", "query", "--start", "yesterday"},
		"query-nowhere":         {"ts", "query", "-n", "orders"},
		"aggregate":             {"ts", "aggregate", "--bucket", "1m", "--by", "host,type", "--select", "count, avg(ms), p95(ms), max(other)"},
		"aggregate-json":        {"ts", "aggregate", "--since", "2m", "--bucket", "1m", "--by", "host", "--select", "count,avg(ms),max(other)", "-o", "json"},
		"aggregate-csv":         {"ts", "aggregate", "--bucket", "1m", "--by", "source,dim.type", "--type", "http_request", "--select", "count,avg(ms)", "-o", "csv"},
		"aggregate-fill":        {"ts", "aggregate", "--since", "5m", "--bucket", "1m", "--fill", "empty", "--select", "count, sum(ms)", "-o", "wide"},
		"aggregate-sort":        {"ts", "aggregate", "--by", "host", "--select", "count,avg(ms)", "--sort-by", "-avg(ms)", "--limit", "1"},
		"aggregate-verbose":     {"ts", "aggregate", "-v"},
		"aggregate-hostile":     {"ts", "aggregate", "--by", "host\x1b"},
		"aggregate-function":    {"ts", "aggregate", "--select", "count, agv(ms)"},
		"aggregate-no-metric":   {"ts", "aggregate", "--select", "avg"},
		"aggregate-open":        {"ts", "aggregate", "--select", "avg(ms"},
		"aggregate-twice":       {"ts", "aggregate", "--select", "count,count"},
		"aggregate-fill-word":   {"ts", "aggregate", "--bucket", "1m", "--fill", "nothing"},
		"aggregate-fill-range":  {"ts", "aggregate", "--bucket", "1m", "--fill", "zero"},
		"aggregate-sort-field":  {"ts", "aggregate", "--sort-by", "p95(ms)"},
		"aggregate-nowhere":     {"ts", "aggregate", "-n", "orders"},
		"info":                  {"ts", "info"},
		"info-json":             {"ts", "info", "-o", "json"},
	} {
		t.Run(name, func(t *testing.T) { r.Golden(name, args...) })
	}
}

func TestWhatAQueryPrintsCanBeAppendedAgain(t *testing.T) {
	r := rig(t)
	lines := r.OK("ts", "query", "--all", "-o", "jsonl")
	want := r.Gateway.Series.Events()
	r.Gateway.Series.Clear()
	r.Stdin = lines
	r.OK("ts", "append", "--file", "-", "--format", "jsonl")
	if got := r.Gateway.Series.Events(); fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("got %v\nwant %v", got, want)
	}
}

func TestNoFormatLetsANameReachATerminalUnescaped(t *testing.T) {
	r := rig(t)
	r.TTY = true
	r.Env["NO_COLOR"] = "1"
	for _, format := range []string{"table", "wide", "json", "jsonl", "yaml", "name", "csv", "jsonpath={[*].dimensions}", "go-template={{range .}}{{.type}}{{.dimensions}}{{end}}", "custom-columns=T:.type,D:.dimensions"} {
		for _, args := range [][]string{{"ts", "query"}, {"ts", "aggregate", "--by", "type,host\x1b", "--select", "count,avg(ms\x07)"}} {
			for _, c := range r.OK(append(args, "-o", format)...) {
				if c < ' ' && c != '\n' && c != '\t' || c >= 0x7f && c < 0xa0 {
					t.Errorf("%s -o %s: %U reached the terminal", args[1], format, c)
				}
			}
		}
	}
}

func TestAQueryThatIsCutOffGoesOn(t *testing.T) {
	r := rig(t)
	want := r.OK("ts", "query", "--all", "-o", "jsonl")
	r.Gateway.Series.Cut = 4
	r.Prepare = func(f *cli.Factory) { f.Clock = clock.Real() } // which it waits by
	got := r.Run("ts", "query", "--all", "-o", "jsonl")
	if got.Out != want || got.Code != 0 || !strings.Contains(got.ErrOut, "the gateway is back; going on") {
		t.Errorf("exit %d, %s\ngot  %s\nwant %s", got.Code, got.ErrOut, got.Out, want)
	}
}

func TestRejectionsOfLaterBatchesNameTheirLines(t *testing.T) {
	r := rig(t)
	r.Gateway.Series.Clear()
	var b strings.Builder
	b.WriteString("time,type,payload\n")
	want := ""
	for i := range 40_000 { // more than two batches
		switch {
		case i%10_000 == 7:
			fmt.Fprintf(&b, "\n%d,a,\"on two\nlines\"\n", i+1) // its lines are not one per event
		case i%10_000 == 9_999:
			line := strings.Count(b.String(), "\n") + 1
			want += fmt.Sprintf("/home/ann/events.csv:%d: event_type must not be bad\n", line)
			fmt.Fprintf(&b, "%d,bad,\n", i+1)
		default:
			fmt.Fprintf(&b, "%d,a,\n", i+1)
		}
	}
	file := r.Write("events.csv", b.String())
	got := r.Run("ts", "append", "--file", file, "--time-unit", "s", "--skip-invalid")
	if got.Code != 8 || got.Out != "sent 40000 events to timeseries: 39996 stored, 0 duplicates, 4 rejected\n" {
		t.Errorf("exit %d, %s", got.Code, got.Out)
	}
	for _, l := range strings.SplitAfter(want, "\n") { // batches are answered in any order
		if !strings.Contains(got.ErrOut, l) {
			t.Errorf("got\n%s\nwant\n%s", got.ErrOut, want)
		}
	}
	if n := len(r.Gateway.Series.Events()); n != 39_996 {
		t.Errorf("%d events are stored, want 39,996", n)
	}
}

func TestEventsWithAnIdAreStoredOnce(t *testing.T) {
	r := rig(t)
	file := r.Write("events.csv", "time,type,id\n1,a,x\n2,a,y\n3,a,x\n")
	for _, want := range []string{"2 stored, 1 duplicate, 0 rejected", "0 stored, 3 duplicates, 0 rejected"} {
		if out := r.OK("ts", "append", "--file", file, "--time-unit", "s"); !strings.Contains(out, want) {
			t.Errorf("got %q, want %q", out, want)
		}
	}
}

func TestWhoMayWriteButNotReadCanImport(t *testing.T) {
	r := rig(t)
	r.Gateway.Fail = func(method string, _ metadata.MD) error {
		if strings.HasSuffix(method, "/DescribeSeries") {
			return prism.New(prism.ReasonPermissionDenied, "you may not read")
		}
		return nil
	}
	file := r.Write("events.csv", "time,type\n1,a\n")
	r.OK("ts", "append", "--file", file, "--time-unit", "s")
}

func TestAnImportThatTheGatewayRefusesSaysWhy(t *testing.T) {
	r := rig(t)
	r.Gateway.Fail = func(method string, _ metadata.MD) error {
		if strings.HasSuffix(method, "/StreamEvents") {
			return prism.New(prism.ReasonPermissionDenied, "you may not write")
		}
		return nil
	}
	file := r.Write("events.csv", "time,type\n1,a\n")
	r.Want(4, []string{"you may not write"}, "ts", "append", "--file", file, "--time-unit", "s")
}

func TestAnInterruptedImportTellsWhatIsStored(t *testing.T) {
	r := rig(t)
	ctx, interrupt := context.WithCancelCause(t.Context())
	r.Context = ctx
	interrupt(cli.Interrupt{})
	file := r.Write("events.csv", "time,type\n1,a\n")
	got := r.Run("ts", "append", "--file", file, "--time-unit", "s")
	if got.Code != 130 {
		t.Errorf("exit %d, want 130\n%s%s", got.Code, got.Out, got.ErrOut)
	}
}

func TestWithoutAGatewayAnImportFailsAtOnce(t *testing.T) {
	r := clitest.Offline(t)
	file := r.Write("events.csv", "time,type\n1,a\n")
	r.Want(6, []string{"cannot reach the gateway"}, "ts", "append", "--file", file, "--time-unit", "s")
	r.OK("ts", "append", "--file", file, "--time-unit", "s", "--dry-run") // needs none
}

func TestARejectionEndsAnImportThatIsUnderWay(t *testing.T) {
	r := rig(t)
	const events = 300_000 // more than may be under way
	file := r.Write("events.csv", "time,type\n1,bad\n"+strings.Repeat("2,a\n", events-1))
	got := r.Run("ts", "append", "--file", file, "--time-unit", "s", "-o", "json", "--jq", ".sent")
	if sent, err := strconv.Atoi(strings.TrimSpace(got.Out)); err != nil || sent >= events || got.Code != 8 {
		t.Errorf("exit %d, sent %s of %d\n%s", got.Code, got.Out, events, got.ErrOut)
	}
}
