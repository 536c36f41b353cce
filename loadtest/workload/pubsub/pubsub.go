// Package pubsub is the workload of publishing and subscribing: requests publish
// events on topics, and every subscriber is to get each of them.
package pubsub

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strconv"
	"sync"
	"sync/atomic"

	"github.com/prism-data-layer/prism/loadtest"
	"github.com/prism-data-layer/prism/loadtest/report"
	"github.com/prism-data-layer/prism/pkg/clock"
	"github.com/prism-data-layer/prism/pkg/prism"
)

// A Target is the namespace under test. Its methods are called from many
// goroutines at once.
type Target interface {
	Publish(ctx context.Context, topic string, payload []byte) error
	// Subscribe returns when every event that is published from now on will
	// come. The pattern ends in ">", which stands for all that may follow.
	Subscribe(ctx context.Context, pattern string) (Subscription, error)
}

// A Subscription is one subscriber's. Next waits for events; dropped is how
// many were lost before them. It ends with the context of Subscribe.
type Subscription interface {
	Next() (payloads [][]byte, dropped int64, err error)
	Close()
}

// A Counter is a Target that counts what it makes of the calls.
type Counter interface {
	Stats() report.Attempts
}

// Operations are the calls of this workload.
func Operations() []string { return []string{"publish"} }

// Defaults of a [Config].
const (
	DefaultSubscribers = 1
	DefaultTopics      = 1
	DefaultPrefix      = "load."
	DefaultValueBytes  = 128
)

// A Config sets the workload up. Every zero value has a default.
type Config struct {
	Subscribers int // < 0: none
	Topics      uint64
	Order       string // of topics, see [loadtest.NewKeys]
	Prefix      string // of topics, ends in a dot
	Values      loadtest.Sizes
	Seed        uint64
	Run         uint64 // marks this run's events
	Clock       clock.Clock
}

// New sets up the workload on target.
func New(target Target, c Config) (*Workload, error) {
	if c.Subscribers == 0 {
		c.Subscribers = DefaultSubscribers
	}
	if c.Topics == 0 {
		c.Topics = DefaultTopics
	}
	if c.Prefix == "" {
		c.Prefix = DefaultPrefix
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
	keys, err := loadtest.NewKeys(c.Order, c.Topics, c.Seed)
	if err != nil {
		return nil, err
	}
	return &Workload{target: target, config: c, topics: keys, values: loadtest.NewValues(c.Seed, c.Values)}, nil
}

// A Workload is a [loadtest.Workload] on a pub/sub namespace.
type Workload struct {
	target Target
	config Config
	topics loadtest.Keys
	values loadtest.Values
	run    atomic.Uint64 // marks the events of the present run
}

var (
	_ loadtest.Workload = (*Workload)(nil)
	_ loadtest.Receiver = (*Workload)(nil)
	_ loadtest.Counter  = (*Workload)(nil)
)

func (w *Workload) Name() string         { return "pubsub" }
func (w *Workload) Operations() []string { return Operations() }
func (w *Workload) Streams() []string    { return []string{"delivery"} }

func (w *Workload) Options() map[string]string {
	return map[string]string{
		"subscribers": strconv.Itoa(max(0, w.config.Subscribers)),
		"topics":      strconv.FormatUint(w.config.Topics, 10),
		"order":       w.topics.String(),
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
	topic := w.config.Prefix + strconv.FormatUint(w.topics.Index(n), 10)
	payload := loadtest.Stamp{Run: w.run.Load(), N: n, Sent: w.config.Clock.Now()}.Payload(w.values.Of(n))
	return loadtest.Outcome{SentBytes: len(topic) + len(payload), Err: w.target.Publish(ctx, topic, payload)}
}

// Expected is one event for each subscriber.
func (w *Workload) Expected(ok []uint64) []int64 {
	return []int64{int64(ok[0]) * int64(max(0, w.config.Subscribers))}
}

// Receive subscribes.
func (w *Workload) Receive(ctx context.Context, got func(loadtest.Message)) (stop func(), err error) {
	w.run.Store(loadtest.Hash(w.config.Run, w.run.Load()))
	ctx, cancel := context.WithCancel(ctx)
	var all sync.WaitGroup
	stop = func() { cancel(); all.Wait() }
	for i := range max(0, w.config.Subscribers) {
		s, err := w.target.Subscribe(ctx, w.config.Prefix+">")
		if err != nil {
			stop()
			return nil, fmt.Errorf("subscriber %d: %w", i+1, err)
		}
		all.Go(func() {
			defer s.Close()
			w.follow(ctx, s, got)
		})
	}
	return stop, nil
}

func (w *Workload) follow(ctx context.Context, s Subscription, got func(loadtest.Message)) {
	for {
		payloads, dropped, err := s.Next()
		if dropped > 0 {
			got(loadtest.Message{Err: prism.New(prism.ReasonSlowConsumer, "a subscriber was too slow: events were dropped")})
		}
		for _, p := range payloads {
			if m, ok := loadtest.ReadStamp(p); ok && m.Run == w.run.Load() {
				got(loadtest.Message{N: m.N, Sent: m.Sent, Bytes: len(p)})
			}
		}
		if err != nil {
			if ctx.Err() == nil && !errors.Is(err, io.EOF) {
				got(loadtest.Message{Err: err})
			}
			return
		}
	}
}
