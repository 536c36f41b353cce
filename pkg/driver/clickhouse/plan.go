package clickhouse

import (
	"math"

	"github.com/prism-data-layer/prism/pkg/driver"
)

// A plan says what an aggregate is computed from: the rollup for [start, end),
// and events for the rest of the range.
type plan struct {
	rollup     *rollup // nil: all from events
	start, end int64
}

// source is the word for it in an answer.
func (p plan) source() string {
	if p.rollup == nil {
		return "raw"
	}
	return p.rollup.String()
}

// choose finds the longest rollup that gives the same answer as the events: of
// whose buckets those of the query are made, that keeps what is filtered and
// grouped by, and that is whole somewhere in the range.
func choose(q *driver.AggregateQuery, rollups []rollup) plan {
	if !summable(q) {
		return plan{}
	}
	for i := len(rollups) - 1; i >= 0; i-- {
		r := &rollups[i]
		size := int64(r.size)
		if q.Bucket%size != 0 {
			continue
		}
		start, ok := roundUp(max(q.Start, r.since), size)
		end := roundDown(q.End, size)
		if ok && start < end {
			return plan{rollup: r, start: start, end: end}
		}
	}
	return plan{}
}

func summable(q *driver.AggregateQuery) bool {
	if len(q.Dimensions) > 0 {
		return false
	}
	for _, g := range q.Groups {
		if g.Kind == driver.GroupDimension {
			return false
		}
	}
	for _, v := range q.Values {
		if v.Function == driver.AggregateQuantile {
			return false
		}
	}
	return true
}

func roundDown(n, size int64) int64 { return n - (n%size+size)%size }

func roundUp(n, size int64) (up int64, ok bool) {
	down := roundDown(n, size)
	switch {
	case down == n:
		return n, true
	case down > math.MaxInt64-size:
		return 0, false
	}
	return down + size, true
}
