package drivertest

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/prism-data-layer/prism/pkg/driver"
	"github.com/prism-data-layer/prism/pkg/prism"
)

var pubsubPromises = []promise{
	{"a subscription gets what is published after it stands, as it was published", testPubSubWhole, ""},
	{"every subscription of a topic gets every event", testPubSubAll, ""},
	{"the events of one publisher come in order", testPubSubOrder, ""},
	{"a subscription gets its own topic only, byte by byte", testPubSubTopics, ""},
	{"a subscription gets nothing that was published before it", testPubSubBefore, ""},
	{"publishing without subscriptions is no error", testPubSubNobody, ""},
	{"Publish says how many subscriptions it went to, or that it does not know", testPubSubCount, ""},
	{"a batch of 1,000 events comes whole, each with its result", testPubSubBatch, ""},
	{"payloads of no byte and of 1 MiB come as they are", testPubSubSizes, ""},
	{"the memory of an event may be used again after Publish", testPubSubMemory, ""},
	{"a waiting Next wakes up at the event", testPubSubWakes, ""},
	{"Next of a subscription ends with its context and can be called again", testPubSubContext, ""},
	{"Next after Close of the subscription is an error, and the others go on", testPubSubClose, ""},
	{"closing a subscription ends its waiting Next", testPubSubCloseWaiting, ""},
	{"a reader that does not keep up loses the newest and learns how many", testPubSubDrop, ""},
	{"a reader that does not keep up is ended with SLOW_CONSUMER if it wants", testPubSubDisconnect, ""},
	{"a reader that does not read slows nobody", testPubSubSlowNeighbour, ""},
	{"many publishers and subscriptions at once lose nothing", testPubSubTogether, ""},
	{"subscriptions that come and go disturb no other", testPubSubComeAndGo, ""},
	{"two namespaces share no events", testPubSubNamespaces, ""},
	{"namespaces of any bytes share no events", testPubSubAnyNamespaces, "anybytes"},
	{"calls whose context has ended publish nothing", testPubSubEnded, ""},
	{"closing the store ends waiting subscriptions with UNAVAILABLE", testPubSubStoreClose, ""},
}

var pubsubWildcardPromises = []promise{
	{"* stands for one token, > at the end for one or more", testPubSubPatterns, ""},
	{"a pattern without wildcards is a topic", testPubSubPlainPattern, ""},
	{"an event comes once for each subscription that it matches", testPubSubOverlap, ""},
}

var pubsubGroupPromises = []promise{
	{"each event goes to one member of a group", testPubSubGroup, ""},
	{"every group gets every event, and so do those outside", testPubSubGroups, ""},
	{"all members of a group get a share", testPubSubGroupShares, ""},
	{"when a member leaves the others go on", testPubSubGroupLeave, ""},
	{"members with other patterns are of one group", testPubSubGroupPatterns, "pubsub_wildcards"},
	{"groups of two namespaces share nothing", testPubSubGroupNamespaces, ""},
}

var pubsubFilterPromises = []promise{
	{"each operator keeps what it says", testPubSubFilterOps, ""},
	{"every clause must hold", testPubSubFilterAll, ""},
	{"an empty filter matches all", testPubSubFilterNone, ""},
	{"events that do not match do not count as waiting", testPubSubFilterPending, ""},
}

var pubsubOrderingPromises = []promise{
	{"events with one key come in one order to everybody, also when calls overlap", testPubSubOrdered, ""},
	{"ordered events of one publisher come in order", testPubSubOrderedOne, ""},
	{"the ordering key comes with the event", testPubSubOrderedKey, ""},
}

func testPubSubWhole(t *T) {
	h := t.hear(to("a.b"))
	want := t.full("a.b", "hello")
	t.publish(want)
	h.until(1)
	t.sameEvent(h.seen[0], want)
	if h.seen[0].Position != nil || !h.seen[0].Receipt.IsZero() {
		t.Errorf("a live event came with position %v or a receipt", h.seen[0].Position)
	}
}

func testPubSubAll(t *T) {
	hearings := []*hearing{t.hear(to("a")), t.hear(to("a")), t.hear(to("a"))}
	events := t.events("a", 0, 20)
	t.publish(events...)
	for _, h := range hearings {
		h.wants(eventPayloads(events)...)
	}
}

func testPubSubOrder(t *T) {
	h := t.hear(to("a"))
	for i := range 300 {
		t.publish(t.events("a", i, 1)...)
	}
	h.until(300)
	h.streams(1, 300)
}

