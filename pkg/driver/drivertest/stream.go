package drivertest

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/prism-data-layer/prism/pkg/driver"
	"github.com/prism-data-layer/prism/pkg/prism"
)

var streamPromises = []promise{
	{"a topic is made once", testTopicMade, ""},
	{"a topic that is not there is NOT_FOUND", testTopicMissing, ""},
	{"Topics lists the names, sorted", testTopics, ""},
	{"offsets begin at 0 and grow by one", testStreamOffsets, ""},
	{"a message is read as it was appended", testStreamRoundTrip, ""},
	{"a read begins at its offset and holds no more than its bounds", testStreamReadBounds, ""},
	{"a read at the end waits for the next message", testStreamReadWaits, ""},
	{"a read at the end returns none when its wait is over", testStreamReadGivesUp, ""},
	{"a read beyond the end is refused", testStreamBeyond, ""},
	{"a partition that is not there is refused", testStreamNoPartition, ""},
	{"payloads belong to whoever has them", testStreamAliasing, ""},
	{"a receipt appends a message once", testStreamReceipt, ""},
	{"appenders at once lose nothing and leave no gap", testStreamTogether, ""},
	{"times of a partition never go back", testStreamTimes, "clock"},
	{"two namespaces share no topics", testStreamNamespaces, ""},
	{"Drop removes topics and ends their readers", testStreamDrop, ""},
	{"Usage counts messages and their bytes", testStreamUsage, ""},
	{"a stream call whose context has ended changes nothing", testStreamEnded, ""},
	{"a reader that waits ends when the store is closed", testStreamClosed, ""},
	{"topics, messages and receipts outlive a restart", testStreamReopen, "reopen"},
}

var partitioningPromises = []promise{
	{"messages with one key go to one partition, in order", testPartitionByKey, ""},
	{"keys are spread over the partitions", testPartitionSpread, ""},
	{"a message goes to the partition that is named", testPartitionNamed, ""},
	{"a key has the same partition after a restart", testPartitionReopen, "reopen"},
}

var replayPromises = []promise{
	{"OffsetAt finds the first message at or after a time", testOffsetAt, "clock"},
	{"OffsetAt of an empty partition is where the next message goes", testOffsetAtEmpty, ""},
}

var retentionPromises = []promise{
	{"messages older than the retention go", testStreamRetentionAge, "clock"},
	{"the oldest messages over the retention's bytes go", testStreamRetentionBytes, ""},
	{"an offset that is gone is COMPACTED and tells the earliest", testStreamCompacted, "direct"},
	{"SetRetention changes what is kept", testSetRetention, "clock"},
	{"Truncate removes what is below an offset, and no offset is used again", testTruncate, "direct"},
	{"retention and what it took outlive a restart", testStreamRetentionReopen, "reopen direct"},
}

var groupPromises = []promise{
	{"a group that has committed nothing has nothing", testGroupEmpty, ""},
	{"Commit sets offsets, forward and back", testGroupCommit, ""},
	{"Commit sets all offsets or none", testGroupAtomic, ""},
	{"groups share nothing", testGroupsApart, ""},
	{"committed offsets outlive a restart", testGroupReopen, "reopen"},
}

// newTopic makes a topic of the promise's namespace.
func (t *T) newTopic(name string, o driver.TopicOptions) {
	t.Helper()
	created, err := t.set().Stream.CreateTopic(t.Ctx, t.namespace(), name, o)
	t.must(err)
	if !created {
		t.Fatalf("topic %q was there before", name)
	}
}

// appended appends messages, each of which must be taken.
func (t *T) appended(topic string, messages ...driver.StreamMessage) []driver.StreamResult {
	t.Helper()
	results := make([]driver.StreamResult, len(messages))
	t.must(t.set().Stream.Append(t.Ctx, t.namespace(), topic, messages, results))
	for i := range results {
		t.must(results[i].Err)
	}
	return results
}

// logLines appends one message for each payload.
func (t *T) logLines(topic string, payloads ...string) []driver.StreamResult {
	t.Helper()
	messages := make([]driver.StreamMessage, len(payloads))
	for i, p := range payloads {
		messages[i].Payload = []byte(p)
	}
	return t.appended(topic, messages...)
}

