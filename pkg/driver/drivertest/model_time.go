package drivertest

import (
	"time"
)

// modelTime is time as a model test of two stores sees it. Where that of either
// goes on by itself, what the test does takes no time beside the hours that it
// draws, and the times of both are compared by the hour.
type modelTime struct {
	sides  [2]modelClock
	loose  bool
	second time.Duration // what is drawn where a test would draw seconds
}

type modelClock struct {
	clock Clock // nil: time cannot be moved
	real  bool
}

func newModelTime(a, b Harness, x, y Opened) *modelTime {
	t := &modelTime{
		sides:  [2]modelClock{{x.Clock, a.RealTime || x.Clock == nil}, {y.Clock, b.RealTime || y.Clock == nil}},
		second: time.Second,
	}
	if t.loose = t.sides[0].real || t.sides[1].real; t.loose {
		t.second = time.Hour
	}
	return t
}

// seconds are durations to draw from; moments, too short to be told from none
// where time is loose, are left out there.
func (t *modelTime) seconds(n ...float64) (all []time.Duration) {
	for _, n := range n {
		if !t.loose || n == 0 || n >= 1 {
			all = append(all, time.Duration(n*float64(t.second)))
		}
	}
	return all
}

func (t *modelTime) now(side int) time.Time {
	if c := t.sides[side].clock; c != nil {
		return c.Now()
	}
	return time.Now()
}

// pass lets time go by for both, if it can be moved on both.
func (t *modelTime) pass(d time.Duration) {
	if t.sides[0].clock == nil || t.sides[1].clock == nil {
		return
	}
	for _, s := range t.sides {
		s.clock.Advance(d)
	}
}

// tick makes what comes later than what was before, for both, where one of them
// sees to that by itself.
func (t *modelTime) tick() {
	if !t.loose {
		return
	}
	for _, s := range t.sides {
		if !s.real {
			s.clock.Advance(time.Millisecond)
		}
	}
	for begin := time.Now(); time.Since(begin) <= time.Millisecond; {
		time.Sleep(time.Millisecond)
	}
}

// at is a time of a side, as it can be compared.
func (t *modelTime) at(side int, at time.Time) time.Time {
	if at.IsZero() || !t.loose {
		return at
	}
	return time.Time{}.AddDate(2000, 0, 0).Add(at.Sub(t.now(side)).Round(t.second))
}
