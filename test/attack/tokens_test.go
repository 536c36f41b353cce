package attack_test

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/prism-data-layer/prism/pkg/clock"
	cachev1 "github.com/prism-data-layer/prism/proto/prism/cache/v1"
	commonv1 "github.com/prism-data-layer/prism/proto/prism/common/v1"
	kvv1 "github.com/prism-data-layer/prism/proto/prism/keyvalue/v1"
	optionsv1 "github.com/prism-data-layer/prism/proto/prism/options/v1"
	pubsubv1 "github.com/prism-data-layer/prism/proto/prism/pubsub/v1"
	queuev1 "github.com/prism-data-layer/prism/proto/prism/queue/v1"
	timeseriesv1 "github.com/prism-data-layer/prism/proto/prism/timeseries/v1"
	"github.com/prism-data-layer/prism/test/harness"
)

// shared is a gateway with two namespaces of each model, which both tenants own:
// what one was given is kept from the other by nothing but the token.
func shared() string {
	var b strings.Builder
	b.WriteString("apiVersion: prism/v1\nauth: {mode: required}\nbackends:\n  - {name: volatile, driver: memory}\nnamespaces:\n")
	for _, model := range []string{"keyvalue", "cache", "queue", "pubsub", "timeseries"} {
		for n := 1; n <= 2; n++ {
			fmt.Fprintf(&b, "  - {name: %s-%d, model: %s, backend: volatile, access: {owners: [\"service:a\", \"service:b\"]}}\n", model, n, model)
		}
	}
	return b.String()
}

// A place is where a token is used: a namespace, and a queue, topic or key in it.
type place struct{ ns, at string }

// A proof is a token that the gateway gives out, and a field that takes it.
type proof struct {
	model string
	// give gets one as a caller does; use brings it back and tells all that the
	// caller sees, which is empty if it was taken.
	give func(t *testing.T, c *tokenRig, who context.Context, p place) string
	use  func(c *tokenRig, who context.Context, p place, token string) string
	// personal is true if only whom it was given to may use it; placed if it is
	// for one queue, topic or key; once if it is used up by its use; lasts if time
	// does not end it.
	personal, placed, once, lasts bool
	// over is what its owner is told of one that is used up or out of time; empty:
	// what is told of a token of nobody.
	over string
}

type tokenRig struct {
	*rig
	now    *clock.Fake
	kv     kvv1.KeyValueServiceClient
	cache  cachev1.CacheServiceClient
	work   queuev1.WorkQueueServiceClient
	log    queuev1.QueueServiceClient
	pubsub pubsubv1.PubSubServiceClient
	series timeseriesv1.TimeSeriesServiceClient
}

// told is what an error says, but for the ids of the request.
func told(err error) string {
	if err == nil {
		return ""
	}
	o := harness.Read(err)
	return fmt.Sprintf("%v %q %v %s", o.Code(), o.Message(), o.BadRequest, itemTold(o.Error))
}

// leased tells the result of one lease.
func leased(results []*queuev1.LeaseResult, err error) string {
	if err != nil {
		return told(err)
	}
	return itemTold(results[0].Error)
}

func itemTold(e *commonv1.Error) string {
	if e == nil {
		return ""
	}
	e = proto.CloneOf(e)
	e.RequestId, e.TraceId = "", ""
	return fmt.Sprint(e)
}

func giveLease(t *testing.T, c *tokenRig, who context.Context, p place) string {
	t.Helper()
	if _, err := c.work.Publish(who, &queuev1.WorkQueueServicePublishRequest{Namespace: p.ns, Queue: p.at, Message: &queuev1.WorkMessage{}}); err != nil {
		t.Fatal(err)
	}
	got, err := c.work.Receive(who, &queuev1.ReceiveRequest{Namespace: p.ns, Queue: p.at})
	if err != nil || len(got.Messages) != 1 {
		t.Fatalf("receive: %v, %v", got, err)
	}
	return got.Messages[0].Lease
}

func giveLock(t *testing.T, c *tokenRig, who context.Context, p place) string {
	t.Helper()
	got, err := c.cache.GetOrLock(who, &cachev1.GetOrLockRequest{Namespace: p.ns, Key: p.at, LockMs: 60_000})
	if err != nil || got.GetLock() == "" {
		t.Fatalf("lock: %v, %v", got, err)
	}
	return got.GetLock()
}

