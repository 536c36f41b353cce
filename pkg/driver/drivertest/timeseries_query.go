package drivertest

import (
	"fmt"
	"slices"
	"strings"

	"github.com/prism-data-layer/prism/pkg/driver"
)

// timeseriesQueryPromises belong to timeseries_basic too.
var timeseriesQueryPromises = []promise{
	{"a range of events includes its start and not its end", testEventRange, ""},
	{"types and sources select any of those that are named", testEventTypes, ""},
	{"events with a dimension in, not in, beginning with, there or absent", testEventFilters, ""},
	{"all conditions of a selection must hold", testEventConditions, ""},
	{"conditions compare bytes and mean nothing else", testEventHostileFilters, ""},
	{"the descending order is the order reversed", testEventDescending, ""},
	{"pages of events hold no more than asked for, and are the whole", testEventPages, ""},
	{"a query goes on after the position of a page", testEventPositions, ""},
	{"events of one time have one order", testEventOneTime, ""},
	{"who goes on sees what was added ahead of him, and nothing twice", testEventPositionsBeside, ""},
	{"a limit holds for all pages of events together", testEventLimit, ""},
}

func testEventRange(t *T) {
	events := eventsAt(0, 1, 2, 1000, 1001)
	t.sends(events...)
	for _, c := range []struct{ start, end, from, to int64 }{
		{0, 1, 0, 1}, {0, 2, 0, 2}, {1, 2, 1, 2}, {2, 1000, 2, 3}, {3, 1000, 3, 3}, {3, 1001, 3, 4}, {-5, 5000, 0, 5}, {1001, 1002, 4, 5}, {1002, 5000, 5, 5}, {-5, 0, 0, 0},
	} {
		s := driver.Selection{Start: eventBase + c.start, End: eventBase + c.end}
		t.sameSeries(fmt.Sprintf("from %d to %d", c.start, c.end), t.reads(s), events[c.from:c.to])
	}
}

// variedEvents differ in type, source and dimensions.
func variedEvents(n int) []seriesEvent {
	events := make([]seriesEvent, n)
	for i := range events {
		e := seriesEvent{
			Time: eventBase + int64(i), Type: fmt.Sprint("type-", i%3), Metrics: map[string]float64{"n": float64(i), "sine": float64(i*i%17) - 8},
			Dimensions: map[string]string{"host": fmt.Sprint("host-", i%5)},
		}
		if i%4 != 0 {
			e.Source = fmt.Sprint("source-", i%4)
		}
		if i%2 == 0 {
			e.Dimensions["zone"] = strings.Repeat("z", i%6)
		}
		if i%7 == 0 {
			delete(e.Metrics, "sine")
		}
		events[i] = e
	}
	return events
}

// chosen is what a selection means.
func chosen(events []seriesEvent, s driver.Selection) []seriesEvent {
	return slices.DeleteFunc(sorted(events), func(e seriesEvent) bool {
		return e.Time < s.Start || e.Time >= s.End ||
			len(s.Types) > 0 && !slices.Contains(s.Types, e.Type) ||
			len(s.Sources) > 0 && !slices.Contains(s.Sources, e.Source) ||
			!s.Dimensions.Match(e.Dimensions)
	})
}

// chooses holds what a selection finds against what it means, and wants at least
// one event if some is true.
func (t *T) chooses(events []seriesEvent, s driver.Selection, some bool) {
	t.Helper()
	s.Start, s.End = allTime().Start, allTime().End
	want := chosen(events, s)
	if some && (len(want) == 0 || len(want) == len(events)) {
		t.Fatalf("drivertest: %+v chooses %d of %d events", s, len(want), len(events))
	}
	t.sameSeries(fmt.Sprintf("%q %q %+q", s.Types, s.Sources, s.Dimensions), t.reads(s), want)
}

func testEventTypes(t *T) {
	events := variedEvents(60)
	t.sends(events[:20]...)
	t.sends(events[20:]...)
	t.chooses(events, driver.Selection{Types: []string{"type-1"}}, true)
	t.chooses(events, driver.Selection{Types: []string{"type-2", "type-0"}}, true)
	t.chooses(events, driver.Selection{Types: []string{"type-2", "other", "type-2"}}, true)
	t.chooses(events, driver.Selection{Types: []string{"type"}}, false)
	t.chooses(events, driver.Selection{Sources: []string{"source-1"}}, true)
	t.chooses(events, driver.Selection{Sources: []string{"source-3", "source-2"}}, true)
	t.chooses(events, driver.Selection{Sources: []string{"SOURCE-1"}}, false)
}

