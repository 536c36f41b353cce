package gateway_test

import (
	"context"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/prism-data-layer/prism/pkg/driver"
	"github.com/prism-data-layer/prism/pkg/driver/all"
	"github.com/prism-data-layer/prism/pkg/prism"
	"github.com/prism-data-layer/prism/pkg/wire"
	kvv1 "github.com/prism-data-layer/prism/proto/prism/keyvalue/v1"
	queuev1 "github.com/prism-data-layer/prism/proto/prism/queue/v1"
	"github.com/prism-data-layer/prism/test/harness"
)

const queuesFile = `apiVersion: prism/v1
auth: {mode: off}
backends:
  - {name: volatile, driver: memory}
namespaces:
  - {name: mem, model: queue, backend: volatile, access: {owners: ["user:dev"]}}
  - {name: kv, model: keyvalue, backend: volatile, access: {owners: ["user:dev"]}}
  - {name: slow, model: queue, backend: volatile, access: {owners: ["user:dev"]}, limits: {request_rps: 5}}
drain: {timeout: 5s}
`

func queues(t *testing.T, o harness.Options) (*harness.Gateway, queuev1.WorkQueueServiceClient, context.Context) {
	t.Helper()
	if o.File == "" {
		o.File = queuesFile
	}
	g := harness.Start(t, o)
	return g, queuev1.NewWorkQueueServiceClient(g.Dial(t, "data")), harness.Context(t)
}

func messageOf(payload string) *queuev1.WorkMessage {
	return &queuev1.WorkMessage{Payload: []byte(payload)}
}

func publishOne(t *testing.T, q queuev1.WorkQueueServiceClient, ctx context.Context, m *queuev1.WorkMessage) string {
	t.Helper()
	return must[*queuev1.WorkQueueServicePublishResponse](t)(q.Publish(ctx, &queuev1.WorkQueueServicePublishRequest{Namespace: ns, Queue: "q", Message: m})).MessageId
}

func receiveAll(t *testing.T, q queuev1.WorkQueueServiceClient, ctx context.Context) []*queuev1.LeasedMessage {
	t.Helper()
	return must[*queuev1.ReceiveResponse](t)(q.Receive(ctx, &queuev1.ReceiveRequest{Namespace: ns, Queue: "q", MaxMessages: 1000})).Messages
}

