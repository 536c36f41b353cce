package drivertest

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/prism-data-layer/prism/pkg/driver"
	"github.com/prism-data-layer/prism/pkg/prism"
)

var pubsubPersistentPromises = []promise{
	{"a replay from the earliest gets every persistent event as it was published", testReplayWhole, ""},
	{"a persistent event goes to live subscriptions too", testReplayLive, ""},
	{"a replay gets the persistent events and no other", testReplayOnlyPersistent, ""},
	{"the first batch of a replay comes at once with the starting position", testReplayFirst, ""},
	{"a replay from the next event gets nothing of before", testReplayNext, ""},
	{"a replay goes on from every position without gap or repetition", testReplayAfter, ""},
	{"a replay begins at a time", testReplayTime, ""},
	{"a replay follows what comes while it reads", testReplayFollows, ""},
	{"a waiting replay wakes up at the event", testReplayWakes, ""},
	{"a replay gets its pattern only", testReplayPattern, "pubsub_wildcards"},
	{"a replay gets what its filter matches", testReplayFilter, ""},
	{"a batch of a replay has at most 1,000 events, and nothing is lost after it", testReplayBatches, ""},
	{"Next of a replay ends with its context and can be called again", testReplayContext, ""},
	{"Next after Close of a replay is an error", testReplayClose, ""},
	{"a position that is not of this store is refused", testReplayForeign, ""},
	{"persistent events of two namespaces share nothing", testReplayNamespaces, ""},
	{"many publishers at once: a replay gets each event once, in one order", testReplayTogether, ""},
	{"a position is given to passing readers now and then", testReplayPassing, "clock"},
	{"a name goes on after what was acknowledged", testDurableResume, ""},
	{"the start counts only when a name is new", testDurableStart, ""},
	{"a known name keeps its pattern", testDurablePattern, ""},
	{"going back with an acknowledgement changes nothing", testDurableBack, ""},
	{"a name can be acknowledged while nobody reads it", testDurableAckAlone, ""},
	{"acknowledging a name that is not there is NOT_FOUND", testDurableAckUnknown, ""},
	{"a second reader of a name takes over", testDurableTakeOver, ""},
	{"names are listed, sorted, with what is behind", testDurableList, ""},
	{"a deleted name ends its reader and begins anew", testDurableDelete, ""},
	{"names of two namespaces share nothing", testDurableNamespaces, ""},
	{"a receipt makes a persistent publish happen once", testPersistentReceipt, ""},
	{"a receipt of a publish with another body is KEY_REUSED and changes nothing", testPersistentReceiptBody, ""},
	{"20 publishes at once with one receipt keep one event", testPersistentReceiptTogether, ""},
	{"Drop forgets events, names and receipts, and positions from before are COMPACTED", testPersistentDrop, ""},
	{"Usage counts what is kept", testPersistentUsage, ""},
	{"events over the bound go, the oldest first, and their positions are COMPACTED", testRetentionCount, "bounds"},
	{"events over the age go", testRetentionAge, "clock"},
	{"a reader that retention overtakes is told so", testRetentionReader, "bounds direct"},
	{"a name is not overtaken by events that it does not follow", testRetentionName, "bounds"},
	{"closing the store ends waiting replays with UNAVAILABLE", testReplayStoreClose, ""},
	{"events, positions, names and what they acked outlive a restart", testPersistentReopen, "reopen"},
	{"receipts of publishes outlive a restart", testPersistentReopenReceipt, "reopen"},
	{"a dropped log stays empty after a restart", testPersistentReopenDropped, "reopen"},
}

func earliest(pattern string) driver.Replay {
	return driver.Replay{Pattern: pattern, Start: driver.ReplayStart{Earliest: true}}
}

func named(name string) driver.Replay {
	r := earliest("a")
	r.Name = name
	return r
}

func after(p driver.Position) driver.Replay {
	return driver.Replay{Pattern: "a", Start: driver.ReplayStart{After: p}}
}

// ackEvents acknowledges a name up to a position.
func (t *T) ackEvents(name string, p driver.Position) {
	t.Helper()
	t.must(t.set().PubSubPersistent.Acknowledge(t.Ctx, t.namespace(), name, p))
}

