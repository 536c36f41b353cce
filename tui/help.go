package tui

import (
	"github.com/prism-data-layer/prism/tui/component/table"
	"github.com/prism-data-layer/prism/tui/keys"
	"github.com/prism-data-layer/prism/tui/theme"
)

// help shows what keys do in the view that was focused. It is made from the
// tables that the keys are dispatched with.
type help struct {
	name  string
	table *table.Model
}

func newHelp(name string, tables ...keys.Table) *help {
	h := &help{name: name, table: table.New(
		table.Column{Title: "KEYS", Min: 14, Max: 24},
		table.Column{Title: "WHAT THEY DO ON " + name, Min: 20},
	)}
	var rows []table.Row
	for _, t := range tables {
		for _, b := range t {
			rows = append(rows, table.Row{ID: string(b.Action), Cells: []table.Cell{{Text: b.Shown(), Role: theme.Accent}, {Text: b.Help}}})
		}
	}
	h.table.SetRows(rows)
	return h
}

// chosen is the action under the cursor.
func (h *help) chosen() (keys.Action, bool) {
	r, ok := h.table.Selected()
	return keys.Action(r.ID), ok
}

func (h *help) view(th theme.Theme, width, height int) []string {
	return h.table.View(th, width, height, true)
}
