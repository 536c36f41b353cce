package client_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prism-data-layer/prism/pkg/client"
	"github.com/prism-data-layer/prism/pkg/prism"
	"github.com/prism-data-layer/prism/test/harness"
)

const ofPubSub = `apiVersion: prism/v1
auth: {mode: off}
backends:
  - {name: volatile, driver: memory}
  - {name: local, driver: pebble, options: {memtable: 1MiB, cache: 1MiB}}
namespaces:
  - {name: mem, model: pubsub, backend: volatile, access: {owners: ["user:dev"]}}
  - {name: disk, model: pubsub, backend: local, access: {owners: ["user:dev"]}}
drain: {timeout: 5s}
`

func subscribe(t *testing.T, ps *client.PubSub, pattern string, o client.SubscribeOptions) *client.Subscription {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	s, err := ps.Subscribe(ctx, pattern, o)
	if err != nil {
		cancel()
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close(); cancel() })
	return s
}

func publish(t *testing.T, ps *client.PubSub, events ...client.Event) []client.Published {
	t.Helper()
	out := make([]client.Published, len(events))
	for i, e := range events {
		var err error
		if out[i], err = ps.Publish(t.Context(), e); err != nil {
			t.Fatalf("publish: %v", err)
		}
	}
	return out
}

func plain(topic, payload string) client.Event {
	return client.Event{Topic: topic, Payload: []byte(payload)}
}

func kept(topic, payload string) client.Event {
	return client.Event{Topic: topic, Payload: []byte(payload), Persistent: true}
}

// receive reads n payloads and the gaps between them.
func receive(t *testing.T, s *client.Subscription, n int) (payloads []string, gaps int, last client.Delivery) {
	t.Helper()
	for len(payloads) < n {
		d, err := s.Next()
		if err != nil {
			t.Fatalf("after %q: %v", payloads, err)
		}
		if d.Gap != nil {
			gaps++
		}
		for _, e := range d.Events {
			payloads = append(payloads, string(e.Payload))
		}
		last = d
	}
	return payloads, gaps, last
}

func TestEveryMethodOfPubSub(t *testing.T) {
	t.Parallel()
	ps := dial(t, harness.Start(t, harness.Options{File: ofPubSub})).PubSub(ns)
	ctx := t.Context()
	live := subscribe(t, ps, "a.*", client.SubscribeOptions{MaxPending: 100})
	filtered := subscribe(t, ps, "a.b", client.SubscribeOptions{Filter: []client.FilterClause{{Attribute: "k", Op: client.FilterIn, Values: []string{"v"}}}})
	grouped := subscribe(t, ps, "a.b", client.SubscribeOptions{Group: "g", Disconnect: true})
	e := client.Event{
		Topic: "a.b", Payload: []byte("p"), Attributes: map[string]string{"k": "v"}, CorrelationID: "c", ReplyTo: "r", OrderingKey: "o",
	}
	sent := publish(t, ps, plain("a.b", "first"), e)
	if sent[0].Subscribers != 2 || sent[1].Subscribers != 3 || sent[1].ID == "" || sent[1].Time.IsZero() {
		t.Errorf("published: %+v", sent)
	}
	_, _, d := receive(t, live, 2)
	got := d.Events[len(d.Events)-1]
	if got.ID != sent[1].ID || !got.Time.Equal(sent[1].Time) || got.Topic != "a.b" || string(got.Payload) != "p" || got.Attributes["k"] != "v" ||
		got.CorrelationID != "c" || got.ReplyTo != "r" || got.OrderingKey != "o" || got.Persistent {
		t.Errorf("got %+v", got)
	}
	if got, _, _ := receive(t, filtered, 1); got[0] != "p" {
		t.Errorf("the filter let %q pass", got)
	}
	receive(t, grouped, 2)

	bad := plain("a b", "")
	batch, err := ps.PublishBatch(ctx, []client.Event{plain("b", "1"), bad, kept("b", "2")})
	if err != nil || len(batch) != 3 || batch[0].Err != nil || batch[1].Err == nil || batch[1].Err.Reason != prism.ReasonInvalidArgument || batch[2].Position == "" {
		t.Errorf("batch: %+v, %v", batch, err)
	}
	durable := subscribe(t, ps, "b", client.SubscribeOptions{Durable: "n", Earliest: true})
	_, _, d = receive(t, durable, 1)
	if !d.Events[0].Persistent || d.Events[0].Position != batch[2].Position || d.Position == "" {
		t.Errorf("delivered: %+v", d)
	}
	ok(t, durable.Acknowledge(ctx, d.Position))
	list, err := ps.Subscriptions(ctx)
	if err != nil || len(list) != 4 || !slices.ContainsFunc(list, func(i client.SubscriptionInfo) bool { return i.Durable == "n" && i.Active && i.Behind == 0 }) {
		t.Errorf("listed: %+v, %v", list, err)
	}
	if found, err := ps.Unsubscribe(ctx, live.ID()); err != nil || !found {
		t.Errorf("Unsubscribe: %v %v", found, err)
	}
	if _, err := live.Next(); !errors.Is(err, io.EOF) {
		t.Errorf("what was ended gives %v", err)
	}
	refused(t, "no such name", ps.Acknowledge(ctx, "other", d.Position), prism.ReasonNotFound)
	_, err = ps.Subscribe(ctx, "a..b", client.SubscribeOptions{})
	refused(t, "Subscribe", err, prism.ReasonInvalidArgument)
	_, err = ps.Publish(ctx, plain("*", ""))
	refused(t, "Publish", err, prism.ReasonInvalidArgument)
}

