// Package queues is the page of a namespace of queues: its work queues and logs,
// the messages of the one under the cursor, and what a message carries.
package queues

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	tea "charm.land/bubbletea/v2"

	"github.com/prism-data-layer/prism/tui/component/cell"
	"github.com/prism-data-layer/prism/tui/component/figure"
	"github.com/prism-data-layer/prism/tui/component/pane"
	"github.com/prism-data-layer/prism/tui/component/table"
	"github.com/prism-data-layer/prism/tui/component/text"
	"github.com/prism-data-layer/prism/tui/component/value"
	"github.com/prism-data-layer/prism/tui/page"
	"github.com/prism-data-layer/prism/tui/theme"
)

// Name is the page's name.
const Name = "queues"

// Model is the page.
type Model struct {
	*page.Split[Snapshot]

	namespace string
	source    Source
	ask       page.Question[Ask]
	queues    *pane.Pane
	messages  *pane.Pane
	last      Snapshot
	byID      map[string]Message
}

// Factory makes the page of a source.
func Factory(s Source) page.Factory {
	return page.Factory{
		Name: Name, Aliases: []string{"queue"}, About: "work queues and logs, and their messages", Arg: "NAMESPACE",
		New: func(e page.Env, arg string) page.Page { return New(e, arg, s) },
	}
}

// New makes the page of a namespace. It asks for nothing before Init.
func New(e page.Env, namespace string, s Source) *Model {
	m := &Model{namespace: namespace, source: s}
	m.queues = &pane.Pane{
		Title: "Queues",
		Empty: []string{"no queues yet", "make one: n, or " + e.Command + " queue publish mail hello -n " + text.Quote(namespace)},
		Table: table.New(
			table.Column{Title: "QUEUE", Min: 12, Max: 60},
			table.Column{Title: "TYPE", Min: 5, Max: 5, Drop: 6},
			table.Column{Title: "READY", Min: 7, Right: true},
			table.Column{Title: "LEASED", Min: 7, Right: true, Drop: 2},
			table.Column{Title: "DELAYED", Min: 8, Right: true, Drop: 4},
			table.Column{Title: "DEAD", Min: 6, Right: true},
			table.Column{Title: "OLDEST", Min: 7, Right: true, Drop: 1},
			table.Column{Title: "CONSUMERS", Min: 9, Right: true, Drop: 5},
			table.Column{Title: "LAG", Min: 7, Right: true, Drop: 3},
			table.Column{Title: "SIZE", Min: 8, Right: true, Drop: 7},
		),
	}
	m.messages = &pane.Pane{
		Title: "Messages",
		Table: table.New(
			table.Column{Title: "MESSAGE", Min: 10, Max: 40},
			table.Column{Title: "KEY", Min: 6, Max: 30, Drop: 2},
			table.Column{Title: "ATTEMPTS", Min: 8, Right: true, Drop: 3},
			table.Column{Title: "SINCE", Min: 5, Right: true},
			table.Column{Title: "DUE", Min: 6, Right: true, Drop: 4},
			table.Column{Title: "SIZE", Min: 8, Right: true, Drop: 5},
			table.Column{Title: "REASON", Min: 10, Max: 80, Drop: 1},
		),
	}
	m.ask.Set(Ask{Namespace: namespace, State: Ready})
	b := page.NewBoard(e, func(ctx context.Context) (Snapshot, error) {
		a := m.ask.Get()
		got, err := s.Queues(ctx, a)
		got.Of = a
		return got, err
	}, m.take, m.queues, m.messages)
	b.Item = m.item
	m.Split = page.NewSplit(b, m.messages, nil, func(r table.Row) string { return r.ID + "\x00" + m.ask.Get().Queue })
	m.At(m.value)
	return m
}

