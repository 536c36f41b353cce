package overview

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	tea "charm.land/bubbletea/v2"
	"github.com/charmbracelet/x/ansi"
	"go.uber.org/goleak"

	"github.com/prism-data-layer/prism/pkg/clock"
	"github.com/prism-data-layer/prism/tui/component/feed"
	"github.com/prism-data-layer/prism/tui/component/rates"
	"github.com/prism-data-layer/prism/tui/component/task"
	"github.com/prism-data-layer/prism/tui/component/toast"
	"github.com/prism-data-layer/prism/tui/keys"
	"github.com/prism-data-layer/prism/tui/page"
	"github.com/prism-data-layer/prism/tui/theme"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// answers is a source that gives one after the other.
type answers struct {
	list []answer
	at   int
}

type answer struct {
	s   *Snapshot
	err error
}

func (a *answers) Overview(context.Context) (*Snapshot, error) {
	x := a.list[min(a.at, len(a.list)-1)]
	a.at++
	return x.s, x.err
}

func at(s int) time.Time { return time.Date(2026, 3, 1, 12, 0, s, 0, time.UTC) }

func look(sec int, calls int64, more ...func(*Snapshot)) answer {
	c := rates.Counter{Calls: calls, Latency: rates.Histogram{BoundsUS: []int64{100, 1000}, Counts: []int64{calls, 0, 0}}}
	s := &Snapshot{
		Now: at(sec), Started: at(-60), State: "Running", Version: "0.1.0",
		Namespaces: []Namespace{{Name: "kv", State: "active"}, {Name: "orders", State: "deleting"}},
		Backends:   []Backend{{Name: "local", Health: "degraded"}},
		Sessions:   []Session{{ID: "s1", Status: "read_only"}},
		Stats:      rates.Snapshot{At: at(sec), Total: c, Of: map[string]rates.Counter{"kv": c}},
	}
	for _, f := range more {
		f(s)
	}
	return answer{s: s}
}

func opened(list ...answer) (*Model, *clock.Fake) {
	c := clock.NewFake(at(0))
	m := New(page.Env{Tasks: task.NewRunner(context.Background(), c), Refresh: time.Second, Command: "prismctl"}, &answers{list: list})
	m.SetSize(100, 30)
	m.SetTheme(theme.New(theme.Mono))
	return m, c
}

func step(m *Model, cmd tea.Cmd) {
	if cmd != nil {
		m.Update(cmd())
	}
}

func pass(m *Model, c *clock.Fake, seconds int) {
	for range seconds {
		c.Advance(time.Second)
		step(m, m.Beat(c.Now()))
	}
}

func wants(t *testing.T, m *Model, parts ...string) {
	t.Helper()
	view := ansi.Strip(m.View())
	for _, p := range parts {
		if !strings.Contains(view, p) {
			t.Errorf("%q is not there:\n%s", p, view)
		}
	}
}

func TestRatesComeFromTwoAnswers(t *testing.T) {
	t.Parallel()
	m, c := opened(look(0, 0), look(1, 250), look(2, 250))
	wants(t, m, "connecting")
	step(m, m.Init())
	wants(t, m, "measuring…", "1 Namespaces 2 · 1 deleting", "2 Backends 1 · 1 degraded", "3 Sessions 1 · 1 read only")
	pass(m, c, 1)
	wants(t, m, "req/s      250", "99µs")
	pass(m, c, 1)
	wants(t, m, "req/s        0", "p99          –")
	if m.Gateway() != "Running 0.1.0" || m.Notice() != "" {
		t.Errorf("%q, %q", m.Gateway(), m.Notice())
	}
}

func TestARestartLeavesAGap(t *testing.T) {
	t.Parallel()
	m, c := opened(look(0, 100), look(1, 900, func(s *Snapshot) { s.Started = at(0) }))
	step(m, m.Init())
	pass(m, c, 1)
	wants(t, m, "req/s        –")
}

