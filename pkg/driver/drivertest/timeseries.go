package drivertest

import (
	"context"
	"crypto/sha256"
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"

	"github.com/prism-data-layer/prism/pkg/driver"
	"github.com/prism-data-layer/prism/pkg/prism"
)

var timeseriesPromises = []promise{
	{"events are read in order of time", testEventOrder, ""},
	{"an event is read as it was appended", testEventRoundTrip, ""},
	{"what an event says may be any bytes", testEventBytes, "anybytes"},
	{"times are exact, from 0 to the last", testEventTimes, "anybytes"},
	{"metrics are exact, to the sign of zero and the smallest number", testEventMetrics, ""},
	{"a dimension without a value is not one with an empty value", testEventEmptyValue, ""},
	{"columns may be left out, and dictionaries may hold what nobody uses", testEventColumns, ""},
	{"a batch belongs to whoever has it", testEventAliasing, ""},
	{"a batch may hold 131,072 events", testEventManyRows, ""},
	{"a batch may hold 4 MB", testEventManyBytes, ""},
	{"an event without a kind of value has none among those that have", testEventMixed, ""},
	{"two namespaces share no time series", testEventNamespaces, ""},
	{"names of namespaces are never part of a query", testEventHostileNamespaces, "anybytes"},
	{"a receipt appends a batch once", testEventReceipt, ""},
	{"a receipt of another batch is KEY_REUSED and appends nothing", testEventReceiptReused, ""},
	{"an id is stored once in a batch", testEventIDsInBatch, ""},
	{"an id is stored once over batches", testEventIDsOverBatches, ""},
	{"an id may come again when its window is over", testEventIDsWindow, "clock"},
	{"ids are known in their namespace only", testEventIDsApart, ""},
	{"one id that comes at once from many is stored once", testEventIDsTogether, ""},
	{"events that are appended at once are all read, each once", testEventsTogether, ""},
	{"who reads beside appenders sees what was acked, in order, once", testEventsReadBeside, ""},
	{"Drop removes events, ids and receipts, and of no other namespace", testEventDrop, ""},
	{"Usage counts events and their bytes", testEventUsage, ""},
	{"a call of a series whose context has ended changes nothing", testEventEnded, ""},
	{"a series is UNAVAILABLE when the store is closed", testEventClosed, ""},
	{"events outlive a restart", testEventReopen, "reopen"},
	{"receipts and ids of events outlive a restart", testEventReopenOnce, "reopen remembers"},
	{"a dropped series stays empty after a restart", testEventReopenDropped, "reopen"},
}

// eventBase is a time for events to be at: long ago, so that nothing depends on
// what time it is.
const eventBase = int64(1_700_000_000_000_000_000)

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

func testEventOrder(t *T) {
	events := eventsAt(5, 1, 9, 3, 7)
	more := eventsAt(2, 8, 0, 6, 4)
	t.sends(events...)
	t.sends(more...)
	t.sameSeries("all", t.reads(allTime()), sorted(append(events, more...)))
	other := t.another()
	got, _ := t.pageLoop(other, driver.EventQuery{Selection: allTime()})
	t.sameSeries("a namespace without events", got, nil)
}

func testEventRoundTrip(t *T) {
	events := []seriesEvent{
		{
			Time: eventBase + 1, Type: "http_request", Source: "web-1", ID: "id-1", Payload: "{\"a\":1}",
			Dimensions: map[string]string{"method": "GET", "path": "/", "grüße": "日本語"},
			Metrics:    map[string]float64{"ms": 1.5, "bytes": 1e9},
		},
		{Time: eventBase + 2, Type: "t"},
		{
			Time: eventBase + 3, Type: strings.Repeat("t", 256), Source: strings.Repeat("s", 256), ID: strings.Repeat("i", 128),
			Payload:    "\x00\xff\x80" + pattern(100_000, 3),
			Dimensions: map[string]string{strings.Repeat("d", 128): strings.Repeat("v", 1024)},
			Metrics:    map[string]float64{strings.Repeat("m", 128): -1},
		},
		{Time: eventBase + 4, Type: "wide", Dimensions: map[string]string{}, Metrics: map[string]float64{}},
	}
	for i := range 64 {
		events[3].Dimensions[fmt.Sprint("d", i)] = fmt.Sprint(i)
	}
	for i := range 256 {
		events[3].Metrics[fmt.Sprint("m", i)] = float64(i)
	}
	t.sends(events...)
	t.sameSeries("one batch", t.reads(allTime()), events)
	t.ns = ""
	for _, e := range events {
		t.sends(e)
	}
	t.sameSeries("one by one", t.reads(allTime()), events)
}

