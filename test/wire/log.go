package wire

import (
	"context"
	"errors"
	"io"
	"sync/atomic"
	"time"

	"google.golang.org/grpc"

	"github.com/prism-data-layer/prism/pkg/driver"
	"github.com/prism-data-layer/prism/pkg/prism"
	pwire "github.com/prism-data-layer/prism/pkg/wire"
	queuev1 "github.com/prism-data-layer/prism/proto/prism/queue/v1"
)

// A LogStub is the stream capabilities over the generated client. Publishing
// makes a topic there, so the stub asks for it first. Reading is a stream there:
// of what is there to its end, and otherwise of what comes. Offsets by time are
// where a group is moved to. Nothing there truncates a log.
type LogStub struct {
	c   queuev1.QueueServiceClient
	now func() time.Time
	*seen[driver.StreamResult]
	bounds
	groups atomic.Int64 // made to ask for offsets
}

// NewLogStub calls over conn; now is the gateway's time, bound may be nil.
func NewLogStub(conn grpc.ClientConnInterface, now func() time.Time, bound Bound) *LogStub {
	return &LogStub{
		c: queuev1.NewQueueServiceClient(conn), now: now, bounds: bounds{set: bound},
		seen: newSeen(func(a, b driver.StreamResult) bool { return a.Partition == b.Partition && a.Offset == b.Offset }),
	}
}

func retentionOf(r driver.Retention) *queuev1.Retention {
	return &queuev1.Retention{AgeMs: millis(r.Age), SizeBytes: r.Bytes}
}

// CreateTopic calls CreateTopic.
func (s *LogStub) CreateTopic(ctx context.Context, ns prism.Namespace, topic string, o driver.TopicOptions) (bool, error) {
	a, err := s.c.CreateTopic(ctx, &queuev1.CreateTopicRequest{Namespace: string(ns), Topic: topic, Partitions: o.Partitions, Retention: retentionOf(o.Retention)})
	return a.GetCreated(), failed(err)
}

// Append calls Publish for one message and PublishBatch for more.
func (s *LogStub) Append(ctx context.Context, ns prism.Namespace, topic string, messages []driver.StreamMessage, results []driver.StreamResult) error {
	return s.publish(ctx, ns, topic, nil, messages, results)
}

// AppendTo names the partition, with which a message has no key on the wire.
func (s *LogStub) AppendTo(ctx context.Context, ns prism.Namespace, topic string, partition int32, messages []driver.StreamMessage, results []driver.StreamResult) error {
	return s.publish(ctx, ns, topic, &partition, messages, results)
}

func (s *LogStub) publish(ctx context.Context, ns prism.Namespace, topic string, partition *int32, messages []driver.StreamMessage, results []driver.StreamResult) error {
	if _, err := s.info(ctx, ns, topic); err != nil {
		return err
	}
	list := make([]*queuev1.LogMessage, len(messages))
	for i, m := range messages {
		if err := s.reach(ctx, ns, m.Receipt); err != nil {
			return err
		}
		list[i] = &queuev1.LogMessage{Payload: m.Payload, Attributes: m.Attributes, Key: m.Key, Partition: partition, IdempotencyKey: keyOf(m.Receipt)}
		if partition != nil {
			list[i].Key = ""
		}
	}
	if len(list) == 1 {
		a, err := s.c.Publish(ctx, &queuev1.PublishRequest{Namespace: string(ns), Topic: topic, Message: list[0]})
		if e := pwire.FromStatus(err); e != nil && (endsAll(e) || partition != nil) {
			return e
		}
		results[0] = s.appended(ns, messages[0].Receipt, a, failed(err))
		return nil
	}
	a, err := s.c.PublishBatch(ctx, &queuev1.PublishBatchRequest{Namespace: string(ns), Topic: topic, Messages: list})
	if err != nil {
		return failed(err)
	}
	for i, r := range a.Results {
		var err error
		if r.GetError() != nil {
			err = pwire.FromItem(r.GetError())
		}
		if err != nil && partition != nil { // it is the same for all
			return err
		}
		results[i] = s.appended(ns, messages[i].Receipt, r.GetPublished(), err)
	}
	return nil
}

