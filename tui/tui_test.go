package tui_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"image/color"
	"io"
	"strings"
	"sync"
	"testing"
	"time"

	tea "charm.land/bubbletea/v2"
	"github.com/charmbracelet/x/ansi"
	"go.uber.org/goleak"
	"pgregory.net/rapid"

	"github.com/prism-data-layer/prism/tui"
	"github.com/prism-data-layer/prism/tui/keys"
	"github.com/prism-data-layer/prism/tui/page"
	"github.com/prism-data-layer/prism/tui/page/overview"
	"github.com/prism-data-layer/prism/tui/theme"
	"github.com/prism-data-layer/prism/tui/tuitest"
)

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m)
}

func TestTheFirstFrameNeedsNoGateway(t *testing.T) {
	t.Parallel()
	s := open(t, &gateway{err: dead()}, 80, 24, nil)
	s.Wants("connecting to the gateway", "prism › overview", "dev")
	s.Start()
	s.Wants("cannot reach the gateway at 127.0.0.1:8981", "connection refused", "prismctl dev up", "next attempt in 1s")
}

func TestALostGatewayKeepsTheLastDataAndComesBack(t *testing.T) {
	t.Parallel()
	g := &gateway{}
	s := open(t, g, 80, 24, nil).Start().Pass(3)
	s.Wants("● live", "orders")
	g.set(func(g *gateway) { g.err = dead() })
	s.Pass(1).Wants("✗ lost · data 1s old", "cannot reach the gateway", "next attempt in 1s", "orders", "ses_01JZX4T8QK")
	s.Pass(2).Wants("next attempt in 1s", "data 3s old")
	s.Pass(60).Wants("orders")
	g.set(func(g *gateway) { g.err = nil })
	s.Pass(11).Wants("● live", "orders")
	s.Lacks("cannot reach", "next attempt")
}

func TestRefreshEndsTheWait(t *testing.T) {
	t.Parallel()
	g := &gateway{err: dead()}
	s := open(t, g, 80, 24, nil).Start()
	g.set(func(g *gateway) { g.err = nil })
	s.Keys("r").Wants("● live", "orders")
}

func TestPauseAsksNothing(t *testing.T) {
	t.Parallel()
	g := &gateway{}
	s := open(t, g, 80, 24, nil).Start().Pass(2).Keys("p")
	calls := g.calls
	s.Pass(30).Wants("‖ paused · data of 12:00:02")
	if g.calls != calls {
		t.Errorf("%d questions while paused", g.calls-calls)
	}
	s.Keys("p").Wants("● live")
	if g.calls != calls+1 {
		t.Errorf("%d questions after the pause, want 1", g.calls-calls)
	}
}

func TestPanesAreReachedByNumberAndTab(t *testing.T) {
	t.Parallel()
	s := open(t, &gateway{}, 80, 24, nil).Start()
	for _, c := range []struct{ key, want string }{
		{"2", "━▶ 2 Backends"},
		{"3", "━▶ 3 Sessions"},
		{"tab", "━▶ 1 Namespaces"},
		{"shift+tab", "━▶ 3 Sessions"},
		{"h", "━▶ 2 Backends"},
		{"l", "━▶ 3 Sessions"},
		{"1", "━▶ 1 Namespaces"},
		{"right", "━▶ 2 Backends"},
		{"left", "━▶ 1 Namespaces"},
	} {
		s.Keys(c.key).Wants(c.want)
		if n := strings.Count(s.Frame(), "━▶"); n != 1 {
			t.Errorf("%d panes are focused", n)
		}
	}
}

func TestCopying(t *testing.T) {
	t.Parallel()
	s := open(t, &gateway{}, 80, 24, func(o *tui.Options) { o.Command = "prismctl --context prod" }).Start().Keys("down", "y")
	s.Wants("copied orders")
	s.Keys("esc").Lacks("copied")
	s.Keys("c", "3", "y", "2", "G", "c")
	want := []string{"orders", "prismctl --context prod namespace describe orders", "ses_01JZX4T8QK", "prismctl --context prod backend describe volatile"}
	if fmt.Sprint(s.Copied) != fmt.Sprint(want) {
		t.Errorf("copied %q, want %q", s.Copied, want)
	}
	s = open(t, &gateway{shape: func(s *overview.Snapshot) { s.Sessions = nil }}, 80, 24, nil).Start().Keys("3", "y")
	s.Wants("there is no row to copy")
}

func TestToastsGoAway(t *testing.T) {
	t.Parallel()
	c := open(t, &gateway{}, 80, 24, nil).Start()
	first := c.Keys("y")
	first.Wants("copied kv")
	c.Send(tui.ToastEnd(0)) // an older one's end
	c.Wants("copied kv")
	c.Send(tui.ToastEnd(1))
	c.Lacks("copied kv")
}