// replayRefused wants a replay to fail, at once or at its first batch.
func (t *T) replayRefused(what string, r driver.Replay, reason prism.Reason) {
	t.Helper()
	s, err := t.set().PubSubPersistent.Replay(t.Ctx, t.namespace(), r)
	if err == nil {
		_, err = s.Next(t.Ctx)
		_ = s.Close()
	}
	t.refused(what, err, reason)
}

func testReplayWhole(t *T) {
	want := []driver.Event{t.full("a", "1"), t.event("a", ""), t.event("a", pattern(prism.MaxValueBytes, 3))}
	want[0].OrderingKey = "k"
	r := t.publishPersistent(want...)
	h := t.replay(earliest("a"))
	h.until(len(want))
	for i := range want {
		t.sameEvent(h.seen[i], want[i])
		if !slices.Equal(h.seen[i].Position, r[i].Position) && !t.harness.Wire {
			t.Errorf("event %d comes with position %x, and was published as %x", i, h.seen[i].Position, r[i].Position)
		}
		if !h.seen[i].Receipt.IsZero() {
			t.Errorf("event %d comes with a receipt", i)
		}
	}
}

func testReplayLive(t *T) {
	h := t.hear(to("a"))
	want := t.full("a", "x")
	r := t.publishPersistent(want)
	h.until(1)
	t.sameEvent(h.seen[0], want)
	if r[0].Subscribers != 1 && r[0].Subscribers != -1 {
		t.Errorf("it went to %d subscriptions, want 1 or -1", r[0].Subscribers)
	}
}

func testReplayOnlyPersistent(t *T) {
	h := t.replay(earliest("a"))
	t.publish(t.event("a", "live"))
	t.publishPersistent(t.event("a", "kept"))
	t.publish(t.event("a", "live"))
	t.publishPersistent(t.event("a", "kept too"))
	h.wants("kept", "kept too")
}

func testReplayFirst(t *T) {
	h := t.replay(driver.Replay{Pattern: "a"})
	if len(h.seen) != 0 {
		t.Errorf("it begins with %d events", len(h.seen))
	}
	events := t.events("a", 0, 3)
	t.publishPersistent(events...)
	again := t.replay(after(h.at))
	again.wants(eventPayloads(events)...)
}

func testReplayNext(t *T) {
	t.publishPersistent(t.events("a", 0, 3)...)
	h := t.replay(driver.Replay{Pattern: "a"})
	t.publishPersistent(t.event("a", "next"))
	h.wants("next")
}

func testReplayAfter(t *T) {
	events := t.events("a", 0, 20)
	t.publishPersistent(events...)
	h := t.replay(earliest("a"))
	h.until(len(events))
	for i, e := range h.seen {
		if len(e.Position) == 0 {
			t.Fatalf("event %d has no position", i)
		}
		if i == len(h.seen)-1 {
			t.publishPersistent(t.events("a", len(events), 1)...)
			events = append(events, t.events("a", len(events), 1)...)
		}
		rest := t.replay(after(e.Position))
		rest.wants(eventPayloads(events[i+1:])...)
		t.must(rest.close())
	}
}

func testReplayTime(t *T) {
	t.publishPersistent(t.events("a", 0, 3)...)
	t.pass(t.second())
	at := t.now().Truncate(time.Millisecond)
	if t.harness.Wire {
		t.pass(10 * time.Millisecond) // the gateway's clock is not quite ours
	}
	events := t.events("a", 3, 3)
	t.publishPersistent(events...)
	t.replay(driver.Replay{Pattern: "a", Start: driver.ReplayStart{Time: at}}).wants(eventPayloads(events)...)
	all := t.replay(driver.Replay{Pattern: "a", Start: driver.ReplayStart{Time: at.Add(-time.Hour)}})
	all.until(6)
	all.streams(1, 6)
	none := t.replay(driver.Replay{Pattern: "a", Start: driver.ReplayStart{Time: at.Add(time.Hour)}})
	t.publishPersistent(t.event("a", "later"))
	none.wants("later")
}

