// Package form asks for several values on one screen: one field after the
// other, each with its problem beside it and what it means below it.
package form

import (
	"slices"

	"github.com/prism-data-layer/prism/tui/component/entry"
	"github.com/prism-data-layer/prism/tui/component/fuzzy"
)

// A Field is one question.
type Field struct {
	Name, Label, Help string
	Value             string // the default
	Options           []string
	Asked             bool // Options come later, by SetOptions
	Required          bool
	Secret            bool
	When              func(values map[string]string) bool // nil: always
}

// A Model is a form.
type Model struct {
	Verb string // what is done in the end: "Create"
	// Check answers the problems by field; nil: none.
	Check func(values map[string]string) map[string]string
	// Command is the prismctl command that does the same; nil: none is shown.
	Command func(values map[string]string) string
	// Failure is why it could not be done; Working what is done now.
	Failure, Working string

	fields []*field
	focus  int // in shown; len(shown) is the button
	tried  bool
	dirty  bool
}

type field struct {
	Field
	line    entry.Model
	mark    int // of the options that match
	picking bool
	touched bool
	wait    bool
	problem string // why its options could not be asked for
}

// New makes a form.
func New(fields ...Field) *Model {
	m := &Model{}
	for _, f := range fields {
		m.fields = append(m.fields, &field{Field: f, line: entry.New(f.Value), wait: f.Asked})
	}
	return m
}

// Values are the answers so far, those of questions that are not asked left out.
func (m *Model) Values() map[string]string {
	out := map[string]string{}
	for _, f := range m.fields {
		if f.When == nil || f.When(out) {
			out[f.Name] = f.line.Value()
		}
	}
	return out
}

// shown are the fields that are asked, given the answers so far.
func (m *Model) shown() []*field {
	values := m.Values()
	return slices.DeleteFunc(slices.Clone(m.fields), func(f *field) bool { _, ok := values[f.Name]; return !ok })
}

// problems are what is wrong, by field.
func (m *Model) problems(values map[string]string) map[string]string {
	out := map[string]string{}
	if m.Check != nil {
		for k, v := range m.Check(values) {
			if _, asked := values[k]; asked && v != "" {
				out[k] = v
			}
		}
	}
	for _, f := range m.fields {
		v, asked := values[f.Name]
		switch {
		case !asked || out[f.Name] != "":
		case f.Required && v == "":
			out[f.Name] = "is needed"
		case v != "" && !f.wait && len(f.Options) > 0 && !slices.Contains(f.Options, v):
			out[f.Name] = "is none of the choices"
		}
	}
	return out
}

// SetOptions brings the options of a field, or why there are none.
func (m *Model) SetOptions(name string, options []string, problem string) {
	for _, f := range m.fields {
		if f.Name == name {
			f.Options, f.problem, f.wait, f.mark = options, problem, false, 0
			if i := slices.Index(options, f.line.Value()); i >= 0 {
				f.mark = i
			}
		}
	}
}

// Waits makes the options of a field unknown again.
func (m *Model) Waits(name string) {
	for _, f := range m.fields {
		if f.Name == name {
			f.wait, f.problem = true, ""
		}
	}
}

// Focused is the name of the field with the cursor; "" on the button.
func (m *Model) Focused() string {
	if s := m.shown(); m.focus < len(s) {
		return s[m.focus].Name
	}
	return ""
}

// Dirty reports whether anything was typed.
func (m *Model) Dirty() bool { return m.dirty }

// Press takes a key, or a paste as chars, and reports whether the form is to be
// carried out: everything is answered and without a problem.
func (m *Model) Press(key, chars string) (submit bool) {
	shown := m.shown()
	m.focus = min(m.focus, len(shown))
	var f *field
	if m.focus < len(shown) {
		f = shown[m.focus]
	}
	switch {
	case key == "ctrl+s":
		return m.submit()
	case key == "shift+tab" || key == "up" && !f.chooses():
		m.leave(f, -1)
	case key == "tab" || key == "down" && !f.chooses():
		m.leave(f, 1)
	case key == "enter" && f == nil:
		return m.submit()
	case key == "enter":
		f.take()
		m.leave(f, 1)
	case f == nil:
	case key == "up":
		f.walk(-1)
		m.dirty = true
	case key == "down":
		f.walk(1)
		m.dirty = true
	case f.typed(key, chars):
		m.dirty, f.picking, f.mark, m.Failure = true, true, 0, ""
	}
	return false
}

func (m *Model) submit() bool {
	m.tried = true
	shown := m.shown()
	problems := m.problems(m.Values())
	for i, f := range shown {
		if problems[f.Name] != "" {
			m.focus = i
			return false
		}
	}
	return true
}

// leave goes to another field.
func (m *Model) leave(f *field, by int) {
	if f != nil {
		f.touched, f.picking = true, false
	}
	n := len(m.shown()) + 1
	m.focus = (min(m.focus, n-1) + by + n) % n
}

// typed takes a key of the line. What is typed over a choice replaces it.
func (f *field) typed(key, chars string) bool {
	if f.chooses() && !f.picking && chars != "" {
		f.line.Set("")
	}
	return f.line.Press(key, chars)
}

func (f *field) chooses() bool { return f != nil && len(f.Options) > 0 }

// matching are the options that what is typed leaves; all, before anything is.
func (f *field) matching() []string {
	if !f.picking {
		return f.Options
	}
	var out []string
	for _, i := range fuzzy.Find(f.line.Value(), f.Options) {
		out = append(out, f.Options[i])
	}
	return out
}

// walk chooses the option before or after.
func (f *field) walk(by int) {
	list := f.matching()
	if len(list) == 0 {
		return
	}
	if !f.picking {
		if i := slices.Index(list, f.line.Value()); i >= 0 {
			f.mark = i
		} else if by > 0 {
			f.mark = -1
		}
	}
	f.mark = (max(f.mark, -1) + by + len(list)) % len(list)
	if !f.picking {
		f.line.Set(list[f.mark])
	}
}

// take makes the marked option the value of a field in which letters were typed.
func (f *field) take() {
	if list := f.matching(); f.picking && f.mark < len(list) && !slices.Contains(f.Options, f.line.Value()) {
		f.line.Set(list[f.mark])
	}
}
