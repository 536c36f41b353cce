// Package audit is the page of the audit record: who did what to the gateway,
// when, and what came of it, the newest first.
package audit

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	tea "charm.land/bubbletea/v2"

	"github.com/prism-data-layer/prism/tui/component/cell"
	"github.com/prism-data-layer/prism/tui/component/figure"
	"github.com/prism-data-layer/prism/tui/component/pane"
	"github.com/prism-data-layer/prism/tui/component/table"
	"github.com/prism-data-layer/prism/tui/component/text"
	"github.com/prism-data-layer/prism/tui/component/toast"
	"github.com/prism-data-layer/prism/tui/keys"
	"github.com/prism-data-layer/prism/tui/page"
	"github.com/prism-data-layer/prism/tui/theme"
)

// Name is the page's name.
const Name = "audit"

// every is how often the records are asked for at most: each question leaves
// one.
const every = 5 * time.Second

const (
	actOpen  keys.Action = "open"
	actTrace keys.Action = "trace"
	actAsk   keys.Action = "ask"
	actReads keys.Action = "reads"
)

// Factory makes the page.
func Factory(s Source) page.Factory {
	return page.Factory{
		Name: Name, About: "who did what to the gateway, and what came of it",
		New: func(e page.Env, _ string) page.Page { return newModel(e, s) },
	}
}

type model struct {
	*page.Board[*List]
	source Source
	reach  page.Reach
	filter atomic.Pointer[Filter] // questions and the form read and write it
	pane   *pane.Pane
	of     map[string]Record
	more   bool // than are shown; how many is not counted
}

func newModel(e page.Env, s Source) *model {
	e.Refresh = max(e.Refresh, every)
	m := &model{source: s, pane: &pane.Pane{Table: table.New(
		table.Column{Title: "TIME", Min: 19, Max: 19},
		table.Column{Title: "ACTOR", Min: 10, Max: 40},
		table.Column{Title: "CALL", Min: 16, Max: 32},
		table.Column{Title: "RESOURCE", Min: 8, Max: 40, Drop: 1},
		table.Column{Title: "RESULT", Min: 12, Max: 28},
		table.Column{Title: "TOOK", Min: 6, Right: true, Drop: 3},
		table.Column{Title: "FROM", Min: 9, Max: 40, Drop: 2},
	)}}
	m.filter.Store(&Filter{})
	m.Board = page.NewBoard(e, func(ctx context.Context) (*List, error) { return s.Audit(ctx, *m.filter.Load(), m.reach.Rows()) }, m.take, m.pane)
	m.name()
	m.Item = func() (page.Item, bool) {
		r, ok := m.selected()
		return e.Thing(s, strconv.FormatInt(r.ID, 10), exactly(r)...), ok
	}
	return m
}

// exactly is the command that lists one record.
func exactly(r Record) []string {
	const layout = "2006-01-02T15:04:05.000Z"
	return []string{"audit", "list", "--actor", r.Actor, "--method", r.Method, "--since", r.Time.UTC().Format(layout), "--until", r.Time.Add(time.Millisecond).UTC().Format(layout)}
}

func (m *model) selected() (Record, bool) {
	r, ok := m.pane.Table.Selected()
	return m.of[r.ID], ok
}

// name says in the title what is shown, and why it may be nothing.
func (m *model) name() {
	f := *m.filter.Load()
	title := "Changes"
	if f.Reads {
		title = "All calls"
	}
	for _, part := range []struct{ word, value string }{{"by", f.Actor}, {"of", f.Call}, {"to", f.Resource}, {"since", f.Since}} {
		if part.value != "" {
			title += " " + part.word + " " + text.Clean(part.value)
		}
	}
	m.pane.Title = title
	m.pane.Empty = []string{"nobody has changed anything yet", "a shows calls that only read, too"}
	if f != (Filter{Reads: f.Reads}) {
		m.pane.Empty = []string{"there is no such record: Esc asks for all"}
	}
}

// Keys is what keys do on the page.
func (m *model) Keys() keys.Table {
	own := keys.Table{
		{Action: actOpen, Keys: []string{"enter", "d"}, Label: "detail", Help: "look at everything that is known of the call"},
		{Action: actReads, Keys: []string{"a"}, Label: "reads", Help: "show or leave out calls that change nothing"},
		{Action: actAsk, Keys: []string{"f"}, Label: "narrow", Help: "ask the gateway only for an actor, a call, a resource or a time"},
		{Action: actTrace, Keys: []string{"t"}, Help: "look at the trace of the call"},
	}
	return append(own, m.Board.Keys()...)
}

// Do performs an action of Keys.
func (m *model) Do(a keys.Action) tea.Cmd {
	switch a {
	case actOpen, actTrace:
		r, ok := m.selected()
		switch {
		case !ok:
			return toast.Warn("there is no record under the cursor")
		case a == actOpen:
			return page.Do(page.Show{Title: "Audit record " + strconv.FormatInt(r.ID, 10), Text: func(context.Context) (string, error) { return detail(r), nil }})
		case r.Trace == "":
			return toast.Warn("this call has no trace")
		}
		return page.Do(m.Env.Printed(m.source, "Trace "+text.Clean(r.Trace), "trace", r.Trace))
	case actReads:
		f := *m.filter.Load()
		f.Reads = !f.Reads
		return m.narrow(f)
	case actAsk:
		return page.Do(m.ask())
	}
	return tea.Batch(m.Board.Do(a), m.follow())
}

