package pubsub_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/prism-data-layer/prism/pkg/clock"
	"github.com/prism-data-layer/prism/pkg/data"
	"github.com/prism-data-layer/prism/pkg/data/pubsub"
	"github.com/prism-data-layer/prism/pkg/driver"
	"github.com/prism-data-layer/prism/pkg/driver/memory"
	"github.com/prism-data-layer/prism/pkg/prism"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var start = time.Date(2026, 3, 4, 5, 6, 7, 8_900_000, time.UTC)

type rig struct {
	*pubsub.Store
	set      driver.Set
	registry *pubsub.Registry
	clock    *clock.Fake
}

// open is a namespace on memory, without what is taken away.
func open(t *testing.T, without ...string) rig {
	t.Helper()
	now := clock.NewFake(start)
	set, err := memory.Spec().Open(t.Context(), driver.Config{Name: "m", Clock: now})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = set.Store.Close() })
	set = set.Without(without...)
	r := rig{set: set, registry: pubsub.NewRegistry(), clock: now}
	r.Store = pubsub.New(set, "ns", pubsub.Policy{}, r.registry, data.NewSealer([]byte("0123456789abcdef0123456789abcdef")), now)
	return r
}

func event(topic, payload string) pubsub.Outgoing {
	return pubsub.Outgoing{Event: pubsub.Event{Topic: topic, Payload: []byte(payload)}}
}

func kept(topic, payload string) pubsub.Outgoing {
	o := event(topic, payload)
	o.Persistent = true
	return o
}

func (r rig) publish(t *testing.T, events ...pubsub.Outgoing) []pubsub.Published {
	t.Helper()
	results := make([]pubsub.Published, len(events))
	if err := r.Publish(t.Context(), events, results); err != nil {
		t.Fatal(err)
	}
	return results
}

func (r rig) subscribe(t *testing.T, q pubsub.Request) *pubsub.Subscription {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	sub, err := r.Subscribe(ctx, "ann", q)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { cancel(); _ = sub.Close() })
	return sub
}

func take(t *testing.T, sub *pubsub.Subscription, n int) (payloads []string) {
	t.Helper()
	for len(payloads) < n {
		b, err := sub.Next()
		if err != nil {
			t.Fatalf("after %q: %v", payloads, err)
		}
		for _, e := range b.Events {
			payloads = append(payloads, string(e.Payload))
		}
		sub.Sent(&b, len(b.Events), true)
	}
	return payloads
}

func refused(t *testing.T, what string, err error, reason prism.Reason, field string) {
	t.Helper()
	e := prism.From(err)
	if e == nil || e.Reason != reason {
		t.Errorf("%s: got %v, want %s", what, err, reason)
		return
	}
	if field != "" && !slices.ContainsFunc(e.Fields, func(f prism.FieldError) bool { return f.Field == field }) {
		t.Errorf("%s: names %v, want %s", what, e.Fields, field)
	}
}

func TestAnEventGetsIDAndTimeAndEveryKindItsWay(t *testing.T) {
	t.Parallel()
	r := open(t)
	sub := r.subscribe(t, pubsub.Request{Pattern: "a.b"})
	ordered := event("a.b", "2")
	ordered.OrderingKey = "k"
	results := r.publish(t, event("a.b", "1"), ordered, kept("a.b", "3"), event("a.b", "4"))
	if got := take(t, sub, 4); !slices.Equal(got, []string{"1", "2", "3", "4"}) {
		t.Errorf("came %q: a batch is in order, whatever its kinds", got)
	}
	for i, p := range results {
		if p.Err != nil || len(p.ID) != 26 || !p.Time.Equal(start.Truncate(time.Millisecond)) || p.Subscribers != 1 || (p.Position != "") != (i == 2) {
			t.Errorf("result %d is %+v", i, p)
		}
	}
	if results[0].ID == results[1].ID {
		t.Error("two events have one id")
	}
	if s := r.registry.Stats(); s.Published != 4 || s.Delivered != 4 || s.Subscriptions != 1 {
		t.Errorf("counted %+v", s)
	}
}