func testPubSubTopics(t *T) {
	h := t.hear(to("a.b"))
	for _, topic := range []string{"a", "b", "a.b.c", "a.B", "A.b", "ab", "a.bb", "a.b.", "a.ä", "*", "a.*", ">"} {
		if prism.ValidTopic(topic) {
			t.publish(t.event(topic, "not for it"))
		}
	}
	t.publish(t.event("a.b", "for it"))
	h.wants("for it")
	odd := "Ünïcödé.{}[]?\\^$.\"'"
	o := t.hear(to(odd))
	t.publish(t.event(odd, "odd"))
	o.wants("odd")
}

func testPubSubBefore(t *T) {
	t.publish(t.events("a", 0, 10)...)
	h := t.hear(to("a"))
	t.publish(t.event("a", "after"))
	h.wants("after")
}

func testPubSubNobody(t *T) {
	for _, r := range t.publish(t.events("nobody.hears", 0, 3)...) {
		if r.Subscribers != 0 && r.Subscribers != -1 {
			t.Errorf("it went to %d subscriptions", r.Subscribers)
		}
	}
}

func testPubSubCount(t *T) {
	for want := range int64(4) {
		r := t.publish(t.event("a", "x"))[0]
		if r.Subscribers != want && r.Subscribers != -1 {
			t.Errorf("it went to %d subscriptions, want %d or -1", r.Subscribers, want)
		}
		t.hear(to("a"))
		t.hear(to("other"))
	}
}

func testPubSubBatch(t *T) {
	a, b := t.hear(to("a")), t.hear(to("b"))
	var events []driver.Event
	for i := range 500 {
		events = append(events, t.events("a", i, 1)[0], t.events("b", i, 1)[0])
	}
	t.publish(events...)
	a.until(500)
	b.until(500)
	a.streams(1, 500)
	b.streams(1, 500)
}

func testPubSubSizes(t *T) {
	h := t.hear(to("a"))
	big := pattern(prism.MaxValueBytes, 1)
	t.publish(t.event("a", ""))
	t.publish(t.event("a", big))
	h.until(2)
	if len(h.seen[0].Payload) != 0 || string(h.seen[1].Payload) != big {
		t.Errorf("got %s and %s", short(h.seen[0].Payload), short(h.seen[1].Payload))
	}
}

func testPubSubMemory(t *T) {
	h := t.hear(to("a"))
	e := t.full("a", "first")
	want := t.full("a", "first")
	t.publish(e)
	copy(e.Payload, "XXXXX")
	e.Attributes["kind"] = "changed"
	h.until(1)
	t.sameEvent(h.seen[0], want)
}

func testPubSubWakes(t *T) {
	h := t.hear(to("a"))
	got := make(chan error, 1)
	go func() {
		ctx, cancel := h.within()
		defer cancel()
		_, err := h.next(ctx)
		got <- err
	}()
	t.publish(t.event("a", "x"))
	if err := <-got; err != nil {
		t.Errorf("the waiting Next: %v", err)
	}
}

func testPubSubContext(t *T) {
	h := t.hear(to("a"))
	for _, reason := range []prism.Reason{prism.ReasonCancelled, prism.ReasonDeadlineExceeded} {
		ctx, cancel := context.WithCancel(t.Ctx)
		if reason == prism.ReasonDeadlineExceeded {
			ctx, cancel = context.WithDeadline(t.Ctx, time.Now().Add(-time.Second))
		}
		cancel()
		_, err := h.next(ctx)
		t.refused("Next", err, reason)
	}
	t.publish(t.event("a", "x"))
	h.wants("x")
}

func testPubSubClose(t *T) {
	h, other := t.hear(to("a")), t.hear(to("a"))
	t.publish(t.event("a", "1"))
	t.must(h.close())
	t.must(h.close())
	ctx, cancel := h.within()
	defer cancel()
	for range 2 { // what was on its way may still come
		if _, err := h.next(ctx); err != nil {
			break
		}
	}
	if _, err := h.next(ctx); err == nil || ctx.Err() != nil {
		t.Errorf("Next after Close: %v", err)
	}
	t.publish(t.event("a", "2"))
	other.wants("1", "2")
}

func testPubSubCloseWaiting(t *T) {
	h := t.hear(to("a"))
	got := make(chan error, 1)
	ctx, cancel := h.within()
	defer cancel()
	go func() {
		_, err := h.next(ctx)
		got <- err
	}()
	t.must(h.close())
	if err := <-got; err == nil || errors.Is(err, prism.ReasonDeadlineExceeded) {
		t.Errorf("the waiting Next: %v", err)
	}
}

