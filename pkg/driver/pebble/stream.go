package pebble

import (
	"context"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prism-data-layer/prism/pkg/driver"
	"github.com/prism-data-layer/prism/pkg/prism"
)

// streams is the store as logs. What is appended goes through the committer
// with everything else. Readers see what is synced: what topics hold is known
// to the committer as it builds, and to everyone else after the sync.
type streams struct {
	*store
	over atomic.Bool // a partition holds much more than its retention

	drafts map[topicName]*topic // the committer's own

	mu     sync.RWMutex
	spaces map[prism.Namespace]map[string]*topic // as synced
}

var (
	_ driver.Stream               = (*streams)(nil)
	_ driver.StreamPartitioning   = (*streams)(nil)
	_ driver.StreamReplay         = (*streams)(nil)
	_ driver.StreamRetention      = (*streams)(nil)
	_ driver.StreamConsumerGroups = (*streams)(nil)
)

type topicName struct {
	ns   prism.Namespace
	name string
}

// A topic is a log in partitions.
type topic struct {
	topicName
	damaged    error // what is known of it cannot be read
	partitions []partition
	gone       atomic.Bool // it was dropped

	// The committer's own.
	draft   driver.TopicOptions
	dropped bool
	turn    int // of the partition that took the last message without a key

	mu      sync.Mutex
	options driver.TopicOptions
	groups  map[string]map[int32]int64 // the next offset to read
}

// A partition holds messages of consecutive offsets.
type partition struct {
	topic  *topic
	number int32

	// The committer's own.
	draft extent
	grown int // the place in the present group's grown, if it is there

	mu      sync.Mutex
	extent  extent // as synced
	changed signal

	oldest oldest // the sweeper's own
}

// An extent is what a partition holds: offsets from floor up to, not
// including, next.
type extent struct {
	floor, next int64
	base, bytes int64 // of payloads that were ever put before floor and next
	stamp       int64 // of the last message, Unix milliseconds
}

func newStreams(s *store) *streams {
	return &streams{store: s, drafts: map[topicName]*topic{}, spaces: map[prism.Namespace]map[string]*topic{}}
}

func newTopic(id topicName, o driver.TopicOptions) *topic {
	t := &topic{topicName: id, partitions: make([]partition, o.Partitions), draft: o, options: o, groups: map[string]map[int32]int64{}}
	for n := range t.partitions {
		t.partitions[n].topic, t.partitions[n].number = t, int32(n)
	}
	return t
}

func noTopic(name string) error { return prism.NotFound("topic", name) }

// synced is what everyone may see of the partition.
func (p *partition) synced() extent {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.extent
}

// set is how the topic is set, as synced.
func (t *topic) set() driver.TopicOptions {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.options
}

func (t *topic) partition(n int32) (*partition, error) {
	if n < 0 || int(n) >= len(t.partitions) {
		return nil, prism.InvalidField("partition", "is not one of this topic")
	}
	return &t.partitions[n], nil
}

// within calls f as a call on the store.
func (m *streams) within(ctx context.Context, f func() error) error {
	if err := m.enter(); err != nil {
		return err
	}
	defer m.leave()
	if err := ctx.Err(); err != nil {
		return prism.From(err)
	}
	return classify(m.name, f())
}

// with calls f with a topic.
func (m *streams) with(ctx context.Context, ns prism.Namespace, name string, f func(*topic) error) error {
	return m.within(ctx, func() error {
		t := m.find(ns, name)
		if t == nil {
			return noTopic(name)
		}
		if t.damaged != nil {
			return t.damaged
		}
		return f(t)
	})
}

// withPartition calls f with a partition of a topic.
func (m *streams) withPartition(ctx context.Context, ns prism.Namespace, name string, n int32, f func(*partition) error) error {
	return m.with(ctx, ns, name, func(t *topic) error {
		p, err := t.partition(n)
		if err != nil {
			return err
		}
		return f(p)
	})
}

func (m *streams) find(ns prism.Namespace, name string) *topic {
	m.mu.RLock()
	defer m.mu.RUnlock()
	return m.spaces[ns][name]
}

// list is the topics of a namespace, or of all.
func (m *streams) list(in func(prism.Namespace) bool) (list []*topic) {
	m.mu.RLock()
	defer m.mu.RUnlock()
	for ns, topics := range m.spaces {
		if in(ns) {
			list = slices.AppendSeq(list, maps.Values(topics))
		}
	}
	return list
}

// CreateTopic makes a topic.
func (m *streams) CreateTopic(ctx context.Context, ns prism.Namespace, name string, o driver.TopicOptions) (created bool, err error) {
	o.Partitions = max(o.Partitions, 1)
	if o.Partitions > maxPartitions {
		return false, prism.InvalidField("partitions", "are too many")
	}
	err = m.within(ctx, func() error {
		if t := m.find(ns, name); t != nil {
			return sameTopic(t, t.set(), o)
		}
		return m.share(ctx, func(g *group) (err error) {
			created, err = m.create(g, topicName{ns, name}, o)
			return err
		})
	})
	return created && err == nil, err
}

// sameTopic refuses to make a topic that is there, set otherwise.
func sameTopic(t *topic, is, want driver.TopicOptions) error {
	switch {
	case t.damaged != nil:
		return t.damaged
	case is != want:
		return prism.New(prism.ReasonAlreadyExists, "topic %q is there with other settings", t.name)
	}
	return nil
}

