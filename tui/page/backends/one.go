package backends

import (
	"context"
	"fmt"
	"math"
	"strings"
	"time"

	tea "charm.land/bubbletea/v2"

	"github.com/prism-data-layer/prism/tui/component/cell"
	"github.com/prism-data-layer/prism/tui/component/fact"
	"github.com/prism-data-layer/prism/tui/component/feed"
	"github.com/prism-data-layer/prism/tui/component/figure"
	"github.com/prism-data-layer/prism/tui/component/gauge"
	"github.com/prism-data-layer/prism/tui/component/pane"
	"github.com/prism-data-layer/prism/tui/component/table"
	"github.com/prism-data-layer/prism/tui/component/text"
	"github.com/prism-data-layer/prism/tui/component/toast"
	"github.com/prism-data-layer/prism/tui/keys"
	"github.com/prism-data-layer/prism/tui/page"
	"github.com/prism-data-layer/prism/tui/theme"
)

// OneFactory makes the page of one backend.
func OneFactory(s Source) page.Factory {
	return page.Factory{
		Name: OneName, Arg: "BACKEND", About: "one backend: latencies, errors, pool, breaker, what it can do",
		Complete: func(ctx context.Context) ([]string, error) {
			l, err := s.Backends(ctx)
			if err != nil {
				return nil, err
			}
			var names []string
			for _, b := range l.Backends {
				names = append(names, b.Name)
			}
			return names, nil
		},
		New: func(e page.Env, name string) page.Page { return newOne(e, s, name) },
	}
}

// one is the page of one backend.
type one struct {
	*page.Board[*One]
	source Source
	name   string
	charts *gauge.Panel
	rated  bool
	last   *One

	facts, reasons, namespaces, abilities *pane.Pane
}

func newOne(e page.Env, s Source, name string) *one {
	m := &one{
		source: s, name: name,
		charts: gauge.New("Calls", e.Refresh, e.Charset,
			[]gauge.Gauge{
				{Label: "call/s", Least: 10, Role: theme.Accent, Scale: figure.Rate},
				{Label: "err/s", Least: 1, Role: theme.Bad, Quiet: true, Scale: figure.Rate},
			},
			[]gauge.Gauge{
				{Label: "p50", Least: 0.1, Role: theme.Good, Scale: gauge.Millis},
				{Label: "p99", Least: 0.1, Role: theme.Warn, Scale: gauge.Millis},
				{Label: "active", Least: 4, Role: theme.Accent, Scale: figure.Rate},
			}),
		facts: fact.NewPane("Backend"),
		reasons: &pane.Pane{Title: "Errors by reason", Empty: []string{"no call has failed since the gateway's start"}, Table: table.New(
			table.Column{Title: "REASON", Min: 16, Max: 40}, table.Column{Title: "CALLS", Min: 8, Right: true},
		)},
		namespaces: &pane.Pane{Title: "Namespaces", Empty: []string{"none is on it; make one: " + e.Line("namespace", "create", "orders", "--backend", name)}, Table: table.New(
			table.Column{Title: "NAME", Min: 10, Max: 63},
		)},
		abilities: &pane.Pane{Title: "Can do", Empty: []string{"it can do nothing"}, Table: table.New(
			table.Column{Title: "CAPABILITY", Min: 16, Max: 40}, table.Column{Title: "THERE", Min: 6, Max: 8}, table.Column{Title: "WHY NOT", Min: 10, Drop: 1},
		)},
	}
	m.Board = page.NewBoard(e, func(ctx context.Context) (*One, error) { return s.Backend(ctx, name) }, m.take, m.facts, m.reasons, m.namespaces, m.abilities)
	m.Header = m.gauges
	m.Item = func() (page.Item, bool) {
		if r, ok := m.namespaces.Table.Selected(); ok && m.Stack.Focused() == m.namespaces {
			return e.Thing(s, r.ID, "namespace", "describe", r.ID), true
		}
		return e.Thing(s, name, "backend", "describe", name), m.last != nil
	}
	return m
}

// Keys is what keys do on the page.
func (m *one) Keys() keys.Table {
	own := keys.Table{
		{Action: actProbe, Keys: []string{"P"}, Label: "probe", Help: "probe the backend now"},
		{Action: actOpen, Keys: []string{"enter"}, Help: "look at the namespace under the cursor"},
	}
	return append(append(own, changes()...), m.Board.Keys()...)
}

// Do performs an action of Keys.
func (m *one) Do(a keys.Action) tea.Cmd {
	if a == actOpen {
		if r, ok := m.namespaces.Table.Selected(); ok && m.Stack.Focused() == m.namespaces {
			return page.Do(page.Go{Name: "namespace", Arg: r.ID})
		}
		return page.Do(m.Env.Printed(m.source, "Backend "+text.Clean(m.name), "backend", "describe", m.name))
	}
	if b, ok := m.Keys().Of(a); ok && (b.Changes || a == actProbe) {
		switch {
		case m.last == nil:
			return toast.Warn("nothing is known of this backend yet")
		case a == actProbe:
			return page.Do(probe(m.Env, m.source, m.last.Backend))
		case a == actFault && !m.last.FaultsOn:
			return toast.Warn("this gateway lets no faults be made: its file does not say faults: true")
		}
		return change(m.Env, m.source, a, m.last.Backend)
	}
	return m.Board.Do(a)
}

// Beat tells the time.
func (m *one) Beat(now time.Time) tea.Cmd {
	if !m.Feed().Paused() {
		m.charts.Pass(now)
	}
	return m.Board.Beat(now)
}