// slow publishes far more than may wait and gives what was published.
func (t *T) slow(policy driver.SlowPolicy) (*hearing, []driver.Event) {
	h := t.hear(driver.Subscription{Pattern: "a", Pending: 10, Slow: policy})
	events := t.events("a", 0, 2000)
	t.publish(events...)
	return h, events
}

func testPubSubDrop(t *T) {
	h, events := t.slow(driver.SlowDrop)
	for int64(len(h.seen))+h.dropped < int64(len(events)) {
		h.take(h.within())
	}
	if int64(len(h.seen))+h.dropped != int64(len(events)) {
		t.Errorf("%d came and %d were dropped of %d", len(h.seen), h.dropped, len(events))
	}
	if !slices.IsSorted(eventPayloads(h.seen)) {
		t.Errorf("what came is out of order")
	}
	if !t.harness.Wire && !t.harness.Async && len(h.seen) != 10 {
		t.Errorf("%d came, want the first 10", len(h.seen))
	}
	seen := len(h.seen)
	t.publish(t.event("a", "after"))
	h.until(seen + 1)
	if got := string(h.seen[seen].Payload); got != "after" {
		t.Errorf("after the drop came %s", got)
	}
}

func testPubSubDisconnect(t *T) {
	h, events := t.slow(driver.SlowDisconnect)
	ctx, cancel := h.within()
	defer cancel()
	for len(h.seen) < len(events) {
		got, err := h.next(ctx)
		h.seen = append(h.seen, got...)
		if err != nil {
			t.refused("the end", err, prism.ReasonSlowConsumer)
			break
		}
	}
	for i, p := range eventPayloads(h.seen) {
		if p != string(events[i].Payload) {
			t.Errorf("event %d is %s, want %s", i, p, events[i].Payload)
			break
		}
	}
	if !t.harness.Wire && !t.harness.Async && len(h.seen) != 10 {
		t.Errorf("%d events came before the end, want 10", len(h.seen))
	}
}

func testPubSubSlowNeighbour(t *T) {
	for _, policy := range []driver.SlowPolicy{driver.SlowDrop, driver.SlowDisconnect} {
		t.hear(driver.Subscription{Pattern: "a", Pending: 1, Slow: policy})
	}
	h := t.hear(to("a"))
	events := t.events("a", 0, 3000)
	t.publish(events...)
	h.until(len(events))
	h.streams(1, len(events))
	if h.dropped != 0 {
		t.Errorf("%d dropped", h.dropped)
	}
}

func testPubSubTogether(t *T) {
	const publishers, each = 8, 200
	hearings := []*hearing{t.hear(to("a")), t.hear(to("a")), t.hear(to("a"))}
	t.together(publishers+len(hearings), func(i int) error {
		if i >= publishers {
			h := hearings[i-publishers]
			for len(h.seen) < publishers*each {
				ctx, cancel := h.within()
				got, err := h.next(ctx)
				cancel()
				if err != nil {
					return fmt.Errorf("after %d: %w", len(h.seen), err)
				}
				h.seen = append(h.seen, got...)
			}
			return nil
		}
		for n := range each {
			var r [1]driver.PublishResult
			e := t.event("a", fmt.Sprintf("p%d-%04d", i, n))
			if err := t.set().PubSub.Publish(t.Ctx, t.namespace(), []driver.Event{e}, r[:]); err != nil {
				return err
			}
		}
		return nil
	})
	for _, h := range hearings {
		h.streams(publishers, each)
	}
}

func testPubSubComeAndGo(t *T) {
	h := t.hear(to("a"))
	t.together(4, func(i int) error {
		if i == 0 {
			for n := range 300 {
				var r [1]driver.PublishResult
				if err := t.set().PubSub.Publish(t.Ctx, t.namespace(), t.events("a", n, 1), r[:]); err != nil {
					return err
				}
			}
			return nil
		}
		for range 50 {
			s, err := t.set().PubSub.Subscribe(t.Ctx, t.namespace(), to("a"))
			if err != nil {
				return err
			}
			if err := s.Close(); err != nil {
				return err
			}
		}
		return nil
	})
	h.until(300)
	h.streams(1, 300)
}

