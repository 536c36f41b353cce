package gateway

import (
	"context"
	"errors"
	"io"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"

	"github.com/prism-data-layer/prism/pkg/data/queue"
	"github.com/prism-data-layer/prism/pkg/prism"
	"github.com/prism-data-layer/prism/pkg/route"
	"github.com/prism-data-layer/prism/pkg/wire"
	queuev1 "github.com/prism-data-layer/prism/proto/prism/queue/v1"
)

// RegisterQueue serves logs over the road.
func RegisterQueue(s grpc.ServiceRegistrar, r *Road) {
	queuev1.RegisterQueueServiceServer(s, newLog(r))
}

// logs serves QueueService.
type logs struct {
	queuev1.UnimplementedQueueServiceServer
	road *Road

	createTopic, listTopics, getTopicInfo, setRetention *method
	publish, publishBatch                               *method
	subscribe, read                                     *method
	acknowledge, commit, seek, listGroups               *method
}

func newLog(r *Road) *logs {
	m := r.methods(queuev1.QueueService_ServiceDesc.ServiceName)
	return &logs{
		road:        r,
		createTopic: m["CreateTopic"], listTopics: m["ListTopics"], getTopicInfo: m["GetTopicInfo"], setRetention: m["SetRetention"],
		publish: m["Publish"], publishBatch: m["PublishBatch"],
		subscribe: m["Subscribe"], read: m["Read"],
		acknowledge: m["Acknowledge"], commit: m["Commit"], seek: m["Seek"], listGroups: m["ListGroups"],
	}
}

// onLog is a unary call on a namespace of logs whose request is checked against
// the rules of its fields.
func onLog[Req interface {
	proto.Message
	GetNamespace() string
}, Resp any](
	ctx context.Context, l *logs, m *method, req Req,
	do func(ctx context.Context, s *queue.Store, c *call, req Req) (Resp, error),
) (Resp, error) {
	return unary(ctx, l.road, m, req, route.Target.Queue, func(ctx context.Context, s *queue.Store, c *call, req Req) (resp Resp, err error) {
		if err := wire.Validate(req); err != nil {
			return resp, err
		}
		return do(ctx, s, c, req)
	})
}

func (l *logs) CreateTopic(ctx context.Context, r *queuev1.CreateTopicRequest) (*queuev1.CreateTopicResponse, error) {
	return onLog(ctx, l, l.createTopic, r, func(ctx context.Context, s *queue.Store, _ *call, r *queuev1.CreateTopicRequest) (*queuev1.CreateTopicResponse, error) {
		o := queue.TopicOptions{Partitions: r.Partitions, Retention: queue.Retention{Age: queue.DefaultRetention}}
		switch {
		case r.Retention != nil:
			o.Retention = retentionOf(r.Retention)
		case s.Require("stream_retention") != nil:
			o.Retention = queue.Retention{}
		}
		created, err := s.CreateTopic(ctx, r.Topic, o)
		return &queuev1.CreateTopicResponse{Created: created}, err
	})
}

func retentionOf(r *queuev1.Retention) queue.Retention {
	return queue.Retention{Age: time.Duration(r.AgeMs) * time.Millisecond, Bytes: r.SizeBytes}
}

func (l *logs) ListTopics(ctx context.Context, r *queuev1.ListTopicsRequest) (*queuev1.ListTopicsResponse, error) {
	return onLog(ctx, l, l.listTopics, r, func(ctx context.Context, s *queue.Store, c *call, r *queuev1.ListTopicsRequest) (*queuev1.ListTopicsResponse, error) {
		names, next, err := s.Topics(ctx, c.principal(), r.Limit, r.Cursor)
		return &queuev1.ListTopicsResponse{Topics: names, Cursor: next}, err
	})
}

