package gateway

import (
	"context"
	"errors"
	"io"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"

	"github.com/prism-data-layer/prism/pkg/data/timeseries"
	"github.com/prism-data-layer/prism/pkg/prism"
	"github.com/prism-data-layer/prism/pkg/route"
	"github.com/prism-data-layer/prism/pkg/wire"
	"github.com/prism-data-layer/prism/pkg/wire/frame"
	timeseriesv1 "github.com/prism-data-layer/prism/proto/prism/timeseries/v1"
)

// RegisterTimeSeries serves time series over the road. What is appended is read
// by hand, in a unary call too.
func RegisterTimeSeries(s grpc.ServiceRegistrar, r *Road) {
	desc := timeseriesv1.TimeSeriesService_ServiceDesc
	desc.Methods = append([]grpc.MethodDesc(nil), desc.Methods...)
	for i := range desc.Methods {
		if desc.Methods[i].MethodName == "AppendEvents" {
			desc.Methods[i].Handler = appendEvents
		}
	}
	s.RegisterService(&desc, newTimeSeries(r))
}

type timeSeries struct {
	timeseriesv1.UnimplementedTimeSeriesServiceServer
	road *Road

	appendEvents, streamEvents, queryEvents      *method
	streamQuery, queryAggregates, describeSeries *method
}

func newTimeSeries(r *Road) *timeSeries {
	m := r.methods(timeseriesv1.TimeSeriesService_ServiceDesc.ServiceName)
	return &timeSeries{
		road: r, appendEvents: m["AppendEvents"], streamEvents: m["StreamEvents"], queryEvents: m["QueryEvents"],
		streamQuery: m["StreamQuery"], queryAggregates: m["QueryAggregates"], describeSeries: m["DescribeSeries"],
	}
}

// onSeries is a unary call on a namespace of time series whose request is
// checked against the rules of its fields.
func onSeries[Req interface {
	proto.Message
	GetNamespace() string
}, Resp any](
	ctx context.Context, t *timeSeries, m *method, req Req,
	do func(ctx context.Context, s *timeseries.Store, c *call, req Req) (Resp, error),
) (Resp, error) {
	return unary(ctx, t.road, m, req, route.Target.TimeSeries, func(ctx context.Context, s *timeseries.Store, c *call, req Req) (resp Resp, err error) {
		if err := wire.Validate(req); err != nil {
			return resp, err
		}
		return do(ctx, s, c, req)
	})
}

// appendEvents is AppendEvents as gRPC calls it.
func appendEvents(srv any, ctx context.Context, dec func(any) error, _ grpc.UnaryServerInterceptor) (any, error) {
	r := new(frame.AppendRequest)
	if err := dec(r); err != nil {
		return nil, err
	}
	t := srv.(*timeSeries)
	return unary(ctx, t.road, t.appendEvents, r, route.Target.TimeSeries, func(ctx context.Context, s *timeseries.Store, c *call, r *frame.AppendRequest) (*timeseriesv1.AppendEventsResponse, error) {
		if err := wire.Unreadable(r); err != nil {
			return nil, err
		}
		retry, err := retryID(ctx, r.Batch.IdempotencyKey)
		if err != nil {
			return nil, err
		}
		r.Batch.RetryID = retry
		if err := c.target.Take(c.start, requestsOf(len(r.Batch.Columns.Times))-1); err != nil { // the call itself was counted at the door
			return nil, err
		}
		in, err := incoming(&r.Batch, c.principal())
		if err != nil {
			return nil, err
		}
		in.Async = r.Async
		return appended(s.Append(ctx, in))
	})
}

// requestsOf is how many requests a batch counts for: one for each thousand
// events, or part of it.
func requestsOf(events int) int { return max(1, (events+999)/1000) }

// incoming hands the columns on as they are.
func incoming(b *frame.EventBatch, principal string) (*timeseries.Incoming, error) {
	if b.Scattered {
		return nil, prism.InvalidField("rows", "must have more names of dimensions and metrics in common: send fewer at once")
	}
	c := &b.Columns
	in := &timeseries.Incoming{Rows: b.Rows, Batch: timeseries.Batch{
		Times: c.Times, Types: timeseries.Coded(c.Types), Sources: timeseries.Coded(c.Sources),
		Payloads: timeseries.Blobs(c.Payloads), IDs: timeseries.Blobs(c.IDs),
		Dimensions: make([]timeseries.Dimension, len(c.Dimensions)), Metrics: make([]timeseries.Metric, len(c.Metrics)),
	}}
	for i := range c.Dimensions {
		in.Dimensions[i] = timeseries.Dimension{Name: c.Dimensions[i].Name, Values: timeseries.Coded(c.Dimensions[i].Values)}
	}
	for i := range c.Metrics {
		in.Metrics[i] = timeseries.Metric(c.Metrics[i])
	}
	return in, timeseries.Once(in, principal, b.IdempotencyKey, b.RetryID)
}

