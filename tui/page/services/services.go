// Package services is the page of what runs for this folder: prismd, the stacks
// beside it and the project's own programs.
package services

import (
	"context"
	"fmt"
	"strings"
	"time"

	tea "charm.land/bubbletea/v2"

	"github.com/prism-data-layer/prism/tui/component/cell"
	"github.com/prism-data-layer/prism/tui/component/figure"
	"github.com/prism-data-layer/prism/tui/component/pane"
	"github.com/prism-data-layer/prism/tui/component/table"
	"github.com/prism-data-layer/prism/tui/component/text"
	"github.com/prism-data-layer/prism/tui/component/toast"
	"github.com/prism-data-layer/prism/tui/component/value"
	"github.com/prism-data-layer/prism/tui/keys"
	"github.com/prism-data-layer/prism/tui/page"
	"github.com/prism-data-layer/prism/tui/theme"
)

// Name is the page's name.
const Name = "services"

// A Source answers what runs, and runs the commands that change it.
type Source interface {
	page.Shell
	Services(ctx context.Context) (Snapshot, error)
}

// A Snapshot is one look.
type Snapshot struct {
	Root     string // the folder
	Running  bool   // a supervisor answers
	Warnings []string
	Services []Service
}

// A Service is a row.
type Service struct {
	Name, State string // "starting", "ready", "degraded", "crashed", "crash-loop", …
	Message     string // why it is not ready
	Form        string // of a stack: "container", "native"
	Ports       []string
	PID         int
	Since       time.Time
	Restarts    int
	Exit        string
	Dependants  []string
	LastLog     []string
	CPU         float64 // of one core, of its process since the last look; below 0: not known
	Memory      int64   // resident; below 0: not known
}

// The actions of the page.
const (
	actLogs    keys.Action = "services-logs"
	actAll     keys.Action = "services-all-logs"
	actRestart keys.Action = "services-restart"
	actStop    keys.Action = "services-stop"
	actOpen    keys.Action = "services-open"
)

// Model is the page.
type Model struct {
	*page.Split[Snapshot]
	source Source
	pane   *pane.Pane
	last   Snapshot
	of     map[string]Service
}

// Factory makes the page of a source.
func Factory(s Source) page.Factory {
	return page.Factory{
		Name: Name, Aliases: []string{"dev", "stacks"}, About: "what runs for this folder: prismd, stacks, programs",
		New: func(e page.Env, _ string) page.Page { return New(e, s) },
	}
}

// New makes the page. It asks for nothing before Init.
func New(e page.Env, s Source) *Model {
	m := &Model{source: s, pane: &pane.Pane{
		Title: "Services",
		Empty: []string{"nothing runs for this folder", "start it: " + e.Line("dev", "up", "--detach")},
		Table: table.New(
			table.Column{Title: "SERVICE", Min: 12, Max: 40},
			table.Column{Title: "STATE", Min: 11, Max: 14},
			table.Column{Title: "SINCE", Min: 5, Right: true, Drop: 3},
			table.Column{Title: "RESTARTS", Min: 8, Right: true},
			table.Column{Title: "CPU", Min: 6, Right: true, Drop: 4},
			table.Column{Title: "MEMORY", Min: 8, Right: true, Drop: 5},
			table.Column{Title: "PORTS", Min: 12, Max: 40, Drop: 2},
			table.Column{Title: "FORM", Min: 9, Max: 10, Drop: 6},
			table.Column{Title: "MESSAGE", Min: 12, Drop: 1},
		),
	}}
	m.Split = page.NewSplit(page.NewBoard(e, s.Services, m.take, m.pane), m.pane, nil, m.stamp)
	m.At(m.detail)
	return m
}

