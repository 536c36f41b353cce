package drivertest

import (
	"context"
	"crypto/sha256"
	"fmt"
	"reflect"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/prism-data-layer/prism/pkg/driver"
	"github.com/prism-data-layer/prism/pkg/prism"
)

// RunStreamModel drives the logs of two stores through the same random calls
// and compares every answer, offsets and times included. They need all stream
// capabilities and exact bytes. Where time cannot be moved on both, none passes. A store that can
// reopen does so now and then; where only one can, the other goes on.
func RunStreamModel(t *testing.T, a, b Harness) {
	t.Helper()
	defer rapidFlags(t)()
	rapid.Check(t, func(r *rapid.T) {
		m := &streamModel{T: r, ctx: context.Background(), ns: modelNamespace()}
		for i, h := range []Harness{a, b} {
			m.side[i] = &streamSide{name: h.Name, opened: h.Open(modelTB{r}, Options{})}
		}
		m.time = newModelTime(a, b, m.side[0].opened, m.side[1].opened)
		m.begin()
		r.Repeat(map[string]func(*rapid.T){
			"append": m.append, "append again": m.append, "append to": m.appendTo, "read": m.read, "read again": m.read,
			"commit": m.commit, "truncate": m.truncate, "retain": m.retain, "offset at": m.offsetAt,
			"pass": m.pass, "reopen": m.reopen, "drop": m.drop, "create": m.create, "": func(*rapid.T) {},
		})
		m.compareAll()
	})
}

type streamModel struct {
	*rapid.T
	ctx  context.Context
	ns   prism.Namespace
	side [2]*streamSide
	time *modelTime
}

type streamSide struct {
	name   string
	opened Opened
}

var (
	modelTopics       = []string{"one", "three"}
	modelTopicOptions = map[string]driver.TopicOptions{
		"one":   {Partitions: 1},
		"three": {Partitions: 3, Retention: driver.Retention{Age: 100_000 * time.Hour}},
	}
)

func (m *streamModel) begin() {
	for _, topic := range modelTopics {
		m.both("create "+topic, func(_ int, s *driver.Set) (any, error) {
			return s.Stream.CreateTopic(m.ctx, m.ns, topic, modelTopicOptions[topic])
		})
	}
}

// both makes a call on both sides. Their errors must have one reason, and say
// the same about what is left; without one their answers must be equal.
func (m *streamModel) both(what string, call func(i int, s *driver.Set) (any, error)) (same any, ok bool) {
	m.time.tick()
	var got [2]any
	var errs [2]error
	for i, s := range m.side {
		got[i], errs[i] = call(i, &s.opened.Set)
	}
	a, b := prism.From(errs[0]), prism.From(errs[1])
	switch {
	case (a == nil) != (b == nil), a != nil && (a.Reason != b.Reason || a.Meta["earliest_offset"] != b.Meta["earliest_offset"]):
		m.Fatalf("%s: %s says %v, %s %v", what, m.side[0].name, errs[0], m.side[1].name, errs[1])
	case a == nil && !reflect.DeepEqual(got[0], got[1]):
		m.Fatalf("%s: %s gives\n%+v\n%s\n%+v", what, m.side[0].name, got[0], m.side[1].name, got[1])
	}
	return got[0], a == nil
}

func (m *streamModel) topic(r *rapid.T) string {
	return rapid.SampledFrom(modelTopics).Draw(r, "topic")
}

// part draws a partition, mostly one that is there.
func (m *streamModel) part(r *rapid.T) int32 {
	return rapid.SampledFrom([]int32{0, 0, 0, 1, 2, 3, -1}).Draw(r, "partition")
}

func (m *streamModel) offset(r *rapid.T, name string) int64 {
	return rapid.Int64Range(-1, 30).Draw(r, name)
}

func (m *streamModel) messages(r *rapid.T, topic string) (list []driver.StreamMessage) {
	keys := []string{"a", "b", "c", "d"}
	if topic == "one" { // elsewhere a message without a key goes where the store likes
		keys = append(keys, "", "")
	}
	for range rapid.IntRange(1, 4).Draw(r, "messages") {
		w := driver.StreamMessage{
			Key:     rapid.SampledFrom(keys).Draw(r, "key"),
			Payload: []byte(rapid.SampledFrom([]string{"", "x", "word", "0123456789", string(make([]byte, 70_000))}).Draw(r, "payload")),
		}
		switch rapid.IntRange(0, 3).Draw(r, "attributes") {
		case 0:
			w.Attributes = map[string]string{"n": w.Key}
		case 1:
			w.Attributes = map[string]string{"n": w.Key, "": "x", "m": ""}
		}
		if id := rapid.IntRange(-20, 10).Draw(r, "receipt"); id > 0 {
			sum := sha256.Sum256(fmt.Appendf(nil, "%s %+v", topic, w))
			w.Receipt = driver.Receipt{
				ID: [16]byte{byte(id), topic[0]}, Body: [16]byte(sum[:16]),
				Keep: rapid.SampledFrom(m.time.seconds(10, 86400)).Draw(r, "keep"),
			}
		}
		list = append(list, w)
	}
	return list
}

