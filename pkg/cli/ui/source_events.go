package ui

import (
	"cmp"
	"context"
	"errors"
	"io"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/prism-data-layer/prism/pkg/prism"
	pubsubv1 "github.com/prism-data-layer/prism/proto/prism/pubsub/v1"
	timeseriesv1 "github.com/prism-data-layer/prism/proto/prism/timeseries/v1"
	"github.com/prism-data-layer/prism/tui/component/tail"
	"github.com/prism-data-layer/prism/tui/page/pubsub"
	"github.com/prism-data-layer/prism/tui/page/series"
)

// pubsubSource answers the page of topics.
type pubsubSource struct{ dataSource }

func (s pubsubSource) client(ctx context.Context) (pubsubv1.PubSubServiceClient, error) {
	return enter(ctx, s.dataSource, pubsubv1.NewPubSubServiceClient)
}

func (s pubsubSource) Subscriptions(ctx context.Context, namespace string) ([]pubsub.Subscription, error) {
	c, err := s.client(ctx)
	if err != nil {
		return nil, err
	}
	r, err := c.ListSubscriptions(ctx, &pubsubv1.ListSubscriptionsRequest{Namespace: namespace})
	if err != nil {
		return nil, s.explain(err)
	}
	list := make([]pubsub.Subscription, 0, len(r.GetSubscriptions()))
	for _, x := range r.GetSubscriptions() {
		list = append(list, pubsub.Subscription{
			ID: x.GetSubscriptionId(), Pattern: x.GetPattern(), Group: x.GetQueueGroup(), Durable: x.GetDurableName(), Principal: x.GetPrincipal(),
			Active: x.GetActive(), Sent: x.GetEventsSent(), Dropped: x.GetEventsDropped(), Behind: x.GetBehind(), Created: moment(x.GetCreatedAtMs()),
		})
	}
	return list, nil
}

func (s pubsubSource) Events(ctx context.Context, namespace, pattern string, to *tail.Sink[pubsub.Event]) error {
	c, err := s.client(ctx)
	if err != nil {
		return err
	}
	st, err := c.Subscribe(ctx, &pubsubv1.SubscribeRequest{Namespace: namespace, Pattern: pattern})
	if err != nil {
		return err
	}
	return receive(st, to.Open, func(r *pubsubv1.SubscribeResponse) {
		to.Miss(r.GetDropped())
		for _, e := range r.GetEvents() {
			to.Send(pubsub.Event{
				ID: e.GetEventId(), Topic: e.GetTopic(), Key: e.GetOrderingKey(), Time: moment(e.GetTimeMs()),
				Payload: head(e.GetPayload()), Size: int64(len(e.GetPayload())), Attributes: e.GetAttributes(),
			})
		}
	})
}

func (s pubsubSource) Publish(ctx context.Context, namespace, topic string, payload []byte, persistent bool) (string, error) {
	c, err := s.client(ctx)
	if err != nil {
		return "", err
	}
	r, err := c.Publish(ctx, &pubsubv1.PublishRequest{Namespace: namespace, Event: &pubsubv1.Outgoing{Topic: topic, Payload: payload, Persistent: persistent}})
	if err == nil && r.SubscriberCount != nil {
		return "published to " + topic + ": " + strconv.FormatInt(r.GetSubscriberCount(), 10) + " listen", nil
	}
	return "published to " + topic, err
}

// seriesSource answers the page of time series.
type seriesSource struct{ dataSource }

func (s seriesSource) Series(ctx context.Context, q series.Query) (series.Snapshot, error) {
	c, err := enter(ctx, s.dataSource, timeseriesv1.NewTimeSeriesServiceClient)
	if err != nil {
		return series.Snapshot{}, err
	}
	step := q.Range / time.Duration(max(q.Buckets, 1))
	// Whole steps: the chart moves on when one is full, not with each look.
	end := s.f.Clock.Now().Truncate(step).Add(step)
	selection, err := selectionOf(q, end)
	if err != nil {
		return series.Snapshot{}, err
	}
	aggregate, err := aggregateOf(q)
	if err != nil {
		return series.Snapshot{}, err
	}
	ask := &timeseriesv1.QueryAggregatesRequest{Namespace: q.Namespace, Selection: selection, BucketNs: int64(step), Aggregates: []*timeseriesv1.Aggregate{aggregate}}
	if key := groupOf(q.By); key != nil {
		ask.GroupBy = []*timeseriesv1.GroupKey{key}
	}
	r, err := c.QueryAggregates(ctx, ask)
	if err != nil {
		return series.Snapshot{}, s.explain(err)
	}
	out := series.Snapshot{End: end, Source: r.GetSource(), Stored: -1}
	out.Lines, out.More = linesOf(q, r.GetRows(), selection.GetStartNs(), int64(step))
	if out.Events, err = newestEvents(ctx, c, q.Namespace, selection); err != nil {
		return series.Snapshot{}, s.explain(err)
	}
	if info, err := c.DescribeSeries(ctx, &timeseriesv1.DescribeSeriesRequest{Namespace: q.Namespace}); err == nil {
		out.Stored = info.GetEvents()
	}
	return out, nil
}