// logFrom returns what is there from an offset on.
func (t *T) logFrom(topic string, partition int32, offset int64) []driver.StreamRecord {
	t.Helper()
	records, err := t.set().Stream.Read(t.Ctx, t.namespace(), topic, driver.StreamRead{Partition: partition, Offset: offset, Max: 10_000})
	t.must(err)
	return records
}

// logHolds wants the payloads of what is there from an offset on.
func (t *T) logHolds(topic string, offset int64, want ...string) {
	t.Helper()
	var got []string
	for i, r := range t.logFrom(topic, 0, offset) {
		got = append(got, string(r.Payload))
		if r.Offset != offset+int64(i) {
			t.Errorf("record %d from %d has offset %d", i, offset, r.Offset)
		}
	}
	if !slices.Equal(got, want) {
		t.Errorf("from offset %d: got %q, want %q", offset, got, want)
	}
}

// topicInfo describes a topic.
func (t *T) topicInfo(topic string) driver.TopicInfo {
	t.Helper()
	info, err := t.set().Stream.TopicInfo(t.Ctx, t.namespace(), topic)
	t.must(err)
	return info
}

// logSpans wants the earliest and the latest offset of partition 0.
func (t *T) logSpans(topic string, earliest, latest int64) {
	t.Helper()
	if p := t.topicInfo(topic).Partitions[0]; p.Earliest != earliest || p.Latest != latest {
		t.Errorf("partition 0 holds %d to %d, want %d to %d", p.Earliest, p.Latest, earliest, latest)
	}
}

func testTopicMade(t *T) {
	o := driver.TopicOptions{Partitions: 1, Retention: driver.Retention{Age: time.Hour}}
	t.newTopic("orders", o)
	t.logLines("orders", "a")
	created, err := t.set().Stream.CreateTopic(t.Ctx, t.namespace(), "orders", o)
	if err != nil || created {
		t.Errorf("again with the same options: %v, %v; want false and no error", created, err)
	}
	o.Retention.Age = time.Minute
	_, err = t.set().Stream.CreateTopic(t.Ctx, t.namespace(), "orders", o)
	t.refused("again with others", err, prism.ReasonAlreadyExists)
	t.logHolds("orders", 0, "a")
	if got := t.topicInfo("orders").Options; got.Retention.Age != time.Hour || got.Partitions != 1 {
		t.Errorf("options %+v, want those of the first call", got)
	}
}

func testTopicMissing(t *T) {
	s, ns := t.set().Stream, t.namespace()
	t.refused("Append", s.Append(t.Ctx, ns, "none", []driver.StreamMessage{{}}, make([]driver.StreamResult, 1)), prism.ReasonNotFound)
	_, err := s.Read(t.Ctx, ns, "none", driver.StreamRead{Max: 1, Wait: time.Hour})
	t.refused("Read", err, prism.ReasonNotFound)
	_, err = s.TopicInfo(t.Ctx, ns, "none")
	t.refused("TopicInfo", err, prism.ReasonNotFound)
	names, err := s.Topics(t.Ctx, ns)
	t.must(err)
	if len(names) != 0 {
		t.Errorf("asking made topics: %v", names)
	}
}

func testTopics(t *T) {
	for _, name := range []string{"b", "a", "c-1"} {
		t.newTopic(name, driver.TopicOptions{Partitions: 1})
	}
	names, err := t.set().Stream.Topics(t.Ctx, t.namespace())
	t.must(err)
	if want := []string{"a", "b", "c-1"}; !slices.Equal(names, want) {
		t.Errorf("got %v, want %v", names, want)
	}
}

func testStreamOffsets(t *T) {
	t.newTopic("orders", driver.TopicOptions{Partitions: 1})
	t.logSpans("orders", 0, 0)
	next := int64(0)
	for range 3 {
		for _, r := range t.logLines("orders", "a", "b") {
			if r.Offset != next || r.Partition != 0 || r.Time.IsZero() || r.Replayed {
				t.Errorf("message %d went to %+v", next, r)
			}
			next++
		}
	}
	t.logSpans("orders", 0, 6)
}