func testReplayFollows(t *T) {
	events := t.events("a", 0, 5)
	t.publishPersistent(events[:3]...)
	h := t.replay(earliest("a"))
	h.until(3)
	t.publishPersistent(events[3:]...)
	h.wants(eventPayloads(events)...)
}

func testReplayWakes(t *T) {
	h := t.replay(earliest("a"))
	got := make(chan error, 1)
	go func() {
		ctx, cancel := h.within()
		defer cancel()
		_, err := h.next(ctx)
		got <- err
	}()
	t.publishPersistent(t.event("a", "x"))
	if err := <-got; err != nil {
		t.Errorf("the waiting Next: %v", err)
	}
}

func testReplayPattern(t *T) {
	for _, topic := range []string{"a", "a.b", "b.a", "a.b.c", "ab.c"} {
		t.publishPersistent(t.event(topic, topic))
	}
	h, one := t.replay(earliest("a.>")), t.replay(earliest("a.b"))
	t.publishPersistent(t.event("a.b", "end"))
	h.wants("a.b", "a.b.c", "end")
	one.wants("a.b", "end")
}

func testReplayFilter(t *T) {
	t.publishPersistent(t.attributed("1", "k", "x"), t.attributed("2"), t.attributed("3", "k", "y"), t.attributed("4", "k", "x"))
	r := earliest("a")
	r.Filter = driver.Filter{{Attribute: "k", Op: driver.FilterIn, Values: []string{"x"}}}
	t.replay(r).wants("1", "4")
}

func testReplayBatches(t *T) {
	const n = 2500
	t.publishPersistent(t.events("a", 0, n)...)
	h := t.replay(earliest("a"))
	h.until(n)
	h.streams(1, n)
}

func testReplayContext(t *T) {
	h := t.replay(earliest("a"))
	ctx, cancel := context.WithCancel(t.Ctx)
	cancel()
	_, err := h.next(ctx)
	t.refused("Next", err, prism.ReasonCancelled)
	t.publishPersistent(t.event("a", "x"))
	h.wants("x")
}

func testReplayClose(t *T) {
	h := t.replay(named("n"))
	got := make(chan error, 1)
	ctx, cancel := h.within()
	defer cancel()
	go func() {
		_, err := h.next(ctx)
		got <- err
	}()
	t.must(h.close())
	t.must(h.close())
	if err := <-got; err == nil || ctx.Err() != nil {
		t.Errorf("the waiting Next: %v", err)
	}
	if _, err := h.next(ctx); err == nil || ctx.Err() != nil {
		t.Errorf("Next after Close: %v", err)
	}
}

func testReplayForeign(t *T) {
	for _, p := range []driver.Position{{}, {0}, {1, 2, 3}, []byte("something else that is rather long")} {
		s, err := t.set().PubSubPersistent.Replay(t.Ctx, t.namespace(), after(p))
		if err == nil {
			_, err = s.Next(t.Ctx)
			_ = s.Close()
		}
		e := prism.From(err)
		if e == nil || e.Reason.Info().Status != "INVALID_ARGUMENT" && e.Reason != prism.ReasonCompacted {
			t.Errorf("position %x: got %v", p, err)
		}
	}
}

func testReplayNamespaces(t *T) {
	other := t.another()
	var r [1]driver.PublishResult
	t.must(t.set().PubSubPersistent.PublishPersistent(t.Ctx, other, []driver.Event{t.event("a", "theirs")}, r[:]))
	t.publishPersistent(t.event("a", "mine"))
	t.replay(earliest("a")).wants("mine")
	s, err := t.set().PubSubPersistent.Replay(t.Ctx, t.namespace(), after(r[0].Position))
	if err == nil {
		_, err = s.Next(t.Ctx)
		_ = s.Close()
	}
	if err == nil {
		t.Errorf("a position of another namespace is taken")
	}
}

func testReplayTogether(t *T) {
	const publishers, each = 8, 60
	live := t.replay(earliest("a"))
	t.together(publishers, func(i int) error {
		for n := range each {
			var r [1]driver.PublishResult
			e := t.event("a", fmt.Sprintf("p%d-%04d", i, n))
			if err := t.set().PubSubPersistent.PublishPersistent(t.Ctx, t.namespace(), []driver.Event{e}, r[:]); err != nil {
				return err
			}
			if r[0].Err != nil {
				return r[0].Err
			}
		}
		return nil
	})
	live.until(publishers * each)
	live.streams(publishers, each)
	again := t.replay(earliest("a"))
	again.wants(eventPayloads(live.seen)...)
}

