package client

import (
	"context"
	"errors"
	"io"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"

	"github.com/prism-data-layer/prism/pkg/prism"
	"github.com/prism-data-layer/prism/pkg/wire"
	"github.com/prism-data-layer/prism/pkg/wire/frame"
	timeseriesv1 "github.com/prism-data-layer/prism/proto/prism/timeseries/v1"
)

// TimeSeries is one namespace of events in time.
type TimeSeries struct {
	c  *Client
	ns string
}

// TimeSeries returns the namespace with that name; nothing is sent.
func (c *Client) TimeSeries(namespace string) *TimeSeries { return &TimeSeries{c, namespace} }

// A Measurement is an event in time.
type Measurement struct {
	Time       time.Time
	Type       string
	Source     string
	Dimensions map[string]string  // what it is about, to filter and group by
	Metrics    map[string]float64 // what was measured: finite numbers
	Payload    []byte
	// ID, if any, keeps an event from being stored twice within ten minutes.
	ID string
}

// Columns are many events in columns, which have as many entries as Times; they
// go to the store as they are. Codes are 1 plus the index in the dictionary, 0
// for none; without codes all events have the first string.
type Columns = frame.Columns

// The parts of Columns.
type (
	Coded           = frame.Coded
	DimensionColumn = frame.Dimension
	MetricColumn    = frame.Metric
	Blobs           = frame.Blobs
)

// addTo puts an event into columns.
func (m *Measurement) addTo(b *frame.Builder) {
	b.Event(m.Time.UnixNano())
	if m.Type != "" {
		b.Type(m.Type)
	}
	if m.Source != "" {
		b.Source(m.Source)
	}
	for name, value := range m.Dimensions {
		b.Dimension(name, value)
	}
	for name, value := range m.Metrics {
		b.Metric(name, value)
	}
	if len(m.Payload) > 0 {
		b.Payload(m.Payload)
	}
	if m.ID != "" {
		b.ID([]byte(m.ID))
	}
}

// Appended is what became of events that were sent: each was accepted, was a
// duplicate or was rejected.
type Appended struct {
	Accepted   int64
	Duplicates int64
	Rejected   int64
	Rejections []RejectedEvent // the first 100
}

// A RejectedEvent is why an event was refused.
type RejectedEvent struct {
	Index int // among those that were sent together
	Err   *prism.Error
}

func appendedOf(r *timeseriesv1.AppendEventsResponse) Appended {
	a := Appended{Accepted: r.GetAccepted(), Duplicates: r.GetDuplicates(), Rejected: r.GetRejected()}
	for _, x := range r.GetRejections() {
		a.Rejections = append(a.Rejections, RejectedEvent{Index: int(x.Index), Err: wire.FromItem(x.Error)})
	}
	return a
}

// Append stores events in one call; for throughput there is [TimeSeries.Appender].
// It is sent again when its outcome is not known, and still happens once.
func (t *TimeSeries) Append(ctx context.Context, events ...Measurement) (Appended, error) {
	var b frame.Builder
	for i := range events {
		events[i].addTo(&b)
	}
	columns, ok := b.Columns()
	if !ok {
		return Appended{}, errScattered()
	}
	return t.AppendColumns(ctx, &columns)
}

// AppendColumns is Append for events in columns.
func (t *TimeSeries) AppendColumns(ctx context.Context, columns *Columns) (Appended, error) {
	req := &timeseriesv1.AppendEventsRequest{Namespace: t.ns, Events: &timeseriesv1.AppendEventsRequest_Columns{Columns: columns.Proto()}}
	ctx = metadata.AppendToOutgoingContext(ctx, wire.RetryID, hexOf(t.c.ids.next()))
	var resp *timeseriesv1.AppendEventsResponse
	err := t.c.call(ctx, true, func(ctx context.Context) (err error) {
		resp, err = t.rpc().AppendEvents(ctx, req)
		return err
	})
	return appendedOf(resp), err
}

func errScattered() *prism.Error {
	return prism.InvalidField("events", "must have more names of dimensions and metrics in common: send fewer at once")
}

func (t *TimeSeries) rpc() timeseriesv1.TimeSeriesServiceClient {
	return timeseriesv1.NewTimeSeriesServiceClient(t.c.Conn())
}

// A DimensionFilter is a condition on a dimension.
type DimensionFilter struct {
	Dimension string
	Op        FilterOp
	Values    []string
}

// A TimeRange says which events are meant: from Start to before End, those for
// which every condition holds.
type TimeRange struct {
	Start, End time.Time
	Types      []string // any of them; none: all
	Sources    []string
	Dimensions []DimensionFilter
}

