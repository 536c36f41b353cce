package tui

import (
	"context"

	tea "charm.land/bubbletea/v2"

	"github.com/prism-data-layer/prism/tui/component/dialog"
	"github.com/prism-data-layer/prism/tui/component/text"
	"github.com/prism-data-layer/prism/tui/component/toast"
	"github.com/prism-data-layer/prism/tui/page"
	"github.com/prism-data-layer/prism/tui/theme"
)

// An ask is a question before something is done.
type ask struct {
	m      *Model
	dialog *dialog.Model
	yes    func() tea.Cmd
	no     func() tea.Cmd // nil: nothing happens
}

func (a *ask) crumb() string           { return text.Clean(a.dialog.Title) }
func (a *ask) wheel(int)               {}
func (a *ask) whole() bool             { return false }
func (a *ask) footer(width int) string { return text.Cut(a.dialog.Keys(), width) }

func (a *ask) press(key, chars string) tea.Cmd {
	switch a.dialog.Press(key, chars) {
	case dialog.Yes:
		a.m.close(a)
		return a.yes()
	case dialog.No:
		a.m.close(a)
		if a.no != nil {
			return a.no()
		}
	case dialog.Open:
	}
	return nil
}

// view keeps the last lines in sight, where the answer is.
func (a *ask) view(th theme.Theme, width, height int) []string {
	lines := append(append([]string{""}, a.dialog.View(th, width)...), "")
	return lines[max(len(lines)-height, 0):]
}

// ask asks what a page wants to be asked.
func (m *Model) ask(from int, q page.Ask) tea.Cmd {
	if m.opts.ReadOnly {
		return readOnly()
	}
	d := &dialog.Model{Title: q.Title, Lines: q.Lines, Verb: q.Verb, Type: q.Type, Command: q.Command}
	if d.Type == "" && m.opts.Protected {
		d.Type = q.Name
	}
	if d.Verb == "" {
		d.Verb = "Yes"
	}
	if m.opts.Protected {
		d.Lines = append([]string{"! " + m.where() + " is protected"}, d.Lines...)
	}
	m.show(&ask{m: m, dialog: d, yes: func() tea.Cmd { return m.carryOut(from, q.Title, q.Job) }})
	return nil
}

// carryOut does a page's job before everybody's eyes.
func (m *Model) carryOut(from int, title string, j page.Job) tea.Cmd {
	var running *job
	do := j.Do
	if do == nil {
		do = func(context.Context, func(string)) (string, error) { return "", nil }
	}
	running, cmd := m.start(title, j.Command, do, func(result string, err error) tea.Cmd {
		m.close(running)
		return m.finished(from, title, result, err)
	})
	m.show(running)
	return cmd
}

func readOnly() tea.Cmd { return toast.Warn("read-only: nothing may be changed here") }
