package drivertest

import (
	"crypto/sha256"
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"

	"github.com/prism-data-layer/prism/pkg/driver"
	"github.com/prism-data-layer/prism/pkg/prism"
)

// A seriesEvent is an event in a row.
type seriesEvent struct {
	Time         int64
	Type, Source string
	Dimensions   map[string]string
	Metrics      map[string]float64
	Payload, ID  string
}

// String tells an event exactly: two that differ in a bit differ in it.
func (e seriesEvent) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%d %q %q", e.Time, e.Type, e.Source)
	for _, name := range slices.Sorted(maps.Keys(e.Dimensions)) {
		fmt.Fprintf(&b, " %q=%q", name, e.Dimensions[name])
	}
	for _, name := range slices.Sorted(maps.Keys(e.Metrics)) {
		fmt.Fprintf(&b, " %q=%v(%x)", name, e.Metrics[name], math.Float64bits(e.Metrics[name]))
	}
	fmt.Fprintf(&b, " %s %q", short([]byte(e.Payload)), e.ID)
	if len(e.Payload) > 40 {
		fmt.Fprintf(&b, " %x", sha256.Sum256([]byte(e.Payload)))
	}
	return b.String()
}

func (e seriesEvent) equal(f seriesEvent) bool {
	return e.Time == f.Time && e.Type == f.Type && e.Source == f.Source && e.Payload == f.Payload && e.ID == f.ID &&
		maps.Equal(e.Dimensions, f.Dimensions) &&
		maps.EqualFunc(e.Metrics, f.Metrics, func(a, b float64) bool { return math.Float64bits(a) == math.Float64bits(b) })
}

// eventColumns puts events into columns, as short as the contract allows.
func eventColumns(events ...seriesEvent) *driver.EventBatch {
	n := len(events)
	b := &driver.EventBatch{}
	dimensions, metrics := map[string]bool{}, map[string]bool{}
	for _, e := range events {
		b.Times = append(b.Times, e.Time)
		for name := range e.Dimensions {
			dimensions[name] = true
		}
		for name := range e.Metrics {
			metrics[name] = true
		}
	}
	b.Types = codedColumn(n, func(i int) (string, bool) { return events[i].Type, events[i].Type != "" })
	b.Sources = codedColumn(n, func(i int) (string, bool) { return events[i].Source, events[i].Source != "" })
	for _, name := range slices.Sorted(maps.Keys(dimensions)) {
		b.Dimensions = append(b.Dimensions, driver.Dimension{Name: name, Values: codedColumn(n, func(i int) (string, bool) {
			v, ok := events[i].Dimensions[name]
			return v, ok
		})})
	}
	for _, name := range slices.Sorted(maps.Keys(metrics)) {
		b.Metrics = append(b.Metrics, metricColumn(name, n, func(i int) (float64, bool) {
			v, ok := events[i].Metrics[name]
			return v, ok
		}))
	}
	b.Payloads = blobColumn(n, func(i int) string { return events[i].Payload })
	b.IDs = blobColumn(n, func(i int) string { return events[i].ID })
	return b
}

func codedColumn(n int, at func(i int) (string, bool)) driver.Coded {
	c := driver.Coded{Codes: make([]uint32, n)}
	known := map[string]uint32{}
	for i := range n {
		s, ok := at(i)
		if !ok {
			continue
		}
		if known[s] == 0 {
			c.Dictionary = append(c.Dictionary, s)
			known[s] = uint32(len(c.Dictionary))
		}
		c.Codes[i] = known[s]
	}
	if len(c.Dictionary) == 0 || len(c.Dictionary) == 1 && !slices.Contains(c.Codes, 0) {
		c.Codes = nil
	}
	return c
}

func metricColumn(name string, n int, at func(i int) (float64, bool)) driver.Metric {
	m := driver.Metric{Name: name, Values: make([]float64, n), Present: make([]byte, (n+7)/8)}
	all := true
	for i := range n {
		v, ok := at(i)
		if !ok {
			all, m.Values[i] = false, math.NaN() // it does not count
			continue
		}
		m.Values[i] = v
		m.Present[i>>3] |= 1 << (i & 7)
	}
	if all {
		m.Present = nil
	}
	return m
}

func blobColumn(n int, at func(i int) string) (b driver.Blobs) {
	for i := range n {
		b.Data = append(b.Data, at(i)...)
		b.Ends = append(b.Ends, uint32(len(b.Data)))
	}
	if len(b.Data) == 0 {
		return driver.Blobs{}
	}
	return b
}

