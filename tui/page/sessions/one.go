package sessions

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	tea "charm.land/bubbletea/v2"

	"github.com/prism-data-layer/prism/tui/component/cell"
	"github.com/prism-data-layer/prism/tui/component/fact"
	"github.com/prism-data-layer/prism/tui/component/figure"
	"github.com/prism-data-layer/prism/tui/component/pane"
	"github.com/prism-data-layer/prism/tui/component/table"
	"github.com/prism-data-layer/prism/tui/component/tail"
	"github.com/prism-data-layer/prism/tui/component/text"
	"github.com/prism-data-layer/prism/tui/component/toast"
	"github.com/prism-data-layer/prism/tui/keys"
	"github.com/prism-data-layer/prism/tui/page"
	"github.com/prism-data-layer/prism/tui/theme"
)

const (
	actTrace  keys.Action = "trace"
	actFilter keys.Action = "calls"
)

// kept is how many calls the page holds.
const kept = 1000

// OneFactory makes the page of one session.
func OneFactory(s Source) page.Factory {
	return page.Factory{
		Name: OneName, Arg: "SESSION", About: "one session, and its calls as they end",
		Complete: func(ctx context.Context) ([]string, error) {
			l, err := s.Sessions(ctx, Query{}, 200)
			if err != nil {
				return nil, err
			}
			var ids []string
			for _, x := range l.Sessions {
				ids = append(ids, x.ID)
			}
			return ids, nil
		},
		New: func(e page.Env, id string) page.Page { return newOne(e, s, id) },
	}
}

// one is the page of one session.
type one struct {
	*page.Board[*One]
	source Source
	id     string
	last   *One
	trace  *tail.Model[Call]
	on     bool
	filter atomic.Pointer[CallFilter] // the stream and the form read and write it

	rows          []table.Row // of calls, the newest first
	calls, failed int64       // since the trace began
	facts, pane   *pane.Pane
	traced        map[string]Call
	filtered      CallFilter // what the stream was opened with
}

func newOne(e page.Env, s Source, id string) *one {
	m := &one{
		source: s, id: id, on: true, facts: fact.NewPane("Session"), traced: map[string]Call{},
		pane: &pane.Pane{Title: "Calls", Table: table.New(
			table.Column{Title: "TIME", Min: 12, Max: 12},
			table.Column{Title: "CALL", Min: 10, Max: 40},
			table.Column{Title: "NAMESPACE", Min: 8, Max: 24, Drop: 3},
			table.Column{Title: "SUBJECT", Min: 8, Max: 64, Drop: 2},
			table.Column{Title: "TOOK", Min: 6, Right: true},
			table.Column{Title: "BYTES", Min: 7, Right: true, Drop: 4},
			table.Column{Title: "RESULT", Min: 12, Max: 28},
		)},
	}
	m.filter.Store(&CallFilter{})
	m.Board = page.NewBoard(e, func(ctx context.Context) (*One, error) { return s.Session(ctx, id) }, m.take, m.facts, m.pane)
	m.trace = tail.New(e.Tasks, tail.Options{}, func(ctx context.Context, to *tail.Sink[Call]) error {
		return s.Calls(ctx, id, *m.filter.Load(), to)
	}, m.took)
	m.Item = m.item
	m.say()
	return m
}

func (m *one) item() (page.Item, bool) {
	if c, ok := m.call(); ok && c.Trace != "" {
		return m.Env.Thing(m.source, c.Trace, "trace", c.Trace), true
	}
	return m.Env.Thing(m.source, m.id, "session", "describe", m.id), m.last != nil
}

// call is the call under the cursor.
func (m *one) call() (Call, bool) {
	r, ok := m.pane.Table.Selected()
	if !ok || m.Stack.Focused() != m.pane {
		return Call{}, false
	}
	c, ok := m.traced[r.ID]
	return c, ok
}

// Init asks for the session, and for its calls.
func (m *one) Init() tea.Cmd { return tea.Batch(m.Board.Init(), m.trace.Start()) }

// Close ends the trace.
func (m *one) Close() { m.trace.Close() }

