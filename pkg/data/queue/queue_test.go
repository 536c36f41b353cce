package queue_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/prism-data-layer/prism/pkg/clock"
	"github.com/prism-data-layer/prism/pkg/data"
	"github.com/prism-data-layer/prism/pkg/data/queue"
	"github.com/prism-data-layer/prism/pkg/driver"
	"github.com/prism-data-layer/prism/pkg/driver/memory"
	"github.com/prism-data-layer/prism/pkg/prism"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var (
	secret = []byte("0123456789abcdef0123456789abcdef")
	start  = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
)

// A world is a store in memory whose time is in the test's hands.
type world struct {
	t     *testing.T
	set   driver.Set
	clock *clock.Fake
	*queue.Store
}

func fresh(t *testing.T, without ...string) *world {
	t.Helper()
	c := clock.NewFake(start)
	set, err := memory.Spec().Open(context.Background(), driver.Config{Name: "m", Clock: c})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := set.Store.Close(); err != nil {
			t.Error(err)
		}
	})
	w := &world{t: t, set: set.Without(without...), clock: c}
	w.restart()
	return w
}

// restart forgets what only the gateway knows.
func (w *world) restart() {
	w.Store = queue.New(w.set, "log", queue.Policy{}, data.NewSealer(secret), w.clock, new(queue.Hub), data.NewNames())
}

func (w *world) must(err error) {
	w.t.Helper()
	if err != nil {
		w.t.Fatalf("unexpected error: %v", err)
	}
}

func wants(t *testing.T, what string, err error, reason prism.Reason, fields ...string) {
	t.Helper()
	e := prism.From(err)
	if e == nil || e.Reason != reason {
		t.Errorf("%s: got %v, want %s", what, err, reason)
		return
	}
	var got []string
	for _, f := range e.Fields {
		got = append(got, f.Field)
	}
	if len(fields) > 0 && !slices.Equal(got, fields) {
		t.Errorf("%s: names the fields %v, want %v", what, got, fields)
	}
}

// topic makes one of n partitions.
func (w *world) topic(name string, n int32) {
	w.t.Helper()
	_, err := w.CreateTopic(w.t.Context(), name, queue.TopicOptions{Partitions: n})
	w.must(err)
}

func (w *world) publish(topic string, messages ...queue.Message) []queue.Result {
	w.t.Helper()
	results := make([]queue.Result, len(messages))
	w.must(w.Publish(w.t.Context(), topic, messages, results))
	return results
}

// lines publishes one message for each payload, to partition p.
func (w *world) lines(topic string, p int32, payloads ...string) {
	w.t.Helper()
	for _, text := range payloads {
		for _, r := range w.publish(topic, queue.Message{Partition: p, Payload: []byte(text)}) {
			w.must(r.Err)
		}
	}
}

// A reader is a member of group g and what it got.
type reader struct {
	*world
	*queue.Member
	partitions []int32
}

func (w *world) join(topic string, o queue.SubscribeOptions) *reader {
	w.t.Helper()
	if o.Group == "" {
		o.Group = "g"
	}
	m, err := w.Subscribe(w.t.Context(), topic, o)
	w.must(err)
	w.t.Cleanup(m.Leave)
	r := &reader{world: w, Member: m}
	r.next() // tells the partitions
	return r
}

// next is one batch; nothing for what does not come soon.
func (r *reader) next() []queue.Delivery {
	r.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	b, err := r.Member.Next(ctx)
	if err != nil {
		r.t.Fatalf("next: %v", err)
	}
	r.partitions = b.Partitions
	return b.Messages
}

// gets reads batches until it has n messages, and returns "payload/attempt".
func (r *reader) gets(n int) []string {
	r.t.Helper()
	var got []string
	for len(got) < n {
		for _, m := range r.next() {
			got = append(got, fmt.Sprintf("%s/%d", m.Payload, m.Attempt))
		}
	}
	return got
}