func newestEvents(ctx context.Context, c timeseriesv1.TimeSeriesServiceClient, namespace string, of *timeseriesv1.Selection) (list []series.Event, err error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	st, err := c.StreamQuery(ctx, &timeseriesv1.StreamQueryRequest{Namespace: namespace, Selection: of, Descending: true, Limit: series.MaxEvents})
	if err != nil {
		return nil, err
	}
	for {
		r, err := st.Recv()
		switch {
		case errors.Is(err, io.EOF):
			return list, nil
		case err != nil:
			return nil, err
		}
		for _, e := range r.GetEvents() {
			id := e.GetEventId()
			if id == "" { // events need have none
				id = strconv.FormatInt(e.GetTimeNs(), 10) + "-" + strconv.Itoa(len(list))
			}
			list = append(list, series.Event{
				ID: id, Type: e.GetEventType(), Source: e.GetSource(), Time: time.Unix(0, e.GetTimeNs()),
				Metrics: e.GetMetrics(), Dimensions: e.GetDimensions(), Payload: head(e.GetPayload()), Size: int64(len(e.GetPayload())),
			})
		}
	}
}

func selectionOf(q series.Query, end time.Time) (*timeseriesv1.Selection, error) {
	from, to := end.Add(-q.Range).UnixNano(), end.UnixNano()
	p := &timeseriesv1.Selection{StartNs: &from, EndNs: &to}
	if q.Type != "" {
		p.EventTypes = []string{q.Type}
	}
	if q.Where != "" {
		name, v, ok := strings.Cut(q.Where, "=")
		if !ok {
			return nil, prism.New(prism.ReasonInvalidArgument, "%q is no condition: write host=a", q.Where)
		}
		p.Dimensions = []*timeseriesv1.DimensionFilter{{Dimension: name, Op: timeseriesv1.FilterOp_FILTER_OP_IN, Values: []string{v}}}
	}
	return p, nil
}

func aggregateOf(q series.Query) (*timeseriesv1.Aggregate, error) {
	a := &timeseriesv1.Aggregate{Metric: q.Metric}
	switch q.Function {
	case "count":
		a.Function, a.Metric = timeseriesv1.Function_FUNCTION_COUNT, ""
	case "sum":
		a.Function = timeseriesv1.Function_FUNCTION_SUM
	case "avg":
		a.Function = timeseriesv1.Function_FUNCTION_AVG
	case "min":
		a.Function = timeseriesv1.Function_FUNCTION_MIN
	case "max":
		a.Function = timeseriesv1.Function_FUNCTION_MAX
	default:
		p, err := strconv.ParseFloat(strings.TrimPrefix(q.Function, "p"), 64)
		if err != nil {
			return nil, prism.New(prism.ReasonInvalidArgument, "%q is no figure", q.Function)
		}
		a.Function, a.Quantile = timeseriesv1.Function_FUNCTION_QUANTILE, p/100
	}
	return a, nil
}

func groupOf(by string) *timeseriesv1.GroupKey {
	switch by {
	case "":
		return nil
	case "type":
		return &timeseriesv1.GroupKey{Key: &timeseriesv1.GroupKey_EventType{EventType: true}}
	case "source":
		return &timeseriesv1.GroupKey{Key: &timeseriesv1.GroupKey_Source{Source: true}}
	}
	return &timeseriesv1.GroupKey{Key: &timeseriesv1.GroupKey_Dimension{Dimension: strings.TrimPrefix(by, "dim.")}}
}

// linesOf makes a line of each group, the one with the largest sum first.
func linesOf(q series.Query, rows []*timeseriesv1.AggregateRow, start, step int64) (lines []series.Line, more int) {
	at, sums := map[string]int{}, map[string]float64{}
	for _, r := range rows {
		name := ""
		if g := r.GetGroup(); len(g) > 0 {
			if name = "(none)"; g[0].Value != nil {
				name = g[0].GetValue()
			}
		}
		i, ok := at[name]
		if !ok {
			i, at[name] = len(lines), len(lines)
			line := series.Line{Name: name, Values: make([]float64, max(q.Buckets, 1))}
			for n := range line.Values {
				line.Values[n] = math.NaN()
			}
			lines = append(lines, line)
		}
		n := (r.GetBucketStartNs() - start) / step
		if v := r.GetValues(); n >= 0 && n < int64(len(lines[i].Values)) && len(v) > 0 && v[0].Value != nil {
			lines[i].Values[n] = v[0].GetValue()
			sums[name] += math.Abs(v[0].GetValue())
		}
	}
	slices.SortStableFunc(lines, func(a, b series.Line) int {
		return cmp.Or(cmp.Compare(sums[b.Name], sums[a.Name]), cmp.Compare(a.Name, b.Name))
	})
	if len(lines) > series.MaxLines {
		lines, more = lines[:series.MaxLines], len(lines)-series.MaxLines
	}
	return lines, more
}