func TestAMessageGoesAllTheWay(t *testing.T) {
	t.Parallel()
	_, q, ctx := queues(t, harness.Options{})
	created := must[*queuev1.CreateQueueResponse](t)(q.CreateQueue(ctx, &queuev1.CreateQueueRequest{Namespace: ns, Queue: "q", Settings: &queuev1.QueueSettings{LeaseMs: 60_000, MaxAttempts: 2, RetentionMs: 3_600_000}}))
	if !created.Created {
		t.Error("the queue was there")
	}
	id := publishOne(t, q, ctx, &queuev1.WorkMessage{Payload: []byte("a"), Key: "k", Attributes: map[string]string{"n": "1"}, Priority: 4})
	publishOne(t, q, ctx, &queuev1.WorkMessage{Payload: []byte("later"), DelayMs: 3_600_000})
	got := receiveAll(t, q, ctx)
	if len(got) != 1 || got[0].MessageId != id || string(got[0].Payload) != "a" || got[0].Key != "k" || got[0].Attributes["n"] != "1" || got[0].Priority != 4 || got[0].Attempt != 1 {
		t.Fatalf("received %v", got)
	}
	if left := time.Until(time.UnixMilli(got[0].LeaseUntilMs)); left < 30*time.Second || left > 61*time.Second {
		t.Errorf("leased for %v", left)
	}
	e := must[*queuev1.ExtendLeaseResponse](t)(q.ExtendLease(ctx, &queuev1.ExtendLeaseRequest{Namespace: ns, Queue: "q", Leases: []string{got[0].Lease}, LeaseMs: 600_000}))
	if left := time.Until(time.UnixMilli(e.Results[0].LeaseUntilMs)); e.Results[0].Error != nil || left < 9*time.Minute {
		t.Errorf("extended: %v", e.Results[0])
	}
	r := must[*queuev1.ReleaseResponse](t)(q.Release(ctx, &queuev1.ReleaseRequest{Namespace: ns, Queue: "q", Leases: []string{got[0].Lease}, Reason: "busy"}))
	if r.Results[0].Error != nil || r.Results[0].Dead {
		t.Errorf("released: %v", r.Results[0])
	}
	got = receiveAll(t, q, ctx)
	r = must[*queuev1.ReleaseResponse](t)(q.Release(ctx, &queuev1.ReleaseRequest{Namespace: ns, Queue: "q", Leases: []string{got[0].Lease}, Reason: "still busy"}))
	if !r.Results[0].Dead {
		t.Errorf("released the last time: %v", r.Results[0])
	}
	dead := must[*queuev1.PeekResponse](t)(q.Peek(ctx, &queuev1.PeekRequest{Namespace: ns, Queue: "q", State: queuev1.MessageState_MESSAGE_STATE_DEAD})).Messages
	if len(dead) != 1 || dead[0].Reason != "still busy" || dead[0].Attempts != 2 || dead[0].MessageId != id {
		t.Errorf("dead letters: %v", dead)
	}
	i := must[*queuev1.GetQueueInfoResponse](t)(q.GetQueueInfo(ctx, &queuev1.GetQueueInfoRequest{Namespace: ns, Queue: "q"}))
	if i.Delayed != 1 || i.Dead != 1 || i.Ready != 0 || i.Settings.MaxAttempts != 2 || i.NextDueMs == nil || i.Published != 2 || i.Redelivered != 1 || len(i.ReadyByPriority) != 10 {
		t.Errorf("info: %v", i)
	}
	if m := must[*queuev1.RedriveResponse](t)(q.Redrive(ctx, &queuev1.RedriveRequest{Namespace: ns, Queue: "q", MessageIds: []string{id}})); m.Moved != 1 {
		t.Errorf("redriven: %v", m)
	}
	got = receiveAll(t, q, ctx)
	j := must[*queuev1.RejectResponse](t)(q.Reject(ctx, &queuev1.RejectRequest{Namespace: ns, Queue: "q", Leases: []string{got[0].Lease}, Reason: "bad"}))
	if !j.Results[0].Dead {
		t.Errorf("rejected: %v", j.Results[0])
	}
	if p := must[*queuev1.PurgeResponse](t)(q.Purge(ctx, &queuev1.PurgeRequest{Namespace: ns, Queue: "q"})); p.Removed != 1 {
		t.Errorf("purged: %v", p)
	}
	l := must[*queuev1.ListQueuesResponse](t)(q.ListQueues(ctx, &queuev1.ListQueuesRequest{Namespace: ns}))
	if len(l.Queues) != 1 || l.Queues[0] != "q" {
		t.Errorf("queues: %v", l.Queues)
	}
	a := must[*queuev1.WorkQueueServiceAcknowledgeResponse](t)(q.Acknowledge(ctx, &queuev1.WorkQueueServiceAcknowledgeRequest{Namespace: ns, Queue: "q", Leases: []string{got[0].Lease}}))
	if e := a.Results[0].Error; e.GetReason() != "LEASE_LOST" || codes.Code(e.GetStatus()) != codes.FailedPrecondition {
		t.Errorf("the lease of a dead letter: %v", a.Results[0])
	}
}

