package clitest

import (
	"cmp"
	"context"
	"errors"
	"io"
	"math"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"google.golang.org/grpc"

	"github.com/prism-data-layer/prism/pkg/prism"
	"github.com/prism-data-layer/prism/pkg/wire"
	timeseriesv1 "github.com/prism-data-layer/prism/proto/prism/timeseries/v1"
)

// Series answers the time series API from memory, as far as commands go: events
// of the type "bad" are rejected, and buckets are filled with nothing or zeros.
type Series struct {
	timeseriesv1.UnimplementedTimeSeriesServiceServer

	// Cut, if set, ends streamed queries after so many events, once.
	Cut int

	mu     sync.Mutex
	now    time.Time
	events []*timeseriesv1.Event
	info   timeseriesv1.DescribeSeriesResponse
}

const seriesNamespace = "timeseries"

func (s *Series) reset(now time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.now, s.events, s.Cut = now, nil, 0
	s.info.Reset()
	for i := range 6 {
		e := &timeseriesv1.Event{
			TimeNs: now.Add(time.Duration(i-6) * 20 * time.Second).UnixNano(), EventType: "http_request", Source: "web-" + strconv.Itoa(i%2+1),
			Dimensions: map[string]string{"host": "web-" + strconv.Itoa(i%2+1), "route": "/cart"}, Metrics: map[string]float64{"ms": 12.5 * float64(i+1)},
		}
		s.put(e)
	}
}

// Clear removes all events.
func (s *Series) Clear() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.events = nil
	s.info.Reset()
}

// Put stores events without a call.
func (s *Series) Put(events ...*timeseriesv1.Event) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, e := range events {
		s.put(e)
	}
}

// Events are those that are stored, in order of time.
func (s *Series) Events() []*timeseriesv1.Event {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.events)
}

func (s *Series) put(e *timeseriesv1.Event) {
	at, _ := slices.BinarySearchFunc(s.events, e.TimeNs+1, func(e *timeseriesv1.Event, t int64) int { return cmp.Compare(e.TimeNs, t) })
	s.events = slices.Insert(s.events, at, e)
}

func (s *Series) find(namespace string) error {
	if namespace != seriesNamespace {
		return prism.NotFound("namespace", namespace)
	}
	return nil
}

// store takes events as one request.
func (s *Series) store(events []*timeseriesv1.Event) *timeseriesv1.AppendEventsResponse {
	s.mu.Lock()
	defer s.mu.Unlock()
	r := &timeseriesv1.AppendEventsResponse{}
	for i, e := range events {
		known := e.EventId != "" && slices.ContainsFunc(s.events, func(other *timeseriesv1.Event) bool { return other.EventId == e.EventId })
		switch {
		case e.EventType == "bad":
			r.Rejected++
			if len(r.Rejections) < 100 {
				r.Rejections = append(r.Rejections, &timeseriesv1.RejectedEvent{Index: int32(i), Error: wire.ToItem(prism.InvalidField("event_type", "must not be bad"))})
			}
		case known:
			r.Duplicates++
		default:
			r.Accepted++
			s.put(e)
		}
	}
	s.info.Sent += int64(len(events))
	s.info.Stored += r.Accepted
	s.info.Duplicates += r.Duplicates
	s.info.Rejected += r.Rejected
	return r
}

func (s *Series) AppendEvents(_ context.Context, r *timeseriesv1.AppendEventsRequest) (*timeseriesv1.AppendEventsResponse, error) {
	if err := s.find(r.Namespace); err != nil {
		return nil, err
	}
	if columns := r.GetColumns(); columns != nil {
		return s.store(rowsOf(columns)), nil
	}
	return s.store(r.GetRows().GetEvents()), nil
}

func (s *Series) StreamEvents(st grpc.BidiStreamingServer[timeseriesv1.StreamEventsRequest, timeseriesv1.StreamEventsResponse]) error {
	for {
		r, err := st.Recv()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		if open := r.GetOpen(); open != nil {
			if err := s.find(open.Namespace); err != nil {
				return failed(err)
			}
			continue
		}
		result := &timeseriesv1.BatchResult{Id: r.GetBatch().GetId(), Result: &timeseriesv1.BatchResult_Appended{Appended: s.store(rowsOf(r.GetBatch().GetColumns()))}}
		if err := st.Send(&timeseriesv1.StreamEventsResponse{Results: []*timeseriesv1.BatchResult{result}}); err != nil {
			return err
		}
	}
}

