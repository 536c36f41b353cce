// Package namespaces is the page of all namespaces and the page of one: what
// they hold and do, and everything that can be done with them.
package namespaces

import (
	"context"

	tea "charm.land/bubbletea/v2"

	"github.com/prism-data-layer/prism/tui/component/cell"
	"github.com/prism-data-layer/prism/tui/component/figure"
	"github.com/prism-data-layer/prism/tui/component/pane"
	"github.com/prism-data-layer/prism/tui/component/problem"
	"github.com/prism-data-layer/prism/tui/component/rates"
	"github.com/prism-data-layer/prism/tui/component/table"
	"github.com/prism-data-layer/prism/tui/component/text"
	"github.com/prism-data-layer/prism/tui/component/toast"
	"github.com/prism-data-layer/prism/tui/keys"
	"github.com/prism-data-layer/prism/tui/page"
	"github.com/prism-data-layer/prism/tui/theme"
)

// The names of the pages, and of one that another package makes.
const (
	ListName = "namespaces"
	OneName  = "namespace"
	dataName = "data"
)

// ListFactory makes the page of all namespaces.
func ListFactory(s Source) page.Factory {
	return page.Factory{
		Name: ListName, Aliases: []string{"ns"}, About: "all namespaces: what they hold and how they are used",
		New: func(e page.Env, _ string) page.Page { return newList(e, s) },
	}
}

// list is the page of all.
type list struct {
	*page.Board[*List]
	source Source
	reach  page.Reach
	pane   *pane.Pane
	last   *List
	of     map[string]Namespace
}

func newList(e page.Env, s Source) *list {
	m := &list{source: s, pane: &pane.Pane{
		Title: "Namespaces",
		Empty: []string{"no namespaces yet", "n makes one, and so does: " + e.Line("namespace", "create", "orders")},
		Table: table.New(
			table.Column{Title: "NAME", Min: 10, Max: 63},
			table.Column{Title: "MODEL", Min: 8, Max: 14, Drop: 7},
			table.Column{Title: "BACKEND", Min: 8, Max: 24, Drop: 5},
			table.Column{Title: "STATE", Min: 10, Max: 16},
			table.Column{Title: "OPS/S", Min: 7, Right: true},
			table.Column{Title: "ERR/S", Min: 6, Right: true, Drop: 2},
			table.Column{Title: "P50", Min: 6, Right: true, Drop: 6},
			table.Column{Title: "P99", Min: 6, Right: true, Drop: 1},
			table.Column{Title: "KEYS", Min: 9, Right: true, Drop: 3},
			table.Column{Title: "SIZE", Min: 7, Right: true, Drop: 3},
		),
	}}
	m.Board = page.NewBoard(e, func(ctx context.Context) (*List, error) { return s.Namespaces(ctx, m.reach.Rows()) }, m.take, m.pane)
	m.Item = func() (page.Item, bool) {
		n, ok := m.selected()
		return e.Thing(s, n.Name, "namespace", "describe", n.Name), ok
	}
	return m
}

func (m *list) selected() (Namespace, bool) {
	r, ok := m.pane.Table.Selected()
	return m.of[r.ID], ok
}

// Keys is what keys do on the page.
func (m *list) Keys() keys.Table {
	own := keys.Table{
		{Action: actOpen, Keys: []string{"enter"}, Label: "open", Help: "look at the data of the namespace"},
		{Action: actDescribe, Keys: []string{"d"}, Label: "describe", Help: "look at the namespace: limits, use, sessions, errors, history"},
		{Action: actCreate, Keys: []string{"n"}, Label: "new", Help: "make a namespace", Changes: true},
	}
	return append(append(own, changes()...), m.Board.Keys()...)
}

// Do performs an action of Keys.
func (m *list) Do(a keys.Action) tea.Cmd {
	if a == actCreate {
		taken := make([]string, 0, len(m.of))
		for name := range m.of {
			taken = append(taken, name)
		}
		return page.Do(create(m.Env, m.source, taken))
	}
	if b, ok := m.Keys().Of(a); ok && (b.Changes || a == actOpen || a == actDescribe) {
		n, ok := m.selected()
		switch {
		case !ok:
			return toast.Warn("there is no namespace under the cursor")
		case a == actOpen && n.HasData:
			return page.Do(page.Go{Name: dataName, Arg: n.Name})
		case a == actOpen, a == actDescribe:
			return page.Do(page.Go{Name: OneName, Arg: n.Name})
		}
		return change(m.Env, m.source, a, n)
	}
	return tea.Batch(m.Board.Do(a), m.follow())
}

// Mouse is a click or the wheel.
func (m *list) Mouse(x page.Mouse) tea.Cmd { return tea.Batch(m.Board.Mouse(x), m.follow()) }

// Update takes answers and what is typed.
func (m *list) Update(msg tea.Msg) tea.Cmd { return tea.Batch(m.Board.Update(msg), m.follow()) }

// follow asks for more rows when the cursor comes near their end.
func (m *list) follow() tea.Cmd {
	if !m.reach.Follow(m.pane.Table, m.pane.More > 0) {
		return nil
	}
	m.Feed().Hurry()
	return m.Live.Hurry()
}

func (m *list) take(l *List) {
	before := m.last
	m.last = l
	change := rates.Change{}
	if l.StatsProblem == nil && before != nil && before.Started.Equal(l.Started) {
		change = rates.Compare(before.Stats, l.Stats)
	}
	m.of = make(map[string]Namespace, len(l.Namespaces))
	rows := make([]table.Row, 0, len(l.Namespaces))
	counts := map[string]int{}
	for _, n := range l.Namespaces {
		m.of[n.Name] = n
		counts[n.State]++
		rows = append(rows, m.row(n, change))
	}
	m.pane.More = l.More
	m.pane.Tally(counts)
	m.pane.Table.SetRows(rows)
}

func (m *list) row(n Namespace, c rates.Change) table.Row {
	r := c.Of[n.Name]
	if !r.Known && c.Total.Known { // it has not been called since the start
		r.Known = true
	}
	ops, errs, held, size := cell.None(), cell.None(), cell.None(), cell.None()
	if r.Known {
		ops = table.Cell{Text: figure.Rate(r.PerSecond), Order: r.PerSecond}
		errs = table.Cell{Text: figure.Rate(r.Errors), Order: r.Errors}
		if r.Errors > 0 {
			errs.Role = theme.Bad
		}
	}
	if n.Known {
		held, size = cell.Number(n.Keys), table.Cell{Text: figure.Bytes(n.Bytes), Order: float64(n.Bytes)}
		if n.Estimated {
			held.Text, size.Text = "~"+held.Text, "~"+size.Text
		}
	}
	return table.Row{ID: n.Name, Command: m.Env.Line("namespace", "describe", n.Name), Cells: []table.Cell{
		cell.Words(n.Name), cell.Words(n.Model), cell.Words(n.Backend), cell.State(n.State), ops, errs,
		cell.Latency(r.P50, r.Timed), cell.Latency(r.P99, r.Timed), held, size,
	}}
}

// Notice says why there are no rates.
func (m *list) Notice() string {
	if m.last == nil || m.last.StatsProblem == nil {
		return ""
	}
	what, _, _ := problem.Explain(m.last.StatsProblem)
	return "no rates: " + text.Clean(what)
}
