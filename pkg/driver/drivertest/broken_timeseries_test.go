package drivertest_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prism-data-layer/prism/pkg/driver"
	"github.com/prism-data-layer/prism/pkg/prism"
)

// timelines keeps the time-series capabilities alone, after a change.
func timelines(change func(*driver.Set)) func(driver.Set) driver.Set {
	return func(s driver.Set) driver.Set {
		change(&s)
		return only(s, "timeseries_basic", "timeseries_aggregation", "timeseries_retention")
	}
}

// timeseriesDefects are ways in which time series are wrong. Most would be seen
// by many promises; asked is the one that is made for them.
var timeseriesDefects = []defect{
	{name: "a batch loses its last event", wide: true, finds: []string{
		"events are read in order of time", "a batch may hold 131,072 events",
	}, wrap: timelines(func(s *driver.Set) { s.TimeSeries = &spoilsBatch{s.TimeSeries, dropsLast} })},
	{name: "times are milliseconds", wide: true, finds: []string{
		"times are exact, from 0 to the last", "a range of events includes its start and not its end",
	}, wrap: timelines(func(s *driver.Set) {
		s.TimeSeries = &spoilsBatch{s.TimeSeries, func(b *driver.EventBatch) {
			for i := range b.Times {
				b.Times[i] -= b.Times[i] % 1_000_000
			}
		}}
	})},
	{name: "metrics are of 32 bits", wide: true, finds: []string{
		"metrics are exact, to the sign of zero and the smallest number",
	}, wrap: timelines(func(s *driver.Set) {
		s.TimeSeries = &spoilsBatch{s.TimeSeries, func(b *driver.EventBatch) {
			for i := range b.Metrics {
				for j, v := range b.Metrics[i].Values {
					b.Metrics[i].Values[j] = float64(float32(v))
				}
			}
		}}
	})},
	{name: "zero has no sign", finds: []string{
		"metrics are exact, to the sign of zero and the smallest number",
	}, wrap: timelines(func(s *driver.Set) {
		s.TimeSeries = &spoilsBatch{s.TimeSeries, func(b *driver.EventBatch) {
			for i := range b.Metrics {
				for j := range b.Metrics[i].Values {
					b.Metrics[i].Values[j] += 0
				}
			}
		}}
	})},
	{name: "an empty value is none", wide: true, finds: []string{
		"a dimension without a value is not one with an empty value",
		"events with a dimension in, not in, beginning with, there or absent",
		"figures by type, source and dimension, also where there is none",
	}, wrap: timelines(func(s *driver.Set) { s.TimeSeries = &spoilsBatch{s.TimeSeries, forgetsEmpty} })},
	{name: "a metric that is absent is 0", wide: true, finds: []string{
		"an event without a kind of value has none among those that have",
	}, wrap: timelines(func(s *driver.Set) {
		s.TimeSeries = &spoilsBatch{s.TimeSeries, func(b *driver.EventBatch) {
			for i := range b.Metrics {
				for j := range b.Times {
					if _, ok := b.Metrics[i].At(j); !ok {
						b.Metrics[i].Values[j] = 0
					}
				}
				b.Metrics[i].Present = nil
			}
		}}
	})},
	{name: "names end at a NUL", finds: []string{
		"conditions compare bytes and mean nothing else",
		"groups and metrics may have any names",
		"what an event says may be any bytes",
	}, wrap: timelines(func(s *driver.Set) { s.TimeSeries = &spoilsBatch{s.TimeSeries, endsAtNUL} })},
	{name: "an append of events ignores receipts", finds: []string{
		"a receipt appends a batch once",
	}, wide: true, wrap: timelines(func(s *driver.Set) {
		s.TimeSeries = receiptsOf{s.TimeSeries, func(driver.Receipt) driver.Receipt { return driver.Receipt{} }}
	})},
	{name: "a receipt of a batch forgets its body", finds: []string{
		"a receipt of another batch is KEY_REUSED and appends nothing",
	}, wrap: timelines(func(s *driver.Set) {
		s.TimeSeries = receiptsOf{s.TimeSeries, func(r driver.Receipt) driver.Receipt { r.Body = [16]byte{}; return r }}
	})},
	{name: "ids are looked for in the batch only", wide: true, finds: []string{
		"an id is stored once over batches", "an id may come again when its window is over", "one id that comes at once from many is stored once",
	}, wrap: timelines(func(s *driver.Set) { s.TimeSeries = &idsOf{TimeSeries: s.TimeSeries} })},
	{name: "a range includes its end", wide: true, finds: []string{
		"a range of events includes its start and not its end",
	}, wrap: timelines(func(s *driver.Set) {
		s.TimeSeries = queries{s.TimeSeries, func(q *driver.EventQuery) { q.End++ }, nil}
	})},
	{name: "filters are not looked at", finds: []string{
		"a dimension without a value is not one with an empty value",
		"a query goes on after the position of a page",
		"all conditions of a selection must hold",
		"conditions compare bytes and mean nothing else",
		"events with a dimension in, not in, beginning with, there or absent",
	}, wrap: timelines(func(s *driver.Set) {
		s.TimeSeries = queries{s.TimeSeries, func(q *driver.EventQuery) { q.Dimensions = nil }, nil}
	})},
	{name: "the last type does not count", finds: []string{
		"types and sources select any of those that are named",
		"all conditions of a selection must hold",
		"conditions compare bytes and mean nothing else",
	}, wrap: timelines(func(s *driver.Set) {
		s.TimeSeries = queries{s.TimeSeries, func(q *driver.EventQuery) {
			if len(q.Types) > 1 {
				q.Types = q.Types[:len(q.Types)-1]
			}
		}, nil}
	})},
	{name: "descending is ascending", finds: []string{
		"a limit holds for all pages of events together",
		"a query goes on after the position of a page",
		"the descending order is the order reversed",
	}, wrap: timelines(func(s *driver.Set) {
		s.TimeSeries = queries{s.TimeSeries, func(q *driver.EventQuery) { q.Descending = false }, nil}
	})},
	{name: "a limit is of each page", finds: []string{
		"a limit holds for all pages of events together",
	}, wrap: timelines(func(s *driver.Set) {
		s.TimeSeries = queries{s.TimeSeries, func(q *driver.EventQuery) {
			if q.Limit > 0 {
				q.Page, q.Limit = min(q.Page, int(q.Limit)), 0
			}
		}, nil}
	})},
	{name: "a position is a time", finds: []string{
		"a query goes on after the position of a page",
		"events of one time have one order",
		"who goes on sees what was added ahead of him, and nothing twice",
	}, wrap: timelines(func(s *driver.Set) {
		s.TimeSeries = queries{s.TimeSeries, nil, func(p *driver.EventPage) {
			if len(p.Position) > 8 {
				for i := 8; i < len(p.Position); i++ {
					p.Position[i] = 0xff
				}
			}
		}}
	})},
	{name: "buckets begin where the range does", wide: true, finds: []string{
		"buckets begin at multiples of their length since 1970",
	}, wrap: timelines(func(s *driver.Set) { s.TimeSeriesAggregation = movesBuckets{s.TimeSeriesAggregation} })},
	{name: "a quantile is between two values", wide: true, finds: []string{
		"a quantile is one of the values, also of one and of many",
	}, wrap: timelines(func(s *driver.Set) {
		s.TimeSeriesAggregation = figuresOf{s.TimeSeriesAggregation, func(a driver.Aggregate, v *driver.OptionalFloat) {
			if a.Function == driver.AggregateQuantile && a.Quantile > 0 && a.Quantile < 1 {
				v.Value += 0.5
			}
		}}
	})},
	{name: "a count that is 0 is missing", finds: []string{
		"a metric that no event has is no figure, and its count is 0",
	}, wide: true, wrap: timelines(func(s *driver.Set) {
		s.TimeSeriesAggregation = figuresOf{s.TimeSeriesAggregation, func(_ driver.Aggregate, v *driver.OptionalFloat) { v.Valid = v.Value != 0 }}
	})},
	{name: "there may be any number of rows", finds: []string{
		"more rows than were asked for are refused",
	}, wrap: timelines(func(s *driver.Set) { s.TimeSeriesAggregation = anyRows{s.TimeSeriesAggregation} })},
	{name: "who has no value of a dimension is in no group", finds: []string{
		"figures by type, source and dimension, also where there is none",
		"groups and metrics may have any names",
	}, wrap: timelines(func(s *driver.Set) { s.TimeSeriesAggregation = leavesOutNone{s.TimeSeriesAggregation} })},
	{name: "retention does nothing", finds: []string{
		"events are kept for ever unless it is said otherwise",
		"events whose retention is over go, and no others",
		"retention can be changed and ended",
		"retention holds for what is appended later, and grows old",
		"retention is of one namespace",
	}, wrap: timelines(func(s *driver.Set) { s.TimeSeriesRetention = retains{s.TimeSeriesRetention, nil} })},
	{name: "retention takes what is half as old", wide: true, finds: []string{
		"events whose retention is over go, and no others",
	}, wrap: timelines(func(s *driver.Set) {
		s.TimeSeriesRetention = retains{s.TimeSeriesRetention, func(d time.Duration) time.Duration { return d / 2 }}
	})},
	{name: "Drop leaves events", finds: []string{
		"Drop removes events, ids and receipts, and of no other namespace",
		"names of namespaces are never part of a query",
	}, wrap: timelines(func(s *driver.Set) { s.Store = deafDrop{s.Store} })},
	{name: "events are handed out in one memory", wide: true, finds: []string{
		"a batch belongs to whoever has it",
	}, wrap: timelines(func(s *driver.Set) {
		s.TimeSeries = &handsOutAgain{TimeSeries: s.TimeSeries, pages: map[string]driver.EventBatch{}}
	})},
}