// Append adds messages where their keys say.
func (m *streams) Append(ctx context.Context, ns prism.Namespace, name string, messages []driver.StreamMessage, results []driver.StreamResult) error {
	return m.with(ctx, ns, name, func(t *topic) error {
		return m.share(ctx, func(g *group) error { return t.append(g, nil, messages, results) })
	})
}

// AppendTo adds messages to one partition.
func (m *streams) AppendTo(ctx context.Context, ns prism.Namespace, name string, n int32, messages []driver.StreamMessage, results []driver.StreamResult) error {
	return m.withPartition(ctx, ns, name, n, func(p *partition) error {
		return m.share(ctx, func(g *group) error { return p.topic.append(g, p, messages, results) })
	})
}

// TopicInfo tells what the partitions hold.
func (m *streams) TopicInfo(ctx context.Context, ns prism.Namespace, name string) (info driver.TopicInfo, err error) {
	err = m.with(ctx, ns, name, func(t *topic) error {
		info.Options = t.set()
		info.Partitions = make([]driver.PartitionInfo, len(t.partitions))
		for n := range t.partitions {
			e := t.partitions[n].synced()
			info.Partitions[n] = driver.PartitionInfo{Partition: int32(n), Earliest: e.floor, Latest: e.next, Bytes: e.bytes - e.base}
		}
		return nil
	})
	return info, err
}

// Topics lists the names.
func (m *streams) Topics(ctx context.Context, ns prism.Namespace) (names []string, err error) {
	err = m.within(ctx, func() error {
		m.mu.RLock()
		defer m.mu.RUnlock()
		names = slices.Sorted(maps.Keys(m.spaces[ns]))
		return nil
	})
	return names, err
}

// Read returns records, waiting for the first.
func (m *streams) Read(ctx context.Context, ns prism.Namespace, name string, q driver.StreamRead) (records []driver.StreamRecord, err error) {
	err = m.withPartition(ctx, ns, name, q.Partition, func(p *partition) error {
		records, err = m.await(ctx, p, q)
		return err
	})
	return records, err
}

// OffsetAt finds the first record at or after a time.
func (m *streams) OffsetAt(ctx context.Context, ns prism.Namespace, name string, n int32, at time.Time) (offset int64, err error) {
	err = m.withPartition(ctx, ns, name, n, func(p *partition) error {
		found, err := m.search(p, func(s place) bool { return !time.UnixMilli(s.stamp).Before(at) })
		offset = found.offset
		return err
	})
	return offset, err
}

// SetRetention changes how long messages are kept; the sweeper looks at once.
func (m *streams) SetRetention(ctx context.Context, ns prism.Namespace, name string, r driver.Retention) error {
	return m.with(ctx, ns, name, func(t *topic) error {
		if err := m.share(ctx, func(g *group) error { return t.retain(g, r) }); err != nil {
			return err
		}
		m.over.Store(true)
		m.wakeSweeper()
		return nil
	})
}

// Truncate removes what is below an offset.
func (m *streams) Truncate(ctx context.Context, ns prism.Namespace, name string, n int32, offset int64) error {
	return m.withPartition(ctx, ns, name, n, func(p *partition) error {
		switch e := p.synced(); {
		case offset > e.next:
			return prism.InvalidField("offset", "is beyond the latest")
		case offset <= e.floor:
			return nil
		}
		to, err := m.search(p, func(s place) bool { return s.offset >= offset })
		if err != nil {
			return err
		}
		to.offset = offset // whatever could not be read
		return m.share(ctx, func(g *group) error { return p.raise(g, to) })
	})
}

// Committed lists what a group has committed.
func (m *streams) Committed(ctx context.Context, ns prism.Namespace, name, group string) (offsets []driver.PartitionOffset, err error) {
	err = m.with(ctx, ns, name, func(t *topic) error {
		t.mu.Lock()
		defer t.mu.Unlock()
		for _, n := range slices.Sorted(maps.Keys(t.groups[group])) {
			offsets = append(offsets, driver.PartitionOffset{Partition: n, Offset: t.groups[group][n]})
		}
		return nil
	})
	return offsets, err
}

// Commit sets offsets of a group.
func (m *streams) Commit(ctx context.Context, ns prism.Namespace, name, by string, offsets []driver.PartitionOffset) error {
	return m.with(ctx, ns, name, func(t *topic) error {
		return m.share(ctx, func(g *group) error { return t.commit(g, by, offsets) })
	})
}

// Groups lists the groups that have committed anything.
func (m *streams) Groups(ctx context.Context, ns prism.Namespace, name string) (groups []string, err error) {
	err = m.with(ctx, ns, name, func(t *topic) error {
		t.mu.Lock()
		defer t.mu.Unlock()
		groups = slices.Sorted(maps.Keys(t.groups))
		return nil
	})
	return groups, err
}

// usage counts messages and the bytes of their payloads.
func (m *streams) usage(ns prism.Namespace) (u driver.Usage) {
	for _, t := range m.list(func(of prism.Namespace) bool { return of == ns }) {
		for n := range t.partitions {
			e := t.partitions[n].synced()
			u.Keys += e.next - e.floor
			u.Bytes += e.bytes - e.base
		}
	}
	return u
}
