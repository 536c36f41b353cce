package drivertest

import (
	"context"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/prism-data-layer/prism/pkg/clock"
	"github.com/prism-data-layer/prism/pkg/driver"
	"github.com/prism-data-layer/prism/pkg/prism"
)

// PlainStreams is the harness of logs as one would write them down: slices
// under one lock, tidied by every call. It keeps the promises and nothing else,
// and RunStreamModel holds drivers against it.
func PlainStreams() Harness {
	return Harness{Name: "plain", Open: func(t TB, _ Options) Opened {
		t.Helper()
		now := clock.NewFake(time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC))
		p := &plainLogs{clock: now, spaces: map[prism.Namespace]map[string]*plainLog{}, changed: make(chan struct{})}
		open := func() driver.Set {
			return driver.Fill(driver.Info{Driver: "plain", Durability: "none"}, p)
		}
		return Opened{Set: open(), Clock: now, Reopen: func() driver.Set { _ = p.Close(); p.closed = false; return open() }}
	}}
}

type plainLogs struct {
	mu      sync.Mutex
	clock   clock.Clock
	closed  bool
	spaces  map[prism.Namespace]map[string]*plainLog
	changed chan struct{} // closed at every change
}

type plainLog struct {
	options    driver.TopicOptions
	partitions []plainPartition
	groups     map[string]map[int32]int64
	receipts   []plainAppended
	turn       int
}

type plainPartition struct {
	earliest int64
	records  []driver.StreamRecord
}

type plainAppended struct {
	driver.Receipt
	ends   time.Time
	answer driver.StreamResult
}

func (q *plainPartition) latest() int64 { return q.earliest + int64(len(q.records)) }

func (q *plainPartition) bytes() (n int64) {
	for _, r := range q.records {
		n += int64(len(r.Payload))
	}
	return n
}

func (q *plainPartition) forget(n int) {
	q.records = q.records[n:]
	q.earliest += int64(n)
}

// call runs f with the lock held and what is over taken away.
func (p *plainLogs) call(ctx context.Context, f func(now time.Time) error) error {
	if ctx.Err() != nil {
		return prism.From(ctx.Err())
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return prism.New(prism.ReasonBackendUnavailable, "closed")
	}
	now := p.clock.Now().Truncate(time.Millisecond)
	p.tidy(now)
	err := f(now)
	p.tidy(now)
	return err
}

func (p *plainLogs) tidy(now time.Time) {
	for _, logs := range p.spaces {
		for _, l := range logs {
			r := l.options.Retention
			for i := range l.partitions {
				q := &l.partitions[i]
				for len(q.records) > 0 && (r.Age > 0 && !q.records[0].Time.Add(r.Age).After(now) || r.Bytes > 0 && q.bytes() > r.Bytes) {
					q.forget(1)
				}
			}
		}
	}
}

func (p *plainLogs) wake() {
	close(p.changed)
	p.changed = make(chan struct{})
}

// with finds a topic.
func (p *plainLogs) with(ctx context.Context, ns prism.Namespace, topic string, f func(l *plainLog, now time.Time) error) error {
	return p.call(ctx, func(now time.Time) error {
		l := p.spaces[ns][topic]
		if l == nil {
			return prism.NotFound("topic", topic)
		}
		return f(l, now)
	})
}

// in finds a partition.
func (p *plainLogs) in(ctx context.Context, ns prism.Namespace, topic string, n int32, f func(l *plainLog, q *plainPartition, now time.Time) error) error {
	return p.with(ctx, ns, topic, func(l *plainLog, now time.Time) error {
		if n < 0 || int(n) >= len(l.partitions) {
			return prism.InvalidField("partition", "is not there")
		}
		return f(l, &l.partitions[n], now)
	})
}

func (p *plainLogs) CreateTopic(ctx context.Context, ns prism.Namespace, topic string, o driver.TopicOptions) (created bool, err error) {
	err = p.call(ctx, func(time.Time) error {
		if l := p.spaces[ns][topic]; l != nil {
			if l.options != o {
				return prism.New(prism.ReasonAlreadyExists, "topic %q is there", topic)
			}
			return nil
		}
		if p.spaces[ns] == nil {
			p.spaces[ns] = map[string]*plainLog{}
		}
		p.spaces[ns][topic] = &plainLog{options: o, partitions: make([]plainPartition, o.Partitions), groups: map[string]map[int32]int64{}}
		created = true
		return nil
	})
	return created, err
}

