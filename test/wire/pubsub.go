package wire

import (
	"context"
	"errors"
	"io"
	"slices"
	"time"

	"google.golang.org/grpc"

	"github.com/prism-data-layer/prism/pkg/driver"
	"github.com/prism-data-layer/prism/pkg/prism"
	pwire "github.com/prism-data-layer/prism/pkg/wire"
	pubsubv1 "github.com/prism-data-layer/prism/proto/prism/pubsub/v1"
)

// A PubSubStub is the publish and subscribe capabilities over the generated
// client. Ids and times of events are the gateway's there. A stream that ends
// without an error was ended by Unsubscribe: its name is not there any more.
type PubSubStub struct {
	c pubsubv1.PubSubServiceClient
	*seen[driver.PublishResult]
	bounds
}

// NewPubSubStub calls over conn; bound may be nil.
func NewPubSubStub(conn grpc.ClientConnInterface, bound Bound) *PubSubStub {
	return &PubSubStub{
		c: pubsubv1.NewPubSubServiceClient(conn), bounds: bounds{set: bound},
		seen: newSeen(func(a, b driver.PublishResult) bool { return a.ID == b.ID && string(a.Position) == string(b.Position) }),
	}
}

// Publish calls Publish for one event and PublishBatch for more.
func (s *PubSubStub) Publish(ctx context.Context, ns prism.Namespace, events []driver.Event, results []driver.PublishResult) error {
	return s.publish(ctx, ns, events, results, false)
}

// PublishOrdered is the same for events with an ordering key.
func (s *PubSubStub) PublishOrdered(ctx context.Context, ns prism.Namespace, events []driver.Event, results []driver.PublishResult) error {
	return s.publish(ctx, ns, events, results, false)
}

// PublishPersistent is the same for persistent events.
func (s *PubSubStub) PublishPersistent(ctx context.Context, ns prism.Namespace, events []driver.Event, results []driver.PublishResult) error {
	return s.publish(ctx, ns, events, results, true)
}

func (s *PubSubStub) publish(ctx context.Context, ns prism.Namespace, events []driver.Event, results []driver.PublishResult, persistent bool) error {
	list := make([]*pubsubv1.Outgoing, len(events))
	for i, e := range events {
		if err := s.reach(ctx, ns, e.Receipt); err != nil {
			return err
		}
		list[i] = &pubsubv1.Outgoing{
			Topic: e.Topic, Payload: e.Payload, Attributes: e.Attributes, CorrelationId: e.CorrelationID, ReplyTo: e.ReplyTo,
			OrderingKey: e.OrderingKey, Persistent: persistent, IdempotencyKey: keyOf(e.Receipt),
		}
	}
	if len(list) == 1 {
		a, err := s.c.Publish(ctx, &pubsubv1.PublishRequest{Namespace: string(ns), Event: list[0]})
		if e := pwire.FromStatus(err); e != nil && endsAll(e) {
			return e
		}
		results[0] = s.published(ns, events[0].Receipt, a, failed(err))
		return nil
	}
	// A batch holds no more than a message may.
	for from := 0; from < len(list); {
		to, size := from, 0
		for ; to < len(list) && (to == from || size+len(list[to].Payload) < prism.MaxPageBytes-1<<18); to++ {
			size += len(list[to].Payload)
		}
		a, err := s.c.PublishBatch(ctx, &pubsubv1.PublishBatchRequest{Namespace: string(ns), Events: list[from:to]})
		if err != nil {
			return failed(err)
		}
		for i, r := range a.Results {
			var err error
			if r.GetError() != nil {
				err = pwire.FromItem(r.GetError())
			}
			results[from+i] = s.published(ns, events[from+i].Receipt, r.GetPublished(), err)
		}
		from = to
	}
	return nil
}

