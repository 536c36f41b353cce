// Package guard stands around one backend, from outside: calls end in time,
// no more of them are under way than the store can bear, a store that does not
// answer is left alone until it does, and all of it is counted. package route
// puts it on when it opens a backend; drivers know nothing of it.
//
// It does not repeat calls: that is the client's, who alone knows the budget.
package guard

import (
	"cmp"
	"context"
	"fmt"
	"math/rand/v2"
	"sync/atomic"
	"time"

	"github.com/prism-data-layer/prism/pkg/clock"
	"github.com/prism-data-layer/prism/pkg/driver"
	"github.com/prism-data-layer/prism/pkg/driver/around"
	"github.com/prism-data-layer/prism/pkg/prism"
)

// What holds where the settings say nothing.
const (
	DefaultCallTimeout = 30 * time.Second
	DefaultMaxInFlight = 4096
	DefaultFailures    = 5
)

// Settings are a backend's `guard:`; the zero value is the defaults.
type Settings struct {
	Off         bool          // count, and hold nothing back
	CallTimeout time.Duration // for calls without a deadline, or with a later one
	MaxInFlight int           // calls under way at once
	Failures    int           // in a row that open the breaker
}

// A Guard stands around one backend.
type Guard struct {
	backend  string
	settings Settings
	clock    clock.Clock
	base     time.Time // latencies are told from here
	instant  bool      // the store never waits

	inFlight atomic.Int64
	breaker  breaker
	figures  figures
}

// New returns a guard for the backend with that name.
func New(backend string, s Settings, c clock.Clock) *Guard {
	s.CallTimeout = cmp.Or(s.CallTimeout, DefaultCallTimeout)
	s.MaxInFlight = cmp.Or(s.MaxInFlight, DefaultMaxInFlight)
	s.Failures = cmp.Or(s.Failures, DefaultFailures)
	g := &Guard{backend: backend, settings: s, clock: c, base: time.Now()}
	g.breaker.failures = s.Failures
	g.figures.start()
	return g
}

// Wrap puts g around the backend's store.
func (g *Guard) Wrap(s driver.Set) driver.Set {
	g.instant = s.Info.Instant
	return around.Wrap(s, hook{g})
}

// hook is what package around calls.
type hook struct{ *Guard }

// Calls of a store that never waits are over before they could be too many or
// too long, and two looks at the clock would be half of what they cost: one in
// so many is timed.
const sample = 16

// untimed stands for the start of the others.
const untimed = time.Duration(-1)

// A permit is what Begin hands to End.
type permit struct {
	began time.Duration // since base, or untimed
	class class
	waits bool
	opens bool
	probe bool   // the one call of a half-open breaker
	bound *bound // nil: the caller's own deadline holds
}

// A bound is a deadline of ours.
type bound struct {
	caller, ours context.Context
	cancel       context.CancelFunc
}

// Begin lets a call through, or refuses it at once. Calls that wait for
// something to happen are let through: their driver ends them when it has lost
// its store, and nobody can say how long they may last.
func (h hook) Begin(ctx context.Context, c around.Call) (context.Context, permit, error) {
	g := h.Guard
	p := permit{began: untimed, class: classOf(&c), waits: c.Waits, opens: c.Opens}
	if c.Waits {
		return ctx, p, nil
	}
	if g.breaker.state.Load() != closed && !g.settings.Off {
		if p.probe = g.breaker.admit(); !p.probe {
			return ctx, p, g.notAsked()
		}
	}
	if g.instant {
		if rand.Uint32()%sample == 0 {
			p.began = time.Since(g.base)
		}
		return ctx, p, nil
	}
	if g.inFlight.Add(1) > int64(g.settings.MaxInFlight) && !g.settings.Off {
		g.inFlight.Add(-1)
		if p.probe {
			g.breaker.putBack()
		}
		return ctx, p, g.tooMany()
	}
	if p.class != storeCalls && !g.settings.Off {
		ctx, p.bound = g.bound(ctx)
	}
	p.began = time.Since(g.base)
	return ctx, p, nil
}

