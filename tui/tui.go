// Package tui is the dashboards of prismctl: a root that knows the size of the
// screen, the colours, the global keys and what just happened, and pages that
// show things. Whoever starts it brings the sources that the pages ask.
package tui

import (
	"context"
	"maps"
	"os/exec"
	"strings"
	"time"

	tea "charm.land/bubbletea/v2"

	"github.com/prism-data-layer/prism/pkg/clock"
	"github.com/prism-data-layer/prism/tui/component/task"
	"github.com/prism-data-layer/prism/tui/component/toast"
	"github.com/prism-data-layer/prism/tui/component/told"
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

// How long a toast stays: an error is read more slowly.
const (
	toastTime   = 3 * time.Second
	failureTime = 8 * time.Second
)

// Options are what the dashboards are made of.
type Options struct {
	// Pages are what there is to see; the first is shown unless View names
	// another.
	Pages []page.Factory

	Context   string // the name of the gateway; "" when it has none
	Address   string // of its admin API
	Protected bool
	Command   string // begins the commands that are copied; "": "prismctl"

	// Keys gives actions other keys; CheckKeys says what is wrong with it.
	Keys keys.Remap
	// Commands are what the palette finds beside pages and actions.
	Commands []Command
	// Editor makes the command that edits a file; nil: there is none.
	Editor func(file string) *exec.Cmd
	// Clipboard puts text on this machine's own clipboard; nil: it has none.
	Clipboard func(text string)
	// Told keeps the errors that are shown; nil: they are not kept.
	Told *told.Log

	// State is what was kept at the last end, and Save keeps it at this one; nil:
	// nothing is kept.
	State State
	Save  func(State) error
	// Hint says that a first start is told where the keys are.
	Hint bool

	View     string // the page to begin with, and what it is about: "data orders"
	ReadOnly bool   // nothing may be changed
	// Accessible is for a screen reader: words alone, line by line, the cursor
	// where the selection is, nothing that moves by itself, no mouse.
	Accessible bool
	Refresh    time.Duration // 0: DefaultRefresh
	Mode       theme.Mode
	Charset    theme.Charset
	Clock      clock.Clock // nil: the machine's
	Still      bool        // for tests: nothing waits, they send each Beat
}

// Model is the root.
type Model struct {
	opts  Options
	tasks task.Runner
	theme theme.Theme
	mode  theme.Mode
	state State

	width, height int
	now           time.Time

	pages   []*place // what is open, the last on top
	seq     int      // of places
	visited []page.Go
	visit0  int // of visited: where [ and ] are
	over    overlay
	editing *editing // what the editor is open on, or was last

	mouseOn bool
	drag    *drag
	body    []string // the page as it was drawn last, and its first line
	bodyTop int

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
	m := &Model{opts: o, tasks: tasks, now: tasks.Now(), theme: theme.New(o.Mode), mode: o.Mode, state: o.State, mouseOn: !o.Accessible}
	m.state.Pages = maps.Clone(o.State.Pages)
	if m.state.Pages == nil {
		m.state.Pages = map[string]map[string]string{}
	}
	f, arg, ok := m.view(o.View)
	if !ok {
		f, arg = o.Pages[0], ""
	}
	m.push(f, arg)
	// Where the person was last, with the first page below it.
	if last, arg, ok := m.view(o.State.View); o.View == "" && ok && last.Name != f.Name {
		m.push(last, arg)
	}
	m.visited = []page.Go{{Name: m.top().name, Arg: m.top().arg}}
	return m
}

// view reads "data orders"; false when there is no such page, or it lacks what
// it is about.
func (m *Model) view(s string) (f page.Factory, arg string, ok bool) {
	name, arg, _ := strings.Cut(s, " ")
	f, ok = m.find(name)
	return f, arg, ok && (arg != "" || f.Arg == "" || f.ArgOptional)
}

// global and table are the bindings that are in force, everywhere and on the
// page on top.
func (m *Model) global() keys.Table { return m.opts.Keys.On(keys.Global()) }

func (m *Model) table() keys.Table {
	return m.opts.Keys.On(m.page().Keys()).Offered(m.opts.ReadOnly)
}

// CheckKeys says what is wrong with the keys that Options give.
func (m *Model) CheckKeys() []string {
	tables := map[string]keys.Table{}
	for _, f := range m.opts.Pages {
		p := f.New(m.env(), "-")
		tables[f.Name] = p.Keys()
		p.Close()
	}
	return m.opts.Keys.Check(tables)
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
	for _, p := range m.pages[:len(m.pages)-1] {
		cmds = append(cmds, p.init())
	}
	if m.mode.Follows() {
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
		m.width, m.height, m.drag = msg.Width, msg.Height, nil
	case tea.BackgroundColorMsg:
		if m.mode.Follows() {
			m.setTheme(theme.New(m.mode.On(msg.IsDark())))
		}
	case Beat:
		m.now = time.Time(msg)
		return m, tea.Batch(m.top().from(m.page().Beat(m.now)), m.wait())
	case toast.Msg:
		return m, m.toasted(msg)
	case toastEnd:
		if int(msg) == m.toastNo {
			m.toast = toast.Msg{}
		}
	case tea.KeyPressMsg:
		return m, m.press(msg)
	case tea.PasteMsg:
		return m, m.paste(msg)
	case tea.MouseMsg:
		return m, m.mouse(msg)
	case answer:
		return m, m.answered(msg)
	case asked:
		return m, m.asked(msg.from, msg.what)
	case page.Go, page.Ask, page.Form, page.Edit, page.Show:
		return m, m.asked(m.top().no, msg)
	case jobSaid:
		return m, msg.job.heard()
	case jobDone:
		m.now = m.tasks.Now()
		return m, msg.job.then(msg.result, msg.err)
	case choices:
		msg.take()
	case completions:
		msg.take()
	case copied:
		return m, msg.tell(m)
	case edited:
		return m, msg.editing.left(msg.err)
	}
	return m, nil
}

// asked does what a page asked for.
func (m *Model) asked(from int, what tea.Msg) tea.Cmd {
	switch what := what.(type) {
	case page.Go:
		return m.open(what)
	case page.Ask:
		return m.ask(from, what)
	case page.Form:
		return m.fill(from, what)
	case page.Edit:
		return m.edit(from, what)
	case page.Show:
		return m.read(from, what)
	}
	return nil
}

// toasted shows what just happened, and keeps it when it is an error.
func (m *Model) toasted(t toast.Msg) tea.Cmd {
	m.toast = t
	m.toastNo++
	no, stay := m.toastNo, toastTime
	if t.Err != nil {
		stay = failureTime
		m.keep(m.top().no, t.Err)
	}
	return m.tasks.After(stay, func(time.Time) tea.Msg { return toastEnd(no) })
}

// keep puts an error into the list of those that were told.
func (m *Model) keep(from int, err error) {
	if m.opts.Told == nil {
		return
	}
	name := ""
	for _, p := range m.pages {
		if p.no == from {
			name = p.crumb()
		}
	}
	m.opts.Told.Add(m.tasks.Now(), name, err)
}

// press sends a key where it belongs: to what is open, to the line that is
// typed, else to the action that the tables give it.
func (m *Model) press(k tea.KeyPressMsg) tea.Cmd {
	key := k.String()
	m.drag = nil
	if key == "ctrl+c" { // whatever else is going on
		return tea.Quit
	}
	switch {
	case m.over != nil:
		return m.over.press(key, k.Text)
	case m.page().Typing():
		return m.top().from(m.page().Update(k))
	}
	if b, ok := m.global().Find(key); ok {
		return m.do(b.Action)
	}
	if b, ok := m.opts.Keys.On(m.page().Keys()).Find(key); ok {
		return m.inPage(b)
	}
	return nil
}

func (m *Model) paste(p tea.PasteMsg) tea.Cmd {
	switch {
	case m.over != nil:
		return m.over.press("", p.Content)
	case m.page().Typing():
		return m.top().from(m.page().Update(p))
	}
	return nil
}

// do performs a global action.
func (m *Model) do(a keys.Action) tea.Cmd {
	switch a {
	case keys.Help:
		m.state.Seen = true
		m.show(newHelp(m))
	case keys.Palette:
		m.state.Seen = true
		return m.openPalette()
	case keys.Back:
		m.back()
	case keys.Quit:
		if !m.pop() {
			return tea.Quit
		}
	case keys.Kill:
		return tea.Quit
	case keys.Suspend:
		return tea.Suspend
	case keys.CopyID, keys.CopyObj, keys.CopyCmd:
		return m.copySelected(a)
	case keys.Errors:
		return m.open(page.Go{Name: "errors"})
	case keys.Earlier:
		return m.again(-1)
	case keys.Later:
		return m.again(1)
	case keys.Mouse:
		m.mouseOn, m.drag = !m.mouseOn, nil
		if m.mouseOn {
			return toast.Show("the mouse is on: drag copies within a pane")
		}
		return toast.Show("the mouse is off: the terminal selects")
	}
	return nil
}

// back goes one step back: out of a toast, a filter, the page.
func (m *Model) back() {
	switch {
	case m.toast.Text != "":
		m.toast = toast.Msg{}
	case m.page().Back():
	default:
		m.pop()
	}
}