// Notice is why the backend is not well.
func (m *one) Notice() string {
	if m.last == nil {
		return ""
	}
	var say []string
	if m.last.Health != "healthy" && trouble(m.last.Backend) != "" {
		say = append(say, m.last.Health+": "+trouble(m.last.Backend))
	}
	for _, f := range m.last.Faults {
		say = append(say, fmt.Sprintf("a fault acts until %s: %s", f.Ends.UTC().Format("15:04:05"), f.What))
	}
	return text.Clean(strings.Join(say, "; "))
}

func (m *one) gauges() []string {
	s := gauge.State{Live: m.Feed().State(m.Live.Now()) == feed.Live}
	if !m.rated && s.Live {
		s.Remark = "measuring…"
	}
	return m.charts.View(m.Theme, m.Width, m.Height, s)
}

func (m *one) take(o *One) {
	before := m.last
	m.last, m.rated = o, false
	if before == nil {
		m.charts.Begin(m.Live.Now())
	} else {
		m.charts.Add(m.Live.Now(), m.sample(before, o))
	}
	m.facts.Title = "Backend " + text.Clean(o.Name)
	m.facts.Tally(map[string]int{o.Health: 1})
	fact.Fill(m.facts, m.Env.Line("backend", "describe", m.name), facts(o))
	rows := make([]table.Row, 0, len(o.Reasons))
	for _, r := range o.Reasons {
		rows = append(rows, table.Row{ID: r.Name, Command: m.Env.Line("backend", "stats", m.name), Cells: []table.Cell{cell.Words(r.Name), cell.Number(r.Of)}})
	}
	m.reasons.Table.SetRows(rows)
	rows = nil
	for _, n := range o.Namespaces {
		rows = append(rows, table.Row{ID: n, Command: m.Env.Line("namespace", "describe", n), Cells: []table.Cell{cell.Words(n)}})
	}
	m.namespaces.Table.SetRows(rows)
	m.abilities.Table.SetRows(m.abilityRows())
}

// sample is what the backend did since the look before.
func (m *one) sample(before, o *One) []gauge.Value {
	rate := func(was, is int64) gauge.Value {
		r, ok := perSecond(was, is, o.Now.Sub(before.Now))
		if !ok || !before.Started.Equal(o.Started) {
			return gauge.Value{Of: math.NaN(), Text: figure.None}
		}
		m.rated = true
		return gauge.Value{Of: r, Text: figure.Rate(r)}
	}
	failed := func(x *One) int64 { return x.Errors + x.RejectedOpen + x.RejectedBusy }
	return []gauge.Value{
		rate(before.Calls, o.Calls), rate(failed(before), failed(o)),
		gauge.Time(o.P50, o.P50 > 0), gauge.Time(o.P99, o.P99 > 0),
		{Of: float64(o.InFlight), Text: figure.Count(o.InFlight)},
	}
}

func (m *one) abilityRows() []table.Row {
	rows := make([]table.Row, 0, len(m.last.Capabilities)+len(m.last.Missing))
	command := m.Env.Line("backend", "describe", m.name)
	for _, c := range m.last.Capabilities {
		rows = append(rows, table.Row{ID: c, Command: command, Cells: []table.Cell{cell.Words(c), {Text: cell.Glyph(theme.Good) + " yes", Role: theme.Good}, {}}})
	}
	for _, c := range m.last.Missing {
		rows = append(rows, table.Row{ID: c.Name, Command: command, Cells: []table.Cell{cell.Words(c.Name), {Text: "– no", Role: theme.Faint}, cell.Words(c.Why)}})
	}
	return rows
}

// facts are what is known of it, what matters most first.
func facts(o *One) []fact.Fact {
	b := breaker(o.Breaker)
	since := ""
	if !o.BreakerSince.IsZero() {
		since = " since " + o.BreakerSince.UTC().Format(time.RFC3339)
	}
	list := []fact.Fact{
		fact.State("health", o.Health),
		{Name: "why", Value: o.Message, Role: theme.Bad},
		{Name: "breaker", Value: fmt.Sprintf("%s%s, opened %s", b.Text, since, figure.Many(o.BreakerOpened, "time")), Role: b.Role},
		fact.Of("driver", o.Driver),
		fact.Of("calls", fmt.Sprintf("%s, %s under way", figure.Count(o.Calls), figure.Count(o.InFlight))),
		fact.Of("refused", fmt.Sprintf("%s by the open breaker, %s because too many were under way", figure.Count(o.RejectedOpen), figure.Count(o.RejectedBusy))),
		fact.Of("errors", figure.Count(o.Errors)),
	}
	if o.LastError != "" {
		at := ""
		if !o.LastFailed.IsZero() {
			at = cell.At(o.LastFailed, o.Now).Text + ": "
		}
		list = append(list, fact.Of("last error", at+o.LastError))
	}
	if o.Probe > 0 {
		list = append(list, fact.Of("last probe", figure.Probe(o.Probe)))
	}
	list = append(list, fact.Of("durability", o.Durability))
	for _, f := range o.Faults {
		list = append(list, fact.Fact{Name: "fault " + f.ID, Value: fmt.Sprintf("%s, until %s, by %s", f.What, f.Ends.UTC().Format("15:04:05"), f.By), Role: theme.Warn})
	}
	for _, f := range o.Facts {
		list = append(list, fact.Of(f.Name, f.Value))
	}
	if o.Added {
		list = append(list, fact.Of("added", "by an operator"))
	}
	return append(list, fact.Of("declared in", o.Declared))
}
