package redis

import (
	"context"
	"encoding/binary"
	"errors"
	"sync"
	"time"

	"github.com/prism-data-layer/prism/pkg/driver"
	"github.com/prism-data-layer/prism/pkg/prism"
)

// eventBatch is how many events Next hands out at once.
const eventBatch = 1000

// A subscriber keeps events until they are asked for.
type subscriber struct {
	p      *pubsub
	line   *line
	from   source
	topics string
	s      driver.Subscription
	ready  chan struct{} // closed when the server has confirmed, or never will

	mu      sync.Mutex
	queue   []driver.Event
	dropped int64
	ended   error // after what waits
	closed  bool
	wake    chan struct{} // holds a word when there is something to see
}

// offer takes an event in, or does what the policy says. It never waits.
func (sub *subscriber) offer(e *driver.Event) {
	if !sub.s.Filter.Match(e.Attributes) {
		return
	}
	sub.mu.Lock()
	defer sub.mu.Unlock()
	switch {
	case sub.ended != nil:
		return
	case len(sub.queue) < sub.s.Pending:
		sub.queue = append(sub.queue, *e)
	case sub.s.Slow == driver.SlowDisconnect:
		sub.ended = prism.New(prism.ReasonSlowConsumer, "%d events waited and no more may", sub.s.Pending)
	default:
		sub.dropped++
		return
	}
	sub.rouse()
}

func (sub *subscriber) end(why error) {
	sub.mu.Lock()
	defer sub.mu.Unlock()
	if sub.ended == nil {
		sub.ended = why
	}
	sub.rouse()
}

func (sub *subscriber) failure() error {
	sub.mu.Lock()
	defer sub.mu.Unlock()
	return sub.ended
}

func (sub *subscriber) rouse() {
	select {
	case sub.wake <- struct{}{}:
	default:
	}
}

// Next takes what waits.
func (sub *subscriber) Next(ctx context.Context) (driver.Events, error) {
	for {
		if err := ctx.Err(); err != nil {
			return driver.Events{}, prism.From(err)
		}
		if out, over, err := sub.take(); over {
			return out, err
		}
		select {
		case <-sub.wake:
		case <-sub.p.s.closing:
			sub.end(sub.p.s.closedError())
		case <-ctx.Done():
		}
	}
}

// take gives what waits; over is false if that is nothing yet.
func (sub *subscriber) take() (out driver.Events, over bool, err error) {
	sub.mu.Lock()
	defer sub.mu.Unlock()
	switch {
	case sub.closed:
		sub.rouse() // for whoever asks again
		return out, true, prism.New(prism.ReasonUnavailable, "the subscription is closed")
	case len(sub.queue) > 0:
		n := min(len(sub.queue), eventBatch)
		out = driver.Events{Events: sub.queue[:n:n], Dropped: sub.dropped}
		if sub.queue = sub.queue[n:]; len(sub.queue) == 0 {
			sub.queue = nil
		}
		sub.dropped = 0
		return out, true, nil
	}
	return out, sub.ended != nil, sub.ended
}

// Close ends a Next that waits.
func (sub *subscriber) Close() error {
	sub.mu.Lock()
	was := sub.closed
	sub.closed, sub.queue = true, nil
	sub.rouse()
	sub.mu.Unlock()
	if !was {
		sub.p.leave(sub)
	}
	return nil
}

// An event as it is sent: a format, then each part after its length. Its topic
// is the channel.
const eventFormat = 1

var errEvent = errors.New("not an event of this driver, or of a newer one")

func appendEvent(b []byte, e *driver.Event) []byte {
	size := 32 + len(e.ID) + len(e.CorrelationID) + len(e.ReplyTo) + len(e.OrderingKey) + len(e.Payload)
	if cap(b)-len(b) < size {
		b = append(make([]byte, 0, len(b)+size), b...)
	}
	b = append(b, eventFormat)
	b = binary.AppendVarint(b, e.Time.UnixMilli())
	for _, s := range [...]string{e.ID, e.CorrelationID, e.ReplyTo, e.OrderingKey} {
		b = appendText(b, s)
	}
	b = binary.AppendUvarint(b, uint64(len(e.Attributes)))
	for k, v := range e.Attributes {
		b = appendText(appendText(b, k), v)
	}
	return append(b, e.Payload...)
}

func appendText(b []byte, s string) []byte {
	return append(binary.AppendUvarint(b, uint64(len(s))), s...)
}

// parseEvent reads an event; its payload is part of b.
func parseEvent(b []byte) (e driver.Event, err error) {
	if len(b) == 0 || b[0] != eventFormat {
		return e, errEvent
	}
	ms, n := binary.Varint(b[1:])
	if n <= 0 {
		return e, errEvent
	}
	b = b[1+n:]
	e.Time = time.UnixMilli(ms)
	for _, s := range [...]*string{&e.ID, &e.CorrelationID, &e.ReplyTo, &e.OrderingKey} {
		if *s, b, err = cutText(b); err != nil {
			return e, err
		}
	}
	attributes, n := binary.Uvarint(b)
	if n <= 0 || attributes > uint64(len(b)) {
		return e, errEvent
	}
	b = b[n:]
	for range attributes {
		var k, v string
		if k, b, err = cutText(b); err != nil {
			return e, err
		}
		if v, b, err = cutText(b); err != nil {
			return e, err
		}
		if e.Attributes == nil {
			e.Attributes = make(map[string]string, attributes)
		}
		e.Attributes[k] = v
	}
	e.Payload = b
	return e, nil
}

func cutText(b []byte) (s string, rest []byte, err error) {
	size, n := binary.Uvarint(b)
	if n <= 0 || size > uint64(len(b)-n) {
		return "", nil, errEvent
	}
	return string(b[n : n+int(size)]), b[n+int(size):], nil
}
