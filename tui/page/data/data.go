// Package data leads to what namespaces hold: the list of them by model, and for
// one of them the page of its model, whichever that turns out to be.
package data

import (
	"cmp"
	"slices"

	tea "charm.land/bubbletea/v2"

	"github.com/prism-data-layer/prism/tui/component/cell"
	"github.com/prism-data-layer/prism/tui/component/figure"
	"github.com/prism-data-layer/prism/tui/component/pane"
	"github.com/prism-data-layer/prism/tui/component/table"
	"github.com/prism-data-layer/prism/tui/component/text"
	"github.com/prism-data-layer/prism/tui/component/toast"
	"github.com/prism-data-layer/prism/tui/keys"
	"github.com/prism-data-layer/prism/tui/page"
)

// Name is the page's name.
const Name = "data"

// Models are the factories of the pages that there are, by data model.
type Models map[string]page.Factory

// Factory makes the list or, with a namespace, the page of its model.
func Factory(s Source, models Models) page.Factory {
	return page.Factory{
		Name: Name, About: "what namespaces hold: keys, queues, topics, series", Arg: "NAMESPACE", ArgOptional: true,
		New: func(e page.Env, arg string) page.Page {
			if arg == "" {
				return New(e, s, models)
			}
			return newDoor(e, arg, s, models)
		},
	}
}

// Model is the list of namespaces.
type Model struct {
	*page.Board[[]Namespace]
	list   *pane.Pane
	models Models
	of     map[string]string // models by namespace
}

const actOpen keys.Action = "data-open"

// New makes the list.
func New(e page.Env, s Source, models Models) *Model {
	m := &Model{models: models, list: &pane.Pane{
		Title: "Namespaces",
		Empty: []string{"no namespaces yet", "make one: " + e.Command + " namespace create orders"},
		Table: table.New(
			table.Column{Title: "MODEL", Min: 10, Max: 14},
			table.Column{Title: "NAMESPACE", Min: 16, Max: 64},
			table.Column{Title: "STATE", Min: 10, Max: 16, Drop: 1},
			table.Column{Title: "ITEMS", Min: 9, Right: true, Drop: 3},
			table.Column{Title: "SIZE", Min: 8, Right: true, Drop: 4},
			table.Column{Title: "BACKEND", Min: 8, Max: 24, Drop: 2},
		),
	}}
	m.Board = page.NewBoard(e, s.Namespaces, m.take, m.list)
	m.Item = func() (page.Item, bool) {
		r, ok := m.list.Table.Selected()
		return e.Thing(s, r.ID, "namespace", "describe", r.ID), ok
	}
	return m
}

func (m *Model) take(list []Namespace) {
	slices.SortStableFunc(list, func(a, b Namespace) int { return cmp.Or(cmp.Compare(a.Model, b.Model), cmp.Compare(a.Name, b.Name)) })
	rows := make([]table.Row, 0, len(list))
	counts := map[string]int{}
	m.of = make(map[string]string, len(list))
	for _, n := range list {
		counts[n.State]++
		m.of[n.Name] = n.Model
		items, size := cell.None(), cell.None()
		if n.Known {
			items, size = cell.Number(n.Keys), table.Cell{Text: figure.Bytes(n.Bytes), Order: float64(n.Bytes)}
			if n.Estimated {
				items.Text = "~" + items.Text
			}
		}
		rows = append(rows, table.Row{ID: n.Name, Command: m.Env.Command + " namespace describe " + text.Quote(n.Name), Cells: []table.Cell{
			cell.Words(n.Model), cell.Words(n.Name), cell.State(n.State), items, size, cell.Words(n.Backend),
		}})
	}
	m.list.Tally(counts)
	m.list.Table.SetRows(rows)
}

// Keys is what keys do on the page.
func (m *Model) Keys() keys.Table {
	return append(keys.Table{{Action: actOpen, Keys: []string{"enter"}, Label: "open", Help: "show what the namespace holds"}}, m.Board.Keys()...)
}

// Do performs an action of Keys.
func (m *Model) Do(a keys.Action) tea.Cmd {
	if a != actOpen {
		return m.Board.Do(a)
	}
	row, ok := m.list.Table.Selected()
	switch _, known := m.models[m.of[row.ID]]; {
	case !ok:
		return toast.Warn("there is no namespace here")
	case !known:
		return toast.Warn("there is no page for " + text.Clean(m.of[row.ID]) + " yet: " + row.Command)
	}
	return page.Do(page.Go{Name: Name, Arg: row.ID})
}
