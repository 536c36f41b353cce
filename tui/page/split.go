package page

import (
	"context"
	"strings"
	"time"

	tea "charm.land/bubbletea/v2"

	"github.com/prism-data-layer/prism/tui/component/pane"
	"github.com/prism-data-layer/prism/tui/component/table"
	"github.com/prism-data-layer/prism/tui/component/value"
	"github.com/prism-data-layer/prism/tui/keys"
)

// A Split is a Board with what the row under the cursor holds below it.
type Split[T any] struct {
	*Board[T]
	Value *value.Model

	of    *pane.Pane // whose rows have values
	at    func(table.Row) (value.Content, bool)
	load  func(ctx context.Context, row table.Row) (value.Content, error)
	stamp func(table.Row) string

	shown   string // the stamp of what is shown
	loading bool
	top     int // where the value was drawn; 0: it was not
}

// loadTime is how long a value may take.
const loadTime = 5 * time.Second

// loaded is a value that came.
type loaded struct {
	of    *value.Model
	stamp string
	c     value.Content
}

// NewSplit adds to b the values of the rows of one of its panes. load asks for
// one; stamp changes when it must be asked for again.
func NewSplit[T any](b *Board[T], of *pane.Pane, load func(context.Context, table.Row) (value.Content, error), stamp func(table.Row) string) *Split[T] {
	return &Split[T]{Board: b, Value: value.New(), of: of, load: load, stamp: stamp}
}

// At makes f answer values that came with the rows: for those nothing is asked.
func (s *Split[T]) At(f func(table.Row) (value.Content, bool)) { s.at = f }

// Keys adds those of the value.
func (s *Split[T]) Keys() keys.Table {
	t := append(keys.List(), keys.Panes(len(s.Stack.Panes)+1)...)
	return append(append(t, keys.Live()...), value.Keys()...)
}

// Follow asks for the value of the row that the cursor is on now.
func (s *Split[T]) Follow() tea.Cmd {
	row, ok := s.of.Table.Selected()
	if !ok {
		s.Value.Clear()
		s.shown = ""
		return nil
	}
	stamp := s.stamp(row)
	if stamp == s.shown || s.loading {
		return nil
	}
	if s.at != nil {
		if c, ok := s.at(row); ok {
			c.ID, s.shown = row.ID, stamp
			s.Value.Set(c)
			return nil
		}
	}
	s.loading = true
	return s.Env.Tasks.Call(loadTime, func(ctx context.Context) tea.Msg {
		c, err := s.load(ctx, row)
		if err != nil {
			c = value.Content{Err: err}
		}
		c.ID = row.ID
		return loaded{s.Value, stamp, c}
	})
}

// Beat tells the time.
func (s *Split[T]) Beat(now time.Time) tea.Cmd { return tea.Batch(s.Board.Beat(now), s.Follow()) }

// Update takes what Board takes, and values.
func (s *Split[T]) Update(msg tea.Msg) tea.Cmd {
	switch msg := msg.(type) {
	case loaded:
		if msg.of == s.Value {
			s.loading, s.shown = false, msg.stamp
			s.Value.Set(msg.c)
			return s.Follow()
		}
	case Done:
		s.shown = ""
	}
	return tea.Batch(s.Board.Update(msg), s.Follow())
}

// Do performs an action of Keys.
func (s *Split[T]) Do(a keys.Action) tea.Cmd {
	last := len(s.Stack.Panes)
	n, numbered := keys.PaneOf(a)
	switch {
	case a == keys.Refresh:
		s.shown = ""
	case a == keys.NextPane && !s.Stack.Away && s.Stack.Focus == last-1, a == keys.PrevPane && !s.Stack.Away && s.Stack.Focus == 0, numbered && n == last:
		s.Stack.Away = true
		return nil
	case a == keys.NextPane && s.Stack.Away:
		s.Stack.Away, s.Stack.Focus = false, 0
		return s.Follow()
	case a == keys.PrevPane && s.Stack.Away:
		s.Stack.Away, s.Stack.Focus = false, last-1
		return s.Follow()
	case numbered:
		s.Stack.Away = false
	case s.Stack.Away || a == value.ShowAs || a == value.Fold || a == value.Unfold:
		if s.Value.Do(a) {
			return nil
		}
	}
	return tea.Batch(s.Board.Do(a), s.Follow())
}

// Back leaves the value.
func (s *Split[T]) Back() bool {
	if s.Stack.Away {
		s.Stack.Away = false
		return true
	}
	return s.Board.Back()
}

// View draws the board, and the value below.
func (s *Split[T]) View() string {
	height := s.Height
	rows := s.share(height)
	s.top = 0
	if rows == 0 || s.Feed().Got().IsZero() {
		return s.Board.View()
	}
	s.Board.Height = height - rows
	above := strings.Split(s.Board.View(), "\n")
	s.Board.Height = height
	for len(above) < height-rows {
		above = append(above, "")
	}
	s.top = len(above)
	body := s.Value.View(s.Theme, s.Width, rows-1)
	out := append(above, pane.Rule(s.Theme, s.Value.Title(), 0, s.Width, s.Stack.Away))
	return strings.Join(append(out, body...), "\n")
}

// share is how many lines the value gets, its title among them.
func (s *Split[T]) share(height int) int {
	switch {
	case height < 12 && s.Stack.Away:
		return max(height-5, 0)
	case height < 12:
		return 0
	case s.Stack.Away:
		return height * 3 / 5
	}
	return height * 2 / 5
}

// Panes are those of the board and the value.
func (s *Split[T]) Panes() []Rect {
	out := s.Board.Panes()
	if s.top > 0 {
		out = append(out, Rect{0, s.top + 1, s.Width, max(s.Height-s.top-1, 0)})
	}
	return out
}

// Mouse is for the value when it points there.
func (s *Split[T]) Mouse(m Mouse) tea.Cmd {
	switch {
	case s.top == 0 || m.Y < s.top:
		if m.Wheel == 0 {
			s.Stack.Away = false
		}
		return tea.Batch(s.Board.Mouse(m), s.Follow())
	case m.Wheel != 0:
		s.Value.Scroll(m.Wheel)
	default:
		s.Stack.Away = true
	}
	return nil
}
