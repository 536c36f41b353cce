package palette_test

import (
	"strings"
	"testing"

	"github.com/charmbracelet/x/ansi"
	"pgregory.net/rapid"

	"github.com/prism-data-layer/prism/tui/component/palette"
	"github.com/prism-data-layer/prism/tui/component/text"
	"github.com/prism-data-layer/prism/tui/theme"
)

func entries() []palette.Entry {
	return []palette.Entry{
		{ID: 0, Name: "overview", Aliases: []string{"home"}, About: "the traffic of the last minute"},
		{ID: 1, Name: "namespaces", Aliases: []string{"ns"}, About: "all namespaces"},
		{ID: 2, Name: "namespace", Arg: "NAMESPACE", Needed: true, About: "one namespace"},
		{ID: 3, Name: "data", Arg: "NAMESPACE", About: "what is stored"},
		{ID: 4, Name: "theme dark", About: "colours for a dark background"},
		{ID: 5, Name: "quit", Aliases: []string{"q"}},
	}
}

func press(m *palette.Model, names ...string) (c palette.Choice, ok, done bool) {
	for _, n := range names {
		chars := n
		if strings.Trim(n, "abcdefghijklmnopqrstuvwxyz+") == "" && len(n) > 1 {
			chars = ""
		}
		c, ok, done = m.Press(n, chars)
	}
	return c, ok, done
}

func typed(m *palette.Model, s string) *palette.Model { m.Press("", s); return m }

func TestEnterTakesTheBest(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ typed, want string }{
		{"ov", "overview"},
		{"home", "overview"},
		{"ns", "namespaces"},
		{"q", "quit"},
		{"dark", "theme dark"},
		{"traffic", "overview"},
		{"data", "data"},
		{"data orders", "data orders"},
		{"", "overview"},
	} {
		got, ok, done := press(typed(palette.New(entries(), nil), c.typed), "enter")
		if !ok || !done || got.Line() != c.want {
			t.Errorf("%q: %q %v %v, want %q", c.typed, got.Line(), ok, done, c.want)
		}
	}
	if _, ok, done := press(typed(palette.New(entries(), nil), "zzz"), "enter"); ok || done {
		t.Error("what is not there is chosen")
	}
	for _, k := range []string{"esc", "backspace"} {
		if _, ok, done := press(palette.New(entries(), nil), k); ok || !done {
			t.Errorf("%s does not leave", k)
		}
	}
}

func TestArgumentsAreCompleted(t *testing.T) {
	t.Parallel()
	m := typed(palette.New(entries(), nil), "namespace")
	if _, ok, done := press(m, "enter"); ok || done {
		t.Fatal("a page that needs a name opens without")
	}
	e, wants := m.Wants()
	if !wants || e.Name != "namespace" {
		t.Fatalf("it wants %v %v", e, wants)
	}
	m.Asking(e.ID)
	if _, again := m.Wants(); again {
		t.Error("they are asked for twice")
	}
	m.SetArgs(e.ID, []string{"kv", "orders", "logs"}, "")
	got, ok, _ := press(m, "o", "r", "enter")
	if !ok || got.Arg != "orders" {
		t.Errorf("got %+v", got)
	}
	m = typed(palette.New(entries(), nil), "da")
	press(m, "tab")
	if got := m.Prompt(40); got != ":data ▏" {
		t.Errorf("Tab makes %q", got)
	}
}

func TestHistoryComesFirst(t *testing.T) {
	t.Parallel()
	m := palette.New(entries(), []string{"data orders", "gone", "theme dark"})
	for i, want := range []string{"data orders", "theme dark", "overview"} {
		c, _, _ := press(m, "enter")
		if c.Line() != want {
			t.Errorf("%d: %q, want %q", i, c.Line(), want)
		}
		press(m, "down")
	}
}

func TestAnySize(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		m := typed(palette.New(append(entries(), palette.Entry{ID: 9, Name: "日本語\x1b[2J", About: strings.Repeat("w", 400)}), nil), rapid.SampledFrom([]string{"", "n", "data ", "zz", "日"}).Draw(t, "typed"))
		m.SetArgs(3, []string{"a\x1b", "日本"}, rapid.SampledFrom([]string{"", "asking"}).Draw(t, "state"))
		w, h := rapid.IntRange(3, 200).Draw(t, "w"), rapid.IntRange(0, 30).Draw(t, "h")
		for range rapid.IntRange(0, 9).Draw(t, "downs") {
			press(m, "down")
		}
		lines := m.View(theme.New(theme.Dark), w, h)
		if len(lines) > h {
			t.Fatalf("%d lines of %d", len(lines), h)
		}
		for _, l := range lines {
			if text.Width(l) > w || strings.Contains(ansi.Strip(l), "\x1b") {
				t.Fatalf("%q in %d", l, w)
			}
		}
	})
}
