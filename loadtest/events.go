package loadtest

import (
	"cmp"
	"context"
	"slices"
	"sync"
	"time"

	"github.com/prism-data-layer/prism/loadtest/report"
)

// events are what a plan does to the system under test.
type events struct {
	r    *runner
	over context.CancelFunc
	all  sync.WaitGroup

	mu     sync.Mutex
	done   []report.Event
	active map[string]int
}

// endTimeout bounds the undoing of an event.
const endTimeout = 5 * time.Second

func newEvents(r *runner) *events { return &events{r: r, active: map[string]int{}} }

// begin lets each event wait for its time. The runner's start is set.
func (e *events) begin(ctx context.Context) {
	ctx, e.over = context.WithCancel(ctx)
	for _, one := range e.r.plan.Events {
		e.all.Go(func() { e.run(ctx, one) })
	}
}

func (e *events) run(ctx context.Context, one Event) {
	at := e.r.plan.WarmUp + one.At
	if !e.wait(ctx, at) {
		return
	}
	begun := e.r.now()
	out := report.Event{Name: one.Name, AtS: (begun - e.r.plan.WarmUp).Seconds()}
	if err := one.Begin(ctx); err != nil {
		out.Error = report.CleanMessage(err.Error())
	} else {
		e.act(one.Name, 1)
		e.wait(ctx, at+one.For)
		if one.End != nil {
			undo, cancel := context.WithTimeout(context.WithoutCancel(ctx), endTimeout)
			err := one.End(undo)
			cancel()
			if err != nil {
				out.Error = report.CleanMessage(err.Error())
			}
		}
		e.act(one.Name, -1)
		out.ForS = (e.r.now() - begun).Seconds()
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	e.done = append(e.done, out)
}

// wait is until an offset; false when the run is over before.
func (e *events) wait(ctx context.Context, until time.Duration) bool {
	t := e.r.plan.Clock.NewTimer(max(0, until-e.r.now()))
	defer t.Stop()
	select {
	case <-t.C:
		return ctx.Err() == nil
	case <-ctx.Done():
		return false
	}
}

func (e *events) act(name string, by int) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.active[name] += by
}

// now are the names of those that act.
func (e *events) now() []string {
	e.mu.Lock()
	defer e.mu.Unlock()
	var names []string
	for _, one := range e.r.plan.Events {
		if e.active[one.Name] > 0 {
			names = append(names, one.Name)
		}
	}
	return names
}

// end undoes what still acts.
func (e *events) end() {
	e.over()
	e.all.Wait()
	slices.SortStableFunc(e.done, func(a, b report.Event) int { return cmp.Compare(a.AtS, b.AtS) })
}
