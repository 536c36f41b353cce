package drivertest

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/prism-data-layer/prism/pkg/driver"
	"github.com/prism-data-layer/prism/pkg/prism"
)

// RunPubSubModel drives publish and subscribe of a store through random calls
// and compares every answer, and every event that comes, with a plain model:
// wildcards, groups, filters, ordering keys, replays, durable names and receipts,
// as far as the Set has them. What a reader may lose for being slow is drawn
// only where events are there when Publish returns. A store that can reopen does
// so now and then.
func RunPubSubModel(t *testing.T, h Harness) {
	t.Helper()
	defer rapidFlags(t)()
	rapid.Check(t, func(r *rapid.T) {
		m := &busModel{T: r, ctx: context.Background(), h: h, ns: modelNamespace(), opened: h.Open(modelTB{r}, Options{}), bus: newPlainBus()}
		r.Repeat(m.actions())
		m.last()
	})
}

type busModel struct {
	*rapid.T
	ctx    context.Context
	h      Harness
	ns     prism.Namespace
	opened Opened
	bus    *plainBus
	count  int // of events
}

func (m *busModel) set() *driver.Set { return &m.opened.Set }

// actions are those that the Set has.
func (m *busModel) actions() map[string]func(*rapid.T) {
	list := map[string]func(*rapid.T){
		"publish": m.publish, "publish again": m.publish, "subscribe": m.subscribe, "read": m.read, "leave": m.leave,
		"pass": m.pass, "reopen": m.reopen, "drop": m.drop, "": func(*rapid.T) {},
	}
	if m.set().PubSubPersistent != nil {
		maps.Copy(list, map[string]func(*rapid.T){
			"publish persistent": m.publishPersistent, "publish persistent again": m.publishPersistent,
			"replay": m.replay, "replay a name": m.replayName, "follow": m.follow, "follow again": m.follow,
			"close replay": m.closeReplay, "acknowledge": m.acknowledge, "forget": m.forgetName, "list": m.list,
		})
	}
	return list
}

var (
	busTopics   = []string{"a", "a.b", "a.b.c", "a.c", "b", "b.b"}
	busPatterns = []string{"*", ">", "a.*", "a.>", "*.b", "a.b", "b"}
	busGroups   = []string{"g", "h"}
	busNames    = []string{"n", "o"}
	busFilters  = []driver.Filter{
		{{Attribute: "k", Op: driver.FilterIn, Values: []string{"x", "y"}}},
		{{Attribute: "k", Op: driver.FilterNotIn, Values: []string{"x"}}},
		{{Attribute: "k", Op: driver.FilterPrefix, Values: []string{"x"}}, {Attribute: "l", Op: driver.FilterAbsent}},
		{{Attribute: "l", Op: driver.FilterExists}},
	}
)

func (m *busModel) drawEvent(r *rapid.T) driver.Event {
	m.count++
	e := driver.Event{
		ID: fmt.Sprint("id-", m.count), Topic: rapid.SampledFrom(busTopics).Draw(r, "topic"), Payload: fmt.Append(nil, m.count),
		Time: begun(m.opened.Clock), CorrelationID: rapid.SampledFrom([]string{"", "c"}).Draw(r, "correlation"),
	}
	for _, name := range []string{"k", "l"} {
		if value := rapid.SampledFrom([]string{"", "", "x", "y", "xy"}).Draw(r, name); value != "" {
			if e.Attributes == nil {
				e.Attributes = map[string]string{}
			}
			e.Attributes[name] = value
		}
	}
	return e
}

func (m *busModel) publish(r *rapid.T) {
	ordered := m.set().PubSubOrdering != nil && rapid.Bool().Draw(r, "ordered")
	by := m.set().PubSub.Publish
	if ordered {
		by = m.set().PubSubOrdering.PublishOrdered
	}
	events := make([]driver.Event, rapid.IntRange(1, 5).Draw(r, "events"))
	for i := range events {
		if events[i] = m.drawEvent(r); ordered {
			events[i].OrderingKey = rapid.SampledFrom([]string{"", "p", "q"}).Draw(r, "ordering key")
		}
	}
	for i, res := range m.send(by, events) {
		m.went(&events[i], res, m.bus.publish(events[i], ordered))
	}
}

