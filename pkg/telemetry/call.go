package telemetry

import (
	"context"
	"sync"
	"time"

	"github.com/prism-data-layer/prism/pkg/prism"
)

// A Call is what is noted of a call while it runs: its ids, and when its steps
// began and ended. It is the context that the call works in, so that all of it is
// one allocation. Spans are made of it when it has ended, if it is kept.
//
// It is not reused: whoever still holds the context after the end must find the
// ids of this call in it.
type Call struct {
	context.Context
	ids    ids
	tracer *Tracer // nil: nothing is kept
	start  time.Time

	mu     sync.Mutex // held for steps: a stream takes several at once
	over   bool
	waited bool
	n      int // steps that have begun
	few    [fewSteps]step
	more   []step
}

// Bounds of what is noted of one call: nearly all have one step, and a stream
// must not grow.
const (
	fewSteps = 2
	maxSteps = 64
)

// A Step is a part of a call that is done by somebody else: a backend, or a
// pattern that stands before one.
type Step struct {
	System    string // what it is: the driver's name
	Backend   string // its name in the configuration
	Operation string // "Get"
	Ops       int    // operations, where it is a batch
}

type step struct {
	Step
	began, ended time.Duration // since the call's start; ended 0: it runs
	reason       prism.Reason
}

type callKey struct{}

// Value finds the call itself.
func (c *Call) Value(key any) any {
	if key == (callKey{}) {
		return c
	}
	return c.Context.Value(key)
}

// CallOf is the call that ctx belongs to, nil outside of one.
func CallOf(ctx context.Context) *Call {
	c, _ := ctx.Value(callKey{}).(*Call)
	return c
}

// WithIDs marks the start of a call of which nothing is kept.
func WithIDs(ctx context.Context, requestID, traceparent string) context.Context {
	return &Call{Context: ctx, ids: newIDs(requestID, traceparent)}
}

// Start is when the call began.
func (c *Call) Start() time.Time { return c.start }

// Begin notes that a step begins, and tells where End finds it. Past the bound
// steps are not noted.
func (c *Call) Begin(s Step) (at int) {
	if c.tracer == nil {
		return -1
	}
	began := c.tracer.clock.Now().Sub(c.start)
	c.mu.Lock()
	defer c.mu.Unlock()
	at = c.n
	if c.over || at == maxSteps {
		return -1
	}
	c.n++
	x := step{Step: s, began: began}
	if at < fewSteps {
		c.few[at] = x
	} else {
		c.more = append(c.more, x)
	}
	return at
}

// End notes that a step has ended.
func (c *Call) End(at int, err error) {
	if at < 0 {
		return
	}
	ended := c.tracer.clock.Now().Sub(c.start)
	var reason prism.Reason
	if err != nil {
		reason = prism.From(err).Reason
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.over {
		return
	}
	x := &c.few[min(at, fewSteps-1)]
	if at >= fewSteps {
		x = &c.more[at-fewSteps]
	}
	x.ended, x.reason = max(ended, 1), reason
}

// Waits notes that the call waits for something to happen: that it takes long
// says nothing then.
func (c *Call) Waits() {
	c.mu.Lock()
	c.waited = true
	c.mu.Unlock()
}

// An Ending is how a call has ended.
type Ending struct {
	Method    string          // as in gRPC
	Namespace prism.Namespace // that it was let into; empty: none
	Reason    prism.Reason    // of its error; empty: it worked
	Took      time.Duration
	Stream    bool
	Ops       int // operations of a frame; 0: it is none
}

// Finish ends the call: it is forgotten, or kept.
func (c *Call) Finish(e Ending) {
	t := c.tracer
	if t == nil {
		return
	}
	c.mu.Lock()
	c.over = true
	waited := c.waited
	c.mu.Unlock()
	if why := t.judge(c.ids.trace, &e, waited); why != 0 {
		t.keep(c.record(e, c.ids, why))
	}
}

// FinishOp ends one operation of a frame, c, that brought a trace of its own: the
// frame's steps are the operation's too. Finish comes after it.
func (c *Call) FinishOp(traceparent string, e Ending) {
	t := c.tracer
	if t == nil {
		return
	}
	own := c.ids
	trace, ok := ParseTraceparent(traceparent)
	if !ok {
		return
	}
	own.parent, own.trace = trace.span, trace.Child()
	if why := t.judge(own.trace, &e, false); why != 0 {
		t.keep(c.record(e, own, why))
	}
}

// record copies what is kept of a call. Its steps are ended by now, or are taken
// to end with it.
func (c *Call) record(e Ending, own ids, why cause) *record {
	c.mu.Lock()
	defer c.mu.Unlock()
	r := &record{Ending: e, ids: own, start: c.start, why: why, steps: make([]step, 0, min(c.n, fewSteps)+len(c.more))}
	r.ids.given = "" // it is the caller's own, and may hold on to more
	r.request = own.request()
	r.steps = append(append(r.steps, c.few[:min(c.n, fewSteps)]...), c.more...)
	r.spans = make([]spanID, len(r.steps))
	for i := range r.steps {
		r.spans[i] = newSpanID()
		if x := &r.steps[i]; x.ended == 0 {
			x.ended = max(e.Took, x.began)
		}
	}
	return r
}
