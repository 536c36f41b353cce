// Package tui is the dashboards of prismctl: a root that knows the size of the
// screen, the colours, the global keys and what just happened, and pages that
// show things. Whoever starts it brings the sources that the pages ask.
package tui

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	tea "charm.land/bubbletea/v2"

	"github.com/prism-data-layer/prism/pkg/clock"
	"github.com/prism-data-layer/prism/tui/component/feed"
	"github.com/prism-data-layer/prism/tui/component/problem"
	"github.com/prism-data-layer/prism/tui/component/task"
	"github.com/prism-data-layer/prism/tui/component/text"
	"github.com/prism-data-layer/prism/tui/component/toast"
	"github.com/prism-data-layer/prism/tui/keys"
	"github.com/prism-data-layer/prism/tui/page"
	"github.com/prism-data-layer/prism/tui/theme"
)

// The smallest screen that anything is drawn on.
const (
	MinWidth  = 60
	MinHeight = 15
)

// DefaultRefresh is how often a gateway is asked.
const DefaultRefresh = time.Second

// MinRefresh is the shortest interval: a screen that asks more often measures
// itself.
const MinRefresh = 100 * time.Millisecond

// toastTime is how long a toast stays.
const toastTime = 3 * time.Second

// Options are what the dashboards are made of.
type Options struct {
	// Pages are what there is to see; the first is shown unless View names
	// another.
	Pages []page.Factory

	Context   string // the name of the gateway; "" when it has none
	Address   string // of its admin API
	Protected bool
	Command   string // begins the commands that are copied; "": "prismctl"

	View     string        // the page to begin with, and what it is about: "data orders"
	ReadOnly bool          // nothing may be changed
	Refresh  time.Duration // 0: DefaultRefresh
	Mode     theme.Mode
	Charset  theme.Charset
	Clock    clock.Clock // nil: the machine's
	Still    bool        // for tests: nothing waits, they send each Beat
}

// Model is the root.
type Model struct {
	opts  Options
	tasks task.Runner
	theme theme.Theme

	width, height int
	now           time.Time

	pages []*place // what is open, the last on top
	seq   int      // of places
	help  *help

	toast   toast.Msg
	toastNo int // of the toast that is shown: an older one's end does not end it
}

// Beat says that time has passed.
type Beat time.Time

type toastEnd int

// New makes the root. Its commands end with ctx.
func New(ctx context.Context, o Options) *Model {
	if o.Clock == nil {
		o.Clock = clock.Real()
	}
	if o.Refresh == 0 {
		o.Refresh = DefaultRefresh
	}
	o.Refresh = max(o.Refresh, MinRefresh)
	if o.Command == "" {
		o.Command = "prismctl"
	}
	tasks := task.NewRunner(ctx, o.Clock)
	if o.Still {
		tasks = tasks.Still()
	}
	m := &Model{opts: o, tasks: tasks, now: tasks.Now(), theme: theme.New(o.Mode)}
	name, arg, _ := strings.Cut(o.View, " ")
	f, ok := m.find(name)
	if !ok {
		f = o.Pages[0]
	}
	m.push(f, arg)
	return m
}

func (m *Model) setTheme(t theme.Theme) {
	m.theme = t
	for _, p := range m.pages {
		p.page.SetTheme(t)
	}
}

// Init asks for the first data, for the time and, where colours may follow it,
// for the terminal's background.
func (m *Model) Init() tea.Cmd {
	cmds := []tea.Cmd{m.top().init(), m.wait()}
	if m.opts.Mode == theme.Auto {
		cmds = append(cmds, tea.RequestBackgroundColor)
	}
	return tea.Batch(cmds...)
}

// wait is the heart beat: everything that depends on the time hangs on it.
func (m *Model) wait() tea.Cmd {
	return m.tasks.After(min(m.opts.Refresh, time.Second), func(t time.Time) tea.Msg { return Beat(t) })
}

// Update takes one message.
func (m *Model) Update(msg tea.Msg) (tea.Model, tea.Cmd) {
	switch msg := msg.(type) {
	case tea.WindowSizeMsg:
		m.width, m.height = msg.Width, msg.Height
	case tea.BackgroundColorMsg:
		if m.opts.Mode == theme.Auto {
			mode := theme.Light
			if msg.IsDark() {
				mode = theme.Dark
			}
			m.setTheme(theme.New(mode))
		}
	case Beat:
		m.now = time.Time(msg)
		return m, tea.Batch(m.top().from(m.page().Beat(m.now)), m.wait())
	case toast.Msg:
		m.toast = msg
		m.toastNo++
		no := m.toastNo
		return m, m.tasks.After(toastTime, func(time.Time) tea.Msg { return toastEnd(no) })
	case toastEnd:
		if int(msg) == m.toastNo {
			m.toast = toast.Msg{}
		}
	case tea.KeyPressMsg:
		return m, m.press(msg)
	case tea.PasteMsg:
		return m, m.paste(msg)
	case page.Go:
		return m, m.open(msg)
	case answer:
		return m, m.answered(msg)
	}
	return m, nil
}

