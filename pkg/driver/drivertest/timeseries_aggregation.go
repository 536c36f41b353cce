package drivertest

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/prism-data-layer/prism/pkg/driver"
	"github.com/prism-data-layer/prism/pkg/prism"
)

var timeseriesAggregationPromises = []promise{
	{"every function computes what one computes by hand", testAggregateFunctions, ""},
	{"buckets begin at multiples of their length since 1970", testAggregateBuckets, ""},
	{"a bucket of length 0 is the whole range", testAggregateWhole, ""},
	{"figures by type, source and dimension, also where there is none", testAggregateGroups, ""},
	{"figures count only what the selection finds", testAggregateSelection, ""},
	{"a metric that no event has is no figure, and its count is 0", testAggregateAbsent, ""},
	{"a quantile is one of the values, also of one and of many", testAggregateQuantiles, ""},
	{"a range without events has no row", testAggregateEmpty, ""},
	{"more rows than were asked for are refused", testAggregateTooMany, "direct"},
	{"groups and metrics may have any names", testAggregateHostile, ""},
	{"figures of many events are right over buckets and batches", testAggregateMany, ""},
	{"figures count an event at once", testAggregateAtOnce, ""},
	{"figures are those of their namespace", testAggregateNamespaces, ""},
	{"figures outlive a restart", testAggregateReopen, "reopen"},
}

// aggregated is what a query should answer, computed one row at a time.
func aggregated(events []seriesEvent, q driver.AggregateQuery) []driver.AggregateRow {
	rows := map[string]*driver.AggregateRow{}
	members := map[string][]seriesEvent{}
	for _, e := range chosen(events, q.Selection) {
		row := driver.AggregateRow{Bucket: q.Start}
		if q.Bucket > 0 {
			row.Bucket = e.Time / q.Bucket * q.Bucket
		}
		for _, g := range q.Groups {
			row.Group = append(row.Group, groupOf(e, g))
		}
		key := rowKey(row)
		if rows[key] == nil {
			rows[key] = &row
		}
		members[key] = append(members[key], e)
	}
	var list []driver.AggregateRow
	for key, row := range rows {
		for _, a := range q.Values {
			row.Values = append(row.Values, figure(members[key], a))
		}
		list = append(list, *row)
	}
	return list
}

// rowKey is the bucket and group of a row, as no other has.
func rowKey(r driver.AggregateRow) string {
	key := fmt.Sprintf("%020d", r.Bucket)
	for _, g := range r.Group {
		if !g.Valid {
			key += " none"
			continue
		}
		key += fmt.Sprintf(" %q", g.Value)
	}
	return key
}

func groupOf(e seriesEvent, g driver.GroupKey) driver.OptionalText {
	switch g.Kind {
	case driver.GroupType:
		return driver.OptionalText{Value: e.Type, Valid: e.Type != ""}
	case driver.GroupSource:
		return driver.OptionalText{Value: e.Source, Valid: e.Source != ""}
	}
	v, ok := e.Dimensions[g.Name]
	return driver.OptionalText{Value: v, Valid: ok}
}

func figure(events []seriesEvent, a driver.Aggregate) driver.OptionalFloat {
	var values []float64
	for _, e := range events {
		if v, ok := e.Metrics[a.Metric]; ok {
			values = append(values, v)
		}
	}
	n := len(values)
	switch {
	case a.Function == driver.AggregateCount && a.Metric == "":
		return driver.OptionalFloat{Value: float64(len(events)), Valid: true}
	case a.Function == driver.AggregateCount:
		return driver.OptionalFloat{Value: float64(n), Valid: true}
	case n == 0:
		return driver.OptionalFloat{}
	}
	slices.Sort(values)
	sum := 0.0
	for _, v := range values {
		sum += v
	}
	f := driver.OptionalFloat{Valid: true}
	switch a.Function {
	case driver.AggregateSum:
		f.Value = sum
	case driver.AggregateAvg:
		f.Value = sum / float64(n)
	case driver.AggregateMin:
		f.Value = values[0]
	case driver.AggregateMax:
		f.Value = values[n-1]
	case driver.AggregateQuantile:
		f.Value = values[min(int(math.Floor(a.Quantile*float64(n))), n-1)]
	}
	return f
}

