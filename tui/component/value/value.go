// Package value shows what somebody stored: as text, as JSON that folds, or as
// bytes. Whatever it is, nothing in it reaches the terminal as it is.
package value

import (
	"fmt"
	"strings"

	"github.com/prism-data-layer/prism/tui/component/figure"
	"github.com/prism-data-layer/prism/tui/component/problem"
	"github.com/prism-data-layer/prism/tui/component/text"
	"github.com/prism-data-layer/prism/tui/keys"
	"github.com/prism-data-layer/prism/tui/theme"
)

// MaxBytes bounds how much of a value is shown: no person reads more of it here.
const MaxBytes = 64 << 10

// A Content is what is shown.
type Content struct {
	ID    string // while it stays the same the place in it is kept
	Notes []string
	Data  []byte
	Size  int64 // of the whole value; 0: that of Data
	Err   error // why there is none
}

// A Form is how a value is shown.
type Form uint8

// The forms. Auto is the first that fits: JSON, text, bytes.
const (
	Auto Form = iota
	Text
	JSON
	Hex
)

// String is the form's word.
func (f Form) String() string { return [...]string{"auto", "text", "json", "hex"}[f] }

// The actions of a value.
const (
	ShowAs keys.Action = "value-form"
	Unfold keys.Action = "value-unfold"
	Fold   keys.Action = "value-fold"
)

// Keys is what works where a value is shown.
func Keys() keys.Table {
	return keys.Table{
		{Action: ShowAs, Keys: []string{"v"}, Label: "show as", Help: "show the value as text, JSON or bytes"},
		{Action: Unfold, Keys: []string{"+"}, Help: "unfold one level of JSON"},
		{Action: Fold, Keys: []string{"-"}, Help: "fold one level of JSON"},
	}
}

// usualDepth is how many levels of JSON are open at first.
const usualDepth = 3

// A Model is a value on the screen.
type Model struct {
	content Content
	some    bool
	form    Form
	depth   int
	tree    *node // nil: no JSON

	lines []string
	width int // that lines were made for; 0: they must be made
	top   int
	page  int
}

// New makes a model that shows nothing.
func New() *Model { return &Model{depth: usualDepth, page: 1} }

// Set shows c from its beginning, or further on where it is the one that was
// shown before.
func (m *Model) Set(c Content) {
	if c.ID != m.content.ID {
		m.top = 0
	}
	if len(c.Data) > MaxBytes {
		c.Size = max(c.Size, int64(len(c.Data)))
		c.Data = c.Data[:MaxBytes]
	}
	c.Size = max(c.Size, int64(len(c.Data)))
	m.content, m.some, m.width = c, true, 0
	m.tree = nil
	if c.Size == int64(len(c.Data)) {
		m.tree = parse(c.Data)
	}
}

// Clear shows nothing.
func (m *Model) Clear() {
	m.content, m.some, m.tree, m.lines, m.width, m.top = Content{}, false, nil, nil, 0, 0
}

// Content is what is shown; false when nothing is.
func (m *Model) Content() (Content, bool) { return m.content, m.some }

// Form is how it is shown.
func (m *Model) Form() Form {
	switch {
	case m.form == Hex, m.form == Text:
		return m.form
	case m.tree != nil:
		return JSON
	case m.form == Auto && binary(m.content.Data):
		return Hex
	}
	return Text
}

// Do performs an action of Keys or a movement of keys.List; false for any other.
func (m *Model) Do(a keys.Action) bool {
	switch a {
	case keys.Up:
		m.top--
	case keys.Down:
		m.top++
	case keys.PageUp:
		m.top -= m.page
	case keys.PageDown:
		m.top += m.page
	case keys.Top:
		m.top = 0
	case keys.Bottom:
		m.top = len(m.lines)
	case ShowAs:
		m.form, m.top, m.width = m.after(), 0, 0
	case Unfold:
		m.depth, m.width = min(m.depth+1, 99), 0
	case Fold:
		m.depth, m.width = max(m.depth-1, 1), 0
	default:
		return false
	}
	m.top = max(m.top, 0)
	return true
}