// hostile are strings that mean something to somebody.
var hostile = []string{
	"'", "''", `"`, "`", `\`, `\\`, `\'`, "%", "_", "%%", "*", "?", "$1", "{x}", ";", "--", "/*", "\x00", "a\x00b", "\n", "\t", "\x1b[0m",
	"' OR 1=1 --", "'; DROP TABLE events; --", "1) UNION SELECT 1", "NULL", "NaN", "0", " ", "a ", " a", "A", "é", "e\u0301", "\u202e",
}

func testEventBytes(t *T) {
	texts := append([]string{"\xff", "\x80\x00", "a\xc3", strings.Repeat("\xfe", 100)}, hostile...)
	var events []seriesEvent
	for i, s := range texts {
		events = append(events, seriesEvent{
			Time: eventBase + int64(i), Type: s, Source: s + "s", Dimensions: map[string]string{s: s + "v", "all": s},
			Metrics: map[string]float64{s: float64(i)}, Payload: s + "p", ID: s + "i",
		})
	}
	t.sends(events...)
	t.sameSeries("all", t.reads(allTime()), events)
}

func testEventTimes(t *T) {
	var events []seriesEvent
	for _, at := range []int64{0, 1, 999, 1_000_000_001, eventBase, eventBase + 1, 1 << 53, 1<<53 + 1, prism.MaxEventTime - 1, prism.MaxEventTime} {
		events = append(events, seriesEvent{Time: at, Type: "tick"})
	}
	events = sorted(events)
	t.sends(events...)
	t.sameSeries("all", t.reads(driver.Selection{Start: 0, End: prism.MaxEventTime + 1}), events)
	t.sameSeries("all but the last", t.reads(allTime()), events[:len(events)-1])
}

func testEventMetrics(t *T) {
	var events []seriesEvent
	for i, v := range []float64{
		0, math.Copysign(0, -1), 1e-320, math.SmallestNonzeroFloat64, math.MaxFloat64, -math.MaxFloat64, 0.1, 1.0 / 3, 1 << 53, 1<<53 + 2, -1e-300, math.Pi,
	} {
		events = append(events, seriesEvent{Time: eventBase + int64(i), Type: "tick", Metrics: map[string]float64{"v": v, "w": -v}})
	}
	t.sends(events...)
	t.sameSeries("all", t.reads(allTime()), events)
}

func testEventEmptyValue(t *T) {
	events := []seriesEvent{
		{Time: eventBase, Type: "t", Dimensions: map[string]string{"d": ""}},
		{Time: eventBase + 1, Type: "t"},
		{Time: eventBase + 2, Type: "t", Dimensions: map[string]string{"d": "x", "e": ""}},
	}
	t.sends(events...)
	t.sameSeries("all", t.reads(allTime()), events)
	holding := func(op driver.FilterOp, values ...string) []seriesEvent {
		s := allTime()
		s.Dimensions = driver.Filter{{Attribute: "d", Op: op, Values: values}}
		return t.reads(s)
	}
	t.sameSeries("with an empty value", holding(driver.FilterIn, ""), events[:1])
	t.sameSeries("without one", holding(driver.FilterAbsent), events[1:2])
}

