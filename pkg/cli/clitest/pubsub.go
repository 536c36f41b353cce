package clitest

import (
	"context"
	"slices"
	"sync"
	"time"

	"google.golang.org/grpc"

	"github.com/prism-data-layer/prism/pkg/prism"
	pubsubv1 "github.com/prism-data-layer/prism/proto/prism/pubsub/v1"
)

// A PubSub answers the pub/sub API from memory, in a namespace pubsub. Its
// fields may be changed between calls.
type PubSub struct {
	pubsubv1.UnimplementedPubSubServiceServer
	g *Gateway

	// OnSubscribe, if set, answers subscriptions.
	OnSubscribe func(*pubsubv1.SubscribeRequest, grpc.ServerStreamingServer[pubsubv1.SubscribeResponse]) error

	mu        sync.Mutex
	published []*pubsubv1.Outgoing
	acked     []string
	subs      []*pubsubv1.Subscription
}

func newPubSub(g *Gateway) *PubSub {
	p := &PubSub{g: g}
	p.reset()
	return p
}

func (p *PubSub) reset() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.published, p.acked, p.OnSubscribe = nil, nil, nil
	p.subs = []*pubsubv1.Subscription{
		{SubscriptionId: "sub_7F3A", Pattern: "orders.>", Active: true, EventsSent: 4200, EventsDropped: 7, QueueGroup: "workers", Principal: "user:dev", CreatedAtMs: p.g.ago(time.Hour)},
		{SubscriptionId: "audit", Pattern: ">", DurableName: "audit", Behind: 12, CreatedAtMs: p.g.ago(48 * time.Hour)},
	}
}

// Published are the events that came.
func (p *PubSub) Published() []*pubsubv1.Outgoing {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Clone(p.published)
}

// Acked are the positions that were acknowledged.
func (p *PubSub) Acked() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Clone(p.acked)
}

func (p *PubSub) space(ns string) error {
	if ns != "pubsub" {
		return prism.NotFound("namespace", ns).WithMeta("kind", "namespace")
	}
	return nil
}

// Publish and the calls below answer as the pub/sub API would.
func (p *PubSub) Publish(_ context.Context, r *pubsubv1.PublishRequest) (*pubsubv1.PublishResponse, error) {
	if err := p.space(r.Namespace); err != nil {
		return nil, err
	}
	if !prism.ValidTopic(r.Event.Topic) {
		return nil, prism.InvalidField("topic", "must be tokens parted by dots")
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.published = append(p.published, r.Event)
	n := int64(2)
	resp := &pubsubv1.PublishResponse{EventId: "01k0event", TimeMs: p.g.ago(0), SubscriberCount: &n}
	if r.Event.Persistent {
		resp.Position, n = "p-17", 1
	}
	if r.Event.Topic == "untold" {
		resp.SubscriberCount = nil
	}
	return resp, nil
}

func (p *PubSub) Subscribe(r *pubsubv1.SubscribeRequest, s grpc.ServerStreamingServer[pubsubv1.SubscribeResponse]) error {
	if err := p.space(r.Namespace); err != nil {
		return failed(err)
	}
	if !prism.ValidPattern(r.Pattern) {
		return failed(prism.InvalidField("pattern", "must be a topic in which a token may be *, and the last one >"))
	}
	p.mu.Lock()
	answer := p.OnSubscribe
	p.mu.Unlock()
	if answer != nil {
		return answer(r, s)
	}
	if err := s.Send(&pubsubv1.SubscribeResponse{SubscriptionId: "sub_1"}); err != nil {
		return err
	}
	e := &pubsubv1.Event{EventId: "01k0event", Topic: "orders.created", Payload: []byte(`{"id":17}`), TimeMs: p.g.ago(time.Second), Attributes: map[string]string{"region": "eu"}}
	b := &pubsubv1.Event{EventId: "01k1event", Topic: "orders.paid", Payload: []byte("\xff\x00"), TimeMs: p.g.ago(0), CorrelationId: "c-1", ReplyTo: "_inbox.x", OrderingKey: "17"}
	position := ""
	if r.Start != nil || r.DurableName != "" {
		position, e.Position, b.Position = "p-2", "p-1", "p-2"
	}
	for range 10 {
		if err := s.Send(&pubsubv1.SubscribeResponse{Events: []*pubsubv1.Event{e, b}, Position: position}); err != nil {
			return err
		}
	}
	return nil
}

func (p *PubSub) Acknowledge(_ context.Context, r *pubsubv1.AcknowledgeRequest) (*pubsubv1.AcknowledgeResponse, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.acked = append(p.acked, r.DurableName+" "+r.Position)
	return &pubsubv1.AcknowledgeResponse{}, p.space(r.Namespace)
}

func (p *PubSub) Unsubscribe(_ context.Context, r *pubsubv1.UnsubscribeRequest) (*pubsubv1.UnsubscribeResponse, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	n := len(p.subs)
	p.subs = slices.DeleteFunc(p.subs, func(s *pubsubv1.Subscription) bool { return s.SubscriptionId == r.SubscriptionId })
	return &pubsubv1.UnsubscribeResponse{Found: len(p.subs) < n}, p.space(r.Namespace)
}

func (p *PubSub) ListSubscriptions(_ context.Context, r *pubsubv1.ListSubscriptionsRequest) (*pubsubv1.ListSubscriptionsResponse, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return &pubsubv1.ListSubscriptionsResponse{Subscriptions: slices.Clone(p.subs)}, p.space(r.Namespace)
}