func TestEachMessageOfABatchHasAResult(t *testing.T) {
	t.Parallel()
	_, q, ctx := queues(t, harness.Options{})
	batch := func(ctx context.Context, messages ...*queuev1.WorkMessage) []*queuev1.WorkQueuePublishResult {
		t.Helper()
		return must[*queuev1.WorkQueueServicePublishBatchResponse](t)(q.PublishBatch(ctx, &queuev1.WorkQueueServicePublishBatchRequest{Namespace: ns, Queue: "q", Messages: messages})).Results
	}
	r := batch(ctx, messageOf("a"), &queuev1.WorkMessage{Priority: 11}, nil, &queuev1.WorkMessage{IdempotencyKey: string(make([]byte, 129))})
	if r[0].GetPublished() == nil || r[1].GetError().GetReason() != "INVALID_ARGUMENT" || r[2].GetPublished() == nil || r[3].GetError().GetReason() != "INVALID_ARGUMENT" {
		t.Errorf("results: %v", r)
	}
	// A retry id stands for the whole batch, message by message.
	for _, id := range []string{"0102030405060708090a0b0c0d0e0fff", "01ff"} {
		with := metadata.AppendToOutgoingContext(ctx, wire.RetryID, id)
		first := batch(with, messageOf("x"), messageOf("y"))
		again := batch(with, messageOf("x"), messageOf("y"))
		for i := range first {
			if first[i].GetPublished().GetMessageId() != again[i].GetPublished().GetMessageId() || first[i].GetPublished() == nil {
				t.Errorf("message %d sent again: %v and %v", i, first[i], again[i])
			}
		}
	}
	if n := len(receiveAll(t, q, ctx)); n != 6 {
		t.Errorf("%d messages, want 6", n)
	}
	_, err := q.PublishBatch(metadata.AppendToOutgoingContext(ctx, wire.RetryID, "zz"), &queuev1.WorkQueueServicePublishBatchRequest{Namespace: ns, Queue: "q"})
	want(t, "a retry id that is none", err, codes.InvalidArgument, prism.ReasonInvalidArgument)
	_, err = q.PublishBatch(ctx, &queuev1.WorkQueueServicePublishBatchRequest{Namespace: "slow", Queue: "q", Messages: make([]*queuev1.WorkMessage, 1000)})
	want(t, "a batch over the rate", err, codes.ResourceExhausted, prism.ReasonRateLimited)
}

func TestAKeyPublishesOnce(t *testing.T) {
	t.Parallel()
	_, q, ctx := queues(t, harness.Options{})
	m := func(p string) *queuev1.WorkMessage {
		return &queuev1.WorkMessage{Payload: []byte(p), IdempotencyKey: "once"}
	}
	if a, b := publishOne(t, q, ctx, m("a")), publishOne(t, q, ctx, m("a")); a != b {
		t.Errorf("messages %s and %s", a, b)
	}
	_, err := q.Publish(ctx, &queuev1.WorkQueueServicePublishRequest{Namespace: ns, Queue: "q", Message: m("b")})
	want(t, "another message", err, codes.InvalidArgument, prism.ReasonKeyReused)
	_, err = q.Publish(ctx, &queuev1.WorkQueueServicePublishRequest{Namespace: ns, Queue: "q", Message: &queuev1.WorkMessage{Priority: -1, DelayMs: -1}})
	want(t, "a bad message", err, codes.InvalidArgument, prism.ReasonInvalidArgument, "message.delay_ms", "message.priority")
}

func TestANamespaceOfAnotherModelIsNoQueue(t *testing.T) {
	t.Parallel()
	g, q, ctx := queues(t, harness.Options{})
	_, err := q.Publish(ctx, &queuev1.WorkQueueServicePublishRequest{Namespace: "kv", Queue: "q", Message: messageOf("a")})
	want(t, "a queue on key-value", err, codes.Unimplemented, prism.ReasonCapabilityMissing)
	_, err = g.KeyValue(t).Get(ctx, &kvv1.GetRequest{Namespace: ns, Key: "k"})
	want(t, "key-value on a queue", err, codes.Unimplemented, prism.ReasonCapabilityMissing)
}

// Whoever waits does not hold up a gateway that stops: the call ends at once,
// with no messages.
func TestAWaitEndsWhenTheGatewayDrains(t *testing.T) {
	t.Parallel()
	called := make(chan struct{}, 1)
	g, q, ctx := queues(t, harness.Options{Drivers: telling(called)})
	must[*queuev1.CreateQueueResponse](t)(q.CreateQueue(ctx, &queuev1.CreateQueueRequest{Namespace: ns, Queue: "q"}))
	type answer struct {
		r   *queuev1.ReceiveResponse
		err error
	}
	got := make(chan answer, 1)
	go func() {
		r, err := q.Receive(ctx, &queuev1.ReceiveRequest{Namespace: ns, Queue: "q", WaitMs: 60_000})
		got <- answer{r, err}
	}()
	<-called
	ended := g.Draining()
	select {
	case a := <-got:
		if a.err != nil || len(a.r.GetMessages()) > 0 {
			t.Errorf("the wait ended with %v, %v", a.r, a.err)
		}
	case <-time.After(10 * time.Second):
		t.Fatal("the wait did not end")
	}
	<-ended
}