func TestFiltering(t *testing.T) {
	t.Parallel()
	s := open(t, &gateway{}, 80, 24, nil).Start().Keys("/", "O", "R")
	s.Wants("/OR▏  0/3", "nothing matches")
	s.Keys("backspace", "backspace", "q", "backspace", "o", "r", "d").Wants("/ord▏  1/3", "orders")
	s.Lacks("provision")
	s.Keys("enter").Wants("1 Namespaces 1/3", "/ord", "? help")
	s.Pass(1).Wants("1/3")
	s.Keys("esc").Wants("1 Namespaces 3", "provisio")
	s.Keys("/").Send(tea.PasteMsg{Content: "!kv\x1b[2J"})
	s.Wants(`/!kv\x1b[2J▏`)
	s.Send(tea.PasteMsg{Content: ""})
	s.Keys("esc").Send(tea.PasteMsg{Content: "nobody types"})
	s.Lacks("nobody types")
}

func TestHelpIsTheTableOfKeys(t *testing.T) {
	t.Parallel()
	s := open(t, &gateway{}, 120, 40, nil).Start().Keys("?")
	for _, table := range []keys.Table{keys.List(), keys.Live(), keys.Global()} {
		for _, b := range table {
			s.Wants(b.Shown(), b.Help)
		}
	}
	s.Keys("/", "p", "a", "u", "s", "enter").Lacks("one row up")
	s.Keys("esc").Wants("one row up")
	s.Keys("/").Send(tea.PasteMsg{Content: "go on asking"})
	s.Keys("enter", "enter").Wants("‖ paused")
	s.Keys("?", "q").Wants("Namespaces")
	s.Keys("?", "?").Wants("Namespaces")
	s.Keys("?", "esc").Wants("Namespaces")
	s.Keys("?", "/", "^", "q", "enter", "enter")
	if !s.Quit {
		t.Error("Enter on quit does not quit")
	}
	s = open(t, &gateway{}, 80, 24, nil).Start().Keys("?", "/", "z", "z", "z", "enter", "enter")
	s.Wants("Namespaces")
}

func TestNoKeyOfAnyViewMeansTwoThings(t *testing.T) {
	t.Parallel()
	page := overview.New(page.Env{Tasks: tui.Tasks(t.Context())}, &gateway{})
	if got := keys.Conflicts(keys.Global(), page.Keys()); got != nil {
		t.Errorf("conflicts: %q", got)
	}
}

func TestQuitting(t *testing.T) {
	t.Parallel()
	for _, names := range [][]string{{"q"}, {"ctrl+c"}, {"/", "ctrl+c"}, {"?", "ctrl+c"}, {"?", "/", "ctrl+c"}} {
		if s := open(t, &gateway{}, 80, 24, nil).Start().Keys(names...); !s.Quit {
			t.Errorf("%q does not quit", names)
		}
	}
	if s := open(t, &gateway{}, 80, 24, nil).Start().Keys("esc", "?", "q", "/", "q", "x", "ctrl+z"); s.Quit {
		t.Error("it quits too early")
	}
}

func TestColoursFollowTheBackground(t *testing.T) {
	t.Parallel()
	s := open(t, &gateway{}, 80, 24, func(o *tui.Options) { o.Mode = theme.Auto }).Start()
	dark := s.Frame()
	s.Send(tea.BackgroundColorMsg{Color: color.White})
	if light := s.Frame(); light == dark || ansi.Strip(light) != ansi.Strip(dark) {
		t.Error("a light background has the colours of a dark one, or other words")
	}
	s.Send(tea.BackgroundColorMsg{Color: color.Black})
	if s.Frame() != dark {
		t.Error("a dark background does not give the dark colours back")
	}
	s = open(t, &gateway{}, 80, 24, nil).Start()
	mono := s.Frame()
	s.Send(tea.BackgroundColorMsg{Color: color.White})
	if s.Frame() != mono || strings.Contains(mono, "38;2") {
		t.Error("mono has colours")
	}
}

func TestAQuietGatewayGivesOneFrame(t *testing.T) {
	t.Parallel()
	looks := 0
	s := open(t, &gateway{quiet: true, shape: func(s *overview.Snapshot) {
		for i := range s.Backends { // a machine that is busy with something else
			s.Backends[i].Latency = time.Duration(1+looks%19) * time.Millisecond
		}
		for i := range s.Sessions {
			s.Sessions[i].Created, s.Sessions[i].Active = noon().Add(-time.Hour), noon().Add(-time.Second)
		}
		looks++
	}}, 120, 40, nil).Start().Pass(1)
	frame := s.Frame()
	for i := range 150 {
		if s.Pass(1); s.Frame() != frame {
			t.Fatalf("after %d s the frame changed from\n%s\nto\n%s", i+1, frame, s.Frame())
		}
	}
}