func testPubSubNamespaces(t *T) {
	other := t.another()
	s, err := t.set().PubSub.Subscribe(t.Ctx, other, to("a"))
	o := t.hearing(s, err)
	h := t.hear(to("a"))
	t.publish(t.event("a", "mine"))
	var r [1]driver.PublishResult
	t.must(t.set().PubSub.Publish(t.Ctx, other, []driver.Event{t.event("a", "theirs")}, r[:]))
	h.wants("mine")
	o.wants("theirs")
}

func testPubSubAnyNamespaces(t *T) {
	base := string(t.namespace())
	names := []string{"", "/", ":", ".", "a", "a.", "\x00", "\xff", "*", ">", "{x}", "a/b", "a b"}
	hearings := map[string]*hearing{}
	for _, n := range names {
		s, err := t.set().PubSub.Subscribe(t.Ctx, prism.Namespace(base+n), to("a.b"))
		hearings[n] = t.hearing(s, err)
	}
	for _, n := range names {
		var r [1]driver.PublishResult
		t.must(t.set().PubSub.Publish(t.Ctx, prism.Namespace(base+n), []driver.Event{t.event("a.b", "of "+n)}, r[:]))
	}
	for n, h := range hearings {
		h.wants("of " + n)
	}
}

func testPubSubEnded(t *T) {
	h := t.hear(to("a"))
	ctx, cancel := context.WithCancel(t.Ctx)
	cancel()
	var r [1]driver.PublishResult
	t.refused("Publish", t.set().PubSub.Publish(ctx, t.namespace(), []driver.Event{t.event("a", "not")}, r[:]), prism.ReasonCancelled)
	if _, err := t.set().PubSub.Subscribe(ctx, t.namespace(), to("a")); err == nil {
		t.Errorf("Subscribe with an ended context: no error")
	}
	t.publish(t.event("a", "yes"))
	h.wants("yes")
}

func testPubSubStoreClose(t *T) {
	h := t.hear(to("a"))
	got := make(chan error, 1)
	ctx, cancel := h.within()
	defer cancel()
	go func() {
		for {
			if _, err := h.next(ctx); err != nil {
				got <- err
				return
			}
		}
	}()
	set := *t.set()
	ns := t.namespace()
	t.must(set.Store.Close())
	t.unavailable("a waiting Next", <-got)
	var r [1]driver.PublishResult
	t.unavailable("Publish", set.PubSub.Publish(t.Ctx, ns, []driver.Event{t.event("a", "x")}, r[:]))
	_, err := set.PubSub.Subscribe(t.Ctx, ns, to("a"))
	t.unavailable("Subscribe", err)
}

func testPubSubPatterns(t *T) {
	patterns := []string{"*", ">", "a.*", "a.>", "*.b", "*.*", "a.*.c", "a.b.c", "*.>", "a.*.>", "x.>", "a", "a.b"}
	topics := []string{"a", "b", "a.b", "a.c", "x.b", "a.b.c", "a.x.c", "a.b.c.d", "x", "x.y.z", "a.bb", "aa.b", "ä.b"}
	hearings := map[string]*hearing{}
	for _, p := range patterns {
		hearings[p] = t.hearPattern(p)
	}
	for _, topic := range topics {
		t.publish(t.event(topic, topic))
	}
	for _, p := range patterns {
		var want []string
		for _, topic := range topics {
			if driver.MatchTopic(p, topic) {
				want = append(want, topic)
			}
		}
		// Other patterns may cover the event that ends the wait: it is nobody else's.
		end := "end of " + p
		t.publish(t.event(strings.NewReplacer("*", "last", ">", "last").Replace(p), end))
		h := hearings[p]
		for len(h.seen) == 0 || string(h.seen[len(h.seen)-1].Payload) != end {
			h.take(h.within())
		}
		got := slices.DeleteFunc(eventPayloads(h.seen), func(s string) bool { return strings.HasPrefix(s, "end of ") })
		if !slices.Equal(got, want) {
			t.Errorf("%s: got %q, want %q", p, got, want)
		}
	}
}

func testPubSubPlainPattern(t *T) {
	h := t.hearPattern("a.b")
	t.publish(t.event("a.c", "no"))
	t.publish(t.event("a.b", "yes"))
	h.wants("yes")
}

func testPubSubOverlap(t *T) {
	one, two, three := t.hearPattern("a.>"), t.hearPattern("*.b"), t.hear(to("a.b"))
	t.publish(t.events("a.b", 0, 5)...)
	for _, h := range []*hearing{one, two, three} {
		h.wants(eventPayloads(t.events("a.b", 0, 5))...)
	}
}

