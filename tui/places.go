package tui

import (
	"reflect"
	"slices"
	"strings"

	tea "charm.land/bubbletea/v2"

	"github.com/prism-data-layer/prism/tui/component/text"
	"github.com/prism-data-layer/prism/tui/component/toast"
	"github.com/prism-data-layer/prism/tui/keys"
	"github.com/prism-data-layer/prism/tui/page"
)

// A place is a page that is open.
type place struct {
	no        int
	name, arg string
	page      page.Page
	err       string // the error of its feed that was told last
}

// asked is what a page wants of the root.
type asked struct {
	from int
	what tea.Msg
}

// An answer is a message for the page that asked, whether or not it is on top.
type answer struct {
	to  int
	msg tea.Msg
}

func (m *Model) top() *place { return m.pages[len(m.pages)-1] }

func (m *Model) page() page.Page { return m.top().page }

func (m *Model) find(name string) (page.Factory, bool) {
	i := slices.IndexFunc(m.opts.Pages, func(f page.Factory) bool { return f.Name == name || slices.Contains(f.Aliases, name) })
	if i < 0 {
		return page.Factory{}, false
	}
	return m.opts.Pages[i], true
}

// push opens a page on top of the others.
func (m *Model) push(f page.Factory, arg string) *place {
	m.seq++
	p := &place{no: m.seq, name: f.Name, arg: arg, page: f.New(m.env(), arg)}
	p.page.SetTheme(m.theme)
	if kept := m.state.Pages[f.Name]; len(kept) > 0 {
		p.page.Remember(kept)
	}
	m.pages = append(m.pages, p)
	return p
}

func (m *Model) env() page.Env {
	return page.Env{
		Tasks: m.tasks, Refresh: m.opts.Refresh, Charset: m.opts.Charset, Command: m.opts.Command,
		ReadOnly: m.opts.ReadOnly, Protected: m.opts.Protected,
	}
}

// pop leaves the page on top; false when it is the last.
func (m *Model) pop() bool {
	if len(m.pages) == 1 {
		return false
	}
	m.state.Pages[m.top().name] = m.page().Memory()
	m.page().Close()
	m.pages, m.drag = m.pages[:len(m.pages)-1], nil
	m.page().Feed().Hurry()
	return true
}

// open follows a page's wish for another. A page that is open already is gone
// back to.
func (m *Model) open(g page.Go) tea.Cmd {
	cmd, ok := m.goTo(g)
	if ok {
		m.visited = append(m.visited[:m.visit0+1], page.Go{Name: m.top().name, Arg: m.top().arg})
		m.visited = m.visited[max(len(m.visited)-maxHistory, 0):]
		m.visit0 = len(m.visited) - 1
	}
	return cmd
}

// again goes to the page that was open before or after.
func (m *Model) again(by int) tea.Cmd {
	to := m.visit0 + by
	if to < 0 || to >= len(m.visited) {
		return toast.Warn("there is no page to go back to, or on to")
	}
	m.visit0 = to
	g := m.visited[to]
	for m.pop() {
	}
	cmd, _ := m.goTo(g)
	return cmd
}

// goTo opens a page; false when it cannot be.
func (m *Model) goTo(g page.Go) (tea.Cmd, bool) {
	f, ok := m.find(g.Name)
	switch {
	case !ok:
		return toast.Warn("there is no page " + text.Clean(g.Name)), false
	case g.Arg == "" && f.Arg != "" && !f.ArgOptional:
		return toast.Warn(f.Name + " needs a " + strings.ToLower(f.Arg)), false
	}
	for i, p := range m.pages {
		if p.name == f.Name && p.arg == g.Arg {
			for len(m.pages) > i+1 {
				m.pop()
			}
			return nil, true
		}
	}
	m.over = nil
	return m.push(f, g.Arg).init(), true
}

func (p *place) init() tea.Cmd { return p.from(p.page.Init()) }

// crumb is the page in the breadcrumb.
func (p *place) crumb() string { return strings.TrimSpace(p.name + " " + text.Clean(p.arg)) }

func (m *Model) crumbs() string {
	names := make([]string, len(m.pages))
	for i, p := range m.pages {
		names[i] = p.crumb()
	}
	return strings.Join(names, " › ")
}

// from gives the answers of a page's command back to that page. What is for the
// root or for Bubble Tea passes.
func (p *place) from(cmd tea.Cmd) tea.Cmd {
	if cmd == nil {
		return nil
	}
	return func() tea.Msg {
		switch msg := cmd().(type) {
		case nil:
			return nil
		case tea.BatchMsg:
			for i := range msg {
				msg[i] = p.from(msg[i])
			}
			return msg
		case page.Go, page.Ask, page.Form, page.Edit, page.Show:
			return asked{p.no, msg}
		case toast.Msg, asked, answer, jobSaid, jobDone, choices, completions, copied:
			return msg
		default:
			if reflect.TypeOf(msg).PkgPath() == bubbleTea {
				return msg
			}
			return answer{p.no, msg}
		}
	}
}

const bubbleTea = "charm.land/bubbletea/v2"

// answered hands an answer over; a page that has been left wants none.
func (m *Model) answered(a answer) tea.Cmd {
	m.now = m.tasks.Now()
	for _, p := range m.pages {
		if p.no == a.to {
			cmd := p.from(p.page.Update(a.msg))
			m.noteError(p)
			return cmd
		}
	}
	return nil
}

// noteError keeps what went wrong with a page's data, once.
func (m *Model) noteError(p *place) {
	err := p.page.Feed().Err()
	switch {
	case err == nil:
		p.err = ""
	case p.err != err.Error():
		p.err = err.Error()
		m.keep(p.no, err)
	}
}

// Close ends what the pages have open.
func (m *Model) Close() {
	for _, p := range m.pages {
		p.page.Close()
	}
}

// inPage performs an action of the page on top.
func (m *Model) inPage(b keys.Binding) tea.Cmd {
	if b.Changes && m.opts.ReadOnly {
		return toast.Warn("read-only: nothing may be changed here")
	}
	return m.top().from(m.page().Do(b.Action))
}
