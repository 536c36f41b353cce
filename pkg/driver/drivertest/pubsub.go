package drivertest

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/prism-data-layer/prism/pkg/driver"
	"github.com/prism-data-layer/prism/pkg/prism"
)

// event is one to publish; its payload tells it apart.
func (t *T) event(topic, payload string) driver.Event {
	return driver.Event{ID: "id-" + payload, Topic: topic, Payload: []byte(payload), Time: t.now().Truncate(time.Millisecond)}
}

// events are n of them on one topic, from an index on.
func (t *T) events(topic string, from, n int) []driver.Event {
	list := make([]driver.Event, n)
	for i := range list {
		list[i] = t.event(topic, fmt.Sprintf("%s-%04d", topic, from+i))
	}
	return list
}

// A publisher is one of the three ways to publish.
type publisher func(context.Context, prism.Namespace, []driver.Event, []driver.PublishResult) error

// publish sends events, at most 1,000 at once, and wants each to go well.
func (t *T) publish(events ...driver.Event) []driver.PublishResult {
	t.Helper()
	return t.publishBy(t.set().PubSub.Publish, events...)
}

func (t *T) publishPersistent(events ...driver.Event) []driver.PublishResult {
	t.Helper()
	results := t.publishBy(t.set().PubSubPersistent.PublishPersistent, events...)
	for i := range results {
		if len(results[i].Position) == 0 {
			t.Errorf("persistent event %d has no position", i)
		}
	}
	return results
}

func (t *T) publishBy(by publisher, events ...driver.Event) []driver.PublishResult {
	t.Helper()
	results := make([]driver.PublishResult, len(events))
	for from := 0; from < len(events); from += 1000 {
		to := min(from+1000, len(events))
		t.must(by(t.Ctx, t.namespace(), events[from:to], results[from:to]))
	}
	for i := range results {
		if results[i].Err != nil {
			t.Fatalf("publish event %d: %v%s", i, results[i].Err, reasonOf(results[i].Err))
		}
	}
	return results
}

// plenty are events that may wait where a promise is not about their number.
const plenty = 100_000

func to(pattern string) driver.Subscription {
	return driver.Subscription{Pattern: pattern, Pending: plenty, Slow: driver.SlowDrop}
}

// A hearing is a subscription with what it has got.
type hearing struct {
	t       *T
	next    func(context.Context) ([]driver.Event, error)
	close   func() error
	seen    []driver.Event
	dropped int64
	at      driver.Position // of a replay
}

func (t *T) hear(s driver.Subscription) *hearing {
	t.Helper()
	sub, err := t.set().PubSub.Subscribe(t.Ctx, t.namespace(), s)
	return t.hearing(sub, err)
}

func (t *T) hearPattern(pattern string) *hearing {
	t.Helper()
	sub, err := t.set().PubSubWildcards.SubscribePattern(t.Ctx, t.namespace(), to(pattern))
	return t.hearing(sub, err)
}

func (t *T) hearGroup(group, pattern string) *hearing {
	t.Helper()
	sub, err := t.set().PubSubGroups.SubscribeGroup(t.Ctx, t.namespace(), group, to(pattern))
	return t.hearing(sub, err)
}

func (t *T) hearing(s driver.Subscriber, err error) *hearing {
	t.Helper()
	t.must(err)
	t.Cleanup(func() { _ = s.Close() })
	h := &hearing{t: t, close: s.Close}
	h.next = func(ctx context.Context) ([]driver.Event, error) {
		b, err := s.Next(ctx)
		h.dropped += b.Dropped
		if err == nil && len(b.Events) == 0 {
			t.Errorf("Next returned without an event")
		}
		return b.Events, err
	}
	return h
}

// replay opens a replay and takes its first batch, which must not wait.
func (t *T) replay(r driver.Replay) *hearing {
	t.Helper()
	s, err := t.set().PubSubPersistent.Replay(t.Ctx, t.namespace(), r)
	t.must(err)
	t.Cleanup(func() { _ = s.Close() })
	h := &hearing{t: t, close: s.Close}
	h.next = func(ctx context.Context) ([]driver.Event, error) {
		b, err := s.Next(ctx)
		if err == nil {
			if len(b.Position) == 0 {
				t.Errorf("a batch without a position")
			}
			h.at = slices.Clone(b.Position)
		}
		return b.Events, err
	}
	h.take(h.within())
	return h
}

