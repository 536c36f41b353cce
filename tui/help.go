package tui

import (
	"slices"

	tea "charm.land/bubbletea/v2"

	"github.com/prism-data-layer/prism/tui/component/table"
	"github.com/prism-data-layer/prism/tui/component/text"
	"github.com/prism-data-layer/prism/tui/keys"
	"github.com/prism-data-layer/prism/tui/theme"
)

// help shows what keys do in the view that was focused. It is made from the
// tables that the keys are dispatched with.
type help struct {
	m     *Model
	table *table.Model
}

func newHelp(m *Model) *help {
	h := &help{m: m, table: table.New(
		table.Column{Title: "KEYS", Min: 14, Max: 24},
		table.Column{Title: "WHAT THEY DO ON " + m.top().name, Min: 20},
	)}
	var rows []table.Row
	for _, t := range []keys.Table{m.table(), m.global()} {
		for _, b := range t {
			rows = append(rows, table.Row{ID: string(b.Action), Cells: []table.Cell{{Text: b.Shown(), Role: theme.Accent}, {Text: b.Help}}})
		}
	}
	h.table.SetRows(rows)
	return h
}

func (h *help) crumb() string   { return "keys" }
func (h *help) whole() bool     { return true }
func (h *help) wheel(lines int) { h.table.Scroll(lines) }

// press walks through the list; Enter runs the entry.
func (h *help) press(key, chars string) tea.Cmd {
	if h.table.Typing() {
		h.table.Type(key, chars)
		return nil
	}
	if key == "enter" {
		h.m.close(h)
		r, ok := h.table.Selected()
		a := keys.Action(r.ID)
		switch {
		case !ok || a == keys.Help:
			return nil
		case slices.ContainsFunc(keys.Global(), func(b keys.Binding) bool { return b.Action == a }):
			return h.m.do(a)
		}
		b, _ := h.m.table().Of(a)
		return h.m.inPage(b)
	}
	b, _ := h.m.global().Find(key)
	switch b.Action {
	case keys.Back:
		if h.table.Filter() != "" {
			h.table.SetFilter("")
			return nil
		}
		h.m.close(h)
	case keys.Help, keys.Quit:
		h.m.close(h)
	case keys.Suspend:
		return tea.Suspend
	default:
		if b, ok := h.m.opts.Keys.On(keys.List()).Find(key); ok {
			h.table.Do(b.Action)
		}
	}
	return nil
}

func (h *help) view(th theme.Theme, width, height int) []string {
	return h.table.View(th, width, height, true)
}

func (h *help) footer(width int) string {
	if h.table.Typing() {
		return text.Cut(h.table.Prompt(), width)
	}
	return h.m.theme.Paint(theme.Faint, text.Cut("Enter runs the entry  / search  Esc back", width))
}
