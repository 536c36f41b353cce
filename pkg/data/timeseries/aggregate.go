package timeseries

import (
	"cmp"
	"context"
	"fmt"
	"slices"

	"github.com/prism-data-layer/prism/pkg/driver"
	"github.com/prism-data-layer/prism/pkg/prism"
)

// A Fill says what becomes of buckets without events.
type Fill uint8

const (
	FillNone     Fill = iota // they are left out
	FillEmpty                // they have no values; counts are 0
	FillZero                 // their values are 0
	FillPrevious             // they have the values before them
	FillLinear               // they lie between the values beside them, by time
)

// An AggregateQuery asks for figures by bucket and group.
type AggregateQuery struct {
	Selection
	Bucket int64 // nanoseconds; 0: one for the whole range
	Groups []GroupKey
	Values []Aggregate
	Fill   Fill
}

// Aggregates is the answer: rows by bucket, then by group.
type Aggregates struct {
	Rows   []Row
	Source string
}

// A Row is the figures of one bucket and group.
type Row struct {
	AggregateRow
	Filled bool // made by fill
}

// Aggregate answers figures.
func (s *Store) Aggregate(ctx context.Context, q AggregateQuery) (Aggregates, error) {
	if s.set.TimeSeriesAggregation == nil {
		return Aggregates{}, s.missing("timeseries_aggregation")
	}
	if err := checkAggregates(&q); err != nil {
		return Aggregates{}, err
	}
	asked := q.Start
	seen, some := s.seen(q.Selection)
	q.Selection = seen
	filling := q.Fill != FillNone && q.Bucket > 0
	if !some {
		return Aggregates{Source: "raw"}, nil
	}
	if filling && q.buckets() > prism.MaxAggregateRows {
		return Aggregates{}, tooMany()
	}
	a, err := s.set.TimeSeriesAggregation.AggregateEvents(ctx, s.ns, driver.AggregateQuery{
		Selection: q.Selection, Bucket: q.Bucket, Groups: q.Groups, Values: q.Values, Max: prism.MaxAggregateRows,
	})
	if err != nil {
		return Aggregates{}, err
	}
	rows := ordered(a.Rows)
	if q.Bucket == 0 { // retention may have moved it
		for i := range rows {
			rows[i].Bucket = asked
		}
	}
	if filling {
		rows, err = fill(&q, rows)
	}
	return Aggregates{Rows: rows, Source: a.Source}, err
}

// ordered puts rows in order.
func ordered(list []AggregateRow) []Row {
	rows := make([]Row, len(list))
	for i := range list {
		rows[i].AggregateRow = list[i]
	}
	slices.SortFunc(rows, func(x, y Row) int { return cmp.Or(cmp.Compare(x.Bucket, y.Bucket), compareGroups(x.Group, y.Group)) })
	return rows
}

func tooMany() error {
	return prism.InvalidField("bucket_ns", fmt.Sprintf("must be longer: there would be more than %d rows", prism.MaxAggregateRows))
}

// compareGroups orders groups by their values; none comes before all.
func compareGroups(a, b []driver.OptionalText) int {
	return slices.CompareFunc(a, b, func(x, y driver.OptionalText) int {
		switch {
		case x.Valid == y.Valid:
			return cmp.Compare(x.Value, y.Value)
		case y.Valid:
			return -1
		}
		return 1
	})
}

// checkAggregates says everything that is wrong with a query.
func checkAggregates(q *AggregateQuery) error {
	e := prism.New(prism.ReasonInvalidArgument, "")
	wrong := func(bad bool, field, message string) {
		if bad {
			e.WithField(field, message)
		}
	}
	if err := checkSelection(&q.Selection); err != nil {
		e.Fields = append(e.Fields, prism.From(err).Fields...)
	}
	wrong(q.Bucket < 0, "bucket_ns", "must not be negative")
	wrong(len(q.Groups) > prism.MaxGroupKeys, "group_by", "must be at most 8")
	wrong(len(q.Values) == 0 || len(q.Values) > prism.MaxAggregates, "aggregates", "must be 1 to 32")
	wrong(q.Fill > FillLinear, "fill", "has no such value")
	for i, g := range q.Groups {
		at := fmt.Sprintf("group_by[%d].", i)
		switch g.Kind {
		case GroupType, GroupSource:
		case GroupDimension:
			text := nameRule(g.Name)
			wrong(text != "", at+"dimension", text)
		default:
			wrong(true, at+"key", "must be set")
		}
	}
	for i := range q.Values {
		checkAggregate(&q.Values[i], fmt.Sprintf("aggregates[%d].", i), wrong)
	}
	if len(e.Fields) == 0 {
		return nil
	}
	e.Message = e.Fields[0].Field + " " + e.Fields[0].Message
	return e
}

func checkAggregate(a *Aggregate, at string, wrong func(bad bool, field, message string)) {
	switch {
	case a.Function < driver.AggregateCount || a.Function > driver.AggregateQuantile:
		wrong(true, at+"function", "must be set")
	case a.Metric == "":
		wrong(a.Function != driver.AggregateCount, at+"metric", "must be set")
	default:
		text := nameRule(a.Metric)
		wrong(text != "", at+"metric", text)
	}
	if a.Function == driver.AggregateQuantile {
		wrong(!(a.Quantile >= 0 && a.Quantile <= 1), at+"quantile", "must be 0 to 1")
		return
	}
	wrong(a.Quantile != 0, at+"quantile", "is of FUNCTION_QUANTILE only")
}
