// Package pane is titled tables that share a place: one has the focus, a rule
// with a mark says which, and each gets the height that it needs while there is
// room.
package pane

import (
	"fmt"
	"slices"
	"strings"

	tea "charm.land/bubbletea/v2"

	"github.com/prism-data-layer/prism/tui/component/cell"
	"github.com/prism-data-layer/prism/tui/component/figure"
	"github.com/prism-data-layer/prism/tui/component/problem"
	"github.com/prism-data-layer/prism/tui/component/table"
	"github.com/prism-data-layer/prism/tui/component/text"
	"github.com/prism-data-layer/prism/tui/keys"
	"github.com/prism-data-layer/prism/tui/theme"
)

// A Pane is a titled table.
type Pane struct {
	Title string
	Table *table.Model
	Empty []string // why there may be nothing, and what to run

	Summary string // "1 degraded"; "" when all is well
	Role    theme.Role
	More    int64 // rows that there are beyond those that were asked for
	Problem error // why it could not be asked for; the last rows stay
}

// Tally makes the summary: how many rows are not well, by their word.
func (p *Pane) Tally(counts map[string]int) {
	p.Summary, p.Role = "", theme.Plain
	var words []string
	for word := range counts {
		if r := cell.Wellness(word); r == theme.Bad || r == theme.Warn {
			words = append(words, word)
			p.Role = max(p.Role, r)
		}
	}
	slices.Sort(words)
	for i, word := range words {
		words[i] = fmt.Sprintf("%d %s", counts[word], word)
	}
	p.Summary = strings.Join(words, ", ")
}

// A Stack is panes one above the other.
type Stack struct {
	Panes []*Pane
	Focus int
	Away  bool // the focus is on a part of the page that is no pane

	tops []int // of the panes in the last View; -1: not drawn
	rows []int
}

// NewStack makes a stack; the first pane has the focus.
func NewStack(panes ...*Pane) *Stack { return &Stack{Panes: panes} }

// Focused is the pane that keys go to.
func (s *Stack) Focused() *Pane { return s.Panes[s.Focus] }

// Keys is what keys do in a stack, beside keys.List.
func (s *Stack) Keys() keys.Table {
	if len(s.Panes) == 1 {
		return keys.List()
	}
	return append(keys.List(), keys.Panes(len(s.Panes))...)
}

// Do performs an action of Keys; false for any other.
func (s *Stack) Do(a keys.Action) bool {
	switch a {
	case keys.NextPane:
		s.Focus = (s.Focus + 1) % len(s.Panes)
	case keys.PrevPane:
		s.Focus = (s.Focus + len(s.Panes) - 1) % len(s.Panes)
	default:
		if n, ok := keys.PaneOf(a); ok && n < len(s.Panes) {
			s.Focus = n
			return true
		}
		return s.Focused().Table.Do(a)
	}
	return true
}

// Type gives the filter of the focused pane a key or a paste.
func (s *Stack) Type(msg tea.Msg) {
	switch msg := msg.(type) {
	case tea.KeyPressMsg:
		s.Focused().Table.Type(msg.String(), msg.Text)
	case tea.PasteMsg:
		s.Focused().Table.Type("", msg.Content)
	}
}

// Typing reports whether a filter is typed; Prompt is its line.
func (s *Stack) Typing() bool { return s.Focused().Table.Typing() }

// Prompt is the line in which a filter is typed.
func (s *Stack) Prompt() string { return s.Focused().Table.Prompt() }

// Back clears the filter of the focused pane; false when there is none.
func (s *Stack) Back() bool {
	if s.Focused().Table.Filter() == "" {
		return false
	}
	s.Focused().Table.SetFilter("")
	return true
}

// View draws the panes into width × height cells.
func (s *Stack) View(th theme.Theme, width, height int) []string {
	heights := Share(height, s.wants(), s.Focus)
	s.tops, s.rows = make([]int, len(s.Panes)), heights
	var out []string
	for i, p := range s.Panes {
		s.tops[i] = -1
		if heights[i] == 0 {
			continue
		}
		s.tops[i] = len(out)
		out = append(out, Rule(th, s.title(i), p.role(), width, i == s.Focus && !s.Away))
		out = append(out, p.body(th, width, heights[i]-1, i == s.Focus && !s.Away)...)
	}
	return out
}