func testReplayPassing(t *T) {
	h := t.replay(driver.Replay{Pattern: "a"})
	before := h.at
	t.publishPersistent(t.events("other", 0, 3)...)
	got := make(chan error, 1)
	go func() {
		ctx, cancel := h.within()
		defer cancel()
		_, err := h.next(ctx)
		got <- err
	}()
	var err error
	t.eventually("a newer position", func() bool {
		t.pass(time.Second)
		select {
		case err = <-got:
			return true
		default:
			return false
		}
	})
	t.must(err)
	if slices.Equal(before, h.at) || len(h.seen) != 0 {
		t.Errorf("%d events, and position %x after %x", len(h.seen), h.at, before)
	}
	again := t.replay(after(h.at))
	t.publishPersistent(t.event("a", "x"))
	again.wants("x")
}

func testDurableResume(t *T) {
	events := t.events("a", 0, 10)
	t.publishPersistent(events...)
	h := t.replay(named("n"))
	h.until(10)
	t.ackEvents("n", h.seen[3].Position)
	t.must(h.close())
	again := t.replay(named("n"))
	again.wants(eventPayloads(events[4:])...)
	t.ackEvents("n", again.at)
	t.must(again.close())
	more := t.events("a", 10, 3)
	t.publishPersistent(more...)
	t.replay(named("n")).wants(eventPayloads(more)...)
}

func testDurableStart(t *T) {
	t.publishPersistent(t.events("a", 0, 3)...)
	r := driver.Replay{Name: "n", Pattern: "a"}
	h := t.replay(r)
	t.must(h.close())
	events := t.events("a", 3, 2)
	t.publishPersistent(events...)
	again := t.replay(named("n")) // from the earliest, which does not count
	again.wants(eventPayloads(events)...)
	t.must(again.close())
	once := t.replay(r) // nothing was acked
	once.wants(eventPayloads(events)...)
}

func testDurablePattern(t *T) {
	t.must(t.replay(named("n")).close())
	r := named("n")
	r.Pattern = "b"
	t.replayRefused("another pattern", r, prism.ReasonInvalidArgument)
}

func testDurableBack(t *T) {
	events := t.events("a", 0, 6)
	r := t.publishPersistent(events...)
	t.must(t.replay(named("n")).close())
	t.ackEvents("n", r[3].Position)
	t.ackEvents("n", r[1].Position)
	t.ackEvents("n", r[3].Position)
	t.replay(named("n")).wants(eventPayloads(events[4:])...)
}

func testDurableAckAlone(t *T) {
	events := t.events("a", 0, 4)
	r := t.publishPersistent(events...)
	t.must(t.replay(named("n")).close())
	t.ackEvents("n", r[1].Position)
	t.replay(named("n")).wants(eventPayloads(events[2:])...)
}

func testDurableAckUnknown(t *T) {
	r := t.publishPersistent(t.event("a", "x"))
	err := t.set().PubSubPersistent.Acknowledge(t.Ctx, t.namespace(), "nobody", r[0].Position)
	t.refused("Acknowledge", err, prism.ReasonNotFound)
	t.must(t.replay(named("n")).close())
	err = t.set().PubSubPersistent.Acknowledge(t.Ctx, t.namespace(), "n", driver.Position("nonsense"))
	if e := prism.From(err); e == nil || e.Reason.Info().Status != "INVALID_ARGUMENT" {
		t.Errorf("a position that is none: %v", err)
	}
}

func testDurableTakeOver(t *T) {
	events := t.events("a", 0, 4)
	t.publishPersistent(events...)
	first := t.replay(named("n"))
	first.until(4)
	t.ackEvents("n", first.seen[1].Position)
	second := t.replay(named("n"))
	first.ends(prism.ReasonTaken)
	second.wants(eventPayloads(events[2:])...)
	t.publishPersistent(t.events("a", 4, 1)...)
	second.until(3)
}