// spoilsBatch changes what is appended.
type spoilsBatch struct {
	driver.TimeSeries
	spoil func(*driver.EventBatch)
}

func (d *spoilsBatch) AppendEvents(ctx context.Context, ns prism.Namespace, b *driver.EventBatch, r driver.Receipt) (driver.AppendResult, error) {
	c := *b
	c.Times = slices.Clone(c.Times)
	c.Dimensions, c.Metrics = slices.Clone(c.Dimensions), slices.Clone(c.Metrics)
	for i := range c.Metrics {
		c.Metrics[i].Values = slices.Clone(c.Metrics[i].Values)
	}
	for i := range c.Dimensions {
		c.Dimensions[i].Values.Codes = slices.Clone(c.Dimensions[i].Values.Codes)
		c.Dimensions[i].Values.Dictionary = slices.Clone(c.Dimensions[i].Values.Dictionary)
	}
	d.spoil(&c)
	res, err := d.TimeSeries.AppendEvents(ctx, ns, &c, r)
	res.Stored += int64(b.Len() - c.Len())
	return res, err
}

func dropsLast(b *driver.EventBatch) {
	if n := b.Len(); n > 1 {
		b.Times = b.Times[:n-1]
	}
}

func forgetsEmpty(b *driver.EventBatch) {
	for i := range b.Dimensions {
		v := &b.Dimensions[i].Values
		if v.Codes == nil {
			v.Codes = slices.Repeat([]uint32{min(1, uint32(len(v.Dictionary)))}, b.Len())
		}
		for j := range v.Codes {
			if s, ok := v.At(j); ok && s == "" {
				v.Codes[j] = 0
			}
		}
	}
}