func testStreamRoundTrip(t *T) {
	t.newTopic("orders", driver.TopicOptions{Partitions: 1})
	messages := []driver.StreamMessage{
		{Payload: []byte{}},
		{Payload: []byte("\x00\xff{}"), Key: "\x00k", Attributes: map[string]string{"kind": "order", "empty": ""}},
		{Payload: []byte(pattern(100_000, 1)), Key: "big"},
	}
	results := t.appended("orders", messages...)
	got := t.logFrom("orders", 0, 0)
	if len(got) != len(messages) {
		t.Fatalf("got %d messages, want %d", len(got), len(messages))
	}
	for i, m := range messages {
		r := got[i]
		if string(r.Payload) != string(m.Payload) || r.Key != m.Key || !maps.Equal(r.Attributes, m.Attributes) || !sameTime(r.Time, results[i].Time) || r.Partition != 0 {
			t.Errorf("message %d: got key %q, payload %s, attributes %v, time %v", i, r.Key, short(r.Payload), r.Attributes, r.Time)
		}
	}
}

func testStreamReadBounds(t *T) {
	t.newTopic("orders", driver.TopicOptions{Partitions: 1})
	t.logLines("orders", "0000", "1111", "2222", "3333")
	for _, c := range []struct {
		q    driver.StreamRead
		want int
	}{
		{driver.StreamRead{Offset: 0, Max: 2}, 2},
		{driver.StreamRead{Offset: 3, Max: 2}, 1},
		{driver.StreamRead{Offset: 4, Max: 2}, 0},
		{driver.StreamRead{Offset: 0, Max: 9, Bytes: 8}, 2},
		{driver.StreamRead{Offset: 0, Max: 9, Bytes: 9}, 2},
		{driver.StreamRead{Offset: 1, Max: 9, Bytes: 1}, 1},
		{driver.StreamRead{Offset: 0, Max: 9, Wait: time.Hour}, 4}, // what is there is not waited for
	} {
		got, err := t.set().Stream.Read(t.Ctx, t.namespace(), "orders", c.q)
		t.must(err)
		if len(got) != c.want || len(got) > 0 && got[0].Offset != c.q.Offset {
			t.Errorf("%+v: got %d messages, want %d from its offset", c.q, len(got), c.want)
		}
	}
}

func testStreamReadWaits(t *T) {
	t.newTopic("orders", driver.TopicOptions{Partitions: 1})
	t.logLines("orders", "a")
	type answer struct {
		records []driver.StreamRecord
		err     error
	}
	got := make(chan answer, 1)
	stream, ctx, ns := t.set().Stream, t.Ctx, t.namespace()
	go func() {
		records, err := stream.Read(ctx, ns, "orders", driver.StreamRead{Offset: 1, Max: 10, Wait: time.Hour})
		got <- answer{records, err}
	}()
	select {
	case a := <-got:
		t.Fatalf("the read did not wait: %d messages, %v", len(a.records), a.err)
	case <-time.After(20 * time.Millisecond):
	}
	t.logLines("orders", "b")
	select {
	case a := <-got:
		t.must(a.err)
		if len(a.records) != 1 || string(a.records[0].Payload) != "b" {
			t.Errorf("got %d messages, want b", len(a.records))
		}
	case <-time.After(t.harness.patience()):
		t.Fatalf("the message did not wake the reader")
	}
}

func testStreamReadGivesUp(t *T) {
	t.newTopic("orders", driver.TopicOptions{Partitions: 1})
	got := make(chan error, 1)
	stream, ctx, ns := t.set().Stream, t.Ctx, t.namespace()
	go func() {
		records, err := stream.Read(ctx, ns, "orders", driver.StreamRead{Max: 10, Wait: 30 * time.Millisecond})
		if err == nil && len(records) > 0 {
			err = errors.New("it has messages")
		}
		got <- err
	}()
	var err error
	t.eventually("the read returns", func() bool {
		select {
		case err = <-got:
			return true
		default:
			return false
		}
	})
	t.must(err)
}

func testStreamBeyond(t *T) {
	t.newTopic("orders", driver.TopicOptions{Partitions: 1})
	t.logLines("orders", "a")
	_, err := t.set().Stream.Read(t.Ctx, t.namespace(), "orders", driver.StreamRead{Offset: 2, Max: 1})
	t.refused("offset 2 of a topic with one message", err, prism.ReasonInvalidArgument)
}

func testStreamNoPartition(t *T) {
	t.newTopic("orders", driver.TopicOptions{Partitions: 1})
	for _, n := range []int32{-1, 1, 1 << 30} {
		_, err := t.set().Stream.Read(t.Ctx, t.namespace(), "orders", driver.StreamRead{Partition: n, Max: 1})
		t.refused(fmt.Sprintf("partition %d", n), err, prism.ReasonInvalidArgument)
	}
}