// appended is the answer for a batch.
func appended(a timeseries.Appended, err error) (*timeseriesv1.AppendEventsResponse, error) {
	if err != nil {
		return nil, err
	}
	resp := &timeseriesv1.AppendEventsResponse{Accepted: a.Accepted, Duplicates: a.Duplicates, Rejected: a.Rejected}
	for _, r := range a.Rejections {
		resp.Rejections = append(resp.Rejections, &timeseriesv1.RejectedEvent{Index: int32(r.Index), Error: itemError(r.Err)})
	}
	return resp, nil
}

func (t *timeSeries) QueryEvents(ctx context.Context, r *timeseriesv1.QueryEventsRequest) (*timeseriesv1.QueryEventsResponse, error) {
	return onSeries(ctx, t, t.queryEvents, r, func(ctx context.Context, s *timeseries.Store, c *call, r *timeseriesv1.QueryEventsRequest) (*timeseriesv1.QueryEventsResponse, error) {
		resp := &timeseriesv1.QueryEventsResponse{}
		q := timeseries.Query{Selection: selectionOf(r.Selection), Descending: r.Descending, Limit: int64(r.Limit), Cursor: r.Cursor}
		var err error
		resp.Cursor, err = s.Query(ctx, c.principal(), q, func(p timeseries.Part) { resp.Events = eventsTo(resp.Events, p) })
		return resp, err
	})
}

func selectionOf(s *timeseriesv1.Selection) timeseries.Selection {
	out := timeseries.Selection{Start: s.GetStartNs(), End: s.GetEndNs(), Types: s.GetEventTypes(), Sources: s.GetSources()}
	for _, d := range s.GetDimensions() {
		out.Dimensions = append(out.Dimensions, timeseries.FilterClause{Attribute: d.Dimension, Op: timeseries.FilterOp(d.Op), Values: d.Values})
	}
	return out
}

// eventsTo adds events as rows; they are the message's own.
func eventsTo(list []*timeseriesv1.Event, p timeseries.Part) []*timeseriesv1.Event {
	for i := p.From; i < p.To; i++ {
		e := &timeseriesv1.Event{TimeNs: p.Times[i], EventId: string(p.IDs.At(i))}
		e.EventType, _ = p.Types.At(i)
		e.Source, _ = p.Sources.At(i)
		if b := p.Payloads.At(i); len(b) > 0 {
			e.Payload = append([]byte(nil), b...)
		}
		for k := range p.Dimensions {
			if v, has := p.Dimensions[k].Values.At(i); has {
				if e.Dimensions == nil {
					e.Dimensions = make(map[string]string, len(p.Dimensions))
				}
				e.Dimensions[p.Dimensions[k].Name] = v
			}
		}
		for k := range p.Metrics {
			if v, has := p.Metrics[k].At(i); has {
				if e.Metrics == nil {
					e.Metrics = make(map[string]float64, len(p.Metrics))
				}
				e.Metrics[p.Metrics[k].Name] = v
			}
		}
		list = append(list, e)
	}
	return list
}

func (t *timeSeries) StreamQuery(r *timeseriesv1.StreamQueryRequest, st grpc.ServerStreamingServer[timeseriesv1.StreamQueryResponse]) error {
	c, err := t.road.enter(st.Context(), t.streamQuery, r.Namespace, r)
	if err != nil {
		return err
	}
	var position string // to resume from: one that this gateway gave
	err = t.stream(&c, r, following[timeseriesv1.StreamQueryRequest](&c, st), &position)
	return c.leaveStream(err, position)
}

