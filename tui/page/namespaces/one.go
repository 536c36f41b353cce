package namespaces

import (
	"context"
	"fmt"
	"strings"
	"time"

	tea "charm.land/bubbletea/v2"

	"github.com/prism-data-layer/prism/tui/component/cell"
	"github.com/prism-data-layer/prism/tui/component/fact"
	"github.com/prism-data-layer/prism/tui/component/feed"
	"github.com/prism-data-layer/prism/tui/component/figure"
	"github.com/prism-data-layer/prism/tui/component/gauge"
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

// OneFactory makes the page of one namespace.
func OneFactory(s Source) page.Factory {
	return page.Factory{
		Name: OneName, Arg: "NAMESPACE", About: "one namespace: traffic, limits and use, sessions, errors, history",
		Complete: func(ctx context.Context) ([]string, error) {
			l, err := s.Namespaces(ctx, page.FirstReach)
			if err != nil {
				return nil, err
			}
			var names []string
			for _, n := range l.Namespaces {
				names = append(names, n.Name)
			}
			return names, nil
		},
		New: func(e page.Env, name string) page.Page { return newOne(e, s, name) },
	}
}

// one is the page of one namespace.
type one struct {
	*page.Board[*One]
	source Source
	name   string
	charts *gauge.Panel
	change rates.Rate
	last   *One

	facts, sessions, history, failures *pane.Pane
}

func newOne(e page.Env, s Source, name string) *one {
	m := &one{
		source: s, name: name, charts: gauge.Traffic(e.Refresh, e.Charset),
		facts: fact.NewPane("Namespace"),
		sessions: &pane.Pane{
			Title: "Sessions", Empty: []string{"no session is narrowed to it; see all: " + e.Line("session", "list")},
			Table: table.New(
				table.Column{Title: "ID", Min: 14, Max: 40},
				table.Column{Title: "PRINCIPAL", Min: 10, Max: 32},
				table.Column{Title: "CLIENT", Min: 8, Max: 28, Drop: 2},
				table.Column{Title: "STATUS", Min: 10, Max: 16, Drop: 1},
				table.Column{Title: "LAST", Min: 5, Right: true},
				table.Column{Title: "REQUESTS", Min: 8, Right: true, Drop: 3},
			),
		},
		failures: &pane.Pane{
			Title: "Last errors", Empty: []string{"no failed call of it is kept; see all: " + e.Line("trace", "list", "--errors")},
			Table: table.New(
				table.Column{Title: "AT", Min: 5, Right: true},
				table.Column{Title: "CALL", Min: 10, Max: 40},
				table.Column{Title: "REASON", Min: 12, Max: 32},
				table.Column{Title: "TOOK", Min: 6, Right: true, Drop: 1},
				table.Column{Title: "TRACE", Min: 10, Max: 32, Drop: 2},
			),
		},
		history: &pane.Pane{
			Title: "History", Empty: []string{"nothing has happened to it yet"},
			Table: table.New(
				table.Column{Title: "AT", Min: 5, Right: true},
				table.Column{Title: "EVENT", Min: 8, Max: 12},
				table.Column{Title: "REV", Min: 3, Right: true, Drop: 1},
				table.Column{Title: "ACTOR", Min: 8, Max: 28},
				table.Column{Title: "DETAIL", Min: 10, Drop: 2},
			),
		},
	}
	m.Board = page.NewBoard(e, func(ctx context.Context) (*One, error) { return s.Namespace(ctx, name) }, m.take, m.facts, m.sessions, m.failures, m.history)
	m.Header = m.gauges
	m.Item = m.item
	return m
}

// item is the row that has a command of its own, else the namespace.
func (m *one) item() (page.Item, bool) {
	r, ok := m.Stack.Focused().Table.Selected()
	switch {
	case ok && m.Stack.Focused() == m.sessions:
		return m.Env.Thing(m.source, r.ID, "session", "describe", r.ID), true
	case ok && m.Stack.Focused() == m.failures:
		return m.Env.Thing(m.source, r.ID, "trace", r.ID), true
	}
	return m.Env.Thing(m.source, m.name, "namespace", "describe", m.name), m.last != nil
}

// Keys is what keys do on the page.
func (m *one) Keys() keys.Table {
	own := keys.Table{{Action: actOpen, Keys: []string{"enter"}, Label: "open", Help: "look at the session under the cursor, or at the data"}}
	return append(append(own, changes()...), m.Board.Keys()...)
}

// Do performs an action of Keys.
func (m *one) Do(a keys.Action) tea.Cmd {
	if b, ok := m.Keys().Of(a); ok && b.Changes {
		if m.last == nil {
			return toast.Warn("nothing is known of this namespace yet")
		}
		return change(m.Env, m.source, a, m.last.Namespace)
	}
	if a == actOpen {
		return m.open()
	}
	return m.Board.Do(a)
}

func (m *one) open() tea.Cmd {
	r, ok := m.Stack.Focused().Table.Selected()
	switch {
	case ok && m.Stack.Focused() == m.sessions:
		return page.Do(page.Go{Name: "session", Arg: r.ID})
	case ok && m.Stack.Focused() == m.failures:
		return page.Do(m.Env.Printed(m.source, "Trace "+r.ID, "trace", r.ID))
	case m.last != nil && m.last.HasData:
		return page.Do(page.Go{Name: dataName, Arg: m.name})
	}
	return page.Do(m.Env.Printed(m.source, "Namespace "+text.Clean(m.name), "namespace", "describe", m.name))
}

// Beat tells the time.
func (m *one) Beat(now time.Time) tea.Cmd {
	if !m.Feed().Paused() {
		m.charts.Pass(now)
	}
	return m.Board.Beat(now)
}

// Notice is what an operator should know of it.
func (m *one) Notice() string {
	if m.last == nil {
		return ""
	}
	return text.Clean(strings.Join(m.last.Notes, "; "))
}

func (m *one) gauges() []string {
	s := gauge.State{Live: m.Feed().State(m.Live.Now()) == feed.Live}
	if err := m.last.Problems[PartStats]; err != nil {
		s.Failed, _, _ = problem.Explain(err)
	} else if !m.change.Known && s.Live {
		s.Remark = "measuring…"
	}
	return m.charts.View(m.Theme, m.Width, m.Height, s)
}

func (m *one) take(o *One) {
	before := m.last
	m.last, m.change = o, rates.Rate{}
	if before == nil {
		m.charts.Begin(m.Live.Now())
	} else {
		if o.Problems[PartStats] == nil && before.Started.Equal(o.Started) && !before.Stats.At.IsZero() {
			m.change = rates.Between(before.Stats.Of[m.name], o.Stats.Of[m.name], o.Stats.At.Sub(before.Stats.At))
		}
		m.charts.Add(m.Live.Now(), gauge.Sample(m.change))
	}
	m.facts.Title = "Namespace " + text.Clean(o.Name)
	m.facts.Tally(map[string]int{o.State: 1})
	fact.Fill(m.facts, m.Env.Line("namespace", "describe", m.name), facts(o))
	m.fill(m.sessions, PartSessions, m.sessionRows)
	m.fill(m.failures, PartFailures, m.failureRows)
	m.fill(m.history, PartHistory, m.historyRows)
}

// fill gives a pane its rows; what could not be asked for keeps its last ones.
func (m *one) fill(p *pane.Pane, part Part, rows func() []table.Row) {
	if p.Problem = m.last.Problems[part]; p.Problem == nil {
		p.More = m.last.More[part]
		p.Table.SetRows(rows())
	}
}

func (m *one) sessionRows() []table.Row {
	var rows []table.Row
	for _, s := range m.last.Sessions {
		rows = append(rows, table.Row{ID: s.ID, Command: m.Env.Line("session", "describe", s.ID), Cells: []table.Cell{
			cell.Words(s.ID), cell.Words(s.Principal), cell.Words(s.Client), cell.State(s.Status), cell.At(s.Active, m.last.Now), cell.Number(s.Requests),
		}})
	}
	return rows
}

func (m *one) failureRows() []table.Row {
	var rows []table.Row
	for _, f := range m.last.Failures {
		reason := cell.Words(f.Reason)
		reason.Role = theme.Bad
		rows = append(rows, table.Row{ID: f.Trace, Command: m.Env.Line("trace", f.Trace), Cells: []table.Cell{
			cell.At(f.Time, m.last.Now), cell.Words(f.Method), reason, cell.Latency(f.Took, true), cell.Words(f.Trace),
		}})
	}
	return rows
}

func (m *one) historyRows() []table.Row {
	var rows []table.Row
	for i, e := range m.last.History {
		rows = append(rows, table.Row{ID: fmt.Sprint(e.Revision, e.Kind, len(m.last.History)-i), Command: m.Env.Line("namespace", "history", m.name), Cells: []table.Cell{
			cell.At(e.Time, m.last.Now), cell.Words(e.Kind), cell.Number(e.Revision), cell.Words(e.Actor), cell.Words(e.Detail),
		}})
	}
	return rows
}

// facts are what is known of it, what matters most first.
func facts(o *One) []fact.Fact {
	list := []fact.Fact{
		fact.State("state", o.State),
		fact.Of("model", o.Model),
		fact.Of("backend", strings.TrimSpace(o.Backend+" "+bracket(o.Driver))),
	}
	for _, n := range o.Notes {
		list = append(list, fact.Fact{Name: "note", Value: n, Role: theme.Warn})
	}
	if o.Wanted != "" {
		list = append(list, fact.Fact{Name: "wanted backend", Value: o.Wanted, Role: theme.Warn})
	}
	if o.Known {
		about := ""
		if o.Estimated {
			about = "~"
		}
		list = append(list, fact.Of("holds", fmt.Sprintf("%s%s keys, %s%s", about, figure.Count(o.Keys), about, figure.Bytes(o.Bytes))),
			fact.Of("in use by", figure.Many(o.Namespace.Sessions, "session")+", "+figure.Many(o.Streams, "stream")))
		if o.ReceiptsLimit > 0 {
			list = append(list, fact.Of("receipts", fmt.Sprintf("%s of %s", figure.Count(o.Receipts), figure.Count(o.ReceiptsLimit))))
		}
	}
	for _, l := range o.Limits {
		list = append(list, fact.Of("limit "+l.Name, amount(l)))
	}
	list = append(list, fact.Of("durability", o.Durability), fact.Of("description", o.Description))
	for _, t := range []struct {
		name string
		d    time.Duration
	}{{"default TTL", o.DefaultTTL}, {"longest TTL", o.MaxTTL}, {"retention", o.Retention}} {
		if t.d > 0 {
			list = append(list, fact.Of(t.name, t.d.String()))
		}
	}
	if o.NoAutoCreate {
		list = append(list, fact.Of("publishing", "makes no topic and no queue"))
	}
	list = append(list, fact.Of("default kind", o.DefaultKind))
	for _, l := range o.Needs {
		list = append(list, fact.Of("needs "+l.Name, amount(l)))
	}
	list = append(list, fact.Of("owners", strings.Join(o.Owners, ", ")))
	for _, g := range o.Grants {
		list = append(list, fact.Of("grant", g.Principal+": "+g.Permissions))
	}
	list = append(list, fact.Of("capabilities", strings.Join(o.Capabilities, ", ")), fact.Of("declared in", o.Declared), fact.Of("revision", figure.Count(o.Revision)))
	for _, t := range []struct {
		name string
		at   time.Time
	}{{"created", o.Created}, {"updated", o.Updated}} {
		if !t.at.IsZero() {
			list = append(list, fact.Of(t.name, t.at.UTC().Format(time.RFC3339)))
		}
	}
	return list
}

func bracket(s string) string {
	if s == "" {
		return ""
	}
	return "(" + s + ")"
}

func amount(l Limit) string {
	if l.Bytes {
		return figure.Bytes(l.Of)
	}
	return figure.Count(l.Of)
}
