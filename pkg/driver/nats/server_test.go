package nats_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	gonats "github.com/nats-io/nats.go"

	"github.com/prism-data-layer/prism/pkg/clock"
	"github.com/prism-data-layer/prism/pkg/driver"
	"github.com/prism-data-layer/prism/pkg/driver/nats"
	"github.com/prism-data-layer/prism/pkg/driver/nats/natstest"
	"github.com/prism-data-layer/prism/pkg/prism"
)

const ns = prism.Namespace("ns")

func event(topic, payload string) driver.Event {
	return driver.Event{ID: "id-" + payload, Topic: topic, Payload: []byte(payload), Time: time.Now().Truncate(time.Millisecond)}
}

type publisher func(context.Context, prism.Namespace, []driver.Event, []driver.PublishResult) error

func publish(ctx context.Context, by publisher, e driver.Event) (driver.PublishResult, error) {
	var r [1]driver.PublishResult
	if err := by(ctx, ns, []driver.Event{e}, r[:]); err != nil {
		return r[0], err
	}
	return r[0], r[0].Err
}

func must[T any](v T, err error) func(t *testing.T) T {
	return func(t *testing.T) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

func second[T any](_ T, err error) error { return err }

// eventually waits for f; a test machine may be slow.
func eventually(t *testing.T, what string, f func() bool) {
	t.Helper()
	for deadline := time.Now().Add(30 * time.Second); !f(); {
		if time.Now().After(deadline) {
			t.Fatalf("%s: not within 30 s", what)
		}
		time.Sleep(5 * time.Millisecond)
	}
}

func subscribe(t *testing.T, s driver.Set, pattern string) driver.Subscriber {
	t.Helper()
	sub := must(s.PubSub.Subscribe(t.Context(), ns, driver.Subscription{Pattern: pattern, Pending: 1000, Slow: driver.SlowDrop}))(t)
	t.Cleanup(func() { _ = sub.Close() })
	return sub
}

func replay(t *testing.T, s driver.Set, r driver.Replay) driver.Replayer {
	t.Helper()
	f := must(s.PubSubPersistent.Replay(t.Context(), ns, r))(t)
	t.Cleanup(func() { _ = f.Close() })
	return f
}

var named = driver.Replay{Name: "n", Pattern: "a", Start: driver.ReplayStart{Earliest: true}}

// payloads reads until n events have come, or the end.
func payloads(ctx context.Context, f driver.Replayer, n int) (list []string, err error) {
	for len(list) < n {
		b, err := f.Next(ctx)
		if err != nil {
			return list, err
		}
		for _, e := range b.Events {
			list = append(list, string(e.Payload))
		}
	}
	return list, nil
}

func ends(t *testing.T, what string, next func() error, reason prism.Reason) {
	t.Helper()
	var err error
	for err == nil {
		err = next()
	}
	if !errors.Is(err, reason) {
		t.Errorf("%s ends with %v, want %s", what, err, reason)
	}
}

func unavailable(t *testing.T, what string, err error) {
	t.Helper()
	if !errors.Is(err, prism.ReasonBackendUnavailable) || prism.From(err).RetryAfter() <= 0 || !prism.From(err).Retryable() {
		t.Errorf("%s: %v, want BACKEND_UNAVAILABLE with a wait", what, err)
	}
}

func TestAServerThatIsDownIsUnavailableAndComesBack(t *testing.T) {
	t.Parallel()
	server := natstest.Start(t, "")
	s := open(t, server, "")
	once := event("a", "1")
	once.Receipt = driver.Receipt{ID: [16]byte{1}, Body: [16]byte{2}, Keep: time.Hour}
	p := s.PubSubPersistent
	first := must(publish(t.Context(), p.PublishPersistent, once))(t)
	sub, f := subscribe(t, s, "a"), replay(t, s, named)
	if got, err := payloads(t.Context(), f, 1); err != nil || got[0] != "1" {
		t.Fatal(got, err)
	}
	if err := p.Acknowledge(t.Context(), ns, "n", first.Position); err != nil {
		t.Fatal(err)
	}
	if err := server.Stop(); err != nil {
		t.Fatal(err)
	}
	ends(t, "a subscription", func() error { return second(sub.Next(t.Context())) }, prism.ReasonBackendUnavailable)
	ends(t, "a replay", func() error { return second(f.Next(t.Context())) }, prism.ReasonBackendUnavailable)
	unavailable(t, "Publish", second(publish(t.Context(), s.PubSub.Publish, event("a", "lost"))))
	unavailable(t, "PublishPersistent", second(publish(t.Context(), p.PublishPersistent, event("a", "lost"))))
	unavailable(t, "Subscribe", second(s.PubSub.Subscribe(t.Context(), ns, driver.Subscription{Pattern: "a", Pending: 1})))
	unavailable(t, "Replay", second(p.Replay(t.Context(), ns, named)))
	unavailable(t, "Acknowledge", p.Acknowledge(t.Context(), ns, "n", first.Position))
	unavailable(t, "Subscriptions", second(p.Subscriptions(t.Context(), ns)))
	unavailable(t, "DeleteSubscription", second(p.DeleteSubscription(t.Context(), ns, "n")))
	unavailable(t, "Usage", second(s.Store.Usage(t.Context(), ns)))
	unavailable(t, "Drop", s.Store.Drop(t.Context(), ns))
	if h := s.Store.Health(t.Context()); h.State != driver.Unhealthy || h.Message == "" {
		t.Errorf("Health is %v %q", h.State, h.Message)
	}
	if err := sub.Close(); err != nil {
		t.Error(err)
	}
	if err := f.Close(); err != nil {
		t.Error(err)
	}
	if err := server.Start(); err != nil {
		t.Fatal(err)
	}
	eventually(t, "back", func() bool {
		again, err := publish(t.Context(), p.PublishPersistent, once)
		if err != nil {
			return false
		}
		if !again.Replayed || string(again.Position) != string(first.Position) || again.ID != once.ID {
			t.Errorf("the receipt did not outlive the restart: %+v", again)
		}
		return true
	})
	live, f := subscribe(t, s, "a"), replay(t, s, named)
	must(publish(t.Context(), p.PublishPersistent, event("a", "2")))(t)
	if got, err := payloads(t.Context(), f, 1); err != nil || got[0] != "2" {
		t.Errorf("the name goes on with %q, %v: what was published while the server was down must not come", got, err)
	}
	if b, err := live.Next(t.Context()); err != nil || string(b.Events[0].Payload) != "2" {
		t.Errorf("a new subscription gets %v, %v", b, err)
	}
	eventually(t, "healthy", func() bool { return s.Store.Health(t.Context()).State == driver.Healthy })
}

func TestAKilledServerHasWhatWasAcked(t *testing.T) {
	t.Parallel()
	server := natstest.Start(t, "")
	s := open(t, server, "")
	const n = 200
	for i := range n {
		must(publish(t.Context(), s.PubSubPersistent.PublishPersistent, event("a", fmt.Sprint(i))))(t)
	}
	if err := server.Kill(); err != nil {
		t.Fatal(err)
	}
	if err := server.Start(); err != nil {
		t.Fatal(err)
	}
	var f driver.Replayer
	eventually(t, "back", func() bool {
		var err error
		f, err = s.PubSubPersistent.Replay(t.Context(), ns, named)
		return err == nil
	})
	defer func() { _ = f.Close() }()
	if got, err := payloads(t.Context(), f, n); err != nil || len(got) != n || got[n-1] != fmt.Sprint(n-1) {
		t.Errorf("%d events came back, %v", len(got), err)
	}
}

func TestAGatewayStartsWithoutItsServer(t *testing.T) {
	t.Parallel()
	server := natstest.Start(t, "")
	if err := server.Stop(); err != nil {
		t.Fatal(err)
	}
	s := open(t, server, "")
	if s.Info.Durable || !strings.Contains(s.Info.Durability, "not known") {
		t.Errorf("nobody has told, and Info says %+v", s.Info)
	}
	unavailable(t, "Publish", second(publish(t.Context(), s.PubSub.Publish, event("a", "x"))))
	if err := server.Start(); err != nil {
		t.Fatal(err)
	}
	eventually(t, "there", func() bool { return second(publish(t.Context(), s.PubSub.Publish, event("a", "x"))) == nil })
}

func TestWithoutJetStreamNothingIsKeptAndTheRestWorks(t *testing.T) {
	t.Parallel()
	s := open(t, natstest.Start(t, natstest.Payload), "")
	if s.PubSubPersistent != nil || s.PubSubWildcards == nil || !strings.Contains(s.Info.Durability, "no JetStream") {
		t.Errorf("the set has %v, and Info says %+v", s.Names(), s.Info)
	}
	sub := subscribe(t, s, "a")
	must(publish(t.Context(), s.PubSub.Publish, event("a", "x")))(t)
	if b, err := sub.Next(t.Context()); err != nil || string(b.Events[0].Payload) != "x" {
		t.Errorf("got %v, %v", b, err)
	}
	if u, err := s.Store.Usage(t.Context(), ns); err != nil || u.Keys != 0 {
		t.Errorf("Usage is %+v, %v", u, err)
	}
	if err := s.Store.Drop(t.Context(), ns); err != nil {
		t.Error(err)
	}
	if h := s.Store.Health(t.Context()); h.State != driver.Healthy || h.Facts["jetstream"] != "no" {
		t.Errorf("Health is %+v", h)
	}
}

func TestJetStreamThatIsFullRefusesAndTheRestWorks(t *testing.T) {
	t.Parallel()
	s := open(t, natstest.Start(t, natstest.Payload+"jetstream {store_dir: DIR, max_memory_store: 64MB, max_file_store: 8MB}\n"), "")
	big := event("a", strings.Repeat("x", 1<<20))
	big.ID = "big"
	var err error
	for n := 0; err == nil && n < 20; n++ {
		_, err = publish(t.Context(), s.PubSubPersistent.PublishPersistent, big)
	}
	if !errors.Is(err, prism.ReasonQuotaExceeded) {
		t.Errorf("a full JetStream answers %v, want QUOTA_EXCEEDED", err)
	}
	must(publish(t.Context(), s.PubSub.Publish, big))(t)
}

func TestAServerOfSmallMessagesRefusesLargeEventsAndSaysSo(t *testing.T) {
	t.Parallel()
	s := open(t, natstest.Start(t, natstest.JetStream), "")
	sub := subscribe(t, s, "a")
	big := event("a", strings.Repeat("x", prism.MaxValueBytes))
	var r [3]driver.PublishResult
	if err := s.PubSub.Publish(t.Context(), ns, []driver.Event{event("a", "1"), big, event("a", "2")}, r[:]); err != nil {
		t.Fatal(err)
	}
	if r[0].Err != nil || r[2].Err != nil || !errors.Is(r[1].Err, prism.ReasonQuotaExceeded) || !strings.Contains(r[1].Err.Error(), "max_payload") {
		t.Errorf("results are %v", r)
	}
	if _, err := publish(t.Context(), s.PubSubPersistent.PublishPersistent, big); !errors.Is(err, prism.ReasonQuotaExceeded) {
		t.Errorf("PublishPersistent: %v", err)
	}
	for got := 0; got < 2; {
		b := must(sub.Next(t.Context()))(t)
		got += len(b.Events)
	}
	if h := s.Store.Health(t.Context()); h.State != driver.Degraded || !strings.Contains(h.Message, "max_payload") {
		t.Errorf("Health is %v %q", h.State, h.Message)
	}
}

func TestAFrozenServerKeepsNobodyPastTheEnd(t *testing.T) {
	t.Parallel()
	server := natstest.Start(t, "")
	s := open(t, server, "timeout: 300ms")
	if err := server.Freeze(); err != nil {
		t.Fatal(err)
	}
	var live error
	eventually(t, "frozen", func() bool { // a signal takes its time
		live = second(publish(context.Background(), s.PubSub.Publish, event("a", "x")))
		return live != nil
	})
	kept := second(publish(context.Background(), s.PubSubPersistent.PublishPersistent, event("a", "x")))
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	late := second(s.PubSub.Subscribe(ctx, ns, driver.Subscription{Pattern: "a", Pending: 1}))
	if err := server.Thaw(); err != nil {
		t.Fatal(err)
	}
	unavailable(t, "Publish", live)
	unavailable(t, "PublishPersistent", kept)
	if !errors.Is(late, prism.ReasonDeadlineExceeded) {
		t.Errorf("Subscribe: %v, want DEADLINE_EXCEEDED", late)
	}
	eventually(t, "back", func() bool { return second(publish(t.Context(), s.PubSub.Publish, event("a", "x"))) == nil })
}

func TestGatewaysOnOneServerAreOneToTheirCallers(t *testing.T) {
	t.Parallel()
	server := natstest.Start(t, "")
	a, b := open(t, server, ""), open(t, server, "")
	live := subscribe(t, b, "a")
	first := must(publish(t.Context(), a.PubSubPersistent.PublishPersistent, event("a", "1")))(t)
	if e, err := live.Next(t.Context()); err != nil || string(e.Events[0].Payload) != "1" {
		t.Errorf("the other gateway hears %v, %v", e, err)
	}
	mine := replay(t, a, named)
	l := must(b.PubSubPersistent.Subscriptions(t.Context(), ns))(t)
	if len(l) != 1 || !l[0].Active || l[0].Behind != 1 {
		t.Errorf("the other gateway lists %+v", l)
	}
	theirs := replay(t, b, named)
	ends(t, "the first reader", func() error { return second(mine.Next(t.Context())) }, prism.ReasonTaken)
	if got, err := payloads(t.Context(), theirs, 1); err != nil || got[0] != "1" {
		t.Errorf("the second reader gets %v, %v", got, err)
	}
	if err := a.PubSubPersistent.Acknowledge(t.Context(), ns, "n", first.Position); err != nil {
		t.Error(err)
	}
	if found, err := a.PubSubPersistent.DeleteSubscription(t.Context(), ns, "n"); err != nil || !found {
		t.Errorf("DeleteSubscription: %v %v", found, err)
	}
	ends(t, "the reader of a deleted name", func() error { return second(theirs.Next(t.Context())) }, prism.ReasonNotFound)

	// A log that is dropped here and made anew there is not the one known here.
	if err := b.Store.Drop(t.Context(), ns); err != nil {
		t.Fatal(err)
	}
	again := must(publish(t.Context(), a.PubSubPersistent.PublishPersistent, event("a", "2")))(t)
	if string(again.Position) == string(first.Position) {
		t.Errorf("position %x is given twice", again.Position)
	}
	if _, err := b.PubSubPersistent.Replay(t.Context(), ns, driver.Replay{Pattern: "a", Start: driver.ReplayStart{After: first.Position}}); !errors.Is(err, prism.ReasonCompacted) {
		t.Errorf("a position of a dropped log: %v", err)
	}
	if got, err := payloads(t.Context(), replay(t, b, named), 1); err != nil || got[0] != "2" {
		t.Errorf("the new log has %v, %v", got, err)
	}
}

func TestANameIsNotMovedPastWhatAnotherGatewayTrimmed(t *testing.T) {
	t.Parallel()
	server := natstest.Start(t, "")
	a, b := open(t, server, "pubsub_events: 10"), open(t, server, "pubsub_events: 20")
	must(publish(t.Context(), b.PubSubPersistent.PublishPersistent, event("other", "x")))(t)
	_ = replay(t, a, named).Close()
	must(publish(t.Context(), b.PubSubPersistent.PublishPersistent, event("a", "owed")))(t)
	for range 20 {
		must(publish(t.Context(), a.PubSubPersistent.PublishPersistent, event("other", "x")))(t)
	}
	must(publish(t.Context(), a.PubSubPersistent.PublishPersistent, event("a", "kept")))(t)
	for range 20 { // b knows of no trimming before its own
		must(publish(t.Context(), b.PubSubPersistent.PublishPersistent, event("other", "x")))(t)
	}
	if _, err := a.PubSubPersistent.Replay(t.Context(), ns, named); !errors.Is(err, prism.ReasonCompacted) {
		t.Errorf("a name that lost an event goes on: %v", err)
	}
}

func TestPrefixesKeepInstallationsApart(t *testing.T) {
	t.Parallel()
	server := natstest.Start(t, "")
	a, b := open(t, server, "prefix: one"), open(t, server, "prefix: two")
	sub := subscribe(t, b, "a")
	must(publish(t.Context(), a.PubSub.Publish, event("a", "not")))(t)
	must(publish(t.Context(), a.PubSubPersistent.PublishPersistent, event("a", "not")))(t)
	must(publish(t.Context(), b.PubSub.Publish, event("a", "yes")))(t)
	if e, err := sub.Next(t.Context()); err != nil || string(e.Events[0].Payload) != "yes" {
		t.Errorf("got %v, %v", e, err)
	}
	if u, err := b.Store.Usage(t.Context(), ns); err != nil || u.Keys != 0 {
		t.Errorf("Usage is %+v, %v", u, err)
	}
}

func TestEventsOverTheAgeGo(t *testing.T) {
	t.Parallel()
	now := clock.NewFake(time.Now())
	c := settings(natstest.Start(t, "").URL, "")
	c.Clock = now
	s := must(nats.Spec().Open(t.Context(), c))(t)
	defer func() { _ = s.Store.Close() }()
	first := must(publish(t.Context(), s.PubSubPersistent.PublishPersistent, event("a", "old")))(t)
	must(publish(t.Context(), s.PubSubPersistent.PublishPersistent, event("a", "old")))(t)
	other := driver.Replay{Name: "other", Pattern: "b"}
	_ = replay(t, s, other).Close()
	now.Advance(driver.PubSubAge + time.Hour)
	eventually(t, "gone", func() bool {
		now.Advance(time.Minute)
		f, err := s.PubSubPersistent.Replay(t.Context(), ns, driver.Replay{Pattern: "a", Start: driver.ReplayStart{After: first.Position}})
		if err == nil {
			_ = f.Close()
		}
		return errors.Is(err, prism.ReasonCompacted)
	})
	if u, err := s.Store.Usage(t.Context(), ns); err != nil || u.Keys != 0 {
		t.Errorf("Usage is %+v, %v", u, err)
	}
	_ = replay(t, s, other) // which owes nothing
}

func TestANameMovesWithEventsThatPassIt(t *testing.T) {
	t.Parallel()
	now := clock.NewFake(time.Now())
	c := settings(natstest.Start(t, "").URL, "")
	c.Clock = now
	s := must(nats.Spec().Open(t.Context(), c))(t)
	defer func() { _ = s.Store.Close() }()
	f := replay(t, s, named)
	before := must(f.Next(t.Context()))(t)
	for range 3 {
		must(publish(t.Context(), s.PubSubPersistent.PublishPersistent, event("other", "x")))(t)
	}
	got := make(chan driver.Replayed, 1)
	go func() {
		b, err := f.Next(t.Context())
		if err != nil {
			t.Error(err)
		}
		got <- b
	}()
	var after driver.Replayed
	eventually(t, "a newer position", func() bool {
		now.Advance(time.Second)
		select {
		case after = <-got:
			return true
		default:
			return false
		}
	})
	if len(after.Events) != 0 || string(after.Position) == string(before.Position) {
		t.Errorf("got %+v after %x", after, before.Position)
	}
	l := must(s.PubSubPersistent.Subscriptions(t.Context(), ns))(t)
	if len(l) != 1 || l[0].Behind > 2 || l[0].Acked != nil {
		t.Errorf("listed are %+v, the name has seen some of the 3", l)
	}
}

func TestWhatIsNoEventIsNotDelivered(t *testing.T) {
	t.Parallel()
	server := natstest.Start(t, "")
	s := open(t, server, "")
	sub := subscribe(t, s, "a")
	raw := must(gonats.Connect(server.URL))(t)
	defer raw.Close()
	if err := errors.Join(raw.Publish("prism.live.n-ns.a", []byte("nonsense")), raw.Flush()); err != nil {
		t.Fatal(err)
	}
	must(publish(t.Context(), s.PubSub.Publish, event("a", "yes")))(t)
	if e, err := sub.Next(t.Context()); err != nil || string(e.Events[0].Payload) != "yes" {
		t.Errorf("got %v, %v", e, err)
	}
	must(publish(t.Context(), s.PubSubPersistent.PublishPersistent, event("a", "kept")))(t)
	js := must(raw.JetStream())(t)
	info := must(js.StreamInfo("prism_log_n-ns"))(t)
	must(js.Publish(strings.TrimSuffix(info.Config.Subjects[0], ">")+"a", []byte("nonsense")))(t)
	got, err := payloads(t.Context(), replay(t, s, named), 2)
	if !errors.Is(err, prism.ReasonDataLoss) || len(got) != 1 {
		t.Errorf("a damaged log gives %q, %v, want one event and DATA_LOSS", got, err)
	}
}

func TestAPasswordComesFromAFile(t *testing.T) {
	t.Parallel()
	server := natstest.Start(t, natstest.JetStream+natstest.Payload+"authorization {user: me, password: \"open sesame\"}\n")
	s := open(t, server, fmt.Sprintf("username: me\npassword_file: %q", write(t, "open sesame\n")))
	must(publish(t.Context(), s.PubSub.Publish, event("a", "x")))(t)
	wrong := settings(server.URL, fmt.Sprintf("username: me\npassword_file: %q", write(t, "open barley")))
	if _, err := nats.Spec().Open(t.Context(), wrong); !errors.Is(err, prism.ReasonFailedPrecond) {
		t.Errorf("a wrong password: %v", err)
	}
}

func TestInfoSaysWhatAnAckIsWorth(t *testing.T) {
	t.Parallel()
	s := open(t, server(t), "")
	if s.Info.Durable || !strings.Contains(s.Info.Durability, "every two minutes") || !strings.Contains(s.Info.Durability, "sync_interval") {
		t.Errorf("Info is %+v", s.Info)
	}
	if s := open(t, server(t), "replicas: 3"); !strings.Contains(s.Info.Durability, "majority of 3") {
		t.Errorf("Info is %+v", s.Info)
	}
}
