package route

import (
	"sync/atomic"
	"time"

	"github.com/prism-data-layer/prism/pkg/clock"
	"github.com/prism-data-layer/prism/pkg/prism"
)

// Maintenance is what the gateway refuses on purpose, although it could do it.
type Maintenance struct {
	All       bool   // otherwise only what writes
	Message   string // for callers
	StartedAt time.Time
	EndsAt    time.Time // zero: when it is switched off
	Actor     string
	Refused   int64 // calls, and operations of frames
}

// A gate stands before all namespaces.
type gate struct {
	clock  clock.Clock
	closed atomic.Pointer[closure] // nil: open
}

type closure struct {
	Maintenance
	refused atomic.Int64
}

// now is the closure in force, nil if there is none.
func (g *gate) now() *closure {
	c := g.closed.Load()
	if c != nil && !c.EndsAt.IsZero() && !g.clock.Now().Before(c.EndsAt) {
		g.closed.CompareAndSwap(c, nil)
		return nil
	}
	return c
}

// pass refuses what the maintenance does.
func (g *gate) pass(action prism.Action) error {
	if g.closed.Load() == nil {
		return nil
	}
	c := g.now()
	if c == nil || !c.All && action != prism.ActionWrite {
		return nil
	}
	c.refused.Add(1)
	return c.refusal(g.clock.Now())
}

func (c *closure) refusal(now time.Time) *prism.Error {
	what, text := "writes", c.Message
	if c.All {
		what = "calls"
	}
	if text != "" {
		text = ": " + text
	}
	e := prism.New(prism.ReasonMaintenance, "the gateway is in maintenance and refuses %s%s", what, text)
	if !c.EndsAt.IsZero() {
		e.WithRetryAfter(max(c.EndsAt.Sub(now), time.Second))
	}
	return e
}

// SetMaintenance begins a maintenance, or another one, or with nil ends it. One
// that refuses everything ends open streams too.
func (r *Router) SetMaintenance(m *Maintenance) {
	if m == nil {
		r.gate.closed.Store(nil)
		return
	}
	c := &closure{Maintenance: *m}
	r.gate.closed.Store(c)
	if m.All {
		r.mu.Lock()
		defer r.mu.Unlock()
		for _, s := range r.renew("", func(string) *prism.Error { return c.refusal(r.clock.Now()) }) {
			s.hold.Store(nil) // the gate refuses
		}
	}
}

// Maintenance tells what is refused now.
func (r *Router) Maintenance() (m Maintenance, on bool) {
	c := r.gate.now()
	if c == nil {
		return m, false
	}
	m = c.Maintenance
	m.Refused = c.refused.Load()
	return m, true
}

// Pass refuses what the maintenance in force does. It is asked for every call on
// a namespace by Resolve; who carries calls in a stream asks for each.
func (r *Router) Pass(action prism.Action) error { return r.gate.pass(action) }

// Pass is [Router.Pass] for what a stream carries.
func (t Target) Pass(action prism.Action) error {
	if t.n == nil {
		return denied()
	}
	return t.n.gate.pass(action)
}