// At is the pane at a line of the last View and the line in it, where 0 is its
// title; -1 for none.
func (s *Stack) At(y int) (pane, line int) {
	for i, top := range s.tops {
		if top >= 0 && y >= top && y < top+s.rows[i] {
			return i, y - top
		}
	}
	return -1, 0
}

// Place is where a pane was drawn last: its first line and its height.
func (s *Stack) Place(i int) (top, height int) {
	if i >= len(s.tops) || s.tops[i] < 0 {
		return 0, 0
	}
	return s.tops[i], s.rows[i]
}

// wants is how high each pane would like to be.
func (s *Stack) wants() []int {
	wants := make([]int, len(s.Panes))
	for i, p := range s.Panes {
		wants[i] = 2 + max(p.Table.Shown(), 1)
		if p.Table.Len() == 0 {
			wants[i] = 1 + len(p.Empty)
		}
		if p.Problem != nil {
			wants[i]++
		}
	}
	return wants
}

// Share gives out lines: a title for each while there is room, then the focused
// pane a few, then all a few, then whom the focus is on all that it wants.
func Share(room int, wants []int, focus int) []int {
	const small = 4 // a title, a header and two rows
	got := make([]int, len(wants))
	for i := range got {
		if room > 0 {
			got[i] = 1
			room--
		}
	}
	grow := func(i, to int) {
		if more := min(to-got[i], room); more > 0 {
			got[i] += more
			room -= more
		}
	}
	grow(focus, min(wants[focus], 6))
	for i := range wants {
		if to := min(wants[i], small); room >= to-got[i] {
			grow(i, to)
		}
	}
	grow(focus, wants[focus])
	for i := range wants {
		if got[i] > 1 {
			grow(i, wants[i])
		}
	}
	return got // where all fits, the focus moves nothing
}

// Rule is the line above a pane: heavy and with a mark where the focus is.
func Rule(th theme.Theme, title string, role theme.Role, width int, focused bool) string {
	dash, lead := "─", "── "
	if focused {
		dash, lead = "━", "━▶ "
	}
	title = text.Cut(title, width-len("── ")-1)
	rest := width - text.Width(lead) - text.Width(title) - 1
	if role == theme.Plain && focused {
		role = theme.Title
	}
	line := theme.Faint
	if focused {
		line = theme.Accent
	}
	return th.Paint(line, lead) + th.Paint(role, title) + th.Paint(line, " "+strings.Repeat(dash, max(rest, 0)))
}

func (p *Pane) role() theme.Role {
	if p.Summary == "" {
		return theme.Plain
	}
	return p.Role
}

func (s *Stack) title(i int) string {
	p := s.Panes[i]
	t := fmt.Sprintf("%s %s", p.Title, p.Table.Count())
	if len(s.Panes) > 1 {
		t = fmt.Sprintf("%d %s", i+1, t)
	}
	if p.More > 0 {
		t += fmt.Sprintf(" of %s", figure.Count(p.More+int64(p.Table.Len())))
	}
	if p.Summary != "" {
		t += " · " + p.Summary
	}
	if f := p.Table.Filter(); f != "" {
		t += " · /" + f
	}
	return t
}

func (p *Pane) body(th theme.Theme, width, height int, focused bool) []string {
	var out []string
	if p.Problem != nil {
		what, _, _ := problem.Explain(p.Problem)
		out = append(out, th.Paint(theme.Bad, "  "+text.Cut("✗ "+what, width-2)))
	}
	switch {
	case p.Table.Len() == 0 && p.Problem == nil:
		for _, l := range p.Empty {
			out = append(out, "  "+text.Cut(l, width-2))
		}
	case p.Table.Len() > 0:
		out = append(out, p.Table.View(th, width, height-len(out), focused)...)
		if p.Table.Shown() == 0 {
			out = append(out, "  "+text.Cut("nothing matches: Esc clears the filter", width-2))
		}
	}
	if len(out) > height {
		return out[:max(height, 0)]
	}
	return append(out, make([]string, height-len(out))...)
}
