package pace_test

import (
	"context"
	"errors"
	"math"
	"testing"
	"time"

	"github.com/prism-data-layer/prism/loadtest/pace"
	"github.com/prism-data-layer/prism/pkg/clock"
	"github.com/prism-data-layer/prism/pkg/prism"
	"pgregory.net/rapid"
)

func TestConstantRateHasEvenExactArrivals(t *testing.T) {
	t.Parallel()
	s, err := pace.Constant(3, 10*time.Second)
	if err != nil {
		t.Fatal(err)
	}
	if s.Total() != 30 || s.Length() != 10*time.Second || s.Peak() != 3 {
		t.Fatalf("total %d, length %s, peak %g; want 30, 10s, 3", s.Total(), s.Length(), s.Peak())
	}
	for n := range uint64(30) {
		got, ok := s.At(n)
		want := time.Duration(n) * time.Second / 3
		if !ok || (got-want).Abs() > 1 {
			t.Errorf("arrival %d due at %s, %v; want %s", n, got, ok, want)
		}
	}
	if _, ok := s.At(30); ok {
		t.Error("arrival 30 exists")
	}
}

// Adding up intervals would drift by seconds here; a function of n cannot.
func TestLongRunsDoNotDrift(t *testing.T) {
	t.Parallel()
	s, err := pace.Constant(7001, 24*time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	last, _ := s.At(s.Total() - 1)
	want := 24*time.Hour - time.Second/7001
	if (last - want).Abs() > 2*time.Microsecond {
		t.Errorf("last arrival due at %s, want %s", last, want)
	}
}

func TestRatesThatDoNotFitAWholeNumber(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		rate float64
		d    time.Duration
		want uint64
	}{{30, 100 * time.Millisecond, 3}, {0.5, time.Second, 1}, {1000, 1500 * time.Microsecond, 2}, {2.5, time.Second, 3}} {
		s, err := pace.Constant(c.rate, c.d)
		if err != nil || s.Total() != c.want {
			t.Errorf("%g/s for %s: %d arrivals, %v; want %d", c.rate, c.d, s.Total(), err, c.want)
		}
	}
}

func TestRampFollowsItsIntegral(t *testing.T) {
	t.Parallel()
	s, err := pace.New(pace.Phase{From: 0, To: 1000, For: 10 * time.Second})
	if err != nil {
		t.Fatal(err)
	}
	// n = 50 t², so arrival n is due at √(n/50).
	for _, n := range []uint64{0, 1, 50, 200, 1250, 4999} {
		got, _ := s.At(n)
		want := math.Sqrt(float64(n) / 50)
		if math.Abs(got.Seconds()-want) > 1e-6 {
			t.Errorf("arrival %d due at %gs, want %gs", n, got.Seconds(), want)
		}
	}
	if got := s.Rate(5 * time.Second); got != 500 {
		t.Errorf("rate at 5s is %g, want 500", got)
	}
	if got := s.Rate(10 * time.Second); got != 0 {
		t.Errorf("rate after the end is %g, want 0", got)
	}
}

func TestArrivalsOfAnyProfileNeverGoBackAndFillEachPhase(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		phases := rapid.SliceOfN(rapid.Custom(func(rt *rapid.T) pace.Phase {
			return pace.Phase{
				From: rapid.Float64Range(0, 500).Draw(rt, "from"),
				To:   rapid.Float64Range(0, 500).Draw(rt, "to"),
				For:  time.Duration(rapid.Int64Range(int64(time.Millisecond), int64(5*time.Second)).Draw(rt, "for")),
			}
		}), 1, 5).Draw(rt, "phases")
		s, err := pace.New(phases...)
		if err != nil {
			return // no arrival at all
		}
		var before time.Duration
		for n := range s.Total() {
			at, ok := s.At(n)
			if !ok || at < before || at > s.Length() {
				rt.Fatalf("arrival %d at %s, %v; the one before at %s, length %s", n, at, ok, before, s.Length())
			}
			before = at
		}
		// As many arrivals by the end of the first phase as its integral says.
		want := (phases[0].From + phases[0].To) / 2 * phases[0].For.Seconds()
		var got uint64
		for n := range s.Total() {
			if at, _ := s.At(n); at < phases[0].For {
				got++
			}
		}
		if math.Abs(float64(got)-want) > 1.001 {
			rt.Fatalf("%d arrivals in the first phase, want %g", got, want)
		}
	})
}

