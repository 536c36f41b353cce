package drivertest

import (
	"fmt"

	"github.com/prism-data-layer/prism/pkg/driver"
	"github.com/prism-data-layer/prism/pkg/prism"
)

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