// giveEvent is the position of a persistent event.
func giveEvent(t *testing.T, c *tokenRig, who context.Context, p place) string {
	t.Helper()
	got, err := c.pubsub.Publish(who, &pubsubv1.PublishRequest{Namespace: p.ns, Event: &pubsubv1.Outgoing{Topic: p.at, Persistent: true}})
	if err != nil {
		t.Fatal(err)
	}
	return got.Position
}

// subscribed opens a stream that ends with its context.
func (c *tokenRig) subscribed(who context.Context, r *pubsubv1.SubscribeRequest) (*pubsubv1.SubscribeResponse, error) {
	st, err := c.pubsub.Subscribe(who, r)
	if err != nil {
		return nil, err
	}
	return st.Recv()
}

func (c *tokenRig) scan(who context.Context, p place, cursor string) (*kvv1.ScanResponse, error) {
	return c.kv.Scan(who, &kvv1.ScanRequest{Namespace: p.ns, Prefix: p.at, Limit: 1, Cursor: cursor})
}

// measured stores some events of a type, which a place is here.
func (c *tokenRig) measured(t *testing.T, who context.Context, p place) *timeseriesv1.Selection {
	t.Helper()
	columns := &timeseriesv1.EventColumns{TimeNs: []int64{1, 2, 3}, EventType: &timeseriesv1.CodedColumn{Dictionary: []string{p.at}}}
	if _, err := c.series.AppendEvents(who, &timeseriesv1.AppendEventsRequest{Namespace: p.ns, Events: &timeseriesv1.AppendEventsRequest_Columns{Columns: columns}}); err != nil {
		t.Fatal(err)
	}
	return ofType(p)
}

func ofType(p place) *timeseriesv1.Selection {
	start, end := int64(0), int64(1000)
	return &timeseriesv1.Selection{StartNs: &start, EndNs: &end, EventTypes: []string{p.at}}
}

