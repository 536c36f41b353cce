package feed_test

import (
	"errors"
	"testing"
	"time"

	"github.com/prism-data-layer/prism/tui/component/feed"
)

func at(s float64) time.Time {
	return time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC).Add(time.Duration(s * float64(time.Second)))
}

func TestAFeedAsksOnceAnInterval(t *testing.T) {
	t.Parallel()
	f := feed.New(time.Second)
	if !f.Due(at(0)) || f.State(at(0)) != feed.Connecting {
		t.Fatal("a new feed waits")
	}
	f.Ask(at(0))
	if f.Due(at(5)) || !f.Asking() {
		t.Error("two attempts at once")
	}
	f.Succeed(at(0.1))
	for _, c := range []struct {
		now  float64
		want bool
	}{{0.2, false}, {0.7, false}, {0.8, true}, {1, true}} {
		if got := f.Due(at(c.now)); got != c.want {
			t.Errorf("due at %v: %v", c.now, got)
		}
	}
	f.Hurry()
	if !f.Due(at(0.2)) {
		t.Error("a refresh waits")
	}
	if f.Every() != time.Second || f.Got() != at(0.1) {
		t.Error("a feed forgot its times")
	}
}

func TestWhatHasEndedDoesNotAge(t *testing.T) {
	t.Parallel()
	f := feed.New(time.Second)
	f.Ask(at(0))
	f.End(at(1))
	for _, now := range []float64{1, 4, 7200} {
		if got := f.Mark(at(now)); got != "■ all of it" || f.State(at(now)) != feed.Ended {
			t.Errorf("at %v: %q", now, got)
		}
	}
	f.Ask(at(8000))
	f.Succeed(at(8000))
	if f.State(at(8000)) != feed.Live {
		t.Error("begun again, it is", f.Mark(at(8000)))
	}
}

func TestOldDataIsMarked(t *testing.T) {
	t.Parallel()
	f := feed.New(time.Second)
	f.Ask(at(0))
	f.Succeed(at(0))
	for _, c := range []struct {
		now  float64
		want string
	}{
		{0, "● live · data < 2s old"},
		{2, "● live · data < 2s old"},
		{2.1, "! stale · data 2s old"},
		{75, "! stale · data 1m15s old"},
		{7300, "! stale · data 2h01m old"},
	} {
		if got := f.Mark(at(c.now)); got != c.want {
			t.Errorf("at %v: %q, want %q", c.now, got, c.want)
		}
	}
	f.SetPaused(true)
	if got := f.Mark(at(99)); got != "‖ paused · data of 12:00:00" || f.Due(at(99)) || !f.Paused() {
		t.Errorf("paused: %q", got)
	}
}

func TestFailuresBackOffAndRecover(t *testing.T) {
	t.Parallel()
	f := feed.New(time.Second)
	if f.Mark(at(0)) != "◌ connecting…" {
		t.Error(f.Mark(at(0)))
	}
	boom := errors.New("boom")
	now := 0.0
	for i, want := range []time.Duration{1, 2, 4, 5, 5, 5, 5, 5} {
		f.Ask(at(now))
		f.Fail(at(now), boom)
		if got := f.Retry(at(now)); got != want*time.Second {
			t.Errorf("attempt %d: the next comes in %v, want %vs", i, got, int(want))
		}
		if f.Due(at(now + float64(want) - 0.5)) {
			t.Errorf("attempt %d came early", i)
		}
		now += float64(want)
		if !f.Due(at(now)) {
			t.Errorf("attempt %d never came", i)
		}
	}
	if f.State(at(now)) != feed.Failed || f.Err() != boom || f.Mark(at(now)) != "✗ no data" {
		t.Errorf("state %d, %v, %q", f.State(at(now)), f.Err(), f.Mark(at(now)))
	}
	f.Ask(at(now))
	f.Succeed(at(now))
	if f.State(at(now)) != feed.Live || f.Err() != nil {
		t.Error("it does not recover")
	}
	f.Fail(at(now+3), boom)
	if got := f.Mark(at(now + 3)); got != "✗ lost · data 3s old" {
		t.Error(got)
	}
	f.SetPaused(true)
	f = feed.New(time.Minute)
	f.SetPaused(true)
	if got := f.Mark(at(0)); got != "‖ paused" {
		t.Error(got)
	}
	f.Fail(at(0), boom)
	if got := f.Retry(at(0)); got != time.Minute {
		t.Errorf("a slow feed hurries after a failure: %v", got)
	}
	if f.Limit() != 10*time.Second {
		t.Error(f.Limit())
	}
}