func testEventColumns(t *T) {
	batch := &driver.EventBatch{
		Times: []int64{eventBase, eventBase + 1, eventBase + 2},
		Types: driver.Coded{Dictionary: []string{"all", "nobody"}},
		// A source that is empty is none, however it is said.
		Sources: driver.Coded{Dictionary: []string{"unused", "a", "a", ""}, Codes: []uint32{2, 3, 4}},
		Dimensions: []driver.Dimension{
			{Name: "none"},
			{Name: "none at all", Values: driver.Coded{Codes: []uint32{0, 0, 0}}},
			{Name: "same", Values: driver.Coded{Dictionary: []string{"x"}}},
			{Name: "twice", Values: driver.Coded{Dictionary: []string{"y", "unused", "y"}, Codes: []uint32{3, 1, 0}}},
		},
		Metrics: []driver.Metric{
			{Name: "all", Values: []float64{1, 2, 3}},
			{Name: "one", Values: []float64{math.NaN(), 5, math.Inf(1)}, Present: []byte{0xfa}},
			{Name: "nobody", Values: []float64{7, 8, 9}, Present: []byte{0}},
		},
		Payloads: driver.Blobs{Ends: []uint32{0, 3, 3}, Data: []byte("abc")},
	}
	res, err := t.set().TimeSeries.AppendEvents(t.Ctx, t.namespace(), batch, driver.Receipt{})
	t.must(err)
	if res.Stored != 3 {
		t.Errorf("stored %d, want 3", res.Stored)
	}
	want := []seriesEvent{
		{Time: eventBase, Type: "all", Source: "a", Dimensions: map[string]string{"same": "x", "twice": "y"}, Metrics: map[string]float64{"all": 1}},
		{Time: eventBase + 1, Type: "all", Source: "a", Dimensions: map[string]string{"same": "x", "twice": "y"}, Metrics: map[string]float64{"all": 2, "one": 5}, Payload: "abc"},
		{Time: eventBase + 2, Type: "all", Dimensions: map[string]string{"same": "x"}, Metrics: map[string]float64{"all": 3}},
	}
	t.sameSeries("all", t.reads(allTime()), want)
}

func testEventAliasing(t *T) {
	want := []seriesEvent{{
		Time: eventBase, Type: "type", Source: "source", Dimensions: map[string]string{"d": "v"},
		Metrics: map[string]float64{"m": 1}, Payload: "payload", ID: "id",
	}, {Time: eventBase + 1, Type: "other"}}
	spoil := func(b *driver.EventBatch) {
		for i := range b.Times {
			b.Times[i] = 1
		}
		for i := range b.Metrics {
			clear(b.Metrics[i].Values)
			clear(b.Metrics[i].Present)
			b.Metrics[i].Name = "spoilt"
		}
		for i := range b.Dimensions {
			clear(b.Dimensions[i].Values.Codes)
			clear(b.Dimensions[i].Values.Dictionary)
		}
		clear(b.Types.Codes)
		clear(b.Types.Dictionary)
		clear(b.Sources.Dictionary)
		clear(b.Payloads.Data)
		clear(b.IDs.Data)
		clear(b.IDs.Ends)
	}
	batch := eventColumns(want...)
	_, err := t.set().TimeSeries.AppendEvents(t.Ctx, t.namespace(), batch, driver.Receipt{})
	t.must(err)
	spoil(batch)
	for range 2 {
		r, err := t.set().TimeSeries.QueryEvents(t.Ctx, t.namespace(), driver.EventQuery{Selection: allTime(), Page: 10})
		t.must(err)
		page, err := r.Page(t.Ctx)
		t.must(err)
		t.sameSeries("what was appended", eventRows(&page.Events), want)
		spoil(&page.Events)
		t.must(r.Close())
	}
}

