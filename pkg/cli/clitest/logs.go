package clitest

import (
	"context"
	"fmt"
	"maps"
	"slices"

	"google.golang.org/grpc"

	"github.com/prism-data-layer/prism/pkg/prism"
	"github.com/prism-data-layer/prism/pkg/wire"
	queuev1 "github.com/prism-data-layer/prism/proto/prism/queue/v1"
)

// Logs answers the API of logs from memory, as far as commands go: a group has
// one member, and what it is sent is not kept from another.
type Logs struct {
	queuev1.UnimplementedQueueServiceServer
	q *Queues
}

type fakeTopic struct {
	partitions [][]*queuev1.Message
	groups     map[string][]int64 // the next offset of each partition
	retention  *queuev1.Retention
}

func newTopic(partitions int) *fakeTopic {
	return &fakeTopic{partitions: make([][]*queuev1.Message, partitions), groups: map[string][]int64{}, retention: &queuev1.Retention{AgeMs: 7 * 24 * 3_600_000}}
}

func (t *fakeTopic) append(partition int, m *queuev1.Message) *queuev1.Message {
	m.Partition, m.Offset = int32(partition), int64(len(t.partitions[partition]))
	m.MessageId = fmt.Sprintf("%d-%d", m.Partition, m.Offset)
	t.partitions[partition] = append(t.partitions[partition], m)
	return m
}

// seedLogs makes a log that a group has read in part.
func (q *Queues) seedLogs() {
	t := newTopic(2)
	t.append(0, &queuev1.Message{Payload: []byte(`{"id":1}`), Key: "ann", TimeMs: q.now - 60_000, Attributes: map[string]string{"kind": "new"}})
	t.append(1, &queuev1.Message{Payload: []byte(`{"id":2}`), Key: "bob", TimeMs: q.now - 45_000})
	t.append(0, &queuev1.Message{Payload: []byte("\xff\x00"), Key: "ann", TimeMs: q.now - 30_000})
	t.groups["billing"] = []int64{1, 0}
	q.topics["orders"] = t
}

// with runs f on a topic.
func (l Logs) with(namespace, topic string, f func(*fakeTopic) error) error {
	l.q.mu.Lock()
	defer l.q.mu.Unlock()
	switch t := l.q.topics[topic]; {
	case namespace != queueNamespace:
		return prism.NotFound("namespace", namespace)
	case t != nil:
		return f(t)
	case l.q.queues[topic] != nil:
		return wrongKind(topic, "work")
	}
	return prism.NotFound("topic", topic)
}

// Append adds a message to a partition of a topic.
func (l Logs) Append(topic string, partition int, m *queuev1.Message) {
	_ = l.with(queueNamespace, topic, func(t *fakeTopic) error { t.append(partition, m); return nil })
}

// EndStreams ends the streams that are open, as a gateway that stops does.
func (l Logs) EndStreams() {
	l.q.mu.Lock()
	defer l.q.mu.Unlock()
	close(l.q.ending)
	l.q.ending = make(chan struct{})
}

// stay keeps a stream open; position is where it can be resumed.
func stay(ctx context.Context, ending chan struct{}, position string) error {
	select {
	case <-ctx.Done():
		return nil
	case <-ending:
		return wire.ToStatusResume(prism.New(prism.ReasonDraining, "about to stop"), position).Err()
	}
}

// Logs are the gateway's.
func (g *Gateway) Logs() Logs { return Logs{q: &g.Queues} }

// CreateTopic and the calls below answer as the API of logs would.
func (l Logs) CreateTopic(_ context.Context, r *queuev1.CreateTopicRequest) (*queuev1.CreateTopicResponse, error) {
	l.q.mu.Lock()
	defer l.q.mu.Unlock()
	n := int(r.Partitions)
	if n == 0 {
		n = 8
	}
	switch t := l.q.topics[r.Topic]; {
	case r.Namespace != queueNamespace:
		return nil, prism.NotFound("namespace", r.Namespace)
	case l.q.queues[r.Topic] != nil:
		return nil, wrongKind(r.Topic, "work")
	case t != nil && len(t.partitions) != n:
		return nil, prism.New(prism.ReasonAlreadyExists, "topic %q is there with other settings", r.Topic)
	case t != nil:
		return &queuev1.CreateTopicResponse{}, nil
	}
	l.q.topics[r.Topic] = newTopic(n)
	if r.Retention != nil {
		l.q.topics[r.Topic].retention = r.Retention
	}
	return &queuev1.CreateTopicResponse{Created: true}, nil
}

func (l Logs) ListTopics(_ context.Context, r *queuev1.ListTopicsRequest) (*queuev1.ListTopicsResponse, error) {
	l.q.mu.Lock()
	defer l.q.mu.Unlock()
	if r.Namespace != queueNamespace {
		return nil, prism.NotFound("namespace", r.Namespace)
	}
	return &queuev1.ListTopicsResponse{Topics: slices.Sorted(maps.Keys(l.q.topics))}, nil
}

func (l Logs) GetTopicInfo(_ context.Context, r *queuev1.GetTopicInfoRequest) (resp *queuev1.GetTopicInfoResponse, err error) {
	err = l.with(r.Namespace, r.Topic, func(t *fakeTopic) error {
		resp = &queuev1.GetTopicInfoResponse{Topic: r.Topic, Retention: t.retention}
		for i, p := range t.partitions {
			info := &queuev1.PartitionInfo{Partition: int32(i), LatestOffset: int64(len(p)), MessageCount: int64(len(p))}
			for _, m := range p {
				info.SizeBytes += int64(len(m.Payload))
			}
			resp.MessageCount += info.MessageCount
			resp.Partitions = append(resp.Partitions, info)
		}
		return nil
	})
	return resp, err
}

