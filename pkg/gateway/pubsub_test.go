package gateway_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"

	"github.com/prism-data-layer/prism/pkg/prism"
	"github.com/prism-data-layer/prism/pkg/wire"
	pubsubv1 "github.com/prism-data-layer/prism/proto/prism/pubsub/v1"
	"github.com/prism-data-layer/prism/test/harness"
)

// ofPubSub is a gateway whose namespaces are for events.
const ofPubSub = `apiVersion: prism/v1
auth: {mode: off}
backends:
  - {name: volatile, driver: memory}
  - {name: local, driver: pebble, options: {memtable: 1MiB, cache: 1MiB}}
namespaces:
  - {name: mem, model: pubsub, backend: volatile, access: {owners: ["user:dev"]}}
  - {name: disk, model: pubsub, backend: local, access: {owners: ["user:dev"]}}
  - {name: kv, model: keyvalue, backend: volatile, access: {owners: ["user:dev"]}}
drain: {timeout: 5s}
`

const disk = "disk"

func startPubSub(t *testing.T, file string) (*harness.Gateway, pubsubv1.PubSubServiceClient, context.Context) {
	t.Helper()
	g := harness.Start(t, harness.Options{File: file})
	return g, pubsubv1.NewPubSubServiceClient(g.Dial(t, "data")), harness.Context(t)
}

type eventStream = grpc.ServerStreamingClient[pubsubv1.SubscribeResponse]

// subscribed opens a stream and takes its first message, which comes at once.
func subscribed(t *testing.T, ps pubsubv1.PubSubServiceClient, ctx context.Context, r *pubsubv1.SubscribeRequest) (eventStream, *pubsubv1.SubscribeResponse) {
	t.Helper()
	if r.Namespace == "" {
		r.Namespace = ns
	}
	st, err := ps.Subscribe(ctx, r)
	if err != nil {
		t.Fatal(err)
	}
	first, err := st.Recv()
	if err != nil {
		t.Fatalf("the first message: %v", err)
	}
	if first.SubscriptionId == "" {
		t.Errorf("the first message has no subscription_id: %v", first)
	}
	return st, first
}

func publish(t *testing.T, ps pubsubv1.PubSubServiceClient, ctx context.Context, namespace string, events ...*pubsubv1.Outgoing) []*pubsubv1.PublishResponse {
	t.Helper()
	out := make([]*pubsubv1.PublishResponse, len(events))
	for i, e := range events {
		r, err := ps.Publish(ctx, &pubsubv1.PublishRequest{Namespace: namespace, Event: e})
		if err != nil {
			t.Fatalf("publish %v: %v", e.Topic, err)
		}
		out[i] = r
	}
	return out
}

func plainEvent(topic, payload string) *pubsubv1.Outgoing {
	return &pubsubv1.Outgoing{Topic: topic, Payload: []byte(payload)}
}

func keptEvent(topic, payload string) *pubsubv1.Outgoing {
	return &pubsubv1.Outgoing{Topic: topic, Payload: []byte(payload), Persistent: true}
}

// payloads reads n events.
func payloads(t *testing.T, st eventStream, n int) (list []string, last *pubsubv1.SubscribeResponse) {
	t.Helper()
	for len(list) < n {
		resp, err := st.Recv()
		if err != nil {
			t.Fatalf("after %q: %v", list, err)
		}
		for _, e := range resp.Events {
			list = append(list, string(e.Payload))
		}
		last = resp
	}
	return list, last
}