// allFigures asks for everything there is to know about a metric.
func allFigures(metric string) []driver.Aggregate {
	list := []driver.Aggregate{{Function: driver.AggregateCount}}
	for f := driver.AggregateCount; f < driver.AggregateQuantile; f++ {
		list = append(list, driver.Aggregate{Function: f, Metric: metric})
	}
	for _, q := range []float64{0, 0.5, 0.95, 1} {
		list = append(list, driver.Aggregate{Function: driver.AggregateQuantile, Metric: metric, Quantile: q})
	}
	return list
}

// computes holds an answer against the computation by hand.
func (t *T) computes(what string, events []seriesEvent, q driver.AggregateQuery) {
	t.Helper()
	if q.Max == 0 {
		q.Max = 10_000
	}
	if q.Start == 0 && q.End == 0 {
		q.Start, q.End = eventBase, eventBase+1_000_000_000_000
	}
	got, err := t.set().TimeSeriesAggregation.AggregateEvents(t.Ctx, t.namespace(), q)
	t.must(err)
	if got.Source == "" {
		t.Errorf("%s: it does not say what was read", what)
	}
	if diff := differRows(got.Rows, aggregated(events, q)); diff != "" {
		t.Errorf("%s: %s", what, diff)
	}
}

// differRows tells two answers apart, whatever the order of their rows.
func differRows(got, want []driver.AggregateRow) string {
	order := func(a, b driver.AggregateRow) int { return strings.Compare(rowKey(a), rowKey(b)) }
	got, want = slices.Clone(got), slices.Clone(want)
	slices.SortFunc(got, order)
	slices.SortFunc(want, order)
	for i := range min(len(got), len(want)) {
		if rowKey(got[i]) != rowKey(want[i]) {
			return fmt.Sprintf("row %d of %d is %s, want %s of %d", i, len(got), rowKey(got[i]), rowKey(want[i]), len(want))
		}
		if !slices.EqualFunc(got[i].Values, want[i].Values, sameFigure) {
			return fmt.Sprintf("row %s has %v, want %v", rowKey(got[i]), got[i].Values, want[i].Values)
		}
	}
	if len(got) != len(want) {
		return fmt.Sprintf("got %d rows, want %d", len(got), len(want))
	}
	return ""
}

// sameFigure allows for what the order of additions does to a sum.
func sameFigure(a, b driver.OptionalFloat) bool {
	return a.Valid == b.Valid && (a.Value == b.Value || math.Abs(a.Value-b.Value) <= 1e-9*(1+math.Abs(b.Value)))
}

const eventSecond = int64(1_000_000_000)

// measured are events over some time, of several kinds.
func measured(n int, step int64) []seriesEvent {
	events := variedEvents(n)
	for i := range events {
		events[i].Time = eventBase + int64(i)*step
		events[i].Metrics["ms"] = float64(i*7919%1000) / 8
	}
	return events
}

func testAggregateFunctions(t *T) {
	events := measured(300, eventSecond/7)
	t.sends(events[:200]...)
	t.sends(events[200:]...)
	for _, metric := range []string{"ms", "sine", "n"} {
		t.computes(metric+" over all", events, driver.AggregateQuery{Values: allFigures(metric)})
		t.computes(metric+" by 10 s", events, driver.AggregateQuery{Bucket: 10 * eventSecond, Values: allFigures(metric)})
	}
	t.computes("two metrics", events, driver.AggregateQuery{Values: append(allFigures("ms"), allFigures("sine")...)})
}

