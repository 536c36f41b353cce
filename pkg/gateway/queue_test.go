package gateway_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"

	"github.com/prism-data-layer/prism/pkg/prism"
	queuev1 "github.com/prism-data-layer/prism/proto/prism/queue/v1"
	"github.com/prism-data-layer/prism/test/harness"
)

// withLogs is a configuration with a namespace of logs beside one of keys.
const withLogs = `apiVersion: prism/v1
auth: {mode: off}
backends:
  - {name: volatile, driver: memory}
namespaces:
  - {name: mem, model: keyvalue, backend: volatile, access: {owners: ["user:dev"]}}
  - {name: log, model: queue, backend: volatile, access: {owners: ["user:dev"]}}
drain: {timeout: 5s}
`

type logStream = grpc.ServerStreamingClient[queuev1.SubscribeResponse]

// startLogs runs a gateway with a topic of one partition.
func startLogs(t *testing.T) (*harness.Gateway, queuev1.QueueServiceClient, context.Context) {
	t.Helper()
	g := harness.Start(t, harness.Options{File: withLogs})
	q, ctx := queuev1.NewQueueServiceClient(g.Dial(t, "data")), harness.Context(t)
	must[any](t)(q.CreateTopic(ctx, &queuev1.CreateTopicRequest{Namespace: "log", Topic: "orders", Partitions: 1}))
	return g, q, ctx
}

func publishLines(t *testing.T, q queuev1.QueueServiceClient, payloads ...string) {
	t.Helper()
	for _, p := range payloads {
		must[any](t)(q.Publish(t.Context(), &queuev1.PublishRequest{Namespace: "log", Topic: "orders", Message: &queuev1.LogMessage{Payload: []byte(p)}}))
	}
}

// member subscribes and reads the first batch, which tells the partitions.
func member(t *testing.T, q queuev1.QueueServiceClient, ctx context.Context, r *queuev1.SubscribeRequest) (logStream, []int32) {
	t.Helper()
	r.Namespace, r.Topic, r.Group = "log", "orders", "g"
	st := must[logStream](t)(q.Subscribe(ctx, r))
	return st, must[*queuev1.SubscribeResponse](t)(st.Recv()).Partitions
}

// gets reads n messages and returns "id payload attempt".
func gets(t *testing.T, st logStream, n int) (got []string) {
	t.Helper()
	for len(got) < n {
		for _, m := range must[*queuev1.SubscribeResponse](t)(st.Recv()).Messages {
			got = append(got, fmt.Sprintf("%s %s %d", m.MessageId, m.Payload, m.Attempt))
		}
	}
	return got
}

func equalStrings(t *testing.T, what string, got []string, want ...string) {
	t.Helper()
	if !slices.Equal(got, want) {
		t.Errorf("%s: got %q, want %q", what, got, want)
	}
}

func TestAGroupGoesOnWhereItAcknowledgedAfterARestart(t *testing.T) {
	t.Parallel()
	_, q, ctx := startLogs(t)
	publishLines(t, q, "a", "b", "c")
	leaving, leave := context.WithCancel(ctx)
	st, partitions := member(t, q, leaving, &queuev1.SubscribeRequest{})
	if !slices.Equal(partitions, []int32{0}) {
		t.Errorf("it reads %v", partitions)
	}
	equalStrings(t, "first", gets(t, st, 3), "0-0 a 1", "0-1 b 1", "0-2 c 1")
	ack := must[*queuev1.AcknowledgeResponse](t)(q.Acknowledge(ctx, &queuev1.AcknowledgeRequest{
		Namespace: "log", Topic: "orders", Group: "g", MessageIds: []string{"0-0", "0-7"},
	}))
	if ack.AcknowledgedCount != 1 || !slices.Equal(ack.FailedIds, []string{"0-7"}) {
		t.Errorf("acknowledged %v", ack)
	}
	groups := must[*queuev1.ListGroupsResponse](t)(q.ListGroups(ctx, &queuev1.ListGroupsRequest{Namespace: "log", Topic: "orders"}))
	if g := groups.Groups; len(g) != 1 || g[0].Group != "g" || g[0].Members != 1 || g[0].Lag != 2 || g[0].Committed[0].Offset != 1 {
		t.Errorf("groups %v", g)
	}
	leave()
	second, _ := member(t, q, ctx, &queuev1.SubscribeRequest{})
	got := gets(t, second, 2)
	for i, want := range []string{"0-1 b", "0-2 c"} {
		if got[i][:5] != want {
			t.Errorf("the next member got %q, want %s", got[i], want)
		}
	}
}

