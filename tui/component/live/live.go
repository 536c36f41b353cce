// Package live asks a source again and again, and keeps how its data is. It is
// the part that pages have alike; a page embeds a Model.
package live

import (
	"context"
	"fmt"
	"time"

	tea "charm.land/bubbletea/v2"

	"github.com/prism-data-layer/prism/tui/component/feed"
	"github.com/prism-data-layer/prism/tui/component/task"
	"github.com/prism-data-layer/prism/tui/component/toast"
	"github.com/prism-data-layer/prism/tui/keys"
)

// A Model asks ask and gives take what came.
type Model[T any] struct {
	tasks task.Runner
	ask   func(context.Context) (T, error)
	take  func(T)

	feed feed.Feed
	now  time.Time
}

// answer is what came of one attempt.
type answer[T any] struct {
	of  *Model[T]
	got T
	err error
}

// New makes a model that asks for nothing before Ask.
func New[T any](tasks task.Runner, every time.Duration, ask func(context.Context) (T, error), take func(T)) *Model[T] {
	return &Model[T]{tasks: tasks, ask: ask, take: take, feed: feed.New(every), now: tasks.Now()}
}

// Feed is how the data is; Now the time of the last beat or answer.
func (m *Model[T]) Feed() *feed.Feed { return &m.feed }

// Now is the time as the model knows it.
func (m *Model[T]) Now() time.Time { return m.now }

// Ask makes the command that asks the source.
func (m *Model[T]) Ask() tea.Cmd {
	m.feed.Ask(m.now)
	return m.tasks.Call(m.feed.Limit(), func(ctx context.Context) tea.Msg {
		got, err := m.ask(ctx)
		return answer[T]{m, got, err}
	})
}

// Beat tells the time; the source is asked again when it is due.
func (m *Model[T]) Beat(now time.Time) tea.Cmd {
	m.now = now
	if m.feed.Due(now) {
		return m.Ask()
	}
	return nil
}

// Update takes an answer; false when the message is none of this model's.
func (m *Model[T]) Update(msg tea.Msg) bool {
	a, ok := msg.(answer[T])
	if !ok || a.of != m {
		return false
	}
	m.now = m.tasks.Now()
	if a.err != nil {
		m.feed.Fail(m.now, a.err)
		return true
	}
	m.feed.Succeed(m.now)
	m.take(a.got)
	return true
}

// Hurry asks now, unless an answer is on its way.
func (m *Model[T]) Hurry() tea.Cmd {
	m.feed.SetPaused(false)
	if m.feed.Asking() {
		return nil
	}
	return m.Ask()
}

// Do performs keys.Refresh and keys.Pause; false for any other action.
func (m *Model[T]) Do(a keys.Action) (tea.Cmd, bool) {
	switch a {
	case keys.Refresh:
		return m.Hurry(), true
	case keys.Pause:
		m.feed.SetPaused(!m.feed.Paused())
		if m.feed.Paused() {
			return toast.Show("paused: p goes on, r asks once more and goes on"), true
		}
		m.feed.Hurry()
		return m.Beat(m.now), true
	}
	return nil, false
}

// Countdown says when the next attempt comes, for a feed that failed.
func (m *Model[T]) Countdown() string {
	if m.feed.Paused() {
		return "paused: p goes on"
	}
	if d := m.feed.Retry(m.now); !m.feed.Asking() && d > 0 {
		return fmt.Sprintf("next attempt in %s", d)
	}
	return "trying again…"
}