func TestPubSubCarriesEveryField(t *testing.T) {
	t.Parallel()
	_, ps, ctx := startPubSub(t, ofPubSub)
	st, first := subscribed(t, ps, ctx, &pubsubv1.SubscribeRequest{Pattern: "a.*"})
	if len(first.Events) != 0 || first.Position != "" {
		t.Errorf("the first message is %v", first)
	}
	e := &pubsubv1.Outgoing{
		Topic: "a.b", Payload: []byte("p"), Attributes: map[string]string{"k": "v"},
		CorrelationId: "c", ReplyTo: "r", OrderingKey: "o",
	}
	sent := publish(t, ps, ctx, ns, e)[0]
	if sent.GetSubscriberCount() != 1 || sent.EventId == "" || sent.Position != "" {
		t.Errorf("published: %v", sent)
	}
	resp, err := st.Recv()
	if err != nil || len(resp.Events) != 1 || resp.SubscriptionId != "" {
		t.Fatalf("got %v, %v", resp, err)
	}
	got := resp.Events[0]
	if got.EventId != sent.EventId || got.TimeMs != sent.TimeMs || got.Topic != "a.b" || string(got.Payload) != "p" ||
		got.Attributes["k"] != "v" || got.CorrelationId != "c" || got.ReplyTo != "r" || got.OrderingKey != "o" || got.Position != "" {
		t.Errorf("got %v", got)
	}
}

func TestPublishBatchAnswersEachEvent(t *testing.T) {
	t.Parallel()
	_, ps, ctx := startPubSub(t, ofPubSub)
	st, _ := subscribed(t, ps, ctx, &pubsubv1.SubscribeRequest{Pattern: ">"})
	bad := plainEvent("a b", "bad")
	keyed := plainEvent("a", "not persistent")
	keyed.IdempotencyKey = "k"
	resp, err := ps.PublishBatch(ctx, &pubsubv1.PublishBatchRequest{Namespace: ns, Events: []*pubsubv1.Outgoing{
		plainEvent("a", "1"), bad, keptEvent("b", "2"), keyed, plainEvent("c", "3"),
	}})
	if err != nil || len(resp.Results) != 5 {
		t.Fatalf("got %v, %v", resp, err)
	}
	for i, r := range resp.Results {
		if wrong := i == 1 || i == 3; (r.GetError() != nil) != wrong {
			t.Errorf("result %d is %v", i, r)
		}
	}
	if resp.Results[2].GetPublished().GetPosition() == "" {
		t.Error("a persistent event has no position")
	}
	if got, _ := payloads(t, st, 3); !slices.Equal(got, []string{"1", "2", "3"}) {
		t.Errorf("came %q", got)
	}
	_, err = ps.PublishBatch(ctx, &pubsubv1.PublishBatchRequest{Namespace: ns, Events: make([]*pubsubv1.Outgoing, 1001)})
	want(t, "1,001 events", err, codes.InvalidArgument, prism.ReasonInvalidArgument, "events")
	_, err = ps.Publish(ctx, &pubsubv1.PublishRequest{Namespace: ns})
	want(t, "no event", err, codes.InvalidArgument, prism.ReasonInvalidArgument, "event")
}

func TestPublishOnceOverTheWire(t *testing.T) {
	t.Parallel()
	_, ps, ctx := startPubSub(t, ofPubSub)
	e := keptEvent("a", "once")
	e.IdempotencyKey = "k"
	first, again := publish(t, ps, ctx, disk, e)[0], publish(t, ps, ctx, disk, e)[0]
	if first.EventId != again.EventId || first.TimeMs != again.TimeMs || first.Position != again.Position {
		t.Errorf("the first answer is %v, the second %v", first, again)
	}
	other := keptEvent("a", "other")
	other.IdempotencyKey = "k"
	_, err := ps.Publish(ctx, &pubsubv1.PublishRequest{Namespace: disk, Event: other})
	want(t, "another body", err, codes.InvalidArgument, prism.ReasonKeyReused)
	byID := metadata.AppendToOutgoingContext(ctx, wire.RetryID, strings.Repeat("0a", 16))
	one, two := publish(t, ps, byID, disk, keptEvent("b", "x"))[0], publish(t, ps, byID, disk, keptEvent("b", "x"))[0]
	if one.EventId != two.EventId {
		t.Error("a retry was published again")
	}
	_, err = ps.Publish(metadata.AppendToOutgoingContext(ctx, wire.RetryID, "no hex"), &pubsubv1.PublishRequest{Namespace: disk, Event: keptEvent("b", "x")})
	want(t, "a retry id", err, codes.InvalidArgument, prism.ReasonInvalidArgument, wire.RetryID)
}

