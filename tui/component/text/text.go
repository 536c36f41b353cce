// Package text makes other people's words safe to draw and exactly as wide as
// their place. Names, messages and values come from callers, and a terminal
// obeys what it is sent.
package text

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/charmbracelet/x/ansi"
)

// maxClean bounds how much of one name is looked at: no screen shows more.
const maxClean = 4096

// Clean makes s safe on one line: what could move the cursor, change a title
// or reorder the line is written as Go quotes it, and a cluster of which
// terminals disagree how wide it is becomes a replacement character.
func Clean(s string) string {
	if plain(s) {
		return s
	}
	if len(s) > maxClean {
		s = s[:maxClean] + "…"
	}
	var b strings.Builder
	for rest := escape(s); rest != ""; {
		c, w := ansi.FirstGraphemeCluster(rest, ansi.GraphemeWidth)
		rest = rest[len(c):]
		if w == 0 || w != ansi.StringWidthWc(c) || homeless(c, w) {
			c = "\uFFFD"
		}
		b.WriteString(c)
	}
	return b.String()
}

// homeless reports whether a cluster of w cells would join whatever is drawn
// before it: a mark without a letter, a skin without a face.
func homeless(c string, w int) bool { return ansi.StringWidth(" "+c) != w+1 }

func plain(s string) bool {
	for i := 0; i < len(s); i++ {
		if s[i] < ' ' || s[i] >= 0x7f {
			return false
		}
	}
	return len(s) <= maxClean
}

func escape(s string) string {
	var b strings.Builder
	for i := 0; i < len(s); {
		r, n := utf8.DecodeRuneInString(s[i:])
		switch {
		case r == utf8.RuneError && n == 1:
			fmt.Fprintf(&b, `\x%02x`, s[i])
		case r == '\n':
			b.WriteString(`\n`)
		case r == '\t':
			b.WriteString(`\t`)
		case r == '\r':
			b.WriteString(`\r`)
		case r < ' ' || r == 0x7f:
			fmt.Fprintf(&b, `\x%02x`, r)
		case unicode.IsControl(r) || unicode.In(r, unicode.Cf, unicode.Zl, unicode.Zp, unicode.Co, unicode.Cs):
			fmt.Fprintf(&b, `\u%04x`, r)
		default:
			b.WriteRune(r)
		}
		i += n
	}
	return b.String()
}

// Width is the number of cells that s takes; escape sequences of our own take
// none.
func Width(s string) int { return ansi.StringWidth(s) }

// Cut shortens s to at most w cells and marks that it did.
func Cut(s string, w int) string {
	if w <= 0 {
		return ""
	}
	if len(s) <= w && plain(s) {
		return s
	}
	return ansi.Truncate(s, w, "…")
}

// Fit makes s exactly w cells wide, cut or padded on the right.
func Fit(s string, w int) string {
	s = Cut(s, w)
	return s + strings.Repeat(" ", max(w-Width(s), 0))
}

// FitRight makes s exactly w cells wide, cut or padded on the left.
func FitRight(s string, w int) string {
	s = Cut(s, w)
	return strings.Repeat(" ", max(w-Width(s), 0)) + s
}

// Center puts s into the middle of w cells; nothing follows it.
func Center(s string, w int) string {
	s = Cut(s, w)
	return strings.Repeat(" ", max((w-Width(s))/2, 0)) + s
}

// Edges puts left and right at the ends of w cells; the left one gives way.
func Edges(left, right string, w int) string {
	right = Cut(right, w)
	return Fit(left, w-Width(right)) + right
}

// Wrap breaks s into lines of at most w cells, between words where it can.
func Wrap(s string, w int) []string {
	if w <= 0 {
		return nil
	}
	// ansi.Wrap lets a line of a blank and a long word be a cell too wide.
	return strings.Split(ansi.Hardwrap(ansi.Wrap(s, w, ""), w, true), "\n")
}

// asciiOf replaces what we draw; all else that is not ASCII becomes "?".
func asciiOf(r rune) string {
	switch r {
	case '─':
		return "-"
	case '━':
		return "="
	case '▶', '▸', '›', '→':
		return ">"
	case '←':
		return "<"
	case '●', '◌', '■':
		return "*"
	case '✓':
		return "+"
	case '✗', '×':
		return "x"
	case '▲', '↑':
		return "^"
	case '▼', '↓':
		return "v"
	case '…':
		return "~"
	case '·', '–':
		return "-"
	case '•':
		return "*"
	case '‖', '▏':
		return "|"
	case 'µ':
		return "u"
	case '≤':
		return "<"
	}
	return "?"
}

// ASCII rewrites a frame for a terminal that knows nothing else, cell by cell.
func ASCII(s string) string {
	i := strings.IndexFunc(s, func(r rune) bool { return r >= 0x80 })
	if i < 0 {
		return s
	}
	var b strings.Builder
	b.Grow(len(s))
	b.WriteString(s[:i])
	for _, r := range s[i:] {
		if r < 0x80 {
			b.WriteRune(r)
			continue
		}
		switch ansi.StringWidthWc(string(r)) {
		case 1:
			b.WriteString(asciiOf(r))
		case 2:
			b.WriteString("??")
		}
	}
	return b.String()
}

// Linear takes off what only draws: rules, charts, what fills a line. Words and
// marks stay.
func Linear(s string) string {
	s = strings.Map(func(r rune) rune {
		switch {
		case r == '▏':
			return r
		case r >= 0x2500 && r <= 0x259F: // lines and blocks
			return -1
		case r >= 0x2800 && r <= 0x28FF: // braille
			return -1
		}
		return r
	}, s)
	return strings.TrimRight(s, " ")
}

// Quote writes s as one word of a shell.
func Quote(s string) string {
	if s != "" && strings.IndexFunc(s, func(r rune) bool {
		return !(r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("-_./:@%+=,", r))
	}) < 0 {
		return s
	}
	if escape(s) == s {
		return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
	}
	// What a paste could act on must not be there as it is.
	var b strings.Builder
	b.WriteString("$'")
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case c == '\'' || c == '\\':
			b.WriteByte('\\')
			b.WriteByte(c)
		case c >= ' ' && c < 0x7f:
			b.WriteByte(c)
		default:
			fmt.Fprintf(&b, `\x%02x`, c)
		}
	}
	b.WriteString("'")
	return b.String()
}
