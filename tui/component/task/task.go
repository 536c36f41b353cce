// Package task is how pages touch the world: as Bubble Tea commands that have a
// deadline and end when the dashboards close.
package task

import (
	"context"
	"time"

	tea "charm.land/bubbletea/v2"

	"github.com/prism-data-layer/prism/pkg/clock"
)

// A Runner makes commands. Its context is that of the whole program: a command
// outlives the Update that made it, and no Update is given a context.
type Runner struct {
	ctx   context.Context
	clock clock.Clock
	still bool
}

// NewRunner makes a runner whose commands end with ctx.
func NewRunner(ctx context.Context, c clock.Clock) Runner { return Runner{ctx: ctx, clock: c} }

// Still is a runner whose After answers nil at once: a test says itself what
// time brings.
func (r Runner) Still() Runner {
	r.still = true
	return r
}

// Now is the time.
func (r Runner) Now() time.Time { return r.clock.Now() }

// Call runs f off the screen's thread, for at most limit.
func (r Runner) Call(limit time.Duration, f func(context.Context) tea.Msg) tea.Cmd {
	return func() tea.Msg {
		ctx, cancel := context.WithTimeout(r.ctx, limit)
		defer cancel()
		return f(ctx)
	}
}

// After answers f's message when d has passed; nil when the program ends first.
func (r Runner) After(d time.Duration, f func(time.Time) tea.Msg) tea.Cmd {
	return func() tea.Msg {
		if r.still {
			return nil
		}
		t := r.clock.NewTimer(d)
		defer t.Stop()
		select {
		case <-t.C:
			return f(r.clock.Now())
		case <-r.ctx.Done():
			return nil
		}
	}
}

// Start is a command that runs f off the screen's thread until it is done; what
// ends it is the function beside it.
func (r Runner) Start(f func(context.Context) tea.Msg) (tea.Cmd, context.CancelFunc) {
	ctx, cancel := context.WithCancel(r.ctx)
	return func() tea.Msg { defer cancel(); return f(ctx) }, cancel
}
