// Package entry is a line that is typed: the same keys in every form, palette
// and search.
package entry

import (
	"slices"
	"strings"

	"github.com/charmbracelet/x/ansi"

	"github.com/prism-data-layer/prism/tui/component/text"
)

// Max bounds what is typed or pasted into one line.
const Max = 8192

// A Model is the line. The zero Model is empty.
type Model struct {
	runes []rune
	at    int // where the next character goes
}

// New makes a line with a text in it and the cursor at its end.
func New(s string) Model {
	var m Model
	m.Set(s)
	return m
}

// Set replaces the text.
func (m *Model) Set(s string) {
	m.runes = []rune(s)
	m.at = len(m.runes)
}

// Value is what was typed.
func (m *Model) Value() string { return string(m.runes) }

// Press takes a key and the characters that it stands for, or a paste; false
// when it is no key of a line. What a terminal would act on is left out.
func (m *Model) Press(key, chars string) bool {
	switch key {
	case "left":
		m.at = max(m.at-1, 0)
	case "right":
		m.at = min(m.at+1, len(m.runes))
	case "home", "ctrl+a":
		m.at = 0
	case "end", "ctrl+e":
		m.at = len(m.runes)
	case "backspace", "ctrl+h":
		if m.at > 0 {
			m.cut(m.at-1, m.at)
		}
	case "delete", "ctrl+d":
		m.cut(m.at, min(m.at+1, len(m.runes)))
	case "ctrl+u":
		m.cut(0, m.at)
	case "ctrl+k":
		m.cut(m.at, len(m.runes))
	case "ctrl+w", "alt+backspace":
		head := strings.TrimRight(string(m.runes[:m.at]), " ")
		m.cut(len([]rune(head[:strings.LastIndexByte(head, ' ')+1])), m.at)
	default:
		add := []rune(strings.Map(printable, chars))
		if len(add) == 0 {
			return false
		}
		add = add[:min(len(add), max(Max-len(m.runes), 0))]
		m.runes = slices.Insert(m.runes, m.at, add...)
		m.at += len(add)
	}
	return true
}

func (m *Model) cut(from, to int) {
	m.runes = slices.Delete(m.runes, from, to)
	m.at = from
}

// printable drops controls; a line break of a paste becomes a space.
func printable(r rune) rune {
	switch {
	case r == '\n' || r == '\t':
		return ' '
	case r < ' ' || r >= 0x7f && r < 0xa0:
		return -1
	}
	return r
}

// sight bounds what is looked at on each side of the cursor: no screen is wider.
const sight = 1000

// View is the line in at most width cells, with the cursor as ▏; of a secret
// only how long it is.
func (m *Model) View(width int, secret bool) string {
	left := string(m.runes[max(m.at-sight, 0):m.at])
	right := string(m.runes[m.at:min(m.at+sight, len(m.runes))])
	if secret {
		left, right = strings.Repeat("•", len([]rune(left))), strings.Repeat("•", len([]rune(right)))
	}
	left, right = text.Clean(left), text.Clean(right)
	if over := text.Width(left) - max(width-2, 0); over > 0 { // the cursor stays in sight
		left = ansi.TruncateLeft(left, over+1, "…")
	}
	return text.Cut(left+"▏"+right, width)
}