func TestEveryWrongFieldOfAnEventIsNamedAndTheOthersGoOn(t *testing.T) {
	t.Parallel()
	r := open(t)
	long := strings.Repeat("x", prism.MaxKeyBytes+1)
	bad := pubsub.Outgoing{Event: pubsub.Event{
		Topic: "a..b", Payload: make([]byte, prism.MaxValueBytes+1), Attributes: map[string]string{"": "x"},
		ReplyTo: "*", CorrelationID: long, OrderingKey: "\xff",
	}}
	results := r.publish(t, event("a", "good"), bad, event("a", "good"))
	if results[0].Err != nil || results[2].Err != nil {
		t.Errorf("good events: %+v", results)
	}
	for _, f := range []string{"topic", "payload", "attributes", "reply_to", "correlation_id", "ordering_key"} {
		refused(t, f, results[1].Err, prism.ReasonInvalidArgument, f)
	}
	many := map[string]string{}
	for i := range prism.MaxAttributes + 1 {
		many[fmt.Sprint(i)] = ""
	}
	for _, a := range []map[string]string{many, {strings.Repeat("k", 129): ""}, {"k": strings.Repeat("v", 1025)}, {"\xff": ""}, {"k": "\xff"}} {
		e := event("a", "")
		e.Attributes = a
		refused(t, "attributes", r.publish(t, e)[0].Err, prism.ReasonInvalidArgument, "attributes")
	}
	err := r.Publish(t.Context(), make([]pubsub.Outgoing, prism.MaxBatchItems+1), make([]pubsub.Published, prism.MaxBatchItems+1))
	refused(t, "too many", err, prism.ReasonInvalidArgument, "events")
}

func TestARetriedPublishGivesTheFirstAnswer(t *testing.T) {
	t.Parallel()
	r := open(t)
	one := func(payload, principal, key string, retry []byte) pubsub.Published {
		e := kept("a", payload)
		e.Attributes = map[string]string{"x": "1", "y": "2"}
		if err := pubsub.Once(&e, principal, key, retry); err != nil {
			t.Fatal(err)
		}
		r.clock.Advance(time.Second)
		return r.publish(t, e)[0]
	}
	first := one("x", "ann", "k", nil)
	if again := one("x", "ann", "k", nil); again.ID != first.ID || !again.Time.Equal(first.Time) || again.Position != first.Position || again.Subscribers != -1 {
		t.Errorf("the second answer is %+v, the first %+v", again, first)
	}
	refused(t, "another body", one("y", "ann", "k", nil).Err, prism.ReasonKeyReused, "")
	if other := one("x", "bob", "k", nil); other.ID == first.ID {
		t.Error("the key of another principal is taken for this one's")
	}
	byRetry := one("x", "ann", "", []byte("0123456789abcdef"))
	if again := one("x", "ann", "", []byte("0123456789abcdef")); again.ID != byRetry.ID {
		t.Error("a retry was published again")
	}
	sub := r.subscribe(t, pubsub.Request{Pattern: "a", Start: &pubsub.Start{Earliest: true}})
	if got := take(t, sub, 3); len(got) != 3 {
		t.Errorf("kept are %q", got)
	}
	if s := r.registry.Stats(); s.Published != 3 {
		t.Errorf("%d counted as published, want 3", s.Published)
	}
	live := event("a", "")
	refused(t, "a key of a live event", pubsub.Once(&live, "ann", "k", nil), prism.ReasonInvalidArgument, "persistent")
	if err := pubsub.Once(&live, "ann", "", []byte("retry")); err != nil || !live.Receipt.IsZero() {
		t.Errorf("a retry id of a live event: %v, %+v", err, live.Receipt)
	}
	long := kept("a", "")
	refused(t, "a long key", pubsub.Once(&long, "ann", strings.Repeat("k", 129), nil), prism.ReasonInvalidArgument, "idempotency_key")
}

