package drivertest

import (
	"context"
	"crypto/sha256"
	"fmt"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/prism-data-layer/prism/pkg/driver"
	"github.com/prism-data-layer/prism/pkg/prism"
)

// RunTimeSeriesModel drives the time series of two stores through the same
// random calls and compares every answer. They need all time-series
// capabilities, exact bytes, and a clock in the test's hands. A store that can
// reopen does so now and then; where only one can, the other goes on.
func RunTimeSeriesModel(t *testing.T, a, b Harness) {
	t.Helper()
	defer rapidFlags(t)()
	rapid.Check(t, func(r *rapid.T) {
		m := &seriesModel{T: r, ctx: context.Background(), ns: "model"}
		for i, h := range []Harness{a, b} {
			m.side[i] = &streamSide{name: h.Name, opened: h.Open(modelTB{r}, Options{})}
			if m.side[i].opened.Clock == nil {
				t.Fatalf("%s has no clock to move", h.Name)
			}
		}
		r.Repeat(map[string]func(*rapid.T){
			"append": m.append, "append again": m.append, "append more": m.append, "query": m.query, "go on": m.goOn,
			"aggregate": m.aggregate, "retain": m.retain, "pass": m.pass, "reopen": m.reopen, "drop": m.drop, "": func(*rapid.T) {},
		})
		m.compareAll()
	})
}

type seriesModel struct {
	*rapid.T
	ctx  context.Context
	ns   prism.Namespace
	side [2]*streamSide
}

// both makes a call on both sides. Their errors must have one reason; without
// one differ must find nothing.
func (m *seriesModel) both(what string, call func(*driver.Set) (any, error), differ func(a, b any) string) {
	var got [2]any
	var errs [2]error
	for i, s := range m.side {
		got[i], errs[i] = call(&s.opened.Set)
	}
	a, b := prism.From(errs[0]), prism.From(errs[1])
	if (a == nil) != (b == nil) || a != nil && a.Reason != b.Reason {
		m.Fatalf("%s: %s says %v, %s %v", what, m.side[0].name, errs[0], m.side[1].name, errs[1])
	}
	if a != nil {
		return
	}
	if diff := differ(got[1], got[0]); diff != "" {
		m.Fatalf("%s: %s, held against %s: %s", what, m.side[1].name, m.side[0].name, diff)
	}
}

func differPlainly(a, b any) string {
	if a != b {
		return fmt.Sprintf("got %+v, want %+v", a, b)
	}
	return ""
}

// time draws one near the model's present, often one that was drawn before.
func (m *seriesModel) time(r *rapid.T, name string) int64 {
	base := time.Date(2026, 1, 2, 0, 0, 0, 0, time.UTC).UnixNano()
	unit := rapid.SampledFrom([]time.Duration{1, time.Millisecond, time.Minute, time.Hour}).Draw(r, name+" unit")
	return base + rapid.Int64Range(-3, 9).Draw(r, name)*int64(unit)
}

var modelTexts = []string{"", "a", "b", "ab", "a\x00", "\xff", "' OR 1=1"}

func (m *seriesModel) event(r *rapid.T) seriesEvent {
	text := func(name string) string { return rapid.SampledFrom(modelTexts).Draw(r, name) }
	e := seriesEvent{
		Time: m.time(r, "time"), Type: text("type"), Source: text("source"), Dimensions: map[string]string{}, Metrics: map[string]float64{},
	}
	for range rapid.IntRange(0, 3).Draw(r, "dimensions") {
		e.Dimensions["d"+text("dimension")] = text("value")
	}
	for range rapid.IntRange(0, 2).Draw(r, "metrics") {
		e.Metrics["m"+text("metric")] = rapid.SampledFrom([]float64{0, 1, -1, 0.1, 1e300, -1e-320, 7, 8, 9}).Draw(r, "figure")
	}
	if rapid.IntRange(0, 3).Draw(r, "payload") == 0 {
		e.Payload = pattern(rapid.SampledFrom([]int{1, 10, 70_000}).Draw(r, "size"), 1)
	}
	if id := rapid.IntRange(-10, 10).Draw(r, "id"); id > 0 {
		e.ID = fmt.Sprint(id)
	}
	return e
}