// rowsOf is columns as rows.
func rowsOf(c *timeseriesv1.EventColumns) []*timeseriesv1.Event {
	at := func(c *timeseriesv1.CodedColumn, i int) (string, bool) {
		switch {
		case len(c.GetDictionary()) == 0:
			return "", false
		case len(c.Codes) == 0:
			return c.Dictionary[0], true
		case c.Codes[i] == 0:
			return "", false
		}
		return c.Dictionary[c.Codes[i]-1], true
	}
	rows := make([]*timeseriesv1.Event, len(c.GetTimeNs()))
	payload, id := blobs(c.GetPayload()), blobs(c.GetEventId())
	for i := range rows {
		e := &timeseriesv1.Event{TimeNs: c.TimeNs[i], Dimensions: map[string]string{}, Metrics: map[string]float64{}, Payload: payload(i), EventId: string(id(i))}
		e.EventType, _ = at(c.EventType, i)
		e.Source, _ = at(c.Source, i)
		for _, d := range c.Dimensions {
			if v, ok := at(d.Values, i); ok {
				e.Dimensions[d.Name] = v
			}
		}
		for _, m := range c.Metrics {
			if len(m.Present) == 0 || m.Present[i/8]&(1<<(i%8)) != 0 {
				e.Metrics[m.Name] = m.Values[i]
			}
		}
		rows[i] = e
	}
	return rows
}

// blobs gives one after the other.
func blobs(c *timeseriesv1.BlobColumn) func(i int) []byte {
	rest := c.GetData()
	return func(i int) []byte {
		if i >= len(c.GetLengths()) {
			return nil
		}
		b := rest[:c.Lengths[i]]
		rest = rest[c.Lengths[i]:]
		return b
	}
}

// selected are the events that are meant, in order of time.
func (s *Series) selected(q *timeseriesv1.Selection) []*timeseriesv1.Event {
	s.mu.Lock()
	defer s.mu.Unlock()
	var list []*timeseriesv1.Event
	for _, e := range s.events {
		if e.TimeNs >= q.GetStartNs() && e.TimeNs < q.GetEndNs() && anyOf(q.EventTypes, e.EventType) && anyOf(q.Sources, e.Source) && allHold(q.Dimensions, e) {
			list = append(list, e)
		}
	}
	return list
}

func anyOf(list []string, s string) bool { return len(list) == 0 || slices.Contains(list, s) }

func allHold(filters []*timeseriesv1.DimensionFilter, e *timeseriesv1.Event) bool {
	return !slices.ContainsFunc(filters, func(f *timeseriesv1.DimensionFilter) bool {
		v, there := e.Dimensions[f.Dimension]
		switch f.Op {
		case timeseriesv1.FilterOp_FILTER_OP_IN:
			return !there || !slices.Contains(f.Values, v)
		case timeseriesv1.FilterOp_FILTER_OP_NOT_IN:
			return there && slices.Contains(f.Values, v)
		case timeseriesv1.FilterOp_FILTER_OP_PREFIX:
			return !there || !strings.HasPrefix(v, f.Values[0])
		case timeseriesv1.FilterOp_FILTER_OP_ABSENT:
			return there
		}
		return !there
	})
}

// StreamQuery answers two events a message. A position is how many were
// answered.
func (s *Series) StreamQuery(r *timeseriesv1.StreamQueryRequest, st grpc.ServerStreamingServer[timeseriesv1.StreamQueryResponse]) error {
	if err := s.find(r.Namespace); err != nil {
		return failed(err)
	}
	list := s.selected(r.Selection)
	if r.Descending {
		slices.Reverse(list)
	}
	if r.Limit > 0 {
		list = list[:min(len(list), int(r.Limit))]
	}
	from, _ := strconv.Atoi(r.After)
	s.mu.Lock()
	cut := s.Cut
	s.Cut = 0
	s.mu.Unlock()
	for at := from; at < len(list); at += 2 {
		if cut > 0 && at >= cut {
			return failed(prism.New(prism.ReasonUnavailable, "the gateway stops"))
		}
		end := min(at+2, len(list))
		if err := st.Send(&timeseriesv1.StreamQueryResponse{Events: list[at:end], Position: strconv.Itoa(end)}); err != nil {
			return err
		}
	}
	return nil
}

func (s *Series) DescribeSeries(_ context.Context, r *timeseriesv1.DescribeSeriesRequest) (*timeseriesv1.DescribeSeriesResponse, error) {
	if err := s.find(r.Namespace); err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return &timeseriesv1.DescribeSeriesResponse{
		Events: int64(len(s.events)), SizeBytes: 4096, Sent: s.info.Sent, Stored: s.info.Stored, Duplicates: s.info.Duplicates, Rejected: s.info.Rejected,
	}, nil
}