func (p *plainLogs) Append(ctx context.Context, ns prism.Namespace, topic string, messages []driver.StreamMessage, results []driver.StreamResult) error {
	return p.with(ctx, ns, topic, func(l *plainLog, now time.Time) error {
		for i, m := range messages {
			n := int32(l.turn % len(l.partitions))
			if m.Key != "" {
				n = driver.KeyPartition(m.Key, l.options.Partitions)
			}
			results[i] = l.append(n, m, now)
		}
		p.wake()
		return nil
	})
}

func (p *plainLogs) AppendTo(ctx context.Context, ns prism.Namespace, topic string, n int32, messages []driver.StreamMessage, results []driver.StreamResult) error {
	return p.in(ctx, ns, topic, n, func(l *plainLog, _ *plainPartition, now time.Time) error {
		for i, m := range messages {
			results[i] = l.append(n, m, now)
		}
		p.wake()
		return nil
	})
}

func (l *plainLog) append(n int32, m driver.StreamMessage, now time.Time) driver.StreamResult {
	if !m.Receipt.IsZero() {
		l.receipts = slices.DeleteFunc(l.receipts, func(r plainAppended) bool { return !r.ends.After(now) })
		for _, r := range l.receipts {
			if r.ID == m.Receipt.ID && r.Body != m.Receipt.Body {
				return driver.StreamResult{Err: prism.New(prism.ReasonKeyReused, "the key was used before")}
			} else if r.ID == m.Receipt.ID {
				r.answer.Replayed = true
				return r.answer
			}
		}
	}
	q := &l.partitions[n]
	r := driver.StreamResult{Partition: n, Offset: q.latest(), Time: now}
	q.records = append(q.records, driver.StreamRecord{
		Partition: n, Offset: r.Offset, Key: m.Key, Payload: slices.Clone(m.Payload), Attributes: maps.Clone(m.Attributes), Time: now,
	})
	l.turn++
	if !m.Receipt.IsZero() {
		l.receipts = append(l.receipts, plainAppended{m.Receipt, now.Add(m.Receipt.Keep), r})
	}
	return r
}

func (p *plainLogs) Read(ctx context.Context, ns prism.Namespace, topic string, s driver.StreamRead) ([]driver.StreamRecord, error) {
	for end := p.clock.Now().Add(s.Wait); ; {
		records, changed, err := p.read(ctx, ns, topic, s)
		if err != nil || len(records) > 0 || !p.clock.Now().Before(end) {
			return records, err
		}
		select {
		case <-changed:
		case <-time.After(time.Millisecond): // the clock may have moved
		case <-ctx.Done():
		}
	}
}

func (p *plainLogs) read(ctx context.Context, ns prism.Namespace, topic string, s driver.StreamRead) (records []driver.StreamRecord, changed <-chan struct{}, err error) {
	err = p.in(ctx, ns, topic, s.Partition, func(_ *plainLog, q *plainPartition, _ time.Time) error {
		changed = p.changed
		switch {
		case s.Offset < q.earliest:
			return driver.OffsetGone(s.Offset, q.earliest)
		case s.Offset > q.latest():
			return prism.InvalidField("offset", "is beyond the latest")
		}
		bytes := 0
		for _, r := range q.records[s.Offset-q.earliest:] {
			if bytes += len(r.Payload); len(records) == s.Max || s.Bytes > 0 && len(records) > 0 && bytes > s.Bytes {
				break
			}
			r.Payload, r.Attributes = slices.Clone(r.Payload), maps.Clone(r.Attributes)
			records = append(records, r)
		}
		return nil
	})
	return records, changed, err
}

func (p *plainLogs) TopicInfo(ctx context.Context, ns prism.Namespace, topic string) (info driver.TopicInfo, err error) {
	err = p.with(ctx, ns, topic, func(l *plainLog, _ time.Time) error {
		info.Options = l.options
		for n := range l.partitions {
			q := &l.partitions[n]
			info.Partitions = append(info.Partitions, driver.PartitionInfo{Partition: int32(n), Earliest: q.earliest, Latest: q.latest(), Bytes: q.bytes()})
		}
		return nil
	})
	return info, err
}

