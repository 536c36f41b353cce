package wire

import (
	"context"
	"encoding/binary"

	"google.golang.org/grpc"

	"github.com/prism-data-layer/prism/pkg/driver"
	"github.com/prism-data-layer/prism/pkg/prism"
	pwire "github.com/prism-data-layer/prism/pkg/wire"
	timeseriesv1 "github.com/prism-data-layer/prism/proto/prism/timeseries/v1"
)

// A SeriesStub is the time-series capabilities over the generated client. Batches
// of an odd length go as rows, others as columns. A page is a call of
// QueryEvents; as the last one has no cursor, a position is a cursor and how many
// events after it were seen. Retention is the operator's there.
type SeriesStub struct {
	c timeseriesv1.TimeSeriesServiceClient
	*seen[driver.AppendResult]
	bounds
}

// NewSeriesStub calls over conn; bound may be nil.
func NewSeriesStub(conn grpc.ClientConnInterface, bound Bound) *SeriesStub {
	return &SeriesStub{
		c: timeseriesv1.NewTimeSeriesServiceClient(conn), bounds: bounds{set: bound},
		seen: newSeen(func(a, b driver.AppendResult) bool { return a == b }),
	}
}

// rowsMost is up to which length batches go as rows.
const rowsMost = 5000

// AppendEvents calls AppendEvents.
func (s *SeriesStub) AppendEvents(ctx context.Context, ns prism.Namespace, batch *driver.EventBatch, r driver.Receipt) (driver.AppendResult, error) {
	if err := s.reach(ctx, ns, r); err != nil {
		return driver.AppendResult{}, err
	}
	req := &timeseriesv1.AppendEventsRequest{Namespace: string(ns), IdempotencyKey: keyOf(r)}
	if n := batch.Len(); n%2 == 1 && n < rowsMost {
		req.Events = &timeseriesv1.AppendEventsRequest_Rows{Rows: rowsTo(batch)}
	} else {
		req.Events = &timeseriesv1.AppendEventsRequest_Columns{Columns: columnsTo(batch)}
	}
	a, err := s.c.AppendEvents(ctx, req)
	if err != nil {
		return driver.AppendResult{}, failed(err)
	}
	if len(a.Rejections) > 0 {
		return driver.AppendResult{}, pwire.FromItem(a.Rejections[0].Error)
	}
	res := driver.AppendResult{Stored: a.Accepted, Duplicates: a.Duplicates}
	res.Replayed = s.again(ns, r, res)
	return res, nil
}

func columnsTo(b *driver.EventBatch) *timeseriesv1.EventColumns {
	coded := func(c driver.Coded) *timeseriesv1.CodedColumn {
		return &timeseriesv1.CodedColumn{Dictionary: c.Dictionary, Codes: c.Codes}
	}
	blobs := func(b driver.Blobs) *timeseriesv1.BlobColumn {
		out, from := &timeseriesv1.BlobColumn{Data: b.Data}, uint32(0)
		for _, end := range b.Ends {
			out.Lengths, from = append(out.Lengths, end-from), end
		}
		return out
	}
	c := &timeseriesv1.EventColumns{
		TimeNs: b.Times, EventType: coded(b.Types), Source: coded(b.Sources), Payload: blobs(b.Payloads), EventId: blobs(b.IDs),
	}
	for _, d := range b.Dimensions {
		c.Dimensions = append(c.Dimensions, &timeseriesv1.DimensionColumn{Name: d.Name, Values: coded(d.Values)})
	}
	for _, m := range b.Metrics {
		c.Metrics = append(c.Metrics, &timeseriesv1.MetricColumn{Name: m.Name, Values: m.Values, Present: m.Present})
	}
	return c
}

func rowsTo(b *driver.EventBatch) *timeseriesv1.EventRows {
	rows := &timeseriesv1.EventRows{}
	for i := range b.Times {
		e := &timeseriesv1.Event{
			TimeNs: b.Times[i], Payload: b.Payloads.At(i), EventId: string(b.IDs.At(i)),
			Dimensions: map[string]string{}, Metrics: map[string]float64{},
		}
		e.EventType, _ = b.Types.At(i)
		e.Source, _ = b.Sources.At(i)
		for k := range b.Dimensions {
			if v, has := b.Dimensions[k].Values.At(i); has {
				e.Dimensions[b.Dimensions[k].Name] = v
			}
		}
		for k := range b.Metrics {
			if v, has := b.Metrics[k].At(i); has {
				e.Metrics[b.Metrics[k].Name] = v
			}
		}
		rows.Events = append(rows.Events, e)
	}
	return rows
}

// QueryEvents asks for the first page, so that a refusal comes at once.
func (s *SeriesStub) QueryEvents(ctx context.Context, ns prism.Namespace, q driver.EventQuery) (driver.EventReader, error) {
	r := &seriesReader{s: s, ns: ns, q: q, left: q.Limit}
	if len(q.After) > 0 {
		r.skip, r.cursor = int(binary.BigEndian.Uint32(q.After)), string(q.After[4:])
	}
	var err error
	r.next, err = r.page(ctx)
	return r, err
}

type seriesReader struct {
	s      *SeriesStub
	ns     prism.Namespace
	q      driver.EventQuery
	cursor string
	skip   int // events after the cursor that were seen
	left   int64
	over   bool
	next   *driver.EventPage
}

func (r *seriesReader) Close() error { return nil }

func (r *seriesReader) Page(ctx context.Context) (driver.EventPage, error) {
	if next := r.next; next != nil {
		r.next = nil
		return *next, nil
	}
	p, err := r.page(ctx)
	if err != nil {
		return driver.EventPage{}, err
	}
	return *p, nil
}