func (m *Model) take(s Snapshot) {
	m.last = s
	m.of = make(map[string]Service, len(s.Services))
	rows := make([]table.Row, 0, len(s.Services))
	counts := map[string]int{}
	now := m.Live.Now()
	for _, x := range s.Services {
		m.of[x.Name] = x
		counts[word(x.State)]++
		cpu, memory := cell.None(), cell.None()
		if x.CPU >= 0 {
			cpu = table.Cell{Text: fmt.Sprintf("%.0f %%", x.CPU*100), Order: x.CPU}
		}
		if x.Memory >= 0 {
			memory = table.Cell{Text: figure.Bytes(x.Memory), Order: float64(x.Memory)}
		}
		message := cell.Words(x.Message)
		if message.Text == "" && x.Exit != "" && word(x.State) == "crashed" {
			message = cell.Words(x.Exit)
		}
		message.Role = cell.Wellness(word(x.State))
		restarts := cell.Number(int64(x.Restarts))
		if x.Restarts > 0 {
			restarts.Role = theme.Warn
		}
		rows = append(rows, table.Row{ID: x.Name, Command: m.Env.Line("dev", "status"), Cells: []table.Cell{
			cell.Words(x.Name), state(x.State), cell.At(x.Since, now), restarts, cpu, memory, cell.Words(strings.Join(x.Ports, " ")), cell.Words(x.Form), message,
		}})
	}
	m.pane.Tally(counts)
	if !s.Running && len(rows) > 0 {
		m.pane.Summary, m.pane.Role = "stopped: "+m.Env.Line("dev", "up"), theme.Warn
	}
	m.pane.Table.SetRows(rows)
}

// word is the state as package cell judges it.
func word(s string) string {
	if s == "crash-loop" {
		return "crashed"
	}
	return s
}

func state(s string) table.Cell {
	c := cell.State(word(s))
	c.Text = cell.Glyph(c.Role) + " " + text.Clean(s)
	return c
}

// detail is what is known of a service beside its row, and its last lines.
func (m *Model) detail(r table.Row) (value.Content, bool) {
	x := m.of[r.ID]
	var notes []string
	for _, n := range []struct{ word, of string }{{"exit: ", x.Exit}, {"needed by: ", strings.Join(x.Dependants, ", ")}, {"message: ", x.Message}} {
		if n.of != "" {
			notes = append(notes, n.word+n.of)
		}
	}
	if x.PID > 0 {
		notes = append(notes, fmt.Sprintf("process: %d", x.PID))
	}
	lines := "logs: Enter\n"
	if len(x.LastLog) > 0 {
		lines = strings.Join(x.LastLog, "\n")
	}
	return value.Content{Notes: notes, Data: []byte(lines)}, true
}

func (m *Model) stamp(r table.Row) string {
	x := m.of[r.ID]
	return fmt.Sprint(x.Name, x.State, x.PID, x.Restarts, x.Exit, x.Message, len(x.LastLog), x.Dependants)
}

// Notice is what the supervisor warns of.
func (m *Model) Notice() string { return text.Clean(strings.Join(m.last.Warnings, "; ")) }

// Keys is what keys do on the page.
func (m *Model) Keys() keys.Table {
	return append(keys.Table{
		{Action: actLogs, Keys: []string{"enter"}, Label: "logs", Help: "what the service writes"},
		{Action: actAll, Keys: []string{"L"}, Help: "what all services write"},
		{Action: actOpen, Keys: []string{"o"}, Label: "open", Help: "the address of its page, and what to know to sign in"},
		{Action: actRestart, Keys: []string{"R"}, Label: "restart", Help: "drain the service and start it again", Changes: true},
		{Action: actStop, Keys: []string{"x"}, Label: "stop", Help: "stop everything that runs for this folder", Changes: true},
	}, m.Split.Keys()...)
}

// Do performs an action of Keys.
func (m *Model) Do(a keys.Action) tea.Cmd {
	row, ok := m.pane.Table.Selected()
	x := m.of[row.ID]
	switch {
	case a == actAll:
		return page.Do(page.Go{Name: "logs"})
	case a == actStop:
		return page.Do(page.Ask{
			Title: "Stop all services of this folder?", Verb: "Stop", Name: m.last.Root,
			Lines: []string{fmt.Sprintf("%d services are stopped, those that need others first.", len(m.last.Services)), "Their data stays."},
			Job:   m.Env.Job(m.source, []string{"dev", "down"}),
		})
	case a != actLogs && a != actOpen && a != actRestart:
		return m.Split.Do(a)
	case !ok:
		return toast.Warn("there is no service here")
	case a == actLogs:
		return page.Do(page.Go{Name: "logs", Arg: x.Name})
	case a == actOpen:
		return page.Do(m.Env.Printed(m.source, "Open "+text.Clean(x.Name), "dev", "open", x.Name))
	}
	lines := []string{"It is drained: callers wait, none is refused."}
	if len(x.Dependants) > 0 {
		lines = append(lines, text.Clean(strings.Join(x.Dependants, ", "))+" need it, and go on.")
	}
	return page.Do(page.Ask{Title: "Restart " + text.Clean(x.Name) + "?", Verb: "Restart", Name: x.Name, Lines: lines, Job: m.Env.Job(m.source, []string{"dev", "restart", x.Name})})
}
