package loadtest

import (
	"fmt"
	"strings"
	"time"

	"github.com/prism-data-layer/prism/loadtest/report"
	"github.com/prism-data-layer/prism/pkg/cli"
	"github.com/prism-data-layer/prism/pkg/iostreams"
)

// lineEvery is how often a line is printed where nothing can be redrawn.
const lineEvery = 5 * time.Second

// sparkSpan is how much of the past the picture of the rate shows.
const sparkSpan = time.Minute

// A live display shows a run while it goes on, on ErrOut: redrawn in place on a
// terminal, a line now and then everywhere else. The load generator calls it at
// most four times a second.
type live struct {
	io    *iostreams.IOStreams
	keys  uint64
	plain func(report.Snapshot) // nil: redrawn
	past  []point
	drawn int // lines on the screen
}

// width is the terminal's. Where the report goes to a file it is not known.
func (l *live) width() int {
	if w := l.io.Width(); w > 0 {
		return w
	}
	return 80
}

// A point is the rate that was answered at a time.
type point struct {
	at   time.Duration
	rate float64
}

func newLive(ios *iostreams.IOStreams, keys uint64) *live {
	l := &live{io: ios, keys: keys}
	if !ios.Animated() {
		l.plain = report.Lines(ios.ErrOut, lineEvery)
	}
	return l
}

func (l *live) show(s report.Snapshot) {
	if l.plain != nil {
		if s.Phase == report.Preparing {
			fmt.Fprintln(l.io.ErrOut, l.preparing())
			return
		}
		l.plain(s)
		return
	}
	l.draw(l.frame(s))
}

func (l *live) preparing() string {
	if l.keys == 0 {
		return "preparing"
	}
	return "setting " + cli.Plural(int64(l.keys), "key")
}

// frame is what a terminal shows of s.
func (l *live) frame(s report.Snapshot) []string {
	if s.Phase == report.Preparing {
		return []string{l.preparing() + " …"}
	}
	l.past = append(l.past, point{s.Elapsed, s.RecentRPS})
	for len(l.past) > 0 && l.past[0].at < s.Elapsed-sparkSpan {
		l.past = l.past[1:]
	}
	rate := fmt.Sprintf("%.0f/s", s.RecentRPS)
	if s.TargetRPS > 0 {
		rate += fmt.Sprintf(" of %.0f/s", s.TargetRPS)
	}
	counts := fmt.Sprintf("ok %d  failed %d  in flight %d", s.OK, s.Failed, s.InFlight)
	if s.Backlog > 0 {
		counts += fmt.Sprintf("  waiting %d", s.Backlog)
	}
	if s.Dropped > 0 {
		counts += fmt.Sprintf("  dropped %d", s.Dropped)
	}
	t := s.Total
	return []string{
		fmt.Sprintf("%-9s %.0fs, %.0fs left  %s", s.Phase, s.Elapsed.Seconds(), s.Remaining.Seconds(), rate),
		counts,
		fmt.Sprintf("p50 %s  p95 %s  p99 %s  max %s", cli.Duration(t.P50), cli.Duration(t.P95), cli.Duration(t.P99), cli.Duration(t.Max)),
		"rate " + l.spark(max(l.width()-len("rate ")-1, 0)),
	}
}

// spark draws the last minute's rates, the newest at the right, each column the
// mean of its share, as tall as the highest.
func (l *live) spark(width int) string {
	ramp := []rune("▁▂▃▄▅▆▇█")
	if !l.io.UTF8() {
		ramp = []rune("_.-=*#")
	}
	width = min(width, len(l.past), 60)
	if width <= 0 {
		return ""
	}
	means := make([]float64, width)
	highest := 0.0
	for i := range means {
		from, to := i*len(l.past)/width, (i+1)*len(l.past)/width
		for _, p := range l.past[from:to] {
			means[i] += p.rate / float64(to-from)
		}
		highest = max(highest, means[i])
	}
	var b strings.Builder
	for _, m := range means {
		at := 0
		if highest > 0 {
			at = min(int(m/highest*float64(len(ramp))), len(ramp)-1)
		}
		b.WriteRune(ramp[at])
	}
	return b.String()
}

// draw puts lines in place of those drawn before, cut to the width so that none
// wraps.
func (l *live) draw(lines []string) {
	var b strings.Builder
	b.WriteString(l.home())
	width := l.width()
	for i, line := range lines {
		if r := []rune(line); len(r) >= width {
			line = string(r[:width-1])
		}
		if i > 0 {
			b.WriteByte('\n')
		}
		b.WriteString(line)
	}
	l.drawn = len(lines)
	fmt.Fprint(l.io.ErrOut, b.String())
}

// home goes back to where the last frame began and erases it.
func (l *live) home() string {
	if l.drawn == 0 {
		return ""
	}
	up := ""
	if l.drawn > 1 {
		up = fmt.Sprintf("\x1b[%dA", l.drawn-1)
	}
	return up + "\r\x1b[J"
}

// clear leaves the screen as it was.
func (l *live) clear() {
	fmt.Fprint(l.io.ErrOut, l.home())
	l.drawn = 0
}
