package drivertest_test

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/prism-data-layer/prism/pkg/driver"
	"github.com/prism-data-layer/prism/pkg/prism"
)

// logs keeps the stream capabilities alone, after a change.
func logs(change func(*driver.Set)) func(driver.Set) driver.Set {
	return func(s driver.Set) driver.Set {
		change(&s)
		return only(s, "stream_basic", "stream_partitioning", "stream_replay", "stream_retention", "stream_consumer_groups")
	}
}

// streamDefects are ways in which logs are wrong.
var streamDefects = []defect{
	{name: "Append tells the next offset", finds: []string{
		"Truncate removes what is below an offset, and no offset is used again",
		"messages older than the retention go",
		"offsets begin at 0 and grow by one",
	}, wrap: logs(func(s *driver.Set) {
		s.Stream = appends{Stream: s.Stream, after: func(r *driver.StreamResult) { r.Offset++ }}
	})},
	{name: "an append ignores receipts", finds: []string{
		"a receipt appends a message once",
	}, wrap: logs(func(s *driver.Set) {
		s.Stream = appends{Stream: s.Stream, before: func(m *driver.StreamMessage) { m.Receipt = driver.Receipt{} }}
	})},
	{name: "an append's receipt forgets its body", finds: []string{
		"a receipt appends a message once",
	}, wrap: logs(func(s *driver.Set) {
		s.Stream = appends{Stream: s.Stream, before: func(m *driver.StreamMessage) { m.Receipt.Body = [16]byte{} }}
	})},
	{name: "attributes of a log are lost", finds: []string{
		"a message is read as it was appended",
		"payloads belong to whoever has them",
	}, wrap: logs(func(s *driver.Set) {
		s.Stream = appends{Stream: s.Stream, before: func(m *driver.StreamMessage) { m.Attributes = nil }}
	})},
	{name: "the last message of a batch is lost", finds: []string{
		"Commit sets offsets, forward and back",
		"Truncate removes what is below an offset, and no offset is used again",
		"Usage counts messages and their bytes",
		"a message is read as it was appended",
		"a read begins at its offset and holds no more than its bounds",
		"a receipt appends a message once",
		"appenders at once lose nothing and leave no gap",
		"groups share nothing",
		"messages older than the retention go",
		"offsets begin at 0 and grow by one",
		"the oldest messages over the retention's bytes go",
	}, wrap: logs(func(s *driver.Set) { s.Stream = losesLast{s.Stream} })},
	{name: "a read leaves out its offset", finds: []string{
		"Drop removes topics and ends their readers",
		"SetRetention changes what is kept",
		"Truncate removes what is below an offset, and no offset is used again",
		"a message is read as it was appended",
		"a read at the end returns none when its wait is over",
		"a read at the end waits for the next message",
		"a read begins at its offset and holds no more than its bounds",
		"a receipt appends a message once",
		"a topic is made once",
		"an offset that is gone is COMPACTED and tells the earliest",
		"appenders at once lose nothing and leave no gap",
		"messages older than the retention go",
		"messages with one key go to one partition, in order",
		"payloads belong to whoever has them",
		"the oldest messages over the retention's bytes go",
		"two namespaces share no topics",
	}, wrap: logs(func(s *driver.Set) { s.Stream = readsFor{s.Stream, func(q *driver.StreamRead) { q.Offset++ }} })},
	{name: "a read is as long as it likes", finds: []string{
		"a read begins at its offset and holds no more than its bounds",
	}, wrap: logs(func(s *driver.Set) {
		s.Stream = readsFor{s.Stream, func(q *driver.StreamRead) { q.Max, q.Bytes = q.Max+1, 0 }}
	})},
	{name: "a read does not wait", finds: []string{
		"a read at the end waits for the next message",
	}, may: []string{
		"Drop removes topics and ends their readers",
		"a reader that waits ends when the store is closed",
	}, wrap: logs(func(s *driver.Set) { s.Stream = readsFor{s.Stream, func(q *driver.StreamRead) { q.Wait = 0 }} })},
	{name: "a read hands out one memory to all", finds: []string{
		"payloads belong to whoever has them",
	}, wrap: logs(func(s *driver.Set) {
		s.Stream = &sharesRecords{Stream: s.Stream, kept: map[recordAt][]byte{}}
	})},
	{name: "topics have no order", finds: []string{
		"Topics lists the names, sorted",
	}, wrap: logs(func(s *driver.Set) { s.Stream = unsorted{s.Stream} })},
	{name: "Drop leaves topics", finds: []string{
		"Drop removes topics and ends their readers",
	}, wrap: logs(func(s *driver.Set) { s.Store = deafDrop{s.Store} })},
	{name: "a topic is made twice", finds: []string{
		"a topic is made once",
	}, wrap: logs(func(s *driver.Set) { s.Stream = makesAgain{s.Stream} })},
	{name: "messages go to any partition", finds: []string{
		"messages with one key go to one partition, in order",
	}, wrap: logs(func(s *driver.Set) {
		s.Stream = &anyPartition{Stream: s.Stream, to: s.StreamPartitioning}
	})},
	{name: "all messages go to one partition", finds: []string{
		"a message is read as it was appended",
		"keys are spread over the partitions",
		"messages with one key go to one partition, in order",
	}, wrap: logs(func(s *driver.Set) {
		s.Stream = appends{Stream: s.Stream, before: func(m *driver.StreamMessage) {
			if m.Key != "" {
				m.Key = "one"
			}
		}}
	})},
	{name: "the partition that is named does not count", finds: []string{
		"a message goes to the partition that is named",
	}, wrap: logs(func(s *driver.Set) { s.StreamPartitioning = byKey{s.Stream} })},
	{name: "OffsetAt is one late", finds: []string{
		"OffsetAt finds the first message at or after a time",
		"OffsetAt of an empty partition is where the next message goes",
	}, wrap: logs(func(s *driver.Set) { s.StreamReplay = late{s.StreamReplay} })},
	{name: "Truncate removes nothing", finds: []string{
		"Truncate removes what is below an offset, and no offset is used again",
		"an offset that is gone is COMPACTED and tells the earliest",
	}, wrap: logs(func(s *driver.Set) { s.StreamRetention = keepsAllRecords{s.StreamRetention} })},
	{name: "SetRetention sets nothing", finds: []string{
		"SetRetention changes what is kept",
	}, wrap: logs(func(s *driver.Set) { s.StreamRetention = deafRetention{s.StreamRetention} })},
	{name: "topics keep their messages for ever", finds: []string{
		"a topic is made once",
		"messages older than the retention go",
		"the oldest messages over the retention's bytes go",
	}, wrap: logs(func(s *driver.Set) {
		s.Stream = makesTopics{s.Stream, func(o *driver.TopicOptions) { o.Retention = driver.Retention{} }}
	})},
	{name: "an append makes a topic", finds: []string{
		"a topic that is not there is NOT_FOUND",
	}, wrap: logs(func(s *driver.Set) { s.Stream = appendsAnywhere{s.Stream} })},
	{name: "a read beyond the end has nothing", finds: []string{
		"a partition that is not there is refused",
		"a read beyond the end is refused",
	}, wrap: logs(func(s *driver.Set) { s.Stream = refusesNothing{s.Stream} })},
	{name: "groups are one", finds: []string{
		"groups share nothing",
	}, wrap: logs(func(s *driver.Set) { s.StreamConsumerGroups = oneGroup{s.StreamConsumerGroups} })},
	{name: "Commit goes forward only", finds: []string{
		"Commit sets offsets, forward and back",
	}, wrap: logs(func(s *driver.Set) { s.StreamConsumerGroups = forwardOnly{s.StreamConsumerGroups} })},
	{name: "a refused Commit leaves half of it", finds: []string{
		"Commit sets all offsets or none",
	}, wrap: logs(func(s *driver.Set) { s.StreamConsumerGroups = halfCommit{s.StreamConsumerGroups} })},
}