func testDurableList(t *T) {
	list := func() []driver.DurableSubscription {
		list, err := t.set().PubSubPersistent.Subscriptions(t.Ctx, t.namespace())
		t.must(err)
		return list
	}
	if l := list(); len(l) != 0 {
		t.Errorf("a new namespace lists %v", l)
	}
	r := t.publishPersistent(t.events("a", 0, 5)...)
	begun := t.now()
	b := t.replay(named("b"))
	t.must(t.replay(named("a")).close())
	t.ackEvents("a", r[2].Position)
	l := list()
	if len(l) != 2 || l[0].Name != "a" || l[1].Name != "b" {
		t.Fatalf("listed are %+v", l)
	}
	if l[0].Behind != 2 || l[1].Behind != 5 || l[0].Pattern != "a" || !l[1].Active {
		t.Errorf("listed are %+v", l)
	}
	if !slices.Equal(l[0].Acked, r[2].Position) && !t.harness.Wire || l[1].Acked != nil {
		t.Errorf("acked are %x and %x, want %x and nothing", l[0].Acked, l[1].Acked, r[2].Position)
	}
	if d := l[0].CreatedAt.Sub(begun).Abs(); d > 5*time.Second {
		t.Errorf("created %v away from now", d)
	}
	t.must(b.close())
	t.eventually("nobody reads them", func() bool {
		l := list()
		return !l[0].Active && !l[1].Active
	})
}

func testDurableDelete(t *T) {
	p := t.set().PubSubPersistent
	r := t.publishPersistent(t.events("a", 0, 3)...)
	h := t.replay(named("n"))
	t.ackEvents("n", r[2].Position)
	if found, err := p.DeleteSubscription(t.Ctx, t.namespace(), "n"); err != nil || !found {
		t.Errorf("DeleteSubscription: %v %v", found, err)
	}
	h.ends(prism.ReasonNotFound)
	if found, err := p.DeleteSubscription(t.Ctx, t.namespace(), "n"); err != nil || found {
		t.Errorf("DeleteSubscription again: %v %v", found, err)
	}
	other := named("n")
	other.Pattern = "b"
	t.must(t.replay(other).close())
}

func testDurableNamespaces(t *T) {
	r := t.publishPersistent(t.events("a", 0, 3)...)
	t.must(t.replay(named("n")).close())
	t.ackEvents("n", r[1].Position)
	other := t.another()
	l, err := t.set().PubSubPersistent.Subscriptions(t.Ctx, other)
	t.must(err)
	if len(l) != 0 {
		t.Errorf("another namespace lists %v", l)
	}
	if found, err := t.set().PubSubPersistent.DeleteSubscription(t.Ctx, other, "n"); err != nil || found {
		t.Errorf("deleted in another namespace: %v %v", found, err)
	}
	t.replay(named("n")).wants("a-0002")
}

func testPersistentReceipt(t *T) {
	e := t.full("a", "once")
	e.Receipt = t.receipt("r", "b")
	h := t.hear(to("a"))
	first := t.publishPersistent(e)[0]
	again := e
	again.ID = "another"
	t.pass(t.second())
	second := t.publishPersistent(again)[0]
	if first.Replayed || !second.Replayed {
		t.Errorf("replayed: %v, then %v", first.Replayed, second.Replayed)
	}
	if !slices.Equal(first.Position, second.Position) {
		t.Errorf("positions %x and %x", first.Position, second.Position)
	}
	if !t.harness.Wire && (second.ID != e.ID || !sameTime(second.Time, e.Time)) {
		t.Errorf("the first answer has id %q of %v, want %q of %v", second.ID, second.Time, e.ID, e.Time)
	}
	t.publishPersistent(t.event("a", "end"))
	t.replay(earliest("a")).wants("once", "end")
	h.wants("once", "end")
}