func TestANamespaceOfAnotherModelIsRefused(t *testing.T) {
	t.Parallel()
	_, ps, ctx := startPubSub(t, ofPubSub)
	_, err := ps.Publish(ctx, &pubsubv1.PublishRequest{Namespace: "kv", Event: plainEvent("a", "")})
	want(t, "publish", err, codes.Unimplemented, prism.ReasonCapabilityMissing)
	st, err := ps.Subscribe(ctx, &pubsubv1.SubscribeRequest{Namespace: "kv", Pattern: "a"})
	if err == nil {
		_, err = st.Recv()
	}
	want(t, "subscribe", err, codes.Unimplemented, prism.ReasonCapabilityMissing)
}

func TestWrongStartsAreNamed(t *testing.T) {
	t.Parallel()
	_, ps, ctx := startPubSub(t, ofPubSub)
	for field, start := range map[string]*pubsubv1.Start{
		"start":          {},
		"start.earliest": {Start: &pubsubv1.Start_Earliest{}},
		"start.next":     {Start: &pubsubv1.Start_Next{}},
		"start.after":    {Start: &pubsubv1.Start_After{}},
		"start.time_ms":  {Start: &pubsubv1.Start_TimeMs{TimeMs: -1}},
	} {
		st, err := ps.Subscribe(ctx, &pubsubv1.SubscribeRequest{Namespace: ns, Pattern: "a", Start: start})
		if err == nil {
			_, err = st.Recv()
		}
		want(t, field, err, codes.InvalidArgument, prism.ReasonInvalidArgument, field)
	}
}

func TestLargeEventsAreSplitIntoMessages(t *testing.T) {
	t.Parallel()
	_, ps, ctx := startPubSub(t, ofPubSub)
	big := bytes.Repeat([]byte("x"), prism.MaxValueBytes)
	for range 9 {
		publish(t, ps, ctx, ns, &pubsubv1.Outgoing{Topic: "a", Payload: big, Persistent: true})
	}
	st, first := subscribed(t, ps, ctx, &pubsubv1.SubscribeRequest{Pattern: "a", Start: &pubsubv1.Start{Start: &pubsubv1.Start_Earliest{Earliest: true}}})
	n, position := len(first.Events), first.Position
	for n < 9 {
		resp, err := st.Recv()
		if err != nil {
			t.Fatalf("after %d: %v", n, err)
		}
		n += len(resp.Events)
		position = resp.Position
		if last := resp.Events[len(resp.Events)-1]; last.Position != position {
			t.Error("the position of a message is not that of its last event")
		}
	}
	if n != 9 || position == "" {
		t.Errorf("%d events, position %q", n, position)
	}
}

// A stream that is not read fills up to its flow-control window and no further:
// then its policy decides, and the neighbour does not notice.
func TestASlowReaderIsDealtWithAndItsNeighbourIsNot(t *testing.T) {
	t.Parallel()
	g, ps, ctx := startPubSub(t, ofPubSub)
	conn := func() pubsubv1.PubSubServiceClient {
		return pubsubv1.NewPubSubServiceClient(g.Dial(t, "data", grpc.WithInitialWindowSize(64<<10), grpc.WithInitialConnWindowSize(64<<10)))
	}
	ends, _ := subscribed(t, conn(), ctx, &pubsubv1.SubscribeRequest{Pattern: "a", MaxPending: 5, SlowPolicy: pubsubv1.SlowPolicy_SLOW_POLICY_DISCONNECT})
	drops, _ := subscribed(t, conn(), ctx, &pubsubv1.SubscribeRequest{Pattern: "a", MaxPending: 5})
	reads, _ := subscribed(t, ps, ctx, &pubsubv1.SubscribeRequest{Pattern: "a", MaxPending: 100_000})
	payload := strings.Repeat("x", 32<<10)
	const total = 400
	go func() {
		for range total {
			if _, err := ps.Publish(ctx, &pubsubv1.PublishRequest{Namespace: ns, Event: plainEvent("a", payload)}); err != nil {
				return
			}
		}
	}()
	payloads(t, reads, total) // 12 MiB, which the others have no room for
	publish(t, ps, ctx, ns, plainEvent("a", "last"))
	got, dropped := int64(0), int64(0)
	for {
		resp, err := drops.Recv()
		if err != nil {
			t.Fatalf("the one that drops: %v", err)
		}
		got += int64(len(resp.Events))
		if dropped += resp.Dropped; got+dropped == total+1 {
			break
		}
		if got+dropped > total+1 {
			t.Fatalf("%d came and %d were dropped of %d", got, dropped, total+1)
		}
		publish(t, ps, ctx, ns) // nothing: what waits is told by itself
	}
	if dropped == 0 {
		t.Error("nothing was dropped")
	}
	for {
		if _, err := ends.Recv(); err != nil {
			want(t, "the one that is ended", err, codes.ResourceExhausted, prism.ReasonSlowConsumer)
			break
		}
	}
	if text := metrics(t, g); !strings.Contains(text, "prism_pubsub_dropped_total") || strings.Contains(text, "prism_pubsub_dropped_total 0\n") {
		t.Error("the metric does not tell of drops")
	}
}