func TestWhatTheBackendLacksIsSaid(t *testing.T) {
	t.Parallel()
	exists := pubsub.Filter{{Attribute: "k", Op: driver.FilterExists}}
	for capability, q := range map[string]pubsub.Request{
		"pubsub_basic": {Pattern: "a"}, "pubsub_wildcards": {Pattern: "a.*"}, "pubsub_groups": {Pattern: "a", Group: "g"},
		"pubsub_filtering": {Pattern: "a", Filter: exists}, "pubsub_persistent": {Pattern: "a", DurableName: "n"},
	} {
		r := open(t, capability)
		_, err := r.Subscribe(t.Context(), "ann", q)
		refused(t, capability, err, prism.ReasonCapabilityMissing, "")
		if e := prism.From(err); e != nil && e.Meta["missing"] != capability {
			t.Errorf("said to be missing is %q, want %s", e.Meta["missing"], capability)
		}
	}
	r := open(t, "pubsub_ordering", "pubsub_persistent")
	ordered := event("a", "")
	ordered.OrderingKey = "k"
	for _, p := range r.publish(t, ordered, kept("a", "")) {
		refused(t, "publish", p.Err, prism.ReasonCapabilityMissing, "")
	}
	refused(t, "Acknowledge", r.Acknowledge(t.Context(), "n", "x"), prism.ReasonCapabilityMissing, "")
	if list, err := r.List(t.Context(), pubsub.Caller{}); err != nil || len(list) != 0 || r.Backlog(t.Context()) != 0 {
		t.Errorf("without durable names: %v, %v", list, err)
	}
	bare := open(t, "pubsub_basic")
	refused(t, "Publish", bare.Publish(t.Context(), []pubsub.Outgoing{event("a", "")}, make([]pubsub.Published, 1)), prism.ReasonCapabilityMissing, "")
	_, err := bare.List(t.Context(), pubsub.Caller{})
	refused(t, "List", err, prism.ReasonCapabilityMissing, "")
	_, err = bare.Unsubscribe(t.Context(), pubsub.Caller{}, "x")
	refused(t, "Unsubscribe", err, prism.ReasonCapabilityMissing, "")
}

func TestSubscriptionsTakeTheBackendsWay(t *testing.T) {
	t.Parallel()
	r := open(t)
	in := pubsub.Filter{{Attribute: "k", Op: driver.FilterIn, Values: []string{"x"}}}
	with := event("a.b", "with")
	with.Attributes = map[string]string{"k": "x"}
	wild := r.subscribe(t, pubsub.Request{Pattern: "a.>"})
	filtered := r.subscribe(t, pubsub.Request{Pattern: "a.*", Filter: in})
	one, two := r.subscribe(t, pubsub.Request{Pattern: "*.b", Group: "g"}), r.subscribe(t, pubsub.Request{Pattern: "*.b", Group: "g"})
	r.publish(t, event("a.b", "without"), with)
	if got := take(t, wild, 2); !slices.Equal(got, []string{"without", "with"}) {
		t.Errorf("wildcards: %q", got)
	}
	if got := take(t, filtered, 1); got[0] != "with" {
		t.Errorf("filter: %q", got)
	}
	got := append(take(t, one, 1), take(t, two, 1)...)
	if slices.Sort(got); !slices.Equal(got, []string{"with", "without"}) {
		t.Errorf("the group got %q", got)
	}
}