// nothing wants no message to be ready.
func (r *reader) nothing() {
	r.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Millisecond)
	defer cancel()
	for {
		b, err := r.Member.Next(ctx)
		if err != nil {
			if !errors.Is(err, prism.ReasonDeadlineExceeded) {
				r.t.Errorf("got %v", err)
			}
			return
		}
		for _, m := range b.Messages {
			r.t.Errorf("got message %q", m.Payload)
		}
	}
}

func (w *world) ack(topic string, ids ...string) {
	w.t.Helper()
	n, failed, err := w.Acknowledge(w.t.Context(), topic, "g", ids)
	w.must(err)
	if int(n) != len(ids) || len(failed) > 0 {
		w.t.Errorf("acknowledged %d of %v, failed %v", n, ids, failed)
	}
}

func (w *world) committed(topic string, want ...int64) {
	w.t.Helper()
	list, err := w.set.StreamConsumerGroups.Committed(w.t.Context(), "log", topic, "g")
	w.must(err)
	var got []int64
	for _, o := range list {
		got = append(got, o.Offset)
	}
	if !slices.Equal(got, want) {
		w.t.Errorf("committed %v, want %v", got, want)
	}
}

func equal(t *testing.T, what string, got []string, want ...string) {
	t.Helper()
	if !slices.Equal(got, want) {
		t.Errorf("%s: got %v, want %v", what, got, want)
	}
}

func TestAFirstMessageMakesItsTopic(t *testing.T) {
	t.Parallel()
	w := fresh(t)
	r := w.publish("orders", queue.Message{Partition: queue.AnyPartition, Key: "k", Payload: []byte("a")})
	w.must(r[0].Err)
	info, err := w.Info(t.Context(), "orders")
	w.must(err)
	if len(info.Partitions) != queue.DefaultPartitions || info.Options.Retention.Age != queue.DefaultRetention {
		t.Errorf("it is %+v", info.Options)
	}
	if _, err := w.CreateTopic(t.Context(), "orders", queue.TopicOptions{Partitions: 3}); !errors.Is(err, prism.ReasonAlreadyExists) {
		t.Errorf("made again with other settings: %v", err)
	}
}

func TestEveryWrongFieldOfAMessageIsNamedAndFailsAlone(t *testing.T) {
	t.Parallel()
	w := fresh(t)
	w.topic("orders", 2)
	many := map[string]string{}
	for i := range prism.MaxAttributes + 1 {
		many[fmt.Sprint(i)] = ""
	}
	for _, c := range []struct {
		name    string
		message queue.Message
		fields  []string
	}{
		{"payload", queue.Message{Partition: -1, Payload: make([]byte, prism.MaxValueBytes+1)}, []string{"payload"}},
		{"key", queue.Message{Partition: -1, Key: strings.Repeat("k", prism.MaxKeyBytes+1)}, []string{"key"}},
		{"key that is no text", queue.Message{Partition: -1, Key: "\xff"}, []string{"key"}},
		{"key and partition", queue.Message{Partition: 0, Key: "k"}, []string{"partition"}},
		{"negative partition", queue.Message{Partition: -2}, []string{"partition"}},
		{"no such partition", queue.Message{Partition: 2}, []string{"partition"}},
		{"attributes", queue.Message{Partition: -1, Attributes: many}, []string{"attributes"}},
		{"empty name", queue.Message{Partition: -1, Attributes: map[string]string{"": "v"}}, []string{"attributes"}},
		{"name that is no text", queue.Message{Partition: -1, Attributes: map[string]string{"\xff": "v"}}, []string{"attributes"}},
		{"all at once", queue.Message{Partition: -2, Key: "\xff", Payload: make([]byte, prism.MaxValueBytes+1), Attributes: many}, []string{"payload", "key", "attributes"}},
	} {
		results := w.publish("orders", queue.Message{Partition: 0, Payload: []byte("a")}, c.message, queue.Message{Partition: 1})
		wants(t, c.name, results[1].Err, prism.ReasonInvalidArgument, c.fields...)
		if results[0].Err != nil || results[2].Err != nil {
			t.Errorf("%s: its neighbours fail: %v, %v", c.name, results[0].Err, results[2].Err)
		}
	}
	wants(t, "topic", w.Publish(t.Context(), "A", nil, nil), prism.ReasonInvalidArgument, "topic")
	wants(t, "1001 messages", w.Publish(t.Context(), "orders", make([]queue.Message, 1001), make([]queue.Result, 1001)), prism.ReasonInvalidArgument, "messages")
}