func TestOneColumnIsOneInterval(t *testing.T) {
	t.Parallel()
	m, c := opened(look(0, 0), look(1, 10), answer{err: errors.New("away")})
	step(m, m.Init())
	pass(m, c, 1)
	count := func() int { return len(m.charts.Columns(0, chartAll)) }
	if count() != 1 {
		t.Fatalf("%d columns", count())
	}
	pass(m, c, 30)
	if n := count(); n < 29 || n > 31 {
		t.Errorf("%d columns after 31 s, with an attempt every few seconds", n)
	}
	if m.Feed().State(c.Now()) != feed.Failed || m.Countdown() == "" {
		t.Error("the failure is not told")
	}
	wants(t, m, "kv", "s1")
	m.Do(keys.Pause)
	before := count()
	pass(m, c, 10)
	if count() != before || m.Countdown() != "paused: p goes on" {
		t.Errorf("%d columns while paused, had %d; %q", count(), before, m.Countdown())
	}
}

const chartAll = 1 << 20

func TestEveryActionIsDone(t *testing.T) {
	t.Parallel()
	m, _ := opened(look(0, 0))
	step(m, m.Init())
	for _, b := range m.Keys() {
		m.Do(b.Action)
		m.View()
		if b.Action == keys.Filter {
			if !m.Typing() || !strings.HasPrefix(m.Prompt(), "/") {
				t.Error("the filter is not typed")
			}
			for _, k := range []tea.KeyPressMsg{{Code: 'z', Text: "z"}, {Code: tea.KeyEnter}} {
				m.Update(k)
			}
			wants(t, m, "nothing matches", "0/2")
			if !m.Back() || m.Back() {
				t.Error("the filter is not left")
			}
		}
	}
	m.Do("pane-1")
	m.Do(keys.Filter)
	m.Update(tea.PasteMsg{Content: "kv"})
	wants(t, m, "1/2")
}

func TestEnterOpensWhatTheCursorIsOn(t *testing.T) {
	t.Parallel()
	m, _ := opened(look(0, 0))
	if got, ok := m.Do(actOpen)().(toast.Msg); !ok {
		t.Errorf("there is nothing yet: %v", got)
	}
	step(m, m.Init())
	for pane, want := range map[keys.Action]page.Go{"pane-1": {Name: "namespace", Arg: "kv"}, "pane-2": {Name: "backend", Arg: "local"}, "pane-3": {Name: "session", Arg: "s1"}} {
		m.Do(pane)
		if got := m.Do(actOpen)(); got != want {
			t.Errorf("got %v, want %v", got, want)
		}
	}
}

func TestPausedBeforeAnything(t *testing.T) {
	t.Parallel()
	m, _ := opened(look(0, 0))
	m.Do(keys.Pause)
	wants(t, m, "paused before any data")
	if m.Gateway() != "" || m.Notice() != "" {
		t.Error("nobody answered yet")
	}
}

func TestThePageFillsItsPlaceAndNoMore(t *testing.T) {
	t.Parallel()
	m, c := opened(look(0, 0), look(1, 3, func(s *Snapshot) {
		s.Problems = map[Part]error{PartBackends: errors.New("a\nb"), PartStats: errors.New("c")}
		for i := range 200 {
			s.Sessions = append(s.Sessions, Session{ID: fmt.Sprintf("ses_%03d_日本", i), Status: "active"})
		}
	}))
	step(m, m.Init())
	pass(m, c, 1)
	for _, h := range []int{1, 3, 5, 12, 30, 60, 100} {
		for _, w := range []int{60, 61, 80, 133, 300} {
			m.SetSize(w, h)
			lines := strings.Split(m.View(), "\n")
			if len(lines) > h {
				t.Errorf("%d lines in %d×%d", len(lines), w, h)
			}
			for _, l := range lines {
				if ansi.StringWidth(l) > w {
					t.Errorf("%q is wider than %d", l, w)
				}
			}
		}
	}
}