// Beat tells the time.
func (m *one) Beat(now time.Time) tea.Cmd {
	cmds := []tea.Cmd{m.Board.Beat(now)}
	if m.on {
		cmds = append(cmds, m.trace.Beat(now))
	}
	m.say()
	return tea.Batch(cmds...)
}

// Update takes answers, calls, and what is typed.
func (m *one) Update(msg tea.Msg) tea.Cmd {
	if cmd, ok := m.trace.Update(msg); ok {
		m.say()
		return cmd
	}
	cmd := m.Board.Update(msg)
	if _, ok := msg.(page.Done); ok && *m.filter.Load() != m.filtered {
		m.filtered = *m.filter.Load()
		return tea.Batch(cmd, m.begin())
	}
	return cmd
}

// Keys is what keys do on the page.
func (m *one) Keys() keys.Table {
	own := keys.Table{
		{Action: actOpen, Keys: []string{"enter"}, Help: "look at the trace of the call under the cursor"},
		{Action: actTrace, Keys: []string{"t"}, Label: "trace", Help: "stop or begin listening to the calls of the session"},
		{Action: actFilter, Keys: []string{"f"}, Label: "calls", Help: "listen only to slow or failed calls"},
		terminateKey(),
	}
	return append(own, m.Board.Keys()...)
}

// Do performs an action of Keys.
func (m *one) Do(a keys.Action) tea.Cmd {
	switch a {
	case actOpen:
		c, ok := m.call()
		switch {
		case !ok:
			return page.Do(m.Env.Printed(m.source, "Session "+text.Clean(m.id), "session", "describe", m.id))
		case c.Trace == "":
			return toast.Warn("this call has no trace")
		}
		return page.Do(m.Env.Printed(m.source, "Trace "+text.Clean(c.Trace), "trace", c.Trace))
	case actTrace:
		if m.on = !m.on; !m.on {
			m.trace.Close()
			m.say()
			return nil
		}
		return m.begin()
	case actFilter:
		return page.Do(m.ask())
	case actTerminate:
		if m.last == nil {
			return toast.Warn("nothing is known of this session yet")
		}
		return page.Do(terminate(m.Env, m.source, m.last.Session))
	case keys.Pause:
		cmd, _ := m.trace.Do(a)
		return tea.Batch(m.Board.Do(a), cmd)
	}
	return m.Board.Do(a)
}

// begin listens anew, with an empty list.
func (m *one) begin() tea.Cmd {
	m.on, m.rows, m.calls, m.failed, m.traced = true, nil, 0, 0, map[string]Call{}
	m.pane.Table.SetRows(nil)
	defer m.say()
	return m.trace.Start()
}

// ask is the form that leaves out calls.
func (m *one) ask() page.Form {
	parse := func(v map[string]string) (CallFilter, error) {
		f := CallFilter{Errors: v["errors"] == "yes"}
		var err error
		if v["least"] != "" {
			f.Least, err = time.ParseDuration(v["least"])
		}
		return f, err
	}
	now := *m.filter.Load()
	least, failed := "", "no"
	if now.Least > 0 {
		least = now.Least.String()
	}
	if now.Errors {
		failed = "yes"
	}
	return page.Form{
		Title: "Calls to listen to", Verb: "Listen",
		Fields: []page.Field{
			{Name: "least", Label: "Took at least", Help: "such as 100ms; empty: any", Value: least},
			{Name: "errors", Label: "Only errors", Value: failed, Options: []string{"no", "yes"}},
		},
		Check: func(v map[string]string) map[string]string {
			if f, err := parse(v); err != nil || f.Least < 0 {
				return map[string]string{"least": "write a number and a unit, such as 100ms"}
			}
			return nil
		},
		Command: func(v map[string]string) string {
			args := []string{"session", "trace", m.id}
			if v["least"] != "" {
				args = append(args, "--min-latency", v["least"])
			}
			if v["errors"] == "yes" {
				args = append(args, "--errors")
			}
			return m.Env.Line(args...)
		},
		Do: func(_ context.Context, v map[string]string, _ func(string)) (string, error) {
			f, err := parse(v)
			if err == nil {
				m.filter.Store(&f)
			}
			return "", err
		},
	}
}