// send publishes and wants the call as such to go well.
func (m *busModel) send(by publisher, events []driver.Event) []driver.PublishResult {
	m.bus.calls++
	results := make([]driver.PublishResult, len(events))
	if err := by(m.ctx, m.ns, events, results); err != nil {
		m.Fatalf("publish %+v: %v", events, err)
	}
	return results
}

func (m *busModel) went(e *driver.Event, res driver.PublishResult, n int64) {
	if res.Err != nil || res.Replayed || res.Subscribers != n && res.Subscribers != -1 {
		m.Fatalf("publish %+v: %+v, it goes to %d subscriptions", *e, res, n)
	}
}

func (m *busModel) publishPersistent(r *rapid.T) {
	events := make([]driver.Event, rapid.IntRange(1, 4).Draw(r, "events"))
	for i := range events {
		events[i] = m.drawEvent(r)
		if id := rapid.IntRange(-6, 3).Draw(r, "receipt"); id > 0 {
			events[i].Receipt = driver.Receipt{ID: [16]byte{byte(id)}, Body: [16]byte{byte(rapid.IntRange(1, 2).Draw(r, "body"))}, Keep: 24 * time.Hour}
		}
	}
	for i, res := range m.send(m.set().PubSubPersistent.PublishPersistent, events) {
		e := &events[i]
		first, known := m.bus.receipts[e.Receipt.ID]
		switch {
		case e.Receipt.IsZero() || !known:
			m.went(e, res, m.bus.publish(*e, false))
			if len(res.Position) == 0 {
				m.Fatalf("publish %+v: no position", *e)
			}
			m.bus.append(*e, res.Position)
		case first.Receipt.Body != e.Receipt.Body:
			m.refused("another body", res.Err, prism.ReasonKeyReused)
		case res.Err != nil || !res.Replayed || res.ID != first.ID || !sameTime(res.Time, first.Time) || !slices.Equal(res.Position, first.Position):
			m.Fatalf("publish %+v again: %+v, the first was %+v", *e, res, first)
		}
	}
}

func (m *busModel) refused(what string, err error, reason prism.Reason) {
	if !errors.Is(err, reason) {
		m.Fatalf("%s: got %v, want %s", what, err, reason)
	}
}

// subscribe begins a live subscription of one of the kinds that there are.
func (m *busModel) subscribe(r *rapid.T) {
	if len(m.bus.subs) == 6 {
		return
	}
	s := &plainSub{s: driver.Subscription{Pattern: rapid.SampledFrom(busTopics).Draw(r, "topic"), Pending: plenty, Slow: driver.SlowDrop}}
	if m.set().PubSubWildcards != nil && rapid.Bool().Draw(r, "wild") {
		s.s.Pattern = rapid.SampledFrom(busPatterns).Draw(r, "pattern")
	}
	open := m.set().PubSub.Subscribe
	if m.set().PubSubWildcards != nil {
		open = m.set().PubSubWildcards.SubscribePattern
	}
	switch kind := rapid.IntRange(0, 3).Draw(r, "kind"); {
	case kind == 1 && m.set().PubSubGroups != nil:
		s.group = rapid.SampledFrom(busGroups).Draw(r, "group")
		open = func(ctx context.Context, ns prism.Namespace, q driver.Subscription) (driver.Subscriber, error) {
			return m.set().PubSubGroups.SubscribeGroup(ctx, ns, s.group, q)
		}
	case kind == 2 && m.set().PubSubFiltering != nil:
		s.s.Filter = rapid.SampledFrom(busFilters).Draw(r, "filter")
		open = m.set().PubSubFiltering.SubscribeFiltered
	case kind == 3 && !m.h.Async:
		s.s.Pending = rapid.IntRange(1, 3).Draw(r, "pending")
		s.s.Slow = rapid.SampledFrom([]driver.SlowPolicy{driver.SlowDrop, driver.SlowDisconnect}).Draw(r, "slow")
	}
	reads, err := open(m.ctx, m.ns, s.s)
	if err != nil {
		m.Fatalf("subscribe %+v: %v", s.s, err)
	}
	s.reads = reads
	m.bus.subs = append(m.bus.subs, s)
}