// eventRows takes events out of columns.
func eventRows(b *driver.EventBatch) []seriesEvent {
	events := make([]seriesEvent, b.Len())
	for i := range events {
		e := &events[i]
		e.Time = b.Times[i]
		e.Type, _ = b.Types.At(i)
		e.Source, _ = b.Sources.At(i)
		e.Dimensions, e.Metrics = map[string]string{}, map[string]float64{}
		for n := range b.Dimensions {
			if v, ok := b.Dimensions[n].Values.At(i); ok {
				e.Dimensions[b.Dimensions[n].Name] = v
			}
		}
		for n := range b.Metrics {
			if v, ok := b.Metrics[n].At(i); ok {
				e.Metrics[b.Metrics[n].Name] = v
			}
		}
		e.Payload, e.ID = string(b.Payloads.At(i)), string(b.IDs.At(i))
	}
	return events
}

// eventsAt makes plain events, one for each offset from eventBase.
func eventsAt(offsets ...int64) []seriesEvent {
	events := make([]seriesEvent, len(offsets))
	for i, o := range offsets {
		events[i] = seriesEvent{Time: eventBase + o, Type: "tick", Metrics: map[string]float64{"n": float64(i)}}
	}
	return events
}

// sendsEvents appends to a namespace and wants none left out.
func (t *T) sendsEvents(ns prism.Namespace, events ...seriesEvent) {
	t.Helper()
	res, err := t.set().TimeSeries.AppendEvents(t.Ctx, ns, eventColumns(events...), driver.Receipt{})
	t.must(err)
	if want := (driver.AppendResult{Stored: int64(len(events))}); res != want {
		t.Errorf("append of %d events: got %+v, want %+v", len(events), res, want)
	}
}

// sends appends to the promise's namespace.
func (t *T) sends(events ...seriesEvent) {
	t.Helper()
	t.sendsEvents(t.namespace(), events...)
}

// allTime selects whatever there is, and Start and End are legal everywhere.
func allTime() driver.Selection { return driver.Selection{Start: 0, End: prism.MaxEventTime} }

// pageLoop reads pages until the end, and holds each against the query.
func (t *T) pageLoop(ns prism.Namespace, q driver.EventQuery) (events []seriesEvent, positions []driver.Position) {
	t.Helper()
	if q.Page == 0 {
		q.Page = 1000
	}
	r, err := t.set().TimeSeries.QueryEvents(t.Ctx, ns, q)
	t.must(err)
	defer func() { t.must(r.Close()) }()
	for {
		page, err := r.Page(t.Ctx)
		t.must(err)
		n := page.Events.Len()
		if n == 0 {
			return events, positions
		}
		if n > q.Page {
			t.Fatalf("a page has %d events, want at most %d", n, q.Page)
		}
		events = append(events, eventRows(&page.Events)...)
		for range n {
			positions = append(positions, page.Position)
		}
	}
}

// reads is what a selection of the promise's namespace finds, in order of time.
func (t *T) reads(s driver.Selection) []seriesEvent {
	t.Helper()
	events, _ := t.pageLoop(t.namespace(), driver.EventQuery{Selection: s})
	return events
}

// sameSeries wants got to be want, both in order of time; events of one time may
// stand in any order.
func (t *T) sameSeries(what string, got, want []seriesEvent) {
	t.Helper()
	for i := 1; i < len(got); i++ {
		if got[i].Time < got[i-1].Time {
			t.Errorf("%s: event %d is at %d, after one at %d", what, i, got[i].Time, got[i-1].Time)
			return
		}
	}
	if diff := differSeries(got, want); diff != "" {
		t.Errorf("%s: %s", what, diff)
	}
}

// differSeries tells two sets of events apart, whatever their order.
func differSeries(got, want []seriesEvent) string {
	if slices.EqualFunc(got, want, seriesEvent.equal) {
		return ""
	}
	lines := func(events []seriesEvent) []string {
		l := make([]string, len(events))
		for i, e := range events {
			l[i] = e.String()
		}
		slices.Sort(l)
		return l
	}
	g, w := lines(got), lines(want)
	for i := range min(len(g), len(w)) {
		if g[i] != w[i] {
			return fmt.Sprintf("got %d events, want %d; in order of their text the first that differs is\n%s, want\n%s", len(g), len(w), g[i], w[i])
		}
	}
	if len(g) != len(w) {
		return fmt.Sprintf("got %d events, want %d", len(g), len(w))
	}
	return ""
}

// sorted puts events in order of time.
func sorted(events []seriesEvent) []seriesEvent {
	events = slices.Clone(events)
	slices.SortStableFunc(events, func(a, b seriesEvent) int {
		switch {
		case a.Time < b.Time:
			return -1
		case a.Time > b.Time:
			return 1
		}
		return 0
	})
	return events
}
