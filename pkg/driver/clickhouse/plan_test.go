package clickhouse

import (
	"math"
	"testing"
	"time"

	"github.com/prism-data-layer/prism/pkg/driver"
)

func TestARollupIsChosenOnlyWhereItGivesTheSameAnswer(t *testing.T) {
	t.Parallel()
	const m, h = int64(time.Minute), int64(time.Hour)
	minute, hour := rollup{size: time.Minute, since: math.MinInt64}, rollup{size: time.Hour, since: math.MinInt64}
	late := rollup{size: time.Minute, since: 10*m + 1}
	both := []rollup{minute, hour}
	count, quantile := driver.Aggregate{Function: driver.AggregateCount}, driver.Aggregate{Function: driver.AggregateQuantile, Metric: "v"}
	average := driver.Aggregate{Function: driver.AggregateAvg, Metric: "v"}
	query := func(start, end, bucket int64, values ...driver.Aggregate) driver.AggregateQuery {
		return driver.AggregateQuery{Selection: driver.Selection{Start: start, End: end}, Bucket: bucket, Values: values}
	}
	grouped := query(0, 2*h, h, count)
	grouped.Groups = []driver.GroupKey{{Kind: driver.GroupType}, {Kind: driver.GroupSource}}
	byHost := query(0, 2*h, h, count)
	byHost.Groups = []driver.GroupKey{{Kind: driver.GroupDimension, Name: "host"}}
	filtered := query(0, 2*h, h, count)
	filtered.Dimensions = driver.Filter{{Attribute: "host", Op: driver.FilterExists}}
	typed := query(0, 2*h, h, count)
	typed.Types, typed.Sources = []string{"a"}, []string{"x"}
	for name, c := range map[string]struct {
		q          driver.AggregateQuery
		rollups    []rollup
		source     string
		start, end int64
	}{
		"none there":                      {query(0, h, m, count), nil, "raw", 0, 0},
		"the longest that fits":           {query(0, 2*h, h, count, average), both, "1h", 0, 2 * h},
		"a multiple":                      {query(0, 4*h, 2*h, count), both, "1h", 0, 4 * h},
		"buckets between":                 {query(0, 4*h, 90*m, count), both, "1m", 0, 4 * h},
		"shorter buckets":                 {query(0, h, m/2, count), both, "raw", 0, 0},
		"no multiple":                     {query(0, h, m+1, count), both, "raw", 0, 0},
		"one bucket of all":               {query(1, 3*h-1, 0, count), both, "1h", h, 2 * h},
		"edges of events":                 {query(m-1, 5*m+1, m, count), both, "1m", m, 5 * m},
		"no whole hour, but minutes":      {query(1, h, h, count), both, "1m", m, h},
		"less than a minute":              {query(1, m, m, count), both, "raw", 0, 0},
		"a minute that is not whole":      {query(m/2, m+m/2, m, count), both, "raw", 0, 0},
		"behind what was there before it": {query(0, 20*m, m, count), []rollup{late}, "1m", 11 * m, 20 * m},
		"before it was there":             {query(0, 11*m, m, count), []rollup{late}, "raw", 0, 0},
		"a quantile":                      {query(0, 2*h, h, count, quantile), both, "raw", 0, 0},
		"types and sources":               {typed, both, "1h", 0, 2 * h},
		"by type and source":              {grouped, both, "1h", 0, 2 * h},
		"by a dimension":                  {byHost, both, "raw", 0, 0},
		"a filter":                        {filtered, both, "raw", 0, 0},
		"never whole":                     {query(0, math.MaxInt64, h, count), []rollup{{size: time.Hour, since: math.MaxInt64}}, "raw", 0, 0},
	} {
		p := choose(&c.q, c.rollups)
		if p.source() != c.source || p.start != c.start || p.end != c.end {
			t.Errorf("%s: got %s [%d, %d), want %s [%d, %d)", name, p.source(), p.start, p.end, c.source, c.start, c.end)
		}
	}
}

func TestLengthsOfRollupsAreWrittenAsPeopleDo(t *testing.T) {
	t.Parallel()
	for d, want := range map[time.Duration]string{time.Minute: "1m", time.Hour: "1h", 90 * time.Second: "1m30s", 24 * time.Hour: "24h", 5 * time.Second: "5s", 90 * time.Minute: "1h30m"} {
		if got := (rollup{size: d}).String(); got != want {
			t.Errorf("%v is written %q, want %q", d, got, want)
		}
	}
}