// Over a restart persistent events come without a gap, and a live subscription
// tells of its own.
func TestSubscriptionsGoOnAfterARestart(t *testing.T) {
	t.Parallel()
	g := harness.Start(t, harness.Options{File: ofPubSub})
	c := dial(t, g)
	ps := c.PubSub("disk")
	var mu sync.Mutex
	resumed := map[string]int{}
	told := func(name string) func(string, *prism.Error) {
		return func(_ string, why *prism.Error) {
			mu.Lock()
			defer mu.Unlock()
			if resumed[name]++; why == nil {
				t.Error("no reason is told")
			}
		}
	}
	publish(t, ps, kept("a", "1"), kept("a", "2"))
	replay := subscribe(t, ps, "a", client.SubscribeOptions{Earliest: true, Resumed: told("replay")})
	durable := subscribe(t, ps, "a", client.SubscribeOptions{Durable: "n", Earliest: true, AutoAck: true, Resumed: told("durable")})
	live := subscribe(t, ps, "a", client.SubscribeOptions{Resumed: told("live")})
	receive(t, replay, 2)
	receive(t, durable, 2)
	g.Restart(t)
	// A live one that has not come back yet would miss what follows.
	d, err := live.Next()
	if err != nil || d.Gap == nil || len(d.Events) != 0 {
		t.Errorf("the live one tells %+v, %v", d, err)
	}
	publish(t, ps, kept("a", "3"), kept("a", "4"))
	for name, s := range map[string]*client.Subscription{"replay": replay, "durable": durable, "live": live} {
		if got, gaps, _ := receive(t, s, 2); !slices.Equal(got, []string{"3", "4"}) || gaps != 0 {
			t.Errorf("%s goes on with %q and %d gaps", name, got, gaps)
		}
		mu.Lock()
		if resumed[name] != 1 {
			t.Errorf("%s was told %d times that it goes on", name, resumed[name])
		}
		mu.Unlock()
	}
	if n := c.Stats().Resumes.Load(); n != 3 {
		t.Errorf("%d resumes counted, want 3", n)
	}
}

func TestAReplayBeginsWhereItIsAskedTo(t *testing.T) {
	t.Parallel()
	ps := dial(t, harness.Start(t, harness.Options{File: ofPubSub})).PubSub(ns)
	sent := publish(t, ps, kept("a", "1"), kept("a", "2"))
	next := subscribe(t, ps, "a", client.SubscribeOptions{Next: true})
	for name, o := range map[string]client.SubscribeOptions{
		"after": {After: sent[0].Position}, "since": {Since: sent[0].Time.Add(-time.Second)}, "earliest": {Earliest: true},
	} {
		want := []string{"1", "2"}
		if name == "after" {
			want = want[1:]
		}
		if got, _, _ := receive(t, subscribe(t, ps, "a", o), len(want)); !slices.Equal(got, want) {
			t.Errorf("%s: got %q", name, got)
		}
	}
	publish(t, ps, kept("a", "3"))
	if got, _, _ := receive(t, next, 1); got[0] != "3" {
		t.Errorf("next: got %q", got)
	}
}