func testStreamAliasing(t *T) {
	t.newTopic("orders", driver.TopicOptions{Partitions: 1})
	payload, attributes := []byte("before"), map[string]string{"a": "before"}
	t.appended("orders", driver.StreamMessage{Payload: payload, Attributes: attributes})
	copy(payload, "after.")
	attributes["a"] = "after"
	for range 2 {
		r := t.logFrom("orders", 0, 0)[0]
		if string(r.Payload) != "before" || r.Attributes["a"] != "before" {
			t.Errorf("got %q and %v, want what was appended", r.Payload, r.Attributes)
		}
		copy(r.Payload, "spoilt")
		r.Attributes["a"] = "spoilt"
	}
}

func testStreamReceipt(t *T) {
	t.newTopic("orders", driver.TopicOptions{Partitions: 1})
	once := driver.StreamMessage{Payload: []byte("a"), Receipt: t.receipt("id", "a")}
	t.logLines("orders", "before")
	first := t.appended("orders", once)[0]
	t.logLines("orders", "between")
	second := t.appended("orders", once)[0]
	if first.Replayed || !second.Replayed || second.Offset != first.Offset || second.Partition != first.Partition || !sameTime(first.Time, second.Time) {
		t.Errorf("got %+v, then %+v; want the first answer, replayed", first, second)
	}
	other := driver.StreamMessage{Payload: []byte("b"), Receipt: t.receipt("id", "b")}
	results := make([]driver.StreamResult, 2)
	t.must(t.set().Stream.Append(t.Ctx, t.namespace(), "orders", []driver.StreamMessage{other, {Payload: []byte("after")}}, results))
	t.refused("another body", results[0].Err, prism.ReasonKeyReused)
	t.must(results[1].Err)
	t.logHolds("orders", 0, "before", "a", "between", "after")
}

func testStreamTogether(t *T) {
	const callers, each = 8, 50
	t.newTopic("orders", driver.TopicOptions{Partitions: 1})
	t.together(callers, func(i int) error {
		for n := range each {
			results := make([]driver.StreamResult, 2)
			messages := []driver.StreamMessage{{Payload: fmt.Appendf(nil, "%d-%d", i, 2*n)}, {Payload: fmt.Appendf(nil, "%d-%d", i, 2*n+1)}}
			if err := t.set().Stream.Append(t.Ctx, t.namespace(), "orders", messages, results); err != nil {
				return err
			}
			if results[1].Offset <= results[0].Offset {
				return fmt.Errorf("messages of one call went to %d and %d", results[0].Offset, results[1].Offset)
			}
		}
		return nil
	})
	records := t.logFrom("orders", 0, 0)
	if len(records) != callers*each*2 {
		t.Fatalf("got %d messages, want %d", len(records), callers*each*2)
	}
	next := map[byte]int{}
	for i, r := range records {
		var caller, n int
		if _, err := fmt.Sscanf(string(r.Payload), "%d-%d", &caller, &n); err != nil || r.Offset != int64(i) {
			t.Fatalf("record %d: offset %d, payload %q", i, r.Offset, r.Payload)
		}
		if n != next[byte(caller)] {
			t.Errorf("message %d of caller %d came as number %d", n, caller, next[byte(caller)])
		}
		next[byte(caller)]++
	}
}

func testStreamTimes(t *T) {
	t.newTopic("orders", driver.TopicOptions{Partitions: 1})
	last := time.Time{}
	for range 5 {
		r := t.logLines("orders", "a")[0]
		if r.Time.Before(last) || t.now().Sub(r.Time).Abs() > time.Second {
			t.Errorf("a message at %v after one at %v; it is %v", r.Time, last, t.now())
		}
		last = r.Time
		t.pass(time.Second)
	}
}

func testStreamNamespaces(t *T) {
	t.newTopic("orders", driver.TopicOptions{Partitions: 1})
	t.logLines("orders", "mine")
	other := t.another()
	_, err := t.set().Stream.TopicInfo(t.Ctx, other, "orders")
	t.refused("the topic in another namespace", err, prism.ReasonNotFound)
	_, err = t.set().Stream.CreateTopic(t.Ctx, other, "orders", driver.TopicOptions{Partitions: 1})
	t.must(err)
	results := make([]driver.StreamResult, 1)
	t.must(t.set().Stream.Append(t.Ctx, other, "orders", []driver.StreamMessage{{Payload: []byte("theirs")}}, results))
	t.logHolds("orders", 0, "mine")
}

