// Package viewer shows a text: to scroll, to search, to copy from.
package viewer

import (
	"fmt"
	"regexp"
	"strings"

	"github.com/charmbracelet/x/ansi"

	"github.com/prism-data-layer/prism/tui/component/entry"
	"github.com/prism-data-layer/prism/tui/component/text"
	"github.com/prism-data-layer/prism/tui/keys"
	"github.com/prism-data-layer/prism/tui/theme"
)

// The actions of a viewer, beside walking.
const (
	Search keys.Action = "search"
	Next   keys.Action = "next-match"
	Before keys.Action = "match-before"
	Wrap   keys.Action = "wrap"
	Copy   keys.Action = "copy-all"
)

// Keys is what keys do in a text.
func Keys() keys.Table {
	return keys.Table{
		{Action: keys.Up, Keys: []string{"up", "k"}, Help: "one line up"},
		{Action: keys.Down, Keys: []string{"down", "j"}, Help: "one line down"},
		{Action: keys.PageUp, Keys: []string{"pgup", "ctrl+b"}, Help: "one page up"},
		{Action: keys.PageDown, Keys: []string{"pgdown", "ctrl+f", "space"}, Help: "one page down"},
		{Action: keys.Top, Keys: []string{"home", "g"}, Help: "the first line"},
		{Action: keys.Bottom, Keys: []string{"end", "G"}, Help: "the last line"},
		{Action: Search, Keys: []string{"/"}, Label: "search", Help: "search for a regular expression"},
		{Action: Next, Keys: []string{"n"}, Label: "next", Help: "the next match"},
		{Action: Before, Keys: []string{"N"}, Help: "the match before"},
		{Action: Wrap, Keys: []string{"w"}, Label: "wrap", Help: "wrap long lines, or cut them"},
		{Action: Copy, Keys: []string{"y"}, Label: "copy", Help: "copy the whole text"},
	}
}

// A Model is a text.
type Model struct {
	whole string
	lines []string // clean
	top   int
	page  int
	wrap  bool

	line    entry.Model
	typing  bool
	pattern *regexp.Regexp
	hits    []int // lines that match
	at      int   // in hits
	bad     bool
}

// New makes a viewer of a text.
func New(whole string) *Model {
	m := &Model{whole: whole, page: 1}
	for _, l := range strings.Split(strings.TrimRight(whole, "\n"), "\n") {
		m.lines = append(m.lines, text.Clean(strings.ReplaceAll(strings.TrimRight(l, "\r"), "\t", "    ")))
	}
	return m
}

// Whole is the text as it was given.
func (m *Model) Whole() string { return m.whole }

// Typing reports whether keys are text of a search.
func (m *Model) Typing() bool { return m.typing }

// Type takes a key while Typing, or a paste as chars.
func (m *Model) Type(key, chars string) {
	switch key {
	case "esc":
		m.typing = false
		m.line.Set("")
		m.find()
	case "enter":
		m.typing = false
	default:
		m.line.Press(key, chars)
		m.find()
	}
}

// find looks the pattern up, and goes to the first match from where the text is.
func (m *Model) find() {
	m.pattern, m.hits, m.at, m.bad = nil, nil, 0, false
	typed := m.line.Value()
	if typed == "" {
		return
	}
	if strings.ToLower(typed) == typed {
		typed = "(?i)" + typed
	}
	p, err := regexp.Compile(typed)
	if m.bad = err != nil; m.bad {
		return
	}
	m.pattern = p
	for i, l := range m.lines {
		if p.MatchString(l) {
			m.hits = append(m.hits, i)
		}
	}
	for i, h := range m.hits {
		if h >= m.top {
			m.at = i
			break
		}
	}
	m.show()
}

func (m *Model) show() {
	if len(m.hits) > 0 && (m.hits[m.at] < m.top || m.hits[m.at] >= m.top+m.page) {
		m.scroll(m.hits[m.at] - m.page/3)
	}
}

func (m *Model) scroll(to int) { m.top = max(min(to, len(m.lines)-m.page), 0) }

// Do performs an action of Keys, but Copy; false for any other.
func (m *Model) Do(a keys.Action) bool {
	switch a {
	case keys.Up:
		m.scroll(m.top - 1)
	case keys.Down:
		m.scroll(m.top + 1)
	case keys.PageUp:
		m.scroll(m.top - m.page)
	case keys.PageDown:
		m.scroll(m.top + m.page)
	case keys.Top:
		m.scroll(0)
	case keys.Bottom:
		m.scroll(len(m.lines))
	case Search:
		m.typing = true
		m.line.Set("")
	case Next, Before:
		if n := len(m.hits); n > 0 {
			by := 1
			if a == Before {
				by = n - 1
			}
			m.at = (m.at + by) % n
			m.show()
		}
	case Wrap:
		m.wrap = !m.wrap
	default:
		return false
	}
	return true
}

// Scroll moves by lines, as a wheel does.
func (m *Model) Scroll(lines int) { m.scroll(m.top + lines) }

// Back leaves the search; false when there is none.
func (m *Model) Back() bool {
	if m.line.Value() == "" {
		return false
	}
	m.line.Set("")
	m.find()
	return true
}

// Prompt is the line in which a search is typed.
func (m *Model) Prompt(width int) string {
	return text.Cut("/"+m.line.View(max(width-20, 4), false)+"  "+m.found(), width)
}

func (m *Model) found() string {
	switch {
	case m.bad:
		return "not a pattern yet"
	case m.pattern == nil:
		return ""
	case len(m.hits) == 0:
		return "no match"
	}
	return fmt.Sprintf("%d/%d", m.at+1, len(m.hits))
}

// Status says where in the text the screen is.
func (m *Model) Status() string {
	last := min(m.top+m.page, len(m.lines))
	s := fmt.Sprintf("lines %d–%d of %d", min(m.top+1, last), last, len(m.lines))
	if f := m.found(); f != "" {
		s += " · /" + text.Clean(m.line.Value()) + " " + f
	}
	return s
}

// View draws the text into width × height cells.
func (m *Model) View(th theme.Theme, width, height int) []string {
	m.page = max(height, 1)
	m.scroll(m.top)
	var out []string
	for i := m.top; i < len(m.lines) && len(out) < height; i++ {
		l := m.lines[i]
		parts := []string{text.Cut(l, width)}
		if m.wrap && text.Width(l) > width {
			parts = strings.Split(ansi.Hardwrap(l, max(width, 1), true), "\n")
		}
		for _, p := range parts {
			if len(out) < height {
				out = append(out, m.mark(th, p))
			}
		}
	}
	return out
}

// mark paints what matches.
func (m *Model) mark(th theme.Theme, l string) string {
	if m.pattern == nil {
		return l
	}
	var b strings.Builder
	end := 0
	for _, at := range m.pattern.FindAllStringIndex(l, -1) {
		if at[0] == at[1] {
			continue
		}
		b.WriteString(l[end:at[0]] + th.Paint(theme.Selected, l[at[0]:at[1]]))
		end = at[1]
	}
	return b.String() + l[end:]
}