func (h *hearing) within() (context.Context, context.CancelFunc) {
	return context.WithTimeout(h.t.Ctx, h.t.harness.patience())
}

func (h *hearing) take(ctx context.Context, cancel context.CancelFunc) {
	h.t.Helper()
	defer cancel()
	events, err := h.next(ctx)
	if err != nil {
		h.t.Fatalf("after %d events: %v%s", len(h.seen), err, reasonOf(err))
	}
	if len(events) > 1000 {
		h.t.Errorf("a batch of %d events, at most 1,000 are allowed", len(events))
	}
	h.seen = append(h.seen, events...)
}

// until waits for n events in all.
func (h *hearing) until(n int) {
	h.t.Helper()
	for len(h.seen) < n {
		h.take(h.within())
	}
}

// wants waits for these payloads, which are all that has come.
func (h *hearing) wants(payloads ...string) {
	h.t.Helper()
	h.until(len(payloads))
	if got := eventPayloads(h.seen); !slices.Equal(got, payloads) {
		h.t.Errorf("got %s, want %s", fewOf(got), fewOf(payloads))
	}
}

// ends reads until the end, which must have that reason.
func (h *hearing) ends(reason prism.Reason) {
	h.t.Helper()
	ctx, cancel := h.within()
	defer cancel()
	for {
		events, err := h.next(ctx)
		h.seen = append(h.seen, events...)
		if err != nil {
			h.t.refused("the end of the stream", err, reason)
			return
		}
	}
}

func eventPayloads(events []driver.Event) []string {
	list := make([]string, len(events))
	for i := range events {
		list[i] = string(events[i].Payload)
	}
	return list
}

func fewOf(payloads []string) string {
	if len(payloads) > 12 {
		return fmt.Sprintf("%q… (%d)", payloads[:12], len(payloads))
	}
	return fmt.Sprintf("%q", payloads)
}

// sameEvent wants an event as it was published. Over the wire the gateway makes
// ids and times.
func (t *T) sameEvent(got, want driver.Event) {
	t.Helper()
	if got.ID == "" || got.Time.IsZero() {
		t.Errorf("an event without id or time: %+v", got)
	}
	if t.harness.Wire {
		want.ID, want.Time = got.ID, got.Time
	}
	if diff := differEvents(got, want); diff != "" {
		t.Errorf("%s", diff)
	}
}

// differEvents says how two events differ that should be one.
func differEvents(got, want driver.Event) string {
	switch {
	case got.ID != want.ID || !sameTime(got.Time, want.Time):
		return fmt.Sprintf("got event %q of %v, want %q of %v", got.ID, got.Time, want.ID, want.Time)
	case got.Topic != want.Topic || string(got.Payload) != string(want.Payload) || !maps.Equal(got.Attributes, want.Attributes) ||
		got.CorrelationID != want.CorrelationID || got.ReplyTo != want.ReplyTo || got.OrderingKey != want.OrderingKey:
		return fmt.Sprintf("got %s %s %v %q %q %q,\nwant %s %s %v %q %q %q",
			got.Topic, short(got.Payload), got.Attributes, got.CorrelationID, got.ReplyTo, got.OrderingKey,
			want.Topic, short(want.Payload), want.Attributes, want.CorrelationID, want.ReplyTo, want.OrderingKey)
	}
	return ""
}

// full is an event with every field.
func (t *T) full(topic, payload string) driver.Event {
	e := t.event(topic, payload)
	e.Attributes = map[string]string{"kind": "a", "empty": "", "näme\x00": "välue\n"}
	e.CorrelationID, e.ReplyTo = "c-1", "_inbox.x"
	return e
}

// streams parts payloads "name-number" by name and wants each to count up from
// 0 without a gap to n.
func (h *hearing) streams(names, n int) {
	h.t.Helper()
	next := map[string]int{}
	for _, p := range eventPayloads(h.seen) {
		i := strings.LastIndexByte(p, '-')
		name := p[:i]
		if want := fmt.Sprintf("%s-%04d", name, next[name]); p != want {
			h.t.Errorf("got %s where %s comes", p, want)
			return
		}
		next[name]++
	}
	for name, got := range next {
		if got != n {
			h.t.Errorf("%d events of %s, want %d", got, name, n)
		}
	}
	if len(next) != names {
		h.t.Errorf("events of %d publishers, want %d", len(next), names)
	}
}
