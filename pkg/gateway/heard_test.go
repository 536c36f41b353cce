package gateway_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/proto"

	"github.com/prism-data-layer/prism/pkg/prism"
	adminv1 "github.com/prism-data-layer/prism/proto/prism/admin/v1"
	cachev1 "github.com/prism-data-layer/prism/proto/prism/cache/v1"
	kvv1 "github.com/prism-data-layer/prism/proto/prism/keyvalue/v1"
	pubsubv1 "github.com/prism-data-layer/prism/proto/prism/pubsub/v1"
	queuev1 "github.com/prism-data-layer/prism/proto/prism/queue/v1"
	sessionv1 "github.com/prism-data-layer/prism/proto/prism/session/v1"
	timeseriesv1 "github.com/prism-data-layer/prism/proto/prism/timeseries/v1"
	"github.com/prism-data-layer/prism/test/harness"
)

type heardStream = grpc.ServerStreamingClient[adminv1.TraceSessionResponse]

// hear listens to calls, and returns when it does.
func hear(t *testing.T, g *harness.Gateway, r *adminv1.TraceSessionRequest) heardStream {
	t.Helper()
	st, err := g.Admin(t).TraceSession(harness.Context(t), r)
	if err != nil {
		t.Fatal(err)
	}
	if first, err := st.Recv(); err != nil || len(first.Calls) != 0 {
		t.Fatalf("the first message: %v, %v", first, err)
	}
	return st
}

// next waits for n calls.
func next(t *testing.T, st heardStream, n int) (calls []*adminv1.TracedCall) {
	t.Helper()
	for len(calls) < n {
		r, err := st.Recv()
		if err != nil {
			t.Fatalf("after %d of %d calls: %v", len(calls), n, err)
		}
		calls = append(calls, r.Calls...)
	}
	return calls
}

// lines are calls as "Method namespace subject operations reason".
func lines(calls []*adminv1.TracedCall) (list []string) {
	for _, c := range calls {
		list = append(list, strings.TrimSpace(fmt.Sprintf("%s %s %s %d %s", c.Method[strings.LastIndexByte(c.Method, '/')+1:], c.Namespace, c.Subject, c.Operations, c.Reason)))
	}
	return list
}

