// Package palette finds a page or an action by a few letters of it.
package palette

import (
	"slices"
	"strings"

	"github.com/prism-data-layer/prism/tui/component/entry"
	"github.com/prism-data-layer/prism/tui/component/fuzzy"
	"github.com/prism-data-layer/prism/tui/component/text"
	"github.com/prism-data-layer/prism/tui/theme"
)

// An Entry is one thing to choose.
type Entry struct {
	Name    string   // "namespaces", "theme dark"
	Aliases []string // as good as Name, typed whole
	About   string
	Arg     string // what may follow, such as "NAMESPACE"; "": nothing
	Needed  bool   // it must follow
	ID      int    // for the owner
}

// A Model is the line and what it finds.
type Model struct {
	entries []Entry
	history []string // the newest first
	line    entry.Model
	mark    int

	args    []string
	argsFor int // ID of the entry that args are of; -1: none
	state   string
}

// New makes a palette. What was chosen before stands first while nothing is
// typed.
func New(entries []Entry, history []string) *Model {
	return &Model{entries: entries, history: history, argsFor: -1}
}

// A Choice is what Enter takes.
type Choice struct {
	Entry Entry
	Arg   string
}

// Line is what the history keeps of it.
func (c Choice) Line() string { return strings.TrimSpace(c.Entry.Name + " " + c.Arg) }

// A row is one line of what is found.
type row struct {
	name, about string
	choice      Choice
	whole       string // what Tab makes of the line
}

// exact is the entry whose name or alias is typed whole.
func (m *Model) exact(word string) (Entry, bool) {
	for _, e := range m.entries {
		if e.Name == word || slices.Contains(e.Aliases, word) {
			return e, true
		}
	}
	return Entry{}, false
}

// Wants is the entry whose arguments are typed now; the owner asks for them
// and gives them to SetArgs. False when none are, or when they are there.
func (m *Model) Wants() (Entry, bool) {
	e, _, ok := m.split()
	return e, ok && e.ID != m.argsFor
}

// split parts "data ord" into the entry and what is typed of its argument.
func (m *Model) split() (e Entry, arg string, ok bool) {
	word, arg, spaced := strings.Cut(strings.TrimLeft(m.line.Value(), " "), " ")
	e, ok = m.exact(word)
	return e, strings.TrimSpace(arg), ok && spaced && e.Arg != ""
}

// SetArgs brings the arguments of an entry, or says why there are none.
func (m *Model) SetArgs(id int, args []string, problem string) {
	m.args, m.argsFor, m.state, m.mark = args, id, problem, 0
}

// Asking notes that the arguments of an entry were asked for.
func (m *Model) Asking(id int) { m.SetArgs(id, nil, "asking for what there is…") }

func (m *Model) rows() []row {
	typed := strings.TrimSpace(m.line.Value())
	if e, arg, ok := m.split(); ok {
		var out []row
		for _, i := range fuzzy.Find(arg, m.args) {
			a := m.args[i]
			out = append(out, row{name: e.Name + " " + a, about: "", choice: Choice{e, a}, whole: e.Name + " " + a})
		}
		switch {
		case arg != "" && !slices.Contains(m.args, arg): // it may be right and not listed
			out = append(out, row{name: e.Name + " " + arg, about: "as typed", choice: Choice{e, arg}, whole: e.Name + " " + arg})
		case arg == "" && !e.Needed:
			out = append([]row{{name: e.Name, about: e.About, choice: Choice{Entry: e}, whole: e.Name}}, out...)
		}
		return out
	}
	if typed == "" {
		return append(m.past(), m.found(typed)...)
	}
	return m.found(typed)
}

// past is what was chosen before and can be chosen still.
func (m *Model) past() []row {
	var out []row
	for _, h := range m.history {
		if len(out) == 3 {
			break
		}
		word, arg, _ := strings.Cut(h, " ")
		e, ok := m.exact(h)
		if !ok {
			if e, ok = m.exact(word); !ok || e.Arg == "" {
				continue
			}
		} else {
			arg = ""
		}
		out = append(out, row{name: h, about: "again", choice: Choice{e, arg}, whole: h})
	}
	return out
}

