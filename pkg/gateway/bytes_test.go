package gateway_test

import (
	"context"
	"errors"
	"io"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	adminv1 "github.com/prism-data-layer/prism/proto/prism/admin/v1"
	kvv1 "github.com/prism-data-layer/prism/proto/prism/keyvalue/v1"
	pubsubv1 "github.com/prism-data-layer/prism/proto/prism/pubsub/v1"
	queuev1 "github.com/prism-data-layer/prism/proto/prism/queue/v1"
	sessionv1 "github.com/prism-data-layer/prism/proto/prism/session/v1"
	timeseriesv1 "github.com/prism-data-layer/prism/proto/prism/timeseries/v1"
	"github.com/prism-data-layer/prism/test/harness"
)

// A tally is what a session should have carried.
type tally struct{ in, out int }

func (c *tally) sent(list ...proto.Message) {
	for _, m := range list {
		c.in += proto.Size(m)
	}
}

func (c *tally) got(list ...proto.Message) {
	for _, m := range list {
		c.out += proto.Size(m)
	}
}

// talk sends messages on a stream one by one, each answered by one, and ends it.
func talk[Req, Resp proto.Message](t *testing.T, c *tally, st interface {
	Send(Req) error
	Recv() (Resp, error)
	CloseSend() error
}, list ...Req,
) {
	t.Helper()
	for _, m := range list {
		if err := st.Send(m); err != nil {
			t.Fatal(err)
		}
		r, err := st.Recv()
		if err != nil {
			t.Fatal(err)
		}
		c.sent(m)
		c.got(r)
	}
	if err := st.CloseSend(); err != nil {
		t.Fatal(err)
	}
	if _, err := st.Recv(); err != nil && !errors.Is(err, io.EOF) {
		t.Fatal(err)
	}
}