func TestWrongRequestsAreRefused(t *testing.T) {
	t.Parallel()
	r := open(t)
	op := func(op driver.FilterOp, values ...string) pubsub.Filter {
		return pubsub.Filter{{Attribute: "k", Op: op, Values: values}}
	}
	// Publishing looks through every filter: none may cost more than a full clause.
	dear := slices.Concat(op(driver.FilterNotIn, "v"), op(driver.FilterNotIn, make([]string, prism.MaxBatchItems)...))
	open(t).subscribe(t, pubsub.Request{Pattern: "a", Filter: dear[1:]})
	for field, list := range map[string][]pubsub.Request{
		"filter":       {{Pattern: "a", Filter: dear}},
		"pattern":      {{Pattern: ""}, {Pattern: "a.>.b"}, {Pattern: "a*"}},
		"queue_group":  {{Pattern: "a", Group: "g", DurableName: "n"}, {Pattern: "a", Group: "g", Filter: op(driver.FilterExists)}, {Pattern: "a", Group: "g", Start: &pubsub.Start{}}},
		"durable_name": {{Pattern: "a", AutoAck: true}},
		"filter[0].op": {{Pattern: "a", Filter: op(0)}, {Pattern: "a", Filter: op(99)}},
		"filter[0].values": {
			{Pattern: "a", Filter: op(driver.FilterIn)},
			{Pattern: "a", Filter: op(driver.FilterNotIn)},
			{Pattern: "a", Filter: op(driver.FilterPrefix)},
			{Pattern: "a", Filter: op(driver.FilterPrefix, "a", "b")},
			{Pattern: "a", Filter: op(driver.FilterExists, "a")},
			{Pattern: "a", Filter: op(driver.FilterAbsent, "a")},
		},
	} {
		for _, q := range list {
			_, err := r.Subscribe(t.Context(), "ann", q)
			refused(t, fmt.Sprintf("%+v", q), err, prism.ReasonInvalidArgument, field)
		}
	}
	_, err := r.Subscribe(t.Context(), "ann", pubsub.Request{Pattern: "a", Start: &pubsub.Start{After: "nonsense"}})
	refused(t, "a position", err, prism.ReasonInvalidCursor, "after")
	if s := r.registry.Stats(); s.Subscriptions != 0 {
		t.Errorf("%d streams are left of refused requests", s.Subscriptions)
	}
}

func TestAReplayGoesOnAfterAPosition(t *testing.T) {
	t.Parallel()
	r := open(t)
	p := r.publish(t, kept("a", "1"), kept("a", "2"), kept("a", "3"))
	after := r.subscribe(t, pubsub.Request{Pattern: "a", Start: &pubsub.Start{After: p[0].Position}})
	if !after.Replays() {
		t.Error("it is not a replay")
	}
	b, err := after.Next()
	if err != nil || len(b.Events) != 2 || b.Position != p[2].Position || after.Position(&b.Events[0]) != p[1].Position {
		t.Errorf("got %+v, %v", b, err)
	}
	if live := r.subscribe(t, pubsub.Request{Pattern: "a"}); live.Replays() || live.Position(&pubsub.Event{}) != "" {
		t.Error("a live stream is taken for a replay")
	}
	at := r.subscribe(t, pubsub.Request{Pattern: "a", Start: &pubsub.Start{Time: start.Add(time.Hour)}})
	if b, err := at.Next(); err != nil || len(b.Events) != 0 || b.Position == "" {
		t.Errorf("the first batch is %+v, %v", b, err)
	}
}

func TestADurableNameGoesOnAfterWhatWasAcknowledged(t *testing.T) {
	t.Parallel()
	r := open(t)
	p := r.publish(t, kept("a", "1"), kept("a", "2"), kept("a", "3"))
	q := pubsub.Request{Pattern: "a", DurableName: "n", Start: &pubsub.Start{Earliest: true}}
	first := r.subscribe(t, q)
	take(t, first, 3)
	if err := r.Acknowledge(t.Context(), "n", p[0].Position); err != nil {
		t.Fatal(err)
	}
	if n := r.Backlog(t.Context()); n != 2 {
		t.Errorf("the backlog is %d, want 2", n)
	}
	_ = first.Close()
	q.AutoAck = true
	second := r.subscribe(t, q)
	if got := take(t, second, 2); !slices.Equal(got, []string{"2", "3"}) {
		t.Errorf("got %q", got)
	}
	if err := second.Close(); err != nil { // what was sent is acknowledged by then
		t.Error(err)
	}
	if n := r.Backlog(t.Context()); n != 0 {
		t.Errorf("the backlog is %d after all was sent", n)
	}
	refused(t, "an unknown name", r.Acknowledge(t.Context(), "other", p[0].Position), prism.ReasonNotFound, "")
	refused(t, "no position", r.Acknowledge(t.Context(), "n", "nonsense"), prism.ReasonInvalidCursor, "position")
}