func TestAStreamOfAGroupEndsWithAReasonAndGoesOnByItsName(t *testing.T) {
	t.Parallel()
	g, q, ctx := startLogs(t)
	st, _ := member(t, q, ctx, &queuev1.SubscribeRequest{})
	ended := g.Draining()
	_, err := st.Recv()
	o := want(t, "the drain", err, codes.Unavailable, prism.ReasonDraining)
	if o.Resume.GetPosition() != "g" {
		t.Errorf("it resumes with %v", o.Resume)
	}
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

func TestALogIsReadFromAPositionAndInRanges(t *testing.T) {
	t.Parallel()
	_, q, ctx := startLogs(t)
	publishLines(t, q, "a", "b", "c")
	read := func(r *queuev1.ReadRequest) (payloads []string, position string) {
		t.Helper()
		r.Namespace, r.Topic = "log", "orders"
		ctx, cancel := context.WithCancel(ctx)
		defer cancel()
		resp := must[*queuev1.ReadResponse](t)(must[grpc.ServerStreamingClient[queuev1.ReadResponse]](t)(q.Read(ctx, r)).Recv())
		for _, m := range resp.Messages {
			payloads = append(payloads, string(m.Payload))
		}
		return payloads, resp.Position
	}
	got, position := read(&queuev1.ReadRequest{})
	equalStrings(t, "from the earliest", got, "a", "b", "c")
	got, _ = read(&queuev1.ReadRequest{Start: &queuev1.StartPosition{Start: &queuev1.StartPosition_Latest{Latest: true}}})
	equalStrings(t, "from the latest", got)
	publishLines(t, q, "d")
	got, _ = read(&queuev1.ReadRequest{Position: position})
	equalStrings(t, "from a position", got, "d")
	two := int64(2)
	st := must[grpc.ServerStreamingClient[queuev1.ReadResponse]](t)(q.Read(ctx, &queuev1.ReadRequest{
		Namespace: "log", Topic: "orders", Start: &queuev1.StartPosition{Start: &queuev1.StartPosition_Offset{Offset: 1}}, EndOffset: &two,
	}))
	resp := must[*queuev1.ReadResponse](t)(st.Recv())
	if len(resp.Messages) != 1 || string(resp.Messages[0].Payload) != "b" {
		t.Errorf("the range holds %v", resp.Messages)
	}
	if _, err := st.Recv(); err == nil || err.Error() != "EOF" {
		t.Errorf("its end: %v", err)
	}
	st = must[grpc.ServerStreamingClient[queuev1.ReadResponse]](t)(q.Read(ctx, &queuev1.ReadRequest{Namespace: "log", Topic: "orders", Position: "x"}))
	_, err := st.Recv()
	want(t, "a position that nobody gave", err, codes.InvalidArgument, prism.ReasonInvalidCursor, "position")
}

func TestBatchesOfMessagesHaveAResultEach(t *testing.T) {
	t.Parallel()
	_, q, ctx := startLogs(t)
	nine := int32(9)
	resp := must[*queuev1.PublishBatchResponse](t)(q.PublishBatch(ctx, &queuev1.PublishBatchRequest{Namespace: "log", Topic: "orders", Messages: []*queuev1.LogMessage{
		{Payload: []byte("a"), IdempotencyKey: "id"},
		{Partition: &nine},
		{Payload: []byte("b"), Key: "k", Attributes: map[string]string{"a": "b"}},
		{Payload: []byte("a"), IdempotencyKey: "id"},
		{Payload: []byte("c"), IdempotencyKey: "id"},
	}}))
	var got []string
	for _, r := range resp.Results {
		if e := r.GetError(); e != nil {
			got = append(got, e.Reason)
			continue
		}
		got = append(got, r.GetPublished().MessageId)
	}
	equalStrings(t, "results", got, "0-0", "INVALID_ARGUMENT", "0-1", "0-0", "KEY_REUSED")
	info := must[*queuev1.GetTopicInfoResponse](t)(q.GetTopicInfo(ctx, &queuev1.GetTopicInfoRequest{Namespace: "log", Topic: "orders"}))
	if info.MessageCount != 2 || len(info.Partitions) != 1 || info.Partitions[0].LatestOffset != 2 || info.Retention.AgeMs == 0 {
		t.Errorf("the topic holds %v", info)
	}
}

func TestSeekCommitAndRetentionOfALog(t *testing.T) {
	t.Parallel()
	_, q, ctx := startLogs(t)
	publishLines(t, q, "a", "b", "c")
	st, _ := member(t, q, ctx, &queuev1.SubscribeRequest{AutoAcknowledge: true})
	gets(t, st, 3)
	moved := must[*queuev1.SeekResponse](t)(q.Seek(ctx, &queuev1.SeekRequest{
		Namespace: "log", Topic: "orders", Group: "g", Position: &queuev1.StartPosition{Start: &queuev1.StartPosition_Earliest{Earliest: true}},
	}))
	if len(moved.Positions) != 1 || moved.Positions[0].Offset != 0 {
		t.Errorf("it moved to %v", moved.Positions)
	}
	equalStrings(t, "all again", gets(t, st, 3), "0-0 a 1", "0-1 b 1", "0-2 c 1")
	must[any](t)(q.Commit(ctx, &queuev1.CommitRequest{Namespace: "log", Topic: "orders", Group: "other", Offsets: []*queuev1.PartitionOffset{{Offset: 2}}}))
	must[any](t)(q.SetRetention(ctx, &queuev1.SetRetentionRequest{Namespace: "log", Topic: "orders", Retention: &queuev1.Retention{SizeBytes: 2}}))
	info := must[*queuev1.GetTopicInfoResponse](t)(q.GetTopicInfo(ctx, &queuev1.GetTopicInfoRequest{Namespace: "log", Topic: "orders"}))
	if info.Retention.SizeBytes != 2 || info.Partitions[0].EarliestOffset != 1 {
		t.Errorf("after SetRetention: %v", info)
	}
	topics := must[*queuev1.ListTopicsResponse](t)(q.ListTopics(ctx, &queuev1.ListTopicsRequest{Namespace: "log"}))
	equalStrings(t, "topics", topics.Topics, "orders")
}

func TestALogIsNoOtherModel(t *testing.T) {
	t.Parallel()
	g, q, ctx := startLogs(t)
	_, err := q.Publish(ctx, &queuev1.PublishRequest{Namespace: "mem", Topic: "orders", Message: &queuev1.LogMessage{}})
	want(t, "keys as logs", err, codes.Unimplemented, prism.ReasonCapabilityMissing)
	st := must[logStream](t)(q.Subscribe(ctx, &queuev1.SubscribeRequest{Namespace: "mem", Topic: "orders", Group: "g"}))
	_, err = st.Recv()
	want(t, "a stream of them", err, codes.Unimplemented, prism.ReasonCapabilityMissing)
	_ = g
	_, err = q.Publish(ctx, &queuev1.PublishRequest{Namespace: "log", Topic: "orders"})
	want(t, "no message", err, codes.InvalidArgument, prism.ReasonInvalidArgument, "message")
}

func TestTheFiguresOfLogsAreMetrics(t *testing.T) {
	t.Parallel()
	g, q, ctx := startLogs(t)
	publishLines(t, q, "a", "b", "c")
	st, _ := member(t, q, ctx, &queuev1.SubscribeRequest{MaxUnacknowledged: 2})
	gets(t, st, 2)
	must[any](t)(q.Acknowledge(ctx, &queuev1.AcknowledgeRequest{Namespace: "log", Topic: "orders", Group: "g", MessageIds: []string{"0-0"}}))
	gets(t, st, 1)
	page := metricsOf(t, g)
	for _, line := range []string{
		`prism_log_messages{namespace="log",topic="orders"} 3`, `prism_log_published_total{namespace="log",topic="orders"} 3`,
		`prism_log_group_members{group="g",namespace="log",topic="orders"} 1`, `prism_log_group_lag{group="g",namespace="log",topic="orders"} 2`,
		`prism_log_group_delivered_total{group="g",namespace="log",topic="orders"} 3`,
	} {
		if !strings.Contains(page, line+"\n") {
			t.Errorf("/metrics lacks %s", line)
		}
	}
}
