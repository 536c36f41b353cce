// Package overview is the first page of the dashboards: the namespaces,
// backends and sessions of a gateway, and its traffic of the last minute. It
// only reads.
package overview

import (
	"slices"
	"strings"
	"time"

	tea "charm.land/bubbletea/v2"

	"github.com/prism-data-layer/prism/tui/component/feed"
	"github.com/prism-data-layer/prism/tui/component/gauge"
	"github.com/prism-data-layer/prism/tui/component/pane"
	"github.com/prism-data-layer/prism/tui/component/problem"
	"github.com/prism-data-layer/prism/tui/component/rates"
	"github.com/prism-data-layer/prism/tui/component/text"
	"github.com/prism-data-layer/prism/tui/component/toast"
	"github.com/prism-data-layer/prism/tui/keys"
	"github.com/prism-data-layer/prism/tui/page"
)

// Name is the page's name in the breadcrumb and for --view.
const Name = "overview"

// Model is the page.
type Model struct {
	*page.Board[*Snapshot]

	parts  []*part
	last   *Snapshot
	change rates.Change
	charts *gauge.Panel
}

// Factory makes the page of a source.
func Factory(s Source) page.Factory {
	return page.Factory{
		Name: Name, Aliases: []string{"home"}, About: "namespaces, backends, sessions and the traffic of the last minute",
		New: func(e page.Env, _ string) page.Page { return New(e, s) },
	}
}

// New makes the page. It asks for nothing before Init.
func New(e page.Env, s Source) *Model {
	m := &Model{parts: newParts(e.Command), charts: gauge.Traffic(e.Refresh, e.Charset)}
	panes := make([]*pane.Pane, len(m.parts))
	for i, p := range m.parts {
		panes[i] = &p.Pane
	}
	m.Board = page.NewBoard(e, s.Overview, m.take, panes...)
	m.Header = m.gauges
	return m
}

// Notice is what the gateway wants known; "" for nothing.
func (m *Model) Notice() string {
	if m.last == nil {
		return ""
	}
	return text.Clean(strings.Join(slices.DeleteFunc([]string{m.last.Maintenance.words(), m.last.Notice}, func(s string) bool { return s == "" }), "; "))
}

// words are what is refused, until when, and why; "" for nothing.
func (x *Maintenance) words() string {
	if x == nil {
		return ""
	}
	s := "in maintenance: calls that write are refused"
	if x.Refuses == "all" {
		s = "in maintenance: all data calls are refused"
	}
	if !x.Ends.IsZero() {
		s += " until " + x.Ends.Format("15:04")
	}
	if x.Message != "" {
		s += ": " + x.Message
	}
	return s
}

// Gateway is the state and version of the gateway; "" before it answered.
func (m *Model) Gateway() string {
	if m.last == nil {
		return ""
	}
	return text.Clean(m.last.State + " " + m.last.Version)
}

// actOpen opens the page of what the cursor is on.
const actOpen keys.Action = "open"

// Keys is what keys do on the page.
func (m *Model) Keys() keys.Table {
	own := keys.Table{{Action: actOpen, Keys: []string{"enter"}, Label: "open", Help: "look at the namespace, the backend or the session under the cursor"}}
	return append(own, m.Board.Keys()...)
}

// Do performs an action of Keys.
func (m *Model) Do(a keys.Action) tea.Cmd {
	if a != actOpen {
		return m.Board.Do(a)
	}
	r, ok := m.Stack.Focused().Table.Selected()
	if !ok {
		return toast.Warn("there is nothing under the cursor")
	}
	return page.Do(page.Go{Name: m.parts[m.Stack.Focus].noun, Arg: r.ID})
}

// Beat tells the time; the page asks again when it is due.
func (m *Model) Beat(now time.Time) tea.Cmd {
	if !m.Feed().Paused() {
		m.charts.Pass(now)
	}
	return m.Board.Beat(now)
}

// take makes rows and rates of a snapshot.
func (m *Model) take(s *Snapshot) {
	before := m.last
	m.last, m.change = s, rates.Change{}
	if s.Problems[PartStats] == nil && before != nil && before.Started.Equal(s.Started) {
		m.change = rates.Compare(before.Stats, s.Stats)
	}
	if before == nil {
		m.charts.Begin(m.Live.Now())
	} else {
		m.charts.Add(m.Live.Now(), gauge.Sample(m.change.Total))
	}
	for _, p := range m.parts {
		p.fill(s, m.change)
	}
}

// gauges draws the charts.
func (m *Model) gauges() []string {
	s := gauge.State{Live: m.Feed().State(m.Live.Now()) == feed.Live}
	if err := m.last.Problems[PartStats]; err != nil {
		s.Failed, _, _ = problem.Explain(err)
	} else if !m.change.Total.Known && s.Live {
		s.Remark = "measuring…"
	}
	return m.charts.View(m.Theme, m.Width, m.Height, s)
}
