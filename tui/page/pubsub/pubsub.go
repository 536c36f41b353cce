// Package pubsub is the page of a namespace of topics: its events as they are
// published, and who subscribes.
package pubsub

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"time"

	tea "charm.land/bubbletea/v2"

	"github.com/prism-data-layer/prism/tui/component/cell"
	"github.com/prism-data-layer/prism/tui/component/figure"
	"github.com/prism-data-layer/prism/tui/component/pane"
	"github.com/prism-data-layer/prism/tui/component/table"
	"github.com/prism-data-layer/prism/tui/component/tail"
	"github.com/prism-data-layer/prism/tui/component/text"
	"github.com/prism-data-layer/prism/tui/component/value"
	"github.com/prism-data-layer/prism/tui/page"
	"github.com/prism-data-layer/prism/tui/theme"
)

// Name is the page's name.
const Name = "pubsub"

// maxEvents is how many events are held.
const maxEvents = 1000

// all is the pattern that covers every topic.
const all = ">"

// Model is the page.
type Model struct {
	*page.Split[[]Subscription]

	namespace string
	source    Source
	pattern   page.Question[string]
	shown     string // the pattern that the events are of
	stream    *tail.Model[Event]
	events    *pane.Pane
	subs      *pane.Pane

	list  []Subscription
	held  []numbered
	count int64 // ever taken
	since time.Time
	rate  float64 // events a second, over the last whole seconds
	mark  int64
}

// A numbered event has an id of its own on the page: events need have none.
type numbered struct {
	no int64
	Event
}

// Factory makes the page of a source.
func Factory(s Source) page.Factory {
	return page.Factory{
		Name: Name, About: "events as they are published, and who subscribes", Arg: "NAMESPACE",
		New: func(e page.Env, arg string) page.Page { return New(e, arg, s) },
	}
}

// New makes the page of a namespace. It asks for nothing before Init.
func New(e page.Env, namespace string, s Source) *Model {
	m := &Model{namespace: namespace, source: s, shown: all}
	m.pattern.Set(all)
	m.events = &pane.Pane{
		Title: "Events",
		Empty: []string{"nothing was published since this page was opened", "publish something: n, or " + m.commandOf(e, "publish orders.created '{}'")},
		Table: table.New(
			table.Column{Title: "TIME", Min: 12, Max: 12},
			table.Column{Title: "TOPIC", Min: 14, Max: 60},
			table.Column{Title: "SIZE", Min: 7, Right: true, Drop: 2},
			table.Column{Title: "PAYLOAD", Min: 16, Drop: 1},
		),
	}
	m.subs = &pane.Pane{
		Title: "Subscriptions",
		Empty: []string{"nobody subscribes but this page"},
		Table: table.New(
			table.Column{Title: "PATTERN", Min: 12, Max: 40},
			table.Column{Title: "STATE", Min: 9, Max: 10},
			table.Column{Title: "GROUP", Min: 6, Max: 20, Drop: 3},
			table.Column{Title: "DURABLE", Min: 7, Max: 20, Drop: 2},
			table.Column{Title: "SENT", Min: 7, Right: true, Drop: 4},
			table.Column{Title: "DROPPED", Min: 7, Right: true},
			table.Column{Title: "BEHIND", Min: 7, Right: true},
			table.Column{Title: "PRINCIPAL", Min: 8, Max: 28, Drop: 1},
		),
	}
	b := page.NewBoard(e, func(ctx context.Context) ([]Subscription, error) { return s.Subscriptions(ctx, namespace) }, m.take, m.events, m.subs)
	b.Item = m.item
	m.Split = page.NewSplit(b, m.events, nil, func(r table.Row) string { return r.ID })
	m.At(m.value)
	m.stream = tail.New(e.Tasks, tail.Options{Buffer: maxEvents}, func(ctx context.Context, to *tail.Sink[Event]) error {
		return s.Events(ctx, namespace, m.pattern.Get(), to)
	}, m.came)
	m.since = e.Tasks.Now()
	return m
}

func (m *Model) commandOf(e page.Env, words string) string {
	return e.Command + " pubsub " + words + " -n " + text.Quote(m.namespace)
}

func (m *Model) command(words string) string { return m.commandOf(m.Env, words) }

// item is the event or the subscription under the cursor.
func (m *Model) item() (page.Item, bool) {
	r, ok := m.Stack.Focused().Table.Selected()
	item := page.Item{ID: r.ID, Command: r.Command}
	if m.Stack.Focused() == m.subs {
		for _, s := range m.list {
			if s.ID == r.ID {
				item.Object = page.Written(struct {
					ID        string  `json:"subscription_id"`
					Pattern   string  `json:"pattern"`
					Active    bool    `json:"active"`
					Durable   string  `json:"durable_name"`
					Group     string  `json:"queue_group"`
					Behind    int64   `json:"behind"`
					Sent      int64   `json:"events_sent"`
					Dropped   int64   `json:"events_dropped"`
					Principal string  `json:"principal"`
					Created   *string `json:"created_at"`
				}{s.ID, s.Pattern, s.Active, s.Durable, s.Group, s.Behind, s.Sent, s.Dropped, s.Principal, page.When(s.Created)})
			}
		}
		return item, ok
	}
	if e, found := m.event(r.ID); found {
		item.Object = page.Written(struct {
			Topic string  `json:"topic"`
			At    *string `json:"time"`
			ID    string  `json:"event_id"`
			Key   string  `json:"ordering_key"`
			page.Payload
			Attributes map[string]string `json:"attributes"`
		}{e.Topic, page.When(e.Time), e.ID, e.Key, page.PayloadOf(e.Payload, e.Size), e.Attributes})
	}
	return item, ok
}