func testPersistentReceiptBody(t *T) {
	e := t.event("a", "first")
	e.Receipt = t.receipt("r", "b")
	t.publishPersistent(e)
	e.Payload = []byte("second")
	e.Receipt = t.receipt("r", "c")
	var r [1]driver.PublishResult
	err := t.set().PubSubPersistent.PublishPersistent(t.Ctx, t.namespace(), []driver.Event{e}, r[:])
	if err == nil {
		err = r[0].Err
	}
	t.refused("another body", err, prism.ReasonKeyReused)
	t.publishPersistent(t.event("a", "end"))
	t.replay(earliest("a")).wants("first", "end")
}

func testPersistentReceiptTogether(t *T) {
	e := t.event("a", "once")
	e.Receipt = t.receipt("r", "b")
	t.together(20, func(int) error {
		var r [1]driver.PublishResult
		if err := t.set().PubSubPersistent.PublishPersistent(t.Ctx, t.namespace(), []driver.Event{e}, r[:]); err != nil {
			return err
		}
		return r[0].Err
	})
	t.publishPersistent(t.event("a", "end"))
	t.replay(earliest("a")).wants("once", "end")
}

func testPersistentDrop(t *T) {
	e := t.event("a", "x")
	e.Receipt = t.receipt("r", "b")
	old := t.publishPersistent(e, t.event("a", "y"))
	t.must(t.replay(named("n")).close())
	t.must(t.set().Store.Drop(t.Ctx, t.namespace()))
	t.must(t.set().Store.Drop(t.Ctx, t.namespace()))
	if l, err := t.set().PubSubPersistent.Subscriptions(t.Ctx, t.namespace()); err != nil || len(l) != 0 {
		t.Errorf("after Drop there are %v, %v", l, err)
	}
	t.replayRefused("a position from before", after(old[0].Position), prism.ReasonCompacted)
	if r := t.publishPersistent(e)[0]; r.Replayed {
		t.Errorf("a receipt outlived Drop")
	}
	t.replay(earliest("a")).wants("x")
	t.replayRefused("a position from before", after(old[0].Position), prism.ReasonCompacted)
}

func testPersistentUsage(t *T) {
	t.publishPersistent(t.event("a", "12345"), t.event("a", "1234567890"))
	t.publish(t.event("a", "live"))
	u, err := t.set().Store.Usage(t.Ctx, t.namespace())
	t.must(err)
	if !u.Estimated && (u.Keys != 2 || u.Bytes < 17) {
		t.Errorf("Usage is %+v, want 2 events of 17 bytes and more", u)
	}
}

const fewEvents = 100

func testRetentionCount(t *T) {
	t.open(Options{Events: fewEvents})
	r := t.publishPersistent(t.events("a", 0, 10*fewEvents)...)
	t.publishPersistent(t.event("a", "end"))
	t.replayRefused("the first position", after(r[0].Position), prism.ReasonCompacted)
	h := t.replay(earliest("a"))
	for len(h.seen) == 0 || string(h.seen[len(h.seen)-1].Payload) != "end" {
		h.take(h.within())
	}
	if n := len(h.seen); n > 2*fewEvents || n < fewEvents/2 {
		t.Errorf("%d events are kept, the bound is %d", n, fewEvents)
	}
	want := t.events("a", 10*fewEvents-len(h.seen)+1, len(h.seen)-1)
	if got := eventPayloads(h.seen[:len(h.seen)-1]); !slices.Equal(got, eventPayloads(want)) {
		t.Errorf("kept are %s, want the newest", fewOf(got))
	}
}

func testRetentionAge(t *T) {
	r := t.publishPersistent(t.events("a", 0, 5)...)
	t.pass(driver.PubSubAge / 2)
	t.publishPersistent(t.event("a", "young"))
	t.pass(driver.PubSubAge/2 + time.Minute)
	t.eventually("the old ones go", func() bool {
		s, err := t.set().PubSubPersistent.Replay(t.Ctx, t.namespace(), after(r[0].Position))
		if err == nil {
			_ = s.Close()
		}
		return err != nil
	})
	t.replay(earliest("a")).wants("young")
}

func testRetentionReader(t *T) {
	t.open(Options{Events: fewEvents})
	t.publishPersistent(t.events("a", 0, 1)...)
	h := t.replay(earliest("a"))
	t.publishPersistent(t.events("a", 1, 20*fewEvents)...)
	h.ends(prism.ReasonCompacted)
	for i, p := range eventPayloads(h.seen) {
		if p != fmt.Sprintf("a-%04d", i) {
			t.Errorf("event %d is %s: a gap", i, p)
			break
		}
	}
}

