package drivertest

import (
	"context"

	"github.com/prism-data-layer/prism/pkg/driver"
	"github.com/prism-data-layer/prism/pkg/prism"
)

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