func TestAFailedAcknowledgementEndsTheStream(t *testing.T) {
	t.Parallel()
	r := open(t)
	r.set.PubSubPersistent = noAck{r.set.PubSubPersistent}
	r.Store = pubsub.New(r.set, "ns", pubsub.Policy{}, r.registry, data.NewSealer(make([]byte, 32)), r.clock)
	sub := r.subscribe(t, pubsub.Request{Pattern: "a", DurableName: "n", AutoAck: true})
	r.publish(t, kept("a", "1"))
	take(t, sub, 1)
	if _, err := sub.Next(); !errors.Is(err, prism.ReasonDiskFull) {
		t.Errorf("the stream ends with %v", err)
	}
}

type noAck struct{ driver.PubSubPersistent }

func (noAck) Acknowledge(context.Context, prism.Namespace, string, driver.Position) error {
	return prism.New(prism.ReasonDiskFull, "full")
}

func TestUnsubscribeEndsTheCallersStreamsOnly(t *testing.T) {
	t.Parallel()
	r := open(t)
	ann, bob, root := pubsub.Caller{Principal: "ann"}, pubsub.Caller{Principal: "bob"}, pubsub.Caller{Principal: "root", All: true}
	one, two := r.subscribe(t, pubsub.Request{Pattern: "a"}), r.subscribe(t, pubsub.Request{Pattern: "b.>", Group: "g"})
	unsubscribe := func(who pubsub.Caller, id string, want bool) {
		t.Helper()
		if found, err := r.Unsubscribe(t.Context(), who, id); err != nil || found != want {
			t.Errorf("Unsubscribe of %s by %s: %v %v, want %v", id, who.Principal, found, err, want)
		}
	}
	unsubscribe(bob, one.ID, false)
	unsubscribe(ann, "", false)
	if l, _ := r.List(t.Context(), bob); len(l) != 0 {
		t.Errorf("bob sees %+v", l)
	}
	l, err := r.List(t.Context(), root)
	if err != nil || len(l) != 2 || l[0].Principal != "ann" || !l[0].Active || l[1].Group != "g" && l[0].Group != "g" {
		t.Errorf("root sees %+v, %v", l, err)
	}
	unsubscribe(ann, one.ID, true)
	if _, err := one.Next(); !errors.Is(err, pubsub.ErrUnsubscribed) {
		t.Errorf("the stream ends with %v", err)
	}
	unsubscribe(root, two.ID, true)
	if _, err := two.Next(); !errors.Is(err, pubsub.ErrUnsubscribed) {
		t.Errorf("the stream ends with %v", err)
	}
	_, _ = one.Close(), two.Close()
	unsubscribe(ann, one.ID, false)
}

// A leaving makes a note of what is listed while a subscription is being closed.
type leaving struct {
	driver.PubSub
	note func()
}

func (l leaving) Subscribe(ctx context.Context, ns prism.Namespace, s driver.Subscription) (driver.Subscriber, error) {
	sub, err := l.PubSub.Subscribe(ctx, ns, s)
	return leavingSub{sub, l.note}, err
}

type leavingSub struct {
	driver.Subscriber
	note func()
}

func (l leavingSub) Close() error {
	l.note()
	return l.Subscriber.Close()
}

