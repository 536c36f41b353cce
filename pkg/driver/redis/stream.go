package redis

import (
	"cmp"
	"context"
	"encoding/binary"
	"slices"
	"strconv"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/prism-data-layer/prism/pkg/driver"
	"github.com/prism-data-layer/prism/pkg/prism"
)

// streams keeps each topic under a hash tag of its own: a Redis stream for each
// partition, and beside it what lua/stream.lua lists.
type streams struct{ s *store }

var (
	_ driver.Stream               = (*streams)(nil)
	_ driver.StreamPartitioning   = (*streams)(nil)
	_ driver.StreamReplay         = (*streams)(nil)
	_ driver.StreamRetention      = (*streams)(nil)
	_ driver.StreamConsumerGroups = (*streams)(nil)
)

// failed turns the error of a script on a topic into one of ours.
func (m *streams) failed(ctx context.Context, topic string, err error) error {
	if missing(err) {
		return prism.NotFound("topic", topic)
	}
	return m.s.classify(ctx, err)
}

// call runs a script on a topic.
func (m *streams) call(ctx context.Context, ns prism.Namespace, topic string, script *script, args ...any) (answered, error) {
	if err := m.s.enter(ctx); err != nil {
		return answered{}, err
	}
	defer m.s.leave()
	v, err := m.s.onLine(ctx, script, topicLines.prefix(ns, topic), args...).Result()
	if err != nil {
		return answered{}, m.failed(ctx, topic, err)
	}
	if values, ok := v.([]any); ok {
		return answered{values: values}, nil
	}
	return answered{values: []any{v}}, nil
}

// whole is nil if all of an answer could be read.
func (m *streams) whole(a answered) error {
	if a.broken {
		return m.s.classify(context.Background(), errAnswer)
	}
	return nil
}

func noPartition() error { return prism.InvalidField("partition", "is not one of this topic") }

// refusal reads the answer of a script that checks a partition and an offset.
func (m *streams) refusal(a answered) error {
	switch a.number() {
	case -1:
		return noPartition()
	case -2:
		return prism.InvalidField("offset", "is not one of this partition")
	}
	return m.whole(a)
}

func (m *streams) CreateTopic(ctx context.Context, ns prism.Namespace, topic string, o driver.TopicOptions) (bool, error) {
	if !prism.ValidName(topic) {
		return false, prism.InvalidField("topic", "must match [a-z][a-z0-9-]{0,62}")
	}
	if err := m.s.enter(ctx); err != nil {
		return false, err
	}
	defer m.s.leave()
	made, err := m.s.makeLine(ctx, topicLines, ns, topic, topicMakeScript, max(o.Partitions, 1), int64(o.Retention.Age), o.Retention.Bytes)
	if err == nil && made > 1 {
		err = prism.New(prism.ReasonAlreadyExists, "topic %q is there with other settings", topic)
	}
	return made == 1, err
}

func (m *streams) Topics(ctx context.Context, ns prism.Namespace) ([]string, error) {
	if err := m.s.enter(ctx); err != nil {
		return nil, err
	}
	defer m.s.leave()
	return m.s.lineNames(ctx, topicLines, ns)
}

func (m *streams) TopicInfo(ctx context.Context, ns prism.Namespace, topic string) (info driver.TopicInfo, err error) {
	a, err := m.call(ctx, ns, topic, topicInfoScript)
	if err != nil {
		return info, err
	}
	info.Options.Partitions = int32(a.number())
	info.Options.Retention = driver.Retention{Age: time.Duration(a.number()), Bytes: a.number()}
	for n := int32(0); len(a.values) > 0; n++ {
		info.Partitions = append(info.Partitions, driver.PartitionInfo{Partition: n, Earliest: a.number(), Latest: a.number(), Bytes: a.number()})
	}
	return info, m.whole(a)
}

func (m *streams) Append(ctx context.Context, ns prism.Namespace, topic string, messages []driver.StreamMessage, results []driver.StreamResult) error {
	return m.append(ctx, ns, topic, nil, messages, results)
}

func (m *streams) AppendTo(ctx context.Context, ns prism.Namespace, topic string, partition int32, messages []driver.StreamMessage, results []driver.StreamResult) error {
	return m.append(ctx, ns, topic, strconv.AppendInt(nil, int64(partition), 10), messages, results)
}

