// Package iostreams is what a command knows of the world it prints to: input,
// output and errors, which of them are a terminal, how wide it is, whether
// colour and UTF-8 are welcome. Commands write results to Out and everything
// else to ErrOut, and never look at os.Stdout or the environment themselves.
package iostreams

import (
	"io"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/charmbracelet/x/term"

	"github.com/prism-data-layer/prism/pkg/clock"
)

// A Stream is one of the three.
type Stream uint8

// The streams.
const (
	In Stream = iota
	Out
	Err
)

// IOStreams is the terminal, the pipe or the buffer that a command talks to.
type IOStreams struct {
	In     io.Reader
	Out    io.Writer
	ErrOut io.Writer

	tty     [3]bool
	size    func() (width, height int)
	look    func(string) (string, bool)
	clock   clock.Clock
	color   ColorMode
	noInput bool
	noPager bool
	sink    *sink        // what Out writes to, with its first error kept
	told    func(string) // of streams Aside: who hears of progress

	mu       sync.Mutex // guards what is drawn on ErrOut
	progress *Progress
	start    pagerFunc
}

// defaultWidth is what a terminal that does not say its size is taken for.
const (
	defaultWidth  = 80
	defaultHeight = 24
)

// System is the process's own streams and environment.
func System() *IOStreams {
	catchBrokenPipe()
	s := &IOStreams{
		In:    os.Stdin,
		tty:   [3]bool{term.IsTerminal(os.Stdin.Fd()), term.IsTerminal(os.Stdout.Fd()), term.IsTerminal(os.Stderr.Fd())},
		look:  os.LookupEnv,
		clock: clock.Real(),
		start: startPager,
	}
	s.size = func() (int, int) {
		w, h, err := term.GetSize(os.Stdout.Fd())
		if err != nil {
			return 0, 0
		}
		return w, h
	}
	s.wire(os.Stdout, os.Stderr)
	return s
}

func (s *IOStreams) wire(out, errOut io.Writer) {
	s.sink = &sink{w: out}
	s.Out = s.sink
	s.ErrOut = &errWriter{s: s, w: errOut}
}

// IsTTY reports whether the stream is a terminal.
func (s *IOStreams) IsTTY(which Stream) bool { return s.tty[which] }

// Width is the columns of the terminal that Out is; 0 when it is none, and
// then nothing is ever cut to fit.
func (s *IOStreams) Width() int {
	if !s.tty[Out] {
		return 0
	}
	if w, _ := s.size(); w > 0 {
		return w
	}
	return defaultWidth
}

// Height is the rows of the terminal that Out is; 0 when it is none.
func (s *IOStreams) Height() int {
	if !s.tty[Out] {
		return 0
	}
	if _, h := s.size(); h > 0 {
		return h
	}
	return defaultHeight
}

// Env is an environment variable; "" when it is not set.
func (s *IOStreams) Env(name string) string {
	v, _ := s.look(name)
	return v
}

// LookupEnv is an environment variable and whether it is set at all.
func (s *IOStreams) LookupEnv(name string) (string, bool) { return s.look(name) }

// SetNoInput forbids questions, as --no-input does.
func (s *IOStreams) SetNoInput(v bool) { s.noInput = v }

// SetNoPager forbids the pager, as --no-pager does.
func (s *IOStreams) SetNoPager(v bool) { s.noPager = v }

// CanPrompt reports whether a person is there to answer: input and errors are
// terminals, and neither --no-input nor CI says otherwise.
func (s *IOStreams) CanPrompt() bool {
	return s.tty[In] && s.tty[Err] && !s.noInput && !s.IsCI()
}

// IsCI reports whether this runs under continuous integration.
func (s *IOStreams) IsCI() bool {
	v := s.Env("CI")
	return v != "" && v != "0" && !strings.EqualFold(v, "false")
}

// UTF8 reports whether the locale is UTF-8, so that symbols may be more than
// ASCII. LC_ALL rules over LC_CTYPE over LANG; none set is the C locale.
func (s *IOStreams) UTF8() bool {
	for _, name := range []string{"LC_ALL", "LC_CTYPE", "LANG"} {
		if v := s.Env(name); v != "" {
			v = strings.ToLower(v)
			return strings.Contains(v, "utf-8") || strings.Contains(v, "utf8")
		}
	}
	return utf8WithoutLocale
}

// Clock is the clock that progress and relative times run on.
func (s *IOStreams) Clock() clock.Clock { return s.clock }

// SetClock replaces the clock.
func (s *IOStreams) SetClock(c clock.Clock) { s.clock = c }

// Now is the time on the streams' clock.
func (s *IOStreams) Now() time.Time { return s.clock.Now() }
