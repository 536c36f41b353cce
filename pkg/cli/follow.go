package cli

import (
	"context"
	"errors"
	"io"
	"time"

	"google.golang.org/grpc"

	"github.com/prism-data-layer/prism/pkg/clock"
	"github.com/prism-data-layer/prism/pkg/prism"
)

// ErrEnough ends a stream that has shown as much as was asked for.
var ErrEnough = errors.New("enough")

// The waits between attempts to go on.
const (
	firstPause = 200 * time.Millisecond
	longPause  = 5 * time.Second
)

// A Stream is followed through the gateway's restarts. B is its message.
type Stream[B any] struct {
	Clock clock.Clock
	Out   *Output
	List  io.Closer // what Show adds to

	// Open begins it, or begins it anew where Show has come to.
	Open func(context.Context) (grpc.ServerStreamingClient[B], error)
	// Show shows a message; ErrEnough ends the stream.
	Show func(context.Context, *B) error
	// Resume is told where to go on when the gateway says so.
	Resume func(position string)
	// Back is what a person is told when a gateway that was away is there again.
	Back func() string
	// Explain makes an error one for people.
	Explain func(error) error

	away bool
}

// Follow returns nil when enough is shown or the stream is over. A gateway that
// has answered once is waited for when it goes away.
func (s *Stream[B]) Follow(ctx context.Context) error {
	started, pause := false, firstPause
	for {
		got, err := s.read(ctx)
		if got {
			started, pause = true, firstPause
		}
		var resume *Resumable
		switch {
		case err == nil:
			return s.List.Close()
		case ctx.Err() != nil:
			_ = s.List.Close()
			return context.Cause(ctx)
		case errors.As(err, &resume):
			if resume.Position != "" {
				s.Resume(resume.Position)
			}
			started, pause = true, max(resume.After, firstPause)
		case started && mayReturn(err):
		default:
			return s.Explain(err)
		}
		if !s.away {
			s.Out.Note("the gateway is away; waiting to go on")
			s.away = true
		}
		timer := s.Clock.NewTimer(pause)
		select {
		case <-ctx.Done():
			timer.Stop()
			return context.Cause(ctx)
		case <-timer.C:
		}
		pause = min(2*pause, longPause)
	}
}

// read reads one stream to its end; got says that it gave anything.
func (s *Stream[B]) read(ctx context.Context) (got bool, err error) {
	streaming, cancel := context.WithCancel(ctx)
	defer cancel()
	stream, err := s.Open(streaming)
	if err != nil {
		return false, err
	}
	for {
		message, err := stream.Recv()
		switch {
		case errors.Is(err, io.EOF):
			return got, nil
		case err != nil:
			return got, err
		}
		if s.away {
			s.Out.Note("%s", s.Back())
			s.away = false
		}
		got = true
		switch err := s.Show(ctx, message); {
		case errors.Is(err, ErrEnough):
			return got, nil
		case err != nil:
			return got, err
		}
	}
}

// mayReturn reports whether the gateway may come back by itself.
func mayReturn(err error) bool {
	return errors.Is(err, prism.ReasonUnavailable) || errors.Is(err, prism.ReasonDraining) || errors.Is(err, prism.ReasonMoved)
}