// after is the form after the one that is shown.
func (m *Model) after() Form {
	switch m.Form() {
	case JSON:
		return Text
	case Text:
		return Hex
	}
	if m.tree != nil {
		return JSON
	}
	return Text
}

// Scroll moves by lines, as a wheel does.
func (m *Model) Scroll(lines int) { m.top = max(m.top+lines, 0) }

// Title says what is shown and how much of it.
func (m *Model) Title() string {
	if !m.some || m.content.Err != nil {
		return "Value"
	}
	t := fmt.Sprintf("Value · %s · %s", m.Form(), figure.Bytes(m.content.Size))
	if n := int64(len(m.content.Data)); n < m.content.Size {
		t = fmt.Sprintf("Value · %s · the first %s of %s", m.Form(), figure.Bytes(n), figure.Bytes(m.content.Size))
	}
	if len(m.lines) > m.page && m.width > 0 {
		t += fmt.Sprintf(" · line %d of %d", m.top+1, len(m.lines))
	}
	return t
}

// View draws exactly height lines.
func (m *Model) View(th theme.Theme, width, height int) []string {
	if height <= 0 || width <= 4 {
		return nil
	}
	out := make([]string, 0, height)
	switch {
	case !m.some:
		out = append(out, th.Paint(theme.Faint, "  nothing is chosen"))
	case m.content.Err != nil:
		what, why, fix := problem.Explain(m.content.Err)
		out = append(out, th.Paint(theme.Bad, "  "+text.Cut("✗ "+what, width-2)))
		for _, l := range []string{why, fix} {
			if l != "" {
				out = append(out, "  "+text.Cut(l, width-2))
			}
		}
	default:
		for _, n := range m.content.Notes {
			out = append(out, "  "+th.Paint(theme.Faint, text.Cut(text.Clean(n), width-2)))
		}
		out = append(out, m.body(th, width-2, height-len(out))...)
	}
	if len(out) > height {
		out = out[:height]
	}
	return append(out, make([]string, height-len(out))...)
}

func (m *Model) body(th theme.Theme, width, height int) []string {
	if height <= 0 {
		return nil
	}
	m.page = height
	if m.width != width {
		m.lines, m.width = m.make(width), width
	}
	m.top = max(min(m.top, len(m.lines)-height), 0)
	var out []string
	if len(m.content.Data) == 0 {
		return []string{th.Paint(theme.Faint, text.Cut("  empty: no bytes", width))}
	}
	for _, l := range m.lines[m.top:min(m.top+height, len(m.lines))] {
		out = append(out, "  "+l)
	}
	return out
}

func (m *Model) make(width int) []string {
	switch m.Form() {
	case JSON:
		return m.tree.lines(m.depth, width)
	case Hex:
		return dump(m.content.Data, width)
	}
	return Lines(string(m.content.Data), width)
}

// Lines are the lines of a text, safe, and none wider than width.
func Lines(s string, width int) []string {
	var out []string
	for line := range strings.Lines(s) {
		line = strings.ReplaceAll(strings.TrimRight(line, "\r\n"), "\t", "    ")
		out = append(out, text.Wrap(Clean(line), width)...)
	}
	return out
}

// chunk is what text.Clean is given at once: it looks at no more of one name.
const chunk = 2048

// Clean makes a line of any length safe.
func Clean(s string) string {
	if len(s) <= chunk {
		return text.Clean(s)
	}
	var b strings.Builder
	for len(s) > chunk {
		n := chunk
		for n > chunk-4 && s[n]&0xc0 == 0x80 { // not within a rune
			n--
		}
		b.WriteString(text.Clean(s[:n]))
		s = s[n:]
	}
	b.WriteString(text.Clean(s))
	return b.String()
}
