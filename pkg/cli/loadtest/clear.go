package loadtest

import (
	"context"
	"fmt"
	"time"

	"github.com/prism-data-layer/prism/loadtest"
	"github.com/prism-data-layer/prism/pkg/prism"
)

const (
	// clearBound is how long clearing up may take, and clearSoon how long once
	// a person has pressed Ctrl-C; a second Ctrl-C ends it at once.
	clearBound = 5 * time.Minute
	clearSoon  = 3 * time.Second
)

// clearUp removes what the run left. The first error is told when all was
// tried.
func (o *runOptions) clearUp(ctx context.Context, w loadtest.Workload, parts []part) error {
	bound := clearBound
	if ctx.Err() != nil {
		bound = clearSoon
	}
	calls, cancel := context.WithTimeout(context.WithoutCancel(ctx), bound)
	defer cancel()
	defer context.AfterFunc(ctx, func() { time.AfterFunc(clearSoon, cancel) })()
	var first error
	if e, ok := w.(loadtest.Ender); ok {
		if err := e.End(calls); err != nil {
			fmt.Fprintf(o.IO.ErrOut, "sessions of the load test end by themselves: they could not be closed: %s\n", prism.From(err).Message)
		}
	}
	for _, p := range parts {
		said := p.Left()
		if !o.Keep {
			var err error
			if said, err = p.Clear(calls); err != nil && first == nil {
				first = err
			}
		}
		if said != "" {
			fmt.Fprintln(o.IO.ErrOut, said)
		}
	}
	return first
}
