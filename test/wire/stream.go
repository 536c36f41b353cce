package wire

import (
	"context"
	"errors"
	"io"

	"github.com/prism-data-layer/prism/pkg/prism"
)

// A stream is a server's stream that is read when asked: what a driver's Next
// is to its caller, whose patience may end before the stream does.
type stream[R any] struct {
	ctx    context.Context
	cancel context.CancelFunc
	next   chan answer[R]
	err    error
}

type answer[R any] struct {
	resp R
	err  error
}

// receiver is the reading end of any generated stream.
type receiver[R any] interface{ Recv() (R, error) }

// follow opens a stream and takes its first message, which comes at once; so
// does a refusal.
func follow[R any, S receiver[R]](open func(ctx context.Context) (S, error)) (*stream[R], R, error) {
	ctx, cancel := context.WithCancel(context.Background())
	var first R
	st, err := open(ctx)
	if err == nil {
		first, err = st.Recv()
	}
	if err != nil {
		cancel()
		return nil, first, failed(err)
	}
	s := &stream[R]{ctx: ctx, cancel: cancel, next: make(chan answer[R])}
	go s.read(st)
	return s, first, nil
}

func (s *stream[R]) read(st receiver[R]) {
	for {
		resp, err := st.Recv()
		select {
		case s.next <- answer[R]{resp, err}:
		case <-s.ctx.Done():
			return
		}
		if err != nil {
			return
		}
	}
}

// take waits for the next message. io.EOF is an end without an error.
func (s *stream[R]) take(ctx context.Context) (resp R, err error) {
	if s.err != nil {
		return resp, s.err
	}
	if err := ctx.Err(); err != nil { // even if something is ready
		return resp, prism.From(err)
	}
	select {
	case got := <-s.next:
		if s.err = failed(got.err); errors.Is(got.err, io.EOF) {
			s.err = io.EOF
		}
		return got.resp, s.err
	case <-ctx.Done():
		return resp, prism.From(ctx.Err())
	case <-s.ctx.Done():
		return resp, prism.New(prism.ReasonCancelled, "the stream is closed")
	}
}

// Close ends the stream.
func (s *stream[R]) Close() error {
	s.cancel()
	return nil
}
