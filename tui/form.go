package tui

import (
	"context"
	"maps"
	"time"

	tea "charm.land/bubbletea/v2"

	"github.com/prism-data-layer/prism/tui/component/form"
	"github.com/prism-data-layer/prism/tui/component/problem"
	"github.com/prism-data-layer/prism/tui/component/text"
	"github.com/prism-data-layer/prism/tui/page"
	"github.com/prism-data-layer/prism/tui/theme"
)

// choicesLimit is how long the choices of a field may take.
const choicesLimit = 5 * time.Second

// A sheetForm is a page's form on the screen.
type sheetForm struct {
	m     *Model
	from  int
	ask   page.Form
	form  *form.Model
	asked map[string]map[string]string // the values that a field's choices were asked with
	job   *job                         // nil: nothing is carried out
	warn  bool                         // the next Esc leaves
}

// choices are what came for a field.
type choices struct {
	form  *sheetForm
	field string
	list  []string
	err   error
}

// fill opens a page's form.
func (m *Model) fill(from int, q page.Form) tea.Cmd {
	fields := make([]form.Field, len(q.Fields))
	for i, f := range q.Fields {
		fields[i] = form.Field{
			Name: f.Name, Label: f.Label, Help: f.Help, Value: f.Value, Options: f.Options, Asked: f.Choices != nil,
			Required: f.Required, Secret: f.Secret, When: f.When,
		}
		if fields[i].Label == "" {
			fields[i].Label = f.Name
		}
	}
	s := &sheetForm{m: m, from: from, ask: q, form: form.New(fields...), asked: map[string]map[string]string{}}
	s.form.Verb, s.form.Check, s.form.Command = q.Verb, q.Check, q.Command
	m.show(s)
	return s.choices()
}

// choices asks for what may be chosen in the field with the cursor, and again
// when the other answers have changed.
func (s *sheetForm) choices() tea.Cmd {
	name := s.form.Focused()
	for _, f := range s.ask.Fields {
		if f.Name != name || f.Choices == nil {
			continue
		}
		values := s.form.Values()
		others := maps.Clone(values)
		delete(others, name)
		if was, ok := s.asked[name]; ok && maps.Equal(was, others) {
			return nil
		}
		s.asked[name] = others
		s.form.Waits(name)
		return s.m.tasks.Call(choicesLimit, func(ctx context.Context) tea.Msg {
			list, err := f.Choices(ctx, values)
			return choices{s, name, list, err}
		})
	}
	return nil
}

func (c choices) take() {
	why := ""
	if c.err != nil {
		why, _, _ = problem.Explain(c.err)
	}
	c.form.form.SetOptions(c.field, c.list, why)
}

func (s *sheetForm) crumb() string { return text.Clean(s.ask.Title) }
func (s *sheetForm) wheel(int)     {}
func (s *sheetForm) whole() bool   { return false }

func (s *sheetForm) press(key, chars string) tea.Cmd {
	switch {
	case s.job != nil:
		if key == "esc" {
			s.job.cancelled = true
			s.job.cancel()
		}
		return nil
	case key == "esc" && (!s.form.Dirty() || s.warn):
		s.m.close(s)
		return nil
	case key == "esc":
		s.warn = true
		return nil
	}
	s.warn = false
	if s.form.Press(key, chars) {
		return s.carryOut()
	}
	return s.choices()
}

// carryOut does what the form is for; a failure leaves it open with all that
// was typed.
func (s *sheetForm) carryOut() tea.Cmd {
	values := s.form.Values()
	j, cmd := s.m.start(s.ask.Title, "", func(ctx context.Context, say func(string)) (string, error) { return s.ask.Do(ctx, values, say) },
		func(result string, err error) tea.Cmd {
			s.job = nil
			if err != nil {
				what, why, fix := problem.Explain(err)
				for _, more := range []string{why, fix} {
					if more != "" {
						what += " — " + more
					}
				}
				s.form.Failure = what
				s.m.keep(s.from, err)
				return s.m.tellDone(s.from, err)
			}
			s.m.close(s)
			return s.m.finished(s.from, s.ask.Title, result, nil)
		})
	s.job = j
	return cmd
}

func (s *sheetForm) view(th theme.Theme, width, height int) []string {
	s.form.Working = ""
	if s.job != nil {
		s.form.Working = s.job.progress()
	}
	lines := append([]string{""}, s.form.View(th, width, max(height-1, 0))...)
	return lines[:min(height, len(lines))]
}

func (s *sheetForm) footer(width int) string {
	switch {
	case s.job != nil:
		return text.Cut("Esc cancels", width)
	case s.warn:
		return s.m.theme.Paint(theme.Warn, text.Cut("Esc again drops what you typed", width))
	}
	return text.Cut(s.form.Keys(), width)
}
