package page

import (
	"context"
	"strings"

	"github.com/prism-data-layer/prism/tui/component/text"
)

// A Shell runs a command line of prismctl and answers what it prints: what a
// page does is then what its command does. in is the standard input; say hears
// how it goes. It asks nothing.
type Shell interface {
	Run(ctx context.Context, args []string, in string, say func(string)) (string, error)
}

// Line is a command line as a person types it.
func (e Env) Line(args ...string) string {
	var b strings.Builder
	b.WriteString(e.Command)
	for _, a := range args {
		b.WriteByte(' ')
		b.WriteString(text.Quote(a))
	}
	return b.String()
}

// Job is a command line as something to do; hidden arguments, such as --yes
// where the page has asked, are not shown.
func (e Env) Job(s Shell, args []string, hidden ...string) Job {
	return Job{Command: e.Line(args...), Do: func(ctx context.Context, say func(string)) (string, error) {
		return s.Run(ctx, append(append([]string{}, args...), hidden...), "", say)
	}}
}

// Thing is the item of an object that a command shows, in YAML too.
func (e Env) Thing(s Shell, id string, args ...string) Item {
	return Item{ID: id, Command: e.Line(args...), Object: func(ctx context.Context) (string, error) {
		return s.Run(ctx, append(append([]string{}, args...), "-o", "yaml"), "", nil)
	}}
}

// Printed shows what a command prints, and its error below it.
func (e Env) Printed(s Shell, title string, args ...string) Show {
	return Show{Title: title, Text: func(ctx context.Context) (string, error) {
		out, err := s.Run(ctx, args, "", nil)
		if err != nil && strings.TrimSpace(out) != "" {
			return out + "\n✗ " + text.Clean(err.Error()) + "\n", nil
		}
		return out, err
	}}
}