func where(name string, op driver.FilterOp, values ...string) driver.FilterClause {
	return driver.FilterClause{Attribute: name, Op: op, Values: values}
}

func testEventFilters(t *T) {
	events := variedEvents(60)
	t.sends(events[:33]...)
	t.sends(events[33:]...)
	for _, c := range []driver.FilterClause{
		where("host", driver.FilterIn, "host-1"), where("host", driver.FilterIn, "host-1", "host-4", "host-9"),
		where("zone", driver.FilterIn, ""), where("zone", driver.FilterIn, "zz", ""),
		where("host", driver.FilterNotIn, "host-1"), where("zone", driver.FilterNotIn, ""), where("zone", driver.FilterNotIn, "zz", "zzzz"),
		where("zone", driver.FilterPrefix, "zz"), where("zone", driver.FilterPrefix, ""),
		where("zone", driver.FilterExists), where("zone", driver.FilterAbsent),
	} {
		t.chooses(events, driver.Selection{Dimensions: driver.Filter{c}}, true)
	}
	for _, c := range []driver.FilterClause{
		where("host", driver.FilterIn, "host"), where("host", driver.FilterPrefix, "host-11"), where("none", driver.FilterExists),
		where("none", driver.FilterAbsent), where("none", driver.FilterNotIn, "x"), where("none", driver.FilterIn, ""), where("host", driver.FilterPrefix, "host"),
	} {
		t.chooses(events, driver.Selection{Dimensions: driver.Filter{c}}, false)
	}
}

func testEventConditions(t *T) {
	events := variedEvents(120)
	t.sends(events...)
	t.chooses(events, driver.Selection{Types: []string{"type-1"}, Sources: []string{"source-1", "source-2"}}, true)
	t.chooses(events, driver.Selection{
		Types: []string{"type-1", "type-2"}, Sources: []string{"source-2"},
		Dimensions: driver.Filter{where("zone", driver.FilterPrefix, "zz"), where("host", driver.FilterNotIn, "host-0")},
	}, true)
	t.chooses(events, driver.Selection{Dimensions: driver.Filter{where("host", driver.FilterNotIn, "host-0"), where("host", driver.FilterNotIn, "host-1")}}, true)
	t.chooses(events, driver.Selection{Dimensions: driver.Filter{where("host", driver.FilterIn, "host-0"), where("host", driver.FilterIn, "host-1")}}, false)
}

func testEventHostileFilters(t *T) {
	var events []seriesEvent
	for i, s := range hostile {
		events = append(events, seriesEvent{
			Time: eventBase + int64(i), Type: s, Source: s, Dimensions: map[string]string{"d": s, s: "x"}, Metrics: map[string]float64{"n": float64(i)},
		})
	}
	t.sends(events...)
	for _, s := range hostile {
		t.chooses(events, driver.Selection{Types: []string{s}}, true)
		t.chooses(events, driver.Selection{Sources: []string{s}}, true)
		t.chooses(events, driver.Selection{Dimensions: driver.Filter{where("d", driver.FilterIn, s)}}, true)
		t.chooses(events, driver.Selection{Dimensions: driver.Filter{where("d", driver.FilterNotIn, s)}}, true)
		t.chooses(events, driver.Selection{Dimensions: driver.Filter{where("d", driver.FilterPrefix, s)}}, true)
		t.chooses(events, driver.Selection{Dimensions: driver.Filter{where(s, driver.FilterExists)}}, true)
		t.chooses(events, driver.Selection{Dimensions: driver.Filter{where(s, driver.FilterAbsent)}}, true)
	}
	t.chooses(events, driver.Selection{Types: hostile}, false)
}

func testEventDescending(t *T) {
	events := eventsAt(3, 1, 2, 2, 2, 9, 5, 5)
	t.sends(events[:5]...)
	t.sends(events[5:]...)
	up := t.reads(allTime())
	for _, page := range []int{1, 2, 3, 100} {
		down, _ := t.pageLoop(t.namespace(), driver.EventQuery{Selection: allTime(), Descending: true, Page: page})
		slices.Reverse(down)
		if fmt.Sprint(down) != fmt.Sprint(up) {
			t.Errorf("descending in pages of %d, reversed:\n%v, want\n%v", page, down, up)
		}
	}
	down, _ := t.pageLoop(t.namespace(), driver.EventQuery{Selection: driver.Selection{Start: eventBase + 2, End: eventBase + 5}, Descending: true})
	slices.Reverse(down)
	t.sameSeries("a range, descending", down, sorted(events)[1:5])
}