func testStreamDrop(t *T) {
	t.newTopic("orders", driver.TopicOptions{Partitions: 1})
	t.logLines("orders", "a")
	ended := make(chan error, 1)
	stream, ctx, ns := t.set().Stream, t.Ctx, t.namespace()
	go func() {
		_, err := stream.Read(ctx, ns, "orders", driver.StreamRead{Offset: 1, Max: 1, Wait: time.Hour})
		ended <- err
	}()
	t.must(t.set().Store.Drop(t.Ctx, ns))
	select {
	case err := <-ended:
		t.dropped("the reader", err)
	case <-time.After(t.harness.patience()):
		t.Errorf("the reader did not end")
	}
	_, err := stream.TopicInfo(ctx, ns, "orders")
	t.refused("the topic", err, prism.ReasonNotFound)
	t.newTopic("orders", driver.TopicOptions{Partitions: 1})
	t.logHolds("orders", 0)
	t.must(t.set().Store.Drop(t.Ctx, ns))
	t.must(t.set().Store.Drop(t.Ctx, ns))
}

func testStreamUsage(t *T) {
	t.newTopic("orders", driver.TopicOptions{Partitions: 1})
	t.logLines("orders", "0123456789", "0123456789")
	u, err := t.set().Store.Usage(t.Ctx, t.namespace())
	t.must(err)
	if u.Keys != 2 || u.Bytes < 20 {
		t.Errorf("usage %+v, want 2 messages of 20 bytes", u)
	}
}

func testStreamEnded(t *T) {
	t.newTopic("orders", driver.TopicOptions{Partitions: 1})
	ctx, cancel := context.WithCancel(t.Ctx)
	cancel()
	s, ns := t.set().Stream, t.namespace()
	t.refused("Append", s.Append(ctx, ns, "orders", []driver.StreamMessage{{}}, make([]driver.StreamResult, 1)), prism.ReasonCancelled)
	_, err := s.CreateTopic(ctx, ns, "other", driver.TopicOptions{Partitions: 1})
	t.refused("CreateTopic", err, prism.ReasonCancelled)
	_, err = s.Read(ctx, ns, "orders", driver.StreamRead{Max: 1, Wait: time.Hour})
	t.refused("Read", err, prism.ReasonCancelled)
	_, err = s.TopicInfo(ctx, ns, "orders")
	t.refused("TopicInfo", err, prism.ReasonCancelled)
	_, err = s.Topics(ctx, ns)
	t.refused("Topics", err, prism.ReasonCancelled)
	t.logSpans("orders", 0, 0)
}

func testStreamClosed(t *T) {
	t.newTopic("orders", driver.TopicOptions{Partitions: 1})
	ended := make(chan error, 1)
	stream, ctx, ns := t.set().Stream, t.Ctx, t.namespace()
	go func() {
		_, err := stream.Read(ctx, ns, "orders", driver.StreamRead{Max: 1, Wait: time.Hour})
		ended <- err
	}()
	t.must(t.set().Store.Close())
	select {
	case err := <-ended:
		t.unavailable("the reader", err)
	case <-time.After(t.harness.patience()):
		t.Errorf("the reader did not end")
	}
	t.unavailable("Append", stream.Append(ctx, ns, "orders", []driver.StreamMessage{{}}, make([]driver.StreamResult, 1)))
	_, err := stream.Topics(ctx, ns)
	t.unavailable("Topics", err)
}

func testStreamReopen(t *T) {
	o := driver.TopicOptions{Partitions: 1, Retention: driver.Retention{Age: time.Hour, Bytes: 1 << 20}}
	t.newTopic("orders", o)
	once := driver.StreamMessage{Payload: []byte("once"), Key: "k", Attributes: map[string]string{"a": "b"}, Receipt: t.receipt("id", "once")}
	first := t.appended("orders", once)[0]
	t.logLines("orders", "a", "b")
	before := t.topicInfo("orders")
	t.reopen()
	if after := t.topicInfo("orders"); after.Options != before.Options || !slices.Equal(after.Partitions, before.Partitions) {
		t.Errorf("got %+v, want %+v", after, before)
	}
	t.logHolds("orders", 0, "once", "a", "b")
	if r := t.logFrom("orders", 0, 0)[0]; r.Key != "k" || r.Attributes["a"] != "b" || !sameTime(r.Time, first.Time) {
		t.Errorf("got %+v", r)
	}
	if again := t.appended("orders", once)[0]; !again.Replayed || again.Offset != first.Offset {
		t.Errorf("the receipt answers %+v, want %+v replayed", again, first)
	}
	if r := t.logLines("orders", "c")[0]; r.Offset != 3 {
		t.Errorf("the next offset is %d, want 3", r.Offset)
	}
}

