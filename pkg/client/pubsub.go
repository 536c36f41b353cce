package client

import (
	"context"
	"errors"
	"io"
	"sync"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"

	"github.com/prism-data-layer/prism/pkg/prism"
	"github.com/prism-data-layer/prism/pkg/wire"
	"github.com/prism-data-layer/prism/pkg/wire/frame"
	pubsubv1 "github.com/prism-data-layer/prism/proto/prism/pubsub/v1"
)

// PubSub is one namespace of events.
type PubSub struct {
	c  *Client
	ns string

	mu    sync.Mutex
	inbox *inbox
}

// PubSub returns the namespace with that name; nothing is sent. Its requests
// share one inbox, so keep it.
func (c *Client) PubSub(namespace string) *PubSub { return &PubSub{c: c, ns: namespace} }

// An Event is what is published, and what a subscription gets.
type Event struct {
	ID            string // made by the gateway
	Topic         string
	Payload       []byte
	Attributes    map[string]string
	CorrelationID string
	ReplyTo       string
	OrderingKey   string
	Time          time.Time // of publishing; made by the gateway
	// Persistent keeps a published event for durable subscriptions and replays.
	Persistent bool
	// IdempotencyKey makes a persistent event happen once for this key, for 24
	// hours, even from another process.
	IdempotencyKey string
	// Position of a persistent event that is followed, for Acknowledge.
	Position string
}

// Published is the answer for one event.
type Published struct {
	ID          string
	Time        time.Time
	Subscribers int64 // -1: not known
	Position    string
	Err         *prism.Error // of an event of a batch
}

// Publish sends one event. A persistent one is sent again when its outcome is
// not known, and still happens once; a live one is then lost, as the model
// promises no more.
func (p *PubSub) Publish(ctx context.Context, e Event) (Published, error) {
	var resp *pubsubv1.PublishResponse
	req := &pubsubv1.PublishRequest{Namespace: p.ns, Event: outgoing(&e)}
	if e.Persistent && e.IdempotencyKey == "" {
		ctx = metadata.AppendToOutgoingContext(ctx, wire.RetryID, hexOf(p.c.ids.next()))
	}
	err := p.send(ctx, e.Persistent, func(ctx context.Context) (err error) {
		resp, err = p.rpc().Publish(ctx, req)
		return err
	})
	if err != nil {
		return Published{}, err
	}
	return publishedOf(resp), nil
}

// PublishBatch sends up to 1,000 events, each with an answer of its own, in
// order.
func (p *PubSub) PublishBatch(ctx context.Context, events []Event) ([]Published, error) {
	req := &pubsubv1.PublishBatchRequest{Namespace: p.ns, Events: make([]*pubsubv1.Outgoing, len(events))}
	safe := true
	for i := range events {
		req.Events[i] = outgoing(&events[i])
		switch {
		case !events[i].Persistent:
			safe = false
		case events[i].IdempotencyKey == "":
			req.Events[i].IdempotencyKey = "prism-" + hexOf(p.c.ids.next())
		}
	}
	var resp *pubsubv1.PublishBatchResponse
	err := p.send(ctx, safe, func(ctx context.Context) (err error) {
		resp, err = p.rpc().PublishBatch(ctx, req)
		return err
	})
	if err != nil {
		return nil, err
	}
	out := make([]Published, len(resp.Results))
	for i, r := range resp.Results {
		if item := r.GetError(); item != nil {
			out[i] = Published{Err: wire.FromItem(item)}
			continue
		}
		out[i] = publishedOf(r.GetPublished())
	}
	return out, nil
}

// send runs a call that publishes. What is not safe to repeat is sent again
// only where the gateway said that it did nothing.
func (p *PubSub) send(ctx context.Context, safe bool, f func(ctx context.Context) error) error {
	for attempt := 1; ; attempt++ {
		err := p.c.call(ctx, safe, f)
		e := prism.From(err)
		if err == nil || safe || attempt == maxAttempts || !refusedAtTheDoor(e) || !p.c.retry.spend() || !sleep(ctx, delay(attempt, e)) {
			return err
		}
		p.c.stats.Retries.Add(1)
	}
}