func (s *LogStub) appended(ns prism.Namespace, r driver.Receipt, a *queuev1.PublishResponse, err error) driver.StreamResult {
	if err != nil {
		return driver.StreamResult{Err: err}
	}
	res := driver.StreamResult{Partition: a.Partition, Offset: a.Offset, Time: time.UnixMilli(a.TimeMs)}
	res.Replayed = s.again(ns, r, res)
	return res
}

// Read reads what is there, up to its bounds, and where that is nothing waits
// for what comes.
func (s *LogStub) Read(ctx context.Context, ns prism.Namespace, topic string, q driver.StreamRead) ([]driver.StreamRecord, error) {
	info, err := s.info(ctx, ns, topic)
	if err != nil {
		return nil, err
	}
	req := &queuev1.ReadRequest{
		Namespace: string(ns), Topic: topic, Partition: q.Partition,
		Start: &queuev1.StartPosition{Start: &queuev1.StartPosition_Offset{Offset: q.Offset}},
	}
	if p := int(q.Partition); p >= 0 && p < len(info.Partitions) && info.Partitions[p].LatestOffset > q.Offset {
		end := min(info.Partitions[p].LatestOffset, q.Offset+int64(q.Max))
		req.EndOffset = &end
	}
	st, first, err := follow(func(ctx context.Context) (receiver[*queuev1.ReadResponse], error) { return s.c.Read(ctx, req) })
	if err != nil {
		return nil, err
	}
	defer func() { _ = st.Close() }()
	records := recordsOf(first)
	if req.EndOffset == nil && len(records) == 0 && q.Wait > 0 {
		resp, err := s.await(ctx, st, s.now().Add(q.Wait))
		if err != nil {
			return nil, err
		}
		records = recordsOf(resp)
	}
	for req.EndOffset != nil {
		resp, err := st.take(ctx)
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, err
		}
		records = append(records, recordsOf(resp)...)
	}
	return bounded(records, q), nil
}

// await takes the next message of a stream, or none when the gateway's time has
// reached end.
func (s *LogStub) await(ctx context.Context, st *stream[*queuev1.ReadResponse], end time.Time) (*queuev1.ReadResponse, error) {
	for {
		soon, cancel := context.WithTimeout(ctx, 5*time.Millisecond)
		resp, err := st.take(soon)
		cancel()
		switch {
		case err == nil && len(resp.Messages) == 0:
		case ctx.Err() != nil:
			return nil, prism.From(ctx.Err())
		case !errors.Is(err, prism.ReasonDeadlineExceeded):
			return resp, err
		case s.now().After(end):
			return nil, nil
		}
	}
}

func recordsOf(r *queuev1.ReadResponse) (list []driver.StreamRecord) {
	for _, m := range r.GetMessages() {
		list = append(list, driver.StreamRecord{
			Partition: m.Partition, Offset: m.Offset, Key: m.Key, Payload: m.Payload, Attributes: m.Attributes, Time: time.UnixMilli(m.TimeMs),
		})
	}
	return list
}

// bounded cuts records to what was asked for.
func bounded(records []driver.StreamRecord, q driver.StreamRead) []driver.StreamRecord {
	size := 0
	for i := range records {
		size += len(records[i].Payload)
		if i == q.Max || i > 0 && q.Bytes > 0 && size > q.Bytes {
			return records[:i]
		}
	}
	return records
}

func (s *LogStub) info(ctx context.Context, ns prism.Namespace, topic string) (*queuev1.GetTopicInfoResponse, error) {
	a, err := s.c.GetTopicInfo(ctx, &queuev1.GetTopicInfoRequest{Namespace: string(ns), Topic: topic})
	return a, failed(err)
}