// appends changes messages before they are appended, or results after.
type appends struct {
	driver.Stream
	before func(*driver.StreamMessage)
	after  func(*driver.StreamResult)
}

func (d appends) Append(ctx context.Context, ns prism.Namespace, topic string, messages []driver.StreamMessage, results []driver.StreamResult) error {
	messages = slices.Clone(messages)
	for i := range messages {
		if d.before != nil {
			d.before(&messages[i])
		}
	}
	err := d.Stream.Append(ctx, ns, topic, messages, results)
	for i := range results {
		if d.after != nil && err == nil {
			d.after(&results[i])
		}
	}
	return err
}

type losesLast struct{ driver.Stream }

func (d losesLast) Append(ctx context.Context, ns prism.Namespace, topic string, messages []driver.StreamMessage, results []driver.StreamResult) error {
	n := len(messages)
	if n < 2 {
		return d.Stream.Append(ctx, ns, topic, messages, results)
	}
	err := d.Stream.Append(ctx, ns, topic, messages[:n-1], results[:n-1])
	results[n-1] = results[n-2]
	results[n-1].Offset++
	return err
}

type readsFor struct {
	driver.Stream
	change func(*driver.StreamRead)
}

func (d readsFor) Read(ctx context.Context, ns prism.Namespace, topic string, q driver.StreamRead) ([]driver.StreamRecord, error) {
	d.change(&q)
	return d.Stream.Read(ctx, ns, topic, q)
}

type recordAt struct {
	ns        prism.Namespace
	topic     string
	partition int32
	offset    int64
}

type sharesRecords struct {
	driver.Stream
	mu   sync.Mutex
	kept map[recordAt][]byte
}

func (d *sharesRecords) Read(ctx context.Context, ns prism.Namespace, topic string, q driver.StreamRead) ([]driver.StreamRecord, error) {
	out, err := d.Stream.Read(ctx, ns, topic, q)
	d.mu.Lock()
	defer d.mu.Unlock()
	for i := range out {
		at := recordAt{ns, topic, out[i].Partition, out[i].Offset}
		if d.kept[at] == nil {
			d.kept[at] = out[i].Payload
		}
		out[i].Payload = d.kept[at]
	}
	return out, err
}

type unsorted struct{ driver.Stream }

