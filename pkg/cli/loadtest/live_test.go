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
				line = strings.TrimSuffix(strings.TrimSuffix(line, "\x1b[1A\r"), "\r")
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

func TestSparklineDegradesToASCII(t *testing.T) {
	t.Parallel()
	ios, _, _, _ := iostreams.Test()
	ios.SetTTY(true, true, true)
	ios.SetSize(80, 24)
	if got := snapshots(newLive(ios, 1), 16)[1]; !strings.HasPrefix(got, "7s left  ▁") || !strings.Contains(got, "█") {
		t.Errorf("got %q", got)
	}
	ios.SetEnv(map[string]string{"LANG": "C"})
	if got := snapshots(newLive(ios, 1), 16)[1]; !strings.Contains(got, "#") || strings.ContainsAny(got, "▁█") {
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
