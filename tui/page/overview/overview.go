// Package overview is the first page of the dashboards: the namespaces,
// backends and sessions of a gateway, and its traffic of the last minute. It
// only reads.
package overview

import (
	"math"
	"time"

	tea "charm.land/bubbletea/v2"

	"github.com/prism-data-layer/prism/tui/component/chart"
	"github.com/prism-data-layer/prism/tui/component/pane"
	"github.com/prism-data-layer/prism/tui/component/rates"
	"github.com/prism-data-layer/prism/tui/component/text"
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
	series [gauges]chart.Series
	drawn  time.Time // up to when the series reach
}

// The gauges, in the order of the screen.
const (
	gaugeRequests = iota
	gaugeErrors
	gaugeP50
	gaugeP95
	gaugeP99
	gauges
)

// Factory makes the page of a source.
func Factory(s Source) page.Factory {
	return page.Factory{
		Name: Name, Aliases: []string{"home"}, About: "namespaces, backends, sessions and the traffic of the last minute",
		New: func(e page.Env, _ string) page.Page { return New(e, s) },
	}
}

// New makes the page. It asks for nothing before Init.
func New(e page.Env, s Source) *Model {
	m := &Model{parts: newParts(e.Command)}
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
	return text.Clean(m.last.Notice)
}

// Gateway is the state and version of the gateway; "" before it answered.
func (m *Model) Gateway() string {
	if m.last == nil {
		return ""
	}
	return text.Clean(m.last.State + " " + m.last.Version)
}

// Beat tells the time; the page asks again when it is due.
func (m *Model) Beat(now time.Time) tea.Cmd {
	if !m.Feed().Paused() {
		m.gap(now)
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
	m.gap(m.Live.Now())
	if before != nil {
		m.sample(m.change.Total)
	}
	m.drawn = m.Live.Now()
	for _, p := range m.parts {
		p.fill(s, m.change)
	}
}

// gap leaves a hole in the charts for each interval in which nothing came, so
// that a column is always the same length of time.
func (m *Model) gap(now time.Time) {
	every := m.Feed().Every()
	if m.drawn.IsZero() || now.Sub(m.drawn) > every*chart.Samples {
		m.drawn = now
	}
	for now.Sub(m.drawn) > every+every/2 {
		m.sample(rates.Rate{})
		m.drawn = m.drawn.Add(every)
	}
}

// sample adds one column to each chart; what is not known leaves a gap.
func (m *Model) sample(r rates.Rate) {
	v := [gauges]float64{math.NaN(), math.NaN(), math.NaN(), math.NaN(), math.NaN()}
	if r.Known {
		v[gaugeRequests], v[gaugeErrors] = r.PerSecond, r.Errors
	}
	if r.Timed {
		v[gaugeP50], v[gaugeP95], v[gaugeP99] = ms(r.P50), ms(r.P95), ms(r.P99)
	}
	for i := range m.series {
		m.series[i].Add(v[i])
	}
}

func ms(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }
