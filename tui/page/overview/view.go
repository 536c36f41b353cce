package overview

import (
	"fmt"
	"strings"
	"time"

	"github.com/prism-data-layer/prism/pkg/prism"
	"github.com/prism-data-layer/prism/tui/component/chart"
	"github.com/prism-data-layer/prism/tui/component/feed"
	"github.com/prism-data-layer/prism/tui/component/figure"
	"github.com/prism-data-layer/prism/tui/component/text"
	"github.com/prism-data-layer/prism/tui/theme"
)

// window is the least that the charts show.
const window = time.Minute

// View draws the page into its place: never more lines than its height, never
// more cells than its width.
func (m *Model) View() string {
	var lines []string
	if m.last == nil {
		lines = m.waiting()
	} else {
		lines = m.gauges()
		lines = append(lines, m.lists(m.height-len(lines))...)
	}
	if len(lines) > m.height {
		lines = lines[:max(m.height, 0)]
	}
	return strings.Join(lines, "\n")
}

// waiting is the page before there is any data.
func (m *Model) waiting() []string {
	say := []string{"connecting to the gateway…"}
	if err := m.feed.Err(); err != nil {
		what, why, fix := Explain(err)
		say = []string{m.theme.Paint(theme.Bad, text.Center("✗ "+what, m.width))}
		if why != "" {
			say = append(say, text.Center(why, m.width))
		}
		say = append(say, "", text.Center(m.Countdown(), m.width))
		if fix != "" {
			say = append(say, text.Center(fix, m.width))
		}
	} else if m.feed.State(m.now) == feed.Paused {
		say = []string{text.Center("paused before any data came: p goes on", m.width)}
	} else {
		say[0] = text.Center(say[0], m.width)
	}
	top := max((m.height-len(say))/2, 0)
	return append(make([]string, top), say...)
}

// Countdown says when the gateway is asked again.
func (m *Model) Countdown() string {
	if m.feed.Paused() {
		return "paused: p goes on"
	}
	if d := m.feed.Retry(m.now); !m.feed.Asking() && d > 0 {
		return fmt.Sprintf("next attempt in %s", d)
	}
	return "trying again…"
}

// Explain is an error for a screen: what, why, and what to run; each clean and
// on one line.
func Explain(err error) (what, why, fix string) {
	e := prism.From(err)
	what = text.Clean(e.Message)
	if e.Err != nil && !strings.Contains(e.Message, e.Err.Error()) {
		why = text.Clean(e.Err.Error())
	}
	if e.Reason == prism.ReasonInternal && e.Message == "internal error" || what == "" {
		what, why = text.Clean(err.Error()), ""
	}
	if e.Reason == prism.ReasonUnavailable {
		return what, why, "start one: prismctl dev up    look closer: prismctl health"
	}
	return what, why, text.Clean(e.Reason.Info().Fix)
}

// rule is a line with a title in it.
func (m *Model) rule(title string, role theme.Role, focused bool) string {
	dash, lead := "─", "── "
	if focused {
		dash, lead = "━", "━▶ "
	}
	title = text.Cut(title, m.width-len("── ")-1)
	rest := m.width - text.Width(lead) - text.Width(title) - 1
	if role == theme.Plain && focused {
		role = theme.Title
	}
	line := theme.Faint
	if focused {
		line = theme.Accent
	}
	return m.theme.Paint(line, lead) + m.theme.Paint(role, title) + m.theme.Paint(line, " "+strings.Repeat(dash, max(rest, 0)))
}

// A gauge is how one series is written.
type gauge struct {
	label string
	least float64 // the smallest top of the scale
	role  theme.Role
	value func(*Model) string
	scale func(float64) string
}