func testEventManyRows(t *T) {
	const n = 131_072
	dimensions := []string{"", "a", "b", "c"}
	batch := &driver.EventBatch{
		Times: make([]int64, n), Types: driver.Coded{Dictionary: []string{"tick"}},
		Dimensions: []driver.Dimension{{Name: "d", Values: driver.Coded{Dictionary: dimensions[1:], Codes: make([]uint32, n)}}},
		Metrics:    []driver.Metric{{Name: "m", Values: make([]float64, n)}},
	}
	for i := range n {
		j := i * 48_271 % n // in no order of time
		batch.Times[j] = eventBase + int64(i)
		batch.Dimensions[0].Values.Codes[j] = uint32(i % 4)
		batch.Metrics[0].Values[j] = float64(i)
	}
	res, err := t.set().TimeSeries.AppendEvents(t.Ctx, t.namespace(), batch, driver.Receipt{})
	t.must(err)
	if res.Stored != n {
		t.Errorf("stored %d, want %d", res.Stored, n)
	}
	r, err := t.set().TimeSeries.QueryEvents(t.Ctx, t.namespace(), driver.EventQuery{Selection: allTime(), Page: 5000})
	t.must(err)
	defer func() { t.must(r.Close()) }()
	next := 0
	for {
		page, err := r.Page(t.Ctx)
		t.must(err)
		if page.Events.Len() == 0 {
			break
		}
		for i, at := range page.Events.Times {
			metric, _ := page.Events.Metrics[0].At(i)
			dimension, _ := page.Events.Dimensions[0].Values.At(i)
			if at != eventBase+int64(next) || metric != float64(next) || dimension != dimensions[next%4] {
				t.Fatalf("event %d is at %d with m=%v and d=%q", next, at-eventBase, metric, dimension)
			}
			next++
		}
	}
	if next != n {
		t.Errorf("read %d events, want %d", next, n)
	}
}

func testEventManyBytes(t *T) {
	var events []seriesEvent
	for i := range 39 {
		events = append(events, seriesEvent{Time: eventBase + int64(i), Type: "blob", Payload: pattern(100_000, i)})
	}
	t.sends(events...)
	got, _ := t.pageLoop(t.namespace(), driver.EventQuery{Selection: allTime(), Page: 10})
	t.sameSeries("all", got, events)
}

func testEventMixed(t *T) {
	var events []seriesEvent
	for i := range int64(100) {
		e := seriesEvent{Time: eventBase + i, Type: fmt.Sprint("t", i%3), Dimensions: map[string]string{}, Metrics: map[string]float64{}}
		if i%2 == 0 {
			e.Source = fmt.Sprint("s", i%5)
		}
		if i%3 == 0 {
			e.Dimensions[fmt.Sprint("d", i%7)] = fmt.Sprint(i)
		}
		if i%5 == 0 {
			e.Metrics[fmt.Sprint("m", i%4)] = float64(i)
		}
		if i%11 == 0 {
			e.Payload = strings.Repeat("p", int(i))
		}
		if i%13 == 0 {
			e.ID = fmt.Sprint("id", i)
		}
		events = append(events, e)
	}
	for i, n := 0, 1; i < len(events); i, n = i+n, n+3 {
		t.sends(events[i:min(i+n, len(events))]...)
	}
	t.sameSeries("all", t.reads(allTime()), events)
}

func testEventNamespaces(t *T) {
	other := t.another()
	mine, theirs := eventsAt(1, 2, 3), eventsAt(2, 3, 4)
	t.sends(mine...)
	t.sendsEvents(other, theirs...)
	t.sameSeries("mine", t.reads(allTime()), mine)
	got, _ := t.pageLoop(other, driver.EventQuery{Selection: allTime()})
	t.sameSeries("theirs", got, theirs)
}

func testEventHostileNamespaces(t *T) {
	base := t.namespace()
	var names []prism.Namespace
	for _, s := range append([]string{"", "\xff", "\x00\x00", "/a"}, hostile...) {
		names = append(names, base+prism.Namespace(s))
	}
	for i, ns := range names {
		t.sendsEvents(ns, eventsAt(int64(i))...)
	}
	holds := func(i int, want []seriesEvent) {
		got, _ := t.pageLoop(names[i], driver.EventQuery{Selection: allTime()})
		t.sameSeries(fmt.Sprintf("namespace %q", names[i]), got, want)
	}
	for i := range names {
		holds(i, eventsAt(int64(i)))
	}
	for i := 0; i < len(names); i += 2 {
		t.must(t.set().Store.Drop(t.Ctx, names[i]))
	}
	for i := range names {
		if i%2 == 0 {
			holds(i, nil)
		} else {
			holds(i, eventsAt(int64(i)))
		}
	}
}

