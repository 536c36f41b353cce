// Package loadtest is the page of a load test while it runs, and that of the
// runs that were saved.
package loadtest

import (
	"fmt"
	"math"
	"strings"
	"time"

	tea "charm.land/bubbletea/v2"

	"github.com/prism-data-layer/prism/tui/component/cell"
	"github.com/prism-data-layer/prism/tui/component/chart"
	"github.com/prism-data-layer/prism/tui/component/feed"
	"github.com/prism-data-layer/prism/tui/component/figure"
	"github.com/prism-data-layer/prism/tui/component/pane"
	"github.com/prism-data-layer/prism/tui/component/table"
	"github.com/prism-data-layer/prism/tui/component/tail"
	"github.com/prism-data-layer/prism/tui/component/text"
	"github.com/prism-data-layer/prism/tui/keys"
	"github.com/prism-data-layer/prism/tui/page"
	"github.com/prism-data-layer/prism/tui/theme"
)

// LiveName is the name of the page of a run.
const LiveName = "run"

// window is what the charts show of the past.
const window = time.Minute

// every is how often a run tells of itself.
const every = 250 * time.Millisecond

// LiveModel is the page of a run.
type LiveModel struct {
	env    page.Env
	title  string
	stream *tail.Model[Snapshot]
	stack  *pane.Stack
	ops    *pane.Pane
	errs   *pane.Pane
	theme  theme.Theme

	last      Snapshot
	rate, p99 chart.Series

	width, height, head int
}

// LiveFactory makes the page of one run.
func LiveFactory(title string, s Live) page.Factory {
	return page.Factory{
		Name: LiveName, About: "a load test while it runs",
		New: func(e page.Env, _ string) page.Page { return NewLive(e, title, s) },
	}
}

// NewLive makes the page of a run.
func NewLive(e page.Env, title string, s Live) *LiveModel {
	m := &LiveModel{env: e, title: title, theme: theme.New(theme.Dark)}
	latency := func(title string, drop int) table.Column {
		return table.Column{Title: title, Min: 7, Right: true, Drop: drop}
	}
	m.ops = &pane.Pane{Title: "Operations", Empty: []string{"no request was answered yet"}, Table: table.New(
		table.Column{Title: "OPERATION", Min: 14, Max: 30}, table.Column{Title: "OK", Min: 9, Right: true}, table.Column{Title: "FAILED", Min: 7, Right: true},
		table.Column{Title: "RATE", Min: 7, Right: true, Drop: 1}, latency("P50", 3), latency("P95", 4), latency("P99", 0), latency("MAX", 2),
	)}
	m.errs = &pane.Pane{Title: "Errors", Empty: []string{"none"}, Table: table.New(
		table.Column{Title: "COUNT", Min: 8, Right: true}, table.Column{Title: "CODE", Min: 10, Max: 24}, table.Column{Title: "OPERATION", Min: 10, Max: 20, Drop: 2},
		table.Column{Title: "MESSAGE", Min: 20}, table.Column{Title: "TRACE", Min: 12, Max: 32, Drop: 1},
	)}
	m.stack = pane.NewStack(m.ops, m.errs)
	m.stream = tail.New(e.Tasks, tail.Options{}, s.Snapshots, m.take)
	return m
}

func (m *LiveModel) take(list []Snapshot) {
	for _, s := range list {
		m.last = s
		if s.Phase == "warm-up" || s.Phase == "running" {
			m.rate.Add(s.Rate)
			m.p99.Add(seconds(s.Recent.P99))
		}
	}
	rows := make([]table.Row, 0, len(m.last.Operations))
	for _, o := range m.last.Operations {
		failed := cell.Number(int64(o.Failed))
		if o.Failed > 0 {
			failed.Role = theme.Bad
		}
		some := o.Total.Max > 0
		rows = append(rows, table.Row{ID: o.Name, Cells: []table.Cell{
			cell.Words(o.Name), cell.Number(int64(o.OK)), failed,
			{Text: figure.Rate(o.Rate), Order: o.Rate},
			cell.Latency(o.Total.P50, some), cell.Latency(o.Total.P95, some), cell.Latency(o.Total.P99, some), cell.Latency(o.Total.Max, some),
		}})
	}
	m.ops.Table.SetRows(rows)
	rows = make([]table.Row, 0, len(m.last.Errors))
	for i, e := range m.last.Errors {
		rows = append(rows, table.Row{ID: fmt.Sprintf("%d %s", i, e.Trace), Command: m.env.Line("trace", e.Trace), Cells: []table.Cell{
			cell.Number(int64(e.Count)), cell.Words(e.Code), cell.Words(e.Operation), cell.Words(e.Message), cell.Words(e.Trace),
		}})
	}
	m.errs.Table.SetRows(rows)
	m.errs.Summary, m.errs.Role = "", theme.Plain
	if m.last.Failed > 0 {
		m.errs.Summary, m.errs.Role = figure.Count(int64(m.last.Failed))+" failed", theme.Bad
	}
}