func (p *plainLogs) Topics(ctx context.Context, ns prism.Namespace) (names []string, err error) {
	err = p.call(ctx, func(time.Time) error {
		names = slices.Sorted(maps.Keys(p.spaces[ns]))
		return nil
	})
	return names, err
}

func (p *plainLogs) OffsetAt(ctx context.Context, ns prism.Namespace, topic string, n int32, at time.Time) (offset int64, err error) {
	err = p.in(ctx, ns, topic, n, func(_ *plainLog, q *plainPartition, _ time.Time) error {
		for offset = q.earliest; offset < q.latest() && q.records[offset-q.earliest].Time.Before(at); {
			offset++
		}
		return nil
	})
	return offset, err
}

func (p *plainLogs) SetRetention(ctx context.Context, ns prism.Namespace, topic string, r driver.Retention) error {
	return p.with(ctx, ns, topic, func(l *plainLog, _ time.Time) error {
		l.options.Retention = r
		return nil
	})
}

func (p *plainLogs) Truncate(ctx context.Context, ns prism.Namespace, topic string, n int32, offset int64) error {
	return p.in(ctx, ns, topic, n, func(_ *plainLog, q *plainPartition, _ time.Time) error {
		if offset > q.latest() {
			return prism.InvalidField("offset", "is beyond the latest")
		}
		q.forget(int(max(offset-q.earliest, 0)))
		return nil
	})
}

func (p *plainLogs) Committed(ctx context.Context, ns prism.Namespace, topic, group string) (offsets []driver.PartitionOffset, err error) {
	err = p.with(ctx, ns, topic, func(l *plainLog, _ time.Time) error {
		for _, n := range slices.Sorted(maps.Keys(l.groups[group])) {
			offsets = append(offsets, driver.PartitionOffset{Partition: n, Offset: l.groups[group][n]})
		}
		return nil
	})
	return offsets, err
}

func (p *plainLogs) Commit(ctx context.Context, ns prism.Namespace, topic, group string, offsets []driver.PartitionOffset) error {
	return p.with(ctx, ns, topic, func(l *plainLog, _ time.Time) error {
		for _, o := range offsets {
			if o.Partition < 0 || int(o.Partition) >= len(l.partitions) || o.Offset < 0 || o.Offset > l.partitions[o.Partition].latest() {
				return prism.InvalidField("offsets", "are not all there")
			}
		}
		for _, o := range offsets {
			if l.groups[group] == nil {
				l.groups[group] = map[int32]int64{}
			}
			l.groups[group][o.Partition] = o.Offset
		}
		return nil
	})
}

func (p *plainLogs) Groups(ctx context.Context, ns prism.Namespace, topic string) (names []string, err error) {
	err = p.with(ctx, ns, topic, func(l *plainLog, _ time.Time) error {
		names = slices.Sorted(maps.Keys(l.groups))
		return nil
	})
	return names, err
}

func (p *plainLogs) Health(ctx context.Context) driver.Health {
	if err := p.call(ctx, func(time.Time) error { return nil }); err != nil {
		return driver.Health{State: driver.Unhealthy, Message: err.Error()}
	}
	return driver.Health{State: driver.Healthy}
}

func (p *plainLogs) Usage(ctx context.Context, ns prism.Namespace) (u driver.Usage, err error) {
	err = p.call(ctx, func(time.Time) error {
		for _, l := range p.spaces[ns] {
			u.Receipts += int64(len(l.receipts))
			for i := range l.partitions {
				u.Keys += int64(len(l.partitions[i].records))
				u.Bytes += l.partitions[i].bytes()
			}
		}
		return nil
	})
	return u, err
}

func (p *plainLogs) Drop(ctx context.Context, ns prism.Namespace) error {
	return p.call(ctx, func(time.Time) error {
		delete(p.spaces, ns)
		p.wake()
		return nil
	})
}

func (p *plainLogs) Close() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.closed = true
	p.wake()
	return nil
}
