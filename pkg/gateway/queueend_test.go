package gateway_test

import (
	"bytes"
	"context"
	"testing"
	"time"

	"google.golang.org/grpc/codes"

	"github.com/prism-data-layer/prism/pkg/clock"
	"github.com/prism-data-layer/prism/pkg/prism"
	adminv1 "github.com/prism-data-layer/prism/proto/prism/admin/v1"
	queuev1 "github.com/prism-data-layer/prism/proto/prism/queue/v1"
	"github.com/prism-data-layer/prism/test/harness"
)

// A logReader is a stream of a log, with a group or without: what it reads, and
// the same again from the Resume detail of its end.
type logReader struct {
	open func(ctx context.Context, position string) (next func() ([]*queuev1.Message, error), err error)
}

func logReaders(q queuev1.QueueServiceClient) map[string]logReader {
	return map[string]logReader{
		"Subscribe": {func(ctx context.Context, position string) (func() ([]*queuev1.Message, error), error) {
			group := "g"
			if position != "" {
				group = position
			}
			st, err := q.Subscribe(ctx, &queuev1.SubscribeRequest{Namespace: "made", Topic: "orders", Group: group})
			return func() ([]*queuev1.Message, error) {
				r, err := st.Recv()
				return r.GetMessages(), err
			}, err
		}},
		"Read": {func(ctx context.Context, position string) (func() ([]*queuev1.Message, error), error) {
			st, err := q.Read(ctx, &queuev1.ReadRequest{Namespace: "made", Topic: "orders", Position: position})
			return func() ([]*queuev1.Message, error) {
				r, err := st.Recv()
				return r.GetMessages(), err
			}, err
		}},
	}
}

// logPayloads reads n messages.
func logPayloads(t *testing.T, n int, next func() ([]*queuev1.Message, error)) (got []string) {
	t.Helper()
	for len(got) < n {
		for _, m := range must[[]*queuev1.Message](t)(next()) {
			got = append(got, string(m.Payload))
		}
	}
	return got
}

// The Resume detail of the end of a log's stream is all that a client needs to
// go on.
func TestStreamsOfLogsResumeFromTheDetailOfTheirEnd(t *testing.T) {
	t.Parallel()
	for what, end := range map[string]struct {
		do     func(ctx context.Context, a adminv1.AdminServiceClient, session string) error
		code   codes.Code
		reason prism.Reason
	}{
		"terminate": {func(ctx context.Context, a adminv1.AdminServiceClient, session string) error {
			_, err := a.TerminateSession(ctx, &adminv1.TerminateSessionRequest{SessionId: session})
			return err
		}, codes.Unauthenticated, prism.ReasonSessionRevoked},
		"access": {func(ctx context.Context, a adminv1.AdminServiceClient, _ string) error {
			_, err := a.UpdateNamespace(ctx, &adminv1.UpdateNamespaceRequest{
				Spec: &adminv1.NamespaceSpec{Name: "made", Access: &adminv1.Access{Owners: []string{"user:new"}}}, UpdateMask: []string{"access"},
			})
			return err
		}, codes.Unavailable, prism.ReasonMoved},
		"delete": {func(ctx context.Context, a adminv1.AdminServiceClient, _ string) error {
			_, err := a.DeleteNamespace(ctx, &adminv1.DeleteNamespaceRequest{Name: "made"})
			return err
		}, codes.FailedPrecondition, prism.ReasonNamespaceBusy},
	} {
		for _, how := range []string{"Subscribe", "Read"} {
			t.Run(what+"/"+how, func(t *testing.T) {
				t.Parallel()
				g, q, ctx := startLogs(t)
				a := g.Admin(t)
				must[any](t)(a.CreateNamespace(ctx, &adminv1.CreateNamespaceRequest{Spec: &adminv1.NamespaceSpec{Name: "made", Model: "queue", Backend: "volatile"}}))
				must[any](t)(q.CreateTopic(ctx, &queuev1.CreateTopicRequest{Namespace: "made", Topic: "orders", Partitions: 1}))
				publish := func(payload string) {
					must[any](t)(q.Publish(ctx, &queuev1.PublishRequest{Namespace: "made", Topic: "orders", Message: &queuev1.LogMessage{Payload: []byte(payload)}}))
				}
				publish("seen")
				id, token := session(t, g, ctx)
				reader := logReaders(q)[how]
				next, err := reader.open(harness.In(ctx, token), "")
				must[any](t)(nil, err)
				equalStrings(t, "before the end", logPayloads(t, 1, next), "seen")
				if how == "Subscribe" {
					must[any](t)(q.Acknowledge(ctx, &queuev1.AcknowledgeRequest{Namespace: "made", Topic: "orders", Group: "g", MessageIds: []string{"0-0"}}))
				}
				must[any](t)(nil, end.do(ctx, a, id))
				o := want(t, what, ends(t, 30*time.Second, next), end.code, end.reason)
				if o.Resume.GetPosition() == "" || o.Request.GetRequestId() == "" {
					t.Fatalf("the end says %v, %v", o.Resume, o.Request)
				}
				if what == "delete" {
					return
				}
				publish("missed")
				next, err = reader.open(ctx, o.Resume.Position)
				must[any](t)(nil, err)
				equalStrings(t, "after the resumption", logPayloads(t, 1, next), "missed")
			})
		}
	}
}

func TestAReaderOfALogWhoDoesNotReadIsEndedWithItsPosition(t *testing.T) {
	t.Parallel()
	for _, how := range []string{"Subscribe", "Read"} {
		t.Run(how, func(t *testing.T) {
			t.Parallel()
			c := clock.NewFake(time.Now())
			g := harness.Start(t, harness.Options{File: withLogs, Clock: c})
			q, ctx, a := queuev1.NewQueueServiceClient(g.Dial(t, "data")), harness.Context(t), g.Admin(t)
			must[any](t)(a.CreateNamespace(ctx, &adminv1.CreateNamespaceRequest{Spec: &adminv1.NamespaceSpec{Name: "made", Model: "queue", Backend: "volatile"}}))
			must[any](t)(q.CreateTopic(ctx, &queuev1.CreateTopicRequest{Namespace: "made", Topic: "orders", Partitions: 1}))
			for range many {
				must[any](t)(q.Publish(ctx, &queuev1.PublishRequest{Namespace: "made", Topic: "orders", Message: &queuev1.LogMessage{Payload: bytes.Repeat([]byte{1}, large)}}))
			}
			reader := logReaders(q)[how]
			next, err := reader.open(ctx, "")
			must[any](t)(nil, err)
			harness.Eventually(t, 30*time.Second, "the stream is open", func() bool {
				status, err := a.GetStatus(ctx, &adminv1.GetStatusRequest{})
				return err == nil && status.ActiveStreams == 1
			})
			harness.Eventually(t, 30*time.Second, "the stream ends at the gateway", func() bool {
				c.Advance(time.Second)
				status, err := a.GetStatus(ctx, &adminv1.GetStatusRequest{})
				return err == nil && status.ActiveStreams == 0
			})
			offsets := map[int64]bool{}
			read := func(next func() ([]*queuev1.Message, error)) error {
				list, err := next()
				for _, m := range list {
					offsets[m.Offset] = true
				}
				return err
			}
			for err = read(next); err == nil; {
				err = read(next)
			}
			o := want(t, "the slow reader's end", err, codes.ResourceExhausted, prism.ReasonSlowConsumer)
			next, err = reader.open(ctx, o.Resume.GetPosition())
			must[any](t)(nil, err)
			for len(offsets) < many {
				must[any](t)(nil, read(next))
			}
		})
	}
}