func endsAtNUL(b *driver.EventBatch) {
	for i := range b.Dimensions {
		for j, s := range b.Dimensions[i].Values.Dictionary {
			b.Dimensions[i].Values.Dictionary[j], _, _ = strings.Cut(s, "\x00")
		}
	}
}

type receiptsOf struct {
	driver.TimeSeries
	change func(driver.Receipt) driver.Receipt
}

func (d receiptsOf) AppendEvents(ctx context.Context, ns prism.Namespace, b *driver.EventBatch, r driver.Receipt) (driver.AppendResult, error) {
	return d.TimeSeries.AppendEvents(ctx, ns, b, d.change(r))
}

// idsOf gives every batch ids of its own.
type idsOf struct {
	driver.TimeSeries
	calls atomic.Int64
}

func (d *idsOf) AppendEvents(ctx context.Context, ns prism.Namespace, b *driver.EventBatch, r driver.Receipt) (driver.AppendResult, error) {
	c := *b
	c.IDs = driver.Blobs{}
	call := fmt.Sprint("/", d.calls.Add(1))
	for i := range b.Times {
		if id := b.IDs.At(i); len(id) > 0 {
			c.IDs.Data = append(append(c.IDs.Data, id...), call...)
		}
		c.IDs.Ends = append(c.IDs.Ends, uint32(len(c.IDs.Data)))
	}
	return d.TimeSeries.AppendEvents(ctx, ns, &c, r)
}

// queries changes what is asked and what is answered.
type queries struct {
	driver.TimeSeries
	ask    func(*driver.EventQuery)
	answer func(*driver.EventPage)
}