func testAggregateBuckets(t *T) {
	var events []seriesEvent
	for i, at := range []int64{1, 59, 60, 61, 119, 120, 3599, 3600, 86_399, 86_400} {
		events = append(events, seriesEvent{Time: at * eventSecond, Type: "tick", Metrics: map[string]float64{"n": float64(i)}})
	}
	events = append(events, seriesEvent{Time: 60*eventSecond - 1, Type: "tick"}, seriesEvent{Time: 7*eventSecond + 6, Type: "tick"})
	t.sends(events...)
	for _, bucket := range []int64{1, 7, eventSecond, 7 * eventSecond, 60 * eventSecond, 3600 * eventSecond, 86_400 * eventSecond} {
		for _, start := range []int64{0, 30 * eventSecond, 59*eventSecond + 5} { // the first bucket begins before the range
			q := driver.AggregateQuery{Bucket: bucket, Values: allFigures("n")}
			q.Start, q.End = start, 86_400*eventSecond
			t.computes(fmt.Sprintf("buckets of %d ns from %d", bucket, start), events, q)
		}
	}
}

func testAggregateWhole(t *T) {
	events := measured(50, eventSecond)
	t.sends(events...)
	for _, start := range []int64{0, 7, eventSecond + 1} {
		q := driver.AggregateQuery{Values: allFigures("n")}
		q.Start, q.End = eventBase+start, eventBase+40*eventSecond
		t.computes(fmt.Sprint("from ", start), events, q)
	}
}

func testAggregateGroups(t *T) {
	events := measured(200, eventSecond/3)
	t.sends(events[:10]...)
	t.sends(events[10:100]...)
	t.sends(events[100:]...)
	byType, bySource := driver.GroupKey{Kind: driver.GroupType}, driver.GroupKey{Kind: driver.GroupSource}
	byHost, byZone := driver.GroupKey{Kind: driver.GroupDimension, Name: "host"}, driver.GroupKey{Kind: driver.GroupDimension, Name: "zone"}
	byNone := driver.GroupKey{Kind: driver.GroupDimension, Name: "none"}
	for _, groups := range [][]driver.GroupKey{
		{byType}, {bySource}, {byHost}, {byZone}, {byNone}, {byType, bySource}, {byZone, byHost}, {byHost, byZone, bySource, byType}, {byNone, byZone},
	} {
		t.computes(fmt.Sprint("by ", groups), events, driver.AggregateQuery{Groups: groups, Values: allFigures("sine")})
		t.computes(fmt.Sprint("by 10 s and ", groups), events, driver.AggregateQuery{Bucket: 10 * eventSecond, Groups: groups, Values: allFigures("sine")})
	}
}

func testAggregateSelection(t *T) {
	events := measured(200, eventSecond/3)
	t.sends(events...)
	for _, s := range []driver.Selection{
		{Types: []string{"type-1"}},
		{Sources: []string{"source-1", "source-2"}},
		{Dimensions: driver.Filter{where("zone", driver.FilterAbsent)}},
		{Types: []string{"type-0", "type-2"}, Dimensions: driver.Filter{where("host", driver.FilterNotIn, "host-1"), where("zone", driver.FilterPrefix, "z")}},
	} {
		s.Start, s.End = eventBase+5*eventSecond+1, eventBase+50*eventSecond+1
		t.computes(fmt.Sprintf("%+v", s), events, driver.AggregateQuery{Selection: s, Bucket: 7 * eventSecond, Values: allFigures("ms")})
	}
}

func testAggregateAbsent(t *T) {
	events := measured(20, eventSecond)
	t.sends(events...)
	t.computes("a metric of nobody", events, driver.AggregateQuery{Bucket: 5 * eventSecond, Values: allFigures("none")})
	lone := seriesEvent{Time: eventBase + 100*eventSecond, Type: "bare"}
	t.sends(lone)
	t.computes("an event without metrics", append(events, lone), driver.AggregateQuery{Bucket: 5 * eventSecond, Values: allFigures("ms")})
}

func testAggregateQuantiles(t *T) {
	var events []seriesEvent
	for n := range 12 { // n+1 values in second n
		for i := range n + 1 {
			events = append(events, seriesEvent{
				Time: eventBase + int64(n)*eventSecond + int64(i), Type: "tick", Metrics: map[string]float64{"v": float64(i*5%(n+1)) - 3},
			})
		}
	}
	for i := range 1000 {
		events = append(events, seriesEvent{Time: eventBase + 20*eventSecond + int64(i), Type: "tick", Metrics: map[string]float64{"v": float64(i * 617 % 1000)}})
	}
	t.sends(events...)
	var values []driver.Aggregate
	for _, q := range []float64{0, 0.001, 0.1, 0.25, 1.0 / 3, 0.5, 0.75, 0.9, 0.95, 0.99, 0.999, 1} {
		values = append(values, driver.Aggregate{Function: driver.AggregateQuantile, Metric: "v", Quantile: q})
	}
	t.computes("by second", events, driver.AggregateQuery{Bucket: eventSecond, Values: values})
}

