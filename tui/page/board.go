package page

import (
	"context"
	"fmt"
	"strings"
	"time"

	tea "charm.land/bubbletea/v2"

	"github.com/prism-data-layer/prism/tui/component/feed"
	"github.com/prism-data-layer/prism/tui/component/live"
	"github.com/prism-data-layer/prism/tui/component/pane"
	"github.com/prism-data-layer/prism/tui/component/problem"
	"github.com/prism-data-layer/prism/tui/component/text"
	"github.com/prism-data-layer/prism/tui/keys"
	"github.com/prism-data-layer/prism/tui/theme"
)

// A Board is the page that most are: a source that is asked again and again,
// and panes that show what came, below a header. A page embeds one and adds what
// it has of its own.
type Board[T any] struct {
	Env   Env
	Stack *pane.Stack
	Live  *live.Model[T]
	Theme theme.Theme

	Width, Height int

	// Header is above the panes once there is data; nil: nothing is.
	Header func() []string
	// Item makes what is selected of the row under the cursor; nil: its id and
	// command.
	Item func() (Item, bool)
}

// NewBoard makes a page that asks for nothing before Init.
func NewBoard[T any](e Env, ask func(context.Context) (T, error), take func(T), panes ...*pane.Pane) *Board[T] {
	return &Board[T]{Env: e, Stack: pane.NewStack(panes...), Live: live.New(e.Tasks, e.Refresh, ask, take), Theme: theme.New(theme.Dark)}
}

func (b *Board[T]) Init() tea.Cmd              { return b.Live.Ask() }
func (b *Board[T]) Beat(now time.Time) tea.Cmd { return b.Live.Beat(now) }
func (b *Board[T]) Close()                     {}
func (b *Board[T]) SetTheme(t theme.Theme)     { b.Theme = t }
func (b *Board[T]) SetSize(w, h int)           { b.Width, b.Height = w, h }
func (b *Board[T]) Feed() *feed.Feed           { return b.Live.Feed() }
func (b *Board[T]) Countdown() string          { return b.Live.Countdown() }
func (b *Board[T]) Gateway() string            { return "" }
func (b *Board[T]) Notice() string             { return "" }
func (b *Board[T]) Typing() bool               { return b.Stack.Typing() }
func (b *Board[T]) Prompt() string             { return b.Stack.Prompt() }
func (b *Board[T]) Back() bool                 { return b.Stack.Back() }
func (b *Board[T]) Keys() keys.Table           { return append(b.Stack.Keys(), keys.Live()...) }

// Update takes answers of the source, what is typed into a filter, and Done,
// after which the source is asked at once.
func (b *Board[T]) Update(msg tea.Msg) tea.Cmd {
	if b.Live.Update(msg) {
		return nil
	}
	if _, ok := msg.(Done); ok {
		return b.Live.Hurry()
	}
	b.Stack.Type(msg)
	return nil
}

// Do performs an action of Keys.
func (b *Board[T]) Do(a keys.Action) tea.Cmd {
	if cmd, ok := b.Live.Do(a); ok {
		return cmd
	}
	b.Stack.Do(a)
	return nil
}

// Selected is what the cursor is on.
func (b *Board[T]) Selected() (Item, bool) {
	if b.Item != nil {
		return b.Item()
	}
	r, ok := b.Stack.Focused().Table.Selected()
	return Item{ID: r.ID, Command: r.Command}, ok
}

// View draws the header and the panes, or why there is nothing yet.
func (b *Board[T]) View() string {
	var lines []string
	if b.Feed().Got().IsZero() {
		lines = Waiting(b.Theme, b.Feed(), b.Live.Now(), b.Countdown(), b.Width, b.Height)
	} else {
		if b.Header != nil {
			lines = b.Header()
		}
		lines = append(lines, b.Stack.View(b.Theme, b.Width, b.Height-len(lines))...)
	}
	if len(lines) > b.Height {
		lines = lines[:max(b.Height, 0)]
	}
	return strings.Join(lines, "\n")
}

// Waiting says why there is no data yet.
func Waiting(th theme.Theme, f *feed.Feed, now time.Time, countdown string, width, height int) []string {
	say := []string{text.Center("connecting to the gateway…", width)}
	if err := f.Err(); err != nil {
		what, why, fix := problem.Explain(err)
		say = []string{th.Paint(theme.Bad, text.Center("✗ "+what, width))}
		if why != "" {
			say = append(say, text.Center(why, width))
		}
		say = append(say, "", text.Center(countdown, width))
		if fix != "" {
			say = append(say, text.Center(fix, width))
		}
	} else if f.State(now) == feed.Paused {
		say = []string{text.Center("paused before any data came: p goes on", width)}
	}
	top := max((height-len(say))/2, 0)
	return append(make([]string, top), say...)
}

// headerHeight is where the panes begin, for what comes from a mouse.
func (b *Board[T]) headerHeight() int {
	if b.Header == nil || b.Feed().Got().IsZero() {
		return 0
	}
	return len(b.Header())
}

// Panes are the places of the panes, and of the header.
func (b *Board[T]) Panes() []Rect {
	if b.Feed().Got().IsZero() {
		return []Rect{{0, 0, b.Width, b.Height}}
	}
	first := b.headerHeight()
	var out []Rect
	if first > 0 {
		out = append(out, Rect{0, 0, b.Width, first})
	}
	for i := range b.Stack.Panes {
		if top, h := b.Stack.Place(i); h > 1 {
			out = append(out, Rect{0, first + top + 1, b.Width, h - 1})
		}
	}
	return out
}

// Mouse gives the focus to the pane that is clicked, the cursor to its row, the
// order to its column; the wheel walks in the pane below the pointer.
func (b *Board[T]) Mouse(m Mouse) tea.Cmd {
	i, line := b.Stack.At(m.Y - b.headerHeight())
	if i < 0 {
		return nil
	}
	t := b.Stack.Panes[i].Table
	if m.Wheel != 0 {
		t.Scroll(m.Wheel)
		return nil
	}
	b.Stack.Focus = i
	if line > 0 {
		t.Click(m.X, line-1)
	}
	return nil
}

// Memory is the order and the filter of each pane.
func (b *Board[T]) Memory() map[string]string {
	out := map[string]string{"focus": fmt.Sprint(b.Stack.Focus)}
	for i, p := range b.Stack.Panes {
		out[fmt.Sprintf("sort-%d", i)] = p.Table.Order()
		out[fmt.Sprintf("filter-%d", i)] = p.Table.Filter()
	}
	return out
}

// Remember takes what Memory gave.
func (b *Board[T]) Remember(m map[string]string) {
	for i, p := range b.Stack.Panes {
		p.Table.SetOrder(m[fmt.Sprintf("sort-%d", i)])
		p.Table.SetFilter(m[fmt.Sprintf("filter-%d", i)])
		if m["focus"] == fmt.Sprint(i) {
			b.Stack.Focus = i
		}
	}
}
