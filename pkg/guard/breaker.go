package guard

import (
	"sync"
	"sync/atomic"
	"time"
)

// A State is how a breaker stands.
type State int32

// A breaker that is closed lets all calls through, one that is open none, and
// one that is half open a single one at a time.
const (
	Closed State = iota
	HalfOpen
	Open
)

const closed = int32(Closed)

func (s State) String() string { return [...]string{"closed", "half-open", "open"}[s] }

// Beside failures in a row, it opens when of the calls since the first failure,
// in a window and at least so many, most have failed.
const (
	window      = 10 * time.Second
	windowLeast = 20
	mostOf      = 0.75
)

// A breaker leaves a store alone that does not answer. It opens by failed calls
// or by a failed probe, and only a probe that succeeds makes it half open: so
// that no caller is the one who finds out.
type breaker struct {
	failures int // in a row that open it

	state     atomic.Int32
	attentive atomic.Bool // successes count: there was a failure, or it is not closed

	mu      sync.Mutex
	since   time.Time // of the window
	inRow   int
	bad     int
	good    int
	unwells int  // probes in a row
	busy    bool // the one call of a half-open breaker is under way
	why     string
	opened  int64 // how often
	changed time.Time
}

// admit gives the one place of a half-open breaker, or refuses.
func (b *breaker) admit() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch State(b.state.Load()) {
	case Closed: // by now; the call counts as its proof
		return true
	case HalfOpen:
		if !b.busy {
			b.busy = true
			return true
		}
	}
	return false
}

// putBack gives the place back of a call that has proved nothing.
func (b *breaker) putBack() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.busy = false
}

// answered takes note of a call that the store has answered.
func (b *breaker) answered(now time.Time, probe bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch State(b.state.Load()) {
	case HalfOpen:
		if probe {
			b.become(Closed, now)
		}
	case Closed:
		b.inRow = 0
		b.good++
		if now.Sub(b.since) > window {
			b.forget()
		}
	}
}

// failed takes note of a call that the store has not answered.
func (b *breaker) failed(now time.Time, probe bool, why string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch State(b.state.Load()) {
	case HalfOpen:
		if probe {
			b.open(now, why)
		}
	case Closed:
		if b.bad == 0 || now.Sub(b.since) > window {
			b.forget()
			b.since = now
			b.attentive.Store(true)
		}
		b.bad++
		b.inRow++
		all := b.bad + b.good
		if b.inRow >= b.failures || all >= windowLeast && float64(b.bad) >= mostOf*float64(all) {
			b.open(now, why)
		}
	}
}

// unwell takes note of a probe that says so, and of whether calls were answered
// since the probe before: then it is not believed. Where no call has failed it
// takes two, for on a busy machine one may come late.
func (b *breaker) unwell(now time.Time, why string, answered bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch b.unwells++; State(b.state.Load()) {
	case HalfOpen:
		b.open(now, why)
	case Closed:
		if !answered && (b.bad > 0 || b.unwells > 1) {
			b.open(now, why)
		}
	}
}

// well takes note of a probe that says so. A second one closes a half-open
// breaker to which no call has come.
func (b *breaker) well(now time.Time) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.unwells = 0
	switch State(b.state.Load()) {
	case Open:
		b.busy = false
		b.become(HalfOpen, now)
	case HalfOpen:
		if !b.busy {
			b.become(Closed, now)
		}
	}
}

func (b *breaker) open(now time.Time, why string) {
	b.opened++
	b.why = why
	b.attentive.Store(true)
	b.become(Open, now)
}

func (b *breaker) become(s State, now time.Time) {
	b.busy = false
	b.changed = now
	b.state.Store(int32(s))
	if s == Closed {
		b.forget()
	}
}

// forget ends the window; the next failure begins another.
func (b *breaker) forget() {
	b.inRow, b.bad, b.good = 0, 0, 0
	b.attentive.Store(false)
}

// State is how the breaker stands.
func (g *Guard) State() State { return State(g.breaker.state.Load()) }

// word is the state, and what opened it.
func (b *breaker) word() (State, string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return State(b.state.Load()), b.why
}