func TestTopicSettingsAreChecked(t *testing.T) {
	t.Parallel()
	w := fresh(t)
	for field, o := range map[string]queue.TopicOptions{
		"partitions":           {Partitions: queue.MaxPartitions + 1},
		"retention.age_ms":     {Retention: queue.Retention{Age: -1}},
		"retention.size_bytes": {Retention: queue.Retention{Bytes: -1}},
	} {
		_, err := w.CreateTopic(t.Context(), "orders", o)
		wants(t, field, err, prism.ReasonInvalidArgument, field)
	}
	wants(t, "retention", w.SetRetention(t.Context(), "orders", queue.Retention{Age: -1}), prism.ReasonInvalidArgument, "retention.age_ms")
	wants(t, "no topic", w.SetRetention(t.Context(), "orders", queue.Retention{}), prism.ReasonNotFound)
	for _, name := range []string{"", "A", "a_b"} {
		_, err := w.CreateTopic(t.Context(), name, queue.TopicOptions{})
		wants(t, name, err, prism.ReasonInvalidArgument, "topic")
		_, err = w.Info(t.Context(), name)
		wants(t, name, err, prism.ReasonInvalidArgument, "topic")
		wants(t, name, w.SetRetention(t.Context(), name, queue.Retention{}), prism.ReasonInvalidArgument, "topic")
		_, err = w.Subscribe(t.Context(), name, queue.SubscribeOptions{Group: "g"})
		wants(t, name, err, prism.ReasonInvalidArgument, "topic")
	}
	w.topic("orders", 1)
	w.must(w.SetRetention(t.Context(), "orders", queue.Retention{Age: time.Hour}))
	info, err := w.Info(t.Context(), "orders")
	w.must(err)
	if info.Options.Retention.Age != time.Hour {
		t.Errorf("retention %v", info.Options.Retention)
	}
}

func TestWhatTheBackendOfALogLacksIsRefused(t *testing.T) {
	t.Parallel()
	w := fresh(t, "stream_partitioning", "stream_retention", "stream_replay", "stream_consumer_groups")
	w.must(w.publish("orders", queue.Message{Partition: queue.AnyPartition})[0].Err)
	info, err := w.Info(t.Context(), "orders")
	w.must(err)
	if len(info.Partitions) != 1 || info.Options.Retention != (queue.Retention{}) {
		t.Errorf("made %+v", info)
	}
	_, err = w.CreateTopic(t.Context(), "t", queue.TopicOptions{Partitions: 2})
	wants(t, "partitions", err, prism.ReasonCapabilityMissing)
	_, err = w.CreateTopic(t.Context(), "t", queue.TopicOptions{Retention: queue.Retention{Age: time.Hour}})
	wants(t, "retention", err, prism.ReasonCapabilityMissing)
	wants(t, "SetRetention", w.SetRetention(t.Context(), "orders", queue.Retention{}), prism.ReasonCapabilityMissing)
	wants(t, "a named partition", w.publish("orders", queue.Message{Partition: 0})[0].Err, prism.ReasonCapabilityMissing)
	_, err = w.Subscribe(t.Context(), "orders", queue.SubscribeOptions{Group: "g"})
	wants(t, "Subscribe", err, prism.ReasonCapabilityMissing)
	_, _, err = w.Acknowledge(t.Context(), "orders", "g", nil)
	wants(t, "Acknowledge", err, prism.ReasonCapabilityMissing)
	_, err = w.Groups(t.Context(), "orders")
	wants(t, "Groups", err, prism.ReasonCapabilityMissing)
	end := int64(1)
	_, err = w.Read(t.Context(), "orders", queue.ReadOptions{End: &end})
	wants(t, "a range", err, prism.ReasonCapabilityMissing)
	_, err = w.Read(t.Context(), "orders", queue.ReadOptions{Start: queue.Start{Time: start}})
	wants(t, "a time", err, prism.ReasonCapabilityMissing)

	none := fresh(t, "stream_basic")
	_, err = none.CreateTopic(t.Context(), "t", queue.TopicOptions{})
	wants(t, "CreateTopic", err, prism.ReasonCapabilityMissing)
	wants(t, "Publish", none.Publish(t.Context(), "t", nil, nil), prism.ReasonCapabilityMissing)
	_, err = none.Info(t.Context(), "t")
	wants(t, "Info", err, prism.ReasonCapabilityMissing)
	_, _, err = none.Topics(t.Context(), "dev", 0, "")
	wants(t, "Topics", err, prism.ReasonCapabilityMissing)
}