func refusedAtTheDoor(e *prism.Error) bool {
	switch e.Reason {
	case prism.ReasonDraining, prism.ReasonRateLimited, prism.ReasonOverloaded, prism.ReasonMoved:
		return true
	}
	return false
}

func (p *PubSub) rpc() pubsubv1.PubSubServiceClient {
	return pubsubv1.NewPubSubServiceClient(p.c.Conn())
}

func outgoing(e *Event) *pubsubv1.Outgoing {
	return &pubsubv1.Outgoing{
		Topic: e.Topic, Payload: e.Payload, Attributes: e.Attributes, CorrelationId: e.CorrelationID, ReplyTo: e.ReplyTo,
		OrderingKey: e.OrderingKey, Persistent: e.Persistent, IdempotencyKey: e.IdempotencyKey,
	}
}

func publishedOf(r *pubsubv1.PublishResponse) Published {
	out := Published{ID: r.GetEventId(), Time: time.UnixMilli(r.GetTimeMs()), Subscribers: -1, Position: r.GetPosition()}
	if r.SubscriberCount != nil {
		out.Subscribers = *r.SubscriberCount
	}
	return out
}

func eventsOf(r *frame.Events) []Event {
	events := make([]Event, len(r.Events))
	for i := range r.Events {
		e := &r.Events[i]
		events[i] = Event{
			ID: e.ID, Topic: e.Topic, Payload: e.Payload, Attributes: e.Attributes, CorrelationID: e.CorrelationID,
			ReplyTo: e.ReplyTo, OrderingKey: e.OrderingKey, Time: time.UnixMilli(e.TimeMs), Position: e.Position, Persistent: e.Position != "",
		}
	}
	return events
}

// A FilterOp is how a clause compares an attribute.
type FilterOp int

const (
	FilterIn     = FilterOp(pubsubv1.FilterOp_FILTER_OP_IN)
	FilterNotIn  = FilterOp(pubsubv1.FilterOp_FILTER_OP_NOT_IN)
	FilterPrefix = FilterOp(pubsubv1.FilterOp_FILTER_OP_PREFIX)
	FilterExists = FilterOp(pubsubv1.FilterOp_FILTER_OP_EXISTS)
	FilterAbsent = FilterOp(pubsubv1.FilterOp_FILTER_OP_ABSENT)
)

// A FilterClause compares one attribute; all clauses of a filter must hold.
type FilterClause struct {
	Attribute string
	Op        FilterOp
	Values    []string
}

// SubscribeOptions say what to follow and how. The zero value follows live
// events.
type SubscribeOptions struct {
	Group      string
	Filter     []FilterClause
	MaxPending int  // events that may wait for us; 0: 1,000
	Disconnect bool // when more would: end the stream instead of dropping

	// Durable, Earliest, After, Since and Next follow persistent events. A
	// durable name goes on after what was acknowledged; the others say where to
	// begin.
	Durable  string
	Earliest bool
	After    string
	Since    time.Time
	Next     bool
	AutoAck  bool // acknowledge what is sent, as it is sent

	// Resumed is told each time the stream was lost and goes on, and why.
	Resumed func(position string, why *prism.Error)
}

func (o *SubscribeOptions) replays() bool {
	return o.Durable != "" || o.Earliest || o.After != "" || !o.Since.IsZero() || o.Next
}

// A Delivery is what came together.
type Delivery struct {
	Events   []Event
	Position string // after them, where persistent events are followed
	Dropped  int64  // before them, because we were too slow
	// Gap says that a live subscription was lost and made anew, and why: what
	// was published in between has not come and will not.
	Gap *prism.Error
}

