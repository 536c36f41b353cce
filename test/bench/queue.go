package main

import (
	"context"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prism-data-layer/prism/pkg/client"
)

// What is asked of message services: payloads of 100 bytes; batches of 500, so
// many of them at once that the other side has as many messages under way.
var payload = []byte(strings.Repeat("m", 100))

const (
	fetch       = 500
	consumers   = 4
	outstanding = fetch * consumers
)

const messageConfig = `apiVersion: prism/v1
backends:
  - {name: volatile, driver: memory}
  - {name: local, driver: pebble, options: {memtable: 64MiB, cache: 256MiB}}
namespaces:
  - {name: work, model: queue, backend: local, access: {owners: ["user:dev"]}}
  - {name: events, model: pubsub, backend: volatile, access: {owners: ["user:dev"]}}
log: {level: error}
`

const (
	rowPublishSynced  = "queue: durable publish, 64 publishers ÷ JetStream, each synced"
	rowPublishDefault = "queue: durable publish, 64 publishers ÷ JetStream at its default"
	rowPublishBatch   = "queue: batch publish, synced ÷ JetStream's async publish"
	rowDrain          = "queue: receive and ack, synced ÷ JetStream's fetch(500) and ack"
)

// benchQueue measures a work queue on pebble beside JetStream.
func benchQueue(ctx context.Context, b *bench) error {
	if !b.wants(rowPublishSynced, rowPublishDefault, rowPublishBatch, rowDrain) {
		return nil
	}
	plain, err := b.natsQueue(ctx, jetStreamDefault)
	if plain == nil {
		return err
	}
	ours, err := b.workQueue(ctx)
	if err != nil {
		return err
	}
	if b.wants(rowPublishSynced, rowPublishDefault) {
		if err := benchPublish(ctx, b, ours, plain); err != nil {
			return err
		}
	}
	n := int(50_000 * b.length.Seconds())
	if b.wants(rowPublishBatch, rowDrain) {
		return benchBatches(ctx, b, ours, plain, n)
	}
	return nil
}

func benchPublish(ctx context.Context, b *bench, ours *workQueue, plain *natsQueue) error {
	synced, err := b.natsQueue(ctx, jetStreamSynced)
	if err != nil {
		return err
	}
	publish := func(q *natsQueue) side {
		return func(ctx context.Context, d time.Duration) (sample, error) { return q.publish(ctx, ours.gw, d) }
	}
	s, err := b.alternate(ctx, ours.publish, publish(synced), publish(plain))
	if err != nil {
		return err
	}
	b.compare(rowPublishSynced, "messages/s", s[0], s[1], rate, ">=", 15)
	b.compare(rowPublishDefault, "messages/s", s[0], s[2], rate, ">=", 1)
	b.note("CPU seconds per million published, 64 publishers", "s", medianOf(s[0], cpu))
	return nil
}

// benchBatches publishes n messages and works them off, in turn with JetStream.
func benchBatches(ctx context.Context, b *bench, ours *workQueue, plain *natsQueue, n int) error {
	of := func(f func(context.Context, int) (sample, error)) side {
		return func(ctx context.Context, d time.Duration) (sample, error) {
			return f(ctx, int(float64(n)*d.Seconds()/b.length.Seconds()))
		}
	}
	s, err := b.alternate(ctx, of(ours.publishBatches), of(plain.publishAsync), of(ours.drain), of(plain.drain))
	if err != nil {
		return err
	}
	b.compare(rowPublishBatch, "messages/s", s[0], s[1], rate, ">=", 1)
	b.compare(rowDrain, "messages/s", s[2], s[3], rate, ">=", 1)
	b.note("CPU seconds per million published in batches", "s", medianOf(s[0], cpu))
	b.note("CPU seconds per million received and acknowledged", "s", medianOf(s[2], cpu))
	return nil
}

// A workQueue is a queue on pebble, behind a gateway of its own.
type workQueue struct {
	gw *process
	q  *client.WorkQueue
}

func (b *bench) workQueue(ctx context.Context) (*workQueue, error) {
	gw, err := b.prismd(ctx, messageConfig)
	if err != nil {
		return nil, err
	}
	sdk, err := client.Dial(gw.data)
	if err != nil {
		return nil, err
	}
	b.undo = append(b.undo, func() { sdk.Close() })
	return &workQueue{gw, sdk.WorkQueue("work", "bench")}, nil
}

func (w *workQueue) publish(ctx context.Context, d time.Duration) (sample, error) {
	return loop(ctx, w.gw, callers, d, func(ctx context.Context, _ int, _ uint32) error {
		_, err := w.q.Publish(ctx, client.Message{Payload: payload})
		return err
	})
}

// publishBatches sends n messages in batches.
func (w *workQueue) publishBatches(ctx context.Context, n int) (sample, error) {
	return w.timed(n, func(left *counter) error {
		for batch := left.take(fetch); batch > 0; batch = left.take(fetch) {
			if err := publishBatch(ctx, w.q, make([]client.Message, batch)); err != nil {
				return err
			}
		}
		return nil
	})
}

// publishBatch publishes messages with the payload of all.
func publishBatch(ctx context.Context, q *client.WorkQueue, messages []client.Message) error {
	for i := range messages {
		messages[i].Payload = payload
	}
	_, errs, err := q.PublishBatch(ctx, messages)
	for _, e := range errs {
		if err == nil {
			err = e
		}
	}
	return err
}

// drain receives and acknowledges n messages.
func (w *workQueue) drain(ctx context.Context, n int) (sample, error) {
	return w.timed(n, func(left *counter) error {
		for n := left.take(fetch); n > 0; n = left.take(fetch) {
			messages, err := w.q.Receive(ctx, client.ReceiveOptions{Max: n})
			if err == nil && len(messages) > 0 {
				err = w.q.Ack(ctx, messages...)
			}
			if err != nil {
				return err
			}
			left.giveBack(n - len(messages))
		}
		return nil
	})
}

// timed lets several goroutines share n messages.
func (w *workQueue) timed(n int, f func(left *counter) error) (sample, error) {
	before, start := w.gw.cpuSeconds(), time.Now()
	err := sharing(n, f)
	return sample{rate: float64(n) / time.Since(start).Seconds(), cpu: (w.gw.cpuSeconds() - before) / float64(n) * 1e6}, err
}

// A counter is work that several share.
type counter struct{ left atomic.Int64 }

func (c *counter) giveBack(n int) { c.left.Add(int64(n)) }

// take takes up to n.
func (c *counter) take(n int) int {
	for {
		left := c.left.Load()
		mine := min(left, int64(n))
		if mine <= 0 || c.left.CompareAndSwap(left, left-mine) {
			return int(max(mine, 0))
		}
	}
}

// sharing runs f in several goroutines that share n.
func sharing(n int, f func(left *counter) error) error {
	var left counter
	left.left.Store(int64(n))
	errs := make(chan error, consumers)
	var wg sync.WaitGroup
	for range consumers {
		wg.Go(func() {
			if err := f(&left); err != nil {
				errs <- err
			}
		})
	}
	wg.Wait()
	close(errs)
	return <-errs
}