func TestAMessageWithAnIdempotencyKeyIsAppendedOnce(t *testing.T) {
	t.Parallel()
	w := fresh(t)
	w.topic("orders", 1)
	once := func(text, principal, key, retry string) queue.Message {
		m := queue.Message{Partition: queue.AnyPartition, Payload: []byte(text), Attributes: map[string]string{"a": "b"}}
		w.must(m.Once(principal, "orders", key, []byte(retry)))
		return m
	}
	first := w.publish("orders", once("a", "ann", "id", ""))[0]
	again := w.publish("orders", once("a", "ann", "id", ""))[0]
	if !again.Replayed || again.Offset != first.Offset {
		t.Errorf("got %+v, then %+v", first, again)
	}
	wants(t, "another message", w.publish("orders", once("b", "ann", "id", ""))[0].Err, prism.ReasonKeyReused)
	if r := w.publish("orders", once("a", "bob", "id", ""))[0]; r.Err != nil || r.Replayed {
		t.Errorf("another principal: %+v", r)
	}
	if r := w.publish("orders", once("a", "ann", "", "retry-00000001"))[0]; r.Err != nil || r.Replayed {
		t.Errorf("a client's own id: %+v", r)
	}
	if r := w.publish("orders", once("a", "ann", "", "retry-00000001"))[0]; !r.Replayed {
		t.Errorf("a client's own id again: %+v", r)
	}
	m := queue.Message{}
	wants(t, "a long key", m.Once("ann", "orders", strings.Repeat("k", 129), nil), prism.ReasonInvalidArgument)
}

func TestTopicsAreListedInPages(t *testing.T) {
	t.Parallel()
	w := fresh(t)
	for _, name := range []string{"c", "a", "e", "b", "d"} {
		w.topic(name, 1)
	}
	var all []string
	cursor := ""
	for range 3 {
		names, next, err := w.Topics(t.Context(), "dev", 2, cursor)
		w.must(err)
		all = append(all, names...)
		cursor = next
	}
	equal(t, "pages", all, "a", "b", "c", "d", "e")
	if cursor != "" {
		t.Error("there is more after the last page")
	}
	_, next, err := w.Topics(t.Context(), "dev", 2, "")
	w.must(err)
	_, _, err = w.Topics(t.Context(), "ann", 2, next)
	wants(t, "another's cursor", err, prism.ReasonInvalidCursor)
	_, _, err = w.Topics(t.Context(), "dev", -1, "")
	wants(t, "a negative limit", err, prism.ReasonInvalidArgument, "limit")
	if names, _, err := w.Topics(t.Context(), "dev", 0, ""); err != nil || len(names) != 5 {
		t.Errorf("the default page: %v, %v", names, err)
	}
}

