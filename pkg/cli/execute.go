package cli

import (
	"bytes"
	"context"
	"errors"
	"strings"

	"github.com/prism-data-layer/prism/pkg/config"
)

// Execute runs another command line of the tree inside this command, on the
// same gateway and as the same person, and answers what it prints. Whoever
// offers an action on a screen does it this way: then the command that is shown
// and what is done are one thing. in is its standard input; say hears what it
// waits for and what it notes. It asks nothing.
func (f *Factory) Execute(ctx context.Context, args []string, in string, say func(string)) (string, error) {
	if f.Tree == nil {
		return "", errors.New("there are no commands here")
	}
	if say == nil {
		say = func(string) {}
	}
	var out bytes.Buffer
	notes := &lineWriter{say: say}
	g := NewFactory(f.IO.Aside(strings.NewReader(in), &out, notes, say), f.Build)
	g.Place, g.Tracing = f.Place, f.Tracing
	defer g.Close()
	cmd := f.Tree(g)
	cmd.SetArgs(append(f.where(), args...))
	err := cmd.ExecuteContext(ctx)
	if ctx.Err() != nil && err != nil {
		err = context.Cause(ctx)
	}
	return out.String(), err
}

// where are the flags that lead another command line to where this one goes.
func (f *Factory) where() []string {
	g := f.Globals
	args := []string{"--output=" + FormatTable, "--no-input"}
	for _, x := range []struct{ flag, value string }{
		{"context", g.Context}, {"config", g.Config}, {"data", g.Data}, {"admin", g.Admin}, {"ca", g.CA}, {"token-file", g.TokenFile},
	} {
		if x.value != "" {
			args = append(args, "--"+x.flag+"="+x.value)
		}
	}
	if g.Insecure {
		args = append(args, "--insecure")
	}
	if g.Timeout > 0 {
		args = append(args, "--timeout="+config.FormatDuration(g.Timeout))
	}
	return args
}

// A lineWriter says each line that is written to it.
type lineWriter struct {
	say  func(string)
	rest []byte
}

func (w *lineWriter) Write(p []byte) (int, error) {
	w.rest = append(w.rest, p...)
	for {
		i := bytes.IndexByte(w.rest, '\n')
		if i < 0 {
			return len(p), nil
		}
		w.say(string(w.rest[:i]))
		w.rest = w.rest[i+1:]
	}
}