// stream sends events until that was all; position is after what was sent.
func (t *timeSeries) stream(c *call, r *timeseriesv1.StreamQueryRequest, st grpc.ServerStreamingServer[timeseriesv1.StreamQueryResponse], position *string) error {
	s, err := c.target.TimeSeries()
	if err != nil {
		return err
	}
	if err := wire.Validate(r); err != nil {
		return err
	}
	ctx, cancel := c.live(st.Context())
	defer cancel()
	reader, err := s.Stream(ctx, c.principal(), timeseries.Query{Selection: selectionOf(r.Selection), Descending: r.Descending, Limit: r.Limit, Cursor: r.After})
	if err != nil {
		return why(ctx, err)
	}
	defer reader.Close()
	*position = reader.Position()
	out := newOutbox(c.road.Clock, st.Send)
	defer out.close()
	for {
		part, err := reader.Next(ctx)
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return why(ctx, err)
		}
		resp := &timeseriesv1.StreamQueryResponse{Events: eventsTo(make([]*timeseriesv1.Event, 0, part.Len()), part), Position: reader.Position()}
		if err := out.send(ctx, resp); err != nil {
			return why(ctx, err)
		}
		*position = resp.Position
	}
}

func (t *timeSeries) QueryAggregates(ctx context.Context, r *timeseriesv1.QueryAggregatesRequest) (*timeseriesv1.QueryAggregatesResponse, error) {
	return onSeries(ctx, t, t.queryAggregates, r, func(ctx context.Context, s *timeseries.Store, _ *call, r *timeseriesv1.QueryAggregatesRequest) (*timeseriesv1.QueryAggregatesResponse, error) {
		a, err := s.Aggregate(ctx, aggregatesOf(r))
		if err != nil {
			return nil, err
		}
		resp := &timeseriesv1.QueryAggregatesResponse{Source: a.Source, Rows: make([]*timeseriesv1.AggregateRow, len(a.Rows))}
		for i := range a.Rows {
			resp.Rows[i] = rowTo(&a.Rows[i])
		}
		if resp.SizeVT() > prism.MaxPageBytes {
			return nil, prism.InvalidField("bucket_ns", "must be longer: the answer would not fit into a message")
		}
		return resp, nil
	})
}

func aggregatesOf(r *timeseriesv1.QueryAggregatesRequest) timeseries.AggregateQuery {
	q := timeseries.AggregateQuery{Selection: selectionOf(r.Selection), Bucket: r.BucketNs, Fill: timeseries.Fill(r.Fill)}
	for _, g := range r.GroupBy {
		var key timeseries.GroupKey
		switch k := g.GetKey().(type) {
		case *timeseriesv1.GroupKey_EventType:
			if k.EventType {
				key.Kind = timeseries.GroupType
			}
		case *timeseriesv1.GroupKey_Source:
			if k.Source {
				key.Kind = timeseries.GroupSource
			}
		case *timeseriesv1.GroupKey_Dimension:
			key = timeseries.GroupKey{Kind: timeseries.GroupDimension, Name: k.Dimension}
		}
		q.Groups = append(q.Groups, key)
	}
	for _, a := range r.Aggregates {
		q.Values = append(q.Values, timeseries.Aggregate{
			Function: timeseries.AggregateFunction(a.GetFunction()), Metric: a.GetMetric(), Quantile: a.GetQuantile(),
		})
	}
	return q
}

func rowTo(r *timeseries.Row) *timeseriesv1.AggregateRow {
	row := &timeseriesv1.AggregateRow{
		BucketStartNs: r.Bucket, Filled: r.Filled,
		Group: make([]*timeseriesv1.GroupValue, len(r.Group)), Values: make([]*timeseriesv1.AggregateValue, len(r.Values)),
	}
	for i, g := range r.Group {
		row.Group[i] = &timeseriesv1.GroupValue{}
		if g.Valid {
			row.Group[i].Value = &g.Value
		}
	}
	for i, v := range r.Values {
		row.Values[i] = &timeseriesv1.AggregateValue{}
		if v.Valid {
			row.Values[i].Value = &v.Value
		}
	}
	return row
}

func (t *timeSeries) DescribeSeries(ctx context.Context, r *timeseriesv1.DescribeSeriesRequest) (*timeseriesv1.DescribeSeriesResponse, error) {
	return onSeries(ctx, t, t.describeSeries, r, func(ctx context.Context, s *timeseries.Store, _ *call, _ *timeseriesv1.DescribeSeriesRequest) (*timeseriesv1.DescribeSeriesResponse, error) {
		d, err := s.Describe(ctx)
		if err != nil {
			return nil, err
		}
		return &timeseriesv1.DescribeSeriesResponse{
			Events: d.Events, SizeBytes: d.Bytes, RetentionMs: d.Retention.Milliseconds(),
			Sent: d.Sent, Stored: d.Stored, Duplicates: d.Duplicates, Rejected: d.Rejected,
			Dropped: d.Dropped, Buffered: d.Buffered, LastDrop: d.LastDrop,
		}, nil
	})
}