func TestAReaderFollowsAPartitionFromWhereItIsTold(t *testing.T) {
	t.Parallel()
	w := fresh(t)
	w.topic("orders", 2)
	for i, text := range []string{"a", "b", "c"} {
		w.lines("orders", 1, text)
		_ = i
		w.clock.Advance(time.Minute)
	}
	offset := func(n int64) *int64 { return &n }
	read := func(o queue.ReadOptions) (got []string, r *queue.Reader) {
		o.Partition = 1
		r, err := w.Read(t.Context(), "orders", o)
		w.must(err)
		records, err := r.Next(t.Context())
		w.must(err)
		for _, m := range records {
			got = append(got, string(m.Payload))
		}
		return got, r
	}
	got, r := read(queue.ReadOptions{})
	equal(t, "from the beginning", got, "a", "b", "c")
	position := r.Position()
	got, _ = read(queue.ReadOptions{Start: queue.Start{Earliest: true}})
	equal(t, "from the earliest", got, "a", "b", "c")
	got, _ = read(queue.ReadOptions{Start: queue.Start{Latest: true}})
	equal(t, "from the latest", got)
	got, _ = read(queue.ReadOptions{Start: queue.Start{Offset: offset(1)}})
	equal(t, "from an offset", got, "b", "c")
	got, _ = read(queue.ReadOptions{Start: queue.Start{Time: start.Add(90 * time.Second)}})
	equal(t, "from a time", got, "c")
	got, r = read(queue.ReadOptions{Start: queue.Start{Offset: offset(1)}, End: offset(2)})
	equal(t, "a range", got, "b")
	if _, err := r.Next(t.Context()); !errors.Is(err, io.EOF) {
		t.Errorf("the end of the range: %v", err)
	}

	w.lines("orders", 1, "d")
	got, r = read(queue.ReadOptions{Position: position})
	equal(t, "from a position", got, "d")
	next := make(chan []queue.Record, 1)
	go func() {
		records, _ := r.Next(t.Context())
		next <- records
	}()
	w.lines("orders", 1, "e")
	if records := <-next; len(records) != 1 || string(records[0].Payload) != "e" {
		t.Errorf("what comes next is %v", records)
	}

	_, err := w.Read(t.Context(), "orders", queue.ReadOptions{Position: position + "x"})
	wants(t, "a position that was tampered with", err, prism.ReasonInvalidCursor)
	w.topic("other", 2)
	_, err = w.Read(t.Context(), "other", queue.ReadOptions{Position: position})
	wants(t, "a position of another topic", err, prism.ReasonInvalidCursor)
	for _, p := range []int32{-1, 2} {
		_, err = w.Read(t.Context(), "orders", queue.ReadOptions{Partition: p})
		wants(t, "partition", err, prism.ReasonInvalidArgument, "partition")
	}
	_, err = w.Read(t.Context(), "orders", queue.ReadOptions{Start: queue.Start{Offset: offset(-1)}})
	wants(t, "a negative offset", err, prism.ReasonInvalidArgument, "offset")
	_, err = w.Read(t.Context(), "orders", queue.ReadOptions{End: offset(-1)})
	wants(t, "a negative end", err, prism.ReasonInvalidArgument, "end_offset")
	_, err = w.Read(t.Context(), "none", queue.ReadOptions{})
	wants(t, "no topic", err, prism.ReasonNotFound)
}

func TestAGroupReadsEachMessageOnceAndGoesOnWhereItCommitted(t *testing.T) {
	t.Parallel()
	w := fresh(t)
	w.topic("orders", 1)
	w.lines("orders", 0, "a", "b", "c")
	r := w.join("orders", queue.SubscribeOptions{})
	equal(t, "first", r.gets(3), "a/1", "b/1", "c/1")
	w.ack("orders", "0-0", "0-1")
	w.committed("orders", 2)
	w.lines("orders", 0, "d")
	equal(t, "then", r.gets(1), "d/1")
	r.nothing()
	r.Leave()

	w.restart()
	r = w.join("orders", queue.SubscribeOptions{})
	equal(t, "after a restart", r.gets(2), "c/1", "d/1")
	w.ack("orders", "0-3")
	w.committed("orders", 2) // c is still open
	w.ack("orders", "0-2")
	w.committed("orders", 4)
}