func (r *TimeRange) proto() *timeseriesv1.Selection {
	start, end := r.Start.UnixNano(), r.End.UnixNano()
	s := &timeseriesv1.Selection{StartNs: &start, EndNs: &end, EventTypes: r.Types, Sources: r.Sources}
	for _, d := range r.Dimensions {
		s.Dimensions = append(s.Dimensions, &timeseriesv1.DimensionFilter{Dimension: d.Dimension, Op: timeseriesv1.FilterOp(d.Op), Values: d.Values})
	}
	return s
}

// An EventsQuery asks for events in order of time.
type EventsQuery struct {
	TimeRange
	Descending bool
	Limit      int64  // of a page, or of all that a stream reads; 0: the gateway's default, or none
	Cursor     string // of a page before
	After      string // position of a stream before
	// Resumed is told each time a stream was lost and goes on, and why.
	Resumed func(position string, why *prism.Error)
}

// An EventsPage is part of an answer; an empty Cursor means that it was the last.
type EventsPage struct {
	Events []Measurement
	Cursor string
}

// Query returns one page.
func (t *TimeSeries) Query(ctx context.Context, q EventsQuery) (EventsPage, error) {
	req := &timeseriesv1.QueryEventsRequest{Namespace: t.ns, Selection: q.proto(), Descending: q.Descending, Limit: int32(min(q.Limit, prism.MaxPageItems)), Cursor: q.Cursor}
	var page EventsPage
	err := t.c.call(ctx, true, func(ctx context.Context) error {
		r, err := t.rpc().QueryEvents(ctx, req)
		page = EventsPage{Events: measurementsOf(r.GetEvents()), Cursor: r.GetCursor()}
		return err
	})
	return page, err
}

func measurementsOf(list []*timeseriesv1.Event) []Measurement {
	events := make([]Measurement, len(list))
	for i, e := range list {
		events[i] = Measurement{
			Time: time.Unix(0, e.TimeNs), Type: e.EventType, Source: e.Source, Dimensions: e.Dimensions, Metrics: e.Metrics, Payload: e.Payload, ID: e.EventId,
		}
	}
	return events
}

// An EventsReader reads all events of a query, over restarts and lost
// connections.
type EventsReader struct {
	*follower[timeseriesv1.StreamQueryResponse] // with Close
}

// StreamQuery begins to read.
func (t *TimeSeries) StreamQuery(ctx context.Context, q EventsQuery) *EventsReader {
	r := &EventsReader{}
	r.follower = follow(ctx, t.c, q.After, q.Resumed, func(ctx context.Context, conn *grpc.ClientConn, position string) (grpc.ServerStreamingClient[timeseriesv1.StreamQueryResponse], error) {
		return timeseriesv1.NewTimeSeriesServiceClient(conn).StreamQuery(ctx, &timeseriesv1.StreamQueryRequest{
			Namespace: t.ns, Selection: q.proto(), Descending: q.Descending, Limit: q.Limit, After: position,
		})
	})
	r.finite = true
	return r
}

// Position is where the reader stands, after what Next has returned.
func (r *EventsReader) Position() string { return r.position }

// Next returns some events; io.EOF is the end.
func (r *EventsReader) Next() ([]Measurement, error) {
	resp, err := r.next()
	if err != nil {
		return nil, err
	}
	r.position = resp.Position
	return measurementsOf(resp.Events), nil
}

// All reads everything that is left.
func (r *EventsReader) All() (all []Measurement, err error) {
	for {
		events, err := r.Next()
		if errors.Is(err, io.EOF) {
			return all, nil
		}
		if err != nil {
			return all, err
		}
		all = append(all, events...)
	}
}

// An AggregateFunction is how a figure is computed.
type AggregateFunction int

const (
	AggregateCount    = AggregateFunction(timeseriesv1.Function_FUNCTION_COUNT)
	AggregateSum      = AggregateFunction(timeseriesv1.Function_FUNCTION_SUM)
	AggregateAvg      = AggregateFunction(timeseriesv1.Function_FUNCTION_AVG)
	AggregateMin      = AggregateFunction(timeseriesv1.Function_FUNCTION_MIN)
	AggregateMax      = AggregateFunction(timeseriesv1.Function_FUNCTION_MAX)
	AggregateQuantile = AggregateFunction(timeseriesv1.Function_FUNCTION_QUANTILE)
)

// A Fill says what becomes of buckets without events.
type Fill int

