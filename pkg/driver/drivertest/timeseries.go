package drivertest

import (
	"fmt"
	"math"
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