func (d unsorted) Topics(ctx context.Context, ns prism.Namespace) ([]string, error) {
	list, err := d.Stream.Topics(ctx, ns)
	slices.Reverse(list)
	return list, err
}

type makesAgain struct{ driver.Stream }

func (d makesAgain) CreateTopic(ctx context.Context, ns prism.Namespace, topic string, o driver.TopicOptions) (bool, error) {
	_, err := d.Stream.CreateTopic(ctx, ns, topic, o)
	return err == nil, err
}

// anyPartition deals messages to the partitions in turn.
type anyPartition struct {
	driver.Stream
	to   driver.StreamPartitioning
	mu   sync.Mutex
	turn int32
}

func (d *anyPartition) Append(ctx context.Context, ns prism.Namespace, topic string, messages []driver.StreamMessage, results []driver.StreamResult) error {
	info, err := d.TopicInfo(ctx, ns, topic)
	if err != nil || info.Options.Partitions == 1 {
		return errors.Join(err, d.Stream.Append(ctx, ns, topic, messages, results))
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	for i := range messages {
		d.turn++
		if err := d.to.AppendTo(ctx, ns, topic, d.turn%info.Options.Partitions, messages[i:i+1], results[i:i+1]); err != nil {
			return err
		}
	}
	return nil
}

type byKey struct{ driver.Stream }

func (d byKey) AppendTo(ctx context.Context, ns prism.Namespace, topic string, _ int32, messages []driver.StreamMessage, results []driver.StreamResult) error {
	return d.Append(ctx, ns, topic, messages, results)
}

type late struct{ driver.StreamReplay }

func (d late) OffsetAt(ctx context.Context, ns prism.Namespace, topic string, partition int32, at time.Time) (int64, error) {
	offset, err := d.StreamReplay.OffsetAt(ctx, ns, topic, partition, at)
	return offset + 1, err
}

type keepsAllRecords struct{ driver.StreamRetention }

func (keepsAllRecords) Truncate(context.Context, prism.Namespace, string, int32, int64) error {
	return nil
}

type deafRetention struct{ driver.StreamRetention }

func (deafRetention) SetRetention(context.Context, prism.Namespace, string, driver.Retention) error {
	return nil
}

type makesTopics struct {
	driver.Stream
	change func(*driver.TopicOptions)
}

func (d makesTopics) CreateTopic(ctx context.Context, ns prism.Namespace, topic string, o driver.TopicOptions) (bool, error) {
	d.change(&o)
	return d.Stream.CreateTopic(ctx, ns, topic, o)
}

type oneGroup struct{ driver.StreamConsumerGroups }

func (d oneGroup) Committed(ctx context.Context, ns prism.Namespace, topic, _ string) ([]driver.PartitionOffset, error) {
	return d.StreamConsumerGroups.Committed(ctx, ns, topic, "one")
}

func (d oneGroup) Commit(ctx context.Context, ns prism.Namespace, topic, _ string, offsets []driver.PartitionOffset) error {
	return d.StreamConsumerGroups.Commit(ctx, ns, topic, "one", offsets)
}

type forwardOnly struct{ driver.StreamConsumerGroups }

func (d forwardOnly) Commit(ctx context.Context, ns prism.Namespace, topic, group string, offsets []driver.PartitionOffset) error {
	now, err := d.Committed(ctx, ns, topic, group)
	offsets = slices.Clone(offsets)
	for i := range offsets {
		for _, c := range now {
			if c.Partition == offsets[i].Partition && offsets[i].Offset >= 0 {
				offsets[i].Offset = max(offsets[i].Offset, c.Offset)
			}
		}
	}
	return errors.Join(err, d.StreamConsumerGroups.Commit(ctx, ns, topic, group, offsets))
}

type halfCommit struct{ driver.StreamConsumerGroups }

func (d halfCommit) Commit(ctx context.Context, ns prism.Namespace, topic, group string, offsets []driver.PartitionOffset) error {
	err := d.StreamConsumerGroups.Commit(ctx, ns, topic, group, offsets)
	if err != nil && len(offsets) > 1 {
		_ = d.StreamConsumerGroups.Commit(ctx, ns, topic, group, offsets[:1])
	}
	return err
}

type appendsAnywhere struct{ driver.Stream }

func (d appendsAnywhere) Append(ctx context.Context, ns prism.Namespace, topic string, messages []driver.StreamMessage, results []driver.StreamResult) error {
	if _, err := d.TopicInfo(ctx, ns, topic); errors.Is(err, prism.ReasonNotFound) {
		_, _ = d.CreateTopic(ctx, ns, topic, driver.TopicOptions{Partitions: 1})
	}
	return d.Stream.Append(ctx, ns, topic, messages, results)
}

type refusesNothing struct{ driver.Stream }

func (d refusesNothing) Read(ctx context.Context, ns prism.Namespace, topic string, q driver.StreamRead) ([]driver.StreamRecord, error) {
	out, err := d.Stream.Read(ctx, ns, topic, q)
	if errors.Is(err, prism.ReasonInvalidArgument) {
		err = nil
	}
	return out, err
}