func testPartitionByKey(t *T) {
	t.newTopic("orders", driver.TopicOptions{Partitions: 8})
	home := map[string]int32{}
	for n := range 40 {
		key := fmt.Sprintf("key-%d", n%5)
		r := t.appended("orders", driver.StreamMessage{Key: key, Payload: fmt.Appendf(nil, "%d", n)})[0]
		if p, known := home[key]; known && p != r.Partition {
			t.Errorf("%s went to partition %d, then to %d", key, p, r.Partition)
		}
		home[key] = r.Partition
	}
	seen := map[string]int{}
	for p := range int32(8) {
		for _, r := range t.logFrom("orders", p, 0) {
			var n int
			_, _ = fmt.Sscanf(string(r.Payload), "%d", &n)
			if n/5 != seen[r.Key] {
				t.Errorf("%s: message %d came as number %d", r.Key, n/5, seen[r.Key])
			}
			seen[r.Key]++
		}
	}
	for key, n := range seen {
		if n != 8 {
			t.Errorf("%s has %d messages, want 8", key, n)
		}
	}
}

func testPartitionSpread(t *T) {
	t.newTopic("orders", driver.TopicOptions{Partitions: 4})
	count := map[int32]int{}
	for n := range 400 {
		count[t.appended("orders", driver.StreamMessage{Key: fmt.Sprint("key-", n)})[0].Partition]++
	}
	for p := range int32(4) {
		if count[p] < 50 {
			t.Errorf("partition %d has %d of 400 keys", p, count[p])
		}
	}
}

func testPartitionNamed(t *T) {
	t.newTopic("orders", driver.TopicOptions{Partitions: 3})
	results := make([]driver.StreamResult, 2)
	messages := []driver.StreamMessage{{Key: "a"}, {Key: "b"}}
	for p := range int32(3) {
		t.must(t.set().StreamPartitioning.AppendTo(t.Ctx, t.namespace(), "orders", p, messages, results))
		if results[0].Partition != p || results[1].Partition != p || results[0].Offset != 0 || results[1].Offset != 1 {
			t.Errorf("partition %d: went to %+v", p, results)
		}
	}
	for _, p := range []int32{-1, 3} {
		err := t.set().StreamPartitioning.AppendTo(t.Ctx, t.namespace(), "orders", p, messages, results)
		t.refused(fmt.Sprintf("partition %d", p), err, prism.ReasonInvalidArgument)
	}
}

func testPartitionReopen(t *T) {
	t.newTopic("orders", driver.TopicOptions{Partitions: 16})
	before := t.appended("orders", driver.StreamMessage{Key: "a"}, driver.StreamMessage{Key: "b"})
	t.reopen()
	after := t.appended("orders", driver.StreamMessage{Key: "a"}, driver.StreamMessage{Key: "b"})
	for i := range before {
		if before[i].Partition != after[i].Partition {
			t.Errorf("key %d went to partition %d, then to %d", i, before[i].Partition, after[i].Partition)
		}
	}
}

func (t *T) offsetAt(at time.Time, want int64) {
	t.Helper()
	got, err := t.set().StreamReplay.OffsetAt(t.Ctx, t.namespace(), "orders", 0, at)
	t.must(err)
	if got != want {
		t.Errorf("OffsetAt %v is %d, want %d", at, got, want)
	}
}

func testOffsetAt(t *T) {
	t.newTopic("orders", driver.TopicOptions{Partitions: 1})
	var times []time.Time
	for range 4 {
		times = append(times, t.logLines("orders", "a")[0].Time)
		t.pass(10 * time.Second)
	}
	t.offsetAt(times[0].Add(-time.Hour), 0)
	for i, at := range times {
		t.offsetAt(at, int64(i))
		t.offsetAt(at.Add(time.Second), int64(i+1))
	}
	t.offsetAt(times[3].Add(time.Hour), 4)
	_, err := t.set().StreamReplay.OffsetAt(t.Ctx, t.namespace(), "orders", 1, times[0])
	t.refused("a partition that is not there", err, prism.ReasonInvalidArgument)
}

