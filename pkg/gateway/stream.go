package gateway

import (
	"context"

	"github.com/prism-data-layer/prism/pkg/prism"
	"github.com/prism-data-layer/prism/pkg/telemetry"
)

// live returns a context for a long stream: it ends, with the reason as its
// cause, when the session ends, the namespace changes or the gateway drains. ctx
// is the stream's, or one to work in.
func (c *call) live(ctx context.Context) (context.Context, context.CancelFunc) {
	if telemetry.CallOf(ctx) == nil {
		ctx = c.note
	}
	ctx, cancel := context.WithCancelCause(ctx)
	go func() {
		select {
		case <-c.session.Done():
			cancel(c.session.Err())
		case <-c.target.Done():
			cancel(c.target.Err())
		case <-c.road.Draining:
			cancel(prism.New(prism.ReasonDraining, "the gateway is about to stop"))
		case <-ctx.Done():
		}
	}()
	return ctx, func() { cancel(nil) }
}

// why is the error that a stream ends with: the cause of its context, where
// that is what ended it.
func why(ctx context.Context, err error) error {
	if cause := context.Cause(ctx); cause != nil && ctx.Err() != nil {
		return cause
	}
	return err
}

// first reads a stream's first message. It is not waited for when the gateway
// stops or the session ends, and not longer than a call without a deadline: a
// caller that says nothing must not hold up either.
func (c *call) first(recv func() error) error {
	got := make(chan error, 1)
	go func() { got <- recv() }()
	patience := c.road.Clock.NewTimer(DefaultDeadline)
	defer patience.Stop()
	select {
	case err := <-got:
		return err
	case <-c.session.Done():
		return c.session.Err()
	case <-c.road.Draining:
		return prism.New(prism.ReasonDraining, "the gateway is about to stop")
	case <-patience.C:
		return prism.New(prism.ReasonDeadlineExceeded, "the stream's first message did not come within %s", DefaultDeadline)
	}
}