func (s *PubSubStub) published(ns prism.Namespace, r driver.Receipt, a *pubsubv1.PublishResponse, err error) driver.PublishResult {
	if err != nil {
		return driver.PublishResult{Err: err}
	}
	res := driver.PublishResult{Subscribers: -1, ID: a.EventId, Time: time.UnixMilli(a.TimeMs)}
	if a.SubscriberCount != nil {
		res.Subscribers = *a.SubscriberCount
	}
	if a.Position != "" {
		res.Position = driver.Position(a.Position)
	}
	res.Replayed = s.again(ns, r, res)
	return res
}

// Subscribe calls Subscribe.
func (s *PubSubStub) Subscribe(ctx context.Context, ns prism.Namespace, q driver.Subscription) (driver.Subscriber, error) {
	return s.SubscribeGroup(ctx, ns, "", q)
}

// SubscribePattern calls Subscribe.
func (s *PubSubStub) SubscribePattern(ctx context.Context, ns prism.Namespace, q driver.Subscription) (driver.Subscriber, error) {
	return s.SubscribeGroup(ctx, ns, "", q)
}

// SubscribeFiltered calls Subscribe.
func (s *PubSubStub) SubscribeFiltered(ctx context.Context, ns prism.Namespace, q driver.Subscription) (driver.Subscriber, error) {
	return s.SubscribeGroup(ctx, ns, "", q)
}

// SubscribeGroup calls Subscribe.
func (s *PubSubStub) SubscribeGroup(ctx context.Context, ns prism.Namespace, group string, q driver.Subscription) (driver.Subscriber, error) {
	if err := ctx.Err(); err != nil {
		return nil, prism.From(err)
	}
	f, err := s.follow(&pubsubv1.SubscribeRequest{
		Namespace: string(ns), Pattern: q.Pattern, QueueGroup: group, Filter: filterOf(q.Filter),
		MaxPending: int32(q.Pending), SlowPolicy: pubsubv1.SlowPolicy(q.Slow),
	})
	if err != nil {
		return nil, err
	}
	return &liveStub{f}, nil
}

func filterOf(f driver.Filter) (list []*pubsubv1.FilterClause) {
	for _, c := range f {
		list = append(list, &pubsubv1.FilterClause{Attribute: c.Attribute, Op: pubsubv1.FilterOp(c.Op), Values: c.Values})
	}
	return list
}

// An eventStream is a subscription, with its first message until that was handed
// out.
type eventStream struct {
	*stream[*pubsubv1.SubscribeResponse]
	first *pubsubv1.SubscribeResponse
	gone  func() bool // whether the gateway lists it no more
}

func (s *PubSubStub) follow(r *pubsubv1.SubscribeRequest) (*eventStream, error) {
	st, first, err := follow(func(ctx context.Context) (receiver[*pubsubv1.SubscribeResponse], error) { return s.c.Subscribe(ctx, r) })
	if err != nil {
		return nil, err
	}
	return &eventStream{st, first, func() bool { return !s.lists(r.Namespace, first.SubscriptionId) }}, nil
}

// lists reports whether the gateway has a stream; one that is not there has none.
func (s *PubSubStub) lists(ns, id string) bool {
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	a, err := s.c.ListSubscriptions(ctx, &pubsubv1.ListSubscriptionsRequest{Namespace: ns})
	return err == nil && slices.ContainsFunc(a.Subscriptions, func(d *pubsubv1.Subscription) bool { return d.SubscriptionId == id })
}

// Close ends the stream and waits until the gateway knows: a member of a group
// that has left gets no more then.
func (f *eventStream) Close() error {
	if f.ctx.Err() != nil {
		return nil
	}
	f.cancel()
	for deadline := time.Now().Add(10 * time.Second); !f.gone(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			return prism.New(prism.ReasonInternal, "the gateway still lists a stream that was closed")
		}
	}
	return nil
}

func (f *eventStream) message(ctx context.Context) (*pubsubv1.SubscribeResponse, error) {
	if f.first != nil && ctx.Err() == nil {
		first := f.first
		f.first = nil
		return first, nil
	}
	resp, err := f.take(ctx)
	if errors.Is(err, io.EOF) {
		err = prism.NotFound("subscription", "that was ended")
	}
	return resp, err
}