// appended compares results one by one: each may be an error of its own.
func (m *streamModel) appended(what, topic string, n int, call func(*driver.Set, []driver.StreamResult) error) {
	answers, ok := m.both(what, func(i int, s *driver.Set) (any, error) {
		results := make([]driver.StreamResult, n)
		err := call(s, results)
		plain := make([]string, n)
		for n, r := range results {
			plain[n] = fmt.Sprint(r.Partition, r.Offset, m.time.at(i, r.Time).UnixMilli(), r.Replayed)
			if r.Err != nil {
				plain[n] = string(prism.From(r.Err).Reason)
			}
		}
		return plain, err
	})
	m.Logf("%s %s: %v %v", what, topic, answers, ok)
	m.settle()
}

func (m *streamModel) append(r *rapid.T) {
	topic := m.topic(r)
	messages := m.messages(r, topic)
	m.appended("append", topic, len(messages), func(s *driver.Set, results []driver.StreamResult) error {
		return s.Stream.Append(m.ctx, m.ns, topic, messages, results)
	})
}

func (m *streamModel) appendTo(r *rapid.T) {
	topic, n := m.topic(r), m.part(r)
	messages := m.messages(r, topic)
	m.appended(fmt.Sprint("append to ", n), topic, len(messages), func(s *driver.Set, results []driver.StreamResult) error {
		return s.StreamPartitioning.AppendTo(m.ctx, m.ns, topic, n, messages, results)
	})
}

// records reads, with everything in a form that can be compared.
func (m *streamModel) records(i int, s *driver.Set, topic string, q driver.StreamRead) (any, error) {
	list, err := s.Stream.Read(m.ctx, m.ns, topic, q)
	plain := make([]string, len(list))
	for n, r := range list {
		plain[n] = fmt.Sprintf("%d %d %d %q %q %x", r.Partition, r.Offset, m.time.at(i, r.Time).UnixMilli(), r.Key, fmt.Sprint(r.Attributes), sha256.Sum256(r.Payload))
	}
	return plain, err
}

func (m *streamModel) read(r *rapid.T) {
	topic := m.topic(r)
	q := driver.StreamRead{
		Partition: m.part(r), Offset: m.offset(r, "offset"),
		Max:   rapid.SampledFrom([]int{1, 2, 5, 100}).Draw(r, "max"),
		Bytes: rapid.SampledFrom([]int{0, 0, 1, 10, 80_000}).Draw(r, "bytes"),
	}
	m.both(fmt.Sprintf("read %s %+v", topic, q), func(i int, s *driver.Set) (any, error) { return m.records(i, s, topic, q) })
}

func (m *streamModel) commit(r *rapid.T) {
	topic, group := m.topic(r), rapid.SampledFrom([]string{"g", "h", "g\x00\x00"}).Draw(r, "group")
	var offsets []driver.PartitionOffset
	for range rapid.IntRange(1, 3).Draw(r, "offsets") {
		offsets = append(offsets, driver.PartitionOffset{Partition: m.part(r), Offset: m.offset(r, "offset")})
	}
	m.both(fmt.Sprintf("commit %s %s %v", topic, group, offsets), func(_ int, s *driver.Set) (any, error) {
		return nil, s.StreamConsumerGroups.Commit(m.ctx, m.ns, topic, group, offsets)
	})
}

func (m *streamModel) truncate(r *rapid.T) {
	topic, n, offset := m.topic(r), m.part(r), m.offset(r, "offset")
	m.both(fmt.Sprintf("truncate %s %d to %d", topic, n, offset), func(_ int, s *driver.Set) (any, error) {
		return nil, s.StreamRetention.Truncate(m.ctx, m.ns, topic, n, offset)
	})
}

func (m *streamModel) retain(r *rapid.T) {
	topic := m.topic(r)
	retention := driver.Retention{
		Age:   rapid.SampledFrom(m.time.seconds(0, 3600, 600)).Draw(r, "age"),
		Bytes: rapid.SampledFrom([]int64{0, 5, 100, 100_000}).Draw(r, "bytes"),
	}
	m.both(fmt.Sprintf("retain %s %+v", topic, retention), func(_ int, s *driver.Set) (any, error) {
		return nil, s.StreamRetention.SetRetention(m.ctx, m.ns, topic, retention)
	})
	m.settle()
}

