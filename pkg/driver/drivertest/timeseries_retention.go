package drivertest

import (
	"fmt"
	"time"

	"github.com/prism-data-layer/prism/pkg/driver"
	"github.com/prism-data-layer/prism/pkg/prism"
)

var timeseriesRetentionPromises = []promise{
	{"events whose retention is over go, and no others", testRetainEvents, "direct"},
	{"events are kept for ever unless it is said otherwise", testRetainForEver, "direct"},
	{"retention holds for what is appended later, and grows old", testRetainLater, "direct clock"},
	{"retention can be changed and ended", testRetainChanged, "direct"},
	{"retention is of one namespace", testRetainApart, "direct"},
	{"retention of events outlives a restart", testRetainReopen, "reopen direct"},
}

// aged makes events that are as old as that.
func (t *T) aged(ages ...time.Duration) []seriesEvent {
	events := make([]seriesEvent, len(ages))
	for i, age := range ages {
		events[i] = seriesEvent{Time: t.now().Add(-age).UnixNano(), Type: "tick", Dimensions: map[string]string{"age": age.String()}}
	}
	return events
}

func (t *T) retains(ns prism.Namespace, age time.Duration) {
	t.Helper()
	t.must(t.set().TimeSeriesRetention.RetainEvents(t.Ctx, ns, age))
}

// comesTo waits until a namespace holds just these events.
func (t *T) comesTo(what string, ns prism.Namespace, want []seriesEvent) {
	t.Helper()
	var diff string
	t.eventually(what, func() bool {
		got, _ := t.pageLoop(ns, driver.EventQuery{Selection: allTime()})
		if len(got) < len(want) {
			t.Fatalf("%s: more is gone than should be: %s", what, differSeries(got, want))
		}
		diff = differSeries(got, want)
		return diff == ""
	})
}

func testRetainEvents(t *T) {
	events := t.aged(1000*time.Hour, 30*time.Hour, 25*time.Hour, 23*time.Hour, time.Hour, 0, -time.Hour)
	t.sends(events[:3]...)
	t.sends(events[3:]...)
	mixed := t.aged(26*time.Hour, 22*time.Hour, 28*time.Hour, 21*time.Hour)
	t.sends(mixed...)
	t.retains(t.namespace(), 24*time.Hour)
	t.comesTo("what is over is gone", t.namespace(), append(events[3:7:7], mixed[1], mixed[3]))
	u, err := t.set().Store.Usage(t.Ctx, t.namespace())
	t.must(err)
	if !u.Estimated && u.Keys != 6 {
		t.Errorf("usage counts %d events, want 6", u.Keys)
	}
}

func testRetainForEver(t *T) {
	other := t.another()
	events := t.aged(100_000*time.Hour, 1000*time.Hour, 0)
	t.sends(events...)
	t.sendsEvents(other, events...)
	t.retains(t.namespace(), 0)
	t.retains(other, time.Hour)
	t.comesTo("the other is swept", other, events[2:])
	t.sameSeries("what is kept for ever", t.reads(allTime()), events)
}

func testRetainLater(t *T) {
	t.retains(t.namespace(), time.Hour)
	events := t.aged(50*time.Minute, 0)
	t.sends(events...)
	t.sameSeries("at once", t.reads(allTime()), events)
	t.pass(20 * time.Minute)
	t.comesTo("the older is gone", t.namespace(), events[1:])
	t.pass(time.Hour)
	t.comesTo("both are gone", t.namespace(), nil)
}

func testRetainChanged(t *T) {
	events := t.aged(30*time.Hour, 20*time.Hour, 10*time.Hour, 0)
	t.sends(events...)
	t.retains(t.namespace(), 25*time.Hour)
	t.comesTo("of 25 hours", t.namespace(), events[1:])
	t.retains(t.namespace(), 1000*time.Hour)
	t.sameSeries("of 1000 hours", t.reads(allTime()), events[1:])
	t.retains(t.namespace(), 15*time.Hour)
	t.comesTo("of 15 hours", t.namespace(), events[2:])
	t.retains(t.namespace(), 0)
	old := t.aged(500 * time.Hour)
	t.sends(old...)
	other := t.another()
	t.sendsEvents(other, old...)
	t.retains(other, time.Hour)
	t.comesTo("the other is swept", other, nil)
	t.sameSeries("of ever", t.reads(allTime()), append(old, events[2:]...))
}

func testRetainApart(t *T) {
	events := t.aged(30*time.Hour, 0)
	var names []prism.Namespace
	for range 3 {
		names = append(names, t.another())
		t.sendsEvents(names[len(names)-1], events...)
	}
	t.retains(names[1], time.Hour)
	t.comesTo("of the one", names[1], events[1:])
	for _, i := range []int{0, 2} {
		got, _ := t.pageLoop(names[i], driver.EventQuery{Selection: allTime()})
		t.sameSeries(fmt.Sprint("of namespace ", i), got, events)
	}
}

func testRetainReopen(t *T) {
	events := t.aged(30*time.Hour, 2*time.Hour, 0)
	t.sends(events...)
	t.retains(t.namespace(), 24*time.Hour)
	t.comesTo("before a restart", t.namespace(), events[1:])
	t.reopen()
	t.sameSeries("after a restart", t.reads(allTime()), events[1:])
	old := t.aged(40 * time.Hour)
	res, err := t.set().TimeSeries.AppendEvents(t.Ctx, t.namespace(), eventColumns(old...), driver.Receipt{})
	t.must(err)
	if res.Duplicates != 0 {
		t.Errorf("got %+v", res)
	}
	t.comesTo("what comes after a restart", t.namespace(), events[1:])
}
