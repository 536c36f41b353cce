package gateway

import (
	"context"
	"errors"
	"math"
	"time"

	"google.golang.org/grpc"

	"github.com/prism-data-layer/prism/pkg/data/pubsub"
	"github.com/prism-data-layer/prism/pkg/prism"
	"github.com/prism-data-layer/prism/pkg/wire"
	"github.com/prism-data-layer/prism/pkg/wire/frame"
	pubsubv1 "github.com/prism-data-layer/prism/proto/prism/pubsub/v1"
)

// RegisterPubSub serves publish and subscribe over the road.
func RegisterPubSub(s grpc.ServiceRegistrar, r *Road) {
	pubsubv1.RegisterPubSubServiceServer(s, newPubSub(r))
}

type pubSub struct {
	pubsubv1.UnimplementedPubSubServiceServer
	road *Road

	publish, publishBatch, subscribe *method
	acknowledge, unsubscribe, list   *method
}

func newPubSub(r *Road) *pubSub {
	m := r.methods(pubsubv1.PubSubService_ServiceDesc.ServiceName)
	return &pubSub{
		road: r, publish: m["Publish"], publishBatch: m["PublishBatch"], subscribe: m["Subscribe"],
		acknowledge: m["Acknowledge"], unsubscribe: m["Unsubscribe"], list: m["ListSubscriptions"],
	}
}

// onPubSub is a unary call on a namespace: it walks the road, runs do and
// leaves.
func onPubSub[Req interface{ GetNamespace() string }, Resp any](
	ctx context.Context, p *pubSub, m *method, req Req,
	do func(ctx context.Context, ps *pubsub.Store, c *call, req Req) (Resp, error),
) (resp Resp, err error) {
	c, err := p.road.enter(ctx, m, req.GetNamespace(), req)
	if err != nil {
		return resp, err
	}
	defer c.finish(&err)
	ps, err := c.target.PubSub()
	if err != nil {
		return resp, err
	}
	resp, err = do(c.bound(), ps, &c, req)
	c.answered(resp)
	return resp, err
}

func (p *pubSub) Publish(ctx context.Context, r *pubsubv1.PublishRequest) (*pubsubv1.PublishResponse, error) {
	return onPubSub(ctx, p, p.publish, r, func(ctx context.Context, ps *pubsub.Store, c *call, r *pubsubv1.PublishRequest) (*pubsubv1.PublishResponse, error) {
		if r.Event == nil {
			return nil, prism.InvalidField("event", "must be set")
		}
		retry, err := retryID(ctx, r.Event.IdempotencyKey)
		if err != nil {
			return nil, err
		}
		events := [1]pubsub.Outgoing{outgoing(r.Event)}
		if err := pubsub.Once(&events[0], c.principal(), r.Event.IdempotencyKey, retry); err != nil {
			return nil, err
		}
		var results [1]pubsub.Published
		if err := ps.Publish(ctx, events[:], results[:]); err != nil {
			return nil, err
		}
		return publishedOf(&results[0]), results[0].Err
	})
}

func (p *pubSub) PublishBatch(ctx context.Context, r *pubsubv1.PublishBatchRequest) (*pubsubv1.PublishBatchResponse, error) {
	return onPubSub(ctx, p, p.publishBatch, r, func(ctx context.Context, ps *pubsub.Store, c *call, r *pubsubv1.PublishBatchRequest) (*pubsubv1.PublishBatchResponse, error) {
		n := len(r.Events)
		if n > prism.MaxBatchItems {
			return nil, prism.InvalidField("events", "must have at most 1000 items")
		}
		if err := c.target.Take(c.start, n-1); err != nil { // the call itself was counted at the door
			return nil, err
		}
		results := make([]pubsub.Published, n)
		events, which := make([]pubsub.Outgoing, 0, n), make([]int, 0, n)
		for i, e := range r.Events {
			o := outgoing(e)
			if err := pubsub.Once(&o, c.principal(), e.IdempotencyKey, nil); err != nil {
				results[i].Err = err
				continue
			}
			events, which = append(events, o), append(which, i)
		}
		answers := make([]pubsub.Published, len(events))
		if err := ps.Publish(ctx, events, answers); err != nil {
			return nil, err
		}
		for k, i := range which {
			results[i] = answers[k]
		}
		resp := &pubsubv1.PublishBatchResponse{Results: make([]*pubsubv1.PublishResult, n)}
		for i := range results {
			resp.Results[i] = &pubsubv1.PublishResult{Result: &pubsubv1.PublishResult_Published{Published: publishedOf(&results[i])}}
			if err := results[i].Err; err != nil {
				resp.Results[i].Result = &pubsubv1.PublishResult_Error{Error: itemError(err)}
			}
		}
		return resp, nil
	})
}

