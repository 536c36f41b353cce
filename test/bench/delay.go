package main

import (
	"context"
	"encoding/binary"
	"errors"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	hdr "github.com/HdrHistogram/hdrhistogram-go"

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

// stamped is the payload with a time in front.
func stamped(t time.Time) []byte {
	b := slices.Clone(payload)
	binary.BigEndian.PutUint64(b, uint64(t.UnixNano()))
	return b
}

// Delays are gathered from several goroutines, in a histogram: a list that
// grows would stall those whose delays it counts.
type delays struct {
	mu   sync.Mutex
	took *hdr.Histogram // microseconds
}

func newDelays() *delays { return &delays{took: hdr.New(1, time.Minute.Microseconds(), 3)} }

func (d *delays) add(payloads ...[]byte) {
	now := time.Now()
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, p := range payloads {
		sent := time.Unix(0, int64(binary.BigEndian.Uint64(p)))
		_ = d.took.RecordValue(max(now.Sub(sent).Microseconds(), 1)) // a minute is more than a run takes
	}
}

func (d *delays) count() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return int(d.took.TotalCount())
}

// p99 is in milliseconds.
func (d *delays) p99() float64 {
	d.mu.Lock()
	defer d.mu.Unlock()
	return float64(d.took.ValueAtQuantile(99)) / 1e3
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
	got := newDelays()
	stop := w.consume(ctx, got)
	var s sample
	var sent atomic.Int64
	_, err := loop(ctx, w.gw, callers, d, func(ctx context.Context, _ int, _ uint32) error {
		_, err := w.q.Publish(ctx, client.Message{Payload: stamped(time.Now())})
		sent.Add(1)
		return err
	})
	s.rate = float64(got.count()) / d.Seconds()
	if err == nil { // none is left for the round after this
		err = got.arrive(ctx, int(sent.Load()))
	}
	return s, errors.Join(err, stop())
}

// paced publishes at a rate, whatever the answers do.
func (w *workQueue) paced(ctx context.Context, perSecond float64, d time.Duration) (sample, error) {
	got := newDelays()
	stop := w.consume(ctx, got)
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
	return sample{rate: perSecond, p99: got.p99()}, err
}
