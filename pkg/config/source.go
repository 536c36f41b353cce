package config

import (
	"fmt"
	"regexp"
	"strings"
)

// A Pos is a place in a file: lines and columns count from 1, columns in
// characters. The zero Pos is no place.
type Pos struct {
	File      string
	Line, Col int

	word string // what stands there, for the caret
}

// IsValid reports whether p is a place.
func (p Pos) IsValid() bool { return p.Line > 0 }

// String is "FILE:LINE:COL", the form that editors jump to.
func (p Pos) String() string {
	if !p.IsValid() {
		return p.File
	}
	return fmt.Sprintf("%s:%d:%d", p.File, p.Line, p.Col)
}

// A source is the text that problems quote.
type source struct {
	name  string
	lines []string
	wider map[int]int // columns that a repaired line has more than the written one
}

func newSource(name, text string) *source {
	return &source{name: name, lines: strings.Split(text, "\n")}
}

// line returns line n with secrets hidden; "" outside the text, and for a line
// that is too long to be looked through for secrets.
func (s *source) line(n int) string {
	if s == nil || n < 1 || n > len(s.lines) || len(s.lines[n-1]) > maxQuotedLine {
		return ""
	}
	return hideSecrets(s.lines[n-1])
}

// pos keeps what the parser says inside the text.
func (s *source) pos(line, col int, word string) Pos {
	line = min(max(line, 1), len(s.lines))
	return Pos{File: s.name, Line: line, Col: max(col-s.wider[line], 1), word: word}
}

const (
	hidden        = "********"
	maxQuotedLine = 4096
)

var (
	secretEntry = regexp.MustCompile(`(?i)((?:^|[\s{,"'])[\w.-]*(?:` + secretWords + `)["']?\s*:[\s]+)(\S.*)$`)
	urlPassword = regexp.MustCompile(`(://[^/\s:@"']*:)([^@\s"']+)@`)
)

// hideSecrets masks what a line says after a key that names a secret, and the
// password of a URL: the line may be printed, logged or pasted into a report.
func hideSecrets(line string) string {
	line = urlPassword.ReplaceAllStringFunc(line, func(m string) string {
		p := urlPassword.FindStringSubmatch(m)
		if strings.HasPrefix(p[2], "${") {
			return m
		}
		return p[1] + hidden + "@"
	})
	m := secretEntry.FindStringSubmatchIndex(line)
	if m == nil || strings.HasPrefix(strings.Trim(line[m[4]:m[5]], `"'`), "${") {
		return line
	}
	return line[:m[4]] + hidden
}