// proofs are by the field that takes them.
var proofs = map[protoreflect.FullName]proof{
	"prism.timeseries.v1.QueryEventsRequest.cursor": {
		model: "timeseries", personal: true, placed: true, lasts: true,
		give: func(t *testing.T, c *tokenRig, who context.Context, p place) string {
			page, err := c.series.QueryEvents(who, &timeseriesv1.QueryEventsRequest{Namespace: p.ns, Selection: c.measured(t, who, p), Limit: 1})
			if err != nil || page.Cursor == "" {
				t.Fatalf("query: %v, %v", page, err)
			}
			return page.Cursor
		},
		use: func(c *tokenRig, who context.Context, p place, token string) string {
			_, err := c.series.QueryEvents(who, &timeseriesv1.QueryEventsRequest{Namespace: p.ns, Selection: ofType(p), Limit: 1, Cursor: token})
			return told(err)
		},
	},
	"prism.timeseries.v1.StreamQueryRequest.after": {
		model: "timeseries", personal: true, placed: true, lasts: true,
		give: func(t *testing.T, c *tokenRig, who context.Context, p place) string {
			st, err := c.series.StreamQuery(who, &timeseriesv1.StreamQueryRequest{Namespace: p.ns, Selection: c.measured(t, who, p)})
			if err != nil {
				t.Fatal(err)
			}
			first, err := st.Recv()
			if err != nil {
				t.Fatal(err)
			}
			return first.Position
		},
		use: func(c *tokenRig, who context.Context, p place, token string) string {
			st, err := c.series.StreamQuery(who, &timeseriesv1.StreamQueryRequest{Namespace: p.ns, Selection: ofType(p), After: token})
			if err == nil {
				_, err = st.Recv()
			}
			if errors.Is(err, io.EOF) { // that was all
				return ""
			}
			return told(err)
		},
	},
	"prism.keyvalue.v1.ScanRequest.cursor": {
		model: "keyvalue", personal: true, placed: true, lasts: true,
		give: func(t *testing.T, c *tokenRig, who context.Context, p place) string {
			fill(t, c, who, p)
			page, err := c.scan(who, p, "")
			if err != nil || page.Cursor == "" {
				t.Fatalf("scan: %v, %v", page, err)
			}
			return page.Cursor
		},
		use: func(c *tokenRig, who context.Context, p place, token string) string {
			_, err := c.scan(who, p, token)
			return told(err)
		},
	},
	"prism.keyvalue.v1.ScanKeysRequest.cursor": {
		model: "keyvalue", personal: true, placed: true, lasts: true,
		give: func(t *testing.T, c *tokenRig, who context.Context, p place) string {
			fill(t, c, who, p)
			page, err := c.kv.ScanKeys(who, &kvv1.ScanKeysRequest{Namespace: p.ns, Prefix: p.at, Limit: 1})
			if err != nil || page.Cursor == "" {
				t.Fatalf("scan: %v, %v", page, err)
			}
			return page.Cursor
		},
		use: func(c *tokenRig, who context.Context, p place, token string) string {
			_, err := c.kv.ScanKeys(who, &kvv1.ScanKeysRequest{Namespace: p.ns, Prefix: p.at, Limit: 1, Cursor: token})
			return told(err)
		},
	},
	"prism.keyvalue.v1.WatchRequest.position": {
		model: "keyvalue", lasts: true,
		give: func(t *testing.T, c *tokenRig, who context.Context, p place) string {
			st, err := c.kv.Watch(who, &kvv1.WatchRequest{Namespace: p.ns})
			if err != nil {
				t.Fatal(err)
			}
			first, err := st.Recv()
			if err != nil {
				t.Fatal(err)
			}
			return first.Position
		},
		use: func(c *tokenRig, who context.Context, p place, token string) string {
			st, err := c.kv.Watch(who, &kvv1.WatchRequest{Namespace: p.ns, Position: token})
			if err == nil {
				_, err = st.Recv()
			}
			return told(err)
		},
	},
	"prism.cache.v1.SetRequest.lock": {
		model: "cache", personal: true, placed: true, once: true, over: "not applied", give: giveLock,
		use: func(c *tokenRig, who context.Context, p place, token string) string {
			got, err := c.cache.Set(who, &cachev1.SetRequest{Namespace: p.ns, Key: p.at, Value: []byte("filled"), Lock: token})
			if err == nil && !got.Applied {
				return "not applied"
			}
			return told(err)
		},
	},
	"prism.cache.v1.UnlockRequest.lock": {
		model: "cache", personal: true, placed: true, once: true, over: "not released", give: giveLock,
		use: func(c *tokenRig, who context.Context, p place, token string) string {
			got, err := c.cache.Unlock(who, &cachev1.UnlockRequest{Namespace: p.ns, Key: p.at, Lock: token})
			if err == nil && !got.Released {
				return "not released"
			}
			return told(err)
		},
	},
	"prism.queue.v1.ListTopicsRequest.cursor": {
		model: "queue", personal: true, lasts: true,
		give: func(t *testing.T, c *tokenRig, who context.Context, p place) string {
			for _, topic := range []string{"log-1", "log-2", "log-3"} {
				if _, err := c.log.CreateTopic(who, &queuev1.CreateTopicRequest{Namespace: p.ns, Topic: topic}); err != nil {
					t.Fatal(err)
				}
			}
			page, err := c.log.ListTopics(who, &queuev1.ListTopicsRequest{Namespace: p.ns, Limit: 1})
			if err != nil || page.Cursor == "" {
				t.Fatalf("topics: %v, %v", page, err)
			}
			return page.Cursor
		},
		use: func(c *tokenRig, who context.Context, p place, token string) string {
			_, err := c.log.ListTopics(who, &queuev1.ListTopicsRequest{Namespace: p.ns, Limit: 1, Cursor: token})
			return told(err)
		},
	},
	"prism.queue.v1.ReadRequest.position": {
		model: "queue", placed: true, lasts: true,
		give: func(t *testing.T, c *tokenRig, who context.Context, p place) string {
			if _, err := c.log.Publish(who, &queuev1.PublishRequest{Namespace: p.ns, Topic: p.at, Message: &queuev1.LogMessage{Partition: new(int32)}}); err != nil {
				t.Fatal(err)
			}
			st, err := c.log.Read(who, &queuev1.ReadRequest{Namespace: p.ns, Topic: p.at})
			if err != nil {
				t.Fatal(err)
			}
			first, err := st.Recv()
			if err != nil {
				t.Fatal(err)
			}
			return first.Position
		},
		use: func(c *tokenRig, who context.Context, p place, token string) string {
			st, err := c.log.Read(who, &queuev1.ReadRequest{Namespace: p.ns, Topic: p.at, Position: token})
			if err == nil {
				_, err = st.Recv()
			}
			return told(err)
		},
	},
	"prism.queue.v1.ListQueuesRequest.cursor": {
		model: "queue", personal: true, lasts: true,
		give: func(t *testing.T, c *tokenRig, who context.Context, p place) string {
			for _, queue := range []string{"one", "two", "three"} {
				if _, err := c.work.CreateQueue(who, &queuev1.CreateQueueRequest{Namespace: p.ns, Queue: queue}); err != nil {
					t.Fatal(err)
				}
			}
			page, err := c.work.ListQueues(who, &queuev1.ListQueuesRequest{Namespace: p.ns, Limit: 1})
			if err != nil || page.Cursor == "" {
				t.Fatalf("queues: %v, %v", page, err)
			}
			return page.Cursor
		},
		use: func(c *tokenRig, who context.Context, p place, token string) string {
			_, err := c.work.ListQueues(who, &queuev1.ListQueuesRequest{Namespace: p.ns, Limit: 1, Cursor: token})
			return told(err)
		},
	},
	"prism.queue.v1.PeekRequest.cursor": {
		model: "queue", personal: true, placed: true, lasts: true,
		give: func(t *testing.T, c *tokenRig, who context.Context, p place) string {
			for range 2 {
				if _, err := c.work.Publish(who, &queuev1.WorkQueueServicePublishRequest{Namespace: p.ns, Queue: p.at, Message: &queuev1.WorkMessage{}}); err != nil {
					t.Fatal(err)
				}
			}
			page, err := c.work.Peek(who, &queuev1.PeekRequest{Namespace: p.ns, Queue: p.at, Limit: 1})
			if err != nil || page.Cursor == "" {
				t.Fatalf("peek: %v, %v", page, err)
			}
			return page.Cursor
		},
		use: func(c *tokenRig, who context.Context, p place, token string) string {
			_, err := c.work.Peek(who, &queuev1.PeekRequest{Namespace: p.ns, Queue: p.at, Limit: 1, Cursor: token})
			return told(err)
		},
	},
	"prism.queue.v1.WorkQueueServiceAcknowledgeRequest.leases": {
		model: "queue", personal: true, placed: true, once: true, give: giveLease,
		use: func(c *tokenRig, who context.Context, p place, token string) string {
			got, err := c.work.Acknowledge(who, &queuev1.WorkQueueServiceAcknowledgeRequest{Namespace: p.ns, Queue: p.at, Leases: []string{token}})
			return leased(got.GetResults(), err)
		},
	},
	"prism.queue.v1.ExtendLeaseRequest.leases": {
		model: "queue", personal: true, placed: true, give: giveLease,
		use: func(c *tokenRig, who context.Context, p place, token string) string {
			got, err := c.work.ExtendLease(who, &queuev1.ExtendLeaseRequest{Namespace: p.ns, Queue: p.at, Leases: []string{token}, LeaseMs: 30_000})
			return leased(got.GetResults(), err)
		},
	},
	"prism.queue.v1.ReleaseRequest.leases": {
		model: "queue", personal: true, placed: true, once: true, give: giveLease,
		use: func(c *tokenRig, who context.Context, p place, token string) string {
			got, err := c.work.Release(who, &queuev1.ReleaseRequest{Namespace: p.ns, Queue: p.at, Leases: []string{token}, DelayMs: 3_600_000})
			return leased(got.GetResults(), err)
		},
	},
	"prism.queue.v1.RejectRequest.leases": {
		model: "queue", personal: true, placed: true, once: true, give: giveLease,
		use: func(c *tokenRig, who context.Context, p place, token string) string {
			got, err := c.work.Reject(who, &queuev1.RejectRequest{Namespace: p.ns, Queue: p.at, Leases: []string{token}})
			return leased(got.GetResults(), err)
		},
	},
	"prism.pubsub.v1.Start.after": {
		model: "pubsub", lasts: true, give: giveEvent,
		use: func(c *tokenRig, who context.Context, p place, token string) string {
			_, err := c.subscribed(who, &pubsubv1.SubscribeRequest{Namespace: p.ns, Pattern: p.at, Start: &pubsubv1.Start{Start: &pubsubv1.Start_After{After: token}}})
			return told(err)
		},
	},
	"prism.pubsub.v1.AcknowledgeRequest.position": {
		model: "pubsub", lasts: true,
		give: func(t *testing.T, c *tokenRig, who context.Context, p place) string {
			for _, ns := range []string{"pubsub-1", "pubsub-2"} {
				if _, err := c.subscribed(who, &pubsubv1.SubscribeRequest{Namespace: ns, Pattern: ">", DurableName: "name"}); err != nil {
					t.Fatal(err)
				}
			}
			return giveEvent(t, c, who, p)
		},
		use: func(c *tokenRig, who context.Context, p place, token string) string {
			_, err := c.pubsub.Acknowledge(who, &pubsubv1.AcknowledgeRequest{Namespace: p.ns, DurableName: "name", Position: token})
			return told(err)
		},
	},
	"prism.pubsub.v1.UnsubscribeRequest.subscription_id": {
		model: "pubsub", personal: true, once: true, lasts: true,
		give: func(t *testing.T, c *tokenRig, who context.Context, p place) string {
			first, err := c.subscribed(who, &pubsubv1.SubscribeRequest{Namespace: p.ns, Pattern: p.at})
			if err != nil {
				t.Fatal(err)
			}
			return first.SubscriptionId
		},
		use: func(c *tokenRig, who context.Context, p place, token string) string {
			got, err := c.pubsub.Unsubscribe(who, &pubsubv1.UnsubscribeRequest{Namespace: p.ns, SubscriptionId: token})
			if err == nil && !got.Found {
				return "not found"
			}
			return told(err)
		},
	},
}