// share reads all members until they have n events together. What a member has
// in hand by then is kept too: it may be the event that came twice.
func share(t *T, n int, members ...*hearing) {
	t.Helper()
	type got struct {
		events int
		err    error
	}
	ctx, cancel := members[0].within()
	out := make(chan got)
	var readers sync.WaitGroup
	defer readers.Wait()
	for _, h := range members {
		readers.Go(func() {
			for {
				events, err := h.next(ctx)
				h.seen = append(h.seen, events...)
				select {
				case out <- got{len(events), err}:
				case <-ctx.Done():
					return
				}
				if err != nil {
					return
				}
			}
		})
	}
	defer cancel()
	for total := 0; total < n; {
		g := <-out
		if g.err != nil {
			t.Fatalf("after %d of %d events: %v", total, n, g.err)
		}
		total += g.events
	}
}

// all is what the members got together, and what comes a moment later: an event
// that two of them get may be late.
func all(members ...*hearing) []string {
	for _, h := range members {
		ctx, cancel := context.WithTimeout(h.t.Ctx, 150*time.Millisecond)
		for ctx.Err() == nil {
			events, err := h.next(ctx)
			if err != nil {
				break
			}
			h.seen = append(h.seen, events...)
		}
		cancel()
	}
	var list []string
	for _, h := range members {
		list = append(list, eventPayloads(h.seen)...)
	}
	slices.Sort(list)
	return list
}

func testPubSubGroup(t *T) {
	a, b, c := t.hearGroup("g", "a"), t.hearGroup("g", "a"), t.hearGroup("g", "a")
	events := t.events("a", 0, 300)
	t.publish(events...)
	share(t, len(events), a, b, c)
	if got := all(a, b, c); !slices.Equal(got, eventPayloads(events)) {
		t.Errorf("the members got %s", fewOf(got))
	}
}

func testPubSubGroups(t *T) {
	g, h, outside := t.hearGroup("g", "a"), t.hearGroup("h", "a"), t.hear(to("a"))
	events := t.events("a", 0, 50)
	t.publish(events...)
	for _, x := range []*hearing{g, h, outside} {
		x.wants(eventPayloads(events)...)
	}
}

func testPubSubGroupShares(t *T) {
	a, b := t.hearGroup("g", "a"), t.hearGroup("g", "a")
	n := 0
	for len(a.seen) == 0 || len(b.seen) == 0 {
		if n == 2000 {
			t.Fatalf("of %d events one member got none: %d and %d", n, len(a.seen), len(b.seen))
		}
		t.publish(t.events("a", n, 20)...)
		n += 20
		share(t, 20, a, b)
	}
}

func testPubSubGroupLeave(t *T) {
	a, b := t.hearGroup("g", "a"), t.hearGroup("g", "a")
	first := t.events("a", 0, 40)
	t.publish(first...)
	share(t, len(first), a, b)
	if got := all(a, b); !slices.Equal(got, eventPayloads(first)) {
		t.Errorf("the members got %s", fewOf(got))
	}
	t.must(a.close())
	b.seen = nil
	second := t.events("a", 40, 40)
	t.publish(second...)
	b.wants(eventPayloads(second)...)
}

func testPubSubGroupPatterns(t *T) {
	a, b := t.hearGroup("g", "a.*"), t.hearGroup("g", "a.>")
	events := t.events("a.b", 0, 60)
	t.publish(events...)
	share(t, len(events), a, b)
	if got := all(a, b); !slices.Equal(got, eventPayloads(events)) {
		t.Errorf("the members got %s", fewOf(got))
	}
	a.seen, b.seen = nil, nil
	t.publish(t.event("a.b.c", "deep"))
	b.wants("deep")
}

func testPubSubGroupNamespaces(t *T) {
	s, err := t.set().PubSubGroups.SubscribeGroup(t.Ctx, t.another(), "g", to("a"))
	t.hearing(s, err)
	h := t.hearGroup("g", "a")
	events := t.events("a", 0, 20)
	t.publish(events...)
	h.wants(eventPayloads(events)...)
}

func (t *T) hearFiltered(f driver.Filter, pending int) *hearing {
	t.Helper()
	s, err := t.set().PubSubFiltering.SubscribeFiltered(t.Ctx, t.namespace(),
		driver.Subscription{Pattern: "a", Filter: f, Pending: pending, Slow: driver.SlowDrop})
	return t.hearing(s, err)
}

