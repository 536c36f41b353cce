// Package sessions is the page of all sessions and the page of one: who holds
// the gateway, what they do with it as they do it, and how to end it.
package sessions

import (
	"context"
	"fmt"
	"strings"
	"sync/atomic"

	tea "charm.land/bubbletea/v2"

	"github.com/prism-data-layer/prism/pkg/prism"
	"github.com/prism-data-layer/prism/tui/component/cell"
	"github.com/prism-data-layer/prism/tui/component/figure"
	"github.com/prism-data-layer/prism/tui/component/pane"
	"github.com/prism-data-layer/prism/tui/component/table"
	"github.com/prism-data-layer/prism/tui/component/text"
	"github.com/prism-data-layer/prism/tui/component/toast"
	"github.com/prism-data-layer/prism/tui/keys"
	"github.com/prism-data-layer/prism/tui/page"
)

// The names of the pages.
const (
	ListName = "sessions"
	OneName  = "session"
)

// What can be done with a session.
const (
	actOpen      keys.Action = "open"
	actAsk       keys.Action = "ask"
	actTerminate keys.Action = "terminate"
)

func terminateKey() keys.Binding {
	return keys.Binding{Action: actTerminate, Keys: []string{"x"}, Label: "terminate", Help: "end the session, after asking", Changes: true}
}

// ListFactory makes the page of all sessions.
func ListFactory(s Source) page.Factory {
	return page.Factory{
		Name: ListName, About: "all sessions: who holds the gateway",
		New: func(e page.Env, _ string) page.Page { return newList(e, s) },
	}
}

// list is the page of all.
type list struct {
	*page.Board[*shown]
	source Source
	reach  page.Reach
	query  atomic.Pointer[Query] // questions and the form read and write it
	pane   *pane.Pane
	of     map[string]Session
}

// shown is a list as rows: ten thousand take longer to write than a key may.
type shown struct {
	rows   []table.Row
	of     map[string]Session
	counts map[string]int
	more   int64
}

func newList(e page.Env, s Source) *list {
	m := &list{source: s, pane: &pane.Pane{
		Title: "Sessions",
		Table: table.New(
			table.Column{Title: "ID", Min: 14, Max: 40},
			table.Column{Title: "PRINCIPAL", Min: 10, Max: 40},
			table.Column{Title: "STATUS", Min: 10, Max: 16, Drop: 1},
			table.Column{Title: "NAMESPACES", Min: 10, Max: 32, Drop: 5},
			table.Column{Title: "CLIENT", Min: 8, Max: 28, Drop: 4},
			table.Column{Title: "SINCE", Min: 5, Right: true, Drop: 6},
			table.Column{Title: "LAST", Min: 5, Right: true, Drop: 3},
			table.Column{Title: "REQUESTS", Min: 8, Right: true},
			table.Column{Title: "STREAMS", Min: 7, Right: true, Drop: 7},
		),
	}}
	m.narrow(Query{})
	m.Board = page.NewBoard(e, func(ctx context.Context) (*shown, error) {
		l, err := s.Sessions(ctx, *m.query.Load(), m.reach.Rows())
		if err != nil {
			return nil, err
		}
		return rowsOf(e, l), nil
	}, m.take, m.pane)
	m.name()
	m.Item = func() (page.Item, bool) {
		r, ok := m.pane.Table.Selected()
		return e.Thing(s, r.ID, "session", "describe", r.ID), ok
	}
	return m
}

// narrow changes what the gateway is asked for.
func (m *list) narrow(q Query) { m.query.Store(&q) }

// name says in the title what the list is narrowed to, and why it may be empty.
func (m *list) name() {
	q := *m.query.Load()
	m.pane.Title = "Sessions"
	if q.Namespace != "" {
		m.pane.Title += " in " + text.Clean(q.Namespace)
	}
	if q.Principal != "" {
		m.pane.Title += " of " + text.Clean(q.Principal)
	}
	m.pane.Empty = []string{"no session is open", "a client makes one with its first call: " + m.Env.Line("kv", "set", "greeting", "hello")}
	if q != (Query{}) {
		m.pane.Empty = []string{"no such session is open: Esc asks for all"}
	}
}

// Keys is what keys do on the page.
func (m *list) Keys() keys.Table {
	own := keys.Table{
		{Action: actOpen, Keys: []string{"enter", "d", "t"}, Label: "open", Help: "look at the session and at its calls as they end"},
		terminateKey(),
		{Action: actAsk, Keys: []string{"f"}, Label: "narrow", Help: "ask the gateway only for sessions of a principal or a namespace"},
	}
	return append(own, m.Board.Keys()...)
}