func testAggregateEmpty(t *T) {
	t.computes("nothing at all", nil, driver.AggregateQuery{Bucket: eventSecond, Values: allFigures("n")})
	t.sends(measured(10, eventSecond)...)
	q := driver.AggregateQuery{Values: allFigures("n")}
	q.Start, q.End = eventBase+1, eventBase+eventSecond
	t.computes("nothing in this range", nil, q)
}

func testAggregateTooMany(t *T) {
	events := measured(100, eventSecond)
	t.sends(events...)
	q := driver.AggregateQuery{Bucket: eventSecond, Values: allFigures("n"), Max: 100}
	t.computes("as many rows as may be", events, q)
	q.Start, q.End, q.Max = eventBase, eventBase+1000*eventSecond, 99
	_, err := t.set().TimeSeriesAggregation.AggregateEvents(t.Ctx, t.namespace(), q)
	t.refused("one more", err, prism.ReasonInvalidArgument)
	if e := (*prism.Error)(nil); errors.As(err, &e) && (len(e.Fields) != 1 || e.Fields[0].Field != "bucket_ns") {
		t.Errorf("the error is on %+v, want bucket_ns", e.Fields)
	}
}

func testAggregateHostile(t *T) {
	var events []seriesEvent
	for i := range 3 * len(hostile) {
		s := hostile[i%len(hostile)]
		events = append(events, seriesEvent{
			Time: eventBase + int64(i), Type: s, Source: s, Dimensions: map[string]string{s: hostile[i*7%len(hostile)], "d": s}, Metrics: map[string]float64{s: float64(i)},
		})
	}
	t.sends(events...)
	t.computes("by what is hostile", events, driver.AggregateQuery{
		Groups: []driver.GroupKey{{Kind: driver.GroupType}, {Kind: driver.GroupSource}, {Kind: driver.GroupDimension, Name: "d"}},
		Values: []driver.Aggregate{{Function: driver.AggregateCount}},
	})
	for _, s := range hostile {
		t.computes(fmt.Sprintf("by %q", s), events, driver.AggregateQuery{Groups: []driver.GroupKey{{Kind: driver.GroupDimension, Name: s}}, Values: allFigures(s)})
	}
}

func testAggregateMany(t *T) {
	events := measured(20_000, eventSecond/100)
	for i := 0; i < len(events); i += 2000 {
		batch := slices.Clone(events[i : i+2000])
		slices.Reverse(batch)
		t.sends(batch...)
	}
	t.computes("by minute and host", events, driver.AggregateQuery{
		Bucket: 60 * eventSecond, Groups: []driver.GroupKey{{Kind: driver.GroupDimension, Name: "host"}}, Values: allFigures("ms"),
	})
}

func testAggregateAtOnce(t *T) {
	var events []seriesEvent
	for _, e := range measured(10, eventSecond) {
		t.sends(e)
		events = append(events, e)
		t.computes("after one more", events, driver.AggregateQuery{Bucket: 4 * eventSecond, Values: allFigures("n")})
	}
}

func testAggregateNamespaces(t *T) {
	events := measured(20, eventSecond)
	t.sendsEvents(t.another(), measured(50, eventSecond/2)...)
	t.sends(events...)
	t.computes("mine", events, driver.AggregateQuery{Bucket: 3 * eventSecond, Values: allFigures("n")})
}

func testAggregateReopen(t *T) {
	events := measured(100, eventSecond)
	t.sends(events[50:]...)
	t.reopen()
	t.sends(events[:50]...)
	t.reopen()
	t.computes("after a restart", events, driver.AggregateQuery{
		Bucket: 7 * eventSecond, Groups: []driver.GroupKey{{Kind: driver.GroupSource}}, Values: allFigures("ms"),
	})
}