type liveStub struct{ *eventStream }

func (l *liveStub) Next(ctx context.Context) (out driver.Events, err error) {
	for len(out.Events) == 0 {
		resp, err := l.message(ctx)
		if err != nil {
			return out, err
		}
		out.Events, out.Dropped = eventsOf(resp), out.Dropped+resp.Dropped
	}
	return out, nil
}

func eventsOf(r *pubsubv1.SubscribeResponse) (list []driver.Event) {
	for _, e := range r.Events {
		one := driver.Event{
			ID: e.EventId, Topic: e.Topic, Payload: e.Payload, Attributes: e.Attributes, Time: time.UnixMilli(e.TimeMs),
			CorrelationID: e.CorrelationId, ReplyTo: e.ReplyTo, OrderingKey: e.OrderingKey,
		}
		if e.Position != "" {
			one.Position = driver.Position(e.Position)
		}
		list = append(list, one)
	}
	return list
}

// Replay calls Subscribe with a start.
func (s *PubSubStub) Replay(ctx context.Context, ns prism.Namespace, r driver.Replay) (driver.Replayer, error) {
	if err := ctx.Err(); err != nil {
		return nil, prism.From(err)
	}
	start := &pubsubv1.Start{Start: &pubsubv1.Start_Next{Next: true}}
	switch {
	case r.Start.Earliest:
		start.Start = &pubsubv1.Start_Earliest{Earliest: true}
	case r.Start.After != nil:
		start.Start = &pubsubv1.Start_After{After: string(r.Start.After)}
	case !r.Start.Time.IsZero():
		start.Start = &pubsubv1.Start_TimeMs{TimeMs: r.Start.Time.UnixMilli()}
	}
	f, err := s.follow(&pubsubv1.SubscribeRequest{Namespace: string(ns), Pattern: r.Pattern, Filter: filterOf(r.Filter), DurableName: r.Name, Start: start})
	if err != nil {
		return nil, err
	}
	return &replayStub{eventStream: f}, nil
}

type replayStub struct {
	*eventStream
	at driver.Position // of the last message that had one
}

func (r *replayStub) Next(ctx context.Context) (driver.Replayed, error) {
	resp, err := r.message(ctx)
	if err != nil {
		return driver.Replayed{}, err
	}
	if resp.Position != "" {
		r.at = driver.Position(resp.Position)
	}
	return driver.Replayed{Events: eventsOf(resp), Position: r.at}, nil
}

// Acknowledge calls Acknowledge.
func (s *PubSubStub) Acknowledge(ctx context.Context, ns prism.Namespace, name string, p driver.Position) error {
	_, err := s.c.Acknowledge(ctx, &pubsubv1.AcknowledgeRequest{Namespace: string(ns), DurableName: name, Position: string(p)})
	return failed(err)
}

// Subscriptions calls ListSubscriptions, which does not tell what was
// acknowledged.
func (s *PubSubStub) Subscriptions(ctx context.Context, ns prism.Namespace) (list []driver.DurableSubscription, err error) {
	a, err := s.c.ListSubscriptions(ctx, &pubsubv1.ListSubscriptionsRequest{Namespace: string(ns)})
	for _, d := range a.GetSubscriptions() {
		if d.DurableName != "" {
			list = append(list, driver.DurableSubscription{
				Name: d.DurableName, Pattern: d.Pattern, CreatedAt: time.UnixMilli(d.CreatedAtMs), Behind: d.Behind, Active: d.Active,
			})
		}
	}
	return list, failed(err)
}

// DeleteSubscription calls Unsubscribe.
func (s *PubSubStub) DeleteSubscription(ctx context.Context, ns prism.Namespace, name string) (bool, error) {
	a, err := s.c.Unsubscribe(ctx, &pubsubv1.UnsubscribeRequest{Namespace: string(ns), SubscriptionId: name})
	return a.GetFound(), failed(err)
}
