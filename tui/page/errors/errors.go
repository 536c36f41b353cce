// Package errors is the page of the errors that were told: what a toast said
// and took away with it can be read again here.
package errors

import (
	"context"
	"fmt"
	"strings"

	tea "charm.land/bubbletea/v2"

	"github.com/prism-data-layer/prism/tui/component/cell"
	"github.com/prism-data-layer/prism/tui/component/pane"
	"github.com/prism-data-layer/prism/tui/component/table"
	"github.com/prism-data-layer/prism/tui/component/text"
	"github.com/prism-data-layer/prism/tui/component/toast"
	"github.com/prism-data-layer/prism/tui/component/told"
	"github.com/prism-data-layer/prism/tui/keys"
	"github.com/prism-data-layer/prism/tui/page"
	"github.com/prism-data-layer/prism/tui/theme"
)

// Name is the page's name; the root opens it by that.
const Name = "errors"

const (
	read   keys.Action = "read-error"
	forget keys.Action = "forget-errors"
)

// Model is the page.
type Model struct {
	*page.Board[[]told.Error]

	log  *told.Log
	pane *pane.Pane
	list []told.Error
}

// Factory makes the page of a log.
func Factory(log *told.Log) page.Factory {
	return page.Factory{
		Name: Name, About: "the errors that were told since the start",
		New: func(e page.Env, _ string) page.Page { return New(e, log) },
	}
}

// New makes the page.
func New(e page.Env, log *told.Log) *Model {
	m := &Model{log: log, pane: &pane.Pane{
		Title: "Errors",
		Empty: []string{"no errors were told since the start", "those that come stay here: Enter reads one"},
		Table: table.New(
			table.Column{Title: "WHEN", Min: 8},
			table.Column{Title: "PAGE", Min: 8, Max: 24, Drop: 2},
			table.Column{Title: "TIMES", Min: 5, Right: true, Drop: 1},
			table.Column{Title: "WHAT", Min: 20},
			table.Column{Title: "WHY", Min: 10, Drop: 3},
		),
	}}
	m.Board = page.NewBoard(e, func(context.Context) ([]told.Error, error) { return log.List(), nil }, m.take, m.pane)
	m.Item = m.item
	return m
}

func (m *Model) take(list []told.Error) {
	m.list = list
	rows := make([]table.Row, len(list))
	for i, e := range list {
		what := cell.Words(e.What)
		what.Role = theme.Bad
		rows[i] = table.Row{ID: fmt.Sprint(e.No), Cells: []table.Cell{cell.Words(e.At.Format("15:04:05")), cell.Words(e.Page), cell.Number(int64(e.Times)), what, cell.Words(e.Why)}}
	}
	m.pane.Table.SetRows(rows)
}

func (m *Model) selected() (told.Error, bool) {
	r, ok := m.pane.Table.Selected()
	for _, e := range m.list {
		if ok && fmt.Sprint(e.No) == r.ID {
			return e, true
		}
	}
	return told.Error{}, false
}

// item is what is copied: the words of the error, and the page that explains
// errors.
func (m *Model) item() (page.Item, bool) {
	e, ok := m.selected()
	return page.Item{
		ID: strings.Join(notEmpty(e.What, e.Why), ": "), Command: m.Env.Command + " help errors",
		Object: func(context.Context) (string, error) { return whole(e), nil },
	}, ok
}

// whole is an error with all that is known of it.
func whole(e told.Error) string {
	s := fmt.Sprintf("at: %s\npage: %s\ntimes: %d\nerror: %s\n", e.At.UTC().Format("2006-01-02T15:04:05Z"), text.Quote(e.Page), e.Times, text.Quote(e.What))
	if e.Why != "" {
		s += "cause: " + text.Quote(e.Why) + "\n"
	}
	if e.Fix != "" {
		s += "fix: " + text.Quote(e.Fix) + "\n"
	}
	return s
}

func notEmpty(list ...string) []string {
	var out []string
	for _, s := range list {
		if s != "" {
			out = append(out, s)
		}
	}
	return out
}

// Keys is what keys do on the page.
func (m *Model) Keys() keys.Table {
	return append(keys.Table{
		{Action: read, Keys: []string{"enter"}, Label: "read", Help: "read the whole error"},
		{Action: forget, Keys: []string{"x"}, Label: "forget", Help: "forget all of them"},
	}, m.Board.Keys()...)
}

// Do performs an action of Keys.
func (m *Model) Do(a keys.Action) tea.Cmd {
	switch a {
	case read:
		e, ok := m.selected()
		if !ok {
			return toast.Warn("there is no error to read")
		}
		return page.Do(page.Show{Title: "error", Text: func(context.Context) (string, error) {
			return strings.Join(notEmpty(e.What, e.Why, "", e.Fix), "\n\n") + fmt.Sprintf("\n\nat %s on %s, %d times in a row\n", e.At.Format("15:04:05"), e.Page, e.Times), nil
		}})
	case forget:
		m.log.Clear()
		return m.Live.Hurry()
	}
	return m.Board.Do(a)
}
