package redis_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"strings"
	"sync"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/prism-data-layer/prism/pkg/driver"
	"github.com/prism-data-layer/prism/pkg/driver/redis/redistest"
	"github.com/prism-data-layer/prism/pkg/prism"
)

const events prism.Namespace = "eve}n*ts"

func publish(ctx context.Context, s driver.Set, list ...driver.Event) error {
	results := make([]driver.PublishResult, len(list))
	if err := s.PubSub.Publish(ctx, events, list, results); err != nil {
		return err
	}
	var errs []error
	for _, r := range results {
		errs = append(errs, r.Err)
	}
	return errors.Join(errs...)
}

func follow(pattern string) driver.Subscription {
	return driver.Subscription{Pattern: pattern, Pending: 1000, Slow: driver.SlowDrop}
}

// read takes n events.
func read(t *testing.T, sub driver.Subscriber, n int) []driver.Event {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	var all []driver.Event
	for len(all) < n {
		b, err := sub.Next(ctx)
		if err != nil {
			t.Fatalf("after %d of %d events: %v", len(all), n, err)
		}
		all = append(all, b.Events...)
	}
	return all
}

func subscribed(t *testing.T) func(driver.Subscriber, error) driver.Subscriber {
	return func(sub driver.Subscriber, err error) driver.Subscriber {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = sub.Close() })
		return sub
	}
}

func TestEventsComeAsTheyWerePublished(t *testing.T) {
	t.Parallel()
	for _, v := range redistest.Versions() {
		t.Run(v.Name, func(t *testing.T) {
			server := shared.get(t, v)
			here, there := open(t, server, ""), open(t, server, "")
			a := subscribed(t)(there.PubSub.Subscribe(t.Context(), events, follow("a.b[c]*")))
			b := subscribed(t)(here.PubSubWildcards.SubscribePattern(t.Context(), events, follow("a.*")))
			c := subscribed(t)(here.PubSubFiltering.SubscribeFiltered(t.Context(), events, driver.Subscription{
				Pattern: "a.>", Pending: 10, Slow: driver.SlowDrop, Filter: driver.Filter{{Attribute: "n", Op: driver.FilterIn, Values: []string{"2"}}},
			}))
			d := subscribed(t)(here.PubSubWildcards.SubscribePattern(t.Context(), events, follow("a.x.y")))
			var want []driver.Event
			for i, topic := range []string{"a.b[c]*", "a.bc", "a.x.y", "a.b"} {
				want = append(want, driver.Event{
					ID: fmt.Sprint(i), Topic: topic, Payload: []byte{byte(i)}, Attributes: map[string]string{"n": fmt.Sprint(i), "": ""},
					CorrelationID: "c", ReplyTo: "r", OrderingKey: "o", Time: time.UnixMilli(int64(i) - 1),
				})
			}
			if err := publish(t.Context(), here, want...); err != nil {
				t.Fatal(err)
			}
			for name, c := range map[string]struct {
				sub  driver.Subscriber
				want []int
			}{"a topic with odd characters": {a, []int{0}}, "a.*": {b, []int{0, 1, 3}}, "a.> filtered": {c, []int{2}}, "a pattern without wildcards": {d, []int{2}}} {
				got := read(t, c.sub, len(c.want))
				for i, n := range c.want {
					g, w := got[i], want[n]
					if g.ID != w.ID || g.Topic != w.Topic || string(g.Payload) != string(w.Payload) || !maps.Equal(g.Attributes, w.Attributes) ||
						g.CorrelationID != w.CorrelationID || g.ReplyTo != w.ReplyTo || g.OrderingKey != w.OrderingKey || !g.Time.Equal(w.Time) {
						t.Errorf("%s: event %d is %+v, want %+v", name, i, g, w)
					}
				}
			}
		})
	}
}

func TestEventsWithOneKeyAreSentInOrder(t *testing.T) {
	t.Parallel()
	s := open(t, shared.get(t, redistest.Seven()), "")
	one := subscribed(t)(s.PubSub.Subscribe(t.Context(), events, follow("ordered")))
	two := subscribed(t)(s.PubSub.Subscribe(t.Context(), events, follow("ordered")))
	var callers sync.WaitGroup
	for i := range 8 {
		callers.Go(func() {
			for n := range 20 {
				list := []driver.Event{
					{ID: fmt.Sprint(i, ".", n), Topic: "ordered", OrderingKey: "k"},
					{ID: fmt.Sprint(i, ".", n, "x"), Topic: "ordered", OrderingKey: fmt.Sprint(n)},
				}
				results := make([]driver.PublishResult, 2)
				if err := s.PubSubOrdering.PublishOrdered(t.Context(), events, list, results); err != nil || results[0].Err != nil || results[1].Err != nil {
					t.Errorf("PublishOrdered: %v %+v", err, results)
				}
			}
		})
	}
	callers.Wait()
	var seen [2][]string
	last := map[string]int{}
	for i, sub := range []driver.Subscriber{one, two} {
		for _, e := range read(t, sub, 320) {
			if e.OrderingKey != "k" {
				continue
			}
			seen[i] = append(seen[i], e.ID)
			caller, n, _ := strings.Cut(e.ID, ".")
			var number int
			_, _ = fmt.Sscan(n, &number)
			if i == 0 && number != last[caller] {
				t.Errorf("of caller %s came %d, want %d", caller, number, last[caller])
			}
			last[caller] = number + 1
		}
	}
	if fmt.Sprint(seen[0]) != fmt.Sprint(seen[1]) {
		t.Errorf("two subscriptions saw another order")
	}
}

