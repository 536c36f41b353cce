package main

import (
	"context"
	"encoding/binary"
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/prism-data-layer/prism/pkg/client"
	"github.com/prism-data-layer/prism/pkg/prism"
)

const (
	rowQueueDelay  = "queue: p99 end to end at half of the peak"
	rowPubSubDelay = "pubsub: p99 end to end at half of the peak, 1 to 100"
)

// quantile is one of durations, in milliseconds.
func quantile(took []time.Duration, q float64) float64 {
	if len(took) == 0 {
		return 0
	}
	slices.Sort(took)
	return float64(took[int(float64(len(took)-1)*q)]) / 1e6
}

// stamped is the payload with a time in front; since reads it.
func stamped(t time.Time) []byte {
	b := slices.Clone(payload)
	binary.BigEndian.PutUint64(b, uint64(t.UnixNano()))
	return b
}

func since(b []byte) time.Duration {
	return time.Since(time.Unix(0, int64(binary.BigEndian.Uint64(b))))
}

// Delays are gathered from several goroutines.
type delays struct {
	mu   sync.Mutex
	took []time.Duration
}

func (d *delays) add(payload []byte) {
	took := since(payload)
	d.mu.Lock()
	d.took = append(d.took, took)
	d.mu.Unlock()
}

func (d *delays) count() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return len(d.took)
}

// openLoop calls send with what is due, at a rate, from the time when it was
// due, however slow the answers are.
func openLoop(ctx context.Context, perSecond float64, d time.Duration, send func(due []time.Time)) (sent int) {
	start := time.Now()
	for time.Since(start) < d && ctx.Err() == nil {
		time.Sleep(500 * time.Microsecond)
		var due []time.Time
		for at := int(time.Since(start).Seconds() * perSecond); sent < at; sent++ {
			due = append(due, start.Add(time.Duration(float64(sent)/perSecond*1e9)))
		}
		if len(due) > 0 {
			send(due)
		}
	}
	return sent
}

// arrive waits until all that was sent has come.
func (d *delays) arrive(ctx context.Context, n int) error {
	for end := time.Now().Add(10 * time.Second); d.count() < n; time.Sleep(time.Millisecond) {
		if time.Now().After(end) || ctx.Err() != nil {
			return errors.New("what was sent has not come")
		}
	}
	return nil
}

// atHalf measures the peak and then, at half of it, how long messages are under
// way; rounds of both in turn.
func (b *bench) atHalf(ctx context.Context, row string, limit float64, peak side, half func(ctx context.Context, perSecond float64, d time.Duration) (sample, error)) error {
	var last float64
	s, err := b.alternate(ctx,
		func(ctx context.Context, d time.Duration) (sample, error) {
			got, err := peak(ctx, d)
			last = got.rate
			return got, err
		},
		func(ctx context.Context, d time.Duration) (sample, error) { return half(ctx, last/2, d) })
	if err != nil {
		return err
	}
	b.figure(row, "ms", medianOf(s[1], p99), "<=", limit)
	b.note("that peak", "messages/s", medianOf(s[0], rate))
	return nil
}

// benchQueueDelay measures how long a message is under way from Publish to its
// handler, on pebble.
func benchQueueDelay(ctx context.Context, b *bench) error {
	if !b.wants(rowQueueDelay) {
		return nil
	}
	w, err := b.workQueue(ctx)
	if err != nil {
		return err
	}
	return b.atHalf(ctx, rowQueueDelay, 30, w.flow, w.paced)
}

// consume hands what comes to d until stop is called.
func (w *workQueue) consume(ctx context.Context, d *delays) (stop func() error) {
	ctx, cancel := context.WithCancel(ctx)
	ended := make(chan error, 1)
	go func() {
		ended <- w.q.Consume(ctx, client.ConsumeOptions{Parallel: callers}, func(_ context.Context, m *client.LeasedMessage) error {
			d.add(m.Payload)
			return nil
		})
	}()
	return func() error {
		cancel()
		if err := <-ended; !errors.Is(err, prism.ReasonCancelled) {
			return err
		}
		return nil
	}
}

// flow publishes as fast as it goes while what comes is consumed.
func (w *workQueue) flow(ctx context.Context, d time.Duration) (sample, error) {
	var got delays
	stop := w.consume(ctx, &got)
	var s sample
	sent, err := loop(ctx, w.gw, callers, d, func(ctx context.Context, _ int, _ uint32) error {
		_, err := w.q.Publish(ctx, client.Message{Payload: stamped(time.Now())})
		return err
	})
	s.rate = float64(got.count()) / d.Seconds()
	if err == nil {
		err = got.arrive(ctx, int(sent.rate*d.Seconds()))
	}
	return s, errors.Join(err, stop())
}

// paced publishes at a rate, whatever the answers do.
func (w *workQueue) paced(ctx context.Context, perSecond float64, d time.Duration) (sample, error) {
	var got delays
	stop := w.consume(ctx, &got)
	var calls sync.WaitGroup
	var once sync.Once
	var failed error
	sent := openLoop(ctx, perSecond, d, func(due []time.Time) {
		for _, at := range due {
			calls.Go(func() {
				if _, err := w.q.Publish(ctx, client.Message{Payload: stamped(at)}); err != nil {
					once.Do(func() { failed = err })
				}
			})
		}
	})
	calls.Wait()
	err := failed
	if err == nil {
		err = got.arrive(ctx, sent)
	}
	err = errors.Join(err, stop())
	return sample{rate: perSecond, p99: quantile(got.took, 0.99)}, err
}
