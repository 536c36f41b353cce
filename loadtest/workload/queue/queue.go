// Package queue is the workload of a work queue: requests publish messages, or
// take some and acknowledge them, while consumers beside them work off what
// comes.
package queue

import (
	"context"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prism-data-layer/prism/loadtest"
	"github.com/prism-data-layer/prism/loadtest/report"
	"github.com/prism-data-layer/prism/pkg/clock"
	"github.com/prism-data-layer/prism/pkg/prism"
)

// A Target is the queue under test. Its methods are called from many goroutines
// at once.
type Target interface {
	Publish(ctx context.Context, payload []byte) error
	// Receive leases up to most messages and waits for the first of them, at
	// most so long; none is no error.
	Receive(ctx context.Context, most int, wait time.Duration) ([]Leased, error)
	Ack(ctx context.Context, messages []Leased) error
}

// A Leased message is in our hands; Handle is the target's.
type Leased struct {
	Payload []byte
	Handle  any
}

// A Counter is a Target that counts what it makes of the calls.
type Counter interface {
	Stats() report.Attempts
}

// Operations are the calls of this workload: receive takes a message and
// acknowledges it.
func Operations() []string { return []string{"publish", "receive"} }

// Defaults of a [Config].
const (
	DefaultMix        = "publish=1"
	DefaultConsumers  = 4
	DefaultBatch      = 100
	DefaultValueBytes = 128
)

const (
	// consumerWait is how long a consumer's call waits for a message.
	consumerWait = time.Second
	// retryAfter is how long a consumer whose call failed leaves the queue alone.
	retryAfter = 100 * time.Millisecond
)

// A Config sets the workload up. Every zero value has a default.
type Config struct {
	Mix       string
	Consumers int // beside the requests; < 0: none
	Batch     int // messages that a consumer takes at once
	Values    loadtest.Sizes
	Seed      uint64
	Run       uint64 // marks this run's messages
	Clock     clock.Clock
}

// New sets up the workload on target.
func New(target Target, c Config) (*Workload, error) {
	if c.Mix == "" {
		c.Mix = DefaultMix
	}
	if c.Consumers == 0 {
		c.Consumers = DefaultConsumers
	}
	if c.Batch == 0 {
		c.Batch = DefaultBatch
	}
	if c.Batch < 0 {
		return nil, prism.InvalidField("batch", "must be at least 1")
	}
	if c.Values.IsZero() {
		c.Values = loadtest.FixedSize(DefaultValueBytes)
	}
	if err := c.Values.Check(); err != nil {
		return nil, err
	}
	if c.Clock == nil {
		c.Clock = clock.Real()
	}
	mix, err := loadtest.ParseMix(c.Mix, Operations())
	if err != nil {
		return nil, err
	}
	return &Workload{target: target, config: c, mix: mix.Seeded(c.Seed), values: loadtest.NewValues(c.Seed, c.Values)}, nil
}

// A Workload is a [loadtest.Workload] on a work queue.
type Workload struct {
	target Target
	config Config
	mix    loadtest.Mix
	values loadtest.Values
	got    atomic.Pointer[func(loadtest.Message)]
	run    atomic.Uint64 // marks the messages of the present run
}

var (
	_ loadtest.Workload = (*Workload)(nil)
	_ loadtest.Receiver = (*Workload)(nil)
	_ loadtest.Counter  = (*Workload)(nil)
)

func (w *Workload) Name() string         { return "queue" }
func (w *Workload) Operations() []string { return Operations() }
func (w *Workload) Streams() []string    { return []string{"delivery"} }

func (w *Workload) Options() map[string]string {
	return map[string]string{
		"mix":         w.mix.String(),
		"consumers":   strconv.Itoa(max(0, w.config.Consumers)),
		"batch":       strconv.Itoa(w.config.Batch),
		"value_bytes": w.config.Values.String(),
	}
}

// Attempts asks the target, if it counts.
func (w *Workload) Attempts() (report.Attempts, bool) {
	c, ok := w.target.(Counter)
	if !ok {
		return report.Attempts{}, false
	}
	return c.Stats(), true
}

func (w *Workload) Do(ctx context.Context, n uint64) loadtest.Outcome {
	o := loadtest.Outcome{Operation: w.mix.Pick(n)}
	if o.Operation == 0 {
		payload := loadtest.Stamp{Run: w.run.Load(), N: n, Sent: w.config.Clock.Now()}.Payload(w.values.Of(n))
		o.SentBytes = len(payload)
		o.Err = w.target.Publish(ctx, payload)
		return o
	}
	messages, err := w.target.Receive(ctx, 1, 0)
	if err == nil && len(messages) > 0 {
		o.ReceivedBytes = w.tell(messages)
		err = w.target.Ack(ctx, messages)
	}
	o.Err, o.Missed = err, err == nil && len(messages) == 0
	return o
}

// tell passes on the messages of this run.
func (w *Workload) tell(messages []Leased) (bytes int) {
	got := w.got.Load()
	for _, m := range messages {
		bytes += len(m.Payload)
		if s, ok := loadtest.ReadStamp(m.Payload); ok && s.Run == w.run.Load() && got != nil {
			(*got)(loadtest.Message{N: s.N, Sent: s.Sent, Bytes: len(m.Payload)})
		}
	}
	return bytes
}

// Expected is one message for each that was published, where consumers see to
// it.
func (w *Workload) Expected(ok []uint64) []int64 {
	if w.config.Consumers < 0 {
		return []int64{-1}
	}
	return []int64{int64(ok[0])}
}

// Receive starts the consumers.
func (w *Workload) Receive(ctx context.Context, got func(loadtest.Message)) (stop func(), err error) {
	w.got.Store(&got)
	w.run.Store(loadtest.Hash(w.config.Run, w.run.Load()))
	ctx, cancel := context.WithCancel(ctx)
	var all sync.WaitGroup
	for range max(0, w.config.Consumers) {
		all.Go(func() {
			for ctx.Err() == nil {
				if err := w.consume(ctx); err != nil && ctx.Err() == nil {
					got(loadtest.Message{Err: err})
					w.pause(ctx)
				}
			}
		})
	}
	return func() { cancel(); all.Wait() }, nil
}

func (w *Workload) consume(ctx context.Context) error {
	messages, err := w.target.Receive(ctx, w.config.Batch, consumerWait)
	if err != nil || len(messages) == 0 {
		return err
	}
	w.tell(messages)
	// What was received is acknowledged even if the end comes in between, or it
	// would come again to whoever is next.
	done, cancel := context.WithTimeout(context.WithoutCancel(ctx), consumerWait)
	defer cancel()
	return w.target.Ack(done, messages)
}

func (w *Workload) pause(ctx context.Context) {
	t := w.config.Clock.NewTimer(retryAfter)
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
	}
}
