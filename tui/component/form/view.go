package form

import (
	"github.com/prism-data-layer/prism/tui/component/text"
	"github.com/prism-data-layer/prism/tui/theme"
)

// maxOptions are the options that are shown at once.
const maxOptions = 6

// View draws the form into width × height cells; what has the cursor is always
// in sight.
func (m *Model) View(th theme.Theme, width, height int) []string {
	if height <= 0 || width <= 8 {
		return nil
	}
	values := m.Values()
	problems := m.problems(values)
	shown := m.shown()
	m.focus = min(m.focus, len(shown))
	label := 0
	for _, f := range shown {
		label = max(label, min(text.Width(text.Clean(f.Label)), 24))
	}
	var lines []string
	from, to := 0, 0 // of what must be in sight
	for i, f := range shown {
		if i == m.focus {
			from = len(lines)
		}
		lines = append(lines, m.field(th, f, label, width, i == m.focus, problems[f.Name]))
		if i == m.focus {
			lines = append(lines, f.below(th, label, width)...)
			to = len(lines)
		}
	}
	if m.focus == len(shown) {
		from = len(lines)
	}
	lines = append(lines, "")
	verb := text.Cut(m.Verb, width-6)
	if verb == "" {
		verb = text.Cut("Go on", width-6)
	}
	if m.focus == len(shown) {
		lines = append(lines, "  "+th.Paint(theme.Selected, "▸ "+verb+" "))
		to = len(lines)
	} else {
		lines = append(lines, "    "+verb)
	}

	var end []string
	if m.Command != nil {
		for i, l := range text.Wrap("$ "+text.Clean(m.Command(values)), max(width-2, 1)) {
			if i < 4 {
				end = append(end, "  "+th.Paint(theme.Faint, text.Cut(l, width-2)))
			}
		}
	}
	switch {
	case m.Working != "":
		end = append(end, "  "+text.Cut("… "+text.Clean(m.Working), width-2))
	case m.Failure != "":
		for i, l := range text.Wrap("✗ "+text.Clean(m.Failure), max(width-2, 1)) {
			if i < 4 {
				end = append(end, "  "+th.Paint(theme.Bad, text.Cut(l, width-2)))
			}
		}
	}
	if len(end) > 0 {
		end = append([]string{""}, end...)
	}
	if len(lines)+len(end) > height {
		end = end[max(len(end)-max(height/3, 1), 0):]
	}
	room := max(height-len(end), 1)
	top := 0
	if len(lines) > room {
		top = max(min(from, len(lines)-room), to-room, 0)
		top = min(top, max(from, 0))
		lines = lines[top:min(top+room, len(lines))]
	}
	out := append(lines, end...)
	return out[:min(len(out), height)]
}

func (m *Model) field(th theme.Theme, f *field, label, width int, focused bool, problem string) string {
	mark, role := "  ", theme.Faint
	if focused {
		mark, role = "▸ ", theme.Title
	}
	name := text.Clean(f.Label)
	if f.Required {
		name += "*"
	}
	head := mark + th.Paint(role, text.Fit(name, label+1)) + " "
	room := max(width-label-4, 1)
	say := ""
	if problem != "" && (f.touched || m.tried || focused && f.line.Value() != "") && !(focused && f.picking && f.chooses()) {
		say = "  ✗ " + text.Clean(problem)
	}
	var value string
	switch {
	case focused:
		value = f.line.View(max(room-text.Width(say), min(room, 8)), f.Secret)
	case f.Secret:
		value = text.Cut(maskOf(f.line.Value()), room)
	default:
		value = text.Cut(text.Clean(f.line.Value()), max(room-text.Width(say), min(room, 8)))
	}
	return text.Cut(head+value+th.Paint(theme.Bad, text.Cut(say, room-text.Width(value))), width)
}

func maskOf(s string) string {
	out := ""
	for range []rune(s) {
		out += "•"
	}
	return out
}

// below is what stands under the field with the cursor: its options and help.
func (f *field) below(th theme.Theme, label, width int) []string {
	pad := text.Fit("", label+4)
	room := max(width-label-4, 1)
	var out []string
	say := func(r theme.Role, s string) { out = append(out, text.Cut(pad+th.Paint(r, text.Cut(s, room)), width)) }
	switch {
	case f.wait:
		say(theme.Faint, "asking for what there is…")
	case f.problem != "":
		say(theme.Warn, "! "+text.Clean(f.problem))
	}
	list := f.matching()
	first := max(min(f.mark-maxOptions/2, len(list)-maxOptions), 0)
	for i := first; i < min(first+maxOptions, len(list)); i++ {
		o := text.Clean(list[i])
		if i == f.mark && f.picking || list[i] == f.line.Value() {
			say(theme.Accent, "▸ "+o)
			continue
		}
		say(theme.Plain, "  "+o)
	}
	switch more := len(list) - min(first+maxOptions, len(list)); {
	case more > 0:
		say(theme.Faint, "  … ↓")
	case len(list) == 0 && len(f.Options) > 0:
		say(theme.Warn, "! nothing matches")
	}
	if f.Help != "" {
		for i, l := range text.Wrap(text.Clean(f.Help), room) {
			if i < 3 {
				say(theme.Faint, l)
			}
		}
	}
	return out
}

// Keys is what the footer says.
func (m *Model) Keys() string {
	return "Enter next  Tab field  ↑/↓ choose, type to narrow  Ctrl-S " + lower(m.Verb) + "  Esc leave"
}

func lower(s string) string {
	if s == "" {
		return "go on"
	}
	return string(s[0]|0x20) + s[1:]
}