func (m *streamModel) offsetAt(r *rapid.T) {
	topic, n := m.topic(r), m.part(r)
	back := rapid.SampledFrom(m.time.seconds(0, 0.001, 3, 60, 2700)).Draw(r, "back")
	if rapid.IntRange(0, 5).Draw(r, "ahead") == 0 {
		back = -back
	}
	m.both(fmt.Sprintf("offset of %s %d %v ago", topic, n, back), func(i int, s *driver.Set) (any, error) {
		return s.StreamReplay.OffsetAt(m.ctx, m.ns, topic, n, m.time.now(i).Add(-back))
	})
}

func (m *streamModel) pass(r *rapid.T) {
	m.time.pass(rapid.SampledFrom(m.time.seconds(0.001, 3, 480, 2400)).Draw(r, "time"))
	m.settle()
}

// settle waits until both have taken away what retention says; they may be late
// with it, by less than a minute.
func (m *streamModel) settle() {
	for begin, passed := time.Now(), time.Duration(0); ; {
		var infos [2][]driver.TopicInfo
		for i, s := range m.side {
			for _, topic := range modelTopics {
				info, err := s.opened.Set.Stream.TopicInfo(m.ctx, m.ns, topic)
				if err != nil {
					m.Fatalf("%s: info of %s: %v", s.name, topic, err)
				}
				infos[i] = append(infos[i], info)
			}
		}
		if reflect.DeepEqual(infos[0], infos[1]) {
			return
		}
		if time.Since(begin) > 20*time.Second {
			m.Fatalf("%s holds\n%+v\n%s, after %v of its time,\n%+v", m.side[0].name, infos[0], m.side[1].name, passed, infos[1])
		}
		if passed < 50*time.Second && !m.time.loose {
			m.time.pass(time.Second)
			passed += time.Second
		}
		time.Sleep(100 * time.Microsecond)
	}
}

func (m *streamModel) reopen(r *rapid.T) {
	if rapid.IntRange(0, 3).Draw(r, "restart") != 0 {
		return
	}
	m.compareAll()
	for _, s := range m.side {
		if s.opened.Reopen != nil {
			s.opened.Set = s.opened.Reopen()
		}
	}
	m.compareAll()
}

func (m *streamModel) drop(r *rapid.T) {
	if rapid.IntRange(0, 9).Draw(r, "drop") != 0 {
		return
	}
	m.both("drop", func(_ int, s *driver.Set) (any, error) { return nil, s.Store.Drop(m.ctx, m.ns) })
	m.both("topics", func(_ int, s *driver.Set) (any, error) { return m.topics(s) })
	m.begin()
	m.compareAll()
}

func (m *streamModel) create(r *rapid.T) {
	topic := m.topic(r)
	o := driver.TopicOptions{Partitions: rapid.SampledFrom([]int32{1, 3}).Draw(r, "partitions")}
	m.both(fmt.Sprintf("create %s %+v", topic, o), func(_ int, s *driver.Set) (any, error) { return s.Stream.CreateTopic(m.ctx, m.ns, topic, o) })
}

func (m *streamModel) topics(s *driver.Set) (any, error) {
	names, err := s.Stream.Topics(m.ctx, m.ns)
	return fmt.Sprint(names), err
}

// compareAll compares everything that the logs hold.
func (m *streamModel) compareAll() {
	m.settle()
	m.both("topics", func(_ int, s *driver.Set) (any, error) { return m.topics(s) })
	m.both("usage", func(_ int, s *driver.Set) (any, error) {
		u, err := s.Store.Usage(m.ctx, m.ns)
		return u.Keys, err // bytes may be estimates
	})
	for _, topic := range modelTopics {
		info, ok := m.both("info", func(_ int, s *driver.Set) (any, error) { return s.Stream.TopicInfo(m.ctx, m.ns, topic) })
		if !ok {
			return
		}
		for _, p := range info.(driver.TopicInfo).Partitions {
			q := driver.StreamRead{Partition: p.Partition, Offset: p.Earliest, Max: 1000}
			m.both(fmt.Sprint("all of ", topic), func(i int, s *driver.Set) (any, error) { return m.records(i, s, topic, q) })
		}
		m.both("groups", func(_ int, s *driver.Set) (any, error) { return m.groups(s, topic) })
	}
}

// groups is all that the groups of a topic have committed.
func (m *streamModel) groups(s *driver.Set, topic string) (any, error) {
	names, err := s.StreamConsumerGroups.Groups(m.ctx, m.ns, topic)
	if err != nil {
		return nil, err
	}
	all := map[string]string{}
	for _, name := range names {
		offsets, err := s.StreamConsumerGroups.Committed(m.ctx, m.ns, topic, name)
		if err != nil {
			return nil, err
		}
		all[name] = fmt.Sprint(offsets)
	}
	return all, nil
}
