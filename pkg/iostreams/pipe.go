package iostreams

import (
	"errors"
	"io"
	"sync"
)

// IsBrokenPipe reports whether err says that the reader of our output has
// left, as head does when it has seen enough. That is no failure.
func IsBrokenPipe(err error) bool {
	return errors.Is(err, io.ErrClosedPipe) || isBrokenPipe(err)
}

// A sink passes writes on and keeps the first error, so that a command that
// does not look at each Fprintf still ends rightly. After an error it writes
// nothing more.
type sink struct {
	mu  sync.Mutex
	w   io.Writer
	err error
}

func (k *sink) Write(p []byte) (int, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.err != nil {
		return 0, k.err
	}
	n, err := k.w.Write(p)
	k.err = err
	return n, err
}

// OutErr is the first error of writing to Out; nil if all went well.
func (s *IOStreams) OutErr() error {
	s.sink.mu.Lock()
	defer s.sink.mu.Unlock()
	return s.sink.err
}

// errWriter clears the progress line before anything else is written to the
// same terminal.
type errWriter struct {
	s *IOStreams
	w io.Writer
}

func (e *errWriter) Write(p []byte) (int, error) {
	e.s.mu.Lock()
	defer e.s.mu.Unlock()
	if e.s.progress != nil {
		e.s.progress.erase()
	}
	return e.w.Write(p)
}