// event is the one of a row.
func (m *Model) event(id string) (numbered, bool) {
	for _, e := range m.held {
		if strconv.FormatInt(e.no, 10) == id {
			return e, true
		}
	}
	return numbered{}, false
}

func (m *Model) take(list []Subscription) {
	rows := make([]table.Row, 0, len(list))
	var dropped int64
	m.list = list
	for _, s := range list {
		state := table.Cell{Text: "✓ active", Role: theme.Good}
		if !s.Active {
			state = table.Cell{Text: "◌ away", Role: theme.Faint}
		}
		lost := cell.Number(s.Dropped)
		if s.Dropped > 0 {
			lost.Role = theme.Warn
		}
		dropped += s.Dropped
		rows = append(rows, table.Row{ID: s.ID, Command: m.command("subscriptions"), Cells: []table.Cell{
			cell.Words(s.Pattern), state, cell.Words(s.Group), cell.Words(s.Durable), cell.Number(s.Sent), lost, cell.Number(s.Behind), cell.Words(s.Principal),
		}})
	}
	m.subs.Summary, m.subs.Role = "", theme.Plain
	if dropped > 0 {
		m.subs.Summary, m.subs.Role = figure.Count(dropped)+" dropped", theme.Warn
	}
	m.subs.Table.SetRows(rows)
}

// came takes events; the newest is on top.
func (m *Model) came(events []Event) {
	for _, e := range events {
		m.count++
		m.held = append(m.held, numbered{m.count, e})
	}
	if n := len(m.held) - maxEvents; n > 0 {
		m.held = append(m.held[:0], m.held[n:]...)
	}
	rows := make([]table.Row, 0, len(m.held))
	for _, e := range slices.Backward(m.held) {
		rows = append(rows, table.Row{ID: strconv.FormatInt(e.no, 10), Command: m.tail(), Cells: []table.Cell{
			{Text: e.Time.Format("15:04:05.000")}, cell.Words(e.Topic), {Text: figure.Bytes(e.Size), Order: float64(e.Size)}, cell.Words(string(e.Payload[:min(len(e.Payload), 200)])),
		}})
	}
	m.events.Table.SetRows(rows)
	m.say()
}

func (m *Model) tail() string { return m.command("tail " + text.Quote(m.shown)) }

// say tells in the title how the stream is.
func (m *Model) say() {
	m.events.Title = "Events of " + text.Clean(m.shown)
	m.events.Summary, m.events.Role = figure.Rate(m.rate)+"/s", theme.Plain
	if n := m.count - int64(len(m.held)); n > 0 {
		m.events.Summary += fmt.Sprintf(", %s before", figure.Count(n))
	}
	if n := m.stream.Dropped(); n > 0 {
		m.events.Summary, m.events.Role = m.events.Summary+fmt.Sprintf(", %s not shown", figure.Count(n)), theme.Warn
	}
	if m.stream.Feed().Paused() {
		m.events.Summary, m.events.Role = m.events.Summary+", ‖ paused", theme.Warn
	}
	m.events.Problem = m.stream.Feed().Err()
}

// measure makes the rate of the last seconds.
func (m *Model) measure(now time.Time) {
	total := m.count + m.stream.Dropped()
	if d := now.Sub(m.since).Seconds(); d >= 1 {
		m.rate = float64(total-m.mark) / d
		m.since, m.mark = now, total
	}
}

func (m *Model) value(r table.Row) (value.Content, bool) {
	e, _ := m.event(r.ID)
	c := value.Content{Data: e.Payload, Size: e.Size}
	if e.Key != "" {
		c.Notes = append(c.Notes, "ordering key: "+e.Key)
	}
	for _, name := range slices.Sorted(maps.Keys(e.Attributes)) {
		c.Notes = append(c.Notes, name+": "+e.Attributes[name])
	}
	c.Notes = c.Notes[:min(len(c.Notes), 4)]
	return c, true
}

// Init asks who subscribes, and begins to listen.
func (m *Model) Init() tea.Cmd { return tea.Batch(m.Split.Init(), m.stream.Start()) }

// Beat tells the time.
func (m *Model) Beat(now time.Time) tea.Cmd {
	m.measure(now)
	cmd := tea.Batch(m.Split.Beat(now), m.stream.Beat(now))
	m.say()
	return cmd
}

// Update takes what Split takes, and events.
func (m *Model) Update(msg tea.Msg) tea.Cmd {
	if cmd, ok := m.stream.Update(msg); ok {
		m.say()
		return tea.Batch(cmd, m.Follow())
	}
	if _, ok := msg.(page.Done); ok && m.pattern.Get() != m.shown {
		m.shown, m.held, m.count, m.mark = m.pattern.Get(), nil, 0, m.stream.Dropped()
		m.came(nil)
		return tea.Batch(m.Split.Update(msg), m.stream.Start())
	}
	return m.Split.Update(msg)
}

// Close ends the stream.
func (m *Model) Close() { m.stream.Close() }
