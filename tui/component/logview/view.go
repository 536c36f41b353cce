package logview

import (
	"fmt"
	"slices"
	"strings"

	"github.com/charmbracelet/x/ansi"

	"github.com/prism-data-layer/prism/tui/component/figure"
	"github.com/prism-data-layer/prism/tui/component/text"
	"github.com/prism-data-layer/prism/tui/keys"
	"github.com/prism-data-layer/prism/tui/theme"
)

// The actions of logs.
const (
	Follow  keys.Action = "log-follow"
	Wrap    keys.Action = "log-wrap"
	Times   keys.Action = "log-times"
	Graver  keys.Action = "log-level"
	Sources keys.Action = "log-source"
	Next    keys.Action = "log-next"
	Prev    keys.Action = "log-prev"
	Left    keys.Action = "log-left"
	Right   keys.Action = "log-right"
	Forget  keys.Action = "log-clear"
)

// Keys is what works in logs, beside what opens the search.
func Keys() keys.Table {
	return keys.Table{
		{Action: keys.Up, Keys: []string{"up", "k"}, Help: "one line up; stops following"},
		{Action: keys.Down, Keys: []string{"down", "j"}, Help: "one line down"},
		{Action: keys.PageUp, Keys: []string{"pgup", "ctrl+b"}, Help: "one page up; stops following"},
		{Action: keys.PageDown, Keys: []string{"pgdown", "ctrl+f"}, Help: "one page down"},
		{Action: keys.Top, Keys: []string{"home", "g"}, Help: "the first line; stops following"},
		{Action: keys.Bottom, Keys: []string{"end", "G"}, Help: "the last line; follows again"},
		{Action: Next, Keys: []string{"n"}, Help: "the next match of the search"},
		{Action: Prev, Keys: []string{"N"}, Help: "the match before"},
		{Action: Graver, Keys: []string{"v"}, Label: "level", Help: "only lines of a level or a graver one: debug, info, warn, error, all"},
		{Action: Sources, Keys: []string{"s"}, Label: "source", Help: "only lines of the next source, or of all"},
		{Action: Follow, Keys: []string{"f"}, Label: "follow", Help: "follow what comes, or stay here"},
		{Action: Wrap, Keys: []string{"w"}, Label: "wrap", Help: "wrap long lines, or cut them"},
		{Action: Times, Keys: []string{"t"}, Label: "times", Help: "show or hide the times"},
		{Action: Left, Keys: []string{"left", "h"}, Help: "to the left, in lines that are cut"},
		{Action: Right, Keys: []string{"right", "l"}, Help: "to the right, in lines that are cut"},
		{Action: Forget, Keys: []string{"z"}, Help: "forget the lines that are held"},
	}
}

// aside is how many cells Left and Right go.
const aside = 20

// Do performs an action of Keys; false for any other.
func (m *Model) Do(a keys.Action) bool {
	switch a {
	case keys.Up:
		m.Scroll(-1)
	case keys.Down:
		m.Scroll(1)
	case keys.PageUp:
		m.Scroll(-max(m.height-1, 1))
	case keys.PageDown:
		m.Scroll(max(m.height-1, 1))
	case keys.Top:
		m.Scroll(-len(m.shown))
	case keys.Bottom:
		m.held = false
	case Follow:
		if m.held {
			m.held = false
		} else {
			m.hold()
		}
	case Next:
		m.Step(1)
	case Prev:
		m.Step(-1)
	case Graver:
		m.SetFilter((m.level+1)%(Error+1), m.source)
	case Sources:
		all := append([]string{""}, m.sources...)
		m.SetFilter(m.level, all[(slices.Index(all, m.source)+1)%len(all)])
	case Wrap:
		m.wrap, m.left = !m.wrap, 0
	case Times:
		m.times = !m.times
	case Left:
		m.left = max(m.left-aside, 0)
	case Right:
		m.left = min(m.left+aside, maxText)
	case Forget:
		m.Clear()
	default:
		return false
	}
	return true
}

// Scroll moves by lines: up stops following, down past the end follows again.
func (m *Model) Scroll(lines int) {
	switch {
	case !m.held && lines >= 0:
		return
	case !m.held && m.first == 0 && !m.broken:
		return // all of it is seen
	case !m.held:
		m.hold()
	}
	m.top = max(m.top+lines, 0)
	if m.top+m.height >= len(m.shown) && lines > 0 {
		m.held = false
	}
}

