package tui

import (
	"fmt"
	"runtime/debug"
	"sync"

	tea "charm.land/bubbletea/v2"
)

// A Crash is a bug of ours that ended the dashboards. The terminal is restored
// before Run returns it.
type Crash struct {
	Value any
	Stack []byte
}

// Error is all that is known of it, for the report.
func (c *Crash) Error() string { return fmt.Sprintf("%v\n\n%s", c.Value, c.Stack) }

// guarded is the root with a net below it: Bubble Tea would write the stack
// over the person's screen.
type guarded struct {
	*Model
	mu    sync.Mutex
	crash *Crash
}

func (g *guarded) caught() {
	if r := recover(); r != nil {
		g.mu.Lock()
		defer g.mu.Unlock()
		if g.crash == nil {
			g.crash = &Crash{r, debug.Stack()}
		}
	}
}

func (g *guarded) crashed() *Crash {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.crash
}

func (g *guarded) Init() tea.Cmd {
	var cmd tea.Cmd
	func() { defer g.caught(); cmd = g.Model.Init() }()
	return g.guard(cmd)
}

func (g *guarded) Update(msg tea.Msg) (tea.Model, tea.Cmd) {
	if g.crashed() != nil {
		return g, tea.Quit
	}
	var cmd tea.Cmd
	func() { defer g.caught(); _, cmd = g.Model.Update(msg) }()
	if g.crashed() != nil {
		return g, tea.Quit
	}
	return g, g.guard(cmd)
}

// View draws nothing once something is wrong: the next message ends it.
func (g *guarded) View() tea.View {
	v := tea.NewView("")
	v.AltScreen = true
	func() { defer g.caught(); v = g.Model.View() }()
	return v
}

// guard catches what a command does, however it is nested. The message wakes
// Update, which quits.
func (g *guarded) guard(cmd tea.Cmd) tea.Cmd {
	if cmd == nil {
		return nil
	}
	return func() (msg tea.Msg) {
		defer func() {
			if g.crashed() != nil {
				msg = tea.QuitMsg{}
			}
		}()
		defer g.caught()
		msg = cmd()
		if batch, ok := msg.(tea.BatchMsg); ok {
			for i := range batch {
				batch[i] = g.guard(batch[i])
			}
		}
		return msg
	}
}