// narrow changes what the gateway is asked for, and asks.
func (m *model) narrow(f Filter) tea.Cmd {
	m.filter.Store(&f)
	m.name()
	m.Feed().Hurry()
	return m.Live.Hurry()
}

func (m *model) ask() page.Form {
	now := *m.filter.Load()
	of := func(v map[string]string) Filter {
		return Filter{Actor: v["actor"], Call: v["call"], Resource: v["resource"], Since: v["since"], Reads: now.Reads}
	}
	return page.Form{
		Title: "Records to show", Verb: "Show",
		Fields: []page.Field{
			{Name: "actor", Label: "Actor", Help: "such as user:ann; empty: all", Value: now.Actor},
			{Name: "call", Label: "Call", Help: "such as CreateNamespace; empty: all", Value: now.Call},
			{Name: "resource", Label: "Resource", Help: "such as orders; empty: all", Value: now.Resource},
			{Name: "since", Label: "Since", Help: "how long ago, such as 24h, or a time; empty: the beginning", Value: now.Since},
		},
		Check: func(map[string]string) map[string]string { return nil },
		Command: func(v map[string]string) string {
			args := []string{"audit", "list"}
			for _, f := range []struct{ flag, value string }{{"--actor", v["actor"]}, {"--method", v["call"]}, {"--resource", v["resource"]}, {"--since", v["since"]}} {
				if f.value != "" {
					args = append(args, f.flag, f.value)
				}
			}
			return m.Env.Line(args...)
		},
		Do: func(ctx context.Context, v map[string]string, _ func(string)) (string, error) {
			f := of(v)
			if _, err := m.source.Audit(ctx, f, 1); err != nil {
				return "", err // a time that is none, for example
			}
			m.filter.Store(&f)
			return "", nil
		},
	}
}

// Back asks for all records again, once the filter is cleared.
func (m *model) Back() bool {
	if m.Board.Back() {
		return true
	}
	f := *m.filter.Load()
	if f == (Filter{Reads: f.Reads}) {
		return false
	}
	m.narrow(Filter{Reads: f.Reads})
	return true
}

// Mouse is a click or the wheel.
func (m *model) Mouse(x page.Mouse) tea.Cmd { return tea.Batch(m.Board.Mouse(x), m.follow()) }

// Update takes answers and what is typed.
func (m *model) Update(msg tea.Msg) tea.Cmd {
	if _, ok := msg.(page.Done); ok {
		m.name()
		m.Feed().Hurry()
	}
	return tea.Batch(m.Board.Update(msg), m.follow())
}

// follow asks for more rows when the cursor comes near their end.
func (m *model) follow() tea.Cmd {
	if !m.reach.Follow(m.pane.Table, m.more) {
		return nil
	}
	m.Feed().Hurry()
	return m.Live.Hurry()
}

func (m *model) take(l *List) {
	m.of = make(map[string]Record, len(l.Records))
	rows := make([]table.Row, 0, len(l.Records))
	denied := 0
	for _, r := range l.Records {
		id := strconv.FormatInt(r.ID, 10)
		m.of[id] = r
		result := table.Cell{Text: cell.Glyph(theme.Good) + " " + text.Clean(r.Result), Role: theme.Good}
		if r.Result != "OK" {
			result = table.Cell{Text: cell.Glyph(theme.Bad) + " " + text.Clean(r.Result), Role: theme.Bad}
		}
		if r.Decision == "denied" {
			denied++
			result.Text = cell.Glyph(theme.Bad) + " denied"
		}
		rows = append(rows, table.Row{ID: id, Command: m.Env.Line(exactly(r)...), Cells: []table.Cell{
			cell.Words(r.Time.UTC().Format("2006-01-02 15:04:05")), cell.Words(r.Actor), cell.Words(calls(r)), cell.Words(r.Resource), result,
			cell.Latency(r.Took, true), cell.Words(r.Peer),
		}})
	}
	m.pane.Summary, m.pane.Role = "", theme.Plain
	if denied > 0 {
		m.pane.Summary, m.pane.Role = fmt.Sprintf("%d denied", denied), theme.Bad
	}
	m.more = l.More
	if l.More {
		m.pane.Summary = strings.TrimPrefix(m.pane.Summary+", there are more", ", ")
	}
	m.pane.Table.SetRows(rows)
}

// calls is what was called, and how often where a record stands for several.
func calls(r Record) string {
	if r.Calls > 1 {
		return fmt.Sprintf("%s ×%d", r.Call, r.Calls)
	}
	return r.Call
}

// detail is everything that is known of a call.
func detail(r Record) string {
	times := ""
	if r.Calls > 1 {
		times = fmt.Sprintf("%d within a minute; the last is told, and the longest", r.Calls)
	}
	var b strings.Builder
	for _, f := range []struct{ name, value string }{
		{"time", r.Time.UTC().Format("2006-01-02T15:04:05.000Z07:00")},
		{"actor", r.Actor},
		{"call", r.Method},
		{"calls", times},
		{"resource", r.Resource},
		{"decision", r.Decision},
		{"result", r.Result},
		{"detail", r.Detail},
		{"took", figure.Latency(r.Took)},
		{"from", r.Peer},
		{"request", r.Request},
		{"trace", r.Trace},
	} {
		if f.value != "" {
			fmt.Fprintf(&b, "%-10s%s\n", f.name, text.Clean(f.value))
		}
	}
	return b.String()
}