// Do performs an action of Keys.
func (m *list) Do(a keys.Action) tea.Cmd {
	switch a {
	case actOpen, actTerminate:
		r, ok := m.pane.Table.Selected()
		switch {
		case !ok:
			return toast.Warn("there is no session under the cursor")
		case a == actOpen:
			return page.Do(page.Go{Name: OneName, Arg: r.ID})
		}
		return page.Do(terminate(m.Env, m.source, m.of[r.ID]))
	case actAsk:
		return page.Do(m.ask())
	}
	return tea.Batch(m.Board.Do(a), m.follow())
}

// ask is the form that narrows the list.
func (m *list) ask() page.Form {
	query := func(v map[string]string) Query { return Query{Namespace: v["namespace"], Principal: v["principal"]} }
	now := *m.query.Load()
	return page.Form{
		Title: "Sessions to show", Verb: "Show",
		Fields: []page.Field{
			{Name: "principal", Label: "Principal", Help: "such as user:ann; empty: all", Value: now.Principal},
			{Name: "namespace", Label: "Namespace", Help: "those that are narrowed to it; empty: all", Value: now.Namespace},
		},
		Check: func(v map[string]string) map[string]string {
			if n := v["namespace"]; n != "" && !prism.ValidName(n) {
				return map[string]string{"namespace": "that is no name of a namespace"}
			}
			return nil
		},
		Command: func(v map[string]string) string {
			args, q := []string{"session", "list"}, query(v)
			if q.Principal != "" {
				args = append(args, "--principal", q.Principal)
			}
			if q.Namespace != "" {
				args = append(args, "--namespace", q.Namespace)
			}
			return m.Env.Line(args...)
		},
		Do: func(_ context.Context, v map[string]string, _ func(string)) (string, error) {
			m.narrow(query(v))
			return "", nil
		},
	}
}

// Back asks for all sessions again, once the filter is cleared.
func (m *list) Back() bool {
	if m.Board.Back() {
		return true
	}
	if *m.query.Load() == (Query{}) {
		return false
	}
	m.narrow(Query{})
	m.name()
	m.Feed().Hurry()
	return true
}

// Mouse is a click or the wheel.
func (m *list) Mouse(x page.Mouse) tea.Cmd { return tea.Batch(m.Board.Mouse(x), m.follow()) }

// Update takes answers and what is typed.
func (m *list) Update(msg tea.Msg) tea.Cmd {
	if _, ok := msg.(page.Done); ok { // it may have been narrowed
		m.name()
		m.Feed().Hurry()
	}
	return tea.Batch(m.Board.Update(msg), m.follow())
}

// follow asks for more rows when the cursor comes near their end.
func (m *list) follow() tea.Cmd {
	if !m.reach.Follow(m.pane.Table, m.pane.More > 0) {
		return nil
	}
	m.Feed().Hurry()
	return m.Live.Hurry()
}

func (m *list) take(x *shown) {
	m.of, m.pane.More = x.of, x.more
	m.pane.Tally(x.counts)
	m.pane.Table.SetRows(x.rows)
}

func rowsOf(e page.Env, l *List) *shown {
	x := &shown{rows: make([]table.Row, 0, len(l.Sessions)), of: make(map[string]Session, len(l.Sessions)), counts: map[string]int{}, more: l.More}
	for _, s := range l.Sessions {
		x.of[s.ID] = s
		x.counts[strings.ReplaceAll(s.Status, "_", " ")]++
		x.rows = append(x.rows, table.Row{ID: s.ID, Command: e.Line("session", "describe", s.ID), Cells: []table.Cell{
			cell.Words(s.ID), cell.Words(s.Principal), cell.State(s.Status), cell.Words(scope(s)), cell.Words(s.Client),
			cell.At(s.Created, l.Now), cell.At(s.Active, l.Now), cell.Number(s.Requests), cell.Number(s.Streams),
		}})
	}
	return x
}

func scope(s Session) string {
	if len(s.Namespaces) == 0 {
		return "all"
	}
	return strings.Join(s.Namespaces, ", ")
}

// terminate asks before a session is ended.
func terminate(e page.Env, s Source, x Session) page.Ask {
	lines := []string{
		fmt.Sprintf("It is held by %s%s.", text.Clean(x.Principal), with(text.Clean(x.Client))),
		"Its calls fail with SESSION_REVOKED until the client brings its credential again.",
	}
	if x.Streams > 0 {
		lines = append(lines, figure.Many(x.Streams, "open stream")+" will end.")
	}
	return page.Ask{
		Title: "Terminate session " + text.Clean(x.ID), Verb: "Terminate", Name: x.ID, Lines: lines,
		Job: e.Job(s, []string{"session", "terminate", x.ID}, "--yes"),
	}
}

func with(client string) string {
	if client == "" {
		return ""
	}
	return " with " + client
}
