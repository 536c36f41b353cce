package memory

import (
	"context"
	"maps"
	"slices"
	"sort"
	"sync"
	"time"

	"github.com/prism-data-layer/prism/pkg/driver"
	"github.com/prism-data-layer/prism/pkg/prism"
)

var (
	_ driver.Stream               = (*streams)(nil)
	_ driver.StreamPartitioning   = (*streams)(nil)
	_ driver.StreamReplay         = (*streams)(nil)
	_ driver.StreamRetention      = (*streams)(nil)
	_ driver.StreamConsumerGroups = (*streams)(nil)
)

// streams is the store as logs. Topics are found under one lock and worked on
// under their own.
type streams struct {
	store *store

	mu     sync.RWMutex
	spaces map[prism.Namespace]map[string]*topic

	tidied int64 // when, in milliseconds; owned by the sweeper
}

func newStreams(s *store) *streams {
	return &streams{store: s, spaces: make(map[prism.Namespace]map[string]*topic)}
}

// A topic is a log in partitions.
type topic struct {
	store *store

	mu         sync.Mutex
	gone       bool // its namespace was dropped, or the store was closed
	options    driver.TopicOptions
	partitions []*partition
	groups     map[string]map[int32]int64 // the next offset to read
	receipts   receipts
	turn       int // of the partition that takes the next message without a key
}

// A partition holds records of consecutive offsets.
type partition struct {
	records []driver.StreamRecord
	first   int64 // offset of records[0], or of the next message if there is none
	bytes   int64 // of payloads
	last    int64 // time of the newest record, in milliseconds
	wake    chan struct{}
}

func (p *partition) next() int64 { return p.first + int64(len(p.records)) }

func noTopic(name string) error { return prism.NotFound("topic", name) }

func (m *streams) find(ctx context.Context, ns prism.Namespace, name string) (*topic, error) {
	if err := ctx.Err(); err != nil {
		return nil, prism.From(err)
	}
	if m.store.closed.Load() {
		return nil, m.store.unavailable()
	}
	m.mu.RLock()
	defer m.mu.RUnlock()
	t := m.spaces[ns][name]
	if t == nil {
		return nil, noTopic(name)
	}
	return t, nil
}