func (l *logs) GetTopicInfo(ctx context.Context, r *queuev1.GetTopicInfoRequest) (*queuev1.GetTopicInfoResponse, error) {
	return onLog(ctx, l, l.getTopicInfo, r, func(ctx context.Context, s *queue.Store, _ *call, r *queuev1.GetTopicInfoRequest) (*queuev1.GetTopicInfoResponse, error) {
		info, err := s.Info(ctx, r.Topic)
		if err != nil {
			return nil, err
		}
		o := info.Options.Retention
		resp := &queuev1.GetTopicInfoResponse{Topic: r.Topic, Retention: &queuev1.Retention{AgeMs: o.Age.Milliseconds(), SizeBytes: o.Bytes}}
		for _, p := range info.Partitions {
			resp.MessageCount += p.Latest - p.Earliest
			resp.Partitions = append(resp.Partitions, &queuev1.PartitionInfo{
				Partition: p.Partition, EarliestOffset: p.Earliest, LatestOffset: p.Latest, MessageCount: p.Latest - p.Earliest, SizeBytes: p.Bytes,
			})
		}
		return resp, nil
	})
}

func (l *logs) SetRetention(ctx context.Context, r *queuev1.SetRetentionRequest) (*queuev1.SetRetentionResponse, error) {
	return onLog(ctx, l, l.setRetention, r, func(ctx context.Context, s *queue.Store, _ *call, r *queuev1.SetRetentionRequest) (*queuev1.SetRetentionResponse, error) {
		return &queuev1.SetRetentionResponse{}, s.SetRetention(ctx, r.Topic, retentionOf(r.Retention))
	})
}

func (l *logs) Publish(ctx context.Context, r *queuev1.PublishRequest) (*queuev1.PublishResponse, error) {
	return unary(ctx, l.road, l.publish, r, route.Target.Queue, func(ctx context.Context, s *queue.Store, c *call, r *queuev1.PublishRequest) (*queuev1.PublishResponse, error) {
		if r.Message == nil {
			return nil, prism.InvalidField("message", "must be set")
		}
		retry, err := retryID(ctx, r.Message.IdempotencyKey)
		if err != nil {
			return nil, err
		}
		messages, results := make([]queue.Message, 1), make([]queue.Result, 1)
		if messages[0], err = logMessage(r.Message, c.principal(), r.Topic, retry); err != nil {
			return nil, inside("message", err)
		}
		if err := s.Publish(ctx, r.Topic, messages, results); err != nil {
			return nil, err
		}
		if err := results[0].Err; err != nil {
			return nil, inside("message", err)
		}
		return published(&results[0]), nil
	})
}

func (l *logs) PublishBatch(ctx context.Context, r *queuev1.PublishBatchRequest) (*queuev1.PublishBatchResponse, error) {
	return unary(ctx, l.road, l.publishBatch, r, route.Target.Queue, func(ctx context.Context, s *queue.Store, c *call, r *queuev1.PublishBatchRequest) (*queuev1.PublishBatchResponse, error) {
		n := len(r.Messages)
		if n > prism.MaxBatchItems {
			return nil, prism.InvalidField("messages", "must have at most 1000 items")
		}
		if err := c.target.Take(c.start, n-1); err != nil { // the call itself was counted at the door
			return nil, err
		}
		var messages []queue.Message
		var at []int
		resp := &queuev1.PublishBatchResponse{Results: make([]*queuev1.PublishResult, n)}
		for i, item := range r.Messages {
			m, err := logMessage(item, c.principal(), r.Topic, nil)
			if err != nil {
				resp.Results[i] = failedPublish(err)
				continue
			}
			messages, at = append(messages, m), append(at, i)
		}
		results := make([]queue.Result, len(messages))
		if err := s.Publish(ctx, r.Topic, messages, results); err != nil {
			return nil, err
		}
		for j, i := range at {
			if err := results[j].Err; err != nil {
				resp.Results[i] = failedPublish(err)
				continue
			}
			resp.Results[i] = &queuev1.PublishResult{Result: &queuev1.PublishResult_Published{Published: published(&results[j])}}
		}
		return resp, nil
	})
}

func failedPublish(err error) *queuev1.PublishResult {
	return &queuev1.PublishResult{Result: &queuev1.PublishResult_Error{Error: itemError(err)}}
}

