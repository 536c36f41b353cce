package table

import (
	"regexp"
	"strings"
	"unicode"

	"github.com/prism-data-layer/prism/tui/component/fuzzy"
)

// A filter decides which rows are shown. What is typed is a regular expression
// on any cell; ! in front inverts, "-f " makes it letters in their order
// anywhere, "-l " makes it labels: "-l team=shop,tier". Small letters match
// large ones too; a large one in a pattern asks for exactly that.
type filter struct {
	typed  string // as the person typed it
	invert bool
	match  func(Row) bool // nil: every row is shown
	err    error
}

func parseFilter(typed string) filter {
	f := filter{typed: typed}
	text, not := strings.CutPrefix(typed, "!")
	f.invert = not
	if rest, ok := mode(text, "-f"); ok {
		if rest != "" {
			f.match = func(r Row) bool { return anyCell(r, func(s string) bool { _, ok := fuzzy.Score(rest, s); return ok }) }
		}
		return f
	}
	if rest, ok := mode(text, "-l"); ok {
		if rest != "" {
			f.match = func(r Row) bool { return labelled(r.Labels, rest) }
		}
		return f
	}
	if text == "" {
		return f
	}
	if strings.IndexFunc(text, unicode.IsUpper) < 0 {
		text = "(?i)" + text
	}
	pattern, err := regexp.Compile(text)
	if f.err = err; err == nil {
		f.match = func(r Row) bool { return anyCell(r, pattern.MatchString) }
	}
	return f
}

// mode takes the word of a mode off; while only the word is typed, it is one.
func mode(text, word string) (rest string, ok bool) {
	if text == word {
		return "", true
	}
	rest, ok = strings.CutPrefix(text, word+" ")
	return strings.TrimSpace(rest), ok
}

func anyCell(r Row, match func(string) bool) bool {
	for _, c := range r.Cells {
		if match(c.Text) {
			return true
		}
	}
	return false
}

// labelled reports whether labels have all that is asked for: "team=shop" that
// value, "team!=shop" another or none, "team" any value, "!team" none.
func labelled(labels map[string]string, asked string) bool {
	for _, term := range strings.FieldsFunc(asked, func(r rune) bool { return r == ',' || r == ' ' }) {
		if key, value, ok := strings.Cut(term, "!="); ok {
			if labels[key] == value {
				return false
			}
			continue
		}
		key, value, valued := strings.Cut(term, "=")
		key, none := strings.CutPrefix(key, "!")
		has, there := labels[key]
		if none == there || valued && has != value {
			return false
		}
	}
	return true
}

func (f filter) active() bool { return f.match != nil }

func (f filter) keeps(r Row) bool { return f.match == nil || f.match(r) != f.invert }
