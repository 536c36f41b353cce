package loadtest

import (
	"cmp"
	"strings"
	"testing"
	"time"

	"github.com/prism-data-layer/prism/loadtest/report"
	"github.com/prism-data-layer/prism/pkg/iostreams"
)

func snapshots(l *live, n int) (last []string) {
	for i := range n {
		last = l.frame(report.Snapshot{
			Phase: report.Running, Elapsed: time.Duration(i) * 250 * time.Millisecond, Remaining: 7 * time.Second,
			TargetRPS: 100, RecentRPS: float64(i % 8 * 10), OK: uint64(i),
		})
	}
	return last
}

func TestFrameFitsTheTerminalAndShowsAMinute(t *testing.T) {
	t.Parallel()
	for _, width := range []int{0, 1, 10, 40, 80, 200} {
		ios, _, _, errOut := iostreams.Test()
		ios.SetTTY(true, width > 0, true) // 0: the report goes to a file
		ios.SetSize(width, 24)
		l := newLive(ios, 10)
		l.show(report.Snapshot{Phase: report.Preparing})
		for i := range 1000 {
			l.show(report.Snapshot{Phase: report.Running, Elapsed: time.Duration(i) * 250 * time.Millisecond, RecentRPS: 50, TargetRPS: 50})
		}
		if n := len(l.past); n > 242 {
			t.Errorf("%d points are kept; want a minute's", n)
		}
		l.clear()
		for _, frame := range strings.Split(errOut.String(), "\x1b[J") {
			for _, line := range strings.Split(frame, "\n") {
				line, _, _ = strings.Cut(strings.TrimSuffix(line, "\r"), "\x1b[")
				if n := len([]rune(line)); n >= cmp.Or(width, 80) {
					t.Fatalf("a line of %d on a terminal of %d: %q", n, width, line)
				}
			}
		}
		if !strings.HasSuffix(errOut.String(), "\x1b[J") {
			t.Errorf("the last frame was left on the screen")
		}
	}
}

func TestFrameShowsWhatIsWatchedIn60Columns(t *testing.T) {
	t.Parallel()
	ios, _, _, _ := iostreams.Test()
	ios.SetTTY(true, true, true)
	ios.SetSize(60, 24)
	got := newLive(ios, 1).frame(report.Snapshot{
		Phase: report.Running, Elapsed: 3 * time.Second, Remaining: 7 * time.Second, TargetRPS: 5000, RecentRPS: 4998, OK: 14990, Failed: 2,
		InFlight: 9, Backlog: 3, Dropped: 1,
		Total: report.Percentiles{P50: 790 * time.Microsecond, P95: 3 * time.Millisecond, P99: 10 * time.Millisecond, Max: 22 * time.Millisecond},
	})
	want := "running   3s, 7s left  4998/s of 5000/s\nok 14990  failed 2  in flight 9  waiting 3  dropped 1\np50 790us  p95 3ms  p99 10ms  max 22ms\nrate █"
	if strings.Join(got, "\n") != want {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), want)
	}
}

func TestSparklineDegradesToASCII(t *testing.T) {
	t.Parallel()
	ios, _, _, _ := iostreams.Test()
	ios.SetTTY(true, true, true)
	ios.SetSize(80, 24)
	if got := snapshots(newLive(ios, 1), 16)[3]; !strings.HasPrefix(got, "rate ▁") || !strings.Contains(got, "█") {
		t.Errorf("got %q", got)
	}
	ios.SetEnv(map[string]string{"LANG": "C"})
	if got := snapshots(newLive(ios, 1), 16)[3]; !strings.Contains(got, "#") || strings.ContainsAny(got, "▁█") {
		t.Errorf("got %q", got)
	}
}

func TestNoTerminalGetsLines(t *testing.T) {
	t.Parallel()
	ios, _, _, errOut := iostreams.Test()
	l := newLive(ios, 10)
	l.show(report.Snapshot{Phase: report.Preparing})
	for i := range 100 {
		l.show(report.Snapshot{Phase: report.Running, Elapsed: time.Duration(i) * 250 * time.Millisecond, RecentRPS: 50})
	}
	l.clear()
	if got := errOut.String(); strings.Count(got, "\n") != 5 || strings.Contains(got, "\x1b") {
		t.Errorf("in 25 s: %q; want what is set and four lines", got)
	}
}