// Status is what is seen, in words: "1,204 of 12,000 lines · warn · 3/12 \"x\" · ↓ 132 new".
func (m *Model) Status() string {
	parts := []string{figure.Count(int64(len(m.lines))) + " lines"}
	if len(m.shown) != len(m.lines) || m.level != None || m.source != "" {
		parts[0] = fmt.Sprintf("%s of %s", figure.Count(int64(len(m.shown))), parts[0])
	}
	if m.level != None {
		parts = append(parts, "level "+m.level.String())
	}
	if m.source != "" {
		parts = append(parts, "of "+text.Clean(m.source))
	}
	switch chosen, of := m.Hits(); {
	case m.problem != nil:
		parts = append(parts, "the search cannot be read")
	case m.search != "":
		more := ""
		if m.unread > 0 {
			more = "…"
		}
		parts = append(parts, fmt.Sprintf("match %d/%s%s", chosen, figure.Count(int64(of)), more))
	}
	switch n := m.New(); {
	case n > 0:
		parts = append(parts, fmt.Sprintf("↓ %s new: End follows", figure.Count(n)))
	case m.held:
		parts = append(parts, "stays here: End follows")
	}
	return strings.Join(parts, " · ")
}

// View draws exactly height lines.
func (m *Model) View(th theme.Theme, width, height int) []string {
	if height <= 0 || width <= 4 {
		return nil
	}
	m.height = height
	var out []string
	if m.held {
		m.top = max(min(m.top, len(m.shown)-1), 0)
		m.first = m.top
		for i := m.top; i < len(m.shown) && len(out) < height; i++ {
			out = append(out, m.draw(th, m.shown[i], width, height)...)
		}
		out = out[:min(len(out), height)]
	} else {
		m.first, m.broken = len(m.shown), false
		for m.first > 0 && len(out) < height {
			m.first--
			out = append(m.draw(th, m.shown[m.first], width, height), out...)
		}
		if over := len(out) - height; over > 0 {
			out, m.broken = out[over:], true
		}
	}
	return append(out, make([]string, height-len(out))...)
}

// draw is one line on one or, wrapped, several rows.
func (m *Model) draw(th theme.Theme, no int64, width, height int) []string {
	l := m.line(no)
	prefix, cells := m.prefix(th, l)
	room := max(width-cells, 8)
	role := theme.Plain
	switch l.Level {
	case Error:
		role = theme.Bad
	case Warn:
		role = theme.Warn
	case Debug:
		role = theme.Faint
	}
	if m.pattern != nil && m.pattern.MatchString(l.Text) {
		role = theme.Accent
		if m.hit >= 0 && m.hit < len(m.hits) && m.hits[m.hit] == no {
			role = theme.Selected
		}
	}
	cut := ""
	if l.Cut > 0 {
		cut = fmt.Sprintf(" … %s more", figure.Bytes(int64(l.Cut)))
	}
	if !m.wrap {
		s := clean(l.Text, (m.left+width)*4) + cut
		if m.left > 0 {
			s = ansi.Cut(s, m.left, m.left+room)
		}
		return []string{text.Cut(prefix, width) + th.Paint(role, text.Cut(s, width-cells))}
	}
	rows := text.Wrap(clean(l.Text, room*height*4)+cut, room)
	if len(rows) > height {
		rows = rows[:height]
	}
	for i := range rows {
		lead := prefix
		if i > 0 {
			lead = strings.Repeat(" ", cells)
		}
		rows[i] = text.Cut(lead, width) + th.Paint(role, text.Cut(rows[i], width-cells))
	}
	return rows
}

// maxSource is how many cells the name of a source gets.
const maxSource = 14

// prefix is the time and the source of a line, and their cells.
func (m *Model) prefix(th theme.Theme, l Line) (string, int) {
	s, cells := "", 0
	if m.times {
		s, cells = th.Paint(theme.Faint, l.Time.Format("15:04:05.000"))+" ", 13
	}
	if len(m.sources) > 1 {
		wide := 0
		for _, name := range m.sources {
			wide = max(wide, min(text.Width(text.Clean(name)), maxSource))
		}
		roles := []theme.Role{theme.Accent, theme.Good, theme.Warn, theme.Header}
		s += th.Paint(roles[slices.Index(m.sources, l.Source)%len(roles)], text.Fit(text.Clean(l.Source), wide)) + " │ "
		cells += wide + 3
	}
	return s, cells
}