func (l Logs) Publish(_ context.Context, r *queuev1.PublishRequest) (resp *queuev1.PublishResponse, err error) {
	err = l.with(r.Namespace, r.Topic, func(t *fakeTopic) error {
		p := int(r.Message.GetPartition())
		if p >= len(t.partitions) {
			return prism.InvalidField("message.partition", "is not one of this topic")
		}
		m := t.append(p, &queuev1.Message{Payload: r.Message.Payload, Key: r.Message.Key, Attributes: r.Message.Attributes, TimeMs: l.q.now})
		resp = &queuev1.PublishResponse{MessageId: m.MessageId, Partition: m.Partition, Offset: m.Offset, TimeMs: m.TimeMs}
		return nil
	})
	return resp, err
}

func (l Logs) ListGroups(_ context.Context, r *queuev1.ListGroupsRequest) (resp *queuev1.ListGroupsResponse, err error) {
	err = l.with(r.Namespace, r.Topic, func(t *fakeTopic) error {
		resp = &queuev1.ListGroupsResponse{}
		for _, name := range slices.Sorted(maps.Keys(t.groups)) {
			g := &queuev1.Group{Group: name}
			for p, offset := range t.groups[name] {
				g.Committed = append(g.Committed, &queuev1.PartitionOffset{Partition: int32(p), Offset: offset})
				g.Lag += int64(len(t.partitions[p])) - offset
			}
			resp.Groups = append(resp.Groups, g)
		}
		return nil
	})
	return resp, err
}

// group is where a group stands; a new one is at the beginning.
func (t *fakeTopic) group(name string) []int64 {
	if t.groups[name] == nil {
		t.groups[name] = make([]int64, len(t.partitions))
	}
	return t.groups[name]
}

func (l Logs) Seek(_ context.Context, r *queuev1.SeekRequest) (*queuev1.SeekResponse, error) {
	return &queuev1.SeekResponse{Positions: r.Offsets}, l.with(r.Namespace, r.Topic, func(t *fakeTopic) error {
		for _, o := range r.Offsets {
			t.group(r.Group)[o.Partition] = o.Offset
		}
		return nil
	})
}

func (l Logs) Acknowledge(_ context.Context, r *queuev1.AcknowledgeRequest) (*queuev1.AcknowledgeResponse, error) {
	return &queuev1.AcknowledgeResponse{AcknowledgedCount: int64(len(r.MessageIds))}, l.with(r.Namespace, r.Topic, func(t *fakeTopic) error {
		for _, id := range r.MessageIds {
			var p, offset int64
			if _, err := fmt.Sscanf(id, "%d-%d", &p, &offset); err != nil {
				return err
			}
			t.group(r.Group)[p] = offset + 1
		}
		return nil
	})
}

// Subscribe sends what the group has not acknowledged, and then nothing.
func (l Logs) Subscribe(r *queuev1.SubscribeRequest, st grpc.ServerStreamingServer[queuev1.SubscribeResponse]) error {
	resp := &queuev1.SubscribeResponse{}
	var ending chan struct{}
	err := l.with(r.Namespace, r.Topic, func(t *fakeTopic) error {
		ending = l.q.ending
		at := t.group(r.Group)
		for p, all := range t.partitions {
			resp.Partitions = append(resp.Partitions, int32(p))
			for _, m := range all[at[p]:] {
				if len(resp.Messages) < int(r.MaxUnacknowledged) {
					m.Attempt++
					resp.Messages = append(resp.Messages, m)
				}
			}
		}
		return nil
	})
	if err == nil {
		err = st.Send(&queuev1.SubscribeResponse{Partitions: resp.Partitions})
	}
	if err == nil {
		err = st.Send(resp)
	}
	if err != nil {
		return failed(err)
	}
	return stay(st.Context(), ending, r.Group)
}

// Read sends what there is from the start on, and ends there if it has an end.
func (l Logs) Read(r *queuev1.ReadRequest, st grpc.ServerStreamingServer[queuev1.ReadResponse]) error {
	resp := &queuev1.ReadResponse{}
	var ending chan struct{}
	err := l.with(r.Namespace, r.Topic, func(t *fakeTopic) error {
		ending = l.q.ending
		all := t.partitions[r.Partition]
		from, end := int(r.Start.GetOffset()), len(all)
		if r.Position != "" {
			_, _ = fmt.Sscanf(r.Position, "after-%d", &from)
		}
		for since := r.Start.GetTimeMs(); from < end && all[from].TimeMs < since; {
			from++
		}
		if r.Start.GetLatest() {
			from = end
		}
		if r.EndOffset != nil {
			end = min(end, int(*r.EndOffset))
		}
		resp.Messages, resp.Position = all[min(from, end):end], fmt.Sprintf("after-%d", end)
		return nil
	})
	if err == nil && (len(resp.Messages) > 0 || r.EndOffset == nil) {
		err = st.Send(resp)
	}
	if err != nil {
		return failed(err)
	}
	if r.EndOffset != nil {
		return nil
	}
	return stay(st.Context(), ending, resp.Position)
}