func testRetentionName(t *T) {
	t.open(Options{Events: fewEvents})
	t.publishPersistent(t.events("a", 0, 2)...)
	h := t.replay(named("n"))
	h.until(2)
	t.ackEvents("n", h.at)
	t.must(h.close())
	t.must(t.replay(named("owes")).close())
	t.publishPersistent(t.events("other", 0, 10*fewEvents)...)
	t.publishPersistent(t.event("a", "next"))
	t.replay(named("n")).wants("next")
	t.replayRefused("a name that had not read", named("owes"), prism.ReasonCompacted)
}

func testReplayStoreClose(t *T) {
	h := t.replay(named("n"))
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
	set, ns := *t.set(), t.namespace()
	t.must(set.Store.Close())
	t.unavailable("a waiting replay", <-got)
	var r [1]driver.PublishResult
	t.unavailable("PublishPersistent", set.PubSubPersistent.PublishPersistent(t.Ctx, ns, []driver.Event{t.event("a", "x")}, r[:]))
	_, err := set.PubSubPersistent.Replay(t.Ctx, ns, earliest("a"))
	t.unavailable("Replay", err)
	_, err = set.PubSubPersistent.Subscriptions(t.Ctx, ns)
	t.unavailable("Subscriptions", err)
}

func testPersistentReopen(t *T) {
	want := t.full("a", "full")
	events := append([]driver.Event{want}, t.events("a", 0, 9)...)
	r := t.publishPersistent(events...)
	h := t.replay(named("n"))
	h.until(10)
	t.ackEvents("n", h.seen[3].Position)
	t.must(t.replay(named("other")).close())
	before, err := t.set().PubSubPersistent.Subscriptions(t.Ctx, t.namespace())
	t.must(err)
	t.must(h.close())
	t.reopen()
	all := t.replay(earliest("a"))
	all.wants(eventPayloads(events)...)
	t.sameEvent(all.seen[0], want)
	t.replay(after(r[6].Position)).wants(eventPayloads(events[7:])...)
	after, err := t.set().PubSubPersistent.Subscriptions(t.Ctx, t.namespace())
	t.must(err)
	if len(after) != len(before) {
		t.Fatalf("%d names, want %d", len(after), len(before))
	}
	for i := range before {
		b, a := before[i], after[i]
		if a.Name != b.Name || a.Pattern != b.Pattern || a.Behind != b.Behind || !slices.Equal(a.Acked, b.Acked) || !sameTime(a.CreatedAt, b.CreatedAt) || a.Active {
			t.Errorf("a name was %+v and is %+v", b, a)
		}
	}
	t.replay(named("n")).wants(eventPayloads(events[4:])...)
	t.publishPersistent(t.event("a", "new"))
	all.wants(append(eventPayloads(events), "new")...)
}

func testPersistentReopenReceipt(t *T) {
	e := t.event("a", "once")
	e.Receipt = t.receipt("r", "b")
	first := t.publishPersistent(e)[0]
	t.reopen()
	second := t.publishPersistent(e)[0]
	if !second.Replayed || !slices.Equal(first.Position, second.Position) || second.ID != e.ID && !t.harness.Wire {
		t.Errorf("after the restart: %+v, the first answer was %+v", second, first)
	}
}

func testPersistentReopenDropped(t *T) {
	r := t.publishPersistent(t.events("a", 0, 3)...)
	t.must(t.replay(named("n")).close())
	t.must(t.set().Store.Drop(t.Ctx, t.namespace()))
	t.reopen()
	t.replayRefused("a position from before", after(r[0].Position), prism.ReasonCompacted)
	if l, err := t.set().PubSubPersistent.Subscriptions(t.Ctx, t.namespace()); err != nil || len(l) != 0 {
		t.Errorf("there are %v, %v", l, err)
	}
	h := t.replay(earliest("a"))
	t.publishPersistent(t.event("a", "new"))
	h.wants("new")
}
