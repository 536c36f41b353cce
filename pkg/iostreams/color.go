package iostreams

import (
	"fmt"
	"strings"
)

// ColorMode is what --color says.
type ColorMode uint8

// The colour modes.
const (
	ColorAuto ColorMode = iota
	ColorAlways
	ColorNever
)

// ParseColorMode reads auto, always or never.
func ParseColorMode(s string) (ColorMode, error) {
	switch s {
	case "auto", "":
		return ColorAuto, nil
	case "always":
		return ColorAlways, nil
	case "never":
		return ColorNever, nil
	}
	return ColorAuto, fmt.Errorf("%q is not one of auto, always, never", s)
}

// SetColor sets what --color said.
func (s *IOStreams) SetColor(m ColorMode) { s.color = m }

// ColorEnabled decides for one stream: --color, then NO_COLOR, then
// CLICOLOR_FORCE or FORCE_COLOR, then CLICOLOR=0, then TERM=dumb, then whether
// that stream is a terminal.
func (s *IOStreams) ColorEnabled(which Stream) bool {
	switch {
	case s.color == ColorAlways:
		return true
	case s.color == ColorNever:
		return false
	case s.Env("NO_COLOR") != "":
		return false
	case isOn(s.Env("CLICOLOR_FORCE")), isOn(s.Env("FORCE_COLOR")):
		return true
	case s.Env("CLICOLOR") == "0", s.Env("TERM") == "dumb":
		return false
	}
	return s.tty[which]
}

func isOn(v string) bool { return v != "" && v != "0" && !strings.EqualFold(v, "false") }

// Link is text that leads to url (OSC 8) where the stream is a terminal that is
// neither dumb nor without colour, and text elsewhere. Both are escaped.
func (s *IOStreams) Link(which Stream, text, url string) string {
	text, url = Escape(text), Escape(url)
	if !s.tty[which] || !s.ColorEnabled(which) || s.Env("NO_COLOR") != "" || s.Env("TERM") == "dumb" {
		return text
	}
	return "\x1b]8;;" + url + "\x1b\\" + text + "\x1b]8;;\x1b\\"
}

// A Palette colours words with the terminal's own 16 colours, whose contrast
// its owner has chosen, on light and dark alike. The zero Palette leaves words
// as they are.
type Palette struct{ on bool }

// Palette is the palette for one stream.
func (s *IOStreams) Palette(which Stream) Palette { return Palette{s.ColorEnabled(which)} }

// Good, Warn, Bad, Accent, Bold and Faint say what a word means rather than
// which colour it has.
func (p Palette) Good(t string) string   { return p.paint("32", t) }
func (p Palette) Warn(t string) string   { return p.paint("33", t) }
func (p Palette) Bad(t string) string    { return p.paint("31", t) }
func (p Palette) Accent(t string) string { return p.paint("36", t) }
func (p Palette) Bold(t string) string   { return p.paint("1", t) }
func (p Palette) Faint(t string) string  { return p.paint("2", t) }

func (p Palette) paint(code, t string) string {
	if !p.on || t == "" {
		return t
	}
	return "\x1b[" + code + "m" + t + "\x1b[0m"
}

// Symbols are the glyphs that stand before words.
type Symbols struct {
	Good, Warn, Bad, Dot, Ellipsis, Arrow string
	Spinner                               []string
}

// Symbols degrade to ASCII when the locale is not UTF-8.
func (s *IOStreams) Symbols() Symbols {
	if s.UTF8() {
		return Symbols{"✓", "!", "✗", "●", "…", "→", []string{"⠋", "⠙", "⠹", "⠸", "⠼", "⠴", "⠦", "⠧", "⠇", "⠏"}}
	}
	return Symbols{"+", "!", "x", "*", "...", "->", []string{"|", "/", "-", `\`}}
}