func (m *seriesModel) append(r *rapid.T) {
	var events []seriesEvent
	for range rapid.SampledFrom([]int{1, 1, 2, 3, 10, 40}).Draw(r, "events") {
		events = append(events, m.event(r))
	}
	var receipt driver.Receipt
	if id := rapid.IntRange(-10, 5).Draw(r, "receipt"); id > 0 {
		sum := sha256.Sum256(fmt.Append(nil, events))
		receipt = driver.Receipt{
			ID: [16]byte{byte(id)}, Body: [16]byte(sum[:16]), Keep: rapid.SampledFrom([]time.Duration{10 * time.Second, 24 * time.Hour}).Draw(r, "keep"),
		}
		if rapid.Bool().Draw(r, "same body") {
			receipt.Body = [16]byte{1}
		}
	}
	m.both(fmt.Sprintf("append %v", events), func(s *driver.Set) (any, error) {
		return s.TimeSeries.AppendEvents(m.ctx, m.ns, eventColumns(events...), receipt)
	}, differPlainly)
	m.settle()
}

func (m *seriesModel) selection(r *rapid.T) driver.Selection {
	s := driver.Selection{Start: m.time(r, "start"), End: m.time(r, "end")}
	if rapid.Bool().Draw(r, "everything") {
		s.Start, s.End = 0, prism.MaxEventTime+1
	}
	if s.Start > s.End {
		s.Start, s.End = s.End, s.Start
	}
	s.End = max(s.End, s.Start+1)
	texts := func(name string) []string {
		if rapid.IntRange(0, 2).Draw(r, "by "+name) > 0 {
			return nil
		}
		return rapid.SliceOfN(rapid.SampledFrom(modelTexts), 1, 3).Draw(r, name)
	}
	s.Types, s.Sources = texts("types"), texts("sources")
	for range rapid.SampledFrom([]int{0, 0, 1, 2}).Draw(r, "clauses") {
		c := driver.FilterClause{
			Attribute: "d" + rapid.SampledFrom(modelTexts).Draw(r, "attribute"),
			Op:        rapid.SampledFrom([]driver.FilterOp{driver.FilterIn, driver.FilterNotIn, driver.FilterPrefix, driver.FilterExists, driver.FilterAbsent}).Draw(r, "op"),
		}
		switch c.Op {
		case driver.FilterIn, driver.FilterNotIn:
			c.Values = rapid.SliceOfN(rapid.SampledFrom(modelTexts), 1, 3).Draw(r, "values")
		case driver.FilterPrefix:
			c.Values = []string{rapid.SampledFrom(modelTexts).Draw(r, "prefix")}
		}
		s.Dimensions = append(s.Dimensions, c)
	}
	return s
}

// readAll reads page by page, by one reader or by one for each page.
func (m *seriesModel) readAll(s *driver.Set, q driver.EventQuery, anew bool) ([]seriesEvent, error) {
	var events []seriesEvent
	var reader driver.EventReader
	for {
		if reader == nil {
			var err error
			if reader, err = s.TimeSeries.QueryEvents(m.ctx, m.ns, q); err != nil {
				return nil, err
			}
		}
		page, err := reader.Page(m.ctx)
		if err != nil || page.Events.Len() == 0 {
			_ = reader.Close()
			return events, err
		}
		events = append(events, eventRows(&page.Events)...)
		if anew {
			q.After = slices.Clone(page.Position)
			_ = reader.Close()
			reader = nil
		}
	}
}

// inTimeOrder wants the order of a query; events of one time may stand in any.
func inTimeOrder(events []seriesEvent, descending bool) string {
	for i := 1; i < len(events); i++ {
		if events[i].Time != events[i-1].Time && (events[i].Time < events[i-1].Time) != descending {
			return fmt.Sprintf("event %d is at %d, after one at %d", i, events[i].Time, events[i-1].Time)
		}
	}
	return ""
}

func (m *seriesModel) compare(r *rapid.T, anew bool) {
	q := driver.EventQuery{
		Selection: m.selection(r), Descending: rapid.Bool().Draw(r, "descending"), Page: rapid.SampledFrom([]int{1, 2, 7, 1000}).Draw(r, "page"),
	}
	m.both(fmt.Sprintf("query %+v", q), func(s *driver.Set) (any, error) { return m.readAll(s, q, anew) }, func(a, b any) string {
		if wrong := inTimeOrder(a.([]seriesEvent), q.Descending); wrong != "" {
			return wrong
		}
		return differSeries(a.([]seriesEvent), b.([]seriesEvent))
	})
}

