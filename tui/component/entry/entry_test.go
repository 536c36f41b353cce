package entry_test

import (
	"strings"
	"testing"

	"github.com/prism-data-layer/prism/tui/component/entry"
	"github.com/prism-data-layer/prism/tui/component/text"
)

func TestALineIsEdited(t *testing.T) {
	t.Parallel()
	m := entry.New("two words")
	for _, c := range []struct{ key, chars, want string }{
		{"home", "", "▏two words"},
		{"right", "", "t▏wo words"},
		{"x", "x", "tx▏wo words"},
		{"backspace", "", "t▏wo words"},
		{"delete", "", "t▏o words"},
		{"end", "", "to words▏"},
		{"ctrl+w", "", "to ▏"},
		{"", "a\nb\x1b[2J", "to a b[2J▏"},
		{"left", "", "to a b[2▏J"},
		{"ctrl+k", "", "to a b[2▏"},
		{"ctrl+u", "", "▏"},
		{"backspace", "", "▏"},
		{"", "日本語", "日本語▏"},
	} {
		if !m.Press(c.key, c.chars) {
			t.Errorf("%q is no key of a line", c.key)
		}
		if got := m.View(40, false); got != c.want {
			t.Errorf("%q %q: %q, want %q", c.key, c.chars, got, c.want)
		}
	}
	if m.Press("f5", "") || m.Value() != "日本語" {
		t.Errorf("a function key wrote %q", m.Value())
	}
	if got := m.View(40, true); got != "•••▏" {
		t.Errorf("a secret is shown as %q", got)
	}
}

func TestALongLineShowsItsCursor(t *testing.T) {
	t.Parallel()
	m := entry.New(strings.Repeat("日", 5000) + "end")
	for w := range 30 {
		got := m.View(w, false)
		if text.Width(got) > w || w > 6 && !strings.HasSuffix(got, "end▏") {
			t.Errorf("%d cells: %q", w, got)
		}
	}
}
