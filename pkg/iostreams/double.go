package iostreams

import (
	"bytes"
	"io"
	"maps"
	"sync"
	"time"

	"github.com/prism-data-layer/prism/pkg/clock"
)

// Test is streams for a test: pipes, not terminals, with an empty environment
// but for a UTF-8 locale, and a clock that stands still. The buffers may be
// read while a command writes.
func Test() (s *IOStreams, in, out, errOut *Buffer) {
	in, out, errOut = &Buffer{}, &Buffer{}, &Buffer{}
	s = &IOStreams{In: in, clock: clock.NewFake(TestTime())}
	s.size = func() (int, int) { return 0, 0 }
	s.SetEnv(nil)
	s.wire(out, errOut)
	return s, in, out, errOut
}

// TestTime is what the clock of Test shows.
func TestTime() time.Time { return time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC) }

// SetTTY says which streams are terminals; for tests.
func (s *IOStreams) SetTTY(in, out, errOut bool) { s.tty = [3]bool{in, out, errOut} }

// SetSize says how large the terminal is; for tests.
func (s *IOStreams) SetSize(width, height int) {
	s.size = func() (int, int) { return width, height }
}

// SetEnv replaces the environment; LANG is en_US.UTF-8 unless it is given.
func (s *IOStreams) SetEnv(env map[string]string) {
	env = maps.Clone(env)
	s.look = func(name string) (string, bool) {
		v, ok := env[name]
		if !ok && name == "LANG" {
			return "en_US.UTF-8", true
		}
		return v, ok
	}
}

// A Buffer is a bytes.Buffer that is safe to read while it is written.
type Buffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *Buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *Buffer) Read(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Read(p)
}

// WriteString adds text, as a person's typing.
func (b *Buffer) WriteString(s string) (int, error) { return b.Write([]byte(s)) }

func (b *Buffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

// Reset empties the buffer.
func (b *Buffer) Reset() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.b.Reset()
}

// Redirect makes Out write to w; for tests of writers that fail.
func (s *IOStreams) Redirect(w io.Writer) {
	s.sink = &sink{w: w}
	s.Out = s.sink
}

// SetPager replaces what starts a pager; nil is the real thing. For tests.
func (s *IOStreams) SetPager(start func(command string, out, errOut io.Writer) (io.WriteCloser, func() error, error)) {
	s.start = startPager
	if start != nil {
		s.start = start
	}
}