// with calls f with the topic's lock held.
func (m *streams) with(ctx context.Context, ns prism.Namespace, name string, f func(*topic) error) error {
	t, err := m.find(ctx, ns, name)
	if err != nil {
		return err
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.gone {
		return t.over(name)
	}
	return f(t)
}

// over is what a call meets whose topic went away under it.
func (t *topic) over(name string) error {
	if t.store.closed.Load() {
		return t.store.unavailable()
	}
	return noTopic(name)
}

// partition finds one by number.
func (t *topic) partition(n int32) (*partition, error) {
	if n < 0 || int(n) >= len(t.partitions) {
		return nil, prism.InvalidField("partition", "is not one of this topic")
	}
	return t.partitions[n], nil
}

// CreateTopic makes a topic.
func (m *streams) CreateTopic(ctx context.Context, ns prism.Namespace, name string, o driver.TopicOptions) (bool, error) {
	if err := ctx.Err(); err != nil {
		return false, prism.From(err)
	}
	o.Partitions = max(o.Partitions, 1)
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.store.closed.Load() {
		return false, m.store.unavailable()
	}
	if t := m.spaces[ns][name]; t != nil {
		t.mu.Lock()
		defer t.mu.Unlock()
		if t.options != o {
			return false, prism.New(prism.ReasonAlreadyExists, "topic %q is there with other settings", name)
		}
		return false, nil
	}
	t := &topic{store: m.store, options: o, groups: map[string]map[int32]int64{}, receipts: newReceipts(m.store.opts.Receipts)}
	for range o.Partitions {
		t.partitions = append(t.partitions, &partition{})
	}
	if m.spaces[ns] == nil {
		m.spaces[ns] = make(map[string]*topic)
	}
	m.spaces[ns][name] = t
	return true, nil
}

// Append adds messages where their keys say.
func (m *streams) Append(ctx context.Context, ns prism.Namespace, name string, messages []driver.StreamMessage, results []driver.StreamResult) error {
	return m.with(ctx, ns, name, func(t *topic) error {
		t.append(messages, results, func(key string) int32 { return t.choose(key) })
		return nil
	})
}

// AppendTo adds messages to one partition.
func (m *streams) AppendTo(ctx context.Context, ns prism.Namespace, name string, n int32, messages []driver.StreamMessage, results []driver.StreamResult) error {
	return m.with(ctx, ns, name, func(t *topic) error {
		if _, err := t.partition(n); err != nil {
			return err
		}
		t.append(messages, results, func(string) int32 { return n })
		return nil
	})
}

// choose is the partition of a key, or the next in turn without one.
func (t *topic) choose(key string) int32 {
	if key == "" {
		t.turn = (t.turn + 1) % len(t.partitions)
		return int32(t.turn)
	}
	return driver.KeyPartition(key, t.options.Partitions)
}

func (t *topic) append(messages []driver.StreamMessage, results []driver.StreamResult, choose func(key string) int32) {
	now := t.store.now() / 1e6
	for i := range messages {
		message := &messages[i]
		if !message.Receipt.IsZero() {
			if first, ok, err := t.receipts.replay(message.Receipt, now); err != nil {
				results[i] = driver.StreamResult{Err: err}
				continue
			} else if ok {
				results[i] = streamAnswer(first[0])
				continue
			}
		}
		n := choose(message.Key)
		p := t.partitions[n]
		p.last = max(p.last, now)
		r := driver.StreamRecord{
			Partition: n, Offset: p.next(), Key: message.Key,
			Payload: slices.Clone(message.Payload), Attributes: maps.Clone(message.Attributes), Time: time.UnixMilli(p.last),
		}
		p.records = append(p.records, r)
		p.bytes += int64(len(r.Payload))
		p.trim(t.options.Retention, now)
		if p.wake != nil {
			close(p.wake)
			p.wake = nil
		}
		results[i] = driver.StreamResult{Partition: n, Offset: r.Offset, Time: r.Time}
		if !message.Receipt.IsZero() {
			t.receipts.keep(message.Receipt, now, receiptOf(results[i]))
		}
	}
}

// receiptOf keeps where a message went in the fields that a receipt has. The
// value, empty, sees to it that all of them are kept.
func receiptOf(r driver.StreamResult) driver.Result {
	return driver.Result{Version: uint64(r.Offset), Number: int64(r.Partition), ExpiresAt: r.Time, Value: []byte{}}
}

func streamAnswer(r driver.Result) driver.StreamResult {
	return driver.StreamResult{Offset: int64(r.Version), Partition: int32(r.Number), Time: r.ExpiresAt, Replayed: true}
}

// trim forgets what the retention no longer covers.
func (p *partition) trim(r driver.Retention, nowMS int64) {
	n := 0
	for n < len(p.records) &&
		(r.Age > 0 && p.records[n].Time.UnixMilli() <= nowMS-r.Age.Milliseconds() || r.Bytes > 0 && p.bytes > r.Bytes) {
		p.bytes -= int64(len(p.records[n].Payload))
		n++
	}
	p.forget(n)
}

// forget drops the first n records.
func (p *partition) forget(n int) {
	clear(p.records[:n])
	p.records = p.records[n:]
	p.first += int64(n)
	if len(p.records) == 0 {
		p.records = nil
	}
}

// Read returns records, waiting for the first.
func (m *streams) Read(ctx context.Context, ns prism.Namespace, name string, q driver.StreamRead) ([]driver.StreamRecord, error) {
	var timeout <-chan time.Time
	for {
		records, wake, err := m.ready(ctx, ns, name, q)
		if err != nil || len(records) > 0 || q.Wait <= 0 {
			return records, err
		}
		if timeout == nil {
			timer := m.store.clock.NewTimer(q.Wait)
			defer timer.Stop()
			timeout = timer.C
		}
		select {
		case <-wake:
		case <-timeout:
			return nil, nil
		case <-ctx.Done():
			return nil, prism.From(ctx.Err())
		}
	}
}

// ready collects what is there, or a channel that the next message closes.
func (m *streams) ready(ctx context.Context, ns prism.Namespace, name string, q driver.StreamRead) (records []driver.StreamRecord, wake <-chan struct{}, err error) {
	err = m.with(ctx, ns, name, func(t *topic) error {
		p, err := t.partition(q.Partition)
		if err != nil {
			return err
		}
		p.trim(t.options.Retention, t.store.now()/1e6)
		switch {
		case q.Offset < p.first:
			return driver.OffsetGone(q.Offset, p.first)
		case q.Offset > p.next():
			return prism.InvalidField("offset", "is beyond the latest")
		}
		bytes := 0
		for i := int(q.Offset - p.first); i < len(p.records) && len(records) < q.Max; i++ {
			r := p.records[i]
			if bytes += len(r.Payload); q.Bytes > 0 && bytes > q.Bytes && len(records) > 0 {
				break
			}
			r.Payload, r.Attributes = slices.Clone(r.Payload), maps.Clone(r.Attributes)
			records = append(records, r)
		}
		if p.wake == nil {
			p.wake = make(chan struct{})
		}
		wake = p.wake
		return nil
	})
	return records, wake, err
}

// TopicInfo tells what the partitions hold.
func (m *streams) TopicInfo(ctx context.Context, ns prism.Namespace, name string) (info driver.TopicInfo, err error) {
	err = m.with(ctx, ns, name, func(t *topic) error {
		info.Options = t.options
		for n, p := range t.partitions {
			p.trim(t.options.Retention, t.store.now()/1e6)
			info.Partitions = append(info.Partitions, driver.PartitionInfo{Partition: int32(n), Earliest: p.first, Latest: p.next(), Bytes: p.bytes})
		}
		return nil
	})
	return info, err
}

// Topics lists the names.
func (m *streams) Topics(ctx context.Context, ns prism.Namespace) ([]string, error) {
	if err := ctx.Err(); err != nil {
		return nil, prism.From(err)
	}
	if m.store.closed.Load() {
		return nil, m.store.unavailable()
	}
	m.mu.RLock()
	defer m.mu.RUnlock()
	return slices.Sorted(maps.Keys(m.spaces[ns])), nil
}

// OffsetAt finds the first record at or after a time.
func (m *streams) OffsetAt(ctx context.Context, ns prism.Namespace, name string, n int32, at time.Time) (offset int64, err error) {
	err = m.with(ctx, ns, name, func(t *topic) error {
		p, err := t.partition(n)
		if err != nil {
			return err
		}
		p.trim(t.options.Retention, t.store.now()/1e6)
		offset = p.first + int64(sort.Search(len(p.records), func(i int) bool { return !p.records[i].Time.Before(at) }))
		return nil
	})
	return offset, err
}

// SetRetention changes how long messages are kept.
func (m *streams) SetRetention(ctx context.Context, ns prism.Namespace, name string, r driver.Retention) error {
	return m.with(ctx, ns, name, func(t *topic) error {
		t.options.Retention = r
		t.trim()
		return nil
	})
}

func (t *topic) trim() {
	for _, p := range t.partitions {
		p.trim(t.options.Retention, t.store.now()/1e6)
	}
}

// Truncate removes what is below an offset.
func (m *streams) Truncate(ctx context.Context, ns prism.Namespace, name string, n int32, offset int64) error {
	return m.with(ctx, ns, name, func(t *topic) error {
		p, err := t.partition(n)
		if err != nil {
			return err
		}
		if offset > p.next() {
			return prism.InvalidField("offset", "is beyond the latest")
		}
		if gone := int(offset - p.first); gone > 0 {
			for _, r := range p.records[:gone] {
				p.bytes -= int64(len(r.Payload))
			}
			p.forget(gone)
		}
		return nil
	})
}

// Committed lists what a group has committed.
func (m *streams) Committed(ctx context.Context, ns prism.Namespace, name, group string) (offsets []driver.PartitionOffset, err error) {
	err = m.with(ctx, ns, name, func(t *topic) error {
		for _, n := range slices.Sorted(maps.Keys(t.groups[group])) {
			offsets = append(offsets, driver.PartitionOffset{Partition: n, Offset: t.groups[group][n]})
		}
		return nil
	})
	return offsets, err
}

// Commit sets offsets of a group.
func (m *streams) Commit(ctx context.Context, ns prism.Namespace, name, group string, offsets []driver.PartitionOffset) error {
	return m.with(ctx, ns, name, func(t *topic) error {
		for _, o := range offsets {
			p, err := t.partition(o.Partition)
			if err != nil {
				return err
			}
			if o.Offset < 0 || o.Offset > p.next() {
				return prism.InvalidField("offset", "is not one of this partition")
			}
		}
		if t.groups[group] == nil {
			t.groups[group] = make(map[int32]int64)
		}
		for _, o := range offsets {
			t.groups[group][o.Partition] = o.Offset
		}
		return nil
	})
}

// Groups lists the groups that have committed anything.
func (m *streams) Groups(ctx context.Context, ns prism.Namespace, name string) (groups []string, err error) {
	err = m.with(ctx, ns, name, func(t *topic) error {
		groups = slices.Sorted(maps.Keys(t.groups))
		return nil
	})
	return groups, err
}

// drop forgets the topics of a namespace; readers that wait learn of it.
func (m *streams) drop(ns prism.Namespace) {
	m.mu.Lock()
	topics := m.spaces[ns]
	delete(m.spaces, ns)
	m.mu.Unlock()
	for _, t := range topics {
		t.release()
	}
}

// close ends all readers.
func (m *streams) close() {
	m.mu.Lock()
	spaces := m.spaces
	m.spaces = map[prism.Namespace]map[string]*topic{}
	m.mu.Unlock()
	for _, topics := range spaces {
		for _, t := range topics {
			t.release()
		}
	}
}

func (t *topic) release() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.gone = true
	for _, p := range t.partitions {
		if p.wake != nil {
			close(p.wake)
			p.wake = nil
		}
		p.records = nil
	}
	t.receipts = receipts{}
}

