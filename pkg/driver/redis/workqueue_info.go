package redis

import (
	"context"
	"time"

	"github.com/prism-data-layer/prism/pkg/driver"
	"github.com/prism-data-layer/prism/pkg/prism"
)

// oldestLeases is how many leases Info looks through for the oldest message,
// those that end first.
const oldestLeases = 1000

// A queueFacts is what the script on a queue's facts answers.
type queueFacts struct {
	driver.QueueInfo
	priorities []int64
	next       time.Time // when the next delayed message is due
}

// untilTold repeats a script that does what time has brought, a part at a time,
// until it answers.
func (w *workQueues) untilTold(ctx context.Context, ns prism.Namespace, queue string, script *script, args ...any) (answered, error) {
	if err := w.s.enter(ctx); err != nil {
		return answered{}, err
	}
	defer w.s.leave()
	for {
		a, err := w.call(ctx, ns, queue, script, args...)
		if err != nil || a.number() == 0 {
			return a, err
		}
	}
}

func (w *workQueues) facts(ctx context.Context, ns prism.Namespace, queue string) (f queueFacts, err error) {
	a, err := w.untilTold(ctx, ns, queue, queueInfoScript, oldestLeases)
	if err != nil {
		return f, err
	}
	for range driver.MaxPriority + 1 {
		n := a.number()
		f.priorities = append(f.priorities, n)
		f.Ready += n
	}
	f.Delayed, f.Leased, f.Dead, f.Bytes = a.number(), a.number(), a.number(), a.number()
	f.next, f.Oldest = a.time(), a.time()
	settings := a.text()
	f.Published, f.Delivered, f.Redelivered, f.Acked = a.number(), a.number(), a.number(), a.number()
	if a.broken {
		return f, w.s.classify(ctx, errAnswer)
	}
	f.Options, err = parseSettings(settings)
	return f, w.s.classify(ctx, err)
}

func (w *workQueues) Info(ctx context.Context, ns prism.Namespace, queue string) (driver.QueueInfo, error) {
	f, err := w.facts(ctx, ns, queue)
	return f.QueueInfo, err
}

func (w *workQueues) Delayed(ctx context.Context, ns prism.Namespace, queue string) (int64, time.Time, error) {
	f, err := w.facts(ctx, ns, queue)
	return f.QueueInfo.Delayed, f.next, err
}

func (w *workQueues) Priorities(ctx context.Context, ns prism.Namespace, queue string) ([]int64, error) {
	f, err := w.facts(ctx, ns, queue)
	return f.priorities, err
}

const peekFormat = 1

// placeSizes are how long a place in a list is, by state: priority or time, and
// the id.
var placeSizes = [...]int{driver.QueueReady: 9, driver.QueueLater: 16, driver.QueueLeased: 16, driver.QueueDead: 8}

func (w *workQueues) Peek(ctx context.Context, ns prism.Namespace, queue string, p driver.QueuePeek) (page driver.QueuePage, err error) {
	switch {
	case p.State < driver.QueueReady || p.State > driver.QueueDead:
		return page, prism.InvalidField("state", "is none of a message")
	case p.Limit < 1:
		return page, prism.InvalidField("limit", "must be positive")
	}
	var place []byte
	if p.Token != nil {
		if len(p.Token) != 2+placeSizes[p.State] || p.Token[0] != peekFormat || p.Token[1] != byte(p.State) {
			return page, prism.New(prism.ReasonInvalidCursor, "the token is not one of this store")
		}
		place = p.Token[2:]
	}
	bytes := answerBytes
	if p.Bytes > 0 {
		bytes = min(bytes, p.Bytes)
	}
	a, err := w.untilTold(ctx, ns, queue, queuePeekScript, int(p.State), place, min(p.Limit, stride), bytes)
	if err != nil {
		return page, err
	}
	if next := a.text(); next != "" {
		page.Next = append([]byte{peekFormat, byte(p.State)}, next...)
	}
	for len(a.values) > 0 {
		m, _, err := a.stored()
		if err != nil {
			return driver.QueuePage{}, w.s.classify(ctx, err)
		}
		page.Messages = append(page.Messages, m)
	}
	if a.broken {
		return page, w.s.classify(ctx, errAnswer)
	}
	return page, nil
}
