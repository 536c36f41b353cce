package client

import (
	"context"
	"errors"
	"io"

	"google.golang.org/grpc"

	"github.com/prism-data-layer/prism/pkg/prism"
	"github.com/prism-data-layer/prism/pkg/wire"
)

// A follower reads a stream of the gateway's over restarts and lost
// connections: it opens it again where it was.
type follower[M any] struct {
	c      *Client
	ctx    context.Context
	cancel context.CancelFunc
	// open opens the stream after a position, empty for where it begins.
	open func(ctx context.Context, conn *grpc.ClientConn, position string) (grpc.ServerStreamingClient[M], error)
	// resumed, if set, is told each time the stream was lost and goes on.
	resumed  func(position string, why *prism.Error)
	position string // after what was read; whoever reads keeps it
	finite   bool   // the gateway ends the stream when all was sent

	st    grpc.ServerStreamingClient[M]
	sess  *session
	fails int
	why   *prism.Error
}

func follow[M any](
	ctx context.Context, c *Client, position string, resumed func(string, *prism.Error),
	open func(context.Context, *grpc.ClientConn, string) (grpc.ServerStreamingClient[M], error),
) *follower[M] {
	ctx, cancel := context.WithCancel(ctx)
	return &follower[M]{c: c, ctx: ctx, cancel: cancel, open: open, resumed: resumed, position: position}
}

// Close ends the stream.
func (f *follower[M]) Close() { f.cancel() }

// next waits for a message. It returns an error only when going on is
// impossible or the context has ended, and io.EOF at the end of a finite stream.
func (f *follower[M]) next() (*M, error) {
	for {
		m, err := f.receive()
		if err == nil {
			if f.why != nil {
				f.c.stats.Resumes.Add(1)
				if f.resumed != nil {
					f.resumed(f.position, f.why)
				}
				f.why = nil
			}
			f.fails = 0
			return m, nil
		}
		f.st = nil
		if f.finite && errors.Is(err, io.EOF) {
			return nil, io.EOF
		}
		if err := f.again(err); err != nil {
			return nil, err
		}
	}
}

// receive reads from the stream, opening it if there is none.
func (f *follower[M]) receive() (*M, error) {
	if f.st == nil {
		ctx, sess, err := f.c.session.attach(f.ctx)
		if err != nil {
			return nil, err
		}
		f.sess = sess
		f.c.stats.Attempts.Add(1)
		if f.st, err = f.open(ctx, f.c.Conn(), f.position); err != nil {
			return nil, err
		}
	}
	return f.st.Recv()
}

// again waits before the next try, or returns why there is none. Without a
// position, or while the gateway cannot be reached by a client that is not to
// wait, a failure is final after a few tries.
func (f *follower[M]) again(err error) error {
	if f.ctx.Err() != nil {
		return prism.From(f.ctx.Err())
	}
	e, resume := wire.FromStream(err)
	if e == nil || errors.Is(err, io.EOF) {
		e = prism.New(prism.ReasonUnavailable, "the gateway ended the stream")
	}
	lost := f.c.session.lost(f.sess, e)
	f.fails++
	if !lost && !e.Retryable() && resume == nil || f.fails >= maxAttempts && f.c.o.failFast {
		return e
	}
	// What came last knows best: a message that was under way when the stream
	// was ended may have come after the position that the end names.
	if resume != nil && f.position == "" {
		f.position = resume.Position
	}
	f.why = e
	if !sleep(f.ctx, delay(min(f.fails, maxAttempts), e)) {
		return prism.From(f.ctx.Err())
	}
	return nil
}
