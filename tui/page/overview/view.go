package overview

import (
	"fmt"
	"strings"
	"time"

	"github.com/prism-data-layer/prism/tui/component/chart"
	"github.com/prism-data-layer/prism/tui/component/feed"
	"github.com/prism-data-layer/prism/tui/component/figure"
	"github.com/prism-data-layer/prism/tui/component/pane"
	"github.com/prism-data-layer/prism/tui/component/problem"
	"github.com/prism-data-layer/prism/tui/component/text"
	"github.com/prism-data-layer/prism/tui/theme"
)

// window is the least that the charts show.
const window = time.Minute

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
	case m.Height >= 50:
		rows = 9
	case m.Height >= 30:
		rows = 6
	}
	half := (m.Width - gapCells) / 2
	cells := max(half-labelCells-valueCells-scaleCells-2, 1)
	columns := cells * chart.PerCell(m.Env.Charset)
	group := chart.Group(m.Env.Refresh, window, columns)
	span := (time.Duration(columns*group) * m.Env.Refresh).Round(time.Second)

	title := fmt.Sprintf("Traffic · last %s", spanText(span))
	if m.Env.Refresh*time.Duration(group) > time.Second {
		title += fmt.Sprintf(" · highest of each %s", spanText(m.Env.Refresh*time.Duration(group)))
	}
	role := theme.Plain
	if err := m.last.Problems[PartStats]; err != nil {
		what, _, _ := problem.Explain(err)
		title, role = "Traffic · ✗ "+what, theme.Bad
	} else if !m.change.Total.Known && m.Feed().State(m.Live.Now()) == feed.Live {
		title += " · measuring…"
	}
	out := []string{pane.Rule(m.Theme, title, role, m.Width, false)}

	all := gaugeTable()
	draw := func(i, height int) []string { return m.gauge(all[i], &m.series[i], cells, columns, group, height) }
	low := rows / 3
	left := append(draw(gaugeRequests, rows-low-rows/6), draw(gaugeErrors, low+rows/6)...)
	right := append(append(draw(gaugeP50, low), draw(gaugeP95, low)...), draw(gaugeP99, low)...)
	for i := range left {
		out = append(out, left[i]+strings.Repeat(" ", gapCells)+right[i])
	}
	if m.Height >= 20 && cells >= 10 {
		axis := strings.Repeat(" ", labelCells+valueCells+1) + text.Edges("-"+spanText(span), "now", cells) + strings.Repeat(" ", scaleCells+1)
		axis = m.Theme.Paint(theme.Faint, axis+strings.Repeat(" ", gapCells)+strings.TrimRight(axis, " "))
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
	area := chart.Draw(values, top, cells, height, m.Env.Charset)
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
		if m.Feed().State(m.Live.Now()) != feed.Live {
			now = theme.Faint // it was so
		}
		lines[i] = text.Fit(label, labelCells) + m.Theme.Paint(now, text.FitRight(value, valueCells)) + " " +
			m.Theme.Paint(role, area[i]) + " " + m.Theme.Paint(theme.Faint, text.Fit(scale, scaleCells))
	}
	return lines
}