func (m *busModel) read(r *rapid.T) {
	if len(m.bus.subs) > 0 {
		m.settle(rapid.SampledFrom(m.bus.subs).Draw(r, "subscription"))
	}
}

// settle reads all that waits for a subscription, or for its group.
func (m *busModel) settle(s *plainSub) {
	if s.group != "" {
		m.settleGroup(s.group)
		return
	}
	var got []driver.Event
	var dropped int64
	for len(got) < len(s.waiting) {
		b, err := m.next(s, m.h.patience())
		if err != nil {
			m.Fatalf("%+v after %d of %d events: %v", s.s, len(got), len(s.waiting), err)
		}
		got, dropped = append(got, b.Events...), dropped+b.Dropped
	}
	m.sameEvents(fmt.Sprintf("%+v", s.s), got, s.waiting)
	if dropped != s.dropped {
		m.Fatalf("%+v: %d dropped, want %d", s.s, dropped, s.dropped)
	}
	s.waiting, s.dropped = nil, 0
	if s.ended {
		_, err := m.next(s, m.h.patience())
		m.refused("the end of a slow reader", err, prism.ReasonSlowConsumer)
		m.remove(s)
	}
}

func (m *busModel) next(s *plainSub, within time.Duration) (driver.Events, error) {
	ctx, cancel := context.WithTimeout(m.ctx, within)
	defer cancel()
	return s.reads.Next(ctx)
}

// sameEvents compares what came with what must, each in an order that is allowed.
func (m *busModel) sameEvents(what string, got []driver.Event, want []plainEvent) {
	calls := make(map[string]plainEvent, len(want))
	for _, w := range want {
		calls[w.ID] = w
	}
	came := make([]plainEvent, len(got))
	for i, g := range got {
		w := calls[g.ID]
		came[i] = plainEvent{g, w.call, w.ordered}
		if i > 0 && came[i].call < came[i-1].call {
			m.Fatalf("%s: event %s came after %s", what, g.ID, got[i-1].ID)
		}
	}
	came, want = inOrder(came), inOrder(want)
	for i := range came {
		if i == len(want) {
			m.Fatalf("%s: %+v is one too many", what, came[i].Event)
		}
		if diff := differEvents(came[i].Event, want[i].Event); diff != "" {
			m.Fatalf("%s: event %d of %d: %s", what, i, len(want), diff)
		}
	}
}

// settleGroup reads all members until they have together what waits for the
// group.
func (m *busModel) settleGroup(group string) {
	members := m.bus.members(group)
	var want []plainEvent
	for _, s := range members {
		want = append(want, s.waiting...)
		s.waiting = nil
	}
	byID := map[string]plainEvent{}
	for _, e := range want {
		byID[e.ID] = e
	}
	deadline := time.Now().Add(m.h.patience())
	for len(byID) > 0 {
		for _, s := range members {
			b, err := m.next(s, 2*time.Millisecond)
			if err != nil && !errors.Is(err, prism.ReasonDeadlineExceeded) || time.Now().After(deadline) {
				m.Fatalf("group %s, %d events are missing: %v", group, len(byID), err)
			}
			m.tick(byID, s, b.Events)
		}
	}
}

// tick takes what a member of a group got off what must come.
func (m *busModel) tick(byID map[string]plainEvent, s *plainSub, got []driver.Event) {
	last := 0
	for _, g := range got {
		w, due := byID[g.ID]
		if diff := differEvents(g, w.Event); !due || diff != "" || !s.matches(&g) || w.call < last {
			m.Fatalf("group %s, %s: got %+v, %s", s.group, s.s.Pattern, g, diff)
		}
		last = w.call
		delete(byID, g.ID)
	}
}

