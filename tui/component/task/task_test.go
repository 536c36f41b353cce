package task_test

import (
	"context"
	"testing"
	"time"

	tea "charm.land/bubbletea/v2"
	"go.uber.org/goleak"

	"github.com/prism-data-layer/prism/pkg/clock"
	"github.com/prism-data-layer/prism/tui/component/task"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestCallsHaveADeadline(t *testing.T) {
	t.Parallel()
	r := task.NewRunner(t.Context(), clock.Real())
	got := r.Call(time.Millisecond, func(ctx context.Context) tea.Msg {
		<-ctx.Done()
		return ctx.Err()
	})()
	if got != context.DeadlineExceeded {
		t.Errorf("got %v, want %v", got, context.DeadlineExceeded)
	}
}

func TestWaitingEndsWithTheProgram(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	r := task.NewRunner(ctx, clock.NewFake(time.Unix(0, 0)))
	got := make(chan tea.Msg, 1)
	go func() { got <- r.After(time.Hour, func(t time.Time) tea.Msg { return t })() }()
	cancel()
	if m := <-got; m != nil {
		t.Errorf("got %v, want nothing", m)
	}
}

func TestAfterTellsTheTime(t *testing.T) {
	t.Parallel()
	c := clock.NewFake(time.Unix(0, 0))
	r := task.NewRunner(t.Context(), c)
	got := make(chan tea.Msg, 1)
	go func() { got <- r.After(time.Minute, func(t time.Time) tea.Msg { return t })() }()
	for c.Timers() == 0 {
		time.Sleep(time.Millisecond)
	}
	c.Advance(time.Minute)
	if m := <-got; m != r.Now() {
		t.Errorf("got %v, want %v", m, r.Now())
	}
}
