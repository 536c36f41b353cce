package loadtest

import (
	"context"
	"fmt"

	tea "charm.land/bubbletea/v2"

	"github.com/prism-data-layer/prism/tui/component/cell"
	"github.com/prism-data-layer/prism/tui/component/figure"
	"github.com/prism-data-layer/prism/tui/component/pane"
	"github.com/prism-data-layer/prism/tui/component/table"
	"github.com/prism-data-layer/prism/tui/component/text"
	"github.com/prism-data-layer/prism/tui/component/toast"
	"github.com/prism-data-layer/prism/tui/component/value"
	"github.com/prism-data-layer/prism/tui/keys"
	"github.com/prism-data-layer/prism/tui/page"
	"github.com/prism-data-layer/prism/tui/theme"
)

// Name is the name of the page of the saved runs.
const Name = "loadtests"

// The actions of the page.
const (
	actBase    keys.Action = "loadtests-base"
	actCompare keys.Action = "loadtests-compare"
	actReport  keys.Action = "loadtests-report"
)

// Model is the list of saved runs, with the report of the one under the cursor.
type Model struct {
	*page.Split[[]Run]
	source Runs
	pane   *pane.Pane
	base   string // what others are compared with
	list   []Run
}

// Factory makes the page of the saved runs.
func Factory(s Runs) page.Factory {
	return page.Factory{
		Name: Name, Aliases: []string{"loadtest"}, About: "load tests that were saved, and how they compare",
		New: func(e page.Env, _ string) page.Page { return New(e, s) },
	}
}

// New makes the page. It asks for nothing before Init.
func New(e page.Env, s Runs) *Model {
	m := &Model{source: s, pane: &pane.Pane{
		Title: "Saved runs",
		Empty: []string{"no load test was saved", "run one: " + e.Line("loadtest", "run", "kv", "--save", "first")},
		Table: table.New(
			table.Column{Title: "NAME", Min: 12, Max: 40},
			table.Column{Title: "RESULT", Min: 9, Max: 12},
			table.Column{Title: "WORKLOAD", Min: 8, Max: 20, Drop: 4},
			table.Column{Title: "TARGET", Min: 7, Right: true, Drop: 3},
			table.Column{Title: "RATE", Min: 7, Right: true},
			table.Column{Title: "ERRORS", Min: 7, Right: true, Drop: 2},
			table.Column{Title: "P50", Min: 7, Right: true, Drop: 1},
			table.Column{Title: "P99", Min: 7, Right: true},
			table.Column{Title: "MAX", Min: 7, Right: true, Drop: 5},
			table.Column{Title: "BEGAN", Min: 5, Right: true, Drop: 6},
		),
	}}
	m.Split = page.NewSplit(page.NewBoard(e, s.Runs, m.take, m.pane), m.pane, m.report, func(r table.Row) string {
		for _, x := range m.list {
			if x.Name == r.ID {
				return r.ID + x.Started.String()
			}
		}
		return r.ID
	})
	return m
}

func (m *Model) take(list []Run) {
	m.list = list
	rows := make([]table.Row, 0, len(list))
	for _, r := range list {
		state := table.Cell{Text: "✓ passed", Role: theme.Good}
		switch {
		case r.Err != nil:
			state = table.Cell{Text: "✗ unreadable", Role: theme.Bad}
		case r.Aborted:
			state = table.Cell{Text: "! aborted", Role: theme.Warn}
		case !r.Passed:
			state = table.Cell{Text: "✗ failed", Role: theme.Bad}
		}
		name := cell.Words(r.Name)
		if r.Name == m.base {
			name.Text, name.Role = "* "+name.Text, theme.Accent
		}
		target, ok := cell.None(), r.Err == nil
		if r.Target > 0 {
			target = table.Cell{Text: figure.Rate(r.Target), Order: r.Target}
		}
		rows = append(rows, table.Row{ID: r.Name, Command: m.Env.Line("loadtest", "report", r.Name), Cells: []table.Cell{
			name, state, cell.Words(r.Workload), target,
			{Text: figure.Rate(r.Rate), Order: r.Rate},
			{Text: fmt.Sprintf("%.2f %%", r.Errors), Order: r.Errors},
			cell.Latency(r.Latency.P50, ok), cell.Latency(r.Latency.P99, ok), cell.Latency(r.Latency.Max, ok),
			cell.At(r.Started, m.Live.Now()),
		}})
	}
	m.pane.Summary = ""
	if m.base != "" {
		m.pane.Summary = "compared with " + text.Clean(m.base)
	}
	m.pane.Table.SetRows(rows)
}

// report is what prismctl prints of a run.
func (m *Model) report(ctx context.Context, r table.Row) (value.Content, error) {
	out, err := m.source.Run(ctx, []string{"loadtest", "report", r.ID}, "", nil)
	return value.Content{Data: []byte(out)}, err
}

// Keys is what keys do on the page.
func (m *Model) Keys() keys.Table {
	return append(keys.Table{
		{Action: actReport, Keys: []string{"enter"}, Label: "report", Help: "the whole report"},
		{Action: actBase, Keys: []string{"b"}, Label: "baseline", Help: "compare others with this run"},
		{Action: actCompare, Keys: []string{"d"}, Label: "compare", Help: "compare this run with the baseline"},
	}, m.Split.Keys()...)
}

// Do performs an action of Keys.
func (m *Model) Do(a keys.Action) tea.Cmd {
	row, ok := m.pane.Table.Selected()
	switch {
	case a != actBase && a != actCompare && a != actReport:
		return m.Split.Do(a)
	case !ok:
		return toast.Warn("there is no run here")
	case a == actReport:
		return page.Do(m.Env.Printed(m.source, "Load test "+text.Clean(row.ID), "loadtest", "report", row.ID))
	case a == actBase:
		if m.base == row.ID {
			m.base = ""
		} else {
			m.base = row.ID
		}
		m.take(m.list)
		return nil
	case m.base == "":
		return toast.Warn("choose what to compare with first: b on that run")
	case m.base == row.ID:
		return toast.Warn("this is the baseline itself")
	}
	return page.Do(m.Env.Printed(m.source, text.Clean(m.base+" and "+row.ID), "loadtest", "compare", m.base, row.ID))
}
