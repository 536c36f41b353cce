package iostreams

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"strings"
)

// Ask shows a question on ErrOut and reads one line. It returns as soon as ctx
// ends, so that Ctrl-C at a prompt is obeyed at once. Callers check CanPrompt
// first.
func (s *IOStreams) Ask(ctx context.Context, question string) (string, error) {
	fmt.Fprint(s.ErrOut, question)
	type answer struct {
		line string
		err  error
	}
	got := make(chan answer, 1)
	go func() {
		line, err := bufio.NewReader(s.In).ReadString('\n')
		if err == io.EOF && line != "" {
			err = nil
		}
		got <- answer{strings.TrimSpace(line), err}
	}()
	select {
	case a := <-got:
		return a.line, a.err
	case <-ctx.Done():
		fmt.Fprintln(s.ErrOut)
		return "", context.Cause(ctx)
	}
}