// seconds is a latency for a chart; NaN when nothing was answered.
func seconds(d time.Duration) float64 {
	if d <= 0 {
		return math.NaN()
	}
	return d.Seconds()
}

// header is how the run goes, in words and charts.
func (m *LiveModel) header() []string {
	s := m.last
	title, role := fmt.Sprintf("%s · %s", text.Clean(m.title), text.Clean(s.Phase)), theme.Plain
	if s.Load != "" {
		title += " · " + text.Clean(s.Load)
	}
	out := []string{pane.Rule(m.theme, title, role, m.width, false)}
	line := func(role theme.Role, format string, args ...any) {
		out = append(out, "  "+m.theme.Paint(role, text.Cut(fmt.Sprintf(format, args...), m.width-2)))
	}
	if s.Result != nil {
		out = append(out, m.result(s.Result)...)
	}
	target := figure.Rate(s.Rate) + "/s, as fast as the answers come"
	if s.Target > 0 {
		target = fmt.Sprintf("%s/s of %s/s", figure.Rate(s.Rate), figure.Rate(s.Target))
	}
	line(theme.Title, "%s  %s  %s", progress(s.Elapsed, s.Elapsed+s.Remaining, 20), clock(s.Elapsed)+" of "+clock(s.Elapsed+s.Remaining), target)
	counts := fmt.Sprintf("ok %s  failed %s  in flight %d", figure.Count(int64(s.OK)), figure.Count(int64(s.Failed)), s.InFlight)
	if s.Backlog > 0 {
		counts += fmt.Sprintf("  waiting %d", s.Backlog)
	}
	if s.Dropped > 0 {
		counts += fmt.Sprintf("  dropped %s", figure.Count(int64(s.Dropped)))
	}
	line(theme.Plain, "%s", counts)
	line(theme.Plain, "all     %s", percentiles(s.Total))
	line(theme.Plain, "recent  %s", percentiles(s.Recent))
	if len(s.Faults) > 0 {
		line(theme.Warn, "! acting now: %s", text.Clean(strings.Join(s.Faults, ", ")))
	}
	if m.height >= 20 {
		rows := 2
		if m.height >= 34 {
			rows = 4
		}
		out = append(out, m.chart("rate", &m.rate, s.Rate, 10, figure.Rate, theme.Accent, rows)...)
		out = append(out, m.chart("p99", &m.p99, s.Recent.P99.Seconds(), 1e-4, func(v float64) string {
			return figure.Latency(time.Duration(v * float64(time.Second)))
		}, theme.Warn, rows)...)
	}
	return out
}

// result is the verdict.
func (m *LiveModel) result(r *Result) []string {
	var out []string
	line := func(role theme.Role, s string) {
		for _, l := range text.Wrap(text.Clean(s), m.width-4) {
			out = append(out, "  "+m.theme.Paint(role, l))
		}
	}
	switch {
	case r.Problem != nil:
		line(theme.Bad, "✗ "+r.Problem.Error())
	case r.Passed:
		line(theme.Good, fmt.Sprintf("✓ passed, with %.1f %% of the load that was asked for", r.Achieved))
	default:
		line(theme.Bad, fmt.Sprintf("✗ failed, with %.1f %% of the load that was asked for", r.Achieved))
	}
	for i, v := range r.Verdicts {
		if i == 4 && len(r.Verdicts) > 5 {
			line(theme.Faint, fmt.Sprintf("and %d more in the report, which is printed when you leave", len(r.Verdicts)-i))
			break
		}
		role := map[string]theme.Role{"fail": theme.Bad, "warn": theme.Warn}[v.Severity]
		line(role, cell.Glyph(role)+" "+v.Text)
	}
	return out
}

func percentiles(p Percentiles) string {
	if p.Max <= 0 {
		return "p50 –  p95 –  p99 –  max –"
	}
	return fmt.Sprintf("p50 %s  p95 %s  p99 %s  max %s", figure.Latency(p.P50), figure.Latency(p.P95), figure.Latency(p.P99), figure.Latency(p.Max))
}

