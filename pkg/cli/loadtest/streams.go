package loadtest

import (
	"context"
	"fmt"
	"time"

	"google.golang.org/grpc/metadata"

	"github.com/prism-data-layer/prism/loadtest/workload/pubsub"
	"github.com/prism-data-layer/prism/loadtest/workload/queue"
	"github.com/prism-data-layer/prism/loadtest/workload/session"
	"github.com/prism-data-layer/prism/loadtest/workload/ts"
	"github.com/prism-data-layer/prism/pkg/cli"
	"github.com/prism-data-layer/prism/pkg/client"
	"github.com/prism-data-layer/prism/pkg/prism"
	"github.com/prism-data-layer/prism/pkg/wire"
	pubsubv1 "github.com/prism-data-layer/prism/proto/prism/pubsub/v1"
	queuev1 "github.com/prism-data-layer/prism/proto/prism/queue/v1"
	sessionv1 "github.com/prism-data-layer/prism/proto/prism/session/v1"
	timeseriesv1 "github.com/prism-data-layer/prism/proto/prism/timeseries/v1"
)

// queues is one work queue of the run's own.
type queues struct {
	place
	queues []*client.WorkQueue
}

var _ queue.Target = (*queues)(nil)

func newQueues(p place) *queues {
	return &queues{p, each(p.site, func(c *client.Client) *client.WorkQueue { return c.WorkQueue(p.namespace, p.Name()) })}
}

func (q *queues) Publish(ctx context.Context, payload []byte) error {
	_, err := q.queues[q.turn()].Publish(ctx, client.Message{Payload: payload})
	return err
}

// leased remembers whose message it is: it is acknowledged where it was
// received.
type leased struct {
	by *client.WorkQueue
	m  *client.LeasedMessage
}

func (q *queues) Receive(ctx context.Context, most int, wait time.Duration) ([]queue.Leased, error) {
	by := q.queues[q.turn()]
	messages, err := by.Receive(ctx, client.ReceiveOptions{Max: most, Wait: wait})
	all := make([]queue.Leased, len(messages))
	for i, m := range messages {
		all[i] = queue.Leased{Payload: m.Payload, Handle: leased{by, m}}
	}
	return all, err
}

func (q *queues) Ack(ctx context.Context, messages []queue.Leased) error {
	all := make([]*client.LeasedMessage, len(messages))
	for i, m := range messages {
		all[i] = m.Handle.(leased).m
	}
	return messages[0].Handle.(leased).by.Ack(ctx, all...)
}

// Check makes the queue: a consumer may come before the first message.
func (q *queues) Check(ctx context.Context) error {
	api, err := q.f.WorkQueue(ctx)
	if err != nil {
		return err
	}
	_, err = api.CreateQueue(ctx, &queuev1.CreateQueueRequest{Namespace: q.namespace, Queue: q.Name()})
	return q.checked(err, "queue")
}

func (q *queues) Left() string {
	return fmt.Sprintf("left the queue %s in %s", q.Name(), q.namespace)
}

func (q *queues) Clear(ctx context.Context) (string, error) {
	api, err := q.f.WorkQueue(ctx)
	if err == nil {
		_, err = api.Purge(ctx, &queuev1.PurgeRequest{Namespace: q.namespace, Queue: q.Name()})
	}
	if err != nil {
		return "", cli.Partial("prismctl queue info "+q.Name()+" -n "+q.namespace, "the queue of the load test could not be emptied: %s", prism.From(err).Message)
	}
	return "emptied the queue " + q.Name() + " of this run", nil
}

// topics is a pub/sub namespace.
type topics struct {
	place
	topics []*client.PubSub
}

var _ pubsub.Target = (*topics)(nil)

func newTopics(p place) *topics {
	return &topics{p, each(p.site, func(c *client.Client) *client.PubSub { return c.PubSub(p.namespace) })}
}

func (t *topics) Publish(ctx context.Context, topic string, payload []byte) error {
	_, err := t.topics[t.turn()].Publish(ctx, client.Event{Topic: topic, Payload: payload})
	return err
}

// pending is how many events may wait for one subscriber.
const pending = 10_000

func (t *topics) Subscribe(ctx context.Context, pattern string) (pubsub.Subscription, error) {
	s, err := t.topics[t.turn()].Subscribe(ctx, pattern, client.SubscribeOptions{MaxPending: pending})
	if err != nil {
		return nil, err
	}
	return subscription{s}, nil
}

type subscription struct{ s *client.Subscription }

func (s subscription) Close() { s.s.Close() }