// leave closes a subscription. What a member of a group has not read may go
// with it, so all is read before.
func (m *busModel) leave(r *rapid.T) {
	if len(m.bus.subs) == 0 {
		return
	}
	s := rapid.SampledFrom(m.bus.subs).Draw(r, "subscription")
	if s.group != "" {
		m.settleGroup(s.group)
	}
	m.remove(s)
}

func (m *busModel) remove(s *plainSub) {
	if err := s.reads.Close(); err != nil {
		m.Fatalf("close %+v: %v", s.s, err)
	}
	m.bus.subs = slices.DeleteFunc(m.bus.subs, func(o *plainSub) bool { return o == s })
}

func (m *busModel) pass(r *rapid.T) {
	d := rapid.SampledFrom([]time.Duration{time.Millisecond, time.Second, 11 * time.Second}).Draw(r, "time")
	if m.opened.Clock != nil {
		m.opened.Clock.Advance(d)
	}
}

// reopen restarts the store: what is open ends, what is kept stays.
func (m *busModel) reopen(r *rapid.T) {
	if m.opened.Reopen == nil || rapid.IntRange(0, 2).Draw(r, "restart") != 0 {
		return
	}
	m.opened.Set = m.opened.Reopen()
	for _, s := range m.bus.subs {
		why := prism.Reason("")
		if s.ended {
			why = prism.ReasonSlowConsumer
		}
		m.over(why, func(ctx context.Context) error { _, err := s.reads.Next(ctx); return err })
		_ = s.reads.Close()
	}
	for _, f := range m.bus.readers {
		m.over(f.ends, func(ctx context.Context) error { _, err := f.reads.Next(ctx); return err })
		_ = f.reads.Close()
		m.free(f)
	}
	m.bus.subs, m.bus.readers = nil, nil
	if m.set().PubSubPersistent != nil {
		m.list(r)
	}
}

// over reads until the end: the store is not there, or what had ended it before.
func (m *busModel) over(before prism.Reason, next func(context.Context) error) {
	ctx, cancel := context.WithTimeout(m.ctx, m.h.patience())
	defer cancel()
	var err error
	for err == nil {
		err = next(ctx)
	}
	if !isUnavailable(err) && !errors.Is(err, before) {
		m.Fatalf("the end of what was open: %v", err)
	}
}

func (m *busModel) drop(r *rapid.T) {
	if rapid.IntRange(0, 5).Draw(r, "drop") != 0 {
		return
	}
	m.closeAll()
	if err := m.set().Store.Drop(m.ctx, m.ns); err != nil {
		m.Fatalf("drop: %v", err)
	}
	m.bus.drop()
}

// closeAll reads and closes what is open.
func (m *busModel) closeAll() {
	for len(m.bus.subs) > 0 {
		s := m.bus.subs[0]
		if m.settle(s); slices.Contains(m.bus.subs, s) {
			m.remove(s)
		}
	}
	for len(m.bus.readers) > 0 {
		f := m.bus.readers[0]
		if m.catchUp(f); slices.Contains(m.bus.readers, f) {
			m.closeReader(f)
		}
	}
}

// last publishes one more event for everybody: whatever came beyond what the
// model knows would come before it.
func (m *busModel) last() {
	for _, s := range slices.Clone(m.bus.subs) {
		m.count++
		e := driver.Event{ID: fmt.Sprint("id-", m.count), Topic: matching(s.s.Pattern), Payload: []byte("last"), Time: begun(m.opened.Clock)}
		for _, c := range s.s.Filter {
			if len(c.Values) > 0 && c.Op != driver.FilterNotIn {
				e.Attributes = map[string]string{c.Attribute: c.Values[0]}
			} else if c.Op == driver.FilterExists {
				e.Attributes = map[string]string{c.Attribute: ""}
			}
		}
		events := []driver.Event{e}
		m.went(&e, m.send(m.set().PubSub.Publish, events)[0], m.bus.publish(e, false))
	}
	m.closeAll()
	if m.set().PubSubPersistent != nil {
		m.replayFrom(driver.Replay{Pattern: "a", Start: driver.ReplayStart{Earliest: true}})
		m.compareNames()
		m.closeAll()
	}
}
