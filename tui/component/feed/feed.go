// Package feed is the state of data that is asked for again and again: whether
// it is new, old, held or out of reach, and when it is asked for next.
package feed

import (
	"fmt"
	"time"
)

// MaxBackoff bounds the wait between two attempts to reach a gateway that does
// not answer: a person who restarts it is looking at the screen.
const MaxBackoff = 5 * time.Second

// A State is how the data is.
type State uint8

// The states.
const (
	Connecting State = iota // nothing yet
	Live
	Stale  // the newest data is older than two intervals
	Failed // the last attempt failed
	Paused
	Ended // for good: nothing more comes, and what came does not age
)

// A Feed keeps the times. It does not ask; its owner does, when Due says so.
type Feed struct {
	every    time.Duration
	asked    time.Time // the last attempt
	got      time.Time // the last success
	next     time.Time
	asking   bool
	paused   bool
	ended    bool
	failures int
	err      error
}

// New makes a feed that is due at once and then every interval.
func New(every time.Duration) Feed { return Feed{every: every} }

// Every is the interval.
func (f *Feed) Every() time.Duration { return f.every }

// Limit is how long one attempt may take.
func (f *Feed) Limit() time.Duration { return min(max(2*f.every, 2*time.Second), 10*time.Second) }

// Due reports whether it is time to ask. A beat that comes a little early
// counts: it is no use to wait for the next one.
func (f *Feed) Due(now time.Time) bool {
	return !f.asking && !f.paused && !now.Add(min(f.every, time.Second)/4).Before(f.next)
}

// Ask notes that an attempt began.
func (f *Feed) Ask(now time.Time) {
	f.asking, f.ended, f.asked, f.next = true, false, now, now.Add(f.every)
}

// Asking reports whether an attempt is under way.
func (f *Feed) Asking() bool { return f.asking }

// Succeed notes that data came.
func (f *Feed) Succeed(now time.Time) {
	f.asking, f.got, f.failures, f.err = false, now, 0, nil
}

// End notes that all of the data has come.
func (f *Feed) End(now time.Time) {
	f.Succeed(now)
	f.ended = true
}

// Fail notes that an attempt failed: the next one comes after 1, 2, 4 … times
// the interval.
func (f *Feed) Fail(now time.Time, err error) {
	f.asking, f.err = false, err
	f.next = now.Add(backoff(f.failures, f.every))
	f.failures++
}

func backoff(failures int, every time.Duration) time.Duration {
	d := max(every, time.Second)
	for range min(failures, 5) {
		d *= 2
	}
	return max(min(d, MaxBackoff), every)
}

// Hurry makes it due now.
func (f *Feed) Hurry() { f.next = time.Time{} }

// SetPaused stops or goes on asking.
func (f *Feed) SetPaused(v bool) { f.paused = v }

// Paused reports whether asking is stopped.
func (f *Feed) Paused() bool { return f.paused }

// Err is why the last attempt failed; nil when it did not.
func (f *Feed) Err() error { return f.err }

// Got is when data last came; zero when it never did.
func (f *Feed) Got() time.Time { return f.got }

// Retry is how long it is until the next attempt, in whole seconds.
func (f *Feed) Retry(now time.Time) time.Duration {
	return max(roundUp(f.next.Sub(now)), 0)
}

// Age is how old the data is, in whole seconds.
func (f *Feed) Age(now time.Time) time.Duration { return max(now.Sub(f.got).Truncate(time.Second), 0) }

// Bound is the age that data has at most while it is Live.
func (f *Feed) Bound() time.Duration { return 2 * f.every }

// State says how the data is.
func (f *Feed) State(now time.Time) State {
	switch {
	case f.paused:
		return Paused
	case f.err != nil:
		return Failed
	case f.got.IsZero():
		return Connecting
	case f.ended:
		return Ended
	case now.Sub(f.got) > f.Bound():
		return Stale
	}
	return Live
}

// Mark is the state as a glyph and words, for the end of the title line. It
// changes only when the state does, or when what it counts has a person
// waiting, so that a quiet screen stays quiet.
func (f *Feed) Mark(now time.Time) string {
	switch f.State(now) {
	case Paused:
		if f.got.IsZero() {
			return "‖ paused"
		}
		return "‖ paused · data of " + f.got.Format("15:04:05")
	case Failed:
		if f.got.IsZero() {
			return "✗ no data"
		}
		return fmt.Sprintf("✗ lost · data %s old", short(f.Age(now)))
	case Connecting:
		return "◌ connecting…"
	case Ended:
		return "■ all of it"
	case Stale:
		return fmt.Sprintf("! stale · data %s old", short(f.Age(now)))
	}
	return fmt.Sprintf("● live · data < %s old", short(f.Bound()))
}

func roundUp(d time.Duration) time.Duration {
	return (d + time.Second - 1).Truncate(time.Second)
}

func short(d time.Duration) string {
	switch {
	case d < time.Minute:
		return d.String()
	case d < time.Hour:
		return fmt.Sprintf("%dm%02ds", d/time.Minute, d%time.Minute/time.Second)
	}
	return fmt.Sprintf("%dh%02dm", d/time.Hour, d%time.Hour/time.Minute)
}