// A Subscription follows events over restarts and lost connections: persistent
// ones without a gap, live ones with the gap told.
type Subscription struct {
	p       *PubSub
	pattern string
	o       SubscribeOptions
	ctx     context.Context
	cancel  context.CancelFunc
	st      grpc.ServerStreamingClient[pubsubv1.SubscribeResponse]
	sess    *session
	fails   int
	why     *prism.Error
	first   *Delivery // that came with the confirmation of the start

	mu sync.Mutex
	id string
	at string // position
}

// Subscribe begins to follow a topic or a pattern. It returns when the
// subscription stands: what is published after that is seen.
func (p *PubSub) Subscribe(ctx context.Context, pattern string, o SubscribeOptions) (*Subscription, error) {
	ctx, cancel := context.WithCancel(ctx)
	s := &Subscription{p: p, pattern: pattern, o: o, ctx: ctx, cancel: cancel, at: o.After}
	d, err := s.next(true)
	if err != nil {
		cancel()
		return nil, err
	}
	s.first = &d
	return s, nil
}

// ID is what Unsubscribe takes; it changes when the stream is made anew.
func (s *Subscription) ID() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.id
}

// Next waits for events. It returns an error only when going on is impossible
// or the context has ended; io.EOF when the subscription was ended by
// Unsubscribe.
func (s *Subscription) Next() (Delivery, error) {
	if d := s.first; d != nil {
		s.first = nil
		if len(d.Events) > 0 || d.Dropped > 0 {
			return *d, nil
		}
	}
	return s.next(false)
}

// next reads a message that says something; the first one says that the
// subscription stands.
func (s *Subscription) next(first bool) (Delivery, error) {
	for {
		if s.st == nil {
			if err := s.open(); err != nil {
				if err := s.again(err); err != nil {
					return Delivery{}, err
				}
				continue
			}
		}
		resp := &frame.Events{}
		if err := s.st.RecvMsg(resp); err != nil {
			s.st = nil
			if errors.Is(err, io.EOF) {
				return Delivery{}, io.EOF
			}
			if err := s.again(err); err != nil {
				return Delivery{}, err
			}
			continue
		}
		if d := s.take(resp); first || len(d.Events) > 0 || d.Dropped > 0 || d.Gap != nil || d.Position != "" {
			return d, nil
		}
	}
}

func (s *Subscription) take(resp *frame.Events) Delivery {
	d := Delivery{Events: eventsOf(resp), Position: resp.Position, Dropped: resp.Dropped}
	s.mu.Lock()
	if resp.SubscriptionID != "" {
		s.id = resp.SubscriptionID
	}
	if resp.Position != "" {
		s.at = resp.Position
	}
	began := s.id != ""
	s.mu.Unlock()
	s.fails = 0
	if why := s.why; why != nil && began {
		s.why = nil
		s.p.c.stats.Resumes.Add(1)
		if s.o.Resumed != nil {
			s.o.Resumed(s.at, why)
		}
		if !s.o.replays() {
			d.Gap = why
		}
	}
	return d
}

func (s *Subscription) open() error {
	ctx, sess, err := s.p.c.session.attach(s.ctx)
	if err != nil {
		return err
	}
	s.sess = sess
	s.p.c.stats.Attempts.Add(1)
	st, err := s.p.rpc().Subscribe(ctx, s.request())
	if err == nil {
		s.st = st
	}
	return err
}

func (s *Subscription) request() *pubsubv1.SubscribeRequest {
	o := &s.o
	r := &pubsubv1.SubscribeRequest{
		Namespace: s.p.ns, Pattern: s.pattern, QueueGroup: o.Group, MaxPending: int32(min(max(o.MaxPending, 0), 1<<30)),
		DurableName: o.Durable, AutoAcknowledge: o.AutoAck,
	}
	if o.Disconnect {
		r.SlowPolicy = pubsubv1.SlowPolicy_SLOW_POLICY_DISCONNECT
	}
	for _, c := range o.Filter {
		r.Filter = append(r.Filter, &pubsubv1.FilterClause{Attribute: c.Attribute, Op: pubsubv1.FilterOp(c.Op), Values: c.Values})
	}
	switch {
	case s.at != "":
		r.Start = &pubsubv1.Start{Start: &pubsubv1.Start_After{After: s.at}}
	case o.Earliest:
		r.Start = &pubsubv1.Start{Start: &pubsubv1.Start_Earliest{Earliest: true}}
	case !o.Since.IsZero():
		r.Start = &pubsubv1.Start{Start: &pubsubv1.Start_TimeMs{TimeMs: o.Since.UnixMilli()}}
	case o.Next:
		r.Start = &pubsubv1.Start{Start: &pubsubv1.Start_Next{Next: true}}
	}
	return r
}

