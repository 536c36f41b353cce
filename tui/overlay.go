package tui

import (
	tea "charm.land/bubbletea/v2"

	"github.com/prism-data-layer/prism/tui/component/pane"
	"github.com/prism-data-layer/prism/tui/theme"
)

// An overlay is what is open above the page and takes all keys: help, a
// question, a form. It closes itself by m.close.
type overlay interface {
	// crumb stands at the end of the breadcrumb, or above a sheet.
	crumb() string
	press(key, chars string) tea.Cmd
	wheel(lines int)
	// whole overlays take the place of the page, others its lower part.
	whole() bool
	view(th theme.Theme, width, height int) []string
	footer(width int) string
}

func (m *Model) show(o overlay) { m.over = o }

// close closes o, unless another has taken its place.
func (m *Model) close(o overlay) {
	if m.over == o {
		m.over = nil
	}
}

// sheet lays what is open over the lower part of the page, below a rule.
func (m *Model) sheet(body []string, room int) []string {
	lines := m.over.view(m.theme, m.width, max(room-1, 0))
	at := max(room-len(lines)-1, 0)
	body = append(body[:min(at, len(body)):min(at, len(body))], pane.Rule(m.theme, m.over.crumb(), theme.Plain, m.width, true))
	return append(body, lines...)
}
