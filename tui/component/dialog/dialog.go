// Package dialog asks before something is done. The answer is No unless the
// person says Yes, or types a name where that must be.
package dialog

import (
	"fmt"

	"github.com/prism-data-layer/prism/tui/component/entry"
	"github.com/prism-data-layer/prism/tui/component/text"
	"github.com/prism-data-layer/prism/tui/theme"
)

// A Model is one question.
type Model struct {
	Title string
	Lines []string // what will happen
	Verb  string   // what Yes is called
	Type  string   // must be typed before Yes; "": nothing must
	// Command is the prismctl command that does the same; "" shows none.
	Command string

	yes   bool
	typed entry.Model
}

// Mark marks Yes: for a question where No is what loses something.
func (m *Model) Mark() { m.yes = true }

// An Answer is what the person said.
type Answer uint8

// The answers. Open: none yet.
const (
	Open Answer = iota
	No
	Yes
)

// Press takes a key, or a paste as chars.
func (m *Model) Press(key, chars string) Answer {
	if key == "esc" {
		return No
	}
	if m.Type != "" {
		if key == "enter" {
			if m.typed.Value() == m.Type {
				return Yes
			}
			if m.typed.Value() == "" {
				return No
			}
			return Open
		}
		m.typed.Press(key, chars)
		return Open
	}
	switch key {
	case "left", "right", "tab", "shift+tab", "h", "l":
		m.yes = !m.yes
	case "y", "Y":
		return Yes
	case "n", "N", "q":
		return No
	case "enter":
		if m.yes {
			return Yes
		}
		return No
	}
	return Open
}

// Typing reports whether keys are text.
func (m *Model) Typing() bool { return m.Type != "" }

// View draws the question below its title; at least four lines are good.
func (m *Model) View(th theme.Theme, width int) []string {
	var out []string
	for _, l := range m.Lines {
		for _, w := range text.Wrap(text.Clean(l), max(width-4, 1)) {
			out = append(out, "  "+w)
		}
	}
	if m.Command != "" {
		out = append(out, "", "  "+th.Paint(theme.Faint, text.Cut("$ "+text.Clean(m.Command), width-2)))
	}
	out = append(out, "")
	if m.Type != "" {
		say := fmt.Sprintf("type %s and Enter to %s: ", text.Clean(m.Type), lower(m.Verb))
		say = text.Cut(say, max(width-8, 1))
		return append(out, "  "+say+m.typed.View(max(width-2-text.Width(say), 2), false))
	}
	no, yes := "▸ No ", "  "+m.Verb+" "
	if m.yes {
		no, yes = "  No ", "▸ "+m.Verb+" "
		return append(out, text.Cut("  "+no+"  "+th.Paint(theme.Selected, yes), width))
	}
	return append(out, text.Cut("  "+th.Paint(theme.Selected, no)+"  "+yes, width))
}

// Keys is what the footer says.
func (m *Model) Keys() string {
	if m.Type != "" {
		return "Enter when it is typed  Esc no"
	}
	return "y " + lower(m.Verb) + "  n no  ←/→ choose  Enter takes the marked one  Esc no"
}

func lower(s string) string {
	if s == "" {
		return "go on"
	}
	return string(s[0]|0x20) + s[1:]
}
