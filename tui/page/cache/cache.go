// Package cache is the page of a namespace that is a cache: how often it
// answers, and the keys that a person looks up.
package cache

import (
	"context"
	"fmt"
	"slices"

	"github.com/prism-data-layer/prism/pkg/prism"
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
const Name = "cache"

// maxLooked is how many keys are looked up again and again.
const maxLooked = 100

// Model is the page.
type Model struct {
	*page.Split[Stats]

	namespace string
	source    Source
	looked    page.Question[[]string]
	last      Stats
	hits      int64 // of the last interval
	misses    int64
	known     bool
	entries   map[string]Entry
	pane      *pane.Pane
}

// Factory makes the page of a source.
func Factory(s Source) page.Factory {
	return page.Factory{
		Name: Name, About: "a cache: how often it answers, and its keys", Arg: "NAMESPACE",
		New: func(e page.Env, arg string) page.Page { return New(e, arg, s) },
	}
}

// New makes the page of a namespace. It asks for nothing before Init.
func New(e page.Env, namespace string, s Source) *Model {
	m := &Model{namespace: namespace, source: s}
	m.pane = &pane.Pane{
		Title: "Looked up",
		Empty: []string{"a cache cannot list its keys", "look one up: f, or " + m.commandOf(e, "get KEY")},
		Table: table.New(
			table.Column{Title: "KEY", Min: 20, Max: 200},
			table.Column{Title: "STATE", Min: 9, Max: 12},
			table.Column{Title: "SIZE", Min: 8, Right: true, Drop: 1},
			table.Column{Title: "TTL", Min: 6, Right: true},
		),
	}
	b := page.NewBoard(e, func(ctx context.Context) (Stats, error) { return s.Stats(ctx, namespace, m.looked.Get()) }, m.take, m.pane)
	b.Header = m.header
	b.Item = func() (page.Item, bool) {
		r, ok := m.pane.Table.Selected()
		return e.Thing(s, r.ID, "cache", "get", r.ID, "-n", namespace), ok
	}
	m.Split = page.NewSplit(b, m.pane, nil, m.stamp)
	m.At(m.value)
	return m
}

func (m *Model) commandOf(e page.Env, words string) string {
	return e.Command + " cache " + words + " -n " + text.Quote(m.namespace)
}

func (m *Model) command(words string) string { return m.commandOf(m.Env, words) }

func (m *Model) take(s Stats) {
	m.known = m.last.Hits+m.last.Misses > 0 && s.Hits >= m.last.Hits && s.Misses >= m.last.Misses
	m.hits, m.misses = s.Hits-m.last.Hits, s.Misses-m.last.Misses
	m.last = s
	m.entries = make(map[string]Entry, len(s.Looked))
	rows := make([]table.Row, 0, len(s.Looked))
	for _, e := range s.Looked {
		m.entries[e.Key] = e
		state, size, ttl := table.Cell{Text: "◌ absent", Role: theme.Faint}, cell.None(), cell.None()
		switch {
		case e.Err != nil:
			state = table.Cell{Text: "✗ failed", Role: theme.Bad}
		case e.Found:
			state = table.Cell{Text: "✓ there", Role: theme.Good}
			size = table.Cell{Text: figure.Bytes(e.Size), Order: float64(e.Size)}
			if !e.Expires.IsZero() {
				d := e.Expires.Sub(m.Live.Now())
				ttl = table.Cell{Text: figure.Left(d), Order: float64(d)}
			}
		}
		rows = append(rows, table.Row{ID: e.Key, Command: m.command("get " + text.Quote(e.Key)), Cells: []table.Cell{cell.Words(e.Key), state, size, ttl}})
	}
	m.pane.Table.SetRows(rows)
}

// header is the figures in two lines.
func (m *Model) header() []string {
	s := m.last
	ratio := func(hits, misses int64) string {
		if hits+misses == 0 {
			return figure.None
		}
		return fmt.Sprintf("%.1f %%", float64(hits)*100/float64(hits+misses))
	}
	count := func(n int64, write func(int64) string) string {
		if n < 0 {
			return figure.None
		}
		return write(n)
	}
	now := figure.None
	if m.known {
		now = ratio(m.hits, m.misses)
	}
	lines := []string{
		pane.Rule(m.Theme, "Cache "+text.Clean(m.namespace), theme.Plain, m.Width, false),
		fmt.Sprintf("  hit ratio %s · just now %s · hits %s · misses %s", ratio(s.Hits, s.Misses), now, figure.Count(s.Hits), figure.Count(s.Misses)),
		fmt.Sprintf("  entries %s · size %s of %s · evicted %s", count(s.Entries, figure.Count), count(s.Bytes, figure.Bytes), count(s.Most, figure.Bytes), count(s.Evictions, figure.Count)),
	}
	for i := range lines[1:] {
		lines[i+1] = text.Cut(lines[i+1], m.Width)
	}
	return lines
}

func (m *Model) stamp(r table.Row) string {
	e := m.entries[r.ID]
	return fmt.Sprintf("%s\x00%v %d %d %v %d", r.ID, e.Found, e.Size, e.Expires.Unix(), e.Err, hash(e.Value))
}

// hash tells whether a value is another one.
func hash(b []byte) (h uint64) {
	for _, c := range b {
		h = h*31 + uint64(c)
	}
	return h
}

// value is what came with the row.
func (m *Model) value(r table.Row) (value.Content, bool) {
	e := m.entries[r.ID]
	switch {
	case e.Err != nil:
		return value.Content{Err: e.Err}, true
	case !e.Found:
		return value.Content{Err: prism.New(prism.ReasonNotFound, "the cache does not hold this key now")}, true
	}
	return value.Content{Data: e.Value, Size: e.Size}, true
}

// look looks a key up from now on.
func (m *Model) look(key string) {
	m.looked.Change(func(list *[]string) {
		next := slices.DeleteFunc(slices.Clone(*list), func(k string) bool { return k == key })
		next = slices.Insert(next, 0, key)
		*list = next[:min(len(next), maxLooked)]
	})
}