// item is the queue or the message under the cursor.
func (m *Model) item() (page.Item, bool) {
	r, ok := m.Stack.Focused().Table.Selected()
	if m.Stack.Focused() == m.queues {
		return m.Env.Thing(m.source, r.ID, "queue", "info", r.ID, "-n", m.namespace), ok
	}
	x := m.byID[r.ID]
	return page.Item{ID: r.ID, Command: r.Command, Object: page.Written(struct {
		ID       string  `json:"message_id"`
		State    State   `json:"state,omitempty"`
		Key      string  `json:"key"`
		Attempts int     `json:"attempts"`
		Reason   string  `json:"reason"`
		At       *string `json:"published_at"`
		Due      *string `json:"due_at"`
		page.Payload
		Attributes map[string]string `json:"attributes"`
	}{x.ID, x.State, x.Key, x.Attempts, x.Reason, page.When(x.Published), page.When(x.Due), page.PayloadOf(x.Payload, x.Size), x.Attributes})}, ok
}

// command is a command of prismctl about this namespace.
func (m *Model) command(words string) string {
	return m.Env.Command + " queue " + words + " -n " + text.Quote(m.namespace)
}

func (m *Model) take(s Snapshot) {
	m.last = s
	rows := make([]table.Row, 0, len(s.Queues))
	dead := int64(0)
	for _, q := range s.Queues {
		dead += q.Dead
		rows = append(rows, table.Row{ID: q.Name, Command: m.command("info " + text.Quote(q.Name)), Cells: queueCells(q)})
	}
	m.queues.Summary, m.queues.Role = "", theme.Plain
	if dead > 0 {
		m.queues.Summary, m.queues.Role = figure.Count(dead)+" dead", theme.Warn
	}
	m.queues.Table.SetRows(rows)
	m.fill()
}

func queueCells(q Queue) []table.Cell {
	if q.Log {
		members, lag := 0, int64(0)
		for _, g := range q.Groups {
			members += g.Members
			lag = max(lag, g.Lag)
		}
		return []table.Cell{
			cell.Words(q.Name),
			{Text: "log"},
			cell.Number(q.Kept), cell.None(), cell.None(), cell.None(), cell.None(),
			cell.Number(int64(members)), cell.Number(lag),
			{Text: figure.Bytes(q.Bytes), Order: float64(q.Bytes)},
		}
	}
	dead, oldest := cell.Number(q.Dead), cell.None()
	if q.Dead > 0 {
		dead.Role = theme.Warn
	}
	if q.Oldest > 0 {
		oldest = table.Cell{Text: figure.Age(q.Oldest), Order: float64(q.Oldest)}
	}
	return []table.Cell{
		cell.Words(q.Name),
		{Text: "work"},
		cell.Number(q.Ready), cell.Number(q.Leased), cell.Number(q.Delayed), dead, oldest,
		cell.None(), cell.None(),
		{Text: figure.Bytes(q.Bytes), Order: float64(q.Bytes)},
	}
}

// chosen is the queue under the cursor.
func (m *Model) chosen() (Queue, bool) {
	row, ok := m.queues.Table.Selected()
	if !ok {
		return Queue{}, false
	}
	i := slices.IndexFunc(m.last.Queues, func(q Queue) bool { return q.Name == row.ID })
	if i < 0 {
		return Queue{}, false
	}
	return m.last.Queues[i], true
}