func logMessage(m *queuev1.LogMessage, principal, topic string, retry []byte) (queue.Message, error) {
	out := queue.Message{Key: m.GetKey(), Partition: queue.AnyPartition, Payload: m.GetPayload(), Attributes: m.GetAttributes()}
	if m != nil && m.Partition != nil {
		if out.Partition = *m.Partition; out.Partition < 0 {
			return out, prism.InvalidField("partition", "must not be negative")
		}
	}
	return out, out.Once(principal, topic, m.GetIdempotencyKey(), retry)
}

func published(r *queue.Result) *queuev1.PublishResponse {
	return &queuev1.PublishResponse{MessageId: queue.MessageID(r.Partition, r.Offset), Partition: r.Partition, Offset: r.Offset, TimeMs: r.Time.UnixMilli()}
}

func (l *logs) Acknowledge(ctx context.Context, r *queuev1.AcknowledgeRequest) (*queuev1.AcknowledgeResponse, error) {
	return onLog(ctx, l, l.acknowledge, r, func(ctx context.Context, s *queue.Store, _ *call, r *queuev1.AcknowledgeRequest) (*queuev1.AcknowledgeResponse, error) {
		n, failed, err := s.Acknowledge(ctx, r.Topic, r.Group, r.MessageIds)
		return &queuev1.AcknowledgeResponse{AcknowledgedCount: n, FailedIds: failed}, err
	})
}

func (l *logs) Commit(ctx context.Context, r *queuev1.CommitRequest) (*queuev1.CommitResponse, error) {
	return onLog(ctx, l, l.commit, r, func(ctx context.Context, s *queue.Store, _ *call, r *queuev1.CommitRequest) (*queuev1.CommitResponse, error) {
		err := s.Commit(ctx, r.Topic, r.Group, offsetsOf(r.Offsets))
		return &queuev1.CommitResponse{Committed: r.Offsets}, err
	})
}

func (l *logs) Seek(ctx context.Context, r *queuev1.SeekRequest) (*queuev1.SeekResponse, error) {
	return onLog(ctx, l, l.seek, r, func(ctx context.Context, s *queue.Store, _ *call, r *queuev1.SeekRequest) (*queuev1.SeekResponse, error) {
		var start *queue.Start
		if r.Position != nil {
			at := startOf(r.Position)
			start = &at
		}
		moved, err := s.Seek(ctx, r.Topic, r.Group, start, offsetsOf(r.Offsets))
		return &queuev1.SeekResponse{Positions: offsetsTo(moved)}, err
	})
}

func (l *logs) ListGroups(ctx context.Context, r *queuev1.ListGroupsRequest) (*queuev1.ListGroupsResponse, error) {
	return onLog(ctx, l, l.listGroups, r, func(ctx context.Context, s *queue.Store, _ *call, r *queuev1.ListGroupsRequest) (*queuev1.ListGroupsResponse, error) {
		groups, err := s.Groups(ctx, r.Topic)
		resp := &queuev1.ListGroupsResponse{}
		for _, g := range groups {
			resp.Groups = append(resp.Groups, &queuev1.Group{Group: g.Name, Members: int32(g.Members), Committed: offsetsTo(g.Committed), Lag: g.Lag})
		}
		return resp, err
	})
}

func offsetsOf(list []*queuev1.PartitionOffset) []queue.PartitionOffset {
	out := make([]queue.PartitionOffset, len(list))
	for i, o := range list {
		out[i] = queue.PartitionOffset{Partition: o.GetPartition(), Offset: o.GetOffset()}
	}
	return out
}

func offsetsTo(list []queue.PartitionOffset) []*queuev1.PartitionOffset {
	out := make([]*queuev1.PartitionOffset, len(list))
	for i, o := range list {
		out[i] = &queuev1.PartitionOffset{Partition: o.Partition, Offset: o.Offset}
	}
	return out
}