func metrics(t *testing.T, g *harness.Gateway) string {
	t.Helper()
	resp, err := http.Get("http://" + g.Addr("metrics") + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func TestSubscriptionsAreListedAndEnded(t *testing.T) {
	t.Parallel()
	g, ps, ctx := startPubSub(t, ofPubSub)
	live, first := subscribed(t, ps, ctx, &pubsubv1.SubscribeRequest{Pattern: "a.>", QueueGroup: "g"})
	publish(t, ps, ctx, ns, keptEvent("a.b", "1"), keptEvent("a.b", "2"))
	payloads(t, live, 2)
	durable, _ := subscribed(t, ps, ctx, &pubsubv1.SubscribeRequest{Pattern: "a.b", DurableName: "n", Start: &pubsubv1.Start{Start: &pubsubv1.Start_Earliest{Earliest: true}}})
	r, err := ps.ListSubscriptions(ctx, &pubsubv1.ListSubscriptionsRequest{Namespace: ns})
	if err != nil || len(r.Subscriptions) != 2 {
		t.Fatalf("listed are %v, %v", r, err)
	}
	l, d := r.Subscriptions[0], r.Subscriptions[1]
	if l.SubscriptionId != first.SubscriptionId || l.Pattern != "a.>" || l.QueueGroup != "g" || !l.Active || l.EventsSent != 2 || l.Principal != "dev" || l.CreatedAtMs == 0 {
		t.Errorf("the live one is %v", l)
	}
	if d.DurableName != "n" || d.Behind != 2 || !d.Active || d.Pattern != "a.b" {
		t.Errorf("the durable one is %v", d)
	}
	if text := metrics(t, g); !strings.Contains(text, "prism_pubsub_subscriptions 2\n") || !strings.Contains(text, "prism_pubsub_backlog 2\n") {
		t.Error("the metrics do not tell of 2 subscriptions and 2 events behind")
	}
	for _, id := range []string{l.SubscriptionId, "n"} {
		if r, err := ps.Unsubscribe(ctx, &pubsubv1.UnsubscribeRequest{Namespace: ns, SubscriptionId: id}); err != nil || !r.Found {
			t.Errorf("unsubscribe %s: %v, %v", id, r, err)
		}
	}
	for _, st := range []eventStream{live, durable} {
		if err := ends(t, 10*time.Second, st.Recv); err != nil {
			t.Errorf("a stream that was ended ends with %v, want OK", err)
		}
	}
	if r, err := ps.Unsubscribe(ctx, &pubsubv1.UnsubscribeRequest{Namespace: ns, SubscriptionId: "n"}); err != nil || r.Found {
		t.Errorf("unsubscribe again: %v, %v", r, err)
	}
	if r, err := ps.ListSubscriptions(ctx, &pubsubv1.ListSubscriptionsRequest{Namespace: ns}); err != nil || len(r.Subscriptions) != 0 {
		t.Errorf("listed are %v, %v", r, err)
	}
}

func TestADurableStreamResumesAfterARestart(t *testing.T) {
	t.Parallel()
	g, ps, ctx := startPubSub(t, ofPubSub)
	publish(t, ps, ctx, disk, keptEvent("a", "1"), keptEvent("a", "2"), keptEvent("a", "3"))
	earliest := &pubsubv1.Start{Start: &pubsubv1.Start_Earliest{Earliest: true}}
	durable, dFirst := subscribed(t, ps, ctx, &pubsubv1.SubscribeRequest{Namespace: disk, Pattern: "a", DurableName: "n", Start: earliest})
	auto, aFirst := subscribed(t, ps, ctx, &pubsubv1.SubscribeRequest{Namespace: disk, Pattern: "a", DurableName: "auto", AutoAcknowledge: true, Start: earliest})
	live, _ := subscribed(t, ps, ctx, &pubsubv1.SubscribeRequest{Namespace: disk, Pattern: "a"})
	if len(dFirst.Events) != 3 || len(aFirst.Events) != 3 {
		t.Fatalf("the first messages hold %d and %d events", len(dFirst.Events), len(aFirst.Events))
	}
	if _, err := ps.Acknowledge(ctx, &pubsubv1.AcknowledgeRequest{Namespace: disk, DurableName: "n", Position: dFirst.Events[0].Position}); err != nil {
		t.Fatal(err)
	}
	ended := g.Draining()
	o := want(t, "the durable one", ends(t, 10*time.Second, durable.Recv), codes.Unavailable, prism.ReasonDraining)
	if o.Resume.GetPosition() != dFirst.Position {
		t.Errorf("it resumes from %q, want %q", o.Resume.GetPosition(), dFirst.Position)
	}
	want(t, "the one that acknowledges", ends(t, 10*time.Second, auto.Recv), codes.Unavailable, prism.ReasonDraining)
	if o := want(t, "the live one", ends(t, 10*time.Second, live.Recv), codes.Unavailable, prism.ReasonDraining); o.Resume.GetPosition() != "" {
		t.Errorf("the live one resumes from %q", o.Resume.GetPosition())
	}
	if err := <-ended; err != nil {
		t.Fatal(err)
	}
	g.Run(t)
	publish(t, ps, ctx, disk, keptEvent("a", "4"))
	_, resp := subscribed(t, ps, ctx, &pubsubv1.SubscribeRequest{Namespace: disk, Pattern: "a", DurableName: "n"})
	if got := payloadsOf(resp); !slices.Equal(got, []string{"2", "3", "4"}) {
		t.Errorf("the durable one goes on with %q", got)
	}
	if _, resp = subscribed(t, ps, ctx, &pubsubv1.SubscribeRequest{Namespace: disk, Pattern: "a", DurableName: "auto"}); !slices.Equal(payloadsOf(resp), []string{"4"}) {
		t.Errorf("the one that acknowledges goes on with %q", payloadsOf(resp))
	}
	after := &pubsubv1.Start{Start: &pubsubv1.Start_After{After: o.Resume.GetPosition()}}
	if _, resp = subscribed(t, ps, ctx, &pubsubv1.SubscribeRequest{Namespace: disk, Pattern: "a", Start: after}); !slices.Equal(payloadsOf(resp), []string{"4"}) {
		t.Errorf("after the position come %q", payloadsOf(resp))
	}
	atTime := &pubsubv1.Start{Start: &pubsubv1.Start_TimeMs{TimeMs: resp.Events[0].TimeMs}}
	if _, resp = subscribed(t, ps, ctx, &pubsubv1.SubscribeRequest{Namespace: disk, Pattern: "a", Start: atTime}); !slices.Equal(payloadsOf(resp), []string{"4"}) {
		t.Errorf("from its time come %q", payloadsOf(resp))
	}
	next := &pubsubv1.Start{Start: &pubsubv1.Start_Next{Next: true}}
	if _, resp = subscribed(t, ps, ctx, &pubsubv1.SubscribeRequest{Namespace: disk, Pattern: "a", Start: next}); len(resp.Events) != 0 || resp.Position == "" {
		t.Errorf("from the next event come %v", resp)
	}
}

func payloadsOf(r *pubsubv1.SubscribeResponse) (list []string) {
	for _, e := range r.Events {
		list = append(list, string(e.Payload))
	}
	return list
}

func TestASecondReaderOfANameTakesOver(t *testing.T) {
	t.Parallel()
	_, ps, ctx := startPubSub(t, ofPubSub)
	first, _ := subscribed(t, ps, ctx, &pubsubv1.SubscribeRequest{Pattern: "a", DurableName: "n"})
	subscribed(t, ps, ctx, &pubsubv1.SubscribeRequest{Pattern: "a", DurableName: "n"})
	want(t, "the first", ends(t, 10*time.Second, first.Recv), codes.Aborted, prism.ReasonTaken)
}

const securedPubSub = `apiVersion: prism/v1
auth: {mode: required}
backends:
  - {name: volatile, driver: memory}
namespaces:
  - name: mem
    model: pubsub
    backend: volatile
    access:
      owners: ["user:owner"]
      consumers: [{service: "reader.*", permissions: [read]}, {service: writer, permissions: [write]}]
drain: {timeout: 5s}
`

func TestRightsOfPubSub(t *testing.T) {
	t.Parallel()
	g := harness.Start(t, harness.Options{File: securedPubSub})
	ps := pubsubv1.NewPubSubServiceClient(g.Dial(t, "data"))
	as := func(principal string, roles ...string) context.Context {
		key, _ := g.Key(t, adminKey(t, g), principal, roles...)
		return harness.As(harness.Context(t), key)
	}
	reader, writer, owner, admin := as("service:reader.a"), as("service:writer"), as("user:owner"), as("user:root", "admin")
	_, err := ps.Publish(reader, &pubsubv1.PublishRequest{Namespace: ns, Event: plainEvent("a", "")})
	want(t, "a reader publishes", err, codes.PermissionDenied, prism.ReasonPermissionDenied)
	st, err := ps.Subscribe(writer, &pubsubv1.SubscribeRequest{Namespace: ns, Pattern: "a"})
	if err == nil {
		_, err = st.Recv()
	}
	want(t, "a writer subscribes", err, codes.PermissionDenied, prism.ReasonPermissionDenied)
	_, mine := subscribed(t, ps, reader, &pubsubv1.SubscribeRequest{Pattern: "a"})
	publish(t, ps, writer, ns, plainEvent("a", "x"))
	if r, err := ps.ListSubscriptions(owner, &pubsubv1.ListSubscriptionsRequest{Namespace: ns}); err != nil || len(r.Subscriptions) != 0 {
		t.Errorf("the owner sees %v, %v", r, err)
	}
	if r, err := ps.Unsubscribe(owner, &pubsubv1.UnsubscribeRequest{Namespace: ns, SubscriptionId: mine.SubscriptionId}); err != nil || r.Found {
		t.Errorf("the owner ends the stream of another: %v, %v", r, err)
	}
	if r, err := ps.ListSubscriptions(admin, &pubsubv1.ListSubscriptionsRequest{Namespace: ns}); err != nil || len(r.Subscriptions) != 1 || r.Subscriptions[0].Principal != "service:reader.a" {
		t.Errorf("an admin sees %v, %v", r, err)
	}
	if r, err := ps.Unsubscribe(admin, &pubsubv1.UnsubscribeRequest{Namespace: ns, SubscriptionId: mine.SubscriptionId}); err != nil || !r.Found {
		t.Errorf("an admin ends a stream: %v, %v", r, err)
	}
}

func TestManySubscriptionsShareAnEvent(t *testing.T) {
	t.Parallel()
	_, ps, ctx := startPubSub(t, ofPubSub)
	streams := make([]eventStream, 50)
	for i := range streams {
		streams[i], _ = subscribed(t, ps, ctx, &pubsubv1.SubscribeRequest{Pattern: "a"})
	}
	for i := range 20 {
		if r := publish(t, ps, ctx, ns, plainEvent("a", fmt.Sprint(i)))[0]; r.GetSubscriberCount() != 50 {
			t.Errorf("it went to %d", r.GetSubscriberCount())
		}
	}
	for _, st := range streams {
		if got, _ := payloads(t, st, 20); got[19] != "19" {
			t.Errorf("got %q", got)
		}
	}
}