// answer echoes requests until the subscription ends.
func answerRequests(t *testing.T, ps *client.PubSub, topic string) {
	t.Helper()
	s := subscribe(t, ps, topic, client.SubscribeOptions{MaxPending: 10_000})
	go func() {
		for {
			d, err := s.Next()
			if err != nil {
				return
			}
			for _, e := range d.Events {
				for range 2 { // the second answer is nobody's
					_ = ps.Reply(context.Background(), e, []byte("re: "+string(e.Payload)))
				}
			}
		}
	}()
}

func TestRequestsGetTheirOwnAnswers(t *testing.T) {
	t.Parallel()
	g := harness.Start(t, harness.Options{File: ofPubSub})
	answerRequests(t, dial(t, g).PubSub(ns), "echo")
	ps := dial(t, g).PubSub(ns)
	defer ps.Close()
	var wg sync.WaitGroup
	for i := range 40 {
		wg.Go(func() {
			e, err := ps.Request(t.Context(), "echo", []byte(fmt.Sprint(i)))
			if err != nil || string(e.Payload) != fmt.Sprint("re: ", i) {
				t.Errorf("request %d: %q, %v", i, e.Payload, err)
			}
		})
	}
	wg.Wait()
	list, err := ps.Subscriptions(t.Context())
	if err != nil || len(list) != 2 {
		t.Errorf("%d subscriptions, %v; want the echo and one inbox", len(list), err)
	}
}

func TestARequestThatNobodyHearsFailsAtOnce(t *testing.T) {
	t.Parallel()
	ps := dial(t, harness.Start(t, harness.Options{File: ofPubSub})).PubSub(ns)
	defer ps.Close()
	_, err := ps.Request(t.Context(), "nobody", nil)
	if e := refused(t, "nobody", err, prism.ReasonUnavailable); !strings.Contains(e.Message, "nobody") {
		t.Errorf("it says %q", e.Message)
	}
	subscribe(t, ps, "silent", client.SubscribeOptions{})
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	_, err = ps.Request(ctx, "silent", nil)
	refused(t, "no answer", err, prism.ReasonDeadlineExceeded)
	refused(t, "no request", ps.Reply(t.Context(), client.Event{}, nil), prism.ReasonInvalidArgument)
	_, err = ps.Request(t.Context(), "a..b", nil)
	refused(t, "a bad topic", err, prism.ReasonInvalidArgument)
}

func TestRequestsGoOnAfterARestart(t *testing.T) {
	t.Parallel()
	g := harness.Start(t, harness.Options{File: ofPubSub})
	answerRequests(t, dial(t, g).PubSub(ns), "echo")
	ps := dial(t, g).PubSub(ns)
	defer ps.Close()
	_, err := ps.Request(t.Context(), "echo", []byte("1"))
	ok(t, err)
	g.Restart(t)
	harness.Eventually(t, 20*time.Second, "an answer", func() bool {
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		_, err := ps.Request(ctx, "echo", []byte("2"))
		return err == nil
	})
	ps.Close()
	_, err = ps.Request(t.Context(), "echo", []byte("3")) // with another inbox
	ok(t, err)
}

func TestAnInboxThatCannotBeMadeIsTold(t *testing.T) {
	t.Parallel()
	g := harness.Start(t, harness.Options{File: ofPubSub})
	ps := dial(t, g).PubSub("none")
	_, err := ps.Request(t.Context(), "a", nil)
	refused(t, "no namespace", err, prism.ReasonNotFound)
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	_, err = dial(t, g).PubSub(ns).Request(ended, "a", nil)
	refused(t, "an ended context", err, prism.ReasonCancelled)
}
