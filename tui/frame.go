package tui

import (
	"fmt"
	"slices"
	"strings"

	tea "charm.land/bubbletea/v2"
	"github.com/charmbracelet/x/ansi"

	"github.com/prism-data-layer/prism/tui/component/feed"
	"github.com/prism-data-layer/prism/tui/component/problem"
	"github.com/prism-data-layer/prism/tui/component/text"
	"github.com/prism-data-layer/prism/tui/keys"
	"github.com/prism-data-layer/prism/tui/theme"
)

// View draws the screen. The same state gives the same frame, and the renderer
// writes nothing for a frame that it has shown.
func (m *Model) View() tea.View {
	v := tea.NewView(m.Frame())
	v.AltScreen = true
	if m.mouseOn {
		v.MouseMode = tea.MouseModeCellMotion
	}
	if m.opts.Accessible {
		v.Cursor = cursor(v.Content)
	}
	v.WindowTitle = "prism " + m.top().crumb()
	if m.opts.Context != "" {
		v.WindowTitle += " · " + text.Clean(m.opts.Context)
	}
	return v
}

// Frame is the screen as text: at most as many lines, and none wider, than the
// screen has room for.
func (m *Model) Frame() string {
	var lines []string
	switch {
	case m.width <= 0 || m.height <= 0:
		return "" // the size comes with the first message
	case m.width < MinWidth || m.height < MinHeight:
		lines = m.tooSmall()
	default:
		lines = m.screen()
	}
	if m.opts.Accessible {
		lines = linear(lines)
	}
	out := strings.Join(lines, "\n")
	if m.opts.Charset == theme.ASCII {
		out = text.ASCII(out)
	}
	return out
}

func (m *Model) tooSmall() []string {
	say := text.Cut(fmt.Sprintf("terminal too small: need %d×%d", MinWidth, MinHeight), m.width)
	return append(make([]string, (m.height-1)/2), text.Center(say, m.width))
}

// linear is a frame as it is read aloud.
func linear(lines []string) []string {
	var out []string
	for _, l := range lines {
		if l = text.Linear(l); strings.TrimSpace(ansi.Strip(l)) != "" {
			out = append(out, l)
		}
	}
	return out
}

// cursor is where a screen reader finds what is typed, or what is selected.
func cursor(frame string) *tea.Cursor {
	lines := strings.Split(ansi.Strip(frame), "\n")
	for _, mark := range []string{"▏", "▸"} {
		for y, l := range slices.Backward(lines) {
			if before, _, ok := strings.Cut(l, mark); ok {
				return tea.NewCursor(text.Width(before), y)
			}
		}
	}
	return nil
}

func (m *Model) screen() []string {
	lines := append([]string{m.title()}, m.banners()...)
	room := m.height - len(lines) - 1
	m.bodyTop = len(lines)
	var body []string
	switch {
	case m.over != nil && m.over.whole():
		body = m.over.view(m.theme, m.width, room)
	case m.drag != nil:
		body = m.drag.view(m.theme)
	default:
		m.page().SetSize(m.width, room)
		body = strings.Split(m.page().View(), "\n")
	}
	body = fill(body, room)
	switch {
	case m.over == nil && m.drag == nil:
		m.body = body
	case m.over != nil && !m.over.whole():
		body = fill(m.sheet(body, room), room)
	}
	return append(append(lines, body...), m.footer())
}

// fill makes a body as high as its place.
func fill(body []string, room int) []string {
	for len(body) < room {
		body = append(body, "")
	}
	return body[:room:room]
}