func gaugeTable() [gauges]gauge {
	millis := func(v float64) string { return figure.Latency(time.Duration(v * float64(time.Millisecond))) }
	quantile := func(of int) func(*Model) string {
		return func(m *Model) string {
			r := m.change.Total
			if !r.Timed {
				return figure.None
			}
			over := ""
			if of == gaugeP99 && r.Over {
				over = ">"
			}
			return over + figure.Latency([...]time.Duration{r.P50, r.P95, r.P99}[of-gaugeP50])
		}
	}
	rate := func(of int) func(*Model) string {
		return func(m *Model) string {
			r := m.change.Total
			if !r.Known {
				return figure.None
			}
			return figure.Rate([...]float64{r.PerSecond, r.Errors}[of])
		}
	}
	return [gauges]gauge{
		{"req/s", 10, theme.Accent, rate(gaugeRequests), figure.Rate},
		{"err/s", 1, theme.Bad, rate(gaugeErrors), figure.Rate},
		{"p50", 0.1, theme.Good, quantile(gaugeP50), millis},
		{"p95", 0.1, theme.Good, quantile(gaugeP95), millis},
		{"p99", 0.1, theme.Warn, quantile(gaugeP99), millis},
	}
}

// The columns of a gauge: its name and value, the chart, the top of its scale.
const (
	labelCells = 6
	valueCells = 8
	scaleCells = 7
	gapCells   = 2
)

// gauges draws the charts: rates at the left, latencies at the right, all with
// the same span of time.
func (m *Model) gauges() []string {
	rows := 3
	switch {
	case m.height >= 50:
		rows = 9
	case m.height >= 30:
		rows = 6
	}
	half := (m.width - gapCells) / 2
	cells := max(half-labelCells-valueCells-scaleCells-2, 1)
	columns := cells * chart.PerCell(m.opts.Charset)
	group := chart.Group(m.opts.Refresh, window, columns)
	span := (time.Duration(columns*group) * m.opts.Refresh).Round(time.Second)

	title := fmt.Sprintf("Traffic · last %s", spanText(span))
	if m.opts.Refresh*time.Duration(group) > time.Second {
		title += fmt.Sprintf(" · highest of each %s", spanText(m.opts.Refresh*time.Duration(group)))
	}
	role := theme.Plain
	if err := m.last.Problems[PartStats]; err != nil {
		what, _, _ := Explain(err)
		title, role = "Traffic · ✗ "+what, theme.Bad
	} else if !m.change.Total.Known && m.feed.State(m.now) == feed.Live {
		title += " · measuring…"
	}
	out := []string{m.rule(title, role, false)}

	all := gaugeTable()
	draw := func(i, height int) []string { return m.gauge(all[i], &m.series[i], cells, columns, group, height) }
	low := rows / 3
	left := append(draw(gaugeRequests, rows-low-rows/6), draw(gaugeErrors, low+rows/6)...)
	right := append(append(draw(gaugeP50, low), draw(gaugeP95, low)...), draw(gaugeP99, low)...)
	for i := range left {
		out = append(out, left[i]+strings.Repeat(" ", gapCells)+right[i])
	}
	if m.height >= 20 && cells >= 10 {
		axis := strings.Repeat(" ", labelCells+valueCells+1) + text.Edges("-"+spanText(span), "now", cells) + strings.Repeat(" ", scaleCells+1)
		axis = m.theme.Paint(theme.Faint, axis+strings.Repeat(" ", gapCells)+strings.TrimRight(axis, " "))
		out = append(out, axis)
	}
	return out
}

func spanText(d time.Duration) string {
	if d >= 2*time.Minute {
		return fmt.Sprintf("%dm%02ds", d/time.Minute, d%time.Minute/time.Second)
	}
	return fmt.Sprintf("%ds", d/time.Second)
}