// append is one pipeline of scripts, each for some of the messages.
func (m *streams) append(ctx context.Context, ns prism.Namespace, topic string, partition []byte, messages []driver.StreamMessage, results []driver.StreamResult) error {
	if err := m.s.enter(ctx); err != nil {
		return err
	}
	defer m.s.leave()
	var parts runs
	for i := range messages {
		parts.add(i, len(messages[i].Payload)+len(messages[i].Key))
	}
	p := topicLines.prefix(ns, topic)
	var wrong error
	err := m.s.onLineRuns(ctx, topicAppendScript, p, []any{partition}, &parts,
		func(args []any, i int) []any { return appendStreamMessage(args, &messages[i]) },
		func(i int, answer string, err error) {
			if answer == refusedPartition {
				wrong = noPartition()
			}
			results[i] = m.appended(ctx, answer, err)
		})
	return cmp.Or(m.failed(ctx, topic, err), wrong)
}

// refusedPartition is the answer where the partition is not there.
const refusedPartition = "EP"

// appendStreamMessage adds a message to the arguments of a script.
func appendStreamMessage(args []any, w *driver.StreamMessage) []any {
	what := make([]byte, 9, 64)
	if w.Key != "" {
		what[0] = 1
		binary.BigEndian.PutUint64(what[1:], driver.KeyHash(w.Key))
	}
	what = binary.BigEndian.AppendUint32(what, uint32(len(w.Payload)))
	if !w.Receipt.IsZero() {
		what = appendReceipt(what, w.Receipt)
	}
	return append(args, what, appendBody(appendText(nil, w.Key), w.Attributes, w.Payload))
}

// appended reads the answer for a message: R or P, partition, offset and time,
// or an error.
func (m *streams) appended(ctx context.Context, answer string, err error) driver.StreamResult {
	b := []byte(answer)
	switch {
	case err != nil:
		return driver.StreamResult{Err: m.s.classify(ctx, err)}
	case answer == refusedPartition:
		return driver.StreamResult{Err: noPartition()}
	case len(b) != 21:
		return driver.StreamResult{Err: m.s.refused(answer, &driver.Op{})}
	}
	return driver.StreamResult{
		Partition: int32(binary.BigEndian.Uint32(b[1:])), Offset: int64(binary.BigEndian.Uint64(b[5:])),
		Time: time.UnixMilli(int64(binary.BigEndian.Uint64(b[13:]))), Replayed: b[0] == 'P',
	}
}

// Read returns records, waiting for the first.
func (m *streams) Read(ctx context.Context, ns prism.Namespace, topic string, q driver.StreamRead) ([]driver.StreamRecord, error) {
	if err := m.s.enter(ctx); err != nil {
		return nil, err
	}
	defer m.s.leave()
	if q.Wait <= 0 {
		return m.collect(ctx, ns, topic, q)
	}
	channel := m.s.channel(topicLines.prefix(ns, topic)) + strconv.Itoa(int(q.Partition))
	v, err := m.s.lobbies.enter(ctx, channel, q.Wait)
	if err != nil {
		return nil, err
	}
	defer v.end()
	for {
		news := m.s.news.next(channel)
		records, err := m.collect(ctx, ns, topic, q)
		if err != nil || len(records) > 0 {
			return records, err
		}
		if over, err := v.pause(ctx, news, never); over {
			return nil, err
		}
	}
}

// collect reads what is there, script by script.
func (m *streams) collect(ctx context.Context, ns prism.Namespace, topic string, q driver.StreamRead) (records []driver.StreamRecord, err error) {
	room := cmp.Or(q.Bytes, -1)
	for more := true; more && len(records) < q.Max; {
		var a answered
		a.values, err = m.s.onLine(ctx, topicReadScript, topicLines.prefix(ns, topic), q.Partition, q.Offset+int64(len(records)),
			q.Max-len(records), room, len(records) > 0, q.Wait > 0 && len(records) == 0, answerBytes).Slice()
		if err != nil {
			return nil, m.failed(ctx, topic, err)
		}
		if err := m.unread(&a, q.Offset); err != nil {
			return nil, err
		}
		for more = a.number() == 1; len(a.values) > 0; {
			r, err := a.record()
			if err != nil {
				return nil, m.s.classify(ctx, err)
			}
			r.Partition, r.Offset = q.Partition, q.Offset+int64(len(records))
			records = append(records, r)
			if q.Bytes > 0 {
				room -= len(r.Payload)
			}
		}
		if err := m.whole(a); err != nil {
			return nil, err
		}
		more = more && (q.Bytes == 0 || room >= 0)
	}
	return records, nil
}

