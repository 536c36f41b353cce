// Package gauge is a panel of charts over the same span of time, each with its
// name, its present value and its scale: what happened in the last minute, on a
// page's head.
package gauge

import (
	"fmt"
	"math"
	"strings"
	"time"

	"github.com/prism-data-layer/prism/tui/component/chart"
	"github.com/prism-data-layer/prism/tui/component/figure"
	"github.com/prism-data-layer/prism/tui/component/pane"
	"github.com/prism-data-layer/prism/tui/component/rates"
	"github.com/prism-data-layer/prism/tui/component/text"
	"github.com/prism-data-layer/prism/tui/theme"
)

// window is the least that the charts show.
const window = time.Minute

// A Gauge is how one series is written.
type Gauge struct {
	Label string
	Least float64 // the smallest top of the scale
	Role  theme.Role
	Quiet bool // all zero is no news: then it is faint
	Scale func(float64) string
}

// A Value is one sample: what is drawn, NaN where it is not known, and what is
// written beside the chart.
type Value struct {
	Of   float64
	Text string
}

// A Panel is gauges in two halves.
type Panel struct {
	Title       string
	left, right []Gauge
	every       time.Duration
	charset     theme.Charset

	series []chart.Series // of left, then right
	shown  []string
	drawn  time.Time // up to when the series reach
}

// New makes a panel that is given a sample every interval.
func New(title string, every time.Duration, c theme.Charset, left, right []Gauge) *Panel {
	n := len(left) + len(right)
	p := &Panel{Title: title, left: left, right: right, every: every, charset: c, series: make([]chart.Series, n), shown: make([]string, n)}
	for i := range p.shown {
		p.shown[i] = figure.None
	}
	return p
}

// Add takes the sample of now, one value a gauge; what is missing is not
// known.
func (p *Panel) Add(now time.Time, values []Value) {
	p.Pass(now)
	p.sample(values)
	p.drawn = now
}

// Begin says that the first answer came, of which there are no rates yet.
func (p *Panel) Begin(now time.Time) { p.drawn = now }

// Pass leaves a hole in the charts for each interval in which nothing came, so
// that a column is always the same length of time.
func (p *Panel) Pass(now time.Time) {
	if p.drawn.IsZero() || now.Sub(p.drawn) > p.every*chart.Samples {
		p.drawn = now
	}
	for now.Sub(p.drawn) > p.every+p.every/2 {
		for i := range p.series {
			p.series[i].Add(math.NaN())
		}
		p.drawn = p.drawn.Add(p.every)
	}
}

func (p *Panel) sample(values []Value) {
	for i := range p.series {
		v := Value{math.NaN(), figure.None}
		if i < len(values) {
			v = values[i]
		}
		p.series[i].Add(v.Of)
		p.shown[i] = v.Text
	}
}

// Columns are the newest samples of a gauge, one an interval.
func (p *Panel) Columns(i, n int) []float64 { return p.series[i].Columns(1, n) }

// The columns of a gauge: its name and value, the chart, the top of its scale.
const (
	labelCells = 6
	valueCells = 8
	scaleCells = 7
	gapCells   = 2
)

// A State is what the title says beside the span of time.
type State struct {
	Live   bool   // the values are of now
	Remark string // "measuring…"
	Failed string // why there are no values
}

// View draws the panel on a page of that size: three lines and a title, more
// where there is room.
func (p *Panel) View(th theme.Theme, width, height int, s State) []string {
	rows := 3
	switch {
	case height >= 50:
		rows = 9
	case height >= 30:
		rows = 6
	}
	half := (width - gapCells) / 2
	cells := max(half-labelCells-valueCells-scaleCells-2, 1)
	columns := cells * chart.PerCell(p.charset)
	group := chart.Group(p.every, window, columns)
	span := (time.Duration(columns*group) * p.every).Round(time.Second)

	title, role := p.Title+" · last "+spanText(span), theme.Plain
	if p.every*time.Duration(group) > time.Second {
		title += " · highest of each " + spanText(p.every*time.Duration(group))
	}
	switch {
	case s.Failed != "":
		title, role = p.Title+" · ✗ "+s.Failed, theme.Bad
	case s.Remark != "":
		title += " · " + s.Remark
	}
	out := []string{pane.Rule(th, title, role, width, false)}
	side := func(of []Gauge, first int) []string {
		var lines []string
		for i, h := range heights(rows, len(of)) {
			lines = append(lines, p.gauge(th, of[i], first+i, cells, columns, group, h, s.Live)...)
		}
		return lines
	}
	left, right := side(p.left, 0), side(p.right, len(p.left))
	for i := range left {
		out = append(out, left[i]+strings.Repeat(" ", gapCells)+right[i])
	}
	if height >= 20 && cells >= 10 {
		axis := strings.Repeat(" ", labelCells+valueCells+1) + text.Edges("-"+spanText(span), "now", cells) + strings.Repeat(" ", scaleCells+1)
		out = append(out, th.Paint(theme.Faint, axis+strings.Repeat(" ", gapCells)+strings.TrimRight(axis, " ")))
	}
	return out
}