func TestARestartOfTheGatewayIsAGapNotANumber(t *testing.T) {
	t.Parallel()
	g := &gateway{}
	s := open(t, g, 120, 40, nil).Start().Pass(3)
	g.set(func(g *gateway) {
		g.shape = func(s *overview.Snapshot) { s.Started = s.Now }
	})
	s.Pass(1).Wants("measuring…")
}

func hostile(s *overview.Snapshot) {
	names := []string{
		"\x1b[2J\x1b[H\x1b]0;pwned\x07", "日本語の名前空間がここにとても長く続く", "👩‍👩‍👧‍👦👍🏽🇩🇪", "שלום\u202Eעולם", "e\u0301\u0301\u0301", "a\nb\tc", "\xff\xfe",
		strings.Repeat("w", 5000), "",
	}
	s.Namespaces, s.Backends, s.Sessions = nil, nil, nil
	for i, n := range names {
		s.Namespaces = append(s.Namespaces, overview.Namespace{Name: n, Model: names[i%7], Backend: names[i%7], State: names[i%7], Keys: 1 << uint(7*i), KeysKnown: true})
		s.Backends = append(s.Backends, overview.Backend{Name: names[i%7], Driver: names[i%7], Health: names[i%7], Durability: names[i%7], Error: names[i%7], Latency: time.Duration(i) * time.Hour})
		if len(n) > 1000 { // once: to clean it costs the test most of its time
			n = names[1]
		}
		s.Sessions = append(s.Sessions, overview.Session{ID: n, Principal: n, Client: n, Status: n, Requests: -1})
	}
	s.Notice, s.Version, s.State = names[0], names[0], names[1]
}

func TestAnySizeAnyKeyAnyName(t *testing.T) {
	t.Parallel()
	all := []string{"1", "2", "3", "tab", "j", "k", "G", "g", "pgdown", "pgup", "/", "?", "s", "S", "esc", "enter", "p", "r", "y", "c", "x", "!", "(", "backspace"}
	rapid.Check(t, func(rt *rapid.T) {
		w, h := rapid.IntRange(40, 300).Draw(rt, "w"), rapid.IntRange(10, 100).Draw(rt, "h")
		g := &gateway{}
		if rapid.Bool().Draw(rt, "hostile") {
			g.shape = hostile
		}
		s := open(t, g, w, h, func(o *tui.Options) {
			o.Charset = theme.Charset(rapid.IntRange(0, 2).Draw(rt, "charset"))
			o.Mode = theme.Mode(rapid.IntRange(1, 3).Draw(rt, "mode"))
			o.Context, o.Protected = "\x1b[31mprod", true
		}).Start()
		tuitest.CheckFrame(rt, s.Frame(), w, h)
		for _, k := range rapid.SliceOfN(rapid.SampledFrom(all), 0, 6).Draw(rt, "keys") {
			s.Keys(k)
			switch {
			case k == "x" && g.err == nil:
				g.set(func(g *gateway) { g.err = dead() })
			case k == "x":
				g.set(func(g *gateway) { g.err = nil })
			}
			s.Pass(1)
			tuitest.CheckFrame(rt, s.Frame(), w, h)
		}
		w, h = rapid.IntRange(1, 300).Draw(rt, "w2"), rapid.IntRange(1, 100).Draw(rt, "h2")
		s.Send(tea.WindowSizeMsg{Width: w, Height: h})
		tuitest.CheckFrame(rt, s.Frame(), w, h)
	})
}

func TestSmallScreensSaySo(t *testing.T) {
	t.Parallel()
	for _, size := range [][2]int{{59, 40}, {200, 14}, {40, 10}} {
		s := open(t, &gateway{}, size[0], size[1], nil).Start()
		s.Wants("terminal too small: need 60×15")
		s.Send(tea.WindowSizeMsg{Width: 60, Height: 15})
		s.Wants("Namespaces")
	}
}

// ticker counts what is written to a terminal.
type ticker struct {
	mu sync.Mutex
	b  bytes.Buffer
	n  int
}

func (w *ticker) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.n++
	return w.b.Write(p)
}

func (w *ticker) writes() (int, string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.n, w.b.String()
}

func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Second); !ok(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("never: %s", what)
		}
	}
}

