package main

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/prism-data-layer/prism/pkg/client"
)

// follow makes the hundred subscriptions to a topic and hands on what comes.
func follow(ctx context.Context, gw *process, topic string, got func([]client.Event)) (*client.PubSub, func(), error) {
	sdk, err := client.Dial(gw.data, client.WithConnections(connections))
	if err != nil {
		return nil, nil, err
	}
	var readers sync.WaitGroup
	done := func() { sdk.Close(); readers.Wait() }
	events := sdk.PubSub("events")
	for range subscribers {
		sub, err := events.Subscribe(ctx, topic, client.SubscribeOptions{MaxPending: 100_000})
		if err != nil {
			done()
			return nil, nil, err
		}
		readers.Go(func() {
			defer sub.Close()
			for {
				d, err := sub.Next()
				if err != nil || d.Dropped > 0 || d.Gap != nil { // then too few come
					return
				}
				got(d.Events)
			}
		})
	}
	return events, done, nil
}

// publishAll publishes events, every one of them to all subscriptions.
func publishAll(ctx context.Context, p *client.PubSub, events []client.Event) error {
	results, err := p.PublishBatch(ctx, events)
	if err != nil {
		return err
	}
	for _, r := range results {
		if r.Err != nil || r.Subscribers != subscribers {
			return fmt.Errorf("an event went to %d subscriptions: %w", r.Subscribers, r.Err)
		}
	}
	return nil
}

func prismFan(gw *process) fan {
	return func(ctx context.Context, topic string, got func(int)) (func(int) error, func(), error) {
		ctx, stop := context.WithCancel(ctx)
		p, done, err := follow(ctx, gw, topic, func(events []client.Event) { got(len(events)) })
		if err != nil {
			stop()
			return nil, nil, err
		}
		return func(n int) error {
			events := make([]client.Event, n)
			for i := range events {
				events[i] = client.Event{Topic: topic, Payload: payload}
			}
			return publishAll(ctx, p, events)
		}, func() { stop(); done() }, nil
	}
}

// benchPubSubDelay measures how long an event is under way from its publisher
// to a hundred subscribers, on memory.
func benchPubSubDelay(ctx context.Context, b *bench) error {
	if !b.wants(rowPubSubDelay) {
		return nil
	}
	gw, err := b.prismd(ctx, messageConfig)
	if err != nil {
		return err
	}
	peak := fanOut(gw, prismFan(gw))
	return b.atHalf(ctx, rowPubSubDelay, 10, peak, func(ctx context.Context, perSecond float64, d time.Duration) (sample, error) {
		return pacedEvents(ctx, gw, perSecond/subscribers, d)
	})
}

// pacedEvents publishes what is due, at a rate.
func pacedEvents(ctx context.Context, gw *process, perSecond float64, d time.Duration) (sample, error) {
	const topic = "bench.paced"
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	got := newDelays()
	p, done, err := follow(ctx, gw, topic, func(events []client.Event) {
		payloads := make([][]byte, len(events))
		for i := range events {
			payloads[i] = events[i].Payload
		}
		got.add(payloads...)
	})
	if err != nil {
		return sample{}, err
	}
	defer func() { stop(); done() }()
	var calls sync.WaitGroup
	var once sync.Once
	var failed error
	sent := openLoop(ctx, perSecond, d, func(due []time.Time) {
		events := make([]client.Event, len(due))
		for i, at := range due {
			events[i] = client.Event{Topic: topic, Payload: stamped(at)}
		}
		calls.Go(func() {
			if err := publishAll(ctx, p, events); err != nil {
				once.Do(func() { failed = err })
			}
		})
	})
	calls.Wait()
	if failed == nil {
		failed = got.arrive(ctx, sent*subscribers)
	}
	return sample{rate: perSecond, p99: got.p99()}, failed
}