// appendsWith appends with a receipt.
func (t *T) appendsWith(r driver.Receipt, events ...seriesEvent) (driver.AppendResult, error) {
	return t.set().TimeSeries.AppendEvents(t.Ctx, t.namespace(), eventColumns(events...), r)
}

func testEventReceipt(t *T) {
	events := eventsAt(1, 2, 3)
	events[0].ID, events[2].ID = "same", "same"
	r := t.receipt("id", "body")
	first, err := t.appendsWith(r, events...)
	t.must(err)
	t.sends(eventsAt(9)...)
	second, err := t.appendsWith(r, events...)
	t.must(err)
	if want := (driver.AppendResult{Stored: 2, Duplicates: 1}); first != want {
		t.Errorf("got %+v, want %+v", first, want)
	}
	if want := (driver.AppendResult{Stored: 2, Duplicates: 1, Replayed: true}); second != want {
		t.Errorf("again: got %+v, want the first answer, replayed", second)
	}
	t.sameSeries("all", t.reads(allTime()), append(events[:2:2], eventsAt(9)...))
}

func testEventReceiptReused(t *T) {
	events := eventsAt(1, 2)
	_, err := t.appendsWith(t.receipt("id", "body"), events...)
	t.must(err)
	_, err = t.appendsWith(t.receipt("id", "other"), eventsAt(3)...)
	t.refused("another batch", err, prism.ReasonKeyReused)
	t.sameSeries("all", t.reads(allTime()), events)
}

// withIDs gives events ids; an empty one is none.
func withIDs(events []seriesEvent, ids ...string) []seriesEvent {
	for i := range events {
		events[i].ID = ids[i]
	}
	return events
}

// answers appends and wants so many stored and left out.
func (t *T) answers(what string, stored, duplicates int64, events ...seriesEvent) {
	t.Helper()
	res, err := t.appendsWith(driver.Receipt{}, events...)
	t.must(err)
	if want := (driver.AppendResult{Stored: stored, Duplicates: duplicates}); res != want {
		t.Errorf("%s: got %+v, want %+v", what, res, want)
	}
}

func testEventIDsInBatch(t *T) {
	events := withIDs(eventsAt(1, 2, 3, 4, 5, 6), "a", "", "b", "a", "", "b")
	t.answers("a batch with two ids twice", 4, 2, events...)
	t.sameSeries("all", t.reads(allTime()), []seriesEvent{events[0], events[1], events[2], events[4]})
}

func testEventIDsOverBatches(t *T) {
	first := withIDs(eventsAt(1, 2, 3), "a", "b", "")
	t.answers("new ids", 3, 0, first...)
	t.answers("the same batch", 1, 2, first...)
	second := withIDs(eventsAt(10, 11, 12), "b", "c", "a")
	t.answers("other events with these ids", 1, 2, second...)
	t.answers("only ids that are known", 0, 3, second...)
	t.sameSeries("all", t.reads(allTime()), []seriesEvent{first[0], first[1], first[2], first[2], second[1]})
}

func testEventIDsWindow(t *T) {
	t.answers("a new id", 1, 0, withIDs(eventsAt(1), "a")...)
	t.pass(driver.DedupeWindow - t.second())
	t.answers("within the window", 0, 1, withIDs(eventsAt(2), "a")...)
	t.pass(2 * t.second())
	t.answers("after the window", 1, 0, withIDs(eventsAt(3), "a")...)
	t.answers("within its next window", 0, 1, withIDs(eventsAt(4), "a")...)
}

func testEventIDsApart(t *T) {
	events := withIDs(eventsAt(1), "a")
	t.sends(events...)
	t.sendsEvents(t.another(), events...)
}