// fill shows the messages of the queue under the cursor, once they came.
func (m *Model) fill() {
	q, ok := m.chosen()
	a := m.ask.Get()
	m.messages.Title, m.messages.Summary, m.messages.Problem = "Messages", "", nil
	m.messages.Empty = []string{"no queue is chosen"}
	if !ok {
		m.messages.Table.SetRows(nil)
		return
	}
	m.messages.Title = fmt.Sprintf("%s of %s", title(a.State), text.Clean(q.Name))
	m.messages.Empty = []string{fmt.Sprintf("no message of %s is %s", text.Clean(q.Name), a.State), "t shows those in another state"}
	if q.Log {
		m.messages.Title = "Newest of " + text.Clean(q.Name)
		m.messages.Empty = []string{"the log keeps no messages"}
		m.messages.Summary = groups(q.Groups)
	}
	if m.last.Of.Queue != q.Name || !q.Log && m.last.Of.State != a.State {
		m.messages.Table.SetRows(nil)
		m.messages.Empty = []string{"looking…"}
		return
	}
	m.messages.Problem = m.last.Problem
	if m.last.More {
		m.messages.Summary = strings.TrimPrefix(m.messages.Summary+" · more behind", " · ")
	}
	now := m.Live.Now()
	m.byID = make(map[string]Message, len(m.last.Messages))
	rows := make([]table.Row, 0, len(m.last.Messages))
	for _, x := range m.last.Messages {
		m.byID[x.ID] = x
		due := cell.None()
		if !x.Due.IsZero() {
			due = table.Cell{Text: figure.Left(x.Due.Sub(now)), Order: float64(x.Due.Sub(now))}
		}
		reason := cell.Words(x.Reason)
		reason.Role = theme.Warn
		rows = append(rows, table.Row{ID: x.ID, Command: m.peek(q, a.State), Cells: []table.Cell{
			cell.Words(x.ID), cell.Words(x.Key), cell.Number(int64(x.Attempts)), cell.At(x.Published, now), due, {Text: figure.Bytes(x.Size), Order: float64(x.Size)}, reason,
		}})
	}
	m.messages.Table.SetRows(rows)
}

func title(s State) string { return strings.ToUpper(string(s[:1])) + string(s[1:]) }

func (m *Model) peek(q Queue, s State) string {
	switch {
	case q.Log:
		return m.command("peek " + text.Quote(q.Name))
	case s == Dead:
		return m.command("dlq " + text.Quote(q.Name))
	}
	return m.command("peek " + text.Quote(q.Name) + " --state " + string(s))
}

// groups tells how far each group is behind, the worst first.
func groups(list []Group) string {
	if len(list) == 0 {
		return "no group reads it"
	}
	list = slices.Clone(list)
	slices.SortFunc(list, func(a, b Group) int { return int(min(max(b.Lag-a.Lag, -1), 1)) })
	var words []string
	for _, g := range list[:min(len(list), 3)] {
		words = append(words, fmt.Sprintf("%s lag %s (%d)", text.Clean(g.Name), figure.Count(g.Lag), g.Members))
	}
	if n := len(list) - 3; n > 0 {
		words = append(words, fmt.Sprintf("%d more", n))
	}
	return strings.Join(words, ", ")
}

// value is what a message carries.
func (m *Model) value(r table.Row) (value.Content, bool) {
	x, ok := m.byID[r.ID]
	c := value.Content{Data: x.Payload, Size: x.Size}
	for _, name := range slices.Sorted(maps.Keys(x.Attributes)) {
		c.Notes = append(c.Notes, name+": "+x.Attributes[name])
	}
	if x.Reason != "" {
		c.Notes = append(c.Notes, "reason: "+x.Reason)
	}
	c.Notes = c.Notes[:min(len(c.Notes), 4)]
	return c, ok
}

// aim makes the next question about the queue under the cursor; it reports
// whether that is another than the one before.
func (m *Model) aim() (other bool) {
	q, _ := m.chosen()
	m.ask.Change(func(a *Ask) { other, a.Queue = a.Queue != q.Name, q.Name })
	return other
}

// follow asks at once for the messages of another queue.
func (m *Model) follow() tea.Cmd {
	if !m.aim() {
		return nil
	}
	m.fill()
	if m.Feed().Paused() || m.Feed().Asking() || m.Feed().Err() != nil {
		m.Feed().Hurry()
		return nil
	}
	return m.Live.Hurry()
}

// Update takes what Split takes.
func (m *Model) Update(msg tea.Msg) tea.Cmd { return tea.Batch(m.Split.Update(msg), m.follow()) }

// Beat tells the time.
func (m *Model) Beat(now time.Time) tea.Cmd { return tea.Batch(m.Split.Beat(now), m.follow()) }

// Mouse may choose another queue.
func (m *Model) Mouse(x page.Mouse) tea.Cmd { return tea.Batch(m.Split.Mouse(x), m.follow()) }