func outgoing(e *pubsubv1.Outgoing) pubsub.Outgoing {
	return pubsub.Outgoing{Persistent: e.Persistent, Event: pubsub.Event{
		Topic: e.Topic, Payload: e.Payload, Attributes: e.Attributes,
		CorrelationID: e.CorrelationId, ReplyTo: e.ReplyTo, OrderingKey: e.OrderingKey,
	}}
}

func publishedOf(p *pubsub.Published) *pubsubv1.PublishResponse {
	if p.Err != nil {
		return nil
	}
	resp := &pubsubv1.PublishResponse{EventId: p.ID, TimeMs: p.Time.UnixMilli(), Position: p.Position}
	if p.Subscribers >= 0 {
		resp.SubscriberCount = &p.Subscribers
	}
	return resp
}

func (p *pubSub) Subscribe(r *pubsubv1.SubscribeRequest, st grpc.ServerStreamingServer[pubsubv1.SubscribeResponse]) error {
	c, err := p.road.enter(st.Context(), p.subscribe, r.Namespace, r)
	if err != nil {
		return err
	}
	var position string // to resume from: one that this gateway gave
	err = p.follow(&c, r, following[pubsubv1.SubscribeRequest](&c, st), &position)
	return c.leaveStream(err, position)
}

// follow sends events until the stream ends; position is after what was sent.
func (p *pubSub) follow(c *call, r *pubsubv1.SubscribeRequest, st grpc.ServerStreamingServer[pubsubv1.SubscribeResponse], position *string) error {
	ps, err := c.target.PubSub()
	if err != nil {
		return err
	}
	if err := wire.Validate(r); err != nil {
		return err
	}
	q, err := subscription(r)
	if err != nil {
		return err
	}
	ctx, cancel := c.live(st.Context())
	defer cancel()
	sub, err := ps.Subscribe(ctx, c.principal(), q)
	if err != nil {
		return err
	}
	defer sub.Close()
	*position = r.GetStart().GetAfter()
	s := sender{st: st, sub: sub, position: position}
	if err := s.begin(); err != nil {
		return ended(ctx, err)
	}
	for {
		b, err := sub.Next()
		if err == nil {
			err = s.send(&b)
		}
		if err != nil {
			return ended(ctx, err)
		}
	}
}

// ended is why a stream ends; nothing if somebody asked for it.
func ended(ctx context.Context, err error) error {
	if errors.Is(err, pubsub.ErrUnsubscribed) {
		return nil
	}
	return why(ctx, err)
}

// A sender puts batches into messages.
type sender struct {
	st       grpc.ServerStreamingServer[pubsubv1.SubscribeResponse]
	sub      *pubsub.Subscription
	position *string
	id       string // of the subscription, until it is told
	coded    []byte
}

// begin tells at once that the subscription stands.
func (s *sender) begin() error {
	s.id = s.sub.ID
	if !s.sub.Replays() {
		return s.send(&pubsub.Batch{})
	}
	b, err := s.sub.Next()
	if err != nil {
		return err
	}
	return s.send(&b)
}

// send sends a batch in as many messages as it takes.
func (s *sender) send(b *pubsub.Batch) error {
	for from := 0; ; {
		m := frame.CodedEvents{SubscriptionID: s.id, Position: b.Position, Events: s.coded[:0]}
		if from == 0 {
			m.Dropped = b.Dropped
		}
		n, position := s.fill(&m, b.Events[from:])
		last := from+n == len(b.Events)
		if !last {
			m.Position = position
		}
		err := s.st.SendMsg(&m)
		if s.coded = m.Events; cap(s.coded) > keptBytes {
			s.coded = nil
		}
		if err != nil {
			return err
		}
		s.sub.Sent(b, n, last)
		if m.Position != "" {
			*s.position = m.Position
		}
		if s.id = ""; last {
			return nil
		}
		from += n
	}
}

// fill codes events as far as a message has room, one at least if there is one.
func (s *sender) fill(m *frame.CodedEvents, events []pubsub.Event) (n int, position string) {
	room := math.MaxInt
	for i := range events {
		e := s.event(&events[i])
		if !m.Append(&e, room) {
			break
		}
		n, position, room = i+1, e.Position, prism.MaxPageBytes
	}
	return n, position
}

// keptBytes is the room for events that a stream keeps between messages.
const keptBytes = 64 << 10

