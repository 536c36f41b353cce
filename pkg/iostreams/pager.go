package iostreams

import (
	"bytes"
	"io"
	"os"
	"os/exec"
	"strings"
)

// A pagerFunc starts command and returns what it reads from; wait ends it.
type pagerFunc func(command string, out, errOut io.Writer) (in io.WriteCloser, wait func() error, err error)

// Pager returns a writer for long output. On a terminal what fits on a screen
// is printed and anything longer goes to PRISM_PAGER, PAGER or less; elsewhere,
// with --no-pager, or with PRISM_PAGER set to nothing, it is Out itself.
// Close it.
func (s *IOStreams) Pager() io.WriteCloser {
	command := s.pagerCommand()
	if command == "" {
		return nopCloser{s.Out}
	}
	return &pager{s: s, command: command, room: s.Height() - 1}
}

func (s *IOStreams) pagerCommand() string {
	if s.noPager || !s.tty[Out] || !s.tty[In] || s.IsCI() || s.Env("TERM") == "dumb" || s.start == nil {
		return ""
	}
	for _, name := range []string{"PRISM_PAGER", "PAGER"} {
		if v, set := s.look(name); set {
			if v = strings.TrimSpace(v); v == "cat" {
				return ""
			}
			return v
		}
	}
	return "less"
}

type pager struct {
	s       *IOStreams
	command string
	room    int

	held  bytes.Buffer
	lines int
	in    io.WriteCloser
	wait  func() error
	plain bool
}

func (p *pager) Write(b []byte) (int, error) {
	switch {
	case p.plain:
		return p.s.Out.Write(b)
	case p.in != nil:
		return p.in.Write(b)
	}
	p.held.Write(b)
	p.lines += bytes.Count(b, []byte{'\n'})
	if p.lines <= p.room {
		return len(b), nil
	}
	in, wait, err := p.s.start(p.command, p.s.sink.w, p.s.ErrOut)
	if err != nil { // no such program: print, as without one
		p.plain = true
		_, err = p.held.WriteTo(p.s.Out)
		return len(b), err
	}
	p.in, p.wait = in, wait
	_, err = p.held.WriteTo(p.in)
	return len(b), err
}

func (p *pager) Close() error {
	if p.in == nil {
		_, err := p.held.WriteTo(p.s.Out)
		return err
	}
	_ = p.in.Close()
	return p.wait()
}

// startPager runs the pager. less gets options that leave the screen as it
// was and pass colours through, unless LESS is set.
func startPager(command string, out, errOut io.Writer) (io.WriteCloser, func() error, error) {
	words := strings.Fields(command)
	path, err := exec.LookPath(words[0])
	if err != nil {
		return nil, nil, err
	}
	cmd := exec.Command(path, words[1:]...)
	cmd.Stdout, cmd.Stderr = out, errOut
	cmd.Env = os.Environ()
	if _, set := os.LookupEnv("LESS"); !set {
		cmd.Env = append(cmd.Env, "LESS=FRX")
	}
	in, err := cmd.StdinPipe()
	if err != nil {
		return nil, nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, nil, err
	}
	return in, cmd.Wait, nil
}

type nopCloser struct{ io.Writer }

func (nopCloser) Close() error { return nil }