// names are lists of what a caller may know, such as offsets: who may write may
// name them.
var names = []protoreflect.FullName{
	"prism.queue.v1.AcknowledgeRequest.message_ids", "prism.queue.v1.RedriveRequest.message_ids", "prism.queue.v1.PurgeRequest.message_ids",
	"prism.timeseries.v1.CodedColumn.dictionary", "prism.timeseries.v1.Selection.event_types", "prism.timeseries.v1.Selection.sources",
}

func fill(t *testing.T, c *tokenRig, who context.Context, p place) {
	t.Helper()
	for i := range 3 {
		if _, err := c.kv.Set(who, &kvv1.SetRequest{Namespace: p.ns, Key: fmt.Sprint(p.at, i)}); err != nil {
			t.Fatal(err)
		}
	}
}

// Every field that takes a token is in the table: a new one cannot be forgotten.
func TestEveryFieldOfATokenIsAttacked(t *testing.T) {
	t.Parallel()
	seen := map[protoreflect.FullName]bool{}
	var walk func(md protoreflect.MessageDescriptor)
	walk = func(md protoreflect.MessageDescriptor) {
		for i := range md.Fields().Len() {
			f := md.Fields().Get(i)
			if seen[f.FullName()] {
				continue
			}
			seen[f.FullName()] = true
			rule := proto.GetExtension(f.Options(), optionsv1.E_Rule).(optionsv1.Rule)
			list := f.IsList() && f.Kind() == protoreflect.StringKind && f.Name() != "keys" && f.Name() != "values"
			token := slices.Contains([]optionsv1.Rule{optionsv1.Rule_RULE_TOKEN, optionsv1.Rule_RULE_CURSOR, optionsv1.Rule_RULE_POSITION}, rule)
			if _, known := proofs[f.FullName()]; (token || list) && !known && !slices.Contains(names, f.FullName()) {
				t.Errorf("%s takes a token, and nobody tries to forge it", f.FullName())
			}
			if f.Message() != nil && !f.IsMap() {
				walk(f.Message())
			}
		}
	}
	for _, m := range models() {
		walk(m.Descriptor.Input())
	}
	for name := range proofs {
		if !seen[name] {
			t.Errorf("%s is no field", name)
		}
	}
}

