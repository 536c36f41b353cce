// Package toast is a line that says what just happened and then goes away.
// Pages ask for one with a command; the root draws it.
package toast

import (
	tea "charm.land/bubbletea/v2"

	"github.com/prism-data-layer/prism/tui/component/problem"
	"github.com/prism-data-layer/prism/tui/theme"
)

// A Msg asks the root to show a text.
type Msg struct {
	Text string
	Role theme.Role
	Err  error // what it tells of, for the list of errors
}

// Show says that something went well.
func Show(text string) tea.Cmd {
	return func() tea.Msg { return Msg{Text: text, Role: theme.Good} }
}

// Warn says that something could not be done.
func Warn(text string) tea.Cmd {
	return func() tea.Msg { return Msg{Text: text, Role: theme.Warn} }
}

// Fail tells an error, which the root keeps.
func Fail(err error) tea.Cmd {
	what, why, _ := problem.Explain(err)
	if why != "" {
		what += ": " + why
	}
	return func() tea.Msg { return Msg{Text: "✗ " + what, Role: theme.Bad, Err: err} }
}

// Copy puts text on the clipboard of whoever sits at the terminal, near or far
// (OSC 52), and says what was copied.
func Copy(text, what string) tea.Cmd {
	return tea.Batch(tea.SetClipboard(text), Show("copied "+what))
}