func testEventIDsTogether(t *T) {
	const callers, each = 8, 20
	stored := make([]int64, callers)
	t.together(callers, func(i int) error {
		for n := range each {
			e := seriesEvent{Time: eventBase + int64(n), Type: "tick", ID: fmt.Sprint(n)}
			res, err := t.appendsWith(driver.Receipt{}, e)
			if err != nil {
				return err
			}
			stored[i] += res.Stored
			if res.Stored+res.Duplicates != 1 {
				return fmt.Errorf("one event: %+v", res)
			}
		}
		return nil
	})
	var sum int64
	for _, n := range stored {
		sum += n
	}
	if got := len(t.reads(allTime())); got != each || sum != each {
		t.Errorf("%d are there and %d were acked as stored, want %d", got, sum, each)
	}
}

// numbered are events that a caller sends, told apart by who and how many.
func numbered(caller, from, n int) []seriesEvent {
	events := make([]seriesEvent, n)
	for i := range events {
		events[i] = seriesEvent{
			Time: eventBase + int64((from+i)%50), Type: "tick", Source: fmt.Sprint("caller ", caller),
			Metrics: map[string]float64{"n": float64(from + i)}, Dimensions: map[string]string{"n": fmt.Sprint(from + i)},
		}
	}
	return events
}

func testEventsTogether(t *T) {
	const callers, each = 8, 25
	var want []seriesEvent
	for i := range callers {
		for n := range each {
			want = append(want, numbered(i, n*10, n%5+1)...)
		}
	}
	t.together(callers, func(i int) error {
		for n := range each {
			events := numbered(i, n*10, n%5+1)
			res, err := t.appendsWith(driver.Receipt{}, events...)
			if err != nil || res.Stored != int64(len(events)) {
				return fmt.Errorf("%+v, %v", res, err)
			}
		}
		return nil
	})
	t.sameSeries("all", t.reads(allTime()), sorted(want))
}

func testEventsReadBeside(t *T) {
	const batches = 40
	acked := make(chan int, batches)
	t.together(2, func(i int) error {
		if i == 0 {
			defer close(acked)
			for n := range batches {
				if _, err := t.appendsWith(driver.Receipt{}, numbered(0, n*10, 10)...); err != nil {
					return err
				}
				acked <- n
			}
			return nil
		}
		for n := range acked {
			got, err := t.readBeside()
			if err != nil {
				return err
			}
			for want := range (n + 1) * 10 {
				if got[want] != 1 {
					return fmt.Errorf("event %d of %d acked ones was read %d times", want, (n+1)*10, got[want])
				}
			}
		}
		return nil
	})
}

// readBeside counts how often each of the numbered events is read, and may be
// called by any goroutine.
func (t *T) readBeside() (map[int]int, error) {
	r, err := t.set().TimeSeries.QueryEvents(t.Ctx, t.namespace(), driver.EventQuery{Selection: allTime(), Page: 100})
	if err != nil {
		return nil, err
	}
	defer func() { _ = r.Close() }()
	got, last := map[int]int{}, int64(0)
	for {
		page, err := r.Page(t.Ctx)
		if err != nil || page.Events.Len() == 0 {
			return got, err
		}
		for _, e := range eventRows(&page.Events) {
			if e.Time < last {
				return nil, fmt.Errorf("an event at %d after one at %d", e.Time, last)
			}
			last = e.Time
			got[int(e.Metrics["n"])]++
		}
	}
}

