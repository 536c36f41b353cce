package driver

import (
	"context"
	"strconv"
	"time"

	"github.com/prism-data-layer/prism/pkg/prism"
)

// What holds for every stream capability (logs: topics of partitions, messages
// that stay where they are, readers that keep offsets):
//
//   - Topics are named [a-z][a-z0-9-]{0,62}; namespaces are any bytes.
//   - Offsets of a partition begin at 0 and grow by one with each message; none
//     is ever used again, nor missing below the latest, but for the end that
//     retention takes away.
//   - A message that was acked is read at its offset by every later read, until
//     its retention is over, restarts included where acked data outlive them.
//   - A topic that is not there: NOT_FOUND. A partition that is not:
//     INVALID_ARGUMENT on field partition.

// Stream is capability stream_basic. Without stream_partitioning a topic has
// one partition, number 0.
type Stream interface {
	// CreateTopic makes a topic; one that is there with the same options is no
	// error (created false), with others ALREADY_EXISTS.
	CreateTopic(ctx context.Context, ns prism.Namespace, topic string, o TopicOptions) (created bool, err error)
	// Append adds messages, each with a result of its own; acked in one durable
	// unit. A message with a key goes to the partition of its key's hash, the
	// same one for ever; one without goes wherever the store likes. Messages of
	// one call that go to one partition keep their order.
	Append(ctx context.Context, ns prism.Namespace, topic string, messages []StreamMessage, results []StreamResult) error
	// Read returns messages from offset on, in order. At the end it waits for
	// q.Wait and then returns none. An offset below the earliest is
	// OUT_OF_RANGE, reason COMPACTED, metadata earliest_offset.
	Read(ctx context.Context, ns prism.Namespace, topic string, q StreamRead) ([]StreamRecord, error)
	// TopicInfo tells how a topic is set and what its partitions hold.
	TopicInfo(ctx context.Context, ns prism.Namespace, topic string) (TopicInfo, error)
	// Topics lists the names, sorted.
	Topics(ctx context.Context, ns prism.Namespace) ([]string, error)
}

// StreamPartitioning is capability stream_partitioning: with it,
// TopicOptions.Partitions may be more than one.
type StreamPartitioning interface {
	// AppendTo adds messages to one partition, whatever their keys.
	AppendTo(ctx context.Context, ns prism.Namespace, topic string, partition int32, messages []StreamMessage, results []StreamResult) error
}

// StreamReplay is capability stream_replay.
type StreamReplay interface {
	// OffsetAt is the offset of the first message that was appended at or after
	// t; the latest if none was.
	OffsetAt(ctx context.Context, ns prism.Namespace, topic string, partition int32, t time.Time) (int64, error)
}

// StreamRetention is capability stream_retention.
type StreamRetention interface {
	// SetRetention changes how long messages are kept; what is over goes
	// within a minute.
	SetRetention(ctx context.Context, ns prism.Namespace, topic string, r Retention) error
	// Truncate removes what is below offset at once.
	Truncate(ctx context.Context, ns prism.Namespace, topic string, partition int32, offset int64) error
}

// StreamConsumerGroups is capability stream_consumer_groups: what a group has
// committed. Who reads which partition is decided above the driver.
type StreamConsumerGroups interface {
	// Committed lists the partitions for which the group has committed an
	// offset: the next one to read.
	Committed(ctx context.Context, ns prism.Namespace, topic, group string) ([]PartitionOffset, error)
	// Commit sets offsets, forward or back, all or none, durable where acked
	// data are.
	Commit(ctx context.Context, ns prism.Namespace, topic, group string, offsets []PartitionOffset) error
	// Groups lists the groups that have committed anything, sorted.
	Groups(ctx context.Context, ns prism.Namespace, topic string) ([]string, error)
}

// TopicOptions are fixed when a topic is made, but for Retention.
type TopicOptions struct {
	Partitions int32
	Retention  Retention
}

// Retention says when messages go, whichever comes first.
type Retention struct {
	Age   time.Duration // 0: no end
	Bytes int64         // of payloads in a partition; 0: no bound
}

// A StreamMessage is what is appended.
type StreamMessage struct {
	Key        string // chooses the partition; empty: none
	Payload    []byte
	Attributes map[string]string
	Receipt    Receipt
}

// A StreamResult tells where a message went.
type StreamResult struct {
	Partition int32
	Offset    int64
	Time      time.Time
	Replayed  bool // the first answer to this receipt
	Err       error
}

// StreamRead says what to read.
type StreamRead struct {
	Partition int32
	Offset    int64
	Max       int           // messages, at least 1
	Bytes     int           // of payloads together, at least one message; 0: no bound
	Wait      time.Duration // for the first message; 0: not at all
}

// A StreamRecord is a message in its place.
type StreamRecord struct {
	Partition  int32
	Offset     int64
	Key        string
	Payload    []byte
	Attributes map[string]string
	Time       time.Time // when it was appended; never before that of the offset before
}

// A PartitionOffset is a place in a partition.
type PartitionOffset struct {
	Partition int32
	Offset    int64
}

// TopicInfo describes a topic.
type TopicInfo struct {
	Options    TopicOptions
	Partitions []PartitionInfo // by number
}

// PartitionInfo is what a partition holds: offsets from Earliest up to, not
// including, Latest.
type PartitionInfo struct {
	Partition int32
	Earliest  int64
	Latest    int64
	Bytes     int64 // of payloads; may be an estimate
}

// KeyPartition is where messages of a key go, the same for ever: FNV-1a, so
// that drivers agree.
func KeyPartition(key string, partitions int32) int32 {
	return int32(KeyHash(key) % uint64(partitions))
}

// KeyHash is what KeyPartition divides by the number of partitions.
func KeyHash(key string) uint64 {
	h := uint64(14695981039346656037)
	for i := range len(key) {
		h = (h ^ uint64(key[i])) * 1099511628211
	}
	return h
}

// OffsetGone refuses to read an offset that retention has taken.
func OffsetGone(offset, earliest int64) error {
	return prism.New(prism.ReasonCompacted, "offset %d is no longer kept; the earliest is %d", offset, earliest).
		WithMeta("earliest_offset", strconv.FormatInt(earliest, 10))
}
