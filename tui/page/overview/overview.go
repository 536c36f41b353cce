// Package overview is the first page of the dashboards: the namespaces,
// backends and sessions of a gateway, and its traffic of the last minute. It
// only reads.
package overview

import (
	"context"
	"fmt"
	"math"
	"time"

	tea "charm.land/bubbletea/v2"

	"github.com/prism-data-layer/prism/tui/component/chart"
	"github.com/prism-data-layer/prism/tui/component/feed"
	"github.com/prism-data-layer/prism/tui/component/rates"
	"github.com/prism-data-layer/prism/tui/component/table"
	"github.com/prism-data-layer/prism/tui/component/task"
	"github.com/prism-data-layer/prism/tui/component/text"
	"github.com/prism-data-layer/prism/tui/component/toast"
	"github.com/prism-data-layer/prism/tui/keys"
	"github.com/prism-data-layer/prism/tui/theme"
)

// Name is the page's name in the breadcrumb and for --view.
const Name = "overview"

// loaded is what came of one attempt to ask the source.
type loaded struct {
	snapshot *Snapshot
	err      error
}

// Options are what the page is made of.
type Options struct {
	Source  Source
	Tasks   task.Runner
	Refresh time.Duration
	Charset theme.Charset
	// Command begins every command that is copied: "prismctl", with the flags
	// that lead to the same gateway.
	Command string
}

// Model is the page.
type Model struct {
	opts  Options
	theme theme.Theme

	width, height int
	now           time.Time
	feed          feed.Feed

	panes []pane
	focus int

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

// New makes the page. It asks for nothing before Init.
func New(o Options) *Model {
	return &Model{opts: o, theme: theme.New(theme.Dark), now: o.Tasks.Now(), feed: feed.New(o.Refresh), panes: newPanes(o.Command)}
}

// Name is the name of the page.
func (m *Model) Name() string { return Name }

// Keys is what keys do here.
func (m *Model) Keys() keys.Table { return append(keys.List(), keys.Live()...) }

// Feed is how the data is.
func (m *Model) Feed() *feed.Feed { return &m.feed }

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

// SetSize gives the page its place.
func (m *Model) SetSize(width, height int) { m.width, m.height = width, height }

// SetTheme gives the page its colours.
func (m *Model) SetTheme(t theme.Theme) { m.theme = t }

// Typing reports whether keys are text; Prompt is the line it goes to.
func (m *Model) Typing() bool { return m.table().Typing() }

// Prompt is the line that is typed into.
func (m *Model) Prompt() string { return m.table().Prompt() }

func (m *Model) table() *table.Model { return m.panes[m.focus].table }

// Init asks for the first time.
func (m *Model) Init() tea.Cmd { return m.ask() }

// ask makes the command that asks the source.
func (m *Model) ask() tea.Cmd {
	m.feed.Ask(m.now)
	source := m.opts.Source
	return m.opts.Tasks.Call(m.feed.Limit(), func(ctx context.Context) tea.Msg {
		s, err := source.Overview(ctx)
		return loaded{s, err}
	})
}

// Beat tells the time; the page asks again when it is due.
func (m *Model) Beat(now time.Time) tea.Cmd {
	m.now = now
	if !m.feed.Paused() {
		m.gap(now)
	}
	if m.feed.Due(now) {
		return m.ask()
	}
	return nil
}

// Update takes what came from the source, and keys while a filter is typed.
func (m *Model) Update(msg tea.Msg) tea.Cmd {
	switch msg := msg.(type) {
	case loaded:
		m.now = m.opts.Tasks.Now()
		if msg.err != nil {
			m.feed.Fail(m.now, msg.err)
			return nil
		}
		m.feed.Succeed(m.now)
		m.take(msg.snapshot)
	case tea.KeyPressMsg:
		m.table().Type(msg.String(), msg.Text)
	case tea.PasteMsg:
		m.table().Type("", msg.Content)
	}
	return nil
}

// take makes rows and rates of a snapshot.
func (m *Model) take(s *Snapshot) {
	before := m.last
	m.last, m.change = s, rates.Change{}
	if s.Problems[PartStats] == nil && before != nil && before.Started.Equal(s.Started) {
		m.change = rates.Compare(before.Stats, s.Stats)
	}
	m.gap(m.now)
	if before != nil {
		m.sample(m.change.Total)
	}
	m.drawn = m.now
	for i := range m.panes {
		m.panes[i].fill(s, m.change)
	}
}

// gap leaves a hole in the charts for each interval in which nothing came, so
// that a column is always the same length of time.
func (m *Model) gap(now time.Time) {
	every := m.feed.Every()
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

// Back undoes the last step into something: it clears a filter. It reports
// whether there was one.
func (m *Model) Back() bool {
	if m.table().Filter() == "" {
		return false
	}
	m.table().SetFilter("")
	return true
}

// Do performs an action of Keys.
func (m *Model) Do(a keys.Action) tea.Cmd {
	switch a {
	case keys.NextPane:
		m.focus = (m.focus + 1) % len(m.panes)
	case keys.PrevPane:
		m.focus = (m.focus + len(m.panes) - 1) % len(m.panes)
	case keys.Pane1, keys.Pane2, keys.Pane3:
		m.focus = int(a[len(a)-1] - '1')
	case keys.Refresh:
		m.feed.SetPaused(false)
		if m.feed.Asking() {
			return nil
		}
		return m.ask()
	case keys.Pause:
		m.feed.SetPaused(!m.feed.Paused())
		if m.feed.Paused() {
			return toast.Show("paused: p goes on, r asks once more and goes on")
		}
		m.feed.Hurry()
		return m.Beat(m.now)
	case keys.CopyID, keys.CopyCmd:
		return m.copy(a)
	default:
		m.table().Do(a)
	}
	return nil
}

func (m *Model) copy(a keys.Action) tea.Cmd {
	r, ok := m.table().Selected()
	switch {
	case !ok:
		return toast.Warn("there is no row to copy")
	case a == keys.CopyCmd:
		return toast.Copy(r.Command, fmt.Sprintf("the command: %s", r.Command))
	}
	// Clean: what is pasted into a shell must not act.
	id := text.Clean(r.ID)
	return toast.Copy(id, id)
}
