// Package series is the page of a namespace of time series: an aggregate over
// time, and the newest events.
package series

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/prism-data-layer/prism/tui/component/cell"
	"github.com/prism-data-layer/prism/tui/component/chart"
	"github.com/prism-data-layer/prism/tui/component/figure"
	"github.com/prism-data-layer/prism/tui/component/pane"
	"github.com/prism-data-layer/prism/tui/component/table"
	"github.com/prism-data-layer/prism/tui/component/text"
	"github.com/prism-data-layer/prism/tui/component/value"
	"github.com/prism-data-layer/prism/tui/page"
	"github.com/prism-data-layer/prism/tui/theme"
)

// Name is the page's name.
const Name = "series"

// buckets is into how many a range is cut: as many as a wide chart has columns.
const buckets = 120

// Model is the page.
type Model struct {
	*page.Split[Snapshot]

	namespace string
	ask       page.Question[Query]
	events    *pane.Pane
	last      Snapshot
	byID      map[string]Event
}

// Factory makes the page of a source.
func Factory(s Source) page.Factory {
	return page.Factory{
		Name: Name, Aliases: []string{"ts"}, About: "an aggregate over time, and the newest events", Arg: "NAMESPACE",
		New: func(e page.Env, arg string) page.Page { return New(e, arg, s) },
	}
}

// New makes the page of a namespace. It asks for nothing before Init.
func New(e page.Env, namespace string, s Source) *Model {
	m := &Model{namespace: namespace}
	m.ask.Set(Query{Namespace: namespace, Function: "count", Range: time.Hour, Buckets: buckets})
	m.events = &pane.Pane{
		Title: "Newest events",
		Empty: []string{"no events in this range", "append one: " + e.Command + " ts append --type page.view --metric ms=12 -n " + text.Quote(namespace)},
		Table: table.New(
			table.Column{Title: "TIME", Min: 19, Max: 23},
			table.Column{Title: "TYPE", Min: 10, Max: 40},
			table.Column{Title: "SOURCE", Min: 8, Max: 30, Drop: 1},
			table.Column{Title: "METRICS", Min: 10, Max: 60},
			table.Column{Title: "DIMENSIONS", Min: 10, Max: 80, Drop: 2},
		),
	}
	b := page.NewBoard(e, func(ctx context.Context) (Snapshot, error) {
		q := m.ask.Get()
		got, err := s.Series(ctx, q)
		got.Of = q
		return got, err
	}, m.take, m.events)
	b.Header = m.chart
	b.Item = m.item
	m.Split = page.NewSplit(b, m.events, nil, func(r table.Row) string { return r.ID })
	m.At(m.value)
	return m
}

// item is the event under the cursor.
func (m *Model) item() (page.Item, bool) {
	r, ok := m.events.Table.Selected()
	e := m.byID[r.ID]
	return page.Item{ID: r.ID, Command: r.Command, Object: page.Written(struct {
		At         *string            `json:"time"`
		Type       string             `json:"type"`
		Source     string             `json:"source"`
		Dimensions map[string]string  `json:"dimensions"`
		Metrics    map[string]float64 `json:"metrics"`
		ID         string             `json:"event_id"`
		page.Payload
	}{page.When(e.Time), e.Type, e.Source, e.Dimensions, e.Metrics, e.ID, page.PayloadOf(e.Payload, e.Size)})}, ok
}

func (m *Model) take(s Snapshot) {
	m.last = s
	m.byID = make(map[string]Event, len(s.Events))
	rows := make([]table.Row, 0, len(s.Events))
	for _, e := range s.Events {
		m.byID[e.ID] = e
		rows = append(rows, table.Row{ID: e.ID, Command: m.command("query --descending --since " + span(s.Of.Range)), Cells: []table.Cell{
			{Text: e.Time.Format("2006-01-02 15:04:05.000")}, cell.Words(e.Type), cell.Words(e.Source), cell.Words(metrics(e.Metrics)), cell.Words(dimensions(e.Dimensions)),
		}})
	}
	m.events.Summary = ""
	if s.Stored >= 0 {
		m.events.Summary = figure.Count(s.Stored) + " in all"
	}
	m.events.Table.SetRows(rows)
}

func metrics(m map[string]float64) string {
	var words []string
	for _, name := range slices.Sorted(maps.Keys(m)) {
		words = append(words, fmt.Sprintf("%s=%g", name, m[name]))
	}
	return strings.Join(words, " ")
}

