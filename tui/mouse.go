package tui

import (
	"fmt"
	"strings"

	tea "charm.land/bubbletea/v2"
	"github.com/charmbracelet/x/ansi"

	"github.com/prism-data-layer/prism/tui/component/text"
	"github.com/prism-data-layer/prism/tui/page"
	"github.com/prism-data-layer/prism/tui/theme"
)

// wheelLines is how far one notch of a wheel goes.
const wheelLines = 3

// A drag is text that is being selected with the mouse. The page stands still
// until it ends: what is marked is what is copied.
type drag struct {
	pane   page.Rect
	body   []string // the page as it was when the button went down
	x0, y0 int      // where that was
	x1, y1 int
	moved  bool
}

// mouse takes a message of the mouse. Coordinates of pages begin below the
// title and the banners.
func (m *Model) mouse(msg tea.MouseMsg) tea.Cmd {
	at := msg.Mouse()
	x, y := at.X, at.Y-m.bodyTop
	switch msg.(type) {
	case tea.MouseWheelMsg:
		lines := 0
		switch at.Button {
		case tea.MouseWheelUp:
			lines = -wheelLines
		case tea.MouseWheelDown:
			lines = wheelLines
		}
		switch {
		case lines == 0:
		case m.over != nil:
			m.over.wheel(lines)
		default:
			return m.top().from(m.page().Mouse(page.Mouse{X: x, Y: y, Wheel: lines}))
		}
	case tea.MouseClickMsg:
		if at.Button != tea.MouseLeft || m.over != nil || y < 0 || y >= len(m.body) {
			return nil
		}
		m.drag = &drag{pane: paneAt(m.page().Panes(), x, y, m.width, len(m.body)), body: m.body, x0: x, y0: y, x1: x, y1: y}
	case tea.MouseMotionMsg:
		if d := m.drag; d != nil {
			d.x1 = max(min(x, d.pane.X+d.pane.W-1), d.pane.X)
			d.y1 = max(min(y, d.pane.Y+d.pane.H-1), d.pane.Y)
			d.moved = d.moved || d.x1 != d.x0 || d.y1 != d.y0
		}
	case tea.MouseReleaseMsg:
		d := m.drag
		m.drag = nil
		switch {
		case d == nil:
		case !d.moved:
			return m.top().from(m.page().Mouse(page.Mouse{X: d.x0, Y: d.y0}))
		default:
			if s := d.text(); strings.TrimSpace(s) != "" {
				return m.copy(s, fmt.Sprintf("%d characters", len([]rune(s))))
			}
		}
	}
	return nil
}

// paneAt is the pane that a place is in, or the line, where there is none.
func paneAt(panes []page.Rect, x, y, width, height int) page.Rect {
	for _, r := range panes {
		if x >= r.X && x < r.X+r.W && y >= r.Y && y < r.Y+r.H {
			r.W, r.H = min(r.W, width-r.X), min(r.H, height-r.Y)
			return r
		}
	}
	return page.Rect{X: 0, Y: y, W: width, H: 1}
}

// span is what is marked of a line of the page, in cells; to is behind the last.
func (d *drag) span(y int) (from, to int, ok bool) {
	x0, y0, x1, y1 := d.x0, d.y0, d.x1, d.y1
	if y1 < y0 || y1 == y0 && x1 < x0 {
		x0, y0, x1, y1 = x1, y1, x0, y0
	}
	if y < y0 || y > y1 {
		return 0, 0, false
	}
	from, to = d.pane.X, d.pane.X+d.pane.W
	if y == y0 {
		from = x0
	}
	if y == y1 {
		to = x1 + 1
	}
	return from, to, true
}

// text is what is marked, without the blanks at the ends of lines.
func (d *drag) text() string {
	var out []string
	for y, l := range d.body {
		if from, to, ok := d.span(y); ok {
			out = append(out, strings.TrimRight(ansi.Strip(ansi.Cut(l, from, to)), " "))
		}
	}
	return strings.Join(out, "\n")
}

// view is the page as it was, with what is marked turned round.
func (d *drag) view(th theme.Theme) []string {
	out := make([]string, len(d.body))
	for y, l := range d.body {
		from, to, ok := d.span(y)
		if !ok || !d.moved {
			out[y] = l
			continue
		}
		mid := ansi.Strip(ansi.Cut(l, from, to))
		if mid == "" {
			out[y] = l
			continue
		}
		left := ansi.Truncate(l, from, "")
		left += strings.Repeat(" ", max(from-text.Width(left), 0))
		out[y] = left + th.Paint(theme.Selected, mid) + ansi.TruncateLeft(l, to, "")
	}
	return out
}