func testEventPages(t *T) {
	events := variedEvents(500)
	for i := 0; i < len(events); i += 50 {
		t.sends(events[i : i+50]...)
	}
	for _, page := range []int{1, 7, 50, 499, 500, 501, 10_000} {
		got, _ := t.pageLoop(t.namespace(), driver.EventQuery{Selection: allTime(), Page: page}) // it looks at each page's length
		t.sameSeries(fmt.Sprint("pages of ", page), got, events)
	}
}

// goesOn reads page by page, each with a query of its own.
func (t *T) goesOn(q driver.EventQuery, between func(page int)) (events []seriesEvent) {
	t.Helper()
	for n := 0; ; n++ {
		r, err := t.set().TimeSeries.QueryEvents(t.Ctx, t.namespace(), q)
		t.must(err)
		page, err := r.Page(t.Ctx)
		t.must(err)
		t.must(r.Close())
		if page.Events.Len() == 0 {
			return events
		}
		if len(events) > 10_000 {
			t.Fatalf("the pages do not end")
		}
		events = append(events, eventRows(&page.Events)...)
		q.After = slices.Clone(page.Position)
		if between != nil {
			between(n)
		}
	}
}

func testEventPositions(t *T) {
	events := variedEvents(100)
	t.sends(events[50:]...)
	t.sends(events[:50]...)
	s := allTime()
	s.Dimensions = driver.Filter{where("zone", driver.FilterExists)}
	for _, descending := range []bool{false, true} {
		for _, page := range []int{1, 7, 1000} {
			got := t.goesOn(driver.EventQuery{Selection: s, Descending: descending, Page: page}, nil)
			if descending {
				slices.Reverse(got)
			}
			t.sameSeries(fmt.Sprintf("pages of %d, descending %v", page, descending), got, chosen(events, s))
		}
	}
}

func testEventOneTime(t *T) {
	var events []seriesEvent
	for i := range 90 {
		events = append(events, seriesEvent{Time: eventBase + int64(i%2), Type: "tick", Metrics: map[string]float64{"n": float64(i)}})
	}
	for i := 0; i < len(events); i += 15 {
		t.sends(events[i : i+15]...)
	}
	order := t.reads(allTime())
	t.sameSeries("all", order, sorted(events))
	for _, page := range []int{1, 7, 44, 46} {
		if got := t.goesOn(driver.EventQuery{Selection: allTime(), Page: page}, nil); fmt.Sprint(got) != fmt.Sprint(order) {
			t.Errorf("going on in pages of %d:\n%v, want\n%v", page, got, order)
		}
		got, _ := t.pageLoop(t.namespace(), driver.EventQuery{Selection: allTime(), Page: page})
		if fmt.Sprint(got) != fmt.Sprint(order) {
			t.Errorf("pages of %d:\n%v, want\n%v", page, got, order)
		}
	}
}

func testEventPositionsBeside(t *T) {
	first := eventsAt(10, 20, 20, 20, 30, 40)
	t.sends(first...)
	ahead := seriesEvent{Time: eventBase + 100, Type: "ahead"}
	behind := seriesEvent{Time: eventBase, Type: "behind"}
	at := seriesEvent{Time: eventBase + 20, Type: "beside"}
	got := t.goesOn(driver.EventQuery{Selection: allTime(), Page: 2}, func(page int) {
		if page == 0 {
			t.sends(behind, ahead)
			t.sends(at)
		}
	})
	// What was added at the time that is being read may be on either side.
	got = slices.DeleteFunc(got, func(e seriesEvent) bool { return e.Type == "beside" })
	t.sameSeries("all that was ahead", got, append(first, ahead))
	t.sameSeries("all", t.reads(allTime()), append([]seriesEvent{behind}, sorted(append(first, at, ahead))...))
}

func testEventLimit(t *T) {
	events := variedEvents(50)
	t.sends(events...)
	for _, c := range []struct {
		limit int64
		page  int
		want  int
	}{{1, 10, 1}, {10, 10, 10}, {25, 10, 25}, {25, 100, 25}, {50, 7, 50}, {100, 7, 50}, {0, 7, 50}} {
		got, _ := t.pageLoop(t.namespace(), driver.EventQuery{Selection: allTime(), Limit: c.limit, Page: c.page})
		t.sameSeries(fmt.Sprintf("limit %d in pages of %d", c.limit, c.page), got, events[:c.want])
		got, _ = t.pageLoop(t.namespace(), driver.EventQuery{Selection: allTime(), Limit: c.limit, Page: c.page, Descending: true})
		slices.Reverse(got)
		t.sameSeries(fmt.Sprintf("the last %d in pages of %d", c.limit, c.page), got, events[50-c.want:])
	}
}
