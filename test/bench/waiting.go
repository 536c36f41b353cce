package main

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prism-data-layer/prism/pkg/client"
	queuev1 "github.com/prism-data-layer/prism/proto/prism/queue/v1"
)

// developmentConfig has the store's own sizes, which are those of `dev up`.
const developmentConfig = `apiVersion: prism/v1
backends:
  - {name: local, driver: pebble}
namespaces:
  - {name: work, model: queue, backend: local, access: {owners: ["user:dev"]}}
log: {level: error}
`

const (
	rowWaitingRSS     = "queue: RSS that 1,000,000 waiting messages add, development sizes"
	rowWaitingRelease = "queue: server CPU of Receive and Release, 1,000,000 waiting ÷ 1,000"
	rowWaitingTail    = "queue: p99 of Receive and Release, 1,000,000 waiting ÷ 1,000"
	rowWaitingDue     = "queue: server CPU of a due delay, 1,000,000 waiting ÷ 1,000"

	waitingQueues = 1000
	waitingFew    = 1000
	waitingMany   = 1_000_000
)

// benchWaiting measures what waiting messages cost: half of them delayed, over
// a thousand queues on pebble.
func benchWaiting(ctx context.Context, b *bench) error {
	cost := b.wants(rowWaitingRelease, rowWaitingTail, rowWaitingDue)
	if !cost && !b.wants(rowWaitingRSS) {
		return nil
	}
	many, err := b.backlog(ctx)
	if err != nil {
		return err
	}
	// The first of everything is not what a message costs: code is read in, too.
	if err := many.fill(ctx, waitingFew); err != nil {
		return err
	}
	before, err := many.settled(ctx)
	if err != nil {
		return err
	}
	if err := many.fill(ctx, waitingMany); err != nil {
		return err
	}
	after, err := many.settled(ctx)
	if err != nil {
		return err
	}
	b.figure(rowWaitingRSS, "MiB", after-before, "<=", 64)
	if !cost {
		return nil
	}
	few, err := b.backlog(ctx)
	if err != nil {
		return err
	}
	if err := few.fill(ctx, waitingFew); err != nil {
		return err
	}
	s, err := b.alternate(ctx, many.release, few.release, many.due, few.due)
	if err != nil {
		return err
	}
	b.compare(rowWaitingRelease, "µs", s[0], s[1], cpu, "<=", 1.2)
	b.compare(rowWaitingTail, "ms", s[0], s[1], p99, "<=", 1.2)
	b.compare(rowWaitingDue, "µs", s[2], s[3], cpu, "<=", 1.2)
	return nil
}

// A backlog is a gateway with messages that wait.
type backlog struct {
	gw     *process
	queues [waitingQueues]*client.WorkQueue
}

func (b *bench) backlog(ctx context.Context) (*backlog, error) {
	gw, err := b.prismd(ctx, developmentConfig)
	if err != nil {
		return nil, err
	}
	sdk, err := client.Dial(gw.data)
	if err != nil {
		return nil, err
	}
	b.undo = append(b.undo, func() { sdk.Close() })
	l := &backlog{gw: gw}
	rpc := queuev1.NewWorkQueueServiceClient(sdk.Conn())
	for i := range l.queues {
		name := fmt.Sprintf("q-%d", i)
		l.queues[i] = sdk.WorkQueue("work", name)
		// What is released again and again is no dead letter here.
		if _, err := rpc.CreateQueue(ctx, &queuev1.CreateQueueRequest{Namespace: "work", Queue: name, Settings: &queuev1.QueueSettings{MaxAttempts: 1000}}); err != nil {
			return nil, err
		}
	}
	return l, nil
}

// fill publishes n messages, one delayed after each that is ready, to so many
// of the queues that each has some.
func (l *backlog) fill(ctx context.Context, n int) error {
	queues := min(waitingQueues, n/2)
	var next atomic.Int64
	return sharing(queues, func(left *counter) error {
		for left.take(1) > 0 {
			q := l.queues[next.Add(1)-1]
			for rest := n / queues; rest > 0; rest -= fetch {
				messages := make([]client.Message, min(rest, fetch))
				for i := 1; i < len(messages); i += 2 {
					messages[i].Delay = time.Hour
				}
				if err := publishBatch(ctx, q, messages); err != nil {
					return err
				}
			}
		}
		return nil
	})
}

// settled is the RSS when it has stopped to fall: what is garbage goes back to
// the system little by little.
func (l *backlog) settled(ctx context.Context) (float64, error) {
	low, since := l.gw.rss(), time.Now()
	for time.Since(since) < 5*time.Second {
		select {
		case <-time.After(250 * time.Millisecond):
		case <-ctx.Done():
			return 0, ctx.Err()
		}
		if now := l.gw.rss(); now < low-0.5 {
			low, since = now, time.Now()
		}
	}
	return low, nil
}

// withMessages is how many queues have messages in both sizes.
const withMessages = waitingFew / 2

// release takes a message and gives it back.
func (l *backlog) release(ctx context.Context, d time.Duration) (sample, error) {
	return l.each(ctx, d, func(ctx context.Context, q *client.WorkQueue) error {
		messages, err := q.Receive(ctx, client.ReceiveOptions{})
		if err == nil && len(messages) != 1 {
			err = fmt.Errorf("received %d messages, not one", len(messages))
		}
		if err != nil {
			return err
		}
		return q.Release(ctx, 0, "", messages...)
	})
}

// due publishes a message that goes before all others when it is due, and takes
// it then.
func (l *backlog) due(ctx context.Context, d time.Duration) (sample, error) {
	const delay = 2 * time.Millisecond
	return l.each(ctx, d, func(ctx context.Context, q *client.WorkQueue) error {
		id, err := q.Publish(ctx, client.Message{Payload: payload, Delay: delay, Priority: 9})
		if err != nil {
			return err
		}
		time.Sleep(delay + time.Millisecond) // due times are rounded up
		messages, err := q.Receive(ctx, client.ReceiveOptions{})
		if err == nil && (len(messages) != 1 || messages[0].ID != id) {
			err = fmt.Errorf("a message that was due did not come")
		}
		if err != nil {
			return err
		}
		return q.Ack(ctx, messages...)
	})
}

// each calls op by a few callers, each with queues of its own, and notes how
// long the calls took.
func (l *backlog) each(ctx context.Context, d time.Duration, op func(ctx context.Context, q *client.WorkQueue) error) (sample, error) {
	const n = 8
	var mu sync.Mutex
	var took []time.Duration
	s, err := loop(ctx, l.gw, n, d, func(ctx context.Context, c int, i uint32) error {
		start := time.Now()
		err := op(ctx, l.queues[int(i)%(withMessages/n)*n+c])
		mu.Lock()
		took = append(took, time.Since(start))
		mu.Unlock()
		return err
	})
	s.p99 = quantile(took, 0.99)
	return s, err
}
