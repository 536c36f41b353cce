package config

import (
	"cmp"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/prism-data-layer/prism/pkg/prism"
)

// A Problem is one thing that is wrong with a file.
type Problem struct {
	File       string
	Line, Col  int
	Path       string // where in the structure, such as "namespaces[2].backend"; "" for the file as a whole
	Word       string // the wrong word
	Message    string // what is wrong with it
	Suggestion string // the nearest right word, if there is one
	Hint       string // what else to do, where no single word would be right
	Doc        string // where it is documented, such as "docs/config.md#namespaces"

	quote string // the line it stands on, secrets hidden
}

// String is the first line of the problem: FILE:LINE:COL: message.
func (p Problem) String() string {
	return fmt.Sprintf("%s:%d:%d: %s", p.File, p.Line, p.Col, printable(p.Message))
}

// advice is what stands behind the carets.
func (p Problem) advice() string {
	switch {
	case p.Suggestion != "":
		return fmt.Sprintf("did you mean %q?", p.Suggestion)
	default:
		return printable(p.Hint)
	}
}

// quoteWidth bounds the part of a line that is shown.
const quoteWidth = 100

// Render shows the problem with its line and a caret under the wrong word.
func (p Problem) Render() string {
	var b strings.Builder
	b.WriteString(p.String() + "\n")
	quote := []rune(printable(p.quote))
	col := min(max(p.Col-1, 0), len(quote))
	width := max(min(utf8.RuneCountInString(p.Word), len(quote)-col), 1)
	if len(quote) > quoteWidth { // a window that holds the word
		from := min(max(col-quoteWidth/2, 0), len(quote)-quoteWidth)
		quote, col = quote[from:from+quoteWidth], col-from
		width = min(width, quoteWidth-col)
	}
	if len(quote) > 0 {
		fmt.Fprintf(&b, "%5d | %s\n", p.Line, string(quote))
		b.WriteString(strings.TrimRight(fmt.Sprintf("      | %s%s %s",
			strings.Repeat(" ", col), strings.Repeat("^", max(width, 1)), p.advice()), " ") + "\n")
	} else if p.advice() != "" {
		fmt.Fprintf(&b, "      | %s\n", p.advice())
	}
	if p.Doc != "" {
		fmt.Fprintf(&b, "      = see %s\n", p.Doc)
	}
	return b.String()
}

// maxProblems is how many problems of one file are kept; more help no one.
const maxProblems = 100

// An Error is everything that is wrong with a file, in the order of its lines.
// errors.Is(err, prism.ReasonInvalidConfig) holds.
type Error struct {
	Problems []Problem
	More     int // how many further problems were found but not kept
}

// NewError makes the error for problems found after the file was read, such as
// an unknown driver; nil for none. Build them with [Where.Problem].
func NewError(problems ...Problem) error {
	if len(problems) == 0 {
		return nil
	}
	return &Error{Problems: problems}
}

// Error lists the first line of each problem.
func (e *Error) Error() string {
	lines := make([]string, 0, len(e.Problems)+1)
	for _, p := range e.Problems {
		lines = append(lines, p.String())
	}
	if e.More > 0 {
		lines = append(lines, fmt.Sprintf("and %d more", e.More))
	}
	return strings.Join(lines, "\n")
}

// Render shows each problem with its line, a caret, and what to do.
func (e *Error) Render() string {
	var b strings.Builder
	for i, p := range e.Problems {
		if i > 0 {
			b.WriteByte('\n')
		}
		b.WriteString(p.Render())
	}
	if e.More > 0 {
		fmt.Fprintf(&b, "\nand %d more\n", e.More)
	}
	return b.String()
}

// Unwrap gives the error as the wire and the exit codes know it. The message
// names the file without its folders.
func (e *Error) Unwrap() error {
	out := prism.New(prism.ReasonInvalidConfig, "the configuration has %s", plural(len(e.Problems)+e.More, "problem"))
	for _, p := range e.Problems {
		field := p.Path
		if field == "" {
			field = p.Word
		}
		out.WithField(field, fmt.Sprintf("%s:%d:%d: %s", filepath.Base(p.File), p.Line, p.Col, p.Message))
	}
	return out
}

// A report gathers the problems of one file.
type report struct {
	src      *source
	problems []Problem
	more     int
	partial  bool // parts could not be read: what seems absent may not be
}

// A fault is a problem without its place.
type fault struct {
	message, suggestion, hint, doc string
}

func (r *report) add(pos Pos, path string, f fault) {
	r.keep(newProblem(r.src, pos, path, f))
}

func (r *report) keep(p Problem) {
	if len(r.problems) >= maxProblems {
		r.more++
		return
	}
	r.problems = append(r.problems, p)
}

// missing adds a problem that is true only if the whole file was read.
func (r *report) missing(pos Pos, path string, f fault) {
	if !r.partial {
		r.add(pos, path, f)
	}
}

func (r *report) err() error {
	if len(r.problems) == 0 {
		return nil
	}
	slices.SortStableFunc(r.problems, func(a, b Problem) int {
		return cmp.Or(cmp.Compare(a.Line, b.Line), cmp.Compare(a.Col, b.Col))
	})
	return &Error{Problems: r.problems, More: r.more}
}

func newProblem(src *source, pos Pos, path string, f fault) Problem {
	if f.doc == "" {
		f.doc = docFor(path)
	}
	return Problem{
		File: pos.File, Line: pos.Line, Col: pos.Col, Path: path, Word: pos.word,
		Message: f.message, Suggestion: f.suggestion, Hint: f.hint, Doc: docPage + "#" + f.doc,
		quote: src.line(pos.Line),
	}
}

// docPage is written by [Reference]; each section is an anchor.
const docPage = "docs/config.md"

// docFor finds the section for a path: that of its first key.
func docFor(path string) string {
	top, _, _ := strings.Cut(path, ".")
	top, _, _ = strings.Cut(top, "[")
	if top == "" {
		return "files"
	}
	return strings.ToLower(top)
}

// printable replaces what could move a terminal's cursor; a tab stays one
// column wide, as the caret below it expects.
func printable(s string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r == '\t':
			return ' '
		case r == utf8.RuneError || unicode.IsControl(r) || unicode.In(r, unicode.Cf, unicode.Zl, unicode.Zp):
			return '\uFFFD'
		}
		return r
	}, s)
}

func plural(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}