func TestMembersShareThePartitionsAndTakeOverFromWhoLeaves(t *testing.T) {
	t.Parallel()
	w := fresh(t)
	w.topic("orders", 4)
	a := w.join("orders", queue.SubscribeOptions{})
	if len(a.partitions) != 4 {
		t.Fatalf("one member reads %v", a.partitions)
	}
	b := w.join("orders", queue.SubscribeOptions{})
	a.next()
	if len(a.partitions) != 2 || len(b.partitions) != 2 || slices.ContainsFunc(a.partitions, func(p int32) bool { return slices.Contains(b.partitions, p) }) {
		t.Fatalf("two members read %v and %v", a.partitions, b.partitions)
	}
	c := w.join("orders", queue.SubscribeOptions{})
	if len(c.partitions) != 1 {
		t.Errorf("the third reads %v", c.partitions)
	}
	c.Leave()

	for p := range int32(4) {
		w.lines("orders", p, fmt.Sprintf("p%d", p))
	}
	// Who has what is told before messages come.
	a.settle(2)
	b.settle(2)
	got := slices.Concat(a.gets(2), b.gets(2))
	slices.Sort(got)
	equal(t, "both", got, "p0/1", "p1/1", "p2/1", "p3/1")
	mine := slices.Clone(b.partitions)
	w.ack("orders", queue.MessageID(mine[0], 0))
	b.Leave()
	a.settle(4)
	equal(t, "what was left open", a.gets(1), fmt.Sprintf("p%d/2", mine[1]))
	a.nothing()
}

// settle reads until the member knows of n partitions; messages must not come.
func (r *reader) settle(n int) {
	r.t.Helper()
	for len(r.partitions) != n {
		if got := r.next(); len(got) > 0 {
			r.t.Fatalf("messages came while waiting for %d partitions", n)
		}
	}
}

func TestWhatWasAcknowledgedOutOfOrderIsNotSentAgain(t *testing.T) {
	t.Parallel()
	w := fresh(t)
	w.topic("orders", 1)
	w.lines("orders", 0, "a", "b", "c")
	a := w.join("orders", queue.SubscribeOptions{})
	a.gets(3)
	w.ack("orders", "0-1")
	w.committed("orders", 0)
	b := w.join("orders", queue.SubscribeOptions{}) // has no partition to read
	if len(b.partitions) != 0 {
		t.Fatalf("it reads %v", b.partitions)
	}
	a.Leave()
	b.settle(1)
	equal(t, "the next member", b.gets(2), "a/2", "c/2")
	w.ack("orders", "0-0", "0-2")
	w.committed("orders", 3)
}

func TestAcknowledgingWhatIsNotInFlightFails(t *testing.T) {
	t.Parallel()
	w := fresh(t)
	w.topic("orders", 1)
	w.lines("orders", 0, "a", "b")
	check := func(what string, wantN int64, ids ...string) {
		t.Helper()
		n, failed, err := w.Acknowledge(t.Context(), "orders", "g", ids)
		w.must(err)
		if n != wantN || len(failed) != len(ids)-int(wantN) {
			t.Errorf("%s: %d acknowledged, failed %v", what, n, failed)
		}
	}
	check("no group reads", 0, "0-0")
	r := w.join("orders", queue.SubscribeOptions{})
	r.gets(2)
	check("nonsense", 0, "", "0", "0-", "-1", "x-0", "0-x", "0-00", "+0-0", "1-0", "9999999999-0", "0-7")
	check("both, and one again", 2, "0-0", "0-1", "0-0")
	_, _, err := w.Acknowledge(t.Context(), "orders", "g", make([]string, 1001))
	wants(t, "too many", err, prism.ReasonInvalidArgument, "message_ids")
	_, _, err = w.Acknowledge(t.Context(), "orders", "G", nil)
	wants(t, "group", err, prism.ReasonInvalidArgument, "group")
}

func TestAMemberGetsNoMoreThanItMayHaveOpen(t *testing.T) {
	t.Parallel()
	w := fresh(t)
	w.topic("orders", 1)
	w.lines("orders", 0, "a", "b", "c")
	r := w.join("orders", queue.SubscribeOptions{MaxUnacknowledged: 2})
	equal(t, "two", r.gets(2), "a/1", "b/1")
	r.nothing()
	w.ack("orders", "0-0")
	equal(t, "one more", r.gets(1), "c/1")
	_, err := w.Subscribe(t.Context(), "orders", queue.SubscribeOptions{Group: "g", MaxUnacknowledged: -1})
	wants(t, "a negative bound", err, prism.ReasonInvalidArgument, "max_unacknowledged")
}

