package nats

import (
	"context"
	"sync"

	"github.com/nats-io/nats.go"

	"github.com/prism-data-layer/prism/pkg/driver"
	"github.com/prism-data-layer/prism/pkg/driver/broker"
	"github.com/prism-data-layer/prism/pkg/prism"
)

// Publish writes the events to the connection and waits until the server has
// them. How many subscriptions there are, it does not tell.
func (s *store) Publish(ctx context.Context, ns prism.Namespace, events []driver.Event, results []driver.PublishResult) error {
	if err := s.enter(ctx); err != nil {
		return err
	}
	defer s.leave()
	for i := range events {
		err := s.conn.PublishMsg(message(s.liveSubject(ns, events[i].Topic), &events[i]))
		results[i] = driver.PublishResult{Subscribers: -1, Err: s.classify(ctx, err)}
	}
	if err := s.flush(ctx); err != nil {
		for i := range results[:len(events)] {
			if results[i].Err == nil {
				results[i].Err = err
			}
		}
	}
	return nil
}

// PublishOrdered is Publish: the server hands on what comes over one connection
// in its order. Gateways that publish with one key at once have no order
// among them.
func (s *store) PublishOrdered(ctx context.Context, ns prism.Namespace, events []driver.Event, results []driver.PublishResult) error {
	return s.Publish(ctx, ns, events, results)
}

func (s *store) Subscribe(ctx context.Context, ns prism.Namespace, sub driver.Subscription) (driver.Subscriber, error) {
	return s.SubscribeGroup(ctx, ns, "", sub)
}

func (s *store) SubscribePattern(ctx context.Context, ns prism.Namespace, sub driver.Subscription) (driver.Subscriber, error) {
	return s.SubscribeGroup(ctx, ns, "", sub)
}

func (s *store) SubscribeFiltered(ctx context.Context, ns prism.Namespace, sub driver.Subscription) (driver.Subscriber, error) {
	return s.SubscribeGroup(ctx, ns, "", sub)
}

// SubscribeGroup returns when the server knows the subscription.
func (s *store) SubscribeGroup(ctx context.Context, ns prism.Namespace, group string, sub driver.Subscription) (driver.Subscriber, error) {
	if err := s.enter(ctx); err != nil {
		return nil, err
	}
	defer s.leave()
	l := &live{store: s, ns: ns, waiting: broker.New()}
	var err error
	if l.Subscriber, err = l.waiting.Subscribe(ns, "", sub); err != nil {
		return nil, err
	}
	s.register(l) // before the server knows it: no broken connection is missed
	if err := l.begin(group, s.liveSubject(ns, sub.Pattern)); err != nil {
		_ = l.Close()
		return nil, s.classify(ctx, err)
	}
	if err := s.flush(ctx); err != nil {
		_ = l.Close()
		return nil, err
	}
	return l, nil
}

// live is a subscription of the server, and a broker of its own in which events
// wait for their reader: there the filter, the bound and the policy are at home.
type live struct {
	driver.Subscriber
	store   *store
	ns      prism.Namespace
	waiting *broker.Broker

	mu    sync.Mutex
	sub   *nats.Subscription
	ended bool
}

func (l *live) begin(group, subject string) (err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.ended {
		return l.store.lost()
	}
	if group == "" {
		l.sub, err = l.store.conn.Subscribe(subject, l.hear)
	} else {
		l.sub, err = l.store.conn.QueueSubscribe(subject, l.store.queueName(group), l.hear)
	}
	if err != nil {
		return err
	}
	// hear waits for nobody, so nothing piles up in the library, and what is
	// dropped is dropped, and counted, behind it.
	return l.sub.SetPendingLimits(-1, -1)
}

func (l *live) hear(m *nats.Msg) {
	e, err := parse(topicOf(m.Subject, liveTokens), m.Data)
	if err != nil {
		l.store.log.Warn("a message is no event and is not delivered", "subject", m.Subject)
		return
	}
	l.waiting.Publish(l.ns, []driver.Event{e}, false, func(int, int64) {})
}

// end lets the reader have what waits, and then the reason.
func (l *live) end(why error) {
	l.leave()
	l.waiting.Close(why)
}

func (l *live) leave() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.ended && l.sub != nil {
		_ = l.sub.Unsubscribe() // fails when the connection is gone, and so is the subscription
	}
	l.ended = true
}

// Close ends the subscription; a Next that waits fails.
func (l *live) Close() error {
	l.store.unregister(l)
	l.leave()
	return l.Subscriber.Close()
}