// took adds calls, the newest first.
func (m *one) took(calls []Call) {
	rows := make([]table.Row, 0, min(kept, len(calls)+len(m.rows)))
	for i := len(calls) - 1; i >= 0; i-- {
		c := calls[i]
		if c.Reason != "" {
			m.failed++
		}
		if len(rows) < kept {
			id := strconv.FormatInt(m.calls+int64(i), 10)
			m.traced[id] = c
			rows = append(rows, m.row(id, c))
		}
	}
	m.calls += int64(len(calls))
	for _, r := range m.rows {
		if len(rows) < kept {
			rows = append(rows, r)
		} else {
			delete(m.traced, r.ID)
		}
	}
	m.rows = rows
	m.pane.Table.SetRows(rows)
}

func (m *one) row(id string, c Call) table.Row {
	result := table.Cell{Text: cell.Glyph(theme.Good) + " ok", Role: theme.Good}
	if c.Reason != "" {
		result = table.Cell{Text: cell.Glyph(theme.Bad) + " " + text.Clean(c.Reason), Role: theme.Bad}
	}
	method := c.Method[strings.LastIndexByte(c.Method, '/')+1:]
	if c.Operations > 1 {
		method += fmt.Sprintf(" ×%d", c.Operations)
	}
	command := m.Env.Line("session", "trace", m.id)
	if c.Trace != "" {
		command = m.Env.Line("trace", c.Trace)
	}
	bytes := c.Sent + c.Received
	return table.Row{ID: id, Command: command, Cells: []table.Cell{
		cell.Words(c.Began.UTC().Format("15:04:05.000")), cell.Words(method), cell.Words(c.Namespace), cell.Words(c.Subject),
		cell.Latency(c.Took, true),
		{Text: figure.Bytes(bytes), Order: float64(bytes)},
		result,
	}}
}

// say tells how the trace does: in the title, and why there is nothing.
func (m *one) say() {
	m.pane.Title, m.pane.Summary, m.pane.Role, m.pane.Problem = "Calls", "", theme.Plain, nil
	f := *m.filter.Load()
	if f.Least > 0 {
		m.pane.Title += " ≥ " + f.Least.String()
	}
	if f.Errors {
		m.pane.Title += " that failed"
	}
	var say []string
	if m.calls > kept {
		say = append(say, "the newest of "+figure.Count(m.calls))
	}
	if m.failed > 0 {
		say = append(say, figure.Count(m.failed)+" failed")
		m.pane.Role = theme.Bad
	}
	if n := m.trace.Dropped(); n > 0 {
		say = append(say, figure.Count(n)+" missed")
	}
	m.pane.Empty = []string{"listening: a call is shown when it has ended"}
	switch {
	case !m.on:
		say = append(say, "stopped")
		m.pane.Empty = []string{"t listens to the calls of the session"}
	case m.trace.Over():
		say = append(say, "the session has ended")
		m.pane.Empty = []string{"the session has ended"}
	}
	if m.on {
		m.pane.Problem = m.trace.Feed().Err()
	}
	m.pane.Summary = strings.Join(say, ", ")
}

func (m *one) take(o *One) {
	m.last = o
	m.facts.Title = "Session " + text.Clean(o.ID)
	m.facts.Tally(map[string]int{strings.ReplaceAll(o.Status, "_", " "): 1})
	made := "by its client"
	if o.Implicit {
		made = "for a caller that brought only a credential"
	}
	at := func(t time.Time) string {
		if t.IsZero() {
			return ""
		}
		return t.UTC().Format(time.RFC3339)
	}
	fact.Fill(m.facts, m.Env.Line("session", "describe", m.id), []fact.Fact{
		fact.State("status", o.Status), fact.Of("principal", o.Principal), fact.Of("client", o.Client), fact.Of("made", made),
		fact.Of("namespaces", scope(o.Session)), fact.Of("requests", figure.Count(o.Requests)), fact.Of("open streams", figure.Count(o.Streams)),
		fact.Of("sent", figure.Bytes(o.Sent)), fact.Of("received", figure.Bytes(o.Received)), fact.Of("began", at(o.Created)),
		fact.Of("last used", at(o.Active)), fact.Of("ends", at(o.Expires)), fact.Of("configuration", o.Config),
	})
}