func (r *seriesReader) page(ctx context.Context) (*driver.EventPage, error) {
	if r.over {
		return &driver.EventPage{}, nil
	}
	limit := r.q.Page
	if r.q.Limit > 0 {
		limit = int(min(int64(limit), r.left))
	}
	a, err := r.s.c.QueryEvents(ctx, &timeseriesv1.QueryEventsRequest{
		Namespace: string(r.ns), Selection: selectionTo(r.q.Selection), Descending: r.q.Descending, Limit: int32(limit + r.skip), Cursor: r.cursor,
	})
	if err != nil {
		return nil, failed(err)
	}
	events := a.Events[min(r.skip, len(a.Events)):]
	if r.cursor != "" || a.Cursor != "" {
		r.skip += len(events)
	} else {
		r.skip = len(a.Events)
	}
	if a.Cursor != "" {
		r.cursor, r.skip = a.Cursor, 0
	}
	r.left -= int64(len(events))
	r.over = a.Cursor == "" || r.q.Limit > 0 && r.left == 0
	position := append(binary.BigEndian.AppendUint32(nil, uint32(r.skip)), r.cursor...)
	return &driver.EventPage{Events: *batchOf(events), Position: position}, nil
}

func selectionTo(s driver.Selection) *timeseriesv1.Selection {
	out := &timeseriesv1.Selection{StartNs: &s.Start, EndNs: &s.End, EventTypes: s.Types, Sources: s.Sources}
	for _, c := range s.Dimensions {
		out.Dimensions = append(out.Dimensions, &timeseriesv1.DimensionFilter{Dimension: c.Attribute, Op: timeseriesv1.FilterOp(c.Op), Values: c.Values})
	}
	return out
}

// batchOf puts rows into columns, the plainest way.
func batchOf(events []*timeseriesv1.Event) *driver.EventBatch {
	n := len(events)
	b := &driver.EventBatch{Types: driver.Coded{Codes: make([]uint32, n)}, Sources: driver.Coded{Codes: make([]uint32, n)}}
	put := func(c *driver.Coded, i int, s string) {
		c.Dictionary = append(c.Dictionary, s)
		c.Codes[i] = uint32(len(c.Dictionary))
	}
	dimensions, metrics := map[string]int{}, map[string]int{}
	for i, e := range events {
		b.Times = append(b.Times, e.TimeNs)
		put(&b.Types, i, e.EventType)
		if e.Source != "" {
			put(&b.Sources, i, e.Source)
		}
		for name, v := range e.Dimensions {
			if _, there := dimensions[name]; !there {
				dimensions[name] = len(b.Dimensions)
				b.Dimensions = append(b.Dimensions, driver.Dimension{Name: name, Values: driver.Coded{Codes: make([]uint32, n)}})
			}
			put(&b.Dimensions[dimensions[name]].Values, i, v)
		}
		for name, v := range e.Metrics {
			if _, there := metrics[name]; !there {
				metrics[name] = len(b.Metrics)
				b.Metrics = append(b.Metrics, driver.Metric{Name: name, Values: make([]float64, n), Present: make([]byte, (n+7)/8)})
			}
			m := &b.Metrics[metrics[name]]
			m.Values[i] = v
			m.Present[i>>3] |= 1 << (i & 7)
		}
		b.Payloads.Data = append(b.Payloads.Data, e.Payload...)
		b.Payloads.Ends = append(b.Payloads.Ends, uint32(len(b.Payloads.Data)))
		b.IDs.Data = append(b.IDs.Data, e.EventId...)
		b.IDs.Ends = append(b.IDs.Ends, uint32(len(b.IDs.Data)))
	}
	return b
}

// AggregateEvents calls QueryAggregates.
func (s *SeriesStub) AggregateEvents(ctx context.Context, ns prism.Namespace, q driver.AggregateQuery) (driver.Aggregates, error) {
	req := &timeseriesv1.QueryAggregatesRequest{Namespace: string(ns), Selection: selectionTo(q.Selection), BucketNs: q.Bucket}
	for _, g := range q.Groups {
		key := &timeseriesv1.GroupKey{Key: &timeseriesv1.GroupKey_Dimension{Dimension: g.Name}}
		switch g.Kind {
		case driver.GroupType:
			key.Key = &timeseriesv1.GroupKey_EventType{EventType: true}
		case driver.GroupSource:
			key.Key = &timeseriesv1.GroupKey_Source{Source: true}
		}
		req.GroupBy = append(req.GroupBy, key)
	}
	for _, v := range q.Values {
		req.Aggregates = append(req.Aggregates, &timeseriesv1.Aggregate{Function: timeseriesv1.Function(v.Function), Metric: v.Metric, Quantile: v.Quantile})
	}
	a, err := s.c.QueryAggregates(ctx, req)
	if err != nil {
		return driver.Aggregates{}, failed(err)
	}
	out := driver.Aggregates{Source: a.Source}
	for _, r := range a.Rows {
		row := driver.AggregateRow{Bucket: r.BucketStartNs}
		for _, g := range r.Group {
			row.Group = append(row.Group, driver.OptionalText{Value: g.GetValue(), Valid: g.Value != nil})
		}
		for _, v := range r.Values {
			row.Values = append(row.Values, driver.OptionalFloat{Value: v.GetValue(), Valid: v.Value != nil})
		}
		out.Rows = append(out.Rows, row)
	}
	return out, nil
}