func testEventDrop(t *T) {
	events := withIDs(eventsAt(1, 2), "a", "b")
	r := t.receipt("id", "body")
	_, err := t.appendsWith(r, events...)
	t.must(err)
	near := []prism.Namespace{t.another()}
	if t.store().Namespace == nil {
		near = append(near, t.namespace()+"a", t.namespace()[:len(t.namespace())-1])
	}
	for _, ns := range near {
		t.sendsEvents(ns, events...)
	}
	t.must(t.set().Store.Drop(t.Ctx, t.namespace()))
	t.sameSeries("after Drop", t.reads(allTime()), nil)
	for _, ns := range near {
		got, _ := t.pageLoop(ns, driver.EventQuery{Selection: allTime()})
		t.sameSeries("of another namespace", got, events)
	}
	res, err := t.appendsWith(r, events...)
	t.must(err)
	if want := (driver.AppendResult{Stored: 2}); res != want {
		t.Errorf("again after Drop: got %+v, want %+v", res, want)
	}
	t.sameSeries("again", t.reads(allTime()), events)
	t.must(t.set().Store.Drop(t.Ctx, t.namespace()))
	t.must(t.set().Store.Drop(t.Ctx, t.namespace()))
}

func testEventUsage(t *T) {
	events := eventsAt(1, 2, 3)
	events[0].Payload = pattern(5000, 1)
	t.sends(events...)
	_, err := t.appendsWith(t.receipt("id", "body"), eventsAt(4)...)
	t.must(err)
	u, err := t.set().Store.Usage(t.Ctx, t.namespace())
	t.must(err)
	if u.Estimated {
		return
	}
	if u.Keys != 4 || u.Bytes < 5000 || u.Receipts != 1 {
		t.Errorf("got %+v, want 4 events, at least 5000 bytes and a receipt", u)
	}
}

func testEventEnded(t *T) {
	s, ns := t.set().TimeSeries, t.namespace()
	ctx, cancel := context.WithCancel(t.Ctx)
	cancel()
	_, err := s.AppendEvents(ctx, ns, eventColumns(eventsAt(1)...), driver.Receipt{})
	t.refused("AppendEvents", err, prism.ReasonCancelled)
	r, err := s.QueryEvents(ctx, ns, driver.EventQuery{Selection: allTime(), Page: 10})
	if err == nil { // it asks the store only for a page
		_, err = r.Page(ctx)
		t.must(r.Close())
	}
	t.refused("QueryEvents", err, prism.ReasonCancelled)
	t.sameSeries("all", t.reads(allTime()), nil)
}

func testEventClosed(t *T) {
	s, ns := t.set().TimeSeries, t.namespace()
	t.sends(eventsAt(1)...)
	t.must(t.set().Store.Close())
	_, err := s.AppendEvents(t.Ctx, ns, eventColumns(eventsAt(2)...), driver.Receipt{})
	t.unavailable("AppendEvents", err)
	r, err := s.QueryEvents(t.Ctx, ns, driver.EventQuery{Selection: allTime(), Page: 10})
	if err == nil {
		_, err = r.Page(t.Ctx)
		_ = r.Close()
	}
	t.unavailable("QueryEvents", err)
}

func testEventReopen(t *T) {
	var want []seriesEvent
	for n := range 20 {
		events := numbered(n, n*7, n+1)
		t.sends(events...)
		want = append(want, events...)
	}
	want = sorted(want)
	for range 2 {
		t.reopen()
		t.sameSeries("after a restart", t.reads(allTime()), want)
	}
	more := eventsAt(1000)
	t.sends(more...)
	t.sameSeries("with one more", t.reads(allTime()), append(want, more...))
}

func testEventReopenOnce(t *T) {
	r := t.receipt("id", "body")
	events := withIDs(eventsAt(1, 2), "a", "b")
	_, err := t.appendsWith(r, events...)
	t.must(err)
	t.reopen()
	res, err := t.appendsWith(r, events...)
	t.must(err)
	if want := (driver.AppendResult{Stored: 2, Replayed: true}); res != want {
		t.Errorf("the receipt answers %+v, want %+v", res, want)
	}
	t.answers("known ids", 0, 2, withIDs(eventsAt(3, 4), "b", "a")...)
	t.sameSeries("all", t.reads(allTime()), events)
}

func testEventReopenDropped(t *T) {
	t.sends(eventsAt(1, 2)...)
	t.must(t.set().Store.Drop(t.Ctx, t.namespace()))
	t.reopen()
	t.sameSeries("after Drop and a restart", t.reads(allTime()), nil)
}