// telling are the drivers of this build; called is told of each Receive.
func telling(called chan<- struct{}) driver.Registry {
	drivers := slices.Clone(all.Drivers())
	for i := range drivers {
		open := drivers[i].Open
		drivers[i].Open = func(ctx context.Context, c driver.Config) (driver.Set, error) {
			set, err := open(ctx, c)
			if set.Queue != nil {
				set.Queue = tellingQueue{set.Queue, called}
			}
			return set, err
		}
	}
	return drivers
}

type tellingQueue struct {
	driver.Queue
	called chan<- struct{}
}

func (q tellingQueue) Receive(ctx context.Context, ns prism.Namespace, queue string, r driver.QueueReceive) ([]driver.Delivery, error) {
	q.called <- struct{}{}
	return q.Queue.Receive(ctx, ns, queue, r)
}

// FuzzUnary_WorkQueue sends any bytes as the request of any call of work queues.
func FuzzUnary_WorkQueue(f *testing.F) {
	service := queuev1.File_prism_queue_v1_workqueue_proto.Services().Get(0)
	var methods []protoreflect.MethodDescriptor
	for i := range service.Methods().Len() {
		m := service.Methods().Get(i)
		methods = append(methods, m)
		raw, err := proto.Marshal(harness.Valid(m.Input()).Interface())
		if err != nil {
			f.Fatal(err)
		}
		f.Add(byte(i), raw)
	}
	g := harness.Start(f, harness.Options{File: queuesFile})
	conn := g.Dial(f, "data")
	f.Fuzz(func(t *testing.T, which byte, raw []byte) {
		if len(raw) > 1<<20 {
			return
		}
		m := methods[int(which)%len(methods)]
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		var reply []byte
		judge(t, conn.Invoke(ctx, "/"+string(service.FullName())+"/"+string(m.Name()), raw, &reply, harness.Raw()))
	})
}

func TestAReplyHoldsNoMoreThanAMessageMay(t *testing.T) {
	t.Parallel()
	_, q, ctx := queues(t, harness.Options{})
	attributes := map[string]string{}
	for i := range prism.MaxAttributes {
		attributes[strconv.Itoa(i)] = string(make([]byte, prism.MaxAttributeBytes))
	}
	const n = 150 // with their attributes 10 MB
	for range n {
		publishOne(t, q, ctx, &queuev1.WorkMessage{Payload: []byte("a"), Attributes: attributes})
	}
	got, peeked := 0, 0
	for page := receiveAll(t, q, ctx); len(page) > 0; page = receiveAll(t, q, ctx) {
		got += len(page)
	}
	for cursor := ""; ; {
		page := must[*queuev1.PeekResponse](t)(q.Peek(ctx, &queuev1.PeekRequest{Namespace: ns, Queue: "q", State: queuev1.MessageState_MESSAGE_STATE_LEASED, Limit: 1000, Cursor: cursor}))
		peeked += len(page.Messages)
		if cursor = page.Cursor; cursor == "" {
			break
		}
	}
	if got != n || peeked != n {
		t.Errorf("received %d and peeked %d, want %d", got, peeked, n)
	}
}

func TestMetricsTellWhatQueuesHold(t *testing.T) {
	t.Parallel()
	g, q, ctx := queues(t, harness.Options{})
	publishOne(t, q, ctx, messageOf("a"))
	publishOne(t, q, ctx, messageOf("b"))
	res, err := http.Get("http://" + g.Addr("metrics") + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	page, err := io.ReadAll(res.Body)
	if err != nil || !strings.Contains(string(page), `prism_queue_messages{namespace="mem",queue="q",state="ready"} 2`) {
		t.Errorf("metrics (%v): %s", err, page)
	}
}
