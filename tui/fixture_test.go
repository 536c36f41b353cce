package tui_test

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	tea "charm.land/bubbletea/v2"
	"github.com/charmbracelet/x/ansi"

	"github.com/prism-data-layer/prism/pkg/clock"
	"github.com/prism-data-layer/prism/pkg/prism"
	"github.com/prism-data-layer/prism/tui"
	"github.com/prism-data-layer/prism/tui/component/rates"
	"github.com/prism-data-layer/prism/tui/page"
	"github.com/prism-data-layer/prism/tui/page/overview"
	"github.com/prism-data-layer/prism/tui/theme"
)

var update = flag.Bool("update", false, "write the golden files anew")

func noon() time.Time { return time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC) }

// A gateway is a source that a test turns on and off.
type gateway struct {
	mu    sync.Mutex
	now   time.Time
	calls int
	err   error
	shape func(*overview.Snapshot)
	quiet bool
	count rates.Counter
}

func (g *gateway) Overview(ctx context.Context) (*overview.Snapshot, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.err != nil {
		return nil, g.err
	}
	if !g.quiet || g.calls == 0 {
		n := int64(100 + 40*(g.calls%7) + 11*(g.calls%13))
		add := rates.Histogram{BoundsUS: []int64{64, 128, 256, 512, 1024, 4096}, Counts: []int64{n / 2, n / 4, n / 8, n / 16, n / 20, n / 50, n / 200}}
		g.count = g.count.Plus(rates.Counter{Calls: n, Errors: int64(g.calls % 5 / 4 * 3), Latency: add})
	}
	g.calls++
	g.now = g.now.Add(time.Second)
	s := snapshot(g.now, g.count)
	if g.shape != nil {
		g.shape(s)
	}
	return s, nil
}

func (g *gateway) set(f func(*gateway)) {
	g.mu.Lock()
	defer g.mu.Unlock()
	f(g)
}

func snapshot(now time.Time, c rates.Counter) *overview.Snapshot {
	start := noon().Add(-26 * time.Hour)
	return &overview.Snapshot{
		Now: now, Started: start, Version: "0.1.0", State: "Running",
		Namespaces: []overview.Namespace{
			{Name: "kv", Model: "keyvalue", Backend: "local", State: "active", Keys: 1_204_331, KeysKnown: true, Estimated: true},
			{Name: "orders", Model: "keyvalue", Backend: "local", State: "degraded", Keys: 77, KeysKnown: true},
			{Name: "sessions-of-the-shop-in-a-long-name", Model: "keyvalue", Backend: "volatile", State: "provisioning"},
		},
		Backends: []overview.Backend{
			{Name: "local", Driver: "pebble", Health: "healthy", Latency: 85 * time.Microsecond, Durability: "fsynced"},
			{Name: "volatile", Driver: "memory", Health: "unhealthy", Latency: 12 * time.Millisecond, Durability: "until it stops", Error: "disk quota exceeded on /data: 0 bytes left"},
		},
		Sessions: []overview.Session{
			{ID: "ses_01JZX4T8QK", Principal: "service:checkout", Client: "go 0.1.0", Status: "active", Created: start, Active: now, Requests: 12_345},
			{ID: "ses_01JZX4T8QL", Principal: "user:ann", Status: "expiring", Created: now.Add(-40 * time.Minute), Active: now.Add(-5 * time.Minute), Requests: 3},
		},
		More:  map[overview.Part]int64{overview.PartSessions: 338},
		Stats: rates.Snapshot{At: now, Total: c, Of: map[string]rates.Counter{"kv": c}},
	}
}

func dead() error {
	return prism.New(prism.ReasonUnavailable, "cannot reach the gateway at 127.0.0.1:8981 (context dev)").WithCause(errors.New("connection refused"))
}

// A screen drives the dashboards by messages alone; nothing sleeps.
type screen struct {
	t     testing.TB
	m     *tui.Model
	clock *clock.Fake
	copy  []string
	quit  bool
}