func TestASubscriptionIsListedUntilItGetsNoMore(t *testing.T) {
	t.Parallel()
	r := open(t)
	listed := func() int {
		l, err := r.List(context.WithoutCancel(t.Context()), pubsub.Caller{Principal: "ann"})
		if err != nil {
			t.Error(err)
		}
		return len(l)
	}
	during := -1
	r.set.PubSub = leaving{r.set.PubSub, func() { during = listed() }}
	r.Store = pubsub.New(r.set, "ns", pubsub.Policy{}, r.registry, data.NewSealer(make([]byte, 32)), r.clock)
	if err := r.subscribe(t, pubsub.Request{Pattern: "a"}).Close(); err != nil {
		t.Fatal(err)
	}
	if after := listed(); during != 1 || after != 0 {
		t.Errorf("%d were listed while it was closed and %d after it, want 1 and 0", during, after)
	}
}

func TestUnsubscribeForgetsADurableName(t *testing.T) {
	t.Parallel()
	r := open(t)
	r.publish(t, kept("a", "1"), kept("a", "2"))
	sub := r.subscribe(t, pubsub.Request{Pattern: "a", DurableName: "n", Start: &pubsub.Start{Earliest: true}})
	ann, bob := pubsub.Caller{Principal: "ann"}, pubsub.Caller{Principal: "bob"}
	l, err := r.List(t.Context(), ann)
	if err != nil || len(l) != 1 || l[0].ID != sub.ID || l[0].Durable != "n" || l[0].Behind != 2 || l[0].Principal != "ann" {
		t.Errorf("ann sees %+v, %v", l, err)
	}
	// The name is the namespace's, the stream is ann's.
	l, err = r.List(t.Context(), bob)
	if err != nil || len(l) != 1 || l[0].ID != "n" || l[0].Principal != "" || !l[0].Active || l[0].Pattern != "a" {
		t.Errorf("bob sees %+v, %v", l, err)
	}
	for _, want := range []bool{true, false} {
		if found, err := r.Unsubscribe(t.Context(), bob, "n"); err != nil || found != want {
			t.Errorf("found %v %v, want %v", found, err, want)
		}
	}
	if _, err := sub.Next(); !errors.Is(err, pubsub.ErrUnsubscribed) {
		t.Errorf("the stream ends with %v", err)
	}
	if l, _ := r.List(t.Context(), pubsub.Caller{All: true, Principal: "root"}); len(l) != 0 {
		t.Errorf("listed are %+v", l)
	}
}

func TestDroppedEventsAreCounted(t *testing.T) {
	t.Parallel()
	r := open(t)
	sub := r.subscribe(t, pubsub.Request{Pattern: "a", Pending: 2})
	events := make([]pubsub.Outgoing, 10)
	for i := range events {
		events[i] = event("a", fmt.Sprint(i))
	}
	r.publish(t, events...)
	b, err := sub.Next()
	if err != nil || len(b.Events) != 2 || b.Dropped != 8 {
		t.Errorf("got %d events, %d dropped, %v", len(b.Events), b.Dropped, err)
	}
	if s := r.registry.Stats(); s.Dropped != 8 {
		t.Errorf("counted %+v", s)
	}
	if l, _ := r.List(t.Context(), pubsub.Caller{Principal: "ann"}); len(l) != 1 || l[0].Dropped != 8 {
		t.Errorf("listed are %+v", l)
	}
}

func TestAStreamEndsWithTheCauseOfItsContext(t *testing.T) {
	t.Parallel()
	r := open(t)
	ctx, cancel := context.WithCancelCause(t.Context())
	sub, err := r.Subscribe(ctx, "ann", pubsub.Request{Pattern: "a"})
	if err != nil {
		t.Fatal(err)
	}
	defer sub.Close()
	cancel(prism.New(prism.ReasonDraining, "over"))
	if _, err := sub.Next(); !errors.Is(err, prism.ReasonDraining) {
		t.Errorf("it ends with %v", err)
	}
}