// usage counts messages and the bytes of their payloads.
func (m *streams) usage(ns prism.Namespace) (u driver.Usage) {
	m.eachTopic(func(of prism.Namespace, t *topic) {
		if of != ns {
			return
		}
		t.trim()
		for _, p := range t.partitions {
			u.Keys += int64(len(p.records))
			u.Bytes += p.bytes
		}
		u.Receipts += int64(t.receipts.len())
	})
	return u
}

// tidyEvery is how often the sweeper looks at topics; readers do not depend on
// it.
const tidyEvery = 1000 // milliseconds

// tidy forgets what is over; the sweeper calls it.
func (m *streams) tidy() {
	now := m.store.now() / 1e6
	if now < m.tidied+tidyEvery {
		return
	}
	m.tidied = now
	m.eachTopic(func(_ prism.Namespace, t *topic) {
		t.trim()
		t.receipts.sweep(now, 10_000)
	})
}

// eachTopic calls f with each topic, its lock held.
func (m *streams) eachTopic(f func(prism.Namespace, *topic)) {
	m.mu.RLock()
	defer m.mu.RUnlock()
	for ns, topics := range m.spaces {
		for _, t := range topics {
			t.mu.Lock()
			if !t.gone {
				f(ns, t)
			}
			t.mu.Unlock()
		}
	}
}