func (m *seriesModel) query(r *rapid.T) { m.compare(r, false) }
func (m *seriesModel) goOn(r *rapid.T)  { m.compare(r, true) }

func (m *seriesModel) aggregate(r *rapid.T) {
	q := driver.AggregateQuery{
		Selection: m.selection(r), Max: rapid.SampledFrom([]int{1, 5, 100_000}).Draw(r, "max"),
		Bucket: rapid.SampledFrom([]int64{0, 1, 1000, int64(time.Minute), int64(time.Hour), 7 * int64(time.Hour)}).Draw(r, "bucket"),
		Values: allFigures("m" + rapid.SampledFrom(modelTexts).Draw(r, "metric")),
	}
	for range rapid.IntRange(0, 3).Draw(r, "groups") {
		q.Groups = append(q.Groups, driver.GroupKey{
			Kind: rapid.SampledFrom([]driver.GroupKind{driver.GroupType, driver.GroupSource, driver.GroupDimension}).Draw(r, "kind"),
			Name: "d" + rapid.SampledFrom(modelTexts).Draw(r, "name"),
		})
	}
	m.both(fmt.Sprintf("aggregate %+v", q), func(s *driver.Set) (any, error) {
		a, err := s.TimeSeriesAggregation.AggregateEvents(m.ctx, m.ns, q)
		return a.Rows, err
	}, func(a, b any) string { return differRows(a.([]driver.AggregateRow), b.([]driver.AggregateRow)) })
}

func (m *seriesModel) retain(r *rapid.T) {
	age := rapid.SampledFrom([]time.Duration{0, 4 * time.Hour, time.Hour, 24 * time.Hour}).Draw(r, "age")
	m.both(fmt.Sprint("retain ", age), func(s *driver.Set) (any, error) {
		return nil, s.TimeSeriesRetention.RetainEvents(m.ctx, m.ns, age)
	}, differPlainly)
	m.settle()
}

func (m *seriesModel) pass(r *rapid.T) {
	m.advance(rapid.SampledFrom([]time.Duration{time.Millisecond, 3 * time.Second, 8 * time.Minute, 40 * time.Minute}).Draw(r, "time"))
	m.settle()
}

func (m *seriesModel) advance(d time.Duration) {
	for _, s := range m.side {
		s.opened.Clock.Advance(d)
	}
}

// settle waits until both have taken away what retention says; they may be late
// with it, by some minutes.
func (m *seriesModel) settle() {
	for begin, passed := time.Now(), time.Duration(0); ; {
		var counts [2]int64
		for i, s := range m.side {
			u, err := s.opened.Set.Store.Usage(m.ctx, m.ns)
			if err != nil {
				m.Fatalf("%s: usage: %v", s.name, err)
			}
			counts[i] = u.Keys
		}
		if counts[0] == counts[1] {
			return
		}
		if time.Since(begin) > 2*time.Minute { // of a server that has much to do
			m.Fatalf("%s holds %d events, %s, after %v of its time, %d", m.side[0].name, counts[0], m.side[1].name, passed, counts[1])
		}
		if passed < 5*time.Minute {
			m.advance(time.Second)
			passed += time.Second
		}
		time.Sleep(100 * time.Microsecond)
	}
}

func (m *seriesModel) reopen(r *rapid.T) {
	if rapid.IntRange(0, 3).Draw(r, "restart") != 0 {
		return
	}
	m.compareAll()
	for _, s := range m.side {
		if s.opened.Reopen != nil {
			s.opened.Set = s.opened.Reopen()
		}
	}
	m.compareAll()
}

func (m *seriesModel) drop(r *rapid.T) {
	if rapid.IntRange(0, 9).Draw(r, "drop") != 0 {
		return
	}
	m.both("drop", func(s *driver.Set) (any, error) { return nil, s.Store.Drop(m.ctx, m.ns) }, differPlainly)
	m.compareAll()
}

// compareAll compares everything that the series hold.
func (m *seriesModel) compareAll() {
	m.settle()
	q := driver.EventQuery{Selection: driver.Selection{Start: 0, End: prism.MaxEventTime + 1}, Page: 100}
	m.both("all", func(s *driver.Set) (any, error) { return m.readAll(s, q, false) }, func(a, b any) string {
		return differSeries(a.([]seriesEvent), b.([]seriesEvent))
	})
}