// again waits before the next try, or returns why there is none.
func (s *Subscription) again(err error) error {
	if s.ctx.Err() != nil {
		return prism.From(s.ctx.Err())
	}
	e, resume := wire.FromStream(err)
	if e == nil {
		e = prism.New(prism.ReasonUnavailable, "the gateway ended the stream")
	}
	lost := s.p.c.session.lost(s.sess, e)
	s.fails++
	if !lost && !e.Retryable() && resume == nil || s.fails >= maxAttempts && s.p.c.o.failFast {
		return e
	}
	if resume != nil && resume.Position != "" {
		s.mu.Lock()
		s.at = resume.Position
		s.mu.Unlock()
	}
	s.why = e
	if !sleep(s.ctx, delay(min(s.fails, maxAttempts), e)) {
		return prism.From(s.ctx.Err())
	}
	return nil
}

// Acknowledge remembers for a durable subscription that all up to a position
// was worked off: that of an event, or of a delivery.
func (s *Subscription) Acknowledge(ctx context.Context, position string) error {
	return s.p.Acknowledge(ctx, s.o.Durable, position)
}

// Close ends the subscription; a durable name stays.
func (s *Subscription) Close() { s.cancel() }

// Acknowledge is the same for a durable name that somebody else may read.
func (p *PubSub) Acknowledge(ctx context.Context, durable, position string) error {
	return p.c.call(ctx, true, func(ctx context.Context) error {
		_, err := p.rpc().Acknowledge(ctx, &pubsubv1.AcknowledgeRequest{Namespace: p.ns, DurableName: durable, Position: position})
		return err
	})
}

// Unsubscribe ends a stream by its id, or forgets a durable name.
func (p *PubSub) Unsubscribe(ctx context.Context, id string) (found bool, err error) {
	err = p.c.call(ctx, true, func(ctx context.Context) error {
		r, err := p.rpc().Unsubscribe(ctx, &pubsubv1.UnsubscribeRequest{Namespace: p.ns, SubscriptionId: id})
		found = found || r.GetFound()
		return err
	})
	return found, err
}

// A SubscriptionInfo describes an open stream or a durable name.
type SubscriptionInfo struct {
	ID, Pattern, Group, Durable, Principal string

	CreatedAt time.Time
	Active    bool
	Sent      int64
	Dropped   int64
	Behind    int64 // persistent events after what was acknowledged
}

// Subscriptions lists the caller's streams and the namespace's durable names.
func (p *PubSub) Subscriptions(ctx context.Context) (list []SubscriptionInfo, err error) {
	err = p.c.call(ctx, true, func(ctx context.Context) error {
		r, err := p.rpc().ListSubscriptions(ctx, &pubsubv1.ListSubscriptionsRequest{Namespace: p.ns})
		list = nil
		for _, s := range r.GetSubscriptions() {
			list = append(list, SubscriptionInfo{
				ID: s.SubscriptionId, Pattern: s.Pattern, Group: s.QueueGroup, Durable: s.DurableName, Principal: s.Principal,
				CreatedAt: time.UnixMilli(s.CreatedAtMs), Active: s.Active, Sent: s.EventsSent, Dropped: s.EventsDropped, Behind: s.Behind,
			})
		}
		return err
	})
	return list, err
}
