// Package tail brings a live stream to a page: in batches, at most ten a
// second, however fast it flows. What a page cannot take is dropped and counted,
// and a stream that breaks is opened again with the backoff of package feed.
package tail

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

// Every is the shortest time between two batches.
const Every = 100 * time.Millisecond

// DefaultBuffer is how many items wait for the next batch at most.
const DefaultBuffer = 1000

// Options say how a stream is taken.
type Options struct {
	// Buffer is how many items wait at most; 0: DefaultBuffer.
	Buffer int
	// Patient makes Send wait when the buffer is full, for streams that keep
	// what is not taken. Else the oldest is dropped.
	Patient bool
}

// A Stream gives what comes to the sink until it ends. Without an error it has
// ended for good; after one it is opened again.
type Stream[T any] func(ctx context.Context, to *Sink[T]) error

// A Model is the stream of a page. While it is paused the newest items wait.
type Model[T any] struct {
	tasks task.Runner
	o     Options
	open  Stream[T]
	take  func([]T)

	feed    feed.Feed
	now     time.Time
	sink    *Sink[T] // nil: not open
	waiting bool     // for a batch
	over    bool
	dropped int64
}

type (
	// ready says that items wait in a sink.
	ready[T any] struct{ of *Sink[T] }
	ended[T any] struct {
		of  *Sink[T]
		err error
	}
)

// New makes a stream that is not open before Start. take is given the items in
// their order.
func New[T any](tasks task.Runner, o Options, open Stream[T], take func([]T)) *Model[T] {
	if o.Buffer <= 0 {
		o.Buffer = DefaultBuffer
	}
	return &Model[T]{tasks: tasks, o: o, open: open, take: take, feed: feed.New(time.Second), now: tasks.Now()}
}

// Feed is how the stream is: live while it is open, however quiet it may be.
func (m *Model[T]) Feed() *feed.Feed { return &m.feed }

// Dropped is how many items came faster than they could be taken.
func (m *Model[T]) Dropped() int64 { return m.dropped }

// Over reports whether the stream has ended for good.
func (m *Model[T]) Over() bool { return m.over }

// Start opens the stream, anew if it is open: after a change of what it is
// asked for.
func (m *Model[T]) Start() tea.Cmd {
	m.Close()
	m.over, m.waiting = false, false
	m.feed.SetPaused(false)
	s := newSink[T](m.o)
	m.sink = s
	m.feed.Ask(m.now)
	run := m.tasks.Run(func(ctx context.Context) tea.Msg {
		ctx, cancel := context.WithCancel(ctx)
		defer cancel()
		if !s.begin(cancel) {
			return nil
		}
		err := m.open(ctx, s)
		s.end()
		return ended[T]{s, err}
	})
	return tea.Batch(run, m.next(0))
}

// next waits for items, for at least wait.
func (m *Model[T]) next(wait time.Duration) tea.Cmd {
	s := m.sink
	if s == nil || m.waiting || m.feed.Paused() {
		return nil
	}
	m.waiting = true
	pause := m.tasks.After(wait, func(time.Time) tea.Msg { return nil })
	return m.tasks.Run(func(ctx context.Context) tea.Msg {
		if wait > 0 {
			pause()
		}
		if !s.wait(ctx) {
			return nil
		}
		return ready[T]{s}
	})
}

// Beat tells the time; a stream that broke is opened again when it is due.
func (m *Model[T]) Beat(now time.Time) tea.Cmd {
	m.now = now
	switch {
	case m.sink != nil && m.sink.isOpen():
		m.feed.Succeed(now)
	case m.sink == nil && !m.over && m.feed.Due(now):
		return m.Start()
	}
	return nil
}

// Update takes what came; false when the message is none of this stream's.
func (m *Model[T]) Update(msg tea.Msg) (tea.Cmd, bool) {
	switch msg := msg.(type) {
	case ready[T]:
		if msg.of != m.sink || m.sink == nil {
			return nil, false
		}
		m.now, m.waiting = m.tasks.Now(), false
		if m.feed.Paused() {
			return nil, true
		}
		m.drain()
		return m.next(Every), true
	case ended[T]:
		if msg.of != m.sink || m.sink == nil {
			return nil, false
		}
		m.now = m.tasks.Now()
		m.drain()
		m.sink, m.waiting = nil, false
		if m.over = msg.err == nil; m.over {
			m.feed.End(m.now)
		} else {
			m.feed.Fail(m.now, msg.err)
		}
		return nil, true
	}
	return nil, false
}

func (m *Model[T]) drain() {
	items, dropped := m.sink.drain()
	m.dropped += dropped
	if len(items) > 0 {
		m.feed.Succeed(m.now)
		m.take(items)
	}
}

// Do performs keys.Refresh, which opens the stream anew, and keys.Pause; false
// for any other action.
func (m *Model[T]) Do(a keys.Action) (tea.Cmd, bool) {
	switch a {
	case keys.Refresh:
		return m.Start(), true
	case keys.Pause:
		m.feed.SetPaused(!m.feed.Paused())
		if m.feed.Paused() {
			return toast.Show("paused: p goes on, the newest wait"), true
		}
		return m.next(0), true
	}
	return nil, false
}

// Countdown says when a stream that broke is opened again.
func (m *Model[T]) Countdown() string {
	switch d := m.feed.Retry(m.now); {
	case m.feed.Paused():
		return "paused: p goes on"
	case m.over:
		return "it has ended: r begins again"
	case m.sink == nil && d > 0:
		return fmt.Sprintf("next attempt in %s", d)
	}
	return "trying again…"
}

// Close ends the stream. Nothing of it is taken after.
func (m *Model[T]) Close() {
	if m.sink != nil {
		m.sink.close()
		m.sink, m.waiting = nil, false
	}
}