// QueryAggregates computes figures plainly.
func (s *Series) QueryAggregates(_ context.Context, r *timeseriesv1.QueryAggregatesRequest) (*timeseriesv1.QueryAggregatesResponse, error) {
	if err := s.find(r.Namespace); err != nil {
		return nil, err
	}
	type key struct {
		bucket int64
		group  string
	}
	members := map[key][]*timeseriesv1.Event{}
	var order []key
	for _, e := range s.selected(r.Selection) {
		k := key{bucket: r.Selection.GetStartNs()}
		if r.BucketNs > 0 {
			k.bucket = e.TimeNs - e.TimeNs%r.BucketNs
		}
		for _, g := range groupValues(r.GroupBy, e) {
			k.group += g.GetValue() + "\x00"
		}
		if members[k] == nil {
			order = append(order, k)
		}
		members[k] = append(members[k], e)
	}
	slices.SortFunc(order, func(a, b key) int { return cmp.Or(cmp.Compare(a.bucket, b.bucket), cmp.Compare(a.group, b.group)) })
	resp := &timeseriesv1.QueryAggregatesResponse{Source: "raw"}
	for _, k := range order {
		row := &timeseriesv1.AggregateRow{BucketStartNs: k.bucket, Group: groupValues(r.GroupBy, members[k][0])}
		for _, a := range r.Aggregates {
			row.Values = append(row.Values, &timeseriesv1.AggregateValue{Value: figureOf(a, members[k])})
		}
		resp.Rows = append(resp.Rows, row)
	}
	if r.Fill != timeseriesv1.Fill_FILL_UNSPECIFIED && len(r.GroupBy) == 0 {
		resp.Rows = filled(r, resp.Rows)
	}
	return resp, nil
}

func groupValues(keys []*timeseriesv1.GroupKey, e *timeseriesv1.Event) []*timeseriesv1.GroupValue {
	list := make([]*timeseriesv1.GroupValue, len(keys))
	for i, k := range keys {
		v, there := e.Dimensions[k.GetDimension()]
		switch {
		case k.GetEventType():
			v, there = e.EventType, true
		case k.GetSource():
			v, there = e.Source, e.Source != ""
		}
		list[i] = &timeseriesv1.GroupValue{}
		if there {
			list[i].Value = &v
		}
	}
	return list
}

func figureOf(a *timeseriesv1.Aggregate, events []*timeseriesv1.Event) *float64 {
	var values []float64
	sum := 0.0
	for _, e := range events {
		if v, ok := e.Metrics[a.Metric]; ok || a.Metric == "" {
			values, sum = append(values, v), sum+v
		}
	}
	n := float64(len(values))
	if a.Function == timeseriesv1.Function_FUNCTION_COUNT {
		return &n
	}
	if len(values) == 0 {
		return nil
	}
	slices.Sort(values)
	v := sum
	switch a.Function {
	case timeseriesv1.Function_FUNCTION_AVG:
		v = sum / n
	case timeseriesv1.Function_FUNCTION_MIN:
		v = values[0]
	case timeseriesv1.Function_FUNCTION_MAX:
		v = values[len(values)-1]
	case timeseriesv1.Function_FUNCTION_QUANTILE:
		v = values[int(min(math.Floor(a.Quantile*n), n-1))]
	}
	return &v
}

// filled has a row for each bucket of the range.
func filled(r *timeseriesv1.QueryAggregatesRequest, rows []*timeseriesv1.AggregateRow) []*timeseriesv1.AggregateRow {
	var all []*timeseriesv1.AggregateRow
	for t := r.Selection.GetStartNs() / r.BucketNs * r.BucketNs; t < r.Selection.GetEndNs(); t += r.BucketNs {
		if len(rows) > 0 && rows[0].BucketStartNs == t {
			all, rows = append(all, rows[0]), rows[1:]
			continue
		}
		row := &timeseriesv1.AggregateRow{BucketStartNs: t, Filled: true}
		for _, a := range r.Aggregates {
			v := &timeseriesv1.AggregateValue{}
			if a.Function == timeseriesv1.Function_FUNCTION_COUNT || r.Fill == timeseriesv1.Fill_FILL_ZERO {
				v.Value = new(float64)
			}
			row.Values = append(row.Values, v)
		}
		all = append(all, row)
	}
	return all
}
