package main

import (
	"strings"
	"unicode/utf8"
)

// A statement is what the bridge must know of one; the engine parses it whole.
type statement struct {
	sql   string // all of it
	local bool   // names a file of this machine
	more  bool   // another statement follows

	insert     bool   // of data, not of a SELECT
	into       string // up to where the data is said to be
	clause     string // the settings between that and the format
	dataFormat string
	data       string // what stands behind the format
}

// parse looks at the words of sql that are neither quoted, in brackets nor in
// comments.
func parse(sql string) statement {
	s := statement{sql: sql}
	w := words{text: sql}
	first, _ := w.next()
	w.at = 0
	insert := first == "INSERT"
	if insert {
		w.next()
		w.name()
	}
	end := 0 // of the part before SETTINGS
	for {
		word, ok := w.next()
		switch {
		case !ok:
			return s
		case word == ";":
			_, s.more = w.next()
			return s
		case word == "INFILE" || word == "OUTFILE":
			s.local = true
		case insert && (word == "SELECT" || word == "WITH" || word == "WATCH"):
			insert = false
		case insert && word == "SETTINGS" && end == 0:
			end = w.begin
		case insert && word == "VALUES":
			s.takes(end, w.begin, "Values", sql[w.at:])
			return s
		case insert && word == "FORMAT":
			begin := w.begin
			w.next()
			s.takes(end, begin, sql[w.begin:w.at], dataAfter(sql[w.at:]))
			return s
		}
	}
}

// takes notes that the statement inserts data.
func (s *statement) takes(settings, end int, format, data string) {
	if settings == 0 {
		settings = end
	}
	s.insert, s.into, s.clause, s.dataFormat, s.data = true, s.sql[:settings], s.sql[settings:end], format, data
}

// dataAfter skips what may stand between a format and its data.
func dataAfter(text string) string {
	text = strings.TrimLeft(text, " \t\r")
	text = strings.TrimPrefix(text, ";")
	return strings.TrimPrefix(text, "\n")
}

// words gives the words of a statement, and each ; as a word, in upper case.
type words struct {
	text      string
	begin, at int // of the last word; behind it
}

// name skips INTO, TABLE or FUNCTION and the name behind it, which may be any
// word.
func (w *words) name() {
	for {
		before := w.at
		word, ok := w.next()
		if !ok || word == ";" || strings.ContainsAny(w.text[before:w.begin], "`\"") {
			w.at = before // the name is quoted, and no word
			return
		}
		if word != "INTO" && word != "TABLE" && word != "FUNCTION" && !strings.HasPrefix(w.text[w.at:], ".") {
			return
		}
	}
}

func (w *words) next() (word string, ok bool) {
	depth := 0
	for w.at < len(w.text) {
		rest := w.text[w.at:]
		switch c := rest[0]; {
		case c == '\'' || c == '"' || c == '`':
			w.at += quoted(rest)
		case strings.HasPrefix(rest, "--") || strings.HasPrefix(rest, "#!") || strings.HasPrefix(rest, "# "):
			w.skip(rest, "\n")
		case strings.HasPrefix(rest, "/*"):
			w.skip(rest, "*/")
		case strings.IndexByte("([{", c) >= 0:
			depth++
			w.at++
		case strings.IndexByte(")]}", c) >= 0:
			depth--
			w.at++
		case letter(c):
			n := wordLen(rest)
			w.begin, w.at = w.at, w.at+n
			if depth <= 0 {
				return strings.ToUpper(rest[:n]), true
			}
		case c == ';' && depth <= 0:
			w.begin, w.at = w.at, w.at+1
			return ";", true
		case c >= '0' && c <= '9':
			w.at += wordLen(rest) // a letter in a number begins no word
		default:
			w.at++
		}
	}
	w.begin = w.at
	return "", false
}

// skip goes behind the next end.
func (w *words) skip(rest, end string) {
	if i := strings.Index(rest, end); i >= 0 {
		w.at += i + len(end)
		return
	}
	w.at = len(w.text)
}

func letter(c byte) bool {
	return c == '_' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= utf8.RuneSelf
}

func wordLen(s string) int {
	n := 1
	for n < len(s) && (letter(s[n]) || s[n] >= '0' && s[n] <= '9') {
		n++
	}
	return n
}

// quoted is the length of the quoted text that s begins with: a quote in it is
// doubled or has a backslash.
func quoted(s string) int {
	for i := 1; i < len(s); i++ {
		switch s[i] {
		case '\\':
			i++
		case s[0]:
			return i + 1
		}
	}
	return len(s)
}
