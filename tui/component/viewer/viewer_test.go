package viewer_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/charmbracelet/x/ansi"

	"github.com/prism-data-layer/prism/tui/component/text"
	"github.com/prism-data-layer/prism/tui/component/viewer"
	"github.com/prism-data-layer/prism/tui/keys"
	"github.com/prism-data-layer/prism/tui/theme"
)

func hundred() *viewer.Model {
	var b strings.Builder
	for i := range 100 {
		fmt.Fprintf(&b, "line %d\n", i)
	}
	return viewer.New(b.String())
}

func view(m *viewer.Model) string {
	return ansi.Strip(strings.Join(m.View(theme.New(theme.Dark), 40, 10), "\n"))
}

func TestWalking(t *testing.T) {
	t.Parallel()
	m := hundred()
	view(m)
	for _, c := range []struct {
		do   keys.Action
		want string
	}{{keys.Down, "line 1\n"}, {keys.PageDown, "line 11\n"}, {keys.Bottom, "line 90\n"}, {keys.Down, "line 90\n"}, {keys.PageUp, "line 80\n"}, {keys.Up, "line 79\n"}, {keys.Top, "line 0\n"}} {
		m.Do(c.do)
		if got := view(m); !strings.HasPrefix(got, c.want) {
			t.Errorf("%s: got\n%s", c.do, got)
		}
	}
	if m.Scroll(3); m.Status() != "lines 4–13 of 100" {
		t.Errorf("got %q", m.Status())
	}
}

func TestSearching(t *testing.T) {
	t.Parallel()
	m := hundred()
	view(m)
	m.Do(viewer.Search)
	m.Type("", "LINE 5")
	if got := m.Prompt(60); !strings.Contains(got, "no match") {
		t.Errorf("a large letter matches a small one: %q", got)
	}
	m.Type("ctrl+u", "")
	m.Type("", "line 5")
	if got := m.Prompt(60); !strings.Contains(got, "1/11") || !m.Typing() {
		t.Errorf("got %q", got)
	}
	m.Type("enter", "")
	for _, want := range []string{"2/11", "3/11"} {
		m.Do(viewer.Next)
		if !strings.Contains(m.Status(), want) || !strings.Contains(view(m), "line 5") {
			t.Errorf("%q, want %s\n%s", m.Status(), want, view(m))
		}
	}
	m.Do(viewer.Before)
	m.Do(viewer.Before)
	m.Do(viewer.Before)
	if !strings.Contains(m.Status(), "11/11") {
		t.Errorf("got %q", m.Status())
	}
	if !m.Back() || m.Back() {
		t.Error("Esc does not leave the search once")
	}
	m.Do(viewer.Search)
	m.Type("(", "(")
	if !strings.Contains(m.Prompt(60), "not a pattern yet") {
		t.Errorf("got %q", m.Prompt(60))
	}
	m.Type("esc", "")
	if m.Typing() {
		t.Error("still typing")
	}
}

func TestHostileTextIsSafe(t *testing.T) {
	t.Parallel()
	m := viewer.New("\x1b[2Jboom\r\n日本語" + strings.Repeat("w", 100) + "\n\tתו\u202e")
	for range 2 {
		for _, l := range m.View(theme.New(theme.Mono), 20, 30) {
			if text.Width(l) > 20 || strings.Contains(l, "\x1b") {
				t.Errorf("%q", l)
			}
		}
		m.Do(viewer.Wrap)
	}
	if !strings.HasPrefix(m.Whole(), "\x1b[2J") {
		t.Error("the text is changed")
	}
}
