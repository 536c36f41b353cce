// Package tuitest drives the dashboards by messages alone: nothing sleeps, the
// test says which keys come and when time passes. Pages are tested with it as
// they stand in the root.
package tuitest

import (
	"context"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	tea "charm.land/bubbletea/v2"
	"github.com/charmbracelet/x/ansi"

	"github.com/prism-data-layer/prism/pkg/clock"
	"github.com/prism-data-layer/prism/tui"
	"github.com/prism-data-layer/prism/tui/page"
	"github.com/prism-data-layer/prism/tui/theme"
)

// Noon is when every screen is opened.
func Noon() time.Time { return time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC) }

// A Screen is the dashboards of a test.
type Screen struct {
	Model  *tui.Model
	Clock  *clock.Fake
	Copied []string // what was put on the clipboard, in order
	Quit   bool
	Print  []string // what was asked of the terminal otherwise, by type

	t testing.TB
}

// Open makes a root of that size that has not asked for anything. Its context
// is "dev" unless o names one.
func Open(t testing.TB, o tui.Options, width, height int) *Screen {
	t.Helper()
	c := clock.NewFake(Noon())
	o.Clock, o.Still = c, true
	if o.Context == "" {
		o.Context, o.Address = "dev", "127.0.0.1:8981"
	}
	ctx, cancel := context.WithCancel(context.Background())
	t.Cleanup(cancel)
	s := &Screen{t: t, Model: tui.New(ctx, o), Clock: c}
	s.Send(tea.WindowSizeMsg{Width: width, Height: height})
	return s
}

// Page opens a root with the page of one factory, in mono; arg is what the page
// is about.
func Page(t testing.TB, f page.Factory, arg string, width, height int) *Screen {
	t.Helper()
	return Open(t, tui.Options{Pages: []page.Factory{f}, View: strings.TrimSpace(f.Name + " " + arg), Mode: theme.Mono}, width, height)
}

// Start runs the first questions.
func (s *Screen) Start() *Screen { s.run(s.Model.Init()); return s }

// Send gives the root a message, and does what comes of it.
func (s *Screen) Send(msg tea.Msg) *Screen {
	_, cmd := s.Model.Update(msg)
	s.run(cmd)
	return s
}

func (s *Screen) run(cmd tea.Cmd) {
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
		s.Quit = true
	default:
		switch name := fmt.Sprintf("%T", msg); {
		case name == "tea.setClipboardMsg":
			s.Copied = append(s.Copied, fmt.Sprint(msg))
		case strings.HasPrefix(name, "tea.") && strings.ToLower(name[4:5]) == name[4:5]:
			s.Print = append(s.Print, name)
		default:
			s.Send(msg)
		}
	}
}

// Pass lets seconds go by, with a beat for each.
func (s *Screen) Pass(seconds int) *Screen {
	for range seconds {
		s.Clock.Advance(time.Second)
		s.Send(tui.Beat(s.Clock.Now()))
	}
	return s
}

// Keys presses keys by their names: "a", "enter", "ctrl+c", "shift+tab".
func (s *Screen) Keys(names ...string) *Screen {
	for _, n := range names {
		s.Send(Press(n))
	}
	return s
}

// Type presses a key for each character.
func (s *Screen) Type(text string) *Screen {
	for _, r := range text {
		s.Send(tea.KeyPressMsg{Code: r, Text: string(r)})
	}
	return s
}