func TestALostServerEndsEverySubscription(t *testing.T) {
	t.Parallel()
	server := redistest.Seven().Start(t, "--appendonly", "no")
	s := open(t, server, "")
	subs := []driver.Subscriber{
		subscribed(t)(s.PubSub.Subscribe(t.Context(), events, follow("a"))),
		subscribed(t)(s.PubSubWildcards.SubscribePattern(t.Context(), events, follow("*"))),
	}
	if err := publish(t.Context(), s, driver.Event{Topic: "a", ID: "before"}); err != nil {
		t.Fatal(err)
	}
	for _, sub := range subs {
		read(t, sub, 1)
	}
	if err := server.Kill(); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	for i, sub := range subs {
		if _, err := sub.Next(ctx); !errors.Is(err, prism.ReasonBackendUnavailable) {
			t.Errorf("subscription %d: %v, want BACKEND_UNAVAILABLE", i, err)
		}
	}
	results := make([]driver.PublishResult, 1)
	for call, err := range map[string]error{
		"Subscribe":      second(s.PubSub.Subscribe(ctx, events, follow("a"))),
		"Publish":        publish(ctx, s, driver.Event{Topic: "a"}),
		"PublishOrdered": errors.Join(s.PubSubOrdering.PublishOrdered(ctx, events, []driver.Event{{Topic: "a"}}, results), results[0].Err),
	} {
		if !errors.Is(err, prism.ReasonBackendUnavailable) {
			t.Errorf("%s: %v, want BACKEND_UNAVAILABLE", call, err)
		}
	}
	if err := server.Start(); err != nil {
		t.Fatal(err)
	}
	eventually(t, "back", func() bool {
		sub, err := s.PubSub.Subscribe(ctx, events, follow("a"))
		if err != nil {
			return false
		}
		defer func() { _ = sub.Close() }()
		if err := publish(ctx, s, driver.Event{Topic: "a", ID: "after"}); err != nil {
			return false
		}
		return read(t, sub, 1)[0].ID == "after"
	})
}

func TestASlowReaderHarmsItselfAlone(t *testing.T) {
	t.Parallel()
	s := open(t, shared.get(t, redistest.Seven()), "")
	drop, end := follow("slow"), follow("slow")
	drop.Pending, end.Pending, end.Slow = 3, 3, driver.SlowDisconnect
	dropping := subscribed(t)(s.PubSub.Subscribe(t.Context(), events, drop))
	ending := subscribed(t)(s.PubSub.Subscribe(t.Context(), events, end))
	fast := subscribed(t)(s.PubSub.Subscribe(t.Context(), events, follow("slow")))
	for i := range 10 {
		if err := publish(t.Context(), s, driver.Event{Topic: "slow", ID: fmt.Sprint(i)}); err != nil {
			t.Fatal(err)
		}
	}
	read(t, fast, 10) // so the others have had theirs
	b, err := dropping.Next(t.Context())
	if err != nil || len(b.Events) != 3 || b.Events[2].ID != "2" {
		t.Errorf("who drops got %+v, %v", b.Events, err)
	}
	if b.Dropped != 7 {
		t.Errorf("%d dropped, want 7", b.Dropped)
	}
	if got := read(t, ending, 3); got[2].ID != "2" {
		t.Errorf("who is ended got %+v", got)
	}
	if _, err := ending.Next(t.Context()); !errors.Is(err, prism.ReasonSlowConsumer) {
		t.Errorf("the end: %v", err)
	}
	if _, err := s.PubSub.Subscribe(t.Context(), events, driver.Subscription{Pattern: "a"}); !errors.Is(err, prism.ReasonInvalidArgument) {
		t.Errorf("a subscription without room: %v", err)
	}
	if err := s.PubSub.Publish(t.Context(), events, make([]driver.Event, 1), nil); !errors.Is(err, prism.ReasonInvalidArgument) {
		t.Errorf("too few results: %v", err)
	}
	if err := s.PubSubOrdering.PublishOrdered(t.Context(), events, make([]driver.Event, 1), nil); !errors.Is(err, prism.ReasonInvalidArgument) {
		t.Errorf("too few results: %v", err)
	}
}

// What somebody else publishes on our channels is nobody's event, and what is
// cut off is none.
func TestStrangersOnTheChannelsAreNotEvents(t *testing.T) {
	t.Parallel()
	server := shared.get(t, redistest.Seven())
	s, c := open(t, server, ""), raw(t, server)
	sub := subscribed(t)(s.PubSub.Subscribe(t.Context(), "plain", follow("a")))
	rapid.Check(t, func(r *rapid.T) {
		junk := rapid.SliceOfN(rapid.Byte(), 0, 20).Draw(r, "junk")
		if len(junk) > 0 && junk[0] == 1 {
			junk[0] = 2
		}
		for _, b := range [][]byte{junk, {1}, {1, 2}, {1, 2, 5, 'x'}, {1, 2, 0, 0, 0, 0}, {1, 2, 0, 0, 0, 0, 1}, {1, 2, 0, 0, 0, 0, 1, 0, 9}} {
			if err := c.Publish(t.Context(), "p1:0:{p1:5:plain:0}ea", b).Err(); err != nil {
				r.Fatal(err)
			}
		}
	})
	results := make([]driver.PublishResult, 1)
	if err := s.PubSub.Publish(t.Context(), "plain", []driver.Event{{Topic: "a", ID: "true"}}, results); err != nil {
		t.Fatal(err)
	}
	if got := read(t, sub, 1); got[0].ID != "true" {
		t.Errorf("got %+v", got)
	}
}
