package task

import (
	"context"

	tea "charm.land/bubbletea/v2"
)

// Run runs f off the screen's thread for as long as it takes. It ends with the
// program.
func (r Runner) Run(f func(context.Context) tea.Msg) tea.Cmd {
	return func() tea.Msg { return f(r.ctx) }
}