func TestAutoAcknowledgeCommitsBeforeItHandsOut(t *testing.T) {
	t.Parallel()
	w := fresh(t)
	w.topic("orders", 1)
	w.lines("orders", 0, "a", "b")
	r := w.join("orders", queue.SubscribeOptions{AutoAcknowledge: true})
	r.gets(2)
	w.committed("orders", 2)
}

func TestAGroupBeginsWhereItsFirstMemberSays(t *testing.T) {
	t.Parallel()
	w := fresh(t)
	w.topic("orders", 1)
	w.lines("orders", 0, "a")
	w.clock.Advance(time.Hour)
	w.lines("orders", 0, "b")
	one := int64(1)
	for name, s := range map[string]queue.Start{"offset": {Offset: &one}, "time": {Time: start.Add(time.Minute)}} {
		r := w.join("orders", queue.SubscribeOptions{Group: "by-" + name, Start: s})
		equal(t, name, r.gets(1), "b/1")
	}
	latest := w.join("orders", queue.SubscribeOptions{Group: "latest", Start: queue.Start{Latest: true}})
	latest.Leave() // before anything came: where it begins is decided all the same
	w.lines("orders", 0, "c")
	w.restart()
	latest = w.join("orders", queue.SubscribeOptions{Group: "latest", Start: queue.Start{Latest: true}})
	equal(t, "latest", latest.gets(1), "c/1")
	far := int64(99)
	beyond := w.join("orders", queue.SubscribeOptions{Group: "beyond", Start: queue.Start{Offset: &far}})
	w.lines("orders", 0, "d")
	equal(t, "an offset beyond the end", beyond.gets(1), "d/1")
}

func TestSeekMovesAGroupThatReads(t *testing.T) {
	t.Parallel()
	w := fresh(t)
	w.topic("orders", 1)
	w.lines("orders", 0, "a", "b", "c")
	r := w.join("orders", queue.SubscribeOptions{})
	r.gets(3)
	w.ack("orders", "0-0", "0-1", "0-2")
	at, err := w.Seek(t.Context(), "orders", "g", &queue.Start{Earliest: true}, nil)
	w.must(err)
	if !slices.Equal(at, []queue.PartitionOffset{{Partition: 0, Offset: 0}}) {
		t.Errorf("it went to %v", at)
	}
	equal(t, "all again", r.gets(3), "a/1", "b/1", "c/1")
	_, err = w.Seek(t.Context(), "orders", "g", nil, []queue.PartitionOffset{{Offset: 2}})
	w.must(err)
	equal(t, "the last again", r.gets(1), "c/1")
	w.committed("orders", 2)
	_, err = w.Seek(t.Context(), "orders", "g", &queue.Start{Latest: true}, nil)
	w.must(err)
	r.nothing()
	w.committed("orders", 3)

	_, err = w.Seek(t.Context(), "orders", "g", &queue.Start{}, []queue.PartitionOffset{{}})
	wants(t, "both", err, prism.ReasonInvalidArgument, "offsets")
	_, err = w.Seek(t.Context(), "orders", "g", nil, nil)
	wants(t, "neither", err, prism.ReasonInvalidArgument, "offsets")
	_, err = w.Seek(t.Context(), "orders", "g", nil, []queue.PartitionOffset{{Partition: 1}})
	wants(t, "no such partition", err, prism.ReasonInvalidArgument, "partition")
	_, err = w.Seek(t.Context(), "none", "g", &queue.Start{Latest: true}, nil)
	wants(t, "no such topic", err, prism.ReasonNotFound)
	_, err = w.Seek(t.Context(), "orders", "idle", &queue.Start{Latest: true}, nil)
	w.must(err) // nobody has to read
}

