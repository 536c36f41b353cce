package nats

import (
	"context"
	"encoding/hex"
	"errors"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/prism-data-layer/prism/pkg/driver"
	"github.com/prism-data-layer/prism/pkg/driver/broker"
	"github.com/prism-data-layer/prism/pkg/prism"
)

// PublishPersistent sends the events to the log's stream, which knows receipts
// as ids of messages, and waits for what it answers to each.
func (s *store) PublishPersistent(ctx context.Context, ns prism.Namespace, events []driver.Event, results []driver.PublishResult) error {
	if err := s.enter(ctx); err != nil {
		return err
	}
	defer s.leave()
	bound, cancel := s.bound(ctx)
	defer cancel()
	all := make([]int, len(events))
	for i := range all {
		all[i] = i
	}
	l := s.known(ns)
	if l != nil {
		all = l.publish(ctx, bound, events, results, all)
	}
	if len(all) == 0 {
		return nil
	}
	// The log is not known here, or was dropped elsewhere.
	l, _, err := s.find(bound, ns, true)
	if err != nil {
		return s.classify(ctx, err)
	}
	l.publish(ctx, bound, events, results, all)
	return nil
}

// publish gives the events that no stream took in.
func (l *eventLog) publish(ctx, bound context.Context, events []driver.Event, results []driver.PublishResult, which []int) (again []int) {
	s := l.store
	acks := make([]jetstream.PubAckFuture, len(which))
	for j, i := range which {
		e := &events[i]
		m := message(s.logSubject(l.ns, l.epoch, e.Topic), e)
		if !e.Receipt.IsZero() {
			m.Header = nats.Header{jetstream.MsgIDHeader: {hex.EncodeToString(e.Receipt.ID[:])}}
		}
		var err error
		acks[j], err = s.js.PublishMsgAsync(m, jetstream.WithRetryAttempts(0))
		results[i] = driver.PublishResult{Err: s.classify(ctx, err)}
	}
	var last uint64
	for j, i := range which {
		if acks[j] == nil {
			continue
		}
		select {
		case ack := <-acks[j].Ok():
			last = max(last, ack.Sequence)
			if ack.Duplicate {
				results[i] = l.replayed(ctx, bound, ack.Sequence, &events[i])
				continue
			}
			results[i] = driver.PublishResult{Subscribers: -1, Position: broker.Extent{Epoch: l.epoch}.Position(ack.Sequence)}
		case err := <-acks[j].Err():
			if errors.Is(err, jetstream.ErrNoStreamResponse) {
				again = append(again, i)
			}
			results[i].Err = s.classify(ctx, err)
		case <-bound.Done():
			results[i].Err = s.classify(ctx, bound.Err())
		}
	}
	l.published(bound, last)
	return again
}

// replayed is the answer to an event that was published before.
func (l *eventLog) replayed(ctx, bound context.Context, number uint64, e *driver.Event) driver.PublishResult {
	m, err := l.stream.GetMsg(bound, number)
	if errors.Is(err, jetstream.ErrMsgNotFound) {
		return driver.PublishResult{Err: prism.New(prism.ReasonCompacted, "the event was published before with this idempotency key, and is no longer kept")}
	}
	if err != nil {
		return driver.PublishResult{Err: l.store.classify(ctx, err)}
	}
	first, err := parse(topicOf(m.Subject, logTokens), m.Data)
	switch {
	case err != nil:
		return driver.PublishResult{Err: l.store.classify(ctx, err)}
	case first.Receipt.Body != e.Receipt.Body:
		return driver.PublishResult{Err: prism.New(prism.ReasonKeyReused, "the idempotency key was used before with another request")}
	}
	return driver.PublishResult{
		Subscribers: -1, Replayed: true, ID: first.ID, Time: first.Time,
		Position: broker.Extent{Epoch: l.epoch}.Position(number),
	}
}

// Replay reads the log by a consumer of its own.
func (s *store) Replay(ctx context.Context, ns prism.Namespace, r driver.Replay) (driver.Replayer, error) {
	if err := s.enter(ctx); err != nil {
		return nil, err
	}
	defer s.leave()
	bound, cancel := s.bound(ctx)
	defer cancel()
	l, extent, err := s.find(bound, ns, true)
	if err != nil {
		return nil, s.classify(ctx, err)
	}
	f := newReader(l, r)
	s.register(f) // before it is anything: no broken connection is missed
	if err := f.begin(bound, extent); err != nil {
		_ = f.Close()
		return nil, s.classify(ctx, err)
	}
	return f, nil
}