// TestSessionsCountTheirBytes calls in each way that there is: a session's
// figures are the sizes of the messages that went either way, to the byte.
func TestSessionsCountTheirBytes(t *testing.T) {
	t.Parallel()
	g, kv, ctx := start(t, harness.Options{File: harness.Models})
	conn := g.Dial(t, "data")
	topics, series := queuev1.NewQueueServiceClient(conn), timeseriesv1.NewTimeSeriesServiceClient(conn)
	event := []*timeseriesv1.Event{{EventType: "view", TimeNs: time.Now().UnixNano(), Payload: make([]byte, 300)}}
	rows := &timeseriesv1.EventRows{Events: event}
	large := make([]byte, 3000)

	ways := map[string]func(ctx context.Context, t *testing.T, c *tally){
		"calls": func(ctx context.Context, t *testing.T, c *tally) {
			set := &kvv1.SetRequest{Namespace: ns, Key: "a", Value: large}
			c.sent(set)
			c.got(must[*kvv1.SetResponse](t)(kv.Set(ctx, set)))
			get := &kvv1.BatchGetRequest{Namespace: ns, Keys: []string{"a", "none"}}
			c.sent(get)
			c.got(must[*kvv1.BatchGetResponse](t)(kv.BatchGet(ctx, get)))
		},
		"a call that fails, and one that is not let in": func(ctx context.Context, t *testing.T, c *tally) {
			for _, r := range []*kvv1.GetRequest{{Namespace: ns, Key: "never"}, {Namespace: "nowhere", Key: "k"}} {
				if _, err := kv.Get(ctx, r); err == nil {
					t.Errorf("%v: no error", r)
				}
				c.sent(r)
			}
		},
		"events in a call": func(ctx context.Context, t *testing.T, c *tally) {
			r := &timeseriesv1.AppendEventsRequest{Namespace: "timeseries", Events: &timeseriesv1.AppendEventsRequest_Rows{Rows: rows}}
			c.sent(r)
			c.got(must[*timeseriesv1.AppendEventsResponse](t)(series.AppendEvents(ctx, r)))
		},
		"a stream of events": func(ctx context.Context, t *testing.T, c *tally) {
			st, err := series.StreamEvents(ctx)
			if err != nil {
				t.Fatal(err)
			}
			open := &timeseriesv1.StreamEventsRequest{Message: &timeseriesv1.StreamEventsRequest_Open{Open: &timeseriesv1.OpenStream{Namespace: "timeseries"}}}
			if err := st.Send(open); err != nil {
				t.Fatal(err)
			}
			c.sent(open)
			talk(t, c, st, &timeseriesv1.StreamEventsRequest{Message: &timeseriesv1.StreamEventsRequest_Batch{
				Batch: &timeseriesv1.EventBatch{Id: 1, Events: &timeseriesv1.EventBatch_Rows{Rows: rows}},
			}})
		},
		"a pipeline": func(ctx context.Context, t *testing.T, c *tally) {
			st, err := kv.Pipeline(ctx)
			if err != nil {
				t.Fatal(err)
			}
			talk(t, c, st, opening(ns), frameOf(1, setOf("b", string(large)), getOf("b")), frameOf(2, getOf("b"), getOf("none")))
		},
		"a transaction": func(ctx context.Context, t *testing.T, c *tally) {
			st, err := kv.Transaction(ctx)
			if err != nil {
				t.Fatal(err)
			}
			talk(t, c, st,
				&kvv1.TransactionRequest{Step: &kvv1.TransactionRequest_Begin{Begin: &kvv1.TransactionBegin{Namespace: ns}}},
				&kvv1.TransactionRequest{Step: &kvv1.TransactionRequest_Set{Set: &kvv1.TransactionSet{Key: "t", Value: large}}},
				&kvv1.TransactionRequest{Step: &kvv1.TransactionRequest_Commit{Commit: &kvv1.TransactionCommit{}}})
		},
		"a watch": func(ctx context.Context, t *testing.T, c *tally) {
			r := &kvv1.WatchRequest{Namespace: ns, Prefix: "watched", IncludeValues: true}
			st, err := kv.Watch(ctx, r)
			if err != nil {
				t.Fatal(err)
			}
			c.sent(r)
			c.got(must[*kvv1.WatchResponse](t)(st.Recv()))
			if _, err := g.KeyValue(t).Set(harness.Context(t), &kvv1.SetRequest{Namespace: ns, Key: "watched", Value: large}); err != nil {
				t.Fatal(err)
			}
			c.got(must[*kvv1.WatchResponse](t)(st.Recv()))
		},
		"a subscription": func(ctx context.Context, t *testing.T, c *tally) {
			r := &pubsubv1.SubscribeRequest{Namespace: "pubsub", Pattern: "heard"}
			st, err := pubsubv1.NewPubSubServiceClient(conn).Subscribe(ctx, r)
			if err != nil {
				t.Fatal(err)
			}
			c.sent(r)
			c.got(must[*pubsubv1.SubscribeResponse](t)(st.Recv()))
			event := &pubsubv1.PublishRequest{Namespace: "pubsub", Event: &pubsubv1.Outgoing{Topic: "heard", Payload: large}}
			if _, err := pubsubv1.NewPubSubServiceClient(conn).Publish(harness.Context(t), event); err != nil {
				t.Fatal(err)
			}
			c.got(must[*pubsubv1.SubscribeResponse](t)(st.Recv()))
		},
		"a log, read and by a group": func(ctx context.Context, t *testing.T, c *tally) {
			m := &queuev1.PublishRequest{Namespace: "queue", Topic: "clicks", Message: &queuev1.LogMessage{Payload: large}}
			c.sent(m)
			published := must[*queuev1.PublishResponse](t)(topics.Publish(ctx, m))
			c.got(published)
			read := &queuev1.ReadRequest{Namespace: "queue", Topic: "clicks", Partition: published.Partition, Start: &queuev1.StartPosition{Start: &queuev1.StartPosition_Earliest{Earliest: true}}}
			reader, err := topics.Read(ctx, read)
			if err != nil {
				t.Fatal(err)
			}
			c.sent(read)
			for messages := 0; messages == 0; {
				r := must[*queuev1.ReadResponse](t)(reader.Recv())
				c.got(r)
				messages = len(r.Messages)
			}
			join := &queuev1.SubscribeRequest{Namespace: "queue", Topic: "clicks", Group: "g", Start: read.Start}
			member, err := topics.Subscribe(ctx, join)
			if err != nil {
				t.Fatal(err)
			}
			c.sent(join)
			for messages := 0; messages == 0; {
				r := must[*queuev1.SubscribeResponse](t)(member.Recv())
				c.got(r)
				messages = len(r.Messages)
			}
		},
	}
	for name, way := range ways {
		t.Run(name, func(t *testing.T) {
			made := must[*sessionv1.CreateSessionResponse](t)(g.Sessions(t).CreateSession(ctx, &sessionv1.CreateSessionRequest{}))
			in, cancel := context.WithCancel(harness.In(ctx, made.SessionToken))
			defer cancel()
			var want tally
			way(in, t, &want)
			cancel() // a stream's request is counted when the stream ends
			var got *sessionv1.SessionMetrics
			harness.Eventually(t, 20*time.Second, "the streams of the session to end", func() bool {
				r := must[*adminv1.GetSessionResponse](t)(g.Admin(t).GetSession(ctx, &adminv1.GetSessionRequest{SessionId: made.SessionId}))
				got = r.Session.Metrics
				return got.ActiveStreams == 0
			})
			if got.BytesReceived != int64(want.in) || got.BytesSent != int64(want.out) {
				t.Errorf("the session received %d and sent %d bytes, want %d and %d", got.BytesReceived, got.BytesSent, want.in, want.out)
			}
		})
	}
}