// press sends a key where it belongs: to the line that is typed, else to the
// action that the tables give it.
func (m *Model) press(k tea.KeyPressMsg) tea.Cmd {
	key := k.String()
	if key == "ctrl+c" { // whatever else is going on
		return tea.Quit
	}
	switch {
	case m.help != nil && m.help.table.Typing():
		m.help.table.Type(key, k.Text)
		return nil
	case m.help == nil && m.page().Typing():
		return m.top().from(m.page().Update(k))
	}
	if b, ok := keys.Global().Find(key); ok {
		return m.do(b.Action)
	}
	if m.help != nil {
		return m.inHelp(key)
	}
	if b, ok := m.page().Keys().Find(key); ok {
		return m.inPage(b)
	}
	return nil
}

func (m *Model) paste(p tea.PasteMsg) tea.Cmd {
	switch {
	case m.help != nil && m.help.table.Typing():
		m.help.table.Type("", p.Content)
	case m.help == nil && m.page().Typing():
		return m.top().from(m.page().Update(p))
	}
	return nil
}

// do performs a global action.
func (m *Model) do(a keys.Action) tea.Cmd {
	switch a {
	case keys.Help:
		if m.help != nil {
			m.help = nil
			return nil
		}
		m.help = newHelp(m.top().name, m.page().Keys(), keys.Global())
	case keys.Back:
		m.back()
	case keys.Quit:
		switch {
		case m.help != nil:
			m.help = nil
		case !m.pop():
			return tea.Quit
		}
	case keys.Kill:
		return tea.Quit
	case keys.Suspend:
		return tea.Suspend
	}
	return nil
}

// back goes one step back: out of a toast, a filter, help.
func (m *Model) back() {
	switch {
	case m.help != nil && m.help.table.Filter() != "":
		m.help.table.SetFilter("")
	case m.help != nil:
		m.help = nil
	case m.toast.Text != "":
		m.toast = toast.Msg{}
	case m.page().Back():
	default:
		m.pop()
	}
}

// inHelp walks through help; Enter runs the entry.
func (m *Model) inHelp(key string) tea.Cmd {
	if key == "enter" {
		a, ok := m.help.chosen()
		m.help = nil
		switch {
		case !ok || a == keys.Help:
			return nil
		case slices.ContainsFunc(keys.Global(), func(b keys.Binding) bool { return b.Action == a }):
			return m.do(a)
		}
		b, _ := m.page().Keys().Of(a)
		return m.inPage(b)
	}
	if b, ok := keys.List().Find(key); ok {
		m.help.table.Do(b.Action)
	}
	return nil
}

// View draws the screen. The same state gives the same frame, and the renderer
// writes nothing for a frame that it has shown.
func (m *Model) View() tea.View {
	v := tea.NewView(m.Frame())
	v.AltScreen = true
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

func (m *Model) screen() []string {
	lines := append([]string{m.title()}, m.banners()...)
	room := m.height - len(lines) - 1
	var body []string
	if m.help != nil {
		body = m.help.view(m.theme, m.width, room)
	} else {
		m.page().SetSize(m.width, room)
		body = strings.Split(m.page().View(), "\n")
	}
	for len(body) < room {
		body = append(body, "")
	}
	return append(append(lines, body[:room]...), m.footer())
}

// title is the breadcrumb, the gateway, and how the data is.
func (m *Model) title() string {
	p := m.page()
	crumb := "prism › " + m.crumbs()
	if m.help != nil {
		crumb += " › keys"
	}
	state, role := p.Feed().Mark(m.now), theme.Good
	switch p.Feed().State(m.now) {
	case feed.Connecting:
		role = theme.Faint
	case feed.Stale, feed.Paused:
		role = theme.Warn
	case feed.Failed:
		role = theme.Bad
	}
	where := m.opts.Context
	if where == "" {
		where = m.opts.Address
	}
	where = text.Clean(where)
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
	return out
}

// footer is what is typed, else what just happened, else what keys do.
func (m *Model) footer() string {
	switch {
	case m.help != nil && m.help.table.Typing():
		return text.Cut(m.help.table.Prompt(), m.width)
	case m.help == nil && m.page().Typing():
		return text.Cut(m.page().Prompt(), m.width)
	case m.toast.Text != "":
		return m.theme.Paint(m.toast.Role, text.Cut(text.Clean(m.toast.Text), m.width))
	case m.help != nil:
		return m.theme.Paint(theme.Faint, text.Cut("Enter runs the entry  / search  Esc back", m.width))
	}
	return m.hints()
}

// hints lists the labelled keys, as many as there is room for.
func (m *Model) hints() string {
	var b strings.Builder
	used := 0
	for _, t := range []keys.Table{keys.Global(), m.page().Keys()} {
		for _, k := range t {
			if k.Label == "" {
				continue
			}
			first := keys.Binding{Keys: k.Keys[:1]}.Shown()
			w := text.Width(first) + 1 + len(k.Label) + 2
			if used+w > m.width {
				continue
			}
			used += w
			b.WriteString(m.theme.Paint(theme.Accent, first) + " " + m.theme.Paint(theme.Faint, k.Label) + "  ")
		}
	}
	return strings.TrimRight(b.String(), " ")
}
