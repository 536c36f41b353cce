// Package keyvalue is the page of a namespace of keys and values: the keys by
// prefix, page by page, and the value of the one under the cursor.
package keyvalue

import (
	"context"
	"fmt"
	"strings"
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
const Name = "keyvalue"

// Model is the page.
type Model struct {
	*page.Split[Page]

	namespace string
	source    Source
	ask       page.Question[Query]
	window    *window
	keys      *pane.Pane
	versions  map[string]uint64

	changes *pane.Pane
	watch   *tail.Model[Event]
	on      bool // watching
	seen    []Event
}

// maxSeen is how many changes are held.
const maxSeen = 1000

// Factory makes the page of a source.
func Factory(s Source) page.Factory {
	return page.Factory{
		Name: Name, Aliases: []string{"kv"}, About: "the keys of a namespace and their values", Arg: "NAMESPACE",
		New: func(e page.Env, arg string) page.Page { return New(e, arg, s) },
	}
}

// New makes the page of a namespace. It asks for nothing before Init.
func New(e page.Env, namespace string, s Source) *Model {
	m := &Model{namespace: namespace, source: s, window: newWindow()}
	m.keys = &pane.Pane{
		Title: "Keys",
		Table: table.New(
			table.Column{Title: "KEY", Min: 20, Max: 200},
			table.Column{Title: "SIZE", Min: 8, Right: true, Drop: 1},
			table.Column{Title: "TTL", Min: 6, Right: true},
			table.Column{Title: "VERSION", Min: 8, Right: true, Drop: 2},
		),
	}
	m.changes = &pane.Pane{
		Title: "Changes",
		Empty: []string{"nothing has changed since you began to watch"},
		Table: table.New(
			table.Column{Title: "TIME", Min: 12, Max: 12},
			table.Column{Title: "CHANGE", Min: 8, Max: 10},
			table.Column{Title: "KEY", Min: 20, Max: 200},
			table.Column{Title: "VERSION", Min: 8, Right: true, Drop: 1},
		),
	}
	b := page.NewBoard(e, func(ctx context.Context) (Page, error) {
		q := m.ask.Get()
		p, err := s.Keys(ctx, q)
		p.of = q
		return p, err
	}, m.take, m.keys)
	b.Item = m.item
	m.Split = page.NewSplit(b, m.keys, m.load, func(r table.Row) string { return fmt.Sprintf("%s\x00%d", r.ID, m.versions[r.ID]) })
	m.watch = tail.New(e.Tasks, tail.Options{}, func(ctx context.Context, to *tail.Sink[Event]) error {
		return s.Watch(ctx, namespace, m.ask.Get().Prefix, to)
	}, m.saw)
	m.ask.Set(Query{Namespace: namespace, Limit: pageSize})
	m.empty()
	return m
}

// item is the key under the cursor, or the one that a change was of.
func (m *Model) item() (page.Item, bool) {
	r, ok := m.Stack.Focused().Table.Selected()
	key := r.ID
	if m.Stack.Focused() == m.changes {
		_, key, _ = strings.Cut(key, " ")
	}
	return m.Env.Thing(m.source, key, "kv", "get", key, "-n", m.namespace), ok
}

// prefix is what the keys begin with.
func (m *Model) prefix() string { return m.ask.Get().Prefix }

func (m *Model) empty() {
	m.keys.Empty = []string{"no keys yet", "make one: n, or " + m.command("set greeting hello")}
	if p := m.prefix(); p != "" {
		m.keys.Empty = []string{"no key begins with " + text.Clean(p), "another prefix: f"}
	}
}

// command is a command of prismctl about this namespace.
func (m *Model) command(words string) string {
	return m.Env.Command + " kv " + words + " -n " + text.Quote(m.namespace)
}

// aim makes the next question that of the page that is wanted where the cursor
// is; it reports whether one is missing there.
func (m *Model) aim() bool {
	index, missing := m.window.want(m.keys.Table.At())
	m.ask.Change(func(q *Query) { q.index, q.Cursor = index, m.window.starts[index] })
	return missing
}

// fetch asks at once for a page that is missing.
func (m *Model) fetch() tea.Cmd {
	if m.aim() && !m.Feed().Paused() && !m.Feed().Asking() && m.Feed().Err() == nil {
		return m.Live.Hurry()
	}
	return nil
}

func (m *Model) take(p Page) {
	if p.of.Prefix != m.window.prefix || p.of.index >= len(m.window.starts) || p.of.Cursor != m.window.starts[p.of.index] {
		return // an answer to the question before
	}
	m.window.fill(p)
	m.rows()
	m.aim()
}

func (m *Model) rows() {
	now := m.Live.Now()
	rows := make([]table.Row, 0, m.window.rows())
	m.versions = make(map[string]uint64, cap(rows))
	for _, p := range m.window.pages {
		for _, k := range p.Keys {
			m.versions[k.Name] = k.Version
			rows = append(rows, table.Row{ID: k.Name, Command: m.command("get " + text.Quote(k.Name)), Cells: []table.Cell{
				cell.Words(k.Name), {Text: figure.Bytes(k.Size), Order: float64(k.Size)}, left(k.Expires, now), {Text: fmt.Sprint(k.Version), Order: float64(k.Version)},
			}})
		}
	}
	m.keys.Table.SetRows(rows)
	m.title()
}

// title says which part of the keys is shown.
func (m *Model) title() {
	m.keys.Title, m.keys.Summary = "Keys", ""
	if p := m.prefix(); p != "" {
		m.keys.Title = "Keys " + text.Clean(p) + "…"
	}
	if n := m.window.before(); n > 0 {
		m.keys.Summary = fmt.Sprintf("after %s others", figure.Count(int64(n)))
	}
	if n := len(m.window.pages); n > 0 && m.window.pages[n-1].Next != "" {
		if m.keys.Summary != "" {
			m.keys.Summary += ", "
		}
		m.keys.Summary += "more below"
	}
}

// left is how long a key has to live.
func left(t, now time.Time) table.Cell {
	if t.IsZero() {
		return cell.None()
	}
	return table.Cell{Text: figure.Left(t.Sub(now)), Order: float64(t.Sub(now))}
}

func (m *Model) load(ctx context.Context, r table.Row) (value.Content, error) {
	e, err := m.source.Value(ctx, m.namespace, r.ID)
	if err != nil {
		return value.Content{}, err
	}
	note := fmt.Sprintf("version %d", e.Version)
	if !e.Expires.IsZero() {
		note += " · until " + e.Expires.Format(time.DateTime)
	}
	return value.Content{Data: e.Value, Size: e.Size, Notes: []string{note}}, nil
}

// saw takes changes; the newest is on top.
func (m *Model) saw(events []Event) {
	m.seen = append(m.seen, events...)
	if n := len(m.seen) - maxSeen; n > 0 {
		m.seen = append(m.seen[:0], m.seen[n:]...)
	}
	rows := make([]table.Row, 0, len(m.seen))
	for i := len(m.seen) - 1; i >= 0; i-- {
		e := m.seen[i]
		kind := table.Cell{Text: text.Clean(e.Kind), Role: theme.Good}
		if e.Kind != "set" {
			kind.Role = theme.Warn
		}
		rows = append(rows, table.Row{ID: fmt.Sprintf("%d %s", e.Version, e.Key), Command: m.command("get " + text.Quote(e.Key)), Cells: []table.Cell{
			{Text: e.Time.Format("15:04:05.000")}, kind, cell.Words(e.Key), {Text: fmt.Sprint(e.Version), Order: float64(e.Version)},
		}})
	}
	m.changes.Table.SetRows(rows)
	m.changes.Summary = ""
	if n := m.watch.Dropped(); n > 0 {
		m.changes.Summary, m.changes.Role = figure.Count(n)+" not shown", theme.Warn
	}
}

// Beat tells the time.
func (m *Model) Beat(now time.Time) tea.Cmd {
	m.aim()
	cmd := m.Split.Beat(now)
	if m.on {
		cmd = tea.Batch(cmd, m.watch.Beat(now))
		m.changes.Problem = m.watch.Feed().Err()
	}
	return cmd
}

// Update takes what Split takes, and changes.
func (m *Model) Update(msg tea.Msg) tea.Cmd {
	if cmd, ok := m.watch.Update(msg); ok {
		m.changes.Problem = m.watch.Feed().Err()
		return cmd
	}
	if _, ok := msg.(page.Done); ok {
		if m.prefix() != m.window.prefix {
			m.again()
		}
	}
	return tea.Batch(m.Split.Update(msg), m.fetch())
}

// again begins at the first key of another prefix.
func (m *Model) again() {
	m.window = newWindow()
	m.window.prefix = m.prefix()
	m.aim()
	m.rows()
	m.empty()
	if m.on {
		m.seen = nil
		m.saw(nil)
		m.on = false
		m.Stack.Panes = m.Stack.Panes[:1]
		m.watch.Close()
	}
}

// Close ends the watch.
func (m *Model) Close() { m.watch.Close() }