func (s subscription) Next() (payloads [][]byte, dropped int64, err error) {
	d, err := s.s.Next()
	for _, e := range d.Events {
		payloads = append(payloads, e.Payload)
	}
	return payloads, d.Dropped, err
}

func (t *topics) Check(ctx context.Context) error {
	api, err := t.f.PubSub(ctx)
	if err != nil {
		return err
	}
	_, err = api.ListSubscriptions(ctx, &pubsubv1.ListSubscriptionsRequest{Namespace: t.namespace})
	return t.checked(err, "pubsub")
}

// Events are not kept, so nothing is left.
func (t *topics) Left() string                          { return "" }
func (t *topics) Clear(context.Context) (string, error) { return "", nil }

// series is a time-series namespace.
type series struct {
	place
	series []*client.TimeSeries
}

var _ ts.Target = (*series)(nil)

func newSeries(p place) *series {
	return &series{p, each(p.site, func(c *client.Client) *client.TimeSeries { return c.TimeSeries(p.namespace) })}
}

func (s *series) Append(ctx context.Context, events []ts.Event) error {
	all := make([]client.Measurement, len(events))
	for i, e := range events {
		all[i] = client.Measurement{Time: e.Time, Type: e.Type, Source: e.Source, Metrics: map[string]float64{ts.Metric: e.Value}}
	}
	got, err := s.series[s.turn()].Append(ctx, all...)
	if err == nil && got.Rejected > 0 {
		err = prism.New(prism.ReasonInvalidArgument, "%d of %d events were rejected", got.Rejected, len(events))
	}
	return err
}

func (s *series) between(source string, from, to time.Time) client.TimeRange {
	return client.TimeRange{Start: from, End: to, Sources: []string{source}}
}

func (s *series) Query(ctx context.Context, source string, from, to time.Time, most int) (int, error) {
	page, err := s.series[s.turn()].Query(ctx, client.EventsQuery{TimeRange: s.between(source, from, to), Descending: true, Limit: int64(most)})
	return len(page.Events), err
}

func (s *series) Aggregate(ctx context.Context, source string, from, to time.Time, bucket time.Duration) (int, error) {
	rows, _, err := s.series[s.turn()].Aggregate(ctx, client.AggregateQuery{
		TimeRange: s.between(source, from, to), Bucket: bucket,
		Aggregates: []client.Aggregate{{Function: client.AggregateAvg, Metric: ts.Metric}},
	})
	return len(rows), err
}

func (s *series) Check(ctx context.Context) error {
	api, err := s.f.TimeSeries(ctx)
	if err != nil {
		return err
	}
	_, err = api.DescribeSeries(ctx, &timeseriesv1.DescribeSeriesRequest{Namespace: s.namespace})
	return s.checked(err, "timeseries")
}

func (s *series) Left() string {
	return fmt.Sprintf("left the events of this run in %s, of sources that begin with %s-: a time series forgets by its retention only", s.namespace, s.Name())
}

// Clear cannot: a time series has no deletion.
func (s *series) Clear(context.Context) (string, error) { return s.Left(), nil }

// sessions are made without the SDK, which has one of its own.
type sessions struct {
	place
	api sessionv1.SessionServiceClient
}

var _ session.Target = (*sessions)(nil)

func newSessions(p place) *sessions { return &sessions{place: p} }

func (s *sessions) Check(ctx context.Context) error {
	conn, err := s.conn(ctx)
	if err != nil {
		return err
	}
	s.api = sessionv1.NewSessionServiceClient(conn)
	one, err := s.Create(ctx)
	if err != nil {
		return err
	}
	return one.Close(ctx)
}

func (s *sessions) Create(ctx context.Context) (session.Session, error) {
	got, err := s.api.CreateSession(ctx, &sessionv1.CreateSessionRequest{ClientId: "prismctl loadtest", ClientVersion: s.f.Build.Version})
	if err != nil {
		return nil, err
	}
	return &held{s.api, got.GetSessionToken()}, nil
}

type held struct {
	api   sessionv1.SessionServiceClient
	token string // secret
}

func (h *held) as(ctx context.Context) context.Context {
	return metadata.AppendToOutgoingContext(ctx, wire.SessionToken, h.token)
}

func (h *held) Heartbeat(ctx context.Context) error {
	_, err := h.api.Heartbeat(h.as(ctx), &sessionv1.HeartbeatRequest{})
	return err
}

func (h *held) Close(ctx context.Context) error {
	_, err := h.api.CloseSession(h.as(ctx), &sessionv1.CloseSessionRequest{})
	return err
}

func (s *sessions) Left() string                          { return "" }
func (s *sessions) Clear(context.Context) (string, error) { return "", nil }