func (m *Model) found(typed string) []row {
	names := make([]string, len(m.entries))
	for i, e := range m.entries {
		names[i] = e.Name
	}
	order := fuzzy.Find(typed, names)
	if e, ok := m.exact(typed); ok {
		at := slices.IndexFunc(m.entries, func(x Entry) bool { return x.ID == e.ID })
		order = slices.Insert(slices.DeleteFunc(order, func(i int) bool { return i == at }), 0, at)
	}
	if typed != "" { // words of what they are about come last
		for i, e := range m.entries {
			if !slices.Contains(order, i) && strings.Contains(strings.ToLower(e.About), strings.ToLower(typed)) {
				order = append(order, i)
			}
		}
	}
	out := make([]row, 0, len(order))
	for _, i := range order {
		e := m.entries[i]
		name, whole := e.Name, e.Name
		if e.Arg != "" {
			whole += " "
			if name += " " + e.Arg; !e.Needed {
				name = e.Name + " [" + e.Arg + "]"
			}
		}
		out = append(out, row{name: name, about: e.About, choice: Choice{Entry: e}, whole: whole})
	}
	return out
}

// Press takes a key, or a paste as chars; done with false is that the person
// chose nothing.
func (m *Model) Press(key, chars string) (c Choice, ok, done bool) {
	rows := m.rows()
	m.mark = max(min(m.mark, len(rows)-1), 0)
	switch key {
	case "esc":
		return Choice{}, false, true
	case "up", "ctrl+p":
		m.mark = max(m.mark-1, 0)
	case "down", "ctrl+n":
		m.mark = min(m.mark+1, max(len(rows)-1, 0))
	case "tab":
		if len(rows) > 0 {
			m.line.Set(rows[m.mark].whole)
			m.mark = 0
		}
	case "enter":
		if len(rows) == 0 {
			return Choice{}, false, m.line.Value() == ""
		}
		r := rows[m.mark]
		if r.choice.Entry.Needed && r.choice.Arg == "" {
			m.line.Set(r.whole)
			m.mark = 0
			return Choice{}, false, false
		}
		return r.choice, true, true
	case "backspace":
		if m.line.Value() == "" {
			return Choice{}, false, true
		}
		fallthrough
	default:
		if m.line.Press(key, chars) {
			m.mark = 0
		}
	}
	return Choice{}, false, false
}

// Prompt is the line that is typed.
func (m *Model) Prompt(width int) string { return ":" + m.line.View(max(width-1, 1), false) }

// View draws what is found into at most height lines.
func (m *Model) View(th theme.Theme, width, height int) []string {
	rows := m.rows()
	m.mark = max(min(m.mark, len(rows)-1), 0)
	var out []string
	if _, _, ok := m.split(); ok && m.state != "" {
		out = append(out, "  "+th.Paint(theme.Faint, text.Cut(text.Clean(m.state), width-2)))
	} else if len(rows) == 0 {
		out = append(out, "  "+th.Paint(theme.Warn, text.Cut("! no page and no action is called so", width-2)))
	}
	room := height - len(out)
	first := max(min(m.mark-room/2, len(rows)-room), 0)
	wide := min(max(width/3, 16), 32)
	for i := first; i < min(first+room, len(rows)); i++ {
		name := text.Clean(rows[i].name)
		line := text.Fit(name, max(wide, text.Width(name))) + "  " + text.Clean(rows[i].about)
		if i == m.mark {
			out = append(out, text.Cut(th.Paint(theme.Selected, text.Cut("▸ "+line, width)), width))
			continue
		}
		out = append(out, text.Cut("  "+line, width))
	}
	return out[:min(len(out), max(height, 0))]
}
