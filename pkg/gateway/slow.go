package gateway

import (
	"context"
	"time"

	"github.com/prism-data-layer/prism/pkg/clock"
	"github.com/prism-data-layer/prism/pkg/prism"
)

// SlowConsumer is how long a subscriber may leave its stream so full that
// nothing more can be written. It is then ended: it holds memory of the
// gateway's, and can go on from its position when it has time.
const SlowConsumer = 10 * time.Second

// lastMoment is what a message gets that was being written when its stream must
// end: one that the transport takes at once has been sent.
const lastMoment = 100 * time.Millisecond

// An outbox writes a stream's messages in a goroutine of its own, so that a
// reader who does not read cannot hold the handler. It is used by one caller at
// a time, and its goroutine ends with the stream.
type outbox[M any] struct {
	clock clock.Clock
	out   chan M
	sent  chan error
}

func newOutbox[M any](c clock.Clock, write func(M) error) *outbox[M] {
	o := &outbox[M]{clock: c, out: make(chan M), sent: make(chan error, 1)}
	go func() {
		for m := range o.out {
			o.sent <- write(m)
		}
	}()
	return o
}

// close says that nothing more will be sent.
func (o *outbox[M]) close() { close(o.out) }

// send writes m. Whoever gets an error must end the stream: m may still be on
// its way.
func (o *outbox[M]) send(ctx context.Context, m M) error {
	o.out <- m // it is free: the message before was waited for
	patience := o.clock.NewTimer(SlowConsumer)
	defer patience.Stop()
	var why error
	select {
	case err := <-o.sent:
		return err
	case <-patience.C:
		why = prism.New(prism.ReasonSlowConsumer, "nothing was read from the stream for %s", SlowConsumer)
	case <-ctx.Done():
		why = context.Cause(ctx)
	}
	moment := o.clock.NewTimer(lastMoment)
	defer moment.Stop()
	select {
	case err := <-o.sent:
		return err
	case <-moment.C:
		return why
	}
}
