package table

import (
	"regexp"
	"strings"
	"unicode"
)

// A filter decides which rows are shown. Small letters match large ones too;
// a large one in the pattern asks for exactly that.
type filter struct {
	typed   string // as the person typed it
	invert  bool
	pattern *regexp.Regexp
	err     error
}

func parseFilter(typed string) filter {
	f := filter{typed: typed}
	text, not := strings.CutPrefix(typed, "!")
	if text == "" {
		return f
	}
	f.invert = not
	if strings.IndexFunc(text, unicode.IsUpper) < 0 {
		text = "(?i)" + text
	}
	f.pattern, f.err = regexp.Compile(text)
	return f
}

func (f filter) active() bool { return f.pattern != nil }

func (f filter) keeps(r Row) bool {
	if f.pattern == nil {
		return true
	}
	for _, c := range r.Cells {
		if f.pattern.MatchString(c.Text) {
			return !f.invert
		}
	}
	return f.invert
}