func testOffsetAtEmpty(t *T) {
	t.newTopic("orders", driver.TopicOptions{Partitions: 1})
	t.offsetAt(t.now().Add(-time.Hour), 0)
	t.offsetAt(t.now().Add(time.Hour), 0)
}

func testStreamRetentionAge(t *T) {
	t.newTopic("orders", driver.TopicOptions{Partitions: 1, Retention: driver.Retention{Age: time.Hour}})
	t.logLines("orders", "a", "b")
	t.pass(40 * time.Minute)
	t.logLines("orders", "c")
	t.pass(19 * time.Minute)
	t.logHolds("orders", 0, "a", "b", "c")
	t.pass(2 * time.Minute)
	t.eventually("the first two go", func() bool { return t.topicInfo("orders").Partitions[0].Earliest == 2 })
	t.logHolds("orders", 2, "c")
	t.pass(time.Hour)
	t.eventually("the last goes", func() bool { return t.topicInfo("orders").Partitions[0].Earliest == 3 })
	if r := t.logLines("orders", "d")[0]; r.Offset != 3 {
		t.Errorf("the next offset is %d, want 3", r.Offset)
	}
}

func testStreamRetentionBytes(t *T) {
	t.newTopic("orders", driver.TopicOptions{Partitions: 1, Retention: driver.Retention{Bytes: 30}})
	t.logLines("orders", "0123456789", "1123456789", "2123456789")
	t.logSpans("orders", 0, 3)
	t.logLines("orders", "3123456789")
	t.eventually("the oldest goes", func() bool { return t.topicInfo("orders").Partitions[0].Earliest == 1 })
	t.logHolds("orders", 1, "1123456789", "2123456789", "3123456789")
	if b := t.topicInfo("orders").Partitions[0].Bytes; b > 30 {
		t.Errorf("it holds %d bytes, want at most 30", b)
	}
}

func testStreamCompacted(t *T) {
	t.newTopic("orders", driver.TopicOptions{Partitions: 1})
	t.logLines("orders", "a", "b", "c")
	t.must(t.set().StreamRetention.Truncate(t.Ctx, t.namespace(), "orders", 0, 2))
	_, err := t.set().Stream.Read(t.Ctx, t.namespace(), "orders", driver.StreamRead{Offset: 1, Max: 1})
	t.refused("an offset that is gone", err, prism.ReasonCompacted)
	if e := prism.From(err); e != nil && e.Meta["earliest_offset"] != "2" {
		t.Errorf("it tells %v, want earliest_offset 2", e.Meta)
	}
}

func testSetRetention(t *T) {
	t.newTopic("orders", driver.TopicOptions{Partitions: 1})
	t.logLines("orders", "a")
	t.pass(2 * time.Hour)
	t.logLines("orders", "b")
	t.logHolds("orders", 0, "a", "b")
	t.must(t.set().StreamRetention.SetRetention(t.Ctx, t.namespace(), "orders", driver.Retention{Age: time.Hour}))
	t.eventually("the first goes", func() bool { return t.topicInfo("orders").Partitions[0].Earliest == 1 })
	if o := t.topicInfo("orders").Options; o.Retention.Age != time.Hour {
		t.Errorf("options %+v", o)
	}
	t.refused("of no topic", t.set().StreamRetention.SetRetention(t.Ctx, t.namespace(), "none", driver.Retention{}), prism.ReasonNotFound)
}

func testTruncate(t *T) {
	t.newTopic("orders", driver.TopicOptions{Partitions: 1})
	t.logLines("orders", "a", "b", "c")
	truncate := func(offset int64) error {
		return t.set().StreamRetention.Truncate(t.Ctx, t.namespace(), "orders", 0, offset)
	}
	t.must(truncate(1))
	t.logHolds("orders", 1, "b", "c")
	t.must(truncate(0)) // back is nothing
	t.logSpans("orders", 1, 3)
	t.refused("beyond the latest", truncate(4), prism.ReasonInvalidArgument)
	t.must(truncate(3))
	t.logSpans("orders", 3, 3)
	if r := t.logLines("orders", "d")[0]; r.Offset != 3 {
		t.Errorf("the next offset is %d, want 3", r.Offset)
	}
}