// TestEveryModelIsHeard makes a call of each kind: an operator hears what was
// called, about what and how it ended, and never a value.
func TestEveryModelIsHeard(t *testing.T) {
	t.Parallel()
	g, kv, ctx := start(t, harness.Options{File: harness.Models})
	const secret = "canary-value"
	conn := g.Dial(t, "data")
	queue, topics := queuev1.NewWorkQueueServiceClient(conn), queuev1.NewQueueServiceClient(conn)
	st := hear(t, g, &adminv1.TraceSessionRequest{})
	long := strings.Repeat("k", 200)
	call := func(err error) {
		t.Helper()
		if err != nil && harness.Read(err).Code() != codes.NotFound {
			t.Fatal(err)
		}
	}
	_, err := kv.Set(ctx, &kvv1.SetRequest{Namespace: ns, Key: "a", Value: []byte(secret)})
	call(err)
	_, err = kv.Get(ctx, &kvv1.GetRequest{Namespace: ns, Key: long})
	call(err)
	_, err = kv.BatchSet(ctx, &kvv1.BatchSetRequest{Namespace: ns, Items: []*kvv1.SetRequest{{Key: "b", Value: []byte(secret)}, {Key: "c"}}})
	call(err)
	_, err = kv.BatchGet(ctx, &kvv1.BatchGetRequest{Namespace: ns, Keys: []string{"b", "c", "d"}})
	call(err)
	_, err = g.Cache(t).Set(ctx, &cachev1.SetRequest{Namespace: "cache", Key: "page", Value: []byte(secret)})
	call(err)
	_, err = queue.Publish(ctx, &queuev1.WorkQueueServicePublishRequest{Namespace: "queue", Queue: "mail", Message: &queuev1.WorkMessage{Payload: []byte(secret)}})
	call(err)
	_, err = topics.Publish(ctx, &queuev1.PublishRequest{Namespace: "queue", Topic: "clicks", Message: &queuev1.LogMessage{Payload: []byte(secret)}})
	call(err)
	_, err = pubsubv1.NewPubSubServiceClient(conn).Publish(ctx, &pubsubv1.PublishRequest{Namespace: "pubsub", Event: &pubsubv1.Outgoing{Topic: "orders.new", Payload: []byte(secret)}})
	call(err)
	_, err = timeseriesv1.NewTimeSeriesServiceClient(conn).AppendEvents(ctx, appending(ticks(3, 10)))
	call(err)
	p := open(t, kv, ctx)
	p.send(1, setOf("piped", secret), getOf("absent"), appendOf("more", secret))
	p.answer(1)

	calls := next(t, st, 12)
	want := []string{
		"Set mem a 1", "Get mem " + long[:61] + "… 1 NOT_FOUND", "BatchSet mem b 2", "BatchGet mem b 3",
		"Set cache page 1", "Publish queue mail 1", "Publish queue clicks 1", "Publish pubsub orders.new 1", "AppendEvents timeseries  3",
		"Set mem piped 1", "Get mem absent 1 NOT_FOUND", "Append mem more 1",
	}
	if got := lines(calls); !slices.Equal(got, want) {
		t.Errorf("heard\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	for _, c := range calls {
		if c.SessionId == "" || c.Principal != "dev" || len(c.TraceId) != 32 || c.TimeUs == 0 || c.LatencyUs < 0 {
			t.Errorf("%v lacks something", c)
		}
		if strings.Contains(c.String(), secret) {
			t.Errorf("a value is told: %v", c)
		}
	}
	set := &kvv1.SetRequest{Namespace: ns, Key: "a", Value: []byte(secret)}
	if calls[0].ReceivedBytes != int64(proto.Size(set)) || calls[0].SentBytes == 0 || calls[1].SentBytes != 0 || calls[9].ReceivedBytes != int64(len("piped")+len(secret)) {
		t.Errorf("bytes: %v\n%v\n%v", calls[0], calls[1], calls[9])
	}
}

func TestOneSessionIsHeardUntilItEnds(t *testing.T) {
	t.Parallel()
	g, kv, ctx := start(t, harness.Options{})
	s := g.Sessions(t)
	made := must[*sessionv1.CreateSessionResponse](t)(s.CreateSession(ctx, &sessionv1.CreateSessionRequest{}))
	st := hear(t, g, &adminv1.TraceSessionRequest{SessionId: made.SessionId})
	in := harness.In(ctx, made.SessionToken)
	for _, c := range []context.Context{ctx, in, ctx} {
		if _, err := kv.Set(c, &kvv1.SetRequest{Namespace: ns, Key: "k"}); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := s.CloseSession(in, &sessionv1.CloseSessionRequest{}); err != nil {
		t.Fatal(err)
	}
	if got := lines(next(t, st, 2)); !slices.Equal(got, []string{"Set mem k 1", "CloseSession   1"}) {
		t.Errorf("heard %q", got)
	}
	if err := ends(t, 10*time.Second, st.Recv); err != nil {
		t.Errorf("it ends with %v", err)
	}
	other, err := g.Admin(t).TraceSession(ctx, &adminv1.TraceSessionRequest{SessionId: "none"})
	if err == nil {
		_, err = other.Recv()
	}
	want(t, "a session that is not there", err, codes.NotFound, prism.ReasonNotFound)
}

func TestWhatIsHeardIsFiltered(t *testing.T) {
	t.Parallel()
	g, kv, ctx := start(t, harness.Options{File: harness.Small})
	failed := hear(t, g, &adminv1.TraceSessionRequest{Errors: true})
	onDisk := hear(t, g, &adminv1.TraceSessionRequest{Namespace: "disk"})
	slow := hear(t, g, &adminv1.TraceSessionRequest{MinLatencyUs: time.Minute.Microseconds()})
	for _, on := range []string{ns, "disk"} {
		if _, err := kv.Set(ctx, &kvv1.SetRequest{Namespace: on, Key: "k"}); err != nil {
			t.Fatal(err)
		}
	}
	_, err := kv.Get(ctx, &kvv1.GetRequest{Namespace: ns, Key: "none"})
	want(t, "a missing key", err, codes.NotFound, prism.ReasonNotFound)
	if got := lines(next(t, failed, 1)); got[0] != "Get mem none 1 NOT_FOUND" {
		t.Errorf("errors: %q", got)
	}
	if got := lines(next(t, onDisk, 1)); got[0] != "Set disk k 1" {
		t.Errorf("a namespace: %q", got)
	}
	w := must[grpc.ServerStreamingClient[kvv1.WatchResponse]](t)(kv.Watch(ctx, &kvv1.WatchRequest{Namespace: ns, Prefix: "k"}))
	must[*kvv1.WatchResponse](t)(w.Recv())
	// A drain ends the watch, whose line is the last, and all who listen.
	if err := g.Stop(); err != nil {
		t.Error(err)
	}
	for name, st := range map[string]heardStream{"errors": failed, "disk": onDisk, "slow": slow} {
		want(t, name, ends(t, 10*time.Second, st.Recv), codes.Unavailable, prism.ReasonDraining)
	}
}