// TopicInfo calls GetTopicInfo.
func (s *LogStub) TopicInfo(ctx context.Context, ns prism.Namespace, topic string) (driver.TopicInfo, error) {
	a, err := s.info(ctx, ns, topic)
	if err != nil {
		return driver.TopicInfo{}, err
	}
	out := driver.TopicInfo{Options: driver.TopicOptions{
		Partitions: int32(len(a.Partitions)),
		Retention:  driver.Retention{Age: time.Duration(a.Retention.GetAgeMs()) * time.Millisecond, Bytes: a.Retention.GetSizeBytes()},
	}}
	for _, p := range a.Partitions {
		out.Partitions = append(out.Partitions, driver.PartitionInfo{Partition: p.Partition, Earliest: p.EarliestOffset, Latest: p.LatestOffset, Bytes: p.SizeBytes})
	}
	return out, nil
}

// Topics calls ListTopics, page by page.
func (s *LogStub) Topics(ctx context.Context, ns prism.Namespace) (names []string, err error) {
	for cursor, more := "", true; more; more = cursor != "" {
		a, err := s.c.ListTopics(ctx, &queuev1.ListTopicsRequest{Namespace: string(ns), Limit: 2, Cursor: cursor})
		if err != nil {
			return nil, failed(err)
		}
		names, cursor = append(names, a.Topics...), a.Cursor
	}
	return names, nil
}

// OffsetAt moves a group of its own to the time, and is told where that is.
func (s *LogStub) OffsetAt(ctx context.Context, ns prism.Namespace, topic string, partition int32, t time.Time) (int64, error) {
	group := "at-" + string('a'+rune(s.groups.Add(1)%26))
	a, err := s.c.Seek(ctx, &queuev1.SeekRequest{
		Namespace: string(ns), Topic: topic, Group: group,
		Position: &queuev1.StartPosition{Start: &queuev1.StartPosition_TimeMs{TimeMs: t.UnixMilli()}},
	})
	if err != nil {
		return 0, failed(err)
	}
	for _, p := range a.Positions {
		if p.Partition == partition {
			return p.Offset, nil
		}
	}
	return 0, prism.InvalidField("partition", "is not one of this topic")
}

// SetRetention calls SetRetention.
func (s *LogStub) SetRetention(ctx context.Context, ns prism.Namespace, topic string, r driver.Retention) error {
	_, err := s.c.SetRetention(ctx, &queuev1.SetRetentionRequest{Namespace: string(ns), Topic: topic, Retention: retentionOf(r)})
	return failed(err)
}

// Truncate is not on the wire.
func (s *LogStub) Truncate(context.Context, prism.Namespace, string, int32, int64) error {
	return prism.New(prism.ReasonUnimplemented, "nothing on the wire truncates a log")
}

// Committed calls ListGroups.
func (s *LogStub) Committed(ctx context.Context, ns prism.Namespace, topic, group string) ([]driver.PartitionOffset, error) {
	a, err := s.c.ListGroups(ctx, &queuev1.ListGroupsRequest{Namespace: string(ns), Topic: topic})
	for _, g := range a.GetGroups() {
		if g.Group == group {
			return offsetsOf(g.Committed), nil
		}
	}
	return nil, failed(err)
}

func offsetsOf(list []*queuev1.PartitionOffset) (out []driver.PartitionOffset) {
	for _, p := range list {
		out = append(out, driver.PartitionOffset{Partition: p.Partition, Offset: p.Offset})
	}
	return out
}

// Commit calls Commit.
func (s *LogStub) Commit(ctx context.Context, ns prism.Namespace, topic, group string, offsets []driver.PartitionOffset) error {
	req := &queuev1.CommitRequest{Namespace: string(ns), Topic: topic, Group: group}
	for _, o := range offsets {
		req.Offsets = append(req.Offsets, &queuev1.PartitionOffset{Partition: o.Partition, Offset: o.Offset})
	}
	_, err := s.c.Commit(ctx, req)
	return failed(err)
}

// Groups calls ListGroups.
func (s *LogStub) Groups(ctx context.Context, ns prism.Namespace, topic string) (names []string, err error) {
	a, err := s.c.ListGroups(ctx, &queuev1.ListGroupsRequest{Namespace: string(ns), Topic: topic})
	for _, g := range a.GetGroups() {
		names = append(names, g.Group)
	}
	return names, failed(err)
}