func startOf(p *queuev1.StartPosition) (s queue.Start) {
	switch at := p.GetStart().(type) {
	case *queuev1.StartPosition_Latest:
		s.Latest = at.Latest
	case *queuev1.StartPosition_Offset:
		s.Offset = &at.Offset
	case *queuev1.StartPosition_TimeMs:
		s.Time = time.UnixMilli(at.TimeMs)
	}
	return s
}

func (l *logs) Subscribe(r *queuev1.SubscribeRequest, st grpc.ServerStreamingServer[queuev1.SubscribeResponse]) error {
	c, err := l.road.enter(st.Context(), l.subscribe, r.Namespace, r)
	if err != nil {
		return err
	}
	resume := "" // only a group that was joined can be joined again
	err = l.member(&c, r, following[queuev1.SubscribeRequest](&c, st), &resume)
	return c.leaveStream(err, resume)
}

// member reads for a member of a group until the stream ends.
func (l *logs) member(c *call, r *queuev1.SubscribeRequest, st grpc.ServerStreamingServer[queuev1.SubscribeResponse], resume *string) error {
	s, err := c.target.Queue()
	if err != nil {
		return err
	}
	if err := wire.Validate(r); err != nil {
		return err
	}
	ctx, cancel := c.live(st.Context())
	defer cancel()
	m, err := s.Subscribe(ctx, r.Topic, queue.SubscribeOptions{
		Group: r.Group, Start: startOf(r.Start), MaxUnacknowledged: r.MaxUnacknowledged, AutoAcknowledge: r.AutoAcknowledge,
	})
	if err != nil {
		return err
	}
	defer m.Leave()
	*resume = r.Group
	out := newOutbox(c.road.Clock, st.Send)
	defer out.close()
	for {
		b, err := m.Next(ctx)
		if err != nil {
			return why(ctx, err)
		}
		resp := &queuev1.SubscribeResponse{Partitions: b.Partitions, Messages: make([]*queuev1.Message, len(b.Messages))}
		for i := range b.Messages {
			resp.Messages[i] = messageTo(&b.Messages[i].Record)
			resp.Messages[i].Attempt = b.Messages[i].Attempt
		}
		if err := out.send(ctx, resp); err != nil {
			return why(ctx, err)
		}
	}
}

func messageTo(r *queue.Record) *queuev1.Message {
	return &queuev1.Message{
		MessageId: queue.MessageID(r.Partition, r.Offset), Partition: r.Partition, Offset: r.Offset,
		Payload: r.Payload, Attributes: r.Attributes, Key: r.Key, TimeMs: r.Time.UnixMilli(),
	}
}

func (l *logs) Read(r *queuev1.ReadRequest, st grpc.ServerStreamingServer[queuev1.ReadResponse]) error {
	c, err := l.road.enter(st.Context(), l.read, r.Namespace, r)
	if err != nil {
		return err
	}
	var position string // to resume from: one that this gateway gave
	err = l.follow(&c, r, following[queuev1.ReadRequest](&c, st), &position)
	return c.leaveStream(err, position)
}

// follow sends the messages of a partition until the stream ends; position is
// after what was sent.
func (l *logs) follow(c *call, r *queuev1.ReadRequest, st grpc.ServerStreamingServer[queuev1.ReadResponse], position *string) error {
	s, err := c.target.Queue()
	if err != nil {
		return err
	}
	if err := wire.Validate(r); err != nil {
		return err
	}
	ctx, cancel := c.live(st.Context())
	defer cancel()
	reader, err := s.Read(ctx, r.Topic, queue.ReadOptions{Partition: r.Partition, Start: startOf(r.Start), Position: r.Position, End: r.EndOffset})
	if err != nil {
		return err
	}
	*position = reader.Position()
	out := newOutbox(c.road.Clock, st.Send)
	defer out.close()
	for {
		records, err := reader.Next(ctx)
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return why(ctx, err)
		}
		resp := &queuev1.ReadResponse{Position: reader.Position(), Messages: make([]*queuev1.Message, len(records))}
		for i := range records {
			resp.Messages[i] = messageTo(&records[i])
		}
		if err := out.send(ctx, resp); err != nil {
			return why(ctx, err)
		}
		*position = resp.Position
	}
}
