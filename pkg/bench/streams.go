package bench

import (
	"context"
	"time"

	"github.com/prism-data-layer/prism/loadtest/workload/pubsub"
	"github.com/prism-data-layer/prism/loadtest/workload/queue"
	"github.com/prism-data-layer/prism/loadtest/workload/ts"
	pubsubdata "github.com/prism-data-layer/prism/pkg/data/pubsub"
	"github.com/prism-data-layer/prism/pkg/data/timeseries"
	"github.com/prism-data-layer/prism/pkg/data/workqueue"
	"github.com/prism-data-layer/prism/pkg/driver"
	"github.com/prism-data-layer/prism/pkg/prism"
)

// principal is who the bench is, where it matters.
const principal = "bench"

// work is one work queue.
type work struct {
	*workqueue.Store
	name string
}

var _ queue.Target = work{}

func (w work) Publish(ctx context.Context, payload []byte) error {
	results := make([]workqueue.Result, 1)
	if err := w.Store.Publish(ctx, w.name, []workqueue.Message{{Payload: payload}}, results); err != nil {
		return err
	}
	return results[0].Err
}

func (w work) Receive(ctx context.Context, most int, wait time.Duration) ([]queue.Leased, error) {
	messages, err := w.Store.Receive(ctx, principal, w.name, workqueue.Receive{Max: int32(min(most, prism.MaxPageItems)), Wait: wait})
	all := make([]queue.Leased, len(messages))
	for i := range messages {
		all[i] = queue.Leased{Payload: messages[i].Payload, Handle: messages[i].Lease}
	}
	return all, err
}

func (w work) Ack(ctx context.Context, messages []queue.Leased) error {
	leases := make([]string, len(messages))
	for i, m := range messages {
		leases[i] = m.Handle.(string)
	}
	results, err := w.Acknowledge(ctx, principal, w.name, leases)
	for i := range results {
		if err == nil {
			err = results[i].Err
		}
	}
	return err
}

// topics is a pub/sub namespace.
type topics struct{ *pubsubdata.Store }

var _ pubsub.Target = topics{}

func (t topics) Publish(ctx context.Context, topic string, payload []byte) error {
	results := make([]pubsubdata.Published, 1)
	events := []pubsubdata.Outgoing{{Event: pubsubdata.Event{Topic: topic, Payload: payload}}}
	if err := t.Store.Publish(ctx, events, results); err != nil {
		return err
	}
	return results[0].Err
}

// pending is how many events may wait for one subscriber, as in a load test by
// the wire.
const pending = 10_000

func (t topics) Subscribe(ctx context.Context, pattern string) (pubsub.Subscription, error) {
	s, err := t.Store.Subscribe(ctx, principal, pubsubdata.Request{Pattern: pattern, Pending: pending})
	if err != nil {
		return nil, err
	}
	return subscription{s}, nil
}

type subscription struct{ s *pubsubdata.Subscription }

func (s subscription) Close() { _ = s.s.Close() }

func (s subscription) Next() (payloads [][]byte, dropped int64, err error) {
	b, err := s.s.Next()
	for i := range b.Events {
		payloads = append(payloads, b.Events[i].Payload)
	}
	return payloads, b.Dropped, err
}

// series is a time series.
type series struct{ *timeseries.Store }

var _ ts.Target = series{}

// Append stores events, which are all of one type and source.
func (s series) Append(ctx context.Context, events []ts.Event) error {
	in := &timeseries.Incoming{Batch: timeseries.Batch{
		Times:   make([]int64, len(events)),
		Types:   timeseries.Coded{Dictionary: []string{events[0].Type}},
		Sources: timeseries.Coded{Dictionary: []string{events[0].Source}},
		Metrics: []timeseries.Metric{{Name: ts.Metric, Values: make([]float64, len(events))}},
	}}
	for i, e := range events {
		in.Times[i], in.Metrics[0].Values[i] = e.Time.UnixNano(), e.Value
	}
	got, err := s.Store.Append(ctx, in)
	if err == nil && got.Rejected > 0 {
		err = prism.New(prism.ReasonInvalidArgument, "%d of %d events were rejected", got.Rejected, len(events))
	}
	return err
}

func (series) between(source string, from, to time.Time) timeseries.Selection {
	return timeseries.Selection{Start: from.UnixNano(), End: to.UnixNano(), Sources: []string{source}}
}

func (s series) Query(ctx context.Context, source string, from, to time.Time, most int) (n int, err error) {
	q := timeseries.Query{Selection: s.between(source, from, to), Descending: true, Limit: int64(most)}
	_, err = s.Store.Query(ctx, principal, q, func(p timeseries.Part) { n += p.Len() })
	return n, err
}

func (s series) Aggregate(ctx context.Context, source string, from, to time.Time, bucket time.Duration) (int, error) {
	got, err := s.Store.Aggregate(ctx, timeseries.AggregateQuery{
		Selection: s.between(source, from, to), Bucket: bucket.Nanoseconds(),
		Values: []timeseries.Aggregate{{Function: driver.AggregateAvg, Metric: ts.Metric}},
	})
	return len(got.Rows), err
}