// bound gives a call its end, if it has none or a later one.
func (g *Guard) bound(ctx context.Context) (context.Context, *bound) {
	if at, ok := ctx.Deadline(); ok && time.Until(at) <= g.settings.CallTimeout {
		return ctx, nil
	}
	b := &bound{caller: ctx}
	b.ours, b.cancel = context.WithTimeout(ctx, g.settings.CallTimeout)
	return b.ours, b
}

// End takes note of how a call went.
func (h hook) End(p permit, err error) {
	g := h.Guard
	ours := false
	if !p.waits {
		ours = g.ended(p)
	}
	switch {
	case err != nil:
		g.failed(p, err, ours)
	case p.opens: // which tells nothing yet
		g.figures.unanswered.Add(1)
		if p.probe {
			g.breaker.putBack()
		}
	case !p.waits && g.breaker.attentive.Load():
		g.breaker.answered(g.clock.Now(), p.probe)
	}
}

// ended counts a call, and reports whether it had to end by a deadline of ours.
func (g *Guard) ended(p permit) (ours bool) {
	r := g.figures.calls[p.class]
	if p.began == untimed {
		r.Count()
	} else {
		r.Observe(time.Since(g.base) - p.began)
	}
	if !g.instant {
		g.inFlight.Add(-1)
	}
	if p.bound == nil {
		return false
	}
	ours = p.bound.ours.Err() != nil && p.bound.caller.Err() == nil
	p.bound.cancel()
	return ours
}

// failed counts an error, and holds it against the store if it says that the
// store is ill. An error that is an answer, such as NOT_FOUND or a full disk,
// says that it is there.
func (g *Guard) failed(p permit, err error, ours bool) {
	e, now := prism.From(err), g.clock.Now()
	g.figures.failed(e, now)
	if p.waits || g.settings.Off {
		return
	}
	switch {
	case e.Reason == prism.ReasonBackendUnavailable, e.Reason == prism.ReasonDeadlineExceeded && ours:
		g.figures.unanswered.Add(1)
		g.breaker.failed(now, p.probe, e.Message)
	case e.Reason == prism.ReasonDeadlineExceeded, e.Reason == prism.ReasonCancelled, e.Reason == prism.ReasonOverloaded:
		// The caller's own end, or the driver's queue: it tells neither.
		g.figures.unanswered.Add(1)
		if p.probe {
			g.breaker.putBack()
		}
	case g.breaker.attentive.Load():
		g.breaker.answered(now, p.probe)
	}
}

// Probed tells what the store said of itself when it was asked. A store that is
// not well is left alone, and one that is well again may prove it with a call.
// Its callers ask one at a time.
func (g *Guard) Probed(h driver.Health) {
	now := g.clock.Now()
	g.figures.turn(now)
	answered := g.figures.answered()
	if h.State == driver.Unhealthy {
		g.figures.unwell(h.Message, now)
	}
	switch {
	case g.settings.Off:
	case h.State == driver.Unhealthy:
		// Not its own words, which may name addresses: callers are told of this.
		g.breaker.unwell(now, "its last probe failed", answered)
	default:
		g.breaker.well(now)
	}
}

func (g *Guard) notAsked() error {
	g.figures.refused.Add(1)
	state, why := g.breaker.word()
	text := "is left alone until it answers again"
	if why != "" {
		text = fmt.Sprintf("%s (%s)", text, why)
	}
	return prism.New(prism.ReasonBackendUnavailable, "backend %q %s", g.backend, text).
		WithBackend(g.backend).WithMeta("breaker", state.String())
}

func (g *Guard) tooMany() error {
	g.figures.overloaded.Add(1)
	return prism.New(prism.ReasonOverloaded, "backend %q has %d calls under way, as many as it may", g.backend, g.settings.MaxInFlight).
		WithBackend(g.backend).WithQuota("backend:"+g.backend, fmt.Sprintf("%d calls at once", g.settings.MaxInFlight))
}
