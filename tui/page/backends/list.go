// Package backends is the page of all backends and the page of one: how the
// stores behind a gateway are, and what can be done with them.
package backends

import (
	"fmt"
	"time"

	tea "charm.land/bubbletea/v2"

	"github.com/prism-data-layer/prism/tui/component/cell"
	"github.com/prism-data-layer/prism/tui/component/figure"
	"github.com/prism-data-layer/prism/tui/component/pane"
	"github.com/prism-data-layer/prism/tui/component/table"
	"github.com/prism-data-layer/prism/tui/component/toast"
	"github.com/prism-data-layer/prism/tui/keys"
	"github.com/prism-data-layer/prism/tui/page"
	"github.com/prism-data-layer/prism/tui/theme"
)

// The names of the pages.
const (
	ListName = "backends"
	OneName  = "backend"
)

// ListFactory makes the page of all backends.
func ListFactory(s Source) page.Factory {
	return page.Factory{
		Name: ListName, Aliases: []string{"be"}, About: "all backends: health, breakers, latencies, errors",
		New: func(e page.Env, _ string) page.Page { return newList(e, s) },
	}
}

// list is the page of all.
type list struct {
	*page.Board[*List]
	source Source
	pane   *pane.Pane
	last   *List
	of     map[string]Backend
}

func newList(e page.Env, s Source) *list {
	m := &list{source: s, pane: &pane.Pane{
		Title: "Backends",
		Empty: []string{"no backends are configured", "add one: " + e.Line("backend", "add", "scratch", "--driver", "memory"), "or name it under backends: in the gateway's file"},
		Table: table.New(
			table.Column{Title: "NAME", Min: 10, Max: 40},
			table.Column{Title: "DRIVER", Min: 7, Max: 14, Drop: 6},
			table.Column{Title: "HEALTH", Min: 11, Max: 14},
			table.Column{Title: "BREAKER", Min: 11, Max: 12, Drop: 2},
			table.Column{Title: "P50", Min: 6, Right: true, Drop: 4},
			table.Column{Title: "P99", Min: 6, Right: true, Drop: 1},
			table.Column{Title: "CALLS/S", Min: 7, Right: true, Drop: 3},
			table.Column{Title: "ACTIVE", Min: 6, Right: true, Drop: 5},
			table.Column{Title: "ERRORS", Min: 6, Right: true, Drop: 3},
			table.Column{Title: "NS", Min: 3, Right: true, Drop: 7},
			table.Column{Title: "LAST ERROR", Min: 20, Drop: 2},
		),
	}}
	m.Board = page.NewBoard(e, s.Backends, m.take, m.pane)
	m.Item = func() (page.Item, bool) {
		b, ok := m.selected()
		return e.Thing(s, b.Name, "backend", "describe", b.Name), ok
	}
	return m
}

func (m *list) selected() (Backend, bool) {
	r, ok := m.pane.Table.Selected()
	return m.of[r.ID], ok
}

// Keys is what keys do on the page.
func (m *list) Keys() keys.Table {
	own := keys.Table{
		{Action: actOpen, Keys: []string{"enter", "d"}, Label: "describe", Help: "look at the backend: charts, pool, breaker, what it can do"},
		{Action: actProbe, Keys: []string{"P"}, Help: "probe the backend now"},
		{Action: actAdd, Keys: []string{"n"}, Label: "add", Help: "add a backend to the running gateway", Changes: true},
	}
	return append(append(own, changes()...), m.Board.Keys()...)
}

// Do performs an action of Keys.
func (m *list) Do(a keys.Action) tea.Cmd {
	if a == actAdd {
		return page.Do(add(m.Env, m.source, m.of))
	}
	if b, ok := m.Keys().Of(a); ok && (b.Changes || a == actOpen || a == actProbe) {
		n, ok := m.selected()
		switch {
		case !ok:
			return toast.Warn("there is no backend under the cursor")
		case a == actOpen:
			return page.Do(page.Go{Name: OneName, Arg: n.Name})
		case a == actProbe:
			return page.Do(probe(m.Env, m.source, n))
		}
		return change(m.Env, m.source, a, n)
	}
	return m.Board.Do(a)
}

func (m *list) take(l *List) {
	before := m.last
	m.last = l
	was := map[string]Backend{}
	if before != nil && before.Started.Equal(l.Started) {
		was = m.of
	}
	m.of = make(map[string]Backend, len(l.Backends))
	rows := make([]table.Row, 0, len(l.Backends))
	counts := map[string]int{}
	for _, b := range l.Backends {
		m.of[b.Name] = b
		counts[b.Health]++
		calls := cell.None()
		if w, ok := was[b.Name]; ok {
			if r, ok := perSecond(w.Calls, b.Calls, l.Now.Sub(before.Now)); ok {
				calls = table.Cell{Text: figure.Rate(r), Order: r}
			}
		}
		rows = append(rows, m.row(b, calls, l.Now))
	}
	m.pane.Tally(counts)
	m.pane.Table.SetRows(rows)
}

// perSecond is how fast a counter grew; false when that cannot be told.
func perSecond(before, after int64, elapsed time.Duration) (float64, bool) {
	if elapsed <= 0 || after < before {
		return 0, false
	}
	return float64(after-before) / elapsed.Seconds(), true
}

func (m *list) row(b Backend, calls table.Cell, now time.Time) table.Row {
	health := cell.State(b.Health)
	errors := cell.Number(b.Errors)
	problem := cell.Words(trouble(b))
	if b.Health == "unhealthy" || b.Health == "degraded" {
		errors.Role, problem.Role = theme.Bad, theme.Bad
	} else if len(b.Faults) > 0 {
		problem = cell.Words("a fault acts: " + b.Faults[0].What)
		problem.Role = theme.Warn
	} else if !b.LastFailed.IsZero() && problem.Text != "" {
		problem = cell.Words(fmt.Sprintf("%s: %s", cell.At(b.LastFailed, now).Text, trouble(b)))
		problem.Role = theme.Faint
	}
	return table.Row{ID: b.Name, Command: m.Env.Line("backend", "describe", b.Name), Cells: []table.Cell{
		cell.Words(b.Name), cell.Words(b.Driver), health, breaker(b.Breaker), cell.Latency(b.P50, b.P50 > 0), cell.Latency(b.P99, b.P99 > 0),
		calls, cell.Number(b.InFlight), errors, cell.Number(int64(len(b.Namespaces))), problem,
	}}
}

// trouble is why a backend is not well, else what failed last.
func trouble(b Backend) string {
	if b.Message != "" {
		return b.Message
	}
	return b.LastError
}

// breaker is the state of a breaker; closed is well, whatever the word is for
// doors.
func breaker(word string) table.Cell {
	c := cell.Words(word)
	switch word {
	case "closed":
		c.Role = theme.Good
	case "half-open":
		c.Role = theme.Warn
	case "open":
		c.Role = theme.Bad
	}
	c.Text = cell.Glyph(c.Role) + " " + c.Text
	return c
}
