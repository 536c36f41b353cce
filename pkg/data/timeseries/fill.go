package timeseries

import (
	"slices"

	"github.com/prism-data-layer/prism/pkg/driver"
	"github.com/prism-data-layer/prism/pkg/prism"
)

// first is the start of the first bucket.
func (q *AggregateQuery) first() int64 { return q.Start - q.Start%q.Bucket }

// buckets is how many the range has.
func (q *AggregateQuery) buckets() int64 { return (q.End-1-q.first())/q.Bucket + 1 }

// fill adds the buckets without events, to each group that has some. Rows are in
// order, and stay so. Where nothing is grouped there is one group, whether or
// not it has events.
func fill(q *AggregateQuery, rows []Row) ([]Row, error) {
	groups, n := groupsOf(q, rows), q.buckets()
	if n*int64(len(groups)) > prism.MaxAggregateRows {
		return nil, tooMany()
	}
	filled := make([]Row, 0, int(n)*len(groups))
	for b := range n {
		start := q.first() + b*q.Bucket
		for _, g := range groups {
			if len(rows) > 0 && rows[0].Bucket == start && compareGroups(rows[0].Group, g) == 0 {
				filled, rows = append(filled, rows[0]), rows[1:]
				continue
			}
			filled = append(filled, Row{AggregateRow: AggregateRow{Bucket: start, Group: g, Values: make([]driver.OptionalFloat, len(q.Values))}, Filled: true})
		}
	}
	for g := range groups {
		for v := range q.Values {
			series{rows: filled, at: g, step: len(groups), value: v}.fill(q)
		}
	}
	return filled, nil
}

// groupsOf are the groups of rows, in order.
func groupsOf(q *AggregateQuery, rows []Row) [][]driver.OptionalText {
	if len(q.Groups) == 0 {
		return [][]driver.OptionalText{nil}
	}
	groups := make([][]driver.OptionalText, len(rows))
	for i := range rows {
		groups[i] = rows[i].Group
	}
	slices.SortFunc(groups, compareGroups)
	return slices.CompactFunc(groups, func(a, b []driver.OptionalText) bool { return compareGroups(a, b) == 0 })
}

// A series is one figure of one group, bucket by bucket.
type series struct {
	rows     []Row
	at, step int // rows at, at+step, ...
	value    int
}

func (s series) of(i int) *driver.OptionalFloat { return &s.rows[i].Values[s.value] }

func (s series) fill(q *AggregateQuery) {
	switch q.Fill {
	case FillEmpty:
		if q.Values[s.value].Function == driver.AggregateCount {
			s.each(func(int) driver.OptionalFloat { return driver.OptionalFloat{Valid: true} })
		}
	case FillZero:
		s.each(func(int) driver.OptionalFloat { return driver.OptionalFloat{Valid: true} })
	case FillPrevious:
		s.previous()
	case FillLinear:
		s.linear()
	}
}

// each gives the rows that were made what f says.
func (s series) each(f func(i int) driver.OptionalFloat) {
	for i := s.at; i < len(s.rows); i += s.step {
		if s.rows[i].Filled {
			*s.of(i) = f(i)
		}
	}
}

func (s series) previous() {
	var last driver.OptionalFloat
	for i := s.at; i < len(s.rows); i += s.step {
		switch {
		case s.rows[i].Filled:
			*s.of(i) = last
		case s.of(i).Valid:
			last = *s.of(i)
		}
	}
}

// linear draws a line between two values over the rows that were made. Before
// the first and after the last there is none.
func (s series) linear() {
	from := -1
	for i := s.at; i < len(s.rows); i += s.step {
		if !s.of(i).Valid {
			continue
		}
		for k := from + s.step; from >= 0 && k < i; k += s.step {
			if s.rows[k].Filled {
				share := float64(k-from) / float64(i-from)
				*s.of(k) = driver.OptionalFloat{Value: s.of(from).Value*(1-share) + s.of(i).Value*share, Valid: true}
			}
		}
		from = i
	}
}
