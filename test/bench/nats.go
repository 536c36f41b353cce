package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/prism-data-layer/prism/pkg/driver/nats/natstest"
)

// How JetStream makes files: as it comes it syncs every two minutes, otherwise
// after each message, which is what our "acked" means.
const (
	jetStreamDefault = "jetstream {store_dir: DIR, max_file_store: 64GB}\n"
	jetStreamSynced  = "jetstream {store_dir: DIR, max_file_store: 64GB, sync_interval: always}\n"
)

// nats starts a NATS server; nil, and a word on standard error, if there is
// none. One that `make bench` has built goes before the machine's, which may be
// too old to sync each message.
func (b *bench) nats(config string) (*natstest.Server, error) {
	program, missing := filepath.Join(b.bin, "nats-server"), ""
	if _, err := os.Stat(program); err != nil {
		if program, missing = natstest.Find(); missing != "" {
			fmt.Fprintln(os.Stderr, "NOT MEASURED:", missing)
			return nil, nil
		}
	}
	s, err := natstest.Run(program, config)
	if err == nil {
		b.undo = append(b.undo, func() { s.Close() })
	}
	return s, err
}

// A natsQueue is a stream as a work queue: its messages go when they are
// acknowledged.
type natsQueue struct {
	js   jetstream.JetStream
	conn *nats.Conn
	pull jetstream.Consumer
}

func (b *bench) natsQueue(ctx context.Context, config string) (*natsQueue, error) {
	s, err := b.nats(config)
	if s == nil {
		return nil, err
	}
	conn, err := nats.Connect(s.URL)
	if err != nil {
		return nil, err
	}
	b.undo = append(b.undo, conn.Close)
	js, err := jetstream.New(conn, jetstream.WithPublishAsyncMaxPending(outstanding))
	if err != nil {
		return nil, err
	}
	stream, err := js.CreateStream(ctx, jetstream.StreamConfig{
		Name: "bench", Subjects: []string{"bench"}, Storage: jetstream.FileStorage, Retention: jetstream.WorkQueuePolicy,
	})
	if err != nil {
		return nil, err
	}
	pull, err := stream.CreateConsumer(ctx, jetstream.ConsumerConfig{Durable: "bench", AckPolicy: jetstream.AckExplicitPolicy, MaxAckPending: -1})
	return &natsQueue{js, conn, pull}, err
}

// publish waits for the answer to each message.
func (q *natsQueue) publish(ctx context.Context, p *process, d time.Duration) (sample, error) {
	return loop(ctx, p, callers, d, func(ctx context.Context, _ int, _ uint32) error {
		_, err := q.js.Publish(ctx, "bench", payload)
		return err
	})
}

// publishAsync sends n messages with many under way, and waits for all answers.
func (q *natsQueue) publishAsync(ctx context.Context, n int) (sample, error) {
	start := time.Now()
	futures := make([]jetstream.PubAckFuture, n)
	for i := range futures {
		var err error
		if futures[i], err = q.js.PublishAsync("bench", payload); err != nil {
			return sample{}, err
		}
	}
	for _, f := range futures {
		select {
		case <-f.Ok():
		case err := <-f.Err():
			return sample{}, err
		case <-ctx.Done():
			return sample{}, ctx.Err()
		}
	}
	return sample{rate: float64(n) / time.Since(start).Seconds()}, nil
}

// drain fetches and acknowledges n messages.
func (q *natsQueue) drain(ctx context.Context, n int) (sample, error) {
	start := time.Now()
	err := sharing(n, func(left *counter) error {
		for n := left.take(fetch); n > 0; n = left.take(fetch) {
			batch, err := q.pull.Fetch(n)
			if err != nil {
				return err
			}
			for m := range batch.Messages() {
				if err := m.Ack(); err != nil {
					return err
				}
				n--
			}
			if err := batch.Error(); err != nil {
				return err
			}
			left.giveBack(n)
		}
		return q.conn.Flush()
	})
	return sample{rate: float64(n) / time.Since(start).Seconds()}, err
}

// benchFanOut measures one publisher and a hundred subscribers over four
// connections; an operation is an event that a subscriber has got.
func benchFanOut(ctx context.Context, b *bench) error {
	const row = "pubsub: fan-out 1 to 100 on memory ÷ core NATS"
	if !b.wants(row) {
		return nil
	}
	theirs, err := b.nats("")
	if theirs == nil {
		return err
	}
	gw, err := b.prismd(ctx, messageConfig)
	if err != nil {
		return err
	}
	s, err := b.alternate(ctx, fanOut(gw, prismFan(gw)), fanOut(gw, natsFan(theirs)))
	if err != nil {
		return err
	}
	b.compare(row, "events/s", s[0], s[1], rate, ">=", 0.7)
	b.note("CPU seconds per million events delivered", "s", medianOf(s[0], cpu))
	return nil
}

const subscribers = 100

// A fan is a hundred subscriptions, which tell got how many events have come,
// and how to publish to them.
type fan func(ctx context.Context, topic string, got func(n int)) (publish func(n int) error, done func(), err error)

// fanOut publishes in bursts, so many that the subscribers always have
// something to do and never so many that one would lose any.
func fanOut(p *process, open fan) side {
	const burst, most = 64, 8
	topic := 0
	return func(ctx context.Context, d time.Duration) (sample, error) {
		topic++
		var mu sync.Mutex
		received := 0
		news := make(chan struct{}, 1)
		publish, done, err := open(ctx, "bench."+strconv.Itoa(topic), func(n int) {
			mu.Lock()
			before := received / (burst * subscribers)
			received += n
			news1 := received/(burst*subscribers) != before
			mu.Unlock()
			if news1 {
				select {
				case news <- struct{}{}:
				default:
				}
			}
		})
		if err != nil {
			return sample{}, err
		}
		defer done()
		before, start := p.cpuSeconds(), time.Now()
		for sent := 0; ; {
			mu.Lock()
			open := sent - received/(burst*subscribers)
			all := received
			mu.Unlock()
			over := time.Since(start) > d
			switch {
			case over && open == 0:
				took := time.Since(start).Seconds()
				return sample{rate: float64(all) / took, cpu: (p.cpuSeconds() - before) / float64(all) * 1e6}, nil
			case !over && open < most:
				if err := publish(burst); err != nil {
					return sample{}, err
				}
				sent++
			default:
				select {
				case <-news:
				case <-time.After(10 * time.Second):
					return sample{}, fmt.Errorf("events were lost: %d of %d came", all, sent*burst*subscribers)
				case <-ctx.Done():
					return sample{}, ctx.Err()
				}
			}
		}
	}
}

func natsFan(s *natstest.Server) fan {
	return func(_ context.Context, topic string, got func(n int)) (func(int) error, func(), error) {
		var conns []*nats.Conn
		done := func() {
			for _, c := range conns {
				c.Close()
			}
		}
		for range connections {
			c, err := nats.Connect(s.URL)
			if err != nil {
				return nil, done, err
			}
			conns = append(conns, c)
		}
		for i := range subscribers {
			c := conns[i%connections]
			sub, err := c.Subscribe(topic, func(*nats.Msg) { got(1) })
			if err == nil {
				err = sub.SetPendingLimits(-1, -1)
			}
			if err == nil {
				err = c.Flush()
			}
			if err != nil {
				return nil, done, err
			}
		}
		return func(n int) error {
			for range n {
				if err := conns[0].Publish(topic, payload); err != nil {
					return err
				}
			}
			return conns[0].Flush()
		}, done, nil
	}
}