const (
	FillNone     = Fill(timeseriesv1.Fill_FILL_UNSPECIFIED)
	FillEmpty    = Fill(timeseriesv1.Fill_FILL_EMPTY)
	FillZero     = Fill(timeseriesv1.Fill_FILL_ZERO)
	FillPrevious = Fill(timeseriesv1.Fill_FILL_PREVIOUS)
	FillLinear   = Fill(timeseriesv1.Fill_FILL_LINEAR)
)

// An Aggregate is one figure.
type Aggregate struct {
	Function AggregateFunction
	Metric   string  // empty for a count of events
	Quantile float64 // 0 to 1, of AggregateQuantile
}

// AggregateQuery asks for figures by bucket of time and group.
type AggregateQuery struct {
	TimeRange
	Bucket     time.Duration // 0: one for the whole range
	ByType     bool
	BySource   bool
	By         []string // dimensions
	Aggregates []Aggregate
	Fill       Fill
}

func (q *AggregateQuery) proto(ns string) *timeseriesv1.QueryAggregatesRequest {
	r := &timeseriesv1.QueryAggregatesRequest{Namespace: ns, Selection: q.TimeRange.proto(), BucketNs: int64(q.Bucket), Fill: timeseriesv1.Fill(q.Fill)}
	if q.ByType {
		r.GroupBy = append(r.GroupBy, &timeseriesv1.GroupKey{Key: &timeseriesv1.GroupKey_EventType{EventType: true}})
	}
	if q.BySource {
		r.GroupBy = append(r.GroupBy, &timeseriesv1.GroupKey{Key: &timeseriesv1.GroupKey_Source{Source: true}})
	}
	for _, name := range q.By {
		r.GroupBy = append(r.GroupBy, &timeseriesv1.GroupKey{Key: &timeseriesv1.GroupKey_Dimension{Dimension: name}})
	}
	for _, a := range q.Aggregates {
		r.Aggregates = append(r.Aggregates, &timeseriesv1.Aggregate{Function: timeseriesv1.Function(a.Function), Metric: a.Metric, Quantile: a.Quantile})
	}
	return r
}

// AggregateRow is the figures of one bucket and group.
type AggregateRow struct {
	Start  time.Time
	Group  []*string  // type, source and dimensions, as asked for; nil: none
	Values []*float64 // as Aggregates; nil: no event has the metric
	Filled bool       // made by Fill
}

// Aggregate computes figures, at most 50,000 rows, by bucket and then by group.
// It also tells what was read: "raw", or a rollup such as "1m".
func (t *TimeSeries) Aggregate(ctx context.Context, q AggregateQuery) (rows []AggregateRow, source string, err error) {
	req := q.proto(t.ns)
	err = t.c.call(ctx, true, func(ctx context.Context) error {
		r, err := t.rpc().QueryAggregates(ctx, req)
		rows, source = make([]AggregateRow, len(r.GetRows())), r.GetSource()
		for i, x := range r.GetRows() {
			rows[i] = AggregateRow{Start: time.Unix(0, x.BucketStartNs), Filled: x.Filled}
			for _, g := range x.Group {
				rows[i].Group = append(rows[i].Group, g.Value)
			}
			for _, v := range x.Values {
				rows[i].Values = append(rows[i].Values, v.Value)
			}
		}
		return err
	})
	return rows, source, err
}

// A SeriesInfo tells what a namespace holds and what became of what was sent to
// its gateway: Sent is Stored, Duplicates, Rejected, Dropped and Buffered.
type SeriesInfo struct {
	Events, Bytes int64
	Retention     time.Duration // 0: for ever

	Sent, Stored, Duplicates, Rejected, Dropped, Buffered int64

	LastDrop string
}

// Describe tells of the namespace.
func (t *TimeSeries) Describe(ctx context.Context) (info SeriesInfo, err error) {
	err = t.c.call(ctx, true, func(ctx context.Context) error {
		r, err := t.rpc().DescribeSeries(ctx, &timeseriesv1.DescribeSeriesRequest{Namespace: t.ns})
		info = SeriesInfo{
			Events: r.GetEvents(), Bytes: r.GetSizeBytes(), Retention: time.Duration(r.GetRetentionMs()) * time.Millisecond,
			Sent: r.GetSent(), Stored: r.GetStored(), Duplicates: r.GetDuplicates(), Rejected: r.GetRejected(),
			Dropped: r.GetDropped(), Buffered: r.GetBuffered(), LastDrop: r.GetLastDrop(),
		}
		return err
	})
	return info, err
}
