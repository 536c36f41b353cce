// Package clock injects time. Everything that waits or stamps takes a Clock,
// so that tests decide what time it is.
package clock

import (
	"sync"
	"time"
)

// A Clock tells the time and wakes sleepers.
type Clock interface {
	Now() time.Time
	// NewTimer's C receives once, d from now; d ≤ 0 fires at once.
	NewTimer(d time.Duration) *Timer
}

// A Timer fires once on C.
type Timer struct {
	C    <-chan time.Time
	stop func() bool
}

// Stop prevents the timer from firing; false if it had fired or was stopped.
func (t *Timer) Stop() bool { return t.stop() }

// Real is the machine's clock.
func Real() Clock { return realClock{} }

type realClock struct{}

func (realClock) Now() time.Time { return time.Now() }
func (realClock) NewTimer(d time.Duration) *Timer {
	t := time.NewTimer(d)
	return &Timer{C: t.C, stop: t.Stop}
}

// A Fake stands still until Advance moves it.
type Fake struct {
	mu     sync.Mutex
	now    time.Time
	timers []*fakeTimer
}

type fakeTimer struct {
	at time.Time
	c  chan time.Time
}

// NewFake returns a clock that shows now.
func NewFake(now time.Time) *Fake { return &Fake{now: now} }

func (f *Fake) Now() time.Time {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.now
}

func (f *Fake) NewTimer(d time.Duration) *Timer {
	f.mu.Lock()
	defer f.mu.Unlock()
	t := &fakeTimer{at: f.now.Add(d), c: make(chan time.Time, 1)}
	if d <= 0 {
		t.c <- f.now
	} else {
		f.timers = append(f.timers, t)
	}
	return &Timer{C: t.c, stop: func() bool { return f.drop(t) }}
}

func (f *Fake) drop(t *fakeTimer) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	for i, o := range f.timers {
		if o == t {
			f.timers = append(f.timers[:i], f.timers[i+1:]...)
			return true
		}
	}
	return false
}

// Advance moves the clock and fires what is due.
func (f *Fake) Advance(d time.Duration) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.now = f.now.Add(d)
	rest := f.timers[:0]
	for _, t := range f.timers {
		if t.at.After(f.now) {
			rest = append(rest, t)
			continue
		}
		t.c <- f.now
	}
	f.timers = rest
}

// Timers is how many timers wait; a test polls it before it advances.
func (f *Fake) Timers() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return len(f.timers)
}