func startTokens(t *testing.T) *tokenRig {
	t.Helper()
	now := clock.NewFake(time.Now().Truncate(time.Second))
	r := start(t, harness.Options{File: shared(), Clock: now})
	conn := r.Dial(t, "data")
	return &tokenRig{
		r, now, kvv1.NewKeyValueServiceClient(conn), cachev1.NewCacheServiceClient(conn), queuev1.NewWorkQueueServiceClient(conn),
		queuev1.NewQueueServiceClient(conn), pubsubv1.NewPubSubServiceClient(conn), timeseriesv1.NewTimeSeriesServiceClient(conn),
	}
}

// Tokens forged, stolen, brought elsewhere, used again and out of time: each is
// told exactly what a token of nobody is told, and changes nothing.
func TestAttack_A28_TokensOfEveryModel(t *testing.T) {
	t.Parallel()
	given := map[protoreflect.FullName]string{}
	first := startTokens(t)
	for i, name := range slices.Sorted(maps.Keys(proofs)) {
		given[name] = proofs[name].give(t, first, as(t, first.b), place{proofs[name].model + "-1", fmt.Sprint("other-", i)})
	}
	for name, p := range proofs {
		t.Run(string(name), func(t *testing.T) {
			t.Parallel()
			c := startTokens(t)
			p.attack(t, c, given)
			p.late(t, c)
		})
	}
}