// gauge draws one series with its value and scale, in exactly height lines.
func (m *Model) gauge(g gauge, s *chart.Series, cells, columns, group, height int) []string {
	values := s.Columns(group, columns)
	if chart.Max(values) == 0 {
		// Idle is a line across: one that grew for a minute would be written
		// to the terminal each second, and says no more.
		values = append(make([]float64, columns-len(values)), values...)
	}
	top := chart.Ceiling(chart.Max(values), g.least)
	area := chart.Draw(values, top, cells, height, m.opts.Charset)
	lines := make([]string, height)
	for i := range lines {
		label, value, scale := "", "", ""
		if i == 0 {
			label, value, scale = g.label, g.value(m), g.scale(top)
		}
		if i == height-1 && i > 0 {
			scale = "0"
		}
		role := g.role
		if g.label == "err/s" && !(chart.Max(values) > 0) {
			role = theme.Faint // no errors are no alarm
		}
		now := theme.Title
		if m.feed.State(m.now) != feed.Live {
			now = theme.Faint // it was so
		}
		lines[i] = text.Fit(label, labelCells) + m.theme.Paint(now, text.FitRight(value, valueCells)) + " " +
			m.theme.Paint(role, area[i]) + " " + m.theme.Paint(theme.Faint, text.Fit(scale, scaleCells))
	}
	return lines
}

// lists draws the panes below each other: the focused one gets the room that
// it needs, the others what is left, down to their titles alone.
func (m *Model) lists(room int) []string {
	heights := share(room, m.wants(), m.focus)
	var out []string
	for i := range m.panes {
		if heights[i] == 0 {
			continue
		}
		out = append(out, m.title(i))
		out = append(out, m.body(i, heights[i]-1)...)
	}
	return out
}

func (m *Model) wants() []int {
	wants := make([]int, len(m.panes))
	for i := range m.panes {
		p := &m.panes[i]
		wants[i] = 2 + max(p.table.Shown(), 1)
		if p.table.Len() == 0 {
			wants[i] = 1 + len(p.empty)
		}
		if p.problem != nil {
			wants[i]++
		}
	}
	return wants
}

// share divides room lines: 1 is a title, 2 and more a title, a header and
// rows.
func share(room int, wants []int, focus int) []int {
	const small = 4 // a title, a header and two rows
	got := make([]int, len(wants))
	for i := range got {
		if room > 0 {
			got[i] = 1
			room--
		}
	}
	grow := func(i, to int) {
		if more := min(to-got[i], room); more > 0 {
			got[i] += more
			room -= more
		}
	}
	grow(focus, min(wants[focus], 6))
	for i := range wants {
		if to := min(wants[i], small); room >= to-got[i] {
			grow(i, to)
		}
	}
	grow(focus, wants[focus])
	for i := range wants {
		if got[i] > 1 {
			grow(i, wants[i])
		}
	}
	return got // where all fits, the focus moves nothing
}

// title is the pane's line: number, name, count, what is not well, the filter.
func (m *Model) title(i int) string {
	p := &m.panes[i]
	s := fmt.Sprintf("%d %s %s", i+1, p.title, p.table.Count())
	if p.more > 0 {
		s += fmt.Sprintf(" of %s", figure.Count(p.more+int64(p.table.Len())))
	}
	role := theme.Plain
	if p.summary != "" {
		s, role = s+" · "+p.summary, p.role
	}
	if f := p.table.Filter(); f != "" {
		s += " · /" + f
	}
	return m.rule(s, role, i == m.focus)
}

// body draws the pane's rows, or why there are none.
func (m *Model) body(i, height int) []string {
	p := &m.panes[i]
	var out []string
	if p.problem != nil {
		what, _, _ := Explain(p.problem)
		out = append(out, m.theme.Paint(theme.Bad, "  "+text.Cut("✗ "+what, m.width-2)))
	}
	switch {
	case p.table.Len() == 0 && p.problem == nil:
		for _, l := range p.empty {
			out = append(out, "  "+text.Cut(l, m.width-2))
		}
	case p.table.Len() > 0:
		out = append(out, p.table.View(m.theme, m.width, height-len(out), i == m.focus)...)
		if p.table.Shown() == 0 {
			out = append(out, "  "+text.Cut("nothing matches: Esc clears the filter", m.width-2))
		}
	}
	if len(out) > height {
		return out[:max(height, 0)]
	}
	return append(out, make([]string, height-len(out))...)
}