func clock(d time.Duration) string {
	return fmt.Sprintf("%d:%02d", d/time.Minute, d%time.Minute/time.Second)
}

// progress is a bar of so many cells.
func progress(at, of time.Duration, cells int) string {
	n := 0
	if of > 0 {
		n = min(int(float64(at)/float64(of)*float64(cells)), cells)
	}
	return "[" + strings.Repeat("━", n) + strings.Repeat("─", cells-n) + "]"
}

func (m *LiveModel) chart(label string, s *chart.Series, now, least float64, write func(float64) string, role theme.Role, rows int) []string {
	const label1, scale = 16, 9
	cells := max(m.width-2-label1-scale-1, 1)
	columns := cells * chart.PerCell(m.env.Charset)
	values := s.Columns(chart.Group(every, window, columns), columns)
	top := chart.Ceiling(chart.Max(values), least)
	var out []string
	for i, l := range chart.Draw(values, top, cells, rows, m.env.Charset) {
		left, right := "", ""
		switch i {
		case 0:
			left, right = label+" "+write(now), write(top)
		case rows - 1:
			right = "0"
		}
		out = append(out, "  "+text.Fit(left, label1)+m.theme.Paint(role, l)+" "+m.theme.Paint(theme.Faint, text.Cut(right, scale)))
	}
	return out
}

// View draws the header and the panes.
func (m *LiveModel) View() string {
	if m.Feed().Got().IsZero() {
		return strings.Join(page.Waiting(m.theme, m.Feed(), m.env.Tasks.Now(), m.Countdown(), m.width, m.height), "\n")
	}
	out := m.header()
	m.head = len(out)
	out = append(out, m.stack.View(m.theme, m.width, max(m.height-len(out), 0))...)
	return strings.Join(out[:min(len(out), max(m.height, 0))], "\n")
}

// Mouse chooses a pane or scrolls in it.
func (m *LiveModel) Mouse(x page.Mouse) tea.Cmd {
	if i, line := m.stack.At(x.Y - m.head); i >= 0 {
		if x.Wheel != 0 {
			m.stack.Panes[i].Table.Scroll(x.Wheel)
		} else if m.stack.Focus = i; line > 0 {
			m.stack.Panes[i].Table.Click(x.X, line-1)
		}
	}
	return nil
}

// Selected is the row under the cursor.
func (m *LiveModel) Selected() (page.Item, bool) {
	r, ok := m.stack.Focused().Table.Selected()
	return page.Item{ID: r.ID, Command: r.Command}, ok
}

// Update takes snapshots, and what is typed into a filter.
func (m *LiveModel) Update(msg tea.Msg) tea.Cmd {
	if cmd, ok := m.stream.Update(msg); ok {
		return cmd
	}
	m.stack.Type(msg)
	return nil
}

// Do performs an action of Keys.
func (m *LiveModel) Do(a keys.Action) tea.Cmd { m.stack.Do(a); return nil }

// Keys is what keys do on the page.
func (m *LiveModel) Keys() keys.Table { return m.stack.Keys() }

func (m *LiveModel) Init() tea.Cmd              { return m.stream.Start() }
func (m *LiveModel) Beat(now time.Time) tea.Cmd { return m.stream.Beat(now) }
func (m *LiveModel) Close()                     { m.stream.Close() }
func (m *LiveModel) Back() bool                 { return m.stack.Back() }
func (m *LiveModel) Typing() bool               { return m.stack.Typing() }
func (m *LiveModel) Prompt() string             { return m.stack.Prompt() }
func (m *LiveModel) Feed() *feed.Feed           { return m.stream.Feed() }
func (m *LiveModel) Countdown() string          { return m.stream.Countdown() }
func (m *LiveModel) Gateway() string            { return "" }
func (m *LiveModel) Notice() string             { return "" }
func (m *LiveModel) SetSize(w, h int)           { m.width, m.height = w, h }
func (m *LiveModel) SetTheme(t theme.Theme)     { m.theme = t }
func (m *LiveModel) Memory() map[string]string  { return nil }
func (m *LiveModel) Remember(map[string]string) {}

// Panes are the places of the header and the panes.
func (m *LiveModel) Panes() []page.Rect {
	out := []page.Rect{{X: 0, Y: 0, W: m.width, H: min(m.head, m.height)}}
	for i := range m.stack.Panes {
		if top, h := m.stack.Place(i); h > 1 {
			out = append(out, page.Rect{X: 0, Y: m.head + top + 1, W: m.width, H: h - 1})
		}
	}
	return out
}
