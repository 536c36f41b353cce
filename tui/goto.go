package tui

import (
	"context"
	"slices"
	"time"

	tea "charm.land/bubbletea/v2"

	"github.com/prism-data-layer/prism/tui/component/palette"
	"github.com/prism-data-layer/prism/tui/component/problem"
	"github.com/prism-data-layer/prism/tui/component/text"
	"github.com/prism-data-layer/prism/tui/keys"
	"github.com/prism-data-layer/prism/tui/page"
	"github.com/prism-data-layer/prism/tui/theme"
)

const (
	completeLimit = 2 * time.Second // for the names that an argument may have
	maxHistory    = 50
)

// A Command is one of prismctl's: the palette finds it and shows its help.
type Command struct {
	Name, About string
	Help        func() string
}

// A goTo is the palette on the screen.
type goTo struct {
	m       *Model
	palette *palette.Model
	run     []func(arg string) tea.Cmd // by ID of the entries
	pages   map[int]page.Factory
}

// completions are the arguments that came for a page.
type completions struct {
	of   *goTo
	id   int
	list []string
	err  error
}

// openPalette lists everything that there is to go to and to do.
func (m *Model) openPalette() tea.Cmd {
	g := &goTo{m: m, pages: map[int]page.Factory{}}
	var entries []palette.Entry
	add := func(e palette.Entry, run func(string) tea.Cmd) {
		e.ID = len(g.run)
		entries, g.run = append(entries, e), append(g.run, run)
	}
	for _, f := range m.opts.Pages {
		g.pages[len(g.run)] = f
		add(palette.Entry{Name: f.Name, Aliases: f.Aliases, About: f.About, Arg: f.Arg, Needed: f.Arg != "" && !f.ArgOptional},
			func(arg string) tea.Cmd { return m.visit(page.Go{Name: f.Name, Arg: arg}) })
	}
	seen := map[string]bool{}
	for _, e := range entries {
		seen[e.Name] = true
	}
	for _, b := range m.table() {
		if _, walks := keys.List().Of(b.Action); walks && b.Label == "" || seen[string(b.Action)] {
			continue
		}
		if _, pane := keys.PaneOf(b.Action); pane {
			continue
		}
		name := b.Label
		if name == "" || seen[name] {
			name = string(b.Action)
		}
		seen[name] = true
		add(palette.Entry{Name: name, About: b.Help + " (" + b.Shown() + ")"}, func(string) tea.Cmd { return m.inPage(b) })
	}
	for _, word := range theme.Modes() {
		add(palette.Entry{Name: "theme " + word, About: "colours for this session and the next"}, func(string) tea.Cmd { return m.chooseTheme(word) })
	}
	add(palette.Entry{Name: "keys", Aliases: []string{"help"}, About: "what keys do here"}, func(string) tea.Cmd { return m.do(keys.Help) })
	add(palette.Entry{Name: "mouse", About: "turn the mouse off or on"}, func(string) tea.Cmd { return m.do(keys.Mouse) })
	add(palette.Entry{Name: "quit", Aliases: []string{"q", "exit"}, About: "leave the dashboards"}, func(string) tea.Cmd { return tea.Quit })
	for _, c := range m.opts.Commands {
		if !seen[c.Name] {
			add(palette.Entry{Name: c.Name, About: "prismctl " + c.Name + ": " + c.About}, func(string) tea.Cmd {
				return m.read(0, page.Show{Title: "prismctl " + c.Name, Text: func(context.Context) (string, error) { return c.Help(), nil }})
			})
		}
	}
	g.palette = palette.New(entries, m.state.History)
	m.show(g)
	return nil
}

func (g *goTo) crumb() string           { return "go to" }
func (g *goTo) wheel(int)               {}
func (g *goTo) whole() bool             { return false }
func (g *goTo) footer(width int) string { return g.palette.Prompt(width) }

func (g *goTo) view(th theme.Theme, width, height int) []string {
	return g.palette.View(th, width, min(height, 12))
}

func (g *goTo) press(key, chars string) tea.Cmd {
	c, ok, done := g.palette.Press(key, chars)
	if done {
		g.m.close(g)
	}
	if ok {
		g.m.remember(c.Line())
		return g.run[c.Entry.ID](c.Arg)
	}
	if e, wants := g.palette.Wants(); wants && !done {
		f := g.pages[e.ID]
		if f.Complete == nil {
			g.palette.SetArgs(e.ID, nil, "")
			return nil
		}
		g.palette.Asking(e.ID)
		return g.m.tasks.Call(completeLimit, func(ctx context.Context) tea.Msg {
			list, err := f.Complete(ctx)
			return completions{g, e.ID, list, err}
		})
	}
	return nil
}

func (c completions) take() {
	why := ""
	if c.err != nil {
		what, _, _ := problem.Explain(c.err)
		why = "! " + what
	}
	c.of.palette.SetArgs(c.id, c.list, why)
}

// remember puts a choice into the history.
func (m *Model) remember(line string) {
	h := slices.DeleteFunc(slices.Clone(m.state.History), func(s string) bool { return s == line })
	h = slices.Insert(h, 0, line)
	m.state.History = h[:min(len(h), maxHistory)]
}

// visit goes from the first page straight to another.
func (m *Model) visit(g page.Go) tea.Cmd {
	f, ok := m.find(g.Name)
	if ok && m.top().name == f.Name && m.top().arg == g.Arg {
		return nil
	}
	if ok && (g.Arg != "" || f.Arg == "" || f.ArgOptional) {
		for m.pop() {
		}
	}
	return m.open(g)
}

// chooseTheme takes another theme, which is kept.
func (m *Model) chooseTheme(word string) tea.Cmd {
	mode, _ := theme.ParseMode(text.Clean(word))
	m.mode, m.state.Theme = mode, word
	m.setTheme(theme.New(mode))
	if mode.Follows() {
		return tea.RequestBackgroundColor
	}
	return nil
}