func (t *T) attributed(payload string, pairs ...string) driver.Event {
	e := t.event("a", payload)
	e.Attributes = map[string]string{}
	for i := 0; i < len(pairs); i += 2 {
		e.Attributes[pairs[i]] = pairs[i+1]
	}
	return e
}

func testPubSubFilterOps(t *T) {
	events := []driver.Event{
		t.event("a", "none"), t.attributed("x", "k", "x"), t.attributed("y", "k", "y"), t.attributed("xy", "k", "xy"),
		t.attributed("empty", "k", ""), t.attributed("other", "l", "x"),
	}
	for _, c := range []driver.FilterClause{
		{Attribute: "k", Op: driver.FilterIn, Values: []string{"x"}},
		{Attribute: "k", Op: driver.FilterIn, Values: []string{"x", "y"}},
		{Attribute: "k", Op: driver.FilterNotIn, Values: []string{"x", "y"}},
		{Attribute: "k", Op: driver.FilterPrefix, Values: []string{"x"}},
		{Attribute: "k", Op: driver.FilterPrefix, Values: []string{""}},
		{Attribute: "k", Op: driver.FilterExists},
		{Attribute: "k", Op: driver.FilterAbsent},
	} {
		f := driver.Filter{c}
		h := t.hearFiltered(f, plenty)
		var want []string
		for _, e := range events {
			if f.Match(e.Attributes) {
				want = append(want, string(e.Payload))
			}
		}
		t.publish(events...)
		h.until(len(want))
		if got := eventPayloads(h.seen); !slices.Equal(got, want) {
			t.Errorf("%+v: got %q, want %q", c, got, want)
		}
		t.must(h.close())
	}
}

func testPubSubFilterAll(t *T) {
	h := t.hearFiltered(driver.Filter{
		{Attribute: "k", Op: driver.FilterIn, Values: []string{"x"}}, {Attribute: "l", Op: driver.FilterAbsent},
	}, plenty)
	t.publish(t.attributed("1", "k", "x", "l", ""), t.attributed("2", "k", "y"), t.attributed("3", "k", "x", "m", ""))
	h.wants("3")
}

func testPubSubFilterNone(t *T) {
	h := t.hearFiltered(nil, plenty)
	t.publish(t.attributed("1"), t.attributed("2", "k", "x"))
	h.wants("1", "2")
}

func testPubSubFilterPending(t *T) {
	h := t.hearFiltered(driver.Filter{{Attribute: "k", Op: driver.FilterExists}}, 1)
	t.publish(t.events("a", 0, 500)...)
	t.publish(t.attributed("this", "k", ""))
	h.wants("this")
	if h.dropped != 0 {
		t.Errorf("%d dropped", h.dropped)
	}
}

func testPubSubOrdered(t *T) {
	const publishers, each, keys = 8, 100, 3
	hearings := []*hearing{t.hear(to("a")), t.hear(to("a")), t.hear(to("a"))}
	t.together(publishers, func(i int) error {
		for n := range each {
			e := t.event("a", fmt.Sprintf("p%d-%04d", i, n))
			e.OrderingKey = fmt.Sprint("key", n%keys)
			var r [1]driver.PublishResult
			if err := t.set().PubSubOrdering.PublishOrdered(t.Ctx, t.namespace(), []driver.Event{e}, r[:]); err != nil {
				return err
			}
		}
		return nil
	})
	byKey := make([]map[string][]string, len(hearings))
	for i, h := range hearings {
		h.until(publishers * each)
		byKey[i] = map[string][]string{}
		for _, e := range h.seen {
			byKey[i][e.OrderingKey] = append(byKey[i][e.OrderingKey], string(e.Payload))
		}
		if !maps.EqualFunc(byKey[i], byKey[0], slices.Equal) {
			t.Errorf("two subscriptions saw the events of a key in another order")
		}
	}
}

func testPubSubOrderedOne(t *T) {
	h := t.hear(to("a"))
	events := t.events("a", 0, 200)
	for i := range events {
		events[i].OrderingKey = "k"
	}
	t.publishBy(t.set().PubSubOrdering.PublishOrdered, events...)
	h.until(len(events))
	h.streams(1, len(events))
}

func testPubSubOrderedKey(t *T) {
	h := t.hear(to("a"))
	want := t.full("a", "x")
	want.OrderingKey = "the key"
	t.publishBy(t.set().PubSubOrdering.PublishOrdered, want)
	h.until(1)
	t.sameEvent(h.seen[0], want)
}