func testStreamRetentionReopen(t *T) {
	t.newTopic("orders", driver.TopicOptions{Partitions: 1})
	t.logLines("orders", "a", "b", "c")
	t.must(t.set().StreamRetention.SetRetention(t.Ctx, t.namespace(), "orders", driver.Retention{Age: time.Hour}))
	t.must(t.set().StreamRetention.Truncate(t.Ctx, t.namespace(), "orders", 0, 3))
	t.reopen()
	t.logSpans("orders", 3, 3)
	if o := t.topicInfo("orders").Options; o.Retention.Age != time.Hour {
		t.Errorf("options %+v", o)
	}
	if r := t.logLines("orders", "d")[0]; r.Offset != 3 {
		t.Errorf("the next offset is %d, want 3", r.Offset)
	}
}

// committedOffsets wants what a group has committed.
func (t *T) committedOffsets(group string, want ...driver.PartitionOffset) {
	t.Helper()
	got, err := t.set().StreamConsumerGroups.Committed(t.Ctx, t.namespace(), "orders", group)
	t.must(err)
	if !slices.Equal(got, want) {
		t.Errorf("group %s has %v, want %v", group, got, want)
	}
}

func (t *T) commitOffsets(group string, offsets ...driver.PartitionOffset) error {
	return t.set().StreamConsumerGroups.Commit(t.Ctx, t.namespace(), "orders", group, offsets)
}

func testGroupEmpty(t *T) {
	t.newTopic("orders", driver.TopicOptions{Partitions: 1})
	t.committedOffsets("g")
	groups, err := t.set().StreamConsumerGroups.Groups(t.Ctx, t.namespace(), "orders")
	t.must(err)
	if len(groups) != 0 {
		t.Errorf("groups %v", groups)
	}
	_, err = t.set().StreamConsumerGroups.Committed(t.Ctx, t.namespace(), "none", "g")
	t.refused("of no topic", err, prism.ReasonNotFound)
}

func testGroupCommit(t *T) {
	t.newTopic("orders", driver.TopicOptions{Partitions: 1})
	t.logLines("orders", "a", "b", "c")
	for _, offset := range []int64{2, 3, 0} {
		t.must(t.commitOffsets("g", driver.PartitionOffset{Offset: offset}))
		t.committedOffsets("g", driver.PartitionOffset{Offset: offset})
	}
}

func testGroupAtomic(t *T) {
	t.newTopic("orders", driver.TopicOptions{Partitions: 1})
	t.logLines("orders", "a", "b")
	t.must(t.commitOffsets("g", driver.PartitionOffset{Offset: 1}))
	for what, bad := range map[string]driver.PartitionOffset{
		"a partition that is not there": {Partition: 1},
		"an offset beyond the latest":   {Offset: 3},
		"a negative offset":             {Offset: -1},
	} {
		t.refused(what, t.commitOffsets("g", driver.PartitionOffset{Offset: 2}, bad), prism.ReasonInvalidArgument)
		t.committedOffsets("g", driver.PartitionOffset{Offset: 1})
	}
}

func testGroupsApart(t *T) {
	t.newTopic("orders", driver.TopicOptions{Partitions: 1})
	t.logLines("orders", "a", "b")
	t.must(t.commitOffsets("h", driver.PartitionOffset{Offset: 2}))
	t.must(t.commitOffsets("g", driver.PartitionOffset{Offset: 1}))
	t.committedOffsets("g", driver.PartitionOffset{Offset: 1})
	t.committedOffsets("h", driver.PartitionOffset{Offset: 2})
	groups, err := t.set().StreamConsumerGroups.Groups(t.Ctx, t.namespace(), "orders")
	t.must(err)
	if !slices.Equal(groups, []string{"g", "h"}) {
		t.Errorf("groups %v", groups)
	}
}

func testGroupReopen(t *T) {
	t.newTopic("orders", driver.TopicOptions{Partitions: 1})
	t.logLines("orders", "a", "b")
	t.must(t.commitOffsets("g", driver.PartitionOffset{Offset: 1}))
	t.reopen()
	t.committedOffsets("g", driver.PartitionOffset{Offset: 1})
}