func (d queries) QueryEvents(ctx context.Context, ns prism.Namespace, q driver.EventQuery) (driver.EventReader, error) {
	if d.ask != nil {
		d.ask(&q)
	}
	r, err := d.TimeSeries.QueryEvents(ctx, ns, q)
	if err != nil || d.answer == nil {
		return r, err
	}
	return pagesOf{r, d.answer}, nil
}

type pagesOf struct {
	driver.EventReader
	answer func(*driver.EventPage)
}

func (d pagesOf) Page(ctx context.Context) (driver.EventPage, error) {
	p, err := d.EventReader.Page(ctx)
	d.answer(&p)
	return p, err
}

type movesBuckets struct{ driver.TimeSeriesAggregation }

func (d movesBuckets) AggregateEvents(ctx context.Context, ns prism.Namespace, q driver.AggregateQuery) (driver.Aggregates, error) {
	a, err := d.TimeSeriesAggregation.AggregateEvents(ctx, ns, q)
	for i := range a.Rows {
		a.Rows[i].Bucket = max(a.Rows[i].Bucket, q.Start)
	}
	return a, err
}

type figuresOf struct {
	driver.TimeSeriesAggregation
	change func(driver.Aggregate, *driver.OptionalFloat)
}

func (d figuresOf) AggregateEvents(ctx context.Context, ns prism.Namespace, q driver.AggregateQuery) (driver.Aggregates, error) {
	a, err := d.TimeSeriesAggregation.AggregateEvents(ctx, ns, q)
	for i := range a.Rows {
		for j := range a.Rows[i].Values {
			d.change(q.Values[j], &a.Rows[i].Values[j])
		}
	}
	return a, err
}

type anyRows struct{ driver.TimeSeriesAggregation }

func (d anyRows) AggregateEvents(ctx context.Context, ns prism.Namespace, q driver.AggregateQuery) (driver.Aggregates, error) {
	q.Max = 1 << 30
	return d.TimeSeriesAggregation.AggregateEvents(ctx, ns, q)
}

type leavesOutNone struct{ driver.TimeSeriesAggregation }

func (d leavesOutNone) AggregateEvents(ctx context.Context, ns prism.Namespace, q driver.AggregateQuery) (driver.Aggregates, error) {
	a, err := d.TimeSeriesAggregation.AggregateEvents(ctx, ns, q)
	a.Rows = slices.DeleteFunc(a.Rows, func(r driver.AggregateRow) bool {
		return slices.ContainsFunc(r.Group, func(g driver.OptionalText) bool { return !g.Valid })
	})
	return a, err
}

type retains struct {
	driver.TimeSeriesRetention
	age func(time.Duration) time.Duration
}

func (d retains) RetainEvents(ctx context.Context, ns prism.Namespace, age time.Duration) error {
	if d.age == nil {
		return nil
	}
	return d.TimeSeriesRetention.RetainEvents(ctx, ns, d.age(age))
}

// handsOutAgain gives the same memory to all who read the same.
type handsOutAgain struct {
	driver.TimeSeries
	mu    sync.Mutex
	pages map[string]driver.EventBatch
}

func (d *handsOutAgain) QueryEvents(ctx context.Context, ns prism.Namespace, q driver.EventQuery) (driver.EventReader, error) {
	r, err := d.TimeSeries.QueryEvents(ctx, ns, q)
	if err != nil {
		return r, err
	}
	return pagesOf{r, func(p *driver.EventPage) {
		d.mu.Lock()
		defer d.mu.Unlock()
		at := string(ns) + string(p.Position)
		if first, ok := d.pages[at]; ok && p.Events.Len() > 0 {
			p.Events = first
		}
		d.pages[at] = p.Events
	}}, nil
}

// seriesAt keeps events elsewhere than it is told.
type seriesAt struct {
	driver.TimeSeries
	at whereabouts
}

func (d seriesAt) AppendEvents(ctx context.Context, ns prism.Namespace, b *driver.EventBatch, r driver.Receipt) (driver.AppendResult, error) {
	return d.TimeSeries.AppendEvents(ctx, d.at(ns), b, r)
}

func (d seriesAt) QueryEvents(ctx context.Context, ns prism.Namespace, q driver.EventQuery) (driver.EventReader, error) {
	return d.TimeSeries.QueryEvents(ctx, d.at(ns), q)
}