func TestCommitSetsOffsetsWithoutMovingWhoReads(t *testing.T) {
	t.Parallel()
	w := fresh(t)
	w.topic("orders", 1)
	w.lines("orders", 0, "a", "b", "c")
	r := w.join("orders", queue.SubscribeOptions{MaxUnacknowledged: 3})
	r.gets(3)
	w.must(w.Commit(t.Context(), "orders", "g", []queue.PartitionOffset{{Offset: 2}}))
	w.committed("orders", 2)
	w.lines("orders", 0, "d", "e")
	equal(t, "what it read before counts no more", r.gets(2), "d/1", "e/1")
	w.ack("orders", "0-2", "0-3", "0-4")
	w.committed("orders", 5)
}

func TestAGroupThatRetentionOvertookGoesOnAtTheEarliest(t *testing.T) {
	t.Parallel()
	w := fresh(t)
	w.topic("orders", 1)
	w.lines("orders", 0, "a", "b", "c")
	r := w.join("orders", queue.SubscribeOptions{})
	r.gets(3)
	r.Leave()
	w.must(w.set.StreamRetention.Truncate(t.Context(), "log", "orders", 0, 2))
	r = w.join("orders", queue.SubscribeOptions{})
	equal(t, "what is left", r.gets(1), "c/1")
	w.ack("orders", "0-2")
	w.committed("orders", 3)
}

func TestAMemberEndsWithWhatTheStoreSays(t *testing.T) {
	t.Parallel()
	w := fresh(t)
	w.topic("orders", 1)
	r := w.join("orders", queue.SubscribeOptions{})
	w.must(w.set.Store.Drop(t.Context(), "log"))
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	for {
		if _, err := r.Member.Next(ctx); err != nil {
			wants(t, "dropped", err, prism.ReasonNotFound)
			return
		}
	}
}

func TestGroupsTellTheirLag(t *testing.T) {
	t.Parallel()
	w := fresh(t)
	w.topic("orders", 2)
	w.lines("orders", 0, "a", "b")
	w.lines("orders", 1, "c")
	r := w.join("orders", queue.SubscribeOptions{})
	r.gets(3)
	w.ack("orders", "0-0")
	list, err := w.Groups(t.Context(), "orders")
	w.must(err)
	if len(list) != 1 || list[0].Name != "g" || list[0].Members != 1 || list[0].Lag != 2 || len(list[0].Committed) != 2 {
		t.Errorf("got %+v", list)
	}
	_, err = w.Groups(t.Context(), "none")
	wants(t, "no topic", err, prism.ReasonNotFound)
}

// Members come and go while messages flow: each message is worked off, and
// those of a partition in order, but for what comes again.
func TestNothingIsLostWhileMembersComeAndGo(t *testing.T) {
	t.Parallel()
	const total = 400
	w := fresh(t)
	w.topic("orders", 4)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	var mu sync.Mutex
	done := map[string]int{}
	var wg sync.WaitGroup
	work := func(messages int) {
		m, err := w.Subscribe(ctx, "orders", queue.SubscribeOptions{Group: "g", MaxUnacknowledged: 10})
		if err != nil {
			if ctx.Err() == nil { // another has worked off the last
				t.Error(err)
			}
			return
		}
		defer m.Leave()
		for n := 0; n < messages; {
			b, err := m.Next(ctx)
			if err != nil {
				return
			}
			for _, d := range b.Messages {
				if _, _, err := w.Acknowledge(ctx, "orders", "g", []string{queue.MessageID(d.Partition, d.Offset)}); err != nil && ctx.Err() == nil {
					t.Error(err)
				}
				mu.Lock()
				done[string(d.Payload)]++
				all := len(done) == total
				mu.Unlock()
				if all {
					cancel()
				}
				n++
			}
		}
	}
	for range 3 {
		wg.Go(func() {
			for ctx.Err() == nil {
				work(20)
			}
		})
	}
	for n := range total {
		w.lines("orders", int32(n%4), fmt.Sprint(n))
	}
	wg.Wait()
	if len(done) != total {
		t.Errorf("%d of %d messages were worked off", len(done), total)
	}
	list, err := w.Groups(t.Context(), "orders")
	w.must(err)
	if len(list) != 1 || list[0].Members != 0 {
		t.Errorf("afterwards: %+v", list)
	}
}