func dimensions(m map[string]string) string {
	var words []string
	for _, name := range slices.Sorted(maps.Keys(m)) {
		words = append(words, name+"="+m[name])
	}
	return strings.Join(words, " ")
}

func (m *Model) value(r table.Row) (value.Content, bool) {
	e := m.byID[r.ID]
	c := value.Content{Data: e.Payload, Size: e.Size, Notes: []string{"metrics: " + metrics(e.Metrics), "dimensions: " + dimensions(e.Dimensions), "id: " + e.ID}}
	return c, true
}

// command is a command of prismctl about this namespace.
func (m *Model) command(words string) string {
	return m.Env.Command + " ts " + words + " -n " + text.Quote(m.namespace)
}

// aggregate is the command that prints what the chart shows.
func (m *Model) aggregate(q Query) string {
	words := "aggregate --since " + span(q.Range) + " --bucket " + (q.Range / time.Duration(max(q.Buckets, 1))).String() + " --select " + text.Quote(q.figure())
	if q.Type != "" {
		words += " --type " + text.Quote(q.Type)
	}
	if q.Where != "" {
		words += " --where " + text.Quote(q.Where)
	}
	if q.By != "" {
		words += " --by " + text.Quote(q.By)
	}
	return m.command(words)
}

// figure is the aggregate as prismctl writes it: "avg(ms)".
func (q Query) figure() string {
	if q.Function == "count" {
		return q.Function
	}
	return q.Function + "(" + q.Metric + ")"
}

// span writes a range: "1h", "7d".
func span(d time.Duration) string {
	const day = 24 * time.Hour
	switch {
	case d%day == 0:
		return fmt.Sprintf("%dd", d/day)
	case d%time.Hour == 0:
		return fmt.Sprintf("%dh", d/time.Hour)
	case d%time.Minute == 0:
		return fmt.Sprintf("%dm", d/time.Minute)
	}
	return d.String()
}

// scaleCells is the place of the top of the scale, at the right.
const scaleCells = 9

// chart draws the lines one below the other on one scale, with the last value
// of each as text.
func (m *Model) chart() []string {
	q := m.last.Of
	title := fmt.Sprintf("%s of the last %s · in steps of %s", text.Clean(q.figure()), span(q.Range), (q.Range / time.Duration(max(q.Buckets, 1))).Round(time.Millisecond))
	for _, part := range []struct{ word, of string }{{"type ", q.Type}, {"where ", q.Where}, {"by ", q.By}} {
		if part.of != "" {
			title += " · " + part.word + text.Clean(part.of)
		}
	}
	if m.last.Source != "" && m.last.Source != "raw" {
		title += " · from sums by " + text.Clean(m.last.Source)
	}
	if m.last.More > 0 {
		title += fmt.Sprintf(" · %d more lines", m.last.More)
	}
	if l := m.last.Lines; len(l) == 1 && l[0].Name == "" {
		title += " · last " + number(last(l[0].Values))
	}
	out := []string{pane.Rule(m.Theme, title, theme.Plain, m.Width, false)}
	lines := m.last.Lines
	if len(lines) == 0 {
		return append(out, "  no events in this range: f asks for another")
	}
	rows := max(min(m.Height/3, 14)/len(lines), 2)
	cells := max(m.Width-2-scaleCells-1, 1)
	top := 0.0
	for _, l := range lines {
		if v := chart.Max(l.Values); v > top {
			top = v
		}
	}
	top = chart.Ceiling(top, 1e-9)
	for i, l := range lines {
		role := []theme.Role{theme.Accent, theme.Good, theme.Warn, theme.Plain}[i%4]
		if len(lines) > 1 || l.Name != "" {
			out = append(out, "  "+text.Edges(text.Clean(l.Name), "last "+number(last(l.Values)), m.Width-2))
		}
		for n, row := range chart.Draw(stretch(l.Values, cells*chart.PerCell(m.Env.Charset)), top, cells, rows, m.Env.Charset) {
			scale := ""
			switch n {
			case 0:
				scale = number(top)
			case rows - 1:
				scale = "0"
			}
			out = append(out, "  "+m.Theme.Paint(role, row)+" "+m.Theme.Paint(theme.Faint, text.Fit(scale, scaleCells)))
		}
	}
	left := m.last.End.Add(-q.Range)
	return append(out, m.Theme.Paint(theme.Faint, "  "+text.Edges(axis(left, q.Range), axis(m.last.End, q.Range), cells)))
}

func axis(t time.Time, of time.Duration) string {
	if of >= 48*time.Hour {
		return t.Format("2006-01-02 15:04")
	}
	return t.Format("15:04:05")
}
