package clock_test

import (
	"testing"
	"time"

	"github.com/prism-data-layer/prism/pkg/clock"
)

var start = time.Date(2030, 1, 2, 3, 4, 5, 0, time.UTC)

// fired reports whether t has fired, and with what.
func fired(t *clock.Timer) (time.Time, bool) {
	select {
	case at := <-t.C:
		return at, true
	default:
		return time.Time{}, false
	}
}

func TestAFakeStandsStillUntilItIsMoved(t *testing.T) {
	t.Parallel()
	f := clock.NewFake(start)
	for range 2 {
		if got := f.Now(); !got.Equal(start) {
			t.Errorf("shows %s", got)
		}
	}
	f.Advance(time.Hour)
	if got := f.Now(); !got.Equal(start.Add(time.Hour)) {
		t.Errorf("an hour later it shows %s", got)
	}
	f.Advance(-2 * time.Hour)
	if got := f.Now(); !got.Equal(start.Add(-time.Hour)) {
		t.Errorf("set back it shows %s", got)
	}
}

func TestATimerFiresOnceWhenItIsDue(t *testing.T) {
	t.Parallel()
	f := clock.NewFake(start)
	tm := f.NewTimer(time.Second)
	for _, step := range []struct {
		by   time.Duration
		want bool
	}{{time.Second - 1, false}, {1, true}, {time.Hour, false}} {
		f.Advance(step.by)
		at, ok := fired(tm)
		if ok != step.want || ok && !at.Equal(f.Now()) {
			t.Errorf("at %s: fired %v with %s", f.Now().Sub(start), ok, at)
		}
	}
}

func TestEveryDueTimerFiresInOneAdvance(t *testing.T) {
	t.Parallel()
	f := clock.NewFake(start)
	late, soon, never := f.NewTimer(2*time.Second), f.NewTimer(time.Second), f.NewTimer(time.Hour)
	if got := f.Timers(); got != 3 {
		t.Fatalf("%d timers wait", got)
	}
	f.Advance(time.Minute)
	if _, ok := fired(late); !ok {
		t.Error("the late one did not fire")
	}
	if _, ok := fired(soon); !ok {
		t.Error("the soon one did not fire")
	}
	if _, ok := fired(never); ok {
		t.Error("the one of an hour fired")
	}
	if got := f.Timers(); got != 1 {
		t.Errorf("%d timers wait, want 1", got)
	}
}

func TestAStoppedTimerDoesNotFire(t *testing.T) {
	t.Parallel()
	f := clock.NewFake(start)
	a, b := f.NewTimer(time.Second), f.NewTimer(time.Second)
	if !a.Stop() || a.Stop() {
		t.Error("Stop must be true once")
	}
	f.Advance(time.Minute)
	if _, ok := fired(a); ok {
		t.Error("it fired")
	}
	if _, ok := fired(b); !ok {
		t.Error("the other did not fire")
	}
	if b.Stop() {
		t.Error("Stop of one that has fired is true")
	}
}

func TestATimerOfNothingFiresAtOnce(t *testing.T) {
	t.Parallel()
	for _, c := range []clock.Clock{clock.Real(), clock.NewFake(start)} {
		for _, d := range []time.Duration{0, -time.Second} {
			select {
			case <-c.NewTimer(d).C:
			case <-time.After(10 * time.Second):
				t.Errorf("%T: a timer of %s does not fire", c, d)
			}
		}
	}
}

func TestTheRealClockIsTheMachines(t *testing.T) {
	t.Parallel()
	c := clock.Real()
	before := time.Now()
	if got := c.Now(); got.Before(before) || got.Sub(before) > time.Minute {
		t.Errorf("shows %s, the machine %s", got, before)
	}
	tm := c.NewTimer(time.Hour)
	if !tm.Stop() || tm.Stop() {
		t.Error("Stop must be true once")
	}
}

func TestAFakeMayBeUsedFromManySides(t *testing.T) {
	t.Parallel()
	f := clock.NewFake(start)
	done := make(chan struct{})
	const n = 50
	for range n {
		go func() {
			<-f.NewTimer(time.Millisecond).C
			f.Now()
			done <- struct{}{}
		}()
	}
	for range n {
		for {
			f.Advance(time.Millisecond)
			select {
			case <-done:
			case <-time.After(time.Millisecond):
				continue
			}
			break
		}
	}
}
