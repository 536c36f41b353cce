package loadtest_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prism-data-layer/prism/loadtest"
	"github.com/prism-data-layer/prism/loadtest/report"
)

// A mailbox is a workload whose requests come back as messages after a while.
type mailbox struct {
	fake
	after time.Duration
	lose  func(n uint64) bool

	mu      sync.Mutex
	got     func(loadtest.Message)
	pending sync.WaitGroup
}

func (m *mailbox) Streams() []string { return []string{"delivery"} }

func (m *mailbox) Receive(_ context.Context, got func(loadtest.Message)) (func(), error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.got = got
	return m.pending.Wait, nil
}

func (m *mailbox) Expected(ok []uint64) []int64 { return []int64{int64(ok[0])} }

func (m *mailbox) Do(_ context.Context, n uint64) loadtest.Outcome {
	if m.lose == nil || !m.lose(n) {
		sent := time.Now()
		m.pending.Go(func() {
			time.Sleep(m.after)
			m.mu.Lock()
			got := m.got
			m.mu.Unlock()
			got(loadtest.Message{N: n, Sent: sent, Bytes: 7})
		})
	}
	return loadtest.Outcome{}
}

func TestMessagesAreWaitedForAndMeasuredFromTheirRequest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := &mailbox{after: 300 * time.Millisecond}
		r := run(t, loadtest.Plan{Schedule: constant(t, 100, time.Second), WarmUp: 500 * time.Millisecond}, m)
		s := r.Streams[0]
		if s.Name != "delivery" || s.Messages != 100 || *s.Expected != 100 || s.Missing() != 0 || s.Bytes != 700 || s.Failed != 0 {
			t.Fatalf("got %+v; want the 100 of the measurement", s)
		}
		near(t, "delay", s.Delay.P50Ms, 300, 0.001)
		near(t, "response", s.Response.MaxMs, 300, 0.001)
		near(t, "time to the first message", s.FirstMs, 300, 0.001)
	})
}

func TestMessagesThatNeverComeAreSaid(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := &mailbox{after: time.Millisecond, lose: func(n uint64) bool { return n%4 == 0 }}
		r := run(t, loadtest.Plan{Schedule: constant(t, 100, time.Second), Grace: time.Second}, m)
		if s := r.Streams[0]; s.Missing() != 25 || !strings.Contains(verdicts(r), "undelivered:warn") {
			t.Errorf("%d missing, verdicts %q; want 25, undelivered", s.Missing(), verdicts(r))
		}
	})
}

func TestCombinationGivesEachPartItsShareAndItsOwnNumbers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var mu sync.Mutex
		asked := map[string][]uint64{}
		note := func(name string) func(context.Context, uint64) loadtest.Outcome {
			return func(_ context.Context, n uint64) loadtest.Outcome {
				mu.Lock()
				defer mu.Unlock()
				asked[name] = append(asked[name], n)
				return loadtest.Outcome{}
			}
		}
		post := &mailbox{after: 10 * time.Millisecond}
		prepared := 0
		w, err := loadtest.Combine(
			loadtest.Part{Name: "a", Weight: 50, Workload: &fake{ops: []string{"x", "y"}, do: note("a"), prepare: func(context.Context) error { prepared++; return nil }}},
			loadtest.Part{Name: "b", Weight: 30, Workload: &fake{do: note("b"), attempts: func() report.Attempts { return report.Attempts{Retries: 4} }}},
			loadtest.Part{Name: "c", Weight: 20, Workload: post},
		)
		if err != nil {
			t.Fatal(err)
		}
		if got := strings.Join(w.Operations(), " "); got != "a.x a.y b.op c.op" {
			t.Fatalf("operations %s", got)
		}
		r := run(t, loadtest.Plan{Schedule: constant(t, 100, 10*time.Second)}, w)
		for i, want := range []float64{50, 0, 30, 20} {
			if got := r.Operations[i].SharePct; got != want {
				t.Errorf("%s has %g %%; want %g", r.Operations[i].Name, got, want)
			}
		}
		for name, n := range map[string]int{"a": 500, "b": 300} {
			slices.Sort(asked[name])
			if len(asked[name]) != n || asked[name][0] != 0 || asked[name][n-1] != uint64(n-1) {
				t.Errorf("%s was asked %d times, up to %d; want each of %d once", name, len(asked[name]), asked[name][len(asked[name])-1], n)
			}
		}
		s := r.Streams[0]
		if s.Name != "c.delivery" || s.Messages != 200 || *s.Expected != 200 || s.Response.MaxMs != 10 || prepared != 1 || r.Options["b.share"] != "30" {
			t.Errorf("got %+v, %v", s, r.Options)
		}
	})
}

func TestWrongCombinationsAreRefused(t *testing.T) {
	t.Parallel()
	part := func(name string, weight uint64) loadtest.Part {
		return loadtest.Part{Name: name, Weight: weight, Workload: &fake{}}
	}
	for name, parts := range map[string][]loadtest.Part{
		"none": {}, "no weight": {part("a", 0)}, "twice": {part("a", 1), part("a", 1)}, "too fine": {part("a", 9_999), part("b", 7_000)},
	} {
		if _, err := loadtest.Combine(parts...); err == nil {
			t.Errorf("%s is not refused", name)
		}
	}
}

func TestEventsHappenAtTheirTimeAndAreUndone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log []string
		begun := time.Now()
		note := func(what string) func(context.Context) error {
			return func(context.Context) error {
				log = append(log, fmt.Sprintf("%s %s", what, time.Since(begun)))
				return nil
			}
		}
		var during []string
		p := loadtest.Plan{
			Schedule: constant(t, 100, 4*time.Second), WarmUp: time.Second,
			Progress: func(s report.Snapshot) {
				if s.Elapsed > 2500*time.Millisecond && s.Elapsed < 2900*time.Millisecond {
					during = s.Faults
				}
			},
			Events: []loadtest.Event{
				{Name: "slow", At: time.Second, For: time.Second, Begin: note("begin"), End: note("end")},
				{Name: "broken", At: 2 * time.Second, For: time.Second, Begin: func(context.Context) error { return errors.New("refused") }},
				{Name: "long", At: 3500 * time.Millisecond, For: time.Hour, Begin: note("long"), End: note("over")},
			},
		}
		r := run(t, p, &fake{do: takes(time.Millisecond)})
		if got := strings.Join(log, ", "); got != "begin 2s, end 3s, long 4.5s, over 5s" {
			t.Errorf("it went %s", got)
		}
		if !slices.Equal(during, []string{"slow"}) {
			t.Errorf("meanwhile %v act", during)
		}
		if e := r.Events; len(e) != 3 || e[0].AtS != 1 || e[0].ForS != 1 || e[1].Error != "refused" || e[2].AtS != 3.5 {
			t.Errorf("got %+v", e)
		}
		if !strings.Contains(verdicts(r), "event-failed:warn") {
			t.Errorf("verdicts %q", verdicts(r))
		}
	})
}