func (s *sender) event(e *pubsub.Event) frame.Event {
	return frame.Event{
		ID: e.ID, Topic: e.Topic, Payload: e.Payload, Attributes: e.Attributes, TimeMs: e.Time.UnixMilli(),
		CorrelationID: e.CorrelationID, ReplyTo: e.ReplyTo, OrderingKey: e.OrderingKey, Position: s.sub.Position(e),
	}
}

// subscription reads what a request asks for.
func subscription(r *pubsubv1.SubscribeRequest) (pubsub.Request, error) {
	q := pubsub.Request{
		Pattern: r.Pattern, Group: r.QueueGroup, Pending: int(r.MaxPending), Slow: pubsub.SlowPolicy(r.SlowPolicy),
		DurableName: r.DurableName, AutoAck: r.AutoAcknowledge,
	}
	for _, c := range r.Filter {
		q.Filter = append(q.Filter, pubsub.FilterClause{Attribute: c.Attribute, Op: pubsub.FilterOp(c.Op), Values: c.Values})
	}
	switch s := r.GetStart().GetStart().(type) {
	case nil:
		if r.Start != nil {
			return q, prism.InvalidField("start", "must say where")
		}
		return q, nil
	case *pubsubv1.Start_Earliest:
		q.Start = &pubsub.Start{Earliest: true}
		if !s.Earliest {
			return q, prism.InvalidField("start.earliest", "must be true where it is set")
		}
	case *pubsubv1.Start_After:
		q.Start = &pubsub.Start{After: s.After}
		if s.After == "" {
			return q, prism.InvalidField("start.after", "must not be empty")
		}
	case *pubsubv1.Start_TimeMs:
		q.Start = &pubsub.Start{Time: time.UnixMilli(s.TimeMs)}
	case *pubsubv1.Start_Next:
		q.Start = &pubsub.Start{}
		if !s.Next {
			return q, prism.InvalidField("start.next", "must be true where it is set")
		}
	}
	return q, nil
}

func (p *pubSub) Acknowledge(ctx context.Context, r *pubsubv1.AcknowledgeRequest) (*pubsubv1.AcknowledgeResponse, error) {
	return onPubSub(ctx, p, p.acknowledge, r, func(ctx context.Context, ps *pubsub.Store, _ *call, r *pubsubv1.AcknowledgeRequest) (*pubsubv1.AcknowledgeResponse, error) {
		if err := wire.Validate(r); err != nil {
			return nil, err
		}
		return &pubsubv1.AcknowledgeResponse{}, ps.Acknowledge(ctx, r.DurableName, r.Position)
	})
}

func (p *pubSub) Unsubscribe(ctx context.Context, r *pubsubv1.UnsubscribeRequest) (*pubsubv1.UnsubscribeResponse, error) {
	return onPubSub(ctx, p, p.unsubscribe, r, func(ctx context.Context, ps *pubsub.Store, c *call, r *pubsubv1.UnsubscribeRequest) (*pubsubv1.UnsubscribeResponse, error) {
		if err := wire.Validate(r); err != nil {
			return nil, err
		}
		found, err := ps.Unsubscribe(ctx, c.caller(prism.ActionAdminOperate), r.SubscriptionId)
		return &pubsubv1.UnsubscribeResponse{Found: found}, err
	})
}

// caller is who asks about subscriptions; whoever may do action sees all.
func (c *call) caller(action prism.Action) pubsub.Caller {
	return pubsub.Caller{Principal: c.principal(), All: c.session.Principal().May(action)}
}

func (p *pubSub) ListSubscriptions(ctx context.Context, r *pubsubv1.ListSubscriptionsRequest) (*pubsubv1.ListSubscriptionsResponse, error) {
	return onPubSub(ctx, p, p.list, r, func(ctx context.Context, ps *pubsub.Store, c *call, _ *pubsubv1.ListSubscriptionsRequest) (*pubsubv1.ListSubscriptionsResponse, error) {
		list, err := ps.List(ctx, c.caller(prism.ActionAdminRead))
		if err != nil {
			return nil, err
		}
		resp := &pubsubv1.ListSubscriptionsResponse{Subscriptions: make([]*pubsubv1.Subscription, len(list))}
		for i := range list {
			s := &list[i]
			resp.Subscriptions[i] = &pubsubv1.Subscription{
				SubscriptionId: s.ID, Pattern: s.Pattern, QueueGroup: s.Group, DurableName: s.Durable, CreatedAtMs: s.CreatedAt.UnixMilli(),
				Active: s.Active, EventsSent: s.Sent, EventsDropped: s.Dropped, Behind: s.Behind, Principal: s.Principal,
			}
		}
		return resp, nil
	})
}