func open(t testing.TB, g *gateway, w, h int, shape func(*tui.Options)) *screen {
	t.Helper()
	c := clock.NewFake(noon())
	if g.now.IsZero() {
		g.now = noon()
	}
	o := tui.Options{Pages: []page.Factory{overview.Factory(g)}, Context: "dev", Address: "127.0.0.1:8981", Clock: c, Mode: theme.Mono}
	if shape != nil {
		shape(&o)
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel() // waiting commands end at once: the test says when time passes
	s := &screen{t: t, m: tui.New(ctx, o), clock: c}
	s.send(tea.WindowSizeMsg{Width: w, Height: h})
	return s
}

// start runs the first question.
func (s *screen) start() *screen { s.run(s.m.Init()); return s }

func (s *screen) send(msg tea.Msg) {
	_, cmd := s.m.Update(msg)
	s.run(cmd)
}

// run performs a command and what comes of it.
func (s *screen) run(cmd tea.Cmd) {
	if cmd == nil {
		return
	}
	switch msg := cmd().(type) {
	case nil:
	case tea.BatchMsg:
		for _, c := range msg {
			s.run(c)
		}
	case tea.QuitMsg:
		s.quit = true
	default:
		if name := fmt.Sprintf("%T", msg); name == "tea.setClipboardMsg" {
			s.copy = append(s.copy, fmt.Sprint(msg))
			return
		}
		s.send(msg)
	}
}

// pass lets seconds go by, one beat each.
func (s *screen) pass(seconds int) *screen {
	for range seconds {
		s.clock.Advance(time.Second)
		s.send(tui.Beat(s.clock.Now()))
	}
	return s
}

func (s *screen) keys(names ...string) *screen {
	for _, n := range names {
		s.send(press(n))
	}
	return s
}

func press(name string) tea.KeyPressMsg {
	codes := map[string]rune{
		"enter": tea.KeyEnter, "esc": tea.KeyEscape, "tab": tea.KeyTab, "up": tea.KeyUp, "down": tea.KeyDown, "left": tea.KeyLeft, "right": tea.KeyRight,
		"pgup": tea.KeyPgUp, "pgdown": tea.KeyPgDown, "home": tea.KeyHome, "end": tea.KeyEnd, "backspace": tea.KeyBackspace,
	}
	if c, ok := codes[name]; ok {
		return tea.KeyPressMsg{Code: c}
	}
	if name == "shift+tab" {
		return tea.KeyPressMsg{Code: tea.KeyTab, Mod: tea.ModShift}
	}
	if rest, ok := strings.CutPrefix(name, "ctrl+"); ok {
		return tea.KeyPressMsg{Code: []rune(rest)[0], Mod: tea.ModCtrl}
	}
	return tea.KeyPressMsg{Code: []rune(name)[0], Text: name}
}

func (s *screen) frame() string { return s.m.Frame() }

func (s *screen) wants(parts ...string) {
	s.t.Helper()
	for _, p := range parts {
		if !strings.Contains(ansi.Strip(s.frame()), p) {
			s.t.Errorf("%q is not on the screen:\n%s", p, ansi.Strip(s.frame()))
		}
	}
}

func (s *screen) lacks(parts ...string) {
	s.t.Helper()
	for _, p := range parts {
		if strings.Contains(ansi.Strip(s.frame()), p) {
			s.t.Errorf("%q is on the screen:\n%s", p, ansi.Strip(s.frame()))
		}
	}
}

// golden compares with a file; escape characters stand there as ␛, so that the
// files can be read.
func golden(t *testing.T, name, got string) {
	t.Helper()
	got = strings.ReplaceAll(got, "\x1b", "␛") + "\n"
	file := filepath.Join("testdata", name+".golden")
	if *update {
		if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if string(want) != got {
		t.Errorf("%s differs (go test ./tui -update writes it anew)\ngot\n%s\nwant\n%s", file, got, want)
	}
}
