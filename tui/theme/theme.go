// Package theme says how the dashboards look: what a colour means, on a dark
// and on a light background and on none, and which characters a terminal can
// draw. State is never colour alone: a glyph and a word stand beside it.
package theme

import (
	"image/color"
	"strings"

	"charm.land/lipgloss/v2"
)

// A Mode is the background that colours are chosen for.
type Mode uint8

// The modes. Auto starts dark and follows what the terminal answers.
const (
	Auto Mode = iota
	Dark
	Light
	Mono
	// The safe modes are for eyes that do not tell red from green: good is
	// blue, bad is orange. Safe starts dark and follows the terminal as Auto does.
	Safe
	SafeDark
	SafeLight
)

// Modes are the words of ParseMode.
func Modes() []string {
	return []string{"auto", "dark", "light", "mono", "safe", "safe-dark", "safe-light"}
}

// Follows reports whether the mode follows the terminal's background.
func (m Mode) Follows() bool { return m == Auto || m == Safe }

// On is the mode for a background, for one that follows it.
func (m Mode) On(dark bool) Mode {
	switch {
	case m == Auto && dark:
		return Dark
	case m == Auto:
		return Light
	case m == Safe && dark:
		return SafeDark
	case m == Safe:
		return SafeLight
	}
	return m
}

// String is the word of the mode.
func (m Mode) String() string { return Modes()[min(int(m), len(Modes())-1)] }

// ParseMode reads one of Modes.
func ParseMode(s string) (Mode, bool) {
	for i, m := range Modes() {
		if m == s {
			return Mode(i), true
		}
	}
	return Auto, false
}

// A Role is what a piece of text means.
type Role uint8

// The roles.
const (
	Plain Role = iota
	Faint
	Accent
	Good
	Warn
	Bad
	Title
	Header
	Selected
	roles
)

// Hues are the colours of a mode by role; the zero colour leaves the
// terminal's own. Good, warn and bad differ in lightness as well as in hue, so
// that they stay apart for eyes that see few hues.
type hues [roles]string

func palette(m Mode) hues {
	switch m {
	case Mono:
		return hues{}
	case Light:
		return hues{Faint: "#5c6370", Accent: "#0550ae", Good: "#00695c", Warn: "#8a4b00", Bad: "#b3121d", Title: "#0550ae", Header: "#5c6370", Selected: "#0a3069"}
	case Safe, SafeDark:
		return hues{Faint: "#9aa5b1", Accent: "#c3b1ff", Good: "#56b4e9", Warn: "#f0e442", Bad: "#ff8c42", Title: "#c3b1ff", Header: "#9aa5b1", Selected: "#cfe8ff"}
	case SafeLight:
		return hues{Faint: "#5c6370", Accent: "#5b3fa8", Good: "#005ea8", Warn: "#806000", Bad: "#7f1500", Title: "#5b3fa8", Header: "#5c6370", Selected: "#0a3069"}
	}
	return hues{Faint: "#9aa5b1", Accent: "#7cc4fa", Good: "#5fd7af", Warn: "#ffd166", Bad: "#ff7b72", Title: "#7cc4fa", Header: "#9aa5b1", Selected: "#cfe8ff"}
}

// Backgrounds are what the modes are made for: the contrast of every role with
// each of its mode's backgrounds is at least 4.5 (WCAG AA).
func Backgrounds(m Mode) []string {
	if m == Light || m == SafeLight {
		return []string{"#ffffff", "#fafafa", "#f6f1e4"}
	}
	return []string{"#000000", "#1e1e1e", "#282c34"}
}

// Hex is the colour of a role; "" for the terminal's own.
func Hex(m Mode, r Role) string { return palette(m)[r] }

// A Theme paints.
type Theme struct {
	mode   Mode
	styles [roles]lipgloss.Style
}

// New makes the theme of a mode; Auto is Dark.
func New(m Mode) Theme {
	t := Theme{mode: m}
	for r, hex := range palette(m) {
		s := lipgloss.NewStyle()
		if hex != "" {
			var c color.Color = lipgloss.Color(hex)
			s = s.Foreground(c)
		}
		switch Role(r) {
		case Title, Bad:
			s = s.Bold(true)
		case Selected:
			s = s.Reverse(true)
		}
		t.styles[r] = s
	}
	return t
}

// Mode is the mode that the theme was made for.
func (t Theme) Mode() Mode { return t.mode }

// Paint gives one line of text the look of a role.
func (t Theme) Paint(r Role, s string) string {
	if r == Plain || s == "" || r >= roles || (t.mode == Mono && r != Bad && r != Title && r != Selected) {
		return s
	}
	return t.styles[r].Render(s)
}

// A Charset is what a terminal can draw.
type Charset uint8

// The character sets, the richest first.
const (
	Braille Charset = iota
	Block
	ASCII
)

// CharsetFor chooses by the locale and the kind of terminal: the Linux console
// has block characters in its font and no braille.
func CharsetFor(utf8 bool, term string) Charset {
	switch {
	case !utf8:
		return ASCII
	case term == "linux" || strings.HasPrefix(term, "vt1") || strings.HasPrefix(term, "vt2"):
		return Block
	}
	return Braille
}