// TestAnIdleScreenIsNotWrittenTo runs the real program with its real renderer
// and asks the gateway ten times a second.
func TestAnIdleScreenIsNotWrittenTo(t *testing.T) {
	g := &gateway{quiet: true}
	out := &ticker{}
	in, keyboard := io.Pipe()
	done := make(chan error, 1)
	ctx, cancel := context.WithCancelCause(t.Context())
	go func() {
		done <- tui.Run(ctx, tui.Options{Pages: []page.Factory{overview.Factory(g)}, Refresh: tui.MinRefresh, Mode: theme.Mono}, tui.Terminal{
			In: in, Out: out, Env: []string{"TERM=xterm-256color"}, Width: 100, Height: 30,
		})
	}()
	eventually(t, "the first frame", func() bool { _, s := out.writes(); return strings.Contains(s, "overview") })
	calls := func() int {
		g.mu.Lock()
		defer g.mu.Unlock()
		return g.calls
	}
	eventually(t, "two answers", func() bool { _, s := out.writes(); return strings.Contains(s, "ses_01JZX4T8QK") && calls() > 2 })
	// The frames that the first answers make are drawn when the renderer gets to it.
	asked, before := calls(), 0
	for settled := false; !settled; {
		was, _ := out.writes()
		eventually(t, "five more answers", func() bool { return calls() >= asked+5 })
		asked = calls()
		before, _ = out.writes()
		settled = was == before
	}
	eventually(t, "ten more answers", func() bool { return calls() >= asked+10 })
	if after, s := out.writes(); after != before {
		t.Errorf("%d writes while nothing changed; the end of the output is %q", after-before, s[max(len(s)-300, 0):])
	}
	g.set(func(g *gateway) { g.shape = func(s *overview.Snapshot) { s.Namespaces[1].Name = "changed" } })
	eventually(t, "a change is drawn", func() bool { _, s := out.writes(); return strings.Contains(s, "changed") })
	keyboard.Write([]byte("q"))
	if err := <-done; err != nil {
		t.Errorf("leaving: %v", err)
	}
	keyboard.Close()
	cancel(nil)
}

func TestASignalEndsItWithItsCause(t *testing.T) {
	in, keyboard := io.Pipe()
	defer keyboard.Close()
	ctx, cancel := context.WithCancelCause(t.Context())
	why := errors.New("terminated")
	done := make(chan error, 1)
	out := &ticker{}
	go func() {
		done <- tui.Run(ctx, tui.Options{Pages: []page.Factory{overview.Factory(&gateway{})}}, tui.Terminal{In: in, Out: out, Env: []string{"TERM=xterm"}, Width: 80, Height: 24})
	}()
	eventually(t, "the first frame", func() bool { _, s := out.writes(); return strings.Contains(s, "overview") })
	cancel(why)
	if err := <-done; err != why {
		t.Errorf("got %v, want %v", err, why)
	}
	if _, s := out.writes(); !strings.Contains(s, "\x1b[?1049l") || !strings.Contains(s, "\x1b[?25h") {
		t.Error("the terminal is not restored")
	}
}

func TestASnapshotIsPlainText(t *testing.T) {
	t.Parallel()
	g := &gateway{now: noon()}
	got, err := tui.Snapshot(t.Context(), tui.Options{Pages: []page.Factory{overview.Factory(g)}, Context: "dev", Refresh: tui.MinRefresh}, 100, 30)
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(got, "\x1b") || strings.Contains(got, " \n") || strings.Count(got, "\n") != 30 {
		t.Errorf("got\n%q", got)
	}
	for _, want := range []string{"req/s      151", "orders", "63.6µs"} {
		if !strings.Contains(got, want) {
			t.Errorf("%q is missing in\n%s", want, got)
		}
	}
	if g.calls != 2 {
		t.Errorf("it asked %d times, want 2", g.calls)
	}
}

func TestASnapshotOfADeadGatewaySaysSo(t *testing.T) {
	t.Parallel()
	boom := dead()
	got, err := tui.Snapshot(t.Context(), tui.Options{Pages: []page.Factory{overview.Factory(&gateway{err: boom})}}, 80, 24)
	if err != boom || !strings.Contains(got, "cannot reach the gateway") {
		t.Errorf("%v\n%s", err, got)
	}
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(boom)
	if _, err := tui.Snapshot(ctx, tui.Options{Pages: []page.Factory{overview.Factory(&gateway{})}}, 80, 24); err != boom {
		t.Errorf("got %v", err)
	}
}

func BenchmarkKeyToFrame(b *testing.B) {
	g := &gateway{quiet: true, shape: func(s *overview.Snapshot) {
		s.Sessions = nil
		for i := range 10_000 {
			s.Sessions = append(s.Sessions, overview.Session{ID: fmt.Sprintf("ses_%05d", i), Principal: "service:checkout", Status: "active", Requests: int64(i)})
		}
	}}
	s := open(b, g, 120, 40, func(o *tui.Options) { o.Mode = theme.Dark }).Start().Keys("3")
	b.Run("key", func(b *testing.B) {
		for b.Loop() {
			s.Keys("j")
			s.Frame()
		}
	})
	b.Run("refresh", func(b *testing.B) {
		for b.Loop() {
			s.Pass(1)
			s.Frame()
		}
	})
}