func TestSpikeIsThreePhases(t *testing.T) {
	t.Parallel()
	s, err := pace.New(pace.Phase{10, 10, time.Second}, pace.Phase{0, 0, time.Second}, pace.Phase{100, 100, time.Second})
	if err != nil {
		t.Fatal(err)
	}
	if at, _ := s.At(9); at != 900*time.Millisecond {
		t.Errorf("arrival 9 due at %s, want 900ms", at)
	}
	if at, _ := s.At(10); at != 2*time.Second {
		t.Errorf("arrival 10 due at %s, want 2s: the pause has none", at)
	}
	if want := "10/s for 1s, 0/s for 1s, 100/s for 1s"; s.String() != want {
		t.Errorf("named %q, want %q", s, want)
	}
}

func TestLeadWarmsUpAtTheFirstRate(t *testing.T) {
	t.Parallel()
	s, _ := pace.Constant(100, time.Second)
	w, err := s.Lead(500 * time.Millisecond)
	if err != nil || w.Total() != 150 || w.Length() != 1500*time.Millisecond {
		t.Errorf("with warm-up: %d arrivals in %s, %v; want 150 in 1.5s", w.Total(), w.Length(), err)
	}
	if same, _ := s.Lead(0); same.Total() != 100 {
		t.Errorf("without warm-up: %d arrivals, want 100", same.Total())
	}
	ramp, _ := pace.New(pace.Phase{0, 100, time.Second})
	w, err = ramp.Lead(time.Second)
	if err != nil || w.Total() != 150 {
		t.Errorf("a ramp from nothing with warm-up: %d arrivals, %v; want 150", w.Total(), err)
	}
	if want := "100/s for 1s, 0/s to 100/s in 1s"; w.String() != want {
		t.Errorf("named %q, want %q", w, want)
	}
}

func TestImpossibleSchedulesAreRefused(t *testing.T) {
	t.Parallel()
	for name, phases := range map[string][]pace.Phase{
		"none":          nil,
		"negative":      {{-1, 1, time.Second}},
		"not a number":  {{math.NaN(), 1, time.Second}},
		"infinite":      {{1, math.Inf(1), time.Second}},
		"too fast":      {{pace.MaxRate + 1, 1, time.Second}},
		"no time":       {{1, 1, 0}},
		"negative time": {{1, 1, -time.Second}},
		"nothing due":   {{0, 0, time.Second}},
	} {
		if s, err := pace.New(phases...); !errors.Is(err, prism.ReasonInvalidArgument) || s.Total() != 0 {
			t.Errorf("%s: got %v, %v; want INVALID_ARGUMENT", name, s, err)
		}
	}
}

func TestTimerSleepsByTheClockAndWakesWhenCancelled(t *testing.T) {
	t.Parallel()
	c := clock.NewFake(time.Unix(0, 0))
	ctx, cancel := context.WithCancel(t.Context())
	sleep := pace.Timer(c)
	woke := make(chan bool)
	go func() { woke <- sleep(ctx, time.Second) }()
	wait(t, c)
	c.Advance(time.Second)
	if !<-woke {
		t.Error("the timer's end was reported as a cancel")
	}
	go func() { woke <- sleep(ctx, time.Second) }()
	wait(t, c)
	cancel()
	if <-woke {
		t.Error("the cancel was reported as the timer's end")
	}
}

func wait(t *testing.T, c *clock.Fake) {
	t.Helper()
	for end := time.Now().Add(5 * time.Second); c.Timers() == 0; time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("nobody sleeps")
		}
	}
}

// The least of some tries is held to the promise: a busy machine may spoil any
// one of them.
func TestPreciseSleepIsNeverShortAndCanBeExact(t *testing.T) {
	t.Parallel()
	sleep := pace.Precise()
	best := time.Hour
	for range 50 {
		const d = 3 * time.Millisecond
		begun := time.Now()
		if !sleep(t.Context(), d) {
			t.Fatal("cancelled")
		}
		over := time.Since(begun) - d
		if over < 0 {
			t.Fatalf("woke %s early", -over)
		}
		best = min(best, over)
	}
	if best > 200*time.Microsecond {
		t.Errorf("at best %s late, want below 200µs", best)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if sleep(ctx, time.Minute) || sleep(ctx, time.Microsecond) {
		t.Error("slept on after the cancel")
	}
}
