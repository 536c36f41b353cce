package client

import (
	"context"
	"errors"
	"io"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"

	"github.com/prism-data-layer/prism/pkg/prism"
	"github.com/prism-data-layer/prism/pkg/wire"
	queuev1 "github.com/prism-data-layer/prism/proto/prism/queue/v1"
)

// Log is one namespace of logs: topics of partitions.
type Log struct {
	c  *Client
	ns string
}

// Log returns the namespace with that name; nothing is sent.
func (c *Client) Log(namespace string) *Log { return &Log{c, namespace} }

// A LogMessage is what is published.
type LogMessage struct {
	Key        string // messages with one key keep their order; empty: none
	Partition  *int32 // instead of a key
	Payload    []byte
	Attributes map[string]string
	// IdempotencyKey makes it be published once for this key, for 24 hours,
	// even from another process.
	IdempotencyKey string
}

// A LogPlace is where a message went.
type LogPlace struct {
	Partition int32
	Offset    int64
	Time      time.Time
}

// A LogRecord is a message in its place.
type LogRecord struct {
	ID         string // for Acknowledge
	Partition  int32
	Offset     int64
	Key        string
	Payload    []byte
	Attributes map[string]string
	Time       time.Time
	Attempt    int // of a group: how often it was sent
}

func (m *LogMessage) proto() *queuev1.LogMessage {
	return &queuev1.LogMessage{Key: m.Key, Partition: m.Partition, Payload: m.Payload, Attributes: m.Attributes, IdempotencyKey: m.IdempotencyKey}
}

func placeOf(r *queuev1.PublishResponse) LogPlace {
	return LogPlace{Partition: r.GetPartition(), Offset: r.GetOffset(), Time: time.UnixMilli(r.GetTimeMs())}
}

// Publish appends a message. A topic that is not there is made with the
// gateway's defaults.
func (l *Log) Publish(ctx context.Context, topic string, m LogMessage) (LogPlace, error) {
	if m.IdempotencyKey == "" { // or sending it again could append it twice
		ctx = metadata.AppendToOutgoingContext(ctx, wire.RetryID, hexOf(l.c.ids.next()))
	}
	var place LogPlace
	err := l.c.call(ctx, true, func(ctx context.Context) error {
		r, err := l.service().Publish(ctx, &queuev1.PublishRequest{Namespace: l.ns, Topic: topic, Message: m.proto()})
		place = placeOf(r)
		return err
	})
	return place, err
}

func (l *Log) service() queuev1.QueueServiceClient { return queuev1.NewQueueServiceClient(l.c.Conn()) }

// PublishBatch appends messages, each with a result of its own: errs[i] is nil
// where places[i] is set. The error is for all of them. Messages without an
// idempotency key get one, so that sending the batch again appends none twice.
func (l *Log) PublishBatch(ctx context.Context, topic string, messages []LogMessage) (places []LogPlace, errs []error, err error) {
	r := &queuev1.PublishBatchRequest{Namespace: l.ns, Topic: topic, Messages: make([]*queuev1.LogMessage, len(messages))}
	for i := range messages {
		r.Messages[i] = messages[i].proto()
		if r.Messages[i].IdempotencyKey == "" {
			r.Messages[i].IdempotencyKey = "prism-go-" + hexOf(l.c.ids.next())
		}
	}
	err = l.c.call(ctx, true, func(ctx context.Context) error {
		a, err := l.service().PublishBatch(ctx, r)
		if err != nil {
			return err
		}
		places, errs = make([]LogPlace, len(a.Results)), make([]error, len(a.Results))
		for i, item := range a.Results {
			if e := item.GetError(); e != nil {
				errs[i] = wire.FromItem(e)
				continue
			}
			places[i] = placeOf(item.GetPublished())
		}
		return nil
	})
	return places, errs, err
}

// Acknowledge marks messages of a group as worked off. failed are the ids that
// were not in flight: their messages come again, or are with another member.
func (l *Log) Acknowledge(ctx context.Context, topic, group string, ids ...string) (failed []string, err error) {
	err = l.c.call(ctx, true, func(ctx context.Context) error {
		r, err := l.service().Acknowledge(ctx, &queuev1.AcknowledgeRequest{Namespace: l.ns, Topic: topic, Group: group, MessageIds: ids})
		failed = r.GetFailedIds()
		return err
	})
	return failed, err
}

// LogStart says where reading begins; the zero value is the earliest message.
type LogStart struct {
	Latest bool
	Offset *int64
	Time   time.Time
}

func (s LogStart) proto() *queuev1.StartPosition {
	switch {
	case s.Latest:
		return &queuev1.StartPosition{Start: &queuev1.StartPosition_Latest{Latest: true}}
	case s.Offset != nil:
		return &queuev1.StartPosition{Start: &queuev1.StartPosition_Offset{Offset: *s.Offset}}
	case !s.Time.IsZero():
		return &queuev1.StartPosition{Start: &queuev1.StartPosition_TimeMs{TimeMs: s.Time.UnixMilli()}}
	}
	return &queuev1.StartPosition{Start: &queuev1.StartPosition_Earliest{Earliest: true}}
}