// unread is why a script has read nothing.
func (m *streams) unread(a *answered, offset int64) error {
	switch a.text() {
	case "R":
		return nil
	case "P":
		return noPartition()
	case "B":
		return prism.InvalidField("offset", "is beyond the latest")
	case "C":
		return driver.OffsetGone(offset, a.number())
	}
	return m.s.classify(context.Background(), errRecord)
}

// record reads a message: when it was appended, its key and its body.
func (a *answered) record() (r driver.StreamRecord, err error) {
	head, body := a.text(), a.text()
	if a.broken || len(head) < 8 {
		return r, errAnswer
	}
	r.Time = time.UnixMilli(int64(binary.BigEndian.Uint64([]byte(head))))
	key, rest, err := cutText(bytesOf(body))
	if err != nil {
		return r, errRecord
	}
	r.Key = key
	r.Attributes, r.Payload, err = parseBody(rest)
	return r, err
}

// latestTime bounds a time in milliseconds: scripts count in doubles.
const latestTime = int64(1) << 52

func (m *streams) OffsetAt(ctx context.Context, ns prism.Namespace, topic string, partition int32, at time.Time) (int64, error) {
	ms := at.UnixMilli()
	if time.UnixMilli(ms).Before(at) {
		ms++
	}
	a, err := m.call(ctx, ns, topic, topicAtScript, partition, min(max(ms, -latestTime), latestTime))
	if err != nil {
		return 0, err
	}
	offset := a.number()
	if offset < 0 {
		return 0, noPartition()
	}
	return offset, m.whole(a)
}

func (m *streams) SetRetention(ctx context.Context, ns prism.Namespace, topic string, r driver.Retention) error {
	if _, err := m.call(ctx, ns, topic, topicRetainScript, int64(r.Age), r.Bytes); err != nil {
		return err
	}
	// What is over and was too much for one script goes by the sweeper, soon.
	member := redis.Z{Member: topicLines.tag + topicLines.prefix(ns, topic)}
	return m.s.classify(ctx, m.s.client.ZAdd(ctx, linesKey, member).Err())
}

func (m *streams) Truncate(ctx context.Context, ns prism.Namespace, topic string, partition int32, offset int64) error {
	a, err := m.call(ctx, ns, topic, topicTruncateScript, partition, offset)
	if err != nil {
		return err
	}
	return m.refusal(a)
}

func (m *streams) Commit(ctx context.Context, ns prism.Namespace, topic, group string, offsets []driver.PartitionOffset) error {
	args := []any{group}
	for _, o := range offsets {
		args = append(args, o.Partition, o.Offset)
	}
	a, err := m.call(ctx, ns, topic, topicCommitScript, args...)
	if err != nil {
		return err
	}
	return m.refusal(a)
}

func (m *streams) Committed(ctx context.Context, ns prism.Namespace, topic, group string) (offsets []driver.PartitionOffset, err error) {
	a, err := m.call(ctx, ns, topic, topicGroupsScript, 1, group)
	if err != nil {
		return nil, err
	}
	for len(a.values) > 0 {
		offsets = append(offsets, driver.PartitionOffset{Partition: int32(a.number()), Offset: a.number()})
	}
	slices.SortFunc(offsets, func(x, y driver.PartitionOffset) int { return cmp.Compare(x.Partition, y.Partition) })
	return offsets, m.whole(a)
}

func (m *streams) Groups(ctx context.Context, ns prism.Namespace, topic string) (groups []string, err error) {
	a, err := m.call(ctx, ns, topic, topicGroupsScript, 0)
	if err != nil {
		return nil, err
	}
	for len(a.values) > 0 {
		groups = append(groups, a.text())
	}
	slices.Sort(groups)
	return groups, m.whole(a)
}