// nobodys is a token in the right form that was never given.
func nobodys(like string) string {
	if raw, err := base64.RawURLEncoding.Strict().DecodeString(like); err == nil && len(raw) > 17 {
		return base64.RawURLEncoding.EncodeToString(append([]byte{1}, make([]byte, len(raw)-1)...))
	}
	return strings.Repeat("0", len(like))
}

func (p *proof) attack(t *testing.T, c *tokenRig, given map[protoreflect.FullName]string) {
	a, b := as(t, c.a), as(t, c.b)
	one, two, there := place{p.model + "-1", "one"}, place{p.model + "-1", "two"}, place{p.model + "-2", "one"}
	for _, elsewhere := range []place{two, there} { // it is a place like the first
		p.give(t, c, b, elsewhere)
	}
	token := p.give(t, c, a, one)
	worthless := func(what string, who context.Context, at place, token, nobodys string) {
		t.Helper()
		if got, want := p.use(c, who, at, token), p.use(c, who, at, nobodys); got != want || got == "" {
			t.Errorf("%s is told %q, a token of nobody %q", what, got, want)
		}
	}
	none := nobodys(token)
	for what, changed := range tampered(token) {
		worthless(what, a, one, changed, none)
	}
	for name, other := range given {
		if other != token { // of another gateway, most of them of another kind
			worthless("the token of "+string(name), a, one, other, none)
		}
	}
	worthless("a token in another namespace", a, there, token, none)
	if p.placed {
		worthless("a token in another place", a, two, token, none)
	}
	if p.personal {
		worthless("the token of another", b, one, token, none)
	}
	if got := p.use(c, a, one, token); got != "" {
		t.Errorf("after all that its owner is told %q", got)
	}
	if got := p.use(c, a, one, token); p.once && got != p.ended(c, a, one, none) || !p.once && got != "" {
		t.Errorf("used again it is told %q", got)
	}
}

// late uses a token when its time is over.
func (p *proof) late(t *testing.T, c *tokenRig) {
	if p.lasts {
		return
	}
	at := place{p.model + "-1", "late"}
	a := as(t, c.a)
	token := p.give(t, c, a, at)
	c.now.Advance(2 * time.Minute)
	if got, want := p.use(c, a, at, token), p.ended(c, a, at, nobodys(token)); got != want {
		t.Errorf("after its time it is told %q, want %q", got, want)
	}
}

// ended is what the owner of a token that is over is told.
func (p *proof) ended(c *tokenRig, who context.Context, at place, nobodys string) string {
	if p.over != "" {
		return p.over
	}
	return p.use(c, who, at, nobodys)
}

// tampered are changes of a token: of one bit at each place, of its length, of
// its form.
func tampered(token string) map[string]string {
	list := map[string]string{
		"a token and more": token + "A", "a token twice": token + token, "a padded token": token + "=", "a token with a line break": token[:len(token)/2] + "\n" + token[len(token)/2:],
		"a token with a space": " " + token, "a token in capitals": strings.ToUpper(token), "a text": "x", "a large text": strings.Repeat("A", 4096),
	}
	for i := range token {
		list[fmt.Sprintf("a token cut at %d", i)] = token[:i]
		list[fmt.Sprintf("a token changed at %d", i)] = token[:i] + string(token[i]^1) + token[i+1:]
	}
	delete(list, "a token cut at 0") // absent is another matter
	if strings.ToUpper(token) == token {
		delete(list, "a token in capitals")
	}
	return list
}