// title is the breadcrumb, the gateway, and how the data is.
func (m *Model) title() string {
	p := m.page()
	crumb := "prism › " + m.crumbs()
	if m.over != nil && m.over.whole() {
		crumb += " › " + m.over.crumb()
	}
	state, role := p.Feed().Mark(m.now), theme.Good
	switch p.Feed().State(m.now) {
	case feed.Connecting, feed.Ended:
		role = theme.Faint
	case feed.Stale, feed.Paused:
		role = theme.Warn
	case feed.Failed:
		role = theme.Bad
	}
	where := m.where()
	parts := []struct {
		role theme.Role
		text string
	}{{theme.Title, crumb}, {theme.Accent, where}}
	if m.opts.Protected {
		parts[1].role, parts[1].text = theme.Bad, where+" PROTECTED"
	}
	if g := p.Gateway(); g != "" && p.Feed().State(m.now) != feed.Failed {
		parts = append(parts, struct {
			role theme.Role
			text string
		}{theme.Faint, g})
	}
	room := m.width - text.Width(state) - 2
	var left strings.Builder
	used := 0
	for i, part := range parts {
		if part.text == "" {
			continue
		}
		gap := ""
		if i > 0 {
			gap = "  "
		}
		t := text.Cut(part.text, room-used-len(gap))
		if t == "" {
			break
		}
		left.WriteString(gap + m.theme.Paint(part.role, t))
		used += len(gap) + text.Width(t)
	}
	return left.String() + strings.Repeat(" ", max(m.width-used-text.Width(state), 0)) + m.theme.Paint(role, state)
}

// where names the gateway.
func (m *Model) where() string {
	if m.opts.Context != "" {
		return text.Clean(m.opts.Context)
	}
	return text.Clean(m.opts.Address)
}

// banners are lines that stay as long as what they say is so.
func (m *Model) banners() []string {
	var out []string
	p := m.page()
	if err := p.Feed().Err(); err != nil && !p.Feed().Got().IsZero() {
		what, _, _ := problem.Explain(err)
		out = append(out, m.theme.Paint(theme.Bad, text.Edges("✗ "+what, "  "+p.Countdown(), m.width)))
	}
	if n := p.Notice(); n != "" {
		out = append(out, m.theme.Paint(theme.Warn, text.Cut("! "+n, m.width)))
	}
	if m.opts.Hint && !m.state.Seen {
		out = append(out, m.theme.Paint(theme.Accent, text.Cut("first time here? "+m.keyOf(keys.Help)+" lists the keys, "+m.keyOf(keys.Palette)+" goes anywhere, "+m.keyOf(keys.Quit)+" leaves", m.width)))
	}
	return out
}

func (m *Model) keyOf(a keys.Action) string {
	if b, _ := m.global().Of(a); len(b.Keys) > 0 {
		return keys.Binding{Keys: b.Keys[:1]}.Shown()
	}
	return ":" + string(a)
}

// footer is what is typed, else what just happened, else what keys do.
func (m *Model) footer() string {
	switch {
	case m.over == nil && m.page().Typing():
		return text.Cut(m.page().Prompt(), m.width)
	case m.over != nil && m.toast.Text == "":
		return m.over.footer(m.width)
	case m.toast.Text != "":
		return m.theme.Paint(m.toast.Role, text.Cut(text.Clean(m.toast.Text), m.width))
	}
	return m.hints()
}

// hints lists the labelled keys, as many as there is room for: those of the
// page before what works everywhere, but for the way to the others.
func (m *Model) hints() string {
	var first, last keys.Table
	for _, b := range m.global() {
		switch b.Action {
		case keys.Help, keys.Palette, keys.Quit:
			first = append(first, b)
		default:
			last = append(last, b)
		}
	}
	var out strings.Builder
	used := 0
	if m.opts.ReadOnly {
		const mark = "read-only  "
		out.WriteString(m.theme.Paint(theme.Warn, mark))
		used = len(mark)
	}
	for _, t := range []keys.Table{first, m.table(), last} {
		for _, k := range t {
			if k.Label == "" || len(k.Keys) == 0 {
				continue
			}
			key := keys.Binding{Keys: k.Keys[:1]}.Shown()
			w := text.Width(key) + 1 + len(k.Label) + 2
			if used+w > m.width {
				continue
			}
			used += w
			out.WriteString(m.theme.Paint(theme.Accent, key) + " " + m.theme.Paint(theme.Faint, k.Label) + "  ")
		}
	}
	return strings.TrimRight(out.String(), " ")
}