// heights shares the lines of a half among its gauges, one to three; of two the
// first has more.
func heights(rows, n int) []int {
	low := rows / 3
	switch n {
	case 1:
		return []int{rows}
	case 2:
		return []int{rows - low - rows/6, low + rows/6}
	}
	return []int{low, low, rows - 2*low}
}

func spanText(d time.Duration) string {
	if d >= 2*time.Minute {
		return fmt.Sprintf("%dm%02ds", d/time.Minute, d%time.Minute/time.Second)
	}
	return fmt.Sprintf("%ds", d/time.Second)
}

// gauge draws one series with its value and scale, in exactly height lines.
func (p *Panel) gauge(th theme.Theme, g Gauge, i, cells, columns, group, height int, live bool) []string {
	values := p.series[i].Columns(group, columns)
	if chart.Max(values) == 0 {
		// Idle is a line across: one that grew for a minute would be written
		// to the terminal each second, and says no more.
		values = append(make([]float64, columns-len(values)), values...)
	}
	top := chart.Ceiling(chart.Max(values), g.Least)
	area := chart.Draw(values, top, cells, height, p.charset)
	lines := make([]string, height)
	for row := range lines {
		label, value, scale := "", "", ""
		if row == 0 {
			label, value, scale = g.Label, p.shown[i], g.Scale(top)
		}
		if row == height-1 && row > 0 {
			scale = "0"
		}
		role := g.Role
		if g.Quiet && !(chart.Max(values) > 0) {
			role = theme.Faint // no errors are no alarm
		}
		now := theme.Title
		if !live {
			now = theme.Faint // it was so
		}
		lines[row] = text.Fit(label, labelCells) + th.Paint(now, text.FitRight(value, valueCells)) + " " +
			th.Paint(role, area[row]) + " " + th.Paint(theme.Faint, text.Fit(scale, scaleCells))
	}
	return lines
}

// Millis writes a number of milliseconds as a latency.
func Millis(v float64) string {
	return figure.Latency(time.Duration(v * float64(time.Millisecond)))
}

// Time is the value of a latency; not known when it is not.
func Time(d time.Duration, known bool) Value {
	if !known {
		return Value{math.NaN(), figure.None}
	}
	return Value{float64(d) / float64(time.Millisecond), figure.Latency(d)}
}

// Traffic is a panel of what callers did: requests and errors a second, and
// how long they took.
func Traffic(every time.Duration, c theme.Charset) *Panel {
	return New("Traffic", every, c,
		[]Gauge{{"req/s", 10, theme.Accent, false, figure.Rate}, {"err/s", 1, theme.Bad, true, figure.Rate}},
		[]Gauge{{"p50", 0.1, theme.Good, false, Millis}, {"p95", 0.1, theme.Good, false, Millis}, {"p99", 0.1, theme.Warn, false, Millis}})
}

// Sample is a rate as values for Traffic.
func Sample(r rates.Rate) []Value {
	none := Value{math.NaN(), figure.None}
	v := []Value{none, none, Time(r.P50, r.Timed), Time(r.P95, r.Timed), Time(r.P99, r.Timed)}
	if r.Known {
		v[0], v[1] = Value{r.PerSecond, figure.Rate(r.PerSecond)}, Value{r.Errors, figure.Rate(r.Errors)}
	}
	if r.Timed && r.Over {
		v[4].Text = ">" + v[4].Text
	}
	return v
}
