package loadtest

import (
	"context"
	"errors"
	"flag"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/prism-data-layer/prism/tui"
	"github.com/prism-data-layer/prism/tui/component/tail"
	"github.com/prism-data-layer/prism/tui/keys"
	"github.com/prism-data-layer/prism/tui/page"
	"github.com/prism-data-layer/prism/tui/theme"
	"github.com/prism-data-layer/prism/tui/tuitest"
)

var _ = flag.Bool("update", false, "write the golden files anew")

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// run is a live source: snapshots, and the last of them with a result.
type run struct{ result *Result }

func (r run) Snapshots(_ context.Context, to *tail.Sink[Snapshot]) error {
	p := Percentiles{820 * time.Microsecond, 2 * time.Millisecond, 9 * time.Millisecond, 41 * time.Millisecond}
	for i := range 120 {
		s := Snapshot{
			Phase: "running", Elapsed: time.Duration(i) * every, Remaining: time.Minute - time.Duration(i)*every, Load: "open loop, constant 5000/s",
			Target: 5000, Rate: 4800 + float64(i%7)*40, InFlight: 12, OK: uint64(i * 1200), Failed: uint64(i / 10), Total: p, Recent: p,
			Operations: []Operation{{"get", uint64(i * 1000), 0, 4000, p}, {"set\x1b[2J", uint64(i * 200), uint64(i / 10), 800, p}},
		}
		if i > 50 {
			s.Backlog, s.Dropped, s.Faults = 40, 3, []string{"latency 200ms on redis"}
			s.Errors = []Error{{"set", "PRISM-50301", "日本 backend \u202e unavailable", "4bf92f3577b34da6a3ce929d0e0e4736", 7}}
		}
		if i == 119 && r.result != nil {
			s.Phase, s.Remaining, s.Result = "done", 0, r.result
		}
		to.Send(s)
	}
	return nil
}

func live(t testing.TB, r run, mode theme.Mode, w, h int) *tuitest.Screen {
	return tuitest.Open(t, tui.Options{Pages: []page.Factory{LiveFactory("checkout", r)}, View: LiveName, Mode: mode}, w, h).Start()
}

func failed() *Result {
	return &Result{Achieved: 81.2, Verdicts: []Verdict{
		{"fail", "81.2 % of the target were started: the generator was the bottleneck"},
		{"warn", "3 requests were dropped"},
		{"note", "response time is 3 times the service time: client or server are saturated"},
	}}
}

type saved struct {
	mu   sync.Mutex
	list []Run
	err  error
	runs []string
}

func (s *saved) Runs(context.Context) ([]Run, error) { return s.list, s.err }

func (s *saved) Run(_ context.Context, args []string, _ string, _ func(string)) (string, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.runs = append(s.runs, strings.Join(args, " "))
	return "report of " + args[2] + "\np99 9.00 ms\n", nil
}

func three() *saved {
	p := Percentiles{820 * time.Microsecond, 2 * time.Millisecond, 9 * time.Millisecond, 41 * time.Millisecond}
	return &saved{list: []Run{
		{Name: "after", Workload: "kv", Started: tuitest.Noon().Add(-time.Hour), Target: 5000, Rate: 4990, Latency: p, Passed: true},
		{Name: "before", Workload: "kv", Started: tuitest.Noon().Add(-48 * time.Hour), Target: 5000, Rate: 4100, Errors: 1.25, Latency: p},
		{Name: "torn", Err: errors.New("unexpected end of JSON input")},
	}}
}

func list(t testing.TB, s *saved, mode theme.Mode, w, h int) *tuitest.Screen {
	return tuitest.Open(t, tui.Options{Pages: []page.Factory{Factory(s)}, View: Name, Mode: mode}, w, h).Start()
}

func TestScreens(t *testing.T) {
	t.Parallel()
	tuitest.Screens(t, "live", func(t *testing.T, mode theme.Mode, w, h int) *tuitest.Screen { return live(t, run{}, mode, w, h) })
	tuitest.Screens(t, "runs", func(t *testing.T, mode theme.Mode, w, h int) *tuitest.Screen {
		return list(t, three(), mode, w, h).Keys("b", "down")
	})
	for name, draw := range map[string]func() *tuitest.Screen{
		"failed": func() *tuitest.Screen { return live(t, run{failed()}, theme.Mono, 80, 24) },
		"passed": func() *tuitest.Screen { return live(t, run{&Result{Passed: true, Achieved: 99.9}}, theme.Mono, 80, 24) },
		"problem": func() *tuitest.Screen {
			return live(t, run{&Result{Problem: errors.New("cannot reach the gateway")}}, theme.Mono, 80, 24)
		},
		"empty": func() *tuitest.Screen { return list(t, &saved{}, theme.Mono, 80, 24) },
		"unread": func() *tuitest.Screen {
			return list(t, &saved{err: errors.New("permission denied")}, theme.Mono, 80, 24)
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := draw()
			tuitest.CheckFrame(t, s.Frame(), 80, 24)
			tuitest.Golden(t, name, s.Frame())
		})
	}
}

func TestRunsAreComparedWithABaseline(t *testing.T) {
	t.Parallel()
	s := three()
	sc := list(t, s, theme.Mono, 120, 40).Wants("after", "✓ passed", "✗ failed", "✗ unreadable", "report of after")
	sc.Keys("d").Wants("choose what to compare with first").Keys("esc")
	sc.Keys("b").Wants("* after", "compared with after").Keys("d").Wants("this is the baseline itself").Keys("esc")
	sc.Keys("down", "d").Wants("after and before")
	if got := s.runs[len(s.runs)-1]; got != "loadtest compare after before" {
		t.Errorf("ran %q", got)
	}
}

func TestTheVerdictStandsOnTop(t *testing.T) {
	t.Parallel()
	live(t, run{failed()}, theme.Mono, 100, 30).Wants("✗ failed, with 81.2 %", "the generator was the bottleneck", "0:29", "PRISM-50301", "dropped 3")
}

func TestNoKeyMeansTwoThings(t *testing.T) {
	t.Parallel()
	for _, k := range []keys.Table{New(tuitest.Env(), &saved{}).Keys(), NewLive(tuitest.Env(), "x", run{}).Keys()} {
		if c := keys.Conflicts(keys.Global(), k); c != nil {
			t.Error(c)
		}
	}
}