// LogOptions say how a member of a group reads.
type LogOptions struct {
	Start             LogStart // of partitions for which the group has committed nothing
	MaxUnacknowledged int32    // 0: the gateway's default
	AutoAcknowledge   bool     // at most once: commit what is sent, as it is sent
	// Resumed is told each time the stream was lost and goes on, and why: what
	// was not acknowledged comes again.
	Resumed func(why *prism.Error)
}

// A LogMember reads its share of a topic's partitions, over restarts and lost
// connections.
type LogMember struct {
	*follower[queuev1.SubscribeResponse] // with Close
	log                                  *Log
	topic, group                         string
	partitions                           []int32
}

// Subscribe joins a group and returns when the gateway has dealt the member its
// partitions, which may be none.
func (l *Log) Subscribe(ctx context.Context, topic, group string, o LogOptions) (*LogMember, error) {
	resumed := func(_ string, why *prism.Error) {
		if o.Resumed != nil {
			o.Resumed(why)
		}
	}
	m := &LogMember{log: l, topic: topic, group: group}
	m.follower = follow(ctx, l.c, group, resumed, func(ctx context.Context, conn *grpc.ClientConn, _ string) (grpc.ServerStreamingClient[queuev1.SubscribeResponse], error) {
		return queuev1.NewQueueServiceClient(conn).Subscribe(ctx, &queuev1.SubscribeRequest{
			Namespace: l.ns, Topic: topic, Group: group, Start: o.Start.proto(),
			MaxUnacknowledged: o.MaxUnacknowledged, AutoAcknowledge: o.AutoAcknowledge,
		})
	})
	if _, err := m.Next(); err != nil {
		m.Close()
		return nil, err
	}
	return m, nil
}

// Next waits for messages, or for a change of Partitions, which comes with
// none. It returns an error only when going on is impossible or the context has
// ended.
func (m *LogMember) Next() ([]LogRecord, error) {
	resp, err := m.next()
	if err != nil {
		return nil, err
	}
	m.partitions = resp.Partitions
	return recordsOf(resp.Messages), nil
}

// Partitions are what the member reads, as of the last Next.
func (m *LogMember) Partitions() []int32 { return m.partitions }

// Acknowledge marks messages as worked off; see [Log.Acknowledge].
func (m *LogMember) Acknowledge(ctx context.Context, records ...LogRecord) (failed []string, err error) {
	ids := make([]string, len(records))
	for i := range records {
		ids[i] = records[i].ID
	}
	return m.log.Acknowledge(ctx, m.topic, m.group, ids...)
}

func recordsOf(list []*queuev1.Message) []LogRecord {
	records := make([]LogRecord, len(list))
	for i, m := range list {
		records[i] = LogRecord{
			ID: m.MessageId, Partition: m.Partition, Offset: m.Offset, Key: m.Key, Payload: m.Payload,
			Attributes: m.Attributes, Time: time.UnixMilli(m.TimeMs), Attempt: int(m.Attempt),
		}
	}
	return records
}

// LogReadOptions say which part of a partition is read.
type LogReadOptions struct {
	Partition int32
	Start     LogStart
	End       *int64 // exclusive; nil: follow what comes
	Position  string // of an earlier reader; wins over Partition and Start
	// Resumed is told each time the stream was lost and goes on, and why.
	Resumed func(position string, why *prism.Error)
}

// A LogReader follows one partition without a group, without a gap and without
// a repetition.
type LogReader struct {
	*follower[queuev1.ReadResponse]             // with Close
	first                           []LogRecord // that came with the confirmation of the start
}

// Read starts to follow a partition.
func (l *Log) Read(ctx context.Context, topic string, o LogReadOptions) (*LogReader, error) {
	r := &LogReader{}
	r.follower = follow(ctx, l.c, o.Position, o.Resumed, func(ctx context.Context, conn *grpc.ClientConn, position string) (grpc.ServerStreamingClient[queuev1.ReadResponse], error) {
		return queuev1.NewQueueServiceClient(conn).Read(ctx, &queuev1.ReadRequest{
			Namespace: l.ns, Topic: topic, Partition: o.Partition, Start: o.Start.proto(), EndOffset: o.End, Position: position,
		})
	})
	r.finite = o.End != nil
	first, err := r.Next()
	if err != nil && !errors.Is(err, io.EOF) {
		r.Close()
		return nil, err
	}
	r.first = first
	return r, nil
}

// Position is where the reader stands, after what Next has returned.
func (r *LogReader) Position() string { return r.position }

// Next waits for messages; io.EOF is the end that was asked for.
func (r *LogReader) Next() ([]LogRecord, error) {
	if first := r.first; len(first) > 0 {
		r.first = nil
		return first, nil
	}
	resp, err := r.next()
	if err != nil {
		return nil, err
	}
	r.position = resp.Position
	return recordsOf(resp.Messages), nil
}