// Press is the message of a key.
func Press(name string) tea.KeyPressMsg {
	var mod tea.KeyMod
	for _, m := range []struct {
		prefix string
		mod    tea.KeyMod
	}{{"ctrl+", tea.ModCtrl}, {"alt+", tea.ModAlt}, {"shift+", tea.ModShift}} {
		if rest, ok := strings.CutPrefix(name, m.prefix); ok {
			name, mod = rest, mod|m.mod
		}
	}
	codes := map[string]rune{
		"enter": tea.KeyEnter, "esc": tea.KeyEscape, "tab": tea.KeyTab, "up": tea.KeyUp, "down": tea.KeyDown, "left": tea.KeyLeft, "right": tea.KeyRight,
		"pgup": tea.KeyPgUp, "pgdown": tea.KeyPgDown, "home": tea.KeyHome, "end": tea.KeyEnd, "backspace": tea.KeyBackspace, "delete": tea.KeyDelete, "space": tea.KeySpace,
	}
	if c, ok := codes[name]; ok {
		k := tea.KeyPressMsg{Code: c, Mod: mod}
		if c == tea.KeySpace {
			k.Text = " "
		}
		return k
	}
	k := tea.KeyPressMsg{Code: []rune(name)[0], Mod: mod}
	if mod == 0 {
		k.Text = name
	}
	return k
}

// Frame is the screen with its colours; Text is it without.
func (s *Screen) Frame() string { return s.Model.Frame() }

// Text is the screen without its colours.
func (s *Screen) Text() string { return ansi.Strip(s.Model.Frame()) }

// Wants fails the test for each part that is not on the screen.
func (s *Screen) Wants(parts ...string) *Screen {
	s.t.Helper()
	for _, p := range parts {
		if text := s.Text(); !strings.Contains(text, p) {
			s.t.Errorf("%q is not on the screen:\n%s", p, text)
		}
	}
	return s
}

// Lacks fails the test for each part that is on the screen.
func (s *Screen) Lacks(parts ...string) *Screen {
	s.t.Helper()
	for _, p := range parts {
		if text := s.Text(); strings.Contains(text, p) {
			s.t.Errorf("%q is on the screen:\n%s", p, text)
		}
	}
	return s
}

// Golden compares a frame with testdata/NAME.golden. Escape characters stand
// there as ␛, so that the files can be read. A package that declares the flag
// -update has them written anew.
func Golden(t testing.TB, name, frame string) {
	t.Helper()
	got := strings.ReplaceAll(frame, "\x1b", "␛") + "\n"
	file := filepath.Join("testdata", name+".golden")
	if f := flag.Lookup("update"); f != nil && f.Value.String() == "true" {
		if err := os.MkdirAll("testdata", 0o755); err != nil {
			t.Fatal(err)
		}
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
		t.Errorf("%s differs (-update writes it anew)\ngot\n%s\nwant\n%s", file, got, want)
	}
}

// Screens compares what draw draws at 80×24 and 120×40 in dark, light and mono
// with NAME-80x24-dark.golden and so on.
func Screens(t *testing.T, name string, draw func(t *testing.T, mode theme.Mode, width, height int) *Screen) {
	t.Helper()
	for _, size := range [][2]int{{80, 24}, {120, 40}} {
		for _, mode := range []theme.Mode{theme.Dark, theme.Light, theme.Mono} {
			full := fmt.Sprintf("%s-%dx%d-%s", name, size[0], size[1], mode)
			t.Run(full, func(t *testing.T) {
				t.Parallel()
				Golden(t, full, draw(t, mode, size[0], size[1]).Frame())
			})
		}
	}
}

// CheckFrame fails unless the frame has at most as many lines as the screen,
// none wider by either way of counting cells, and no escape sequence but our
// colours.
func CheckFrame(t interface{ Fatalf(string, ...any) }, frame string, width, height int) {
	lines := strings.Split(frame, "\n")
	if len(lines) > height {
		t.Fatalf("%d lines on a screen of %d×%d", len(lines), width, height)
	}
	for _, l := range lines {
		if a, b := ansi.StringWidth(l), ansi.StringWidthWc(l); a > width || b > width {
			t.Fatalf("%d or %d cells on a screen of %d×%d: %q", a, b, width, height, l)
		}
		for rest := l; ; {
			_, after, found := strings.Cut(rest, "\x1b")
			if !found {
				break
			}
			end := strings.IndexByte(after, 'm')
			if !strings.HasPrefix(after, "[") || end < 0 || strings.Trim(after[1:end], "0123456789;") != "" {
				t.Fatalf("an escape sequence that is not a colour: %q", l)
			}
			rest = after[end:]
		}
	}
}
