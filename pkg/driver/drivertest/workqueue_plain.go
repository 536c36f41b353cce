package drivertest

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/prism-data-layer/prism/pkg/clock"
	"github.com/prism-data-layer/prism/pkg/driver"
	"github.com/prism-data-layer/prism/pkg/prism"
)

// PlainQueues is the harness of work queues as one would write them down: a
// slice of messages that every call looks through. It keeps the promises and
// nothing else, and RunQueueModel holds drivers against it.
func PlainQueues() Harness {
	return Harness{Name: "plain", Bounds: true, Open: func(t TB, o Options) Opened {
		t.Helper()
		now := clock.NewFake(time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC))
		p := &plain{clock: now, spaces: map[prism.Namespace]*plainSpace{}, changed: make(chan struct{}), receipts: cmp.Or(o.Receipts, driver.MaxReceipts)}
		open := func() driver.Set {
			return driver.Fill(driver.Info{Driver: "plain", Durability: "none"}, p)
		}
		return Opened{Set: open(), Clock: now, Reopen: func() driver.Set { _ = p.Close(); p.closed = false; return open() }}
	}}
}

type plain struct {
	mu       sync.Mutex
	clock    clock.Clock
	closed   bool
	seq      uint64
	receipts int
	spaces   map[prism.Namespace]*plainSpace
	changed  chan struct{} // closed at every change
}

type plainSpace struct {
	queues   map[string]*plainQueue
	receipts []plainReceipt // the oldest first
}

type plainReceipt struct {
	driver.Receipt
	ends time.Time
	id   uint64
}

type plainQueue struct {
	options  driver.QueueOptions
	messages []*plainMessage // by id
	info     driver.QueueInfo
}

type plainMessage struct {
	driver.StoredMessage
	fence uint64
	ready time.Time // when it was first ready
}

// begin finds the queue as it is now, with the lock held until end.
func (p *plain) begin(ctx context.Context, ns prism.Namespace, queue string) (q *plainQueue, now time.Time, end func(), err error) {
	if ctx.Err() != nil {
		return nil, now, func() {}, prism.From(ctx.Err())
	}
	p.mu.Lock()
	now = p.clock.Now().Truncate(time.Millisecond)
	end = func() {
		close(p.changed)
		p.changed = make(chan struct{})
		p.mu.Unlock()
	}
	if p.closed {
		return nil, now, end, prism.New(prism.ReasonBackendUnavailable, "closed")
	}
	if sp := p.spaces[ns]; sp != nil {
		q = sp.queues[queue]
	}
	if q == nil {
		return nil, now, end, prism.NotFound("queue", queue)
	}
	q.advance(now)
	return q, now, end, nil
}

func (q *plainQueue) advance(now time.Time) {
	for _, m := range q.messages {
		switch {
		case m.State == driver.QueueLater && !m.DueAt.After(now):
			m.State, m.DueAt = driver.QueueReady, time.Time{}
		case m.State == driver.QueueLeased && !m.DueAt.After(now):
			m.DueAt = time.Time{}
			if m.State = driver.QueueReady; q.last(m) {
				m.State, m.Reason = driver.QueueDead, fmt.Sprintf("not acknowledged in %d deliveries", m.Attempts)
			}
		}
	}
	for _, m := range slices.Clone(q.messages) {
		if q.options.Retention > 0 && m.State == driver.QueueReady && q.first(m) && !m.ready.Add(q.options.Retention).After(now) {
			q.remove(m)
		}
	}
}

func (q *plainQueue) last(m *plainMessage) bool {
	return q.options.MaxAttempts > 0 && m.Attempts >= q.options.MaxAttempts
}

// first reports whether no message of its key is before it: one that is
// leased, or an older one.
func (q *plainQueue) first(m *plainMessage) bool {
	return m.Key == "" || !slices.ContainsFunc(q.messages, func(o *plainMessage) bool {
		return o != m && o.Key == m.Key && (o.State == driver.QueueLeased || o.State != driver.QueueDead && o.ID < m.ID)
	})
}

// in lists the messages of a state in the order of their delivery.
func (q *plainQueue) in(state driver.QueueState) []*plainMessage {
	var list []*plainMessage
	for _, m := range q.messages {
		if m.State == state {
			list = append(list, m)
		}
	}
	slices.SortFunc(list, func(a, b *plainMessage) int {
		if state == driver.QueueReady {
			return cmp.Or(cmp.Compare(b.Priority, a.Priority), cmp.Compare(a.ID, b.ID))
		}
		return cmp.Or(a.DueAt.Compare(b.DueAt), cmp.Compare(a.ID, b.ID))
	})
	return list
}

func (p *plain) CreateQueue(ctx context.Context, ns prism.Namespace, queue string, o driver.QueueOptions) (bool, error) {
	if !prism.ValidName(queue) || o.Lease <= 0 || o.MaxAttempts < 0 || o.Retention < 0 {
		return false, prism.InvalidField("queue", "is wrong")
	}
	q, _, end, err := p.begin(ctx, ns, queue)
	defer end()
	switch {
	case err == nil && q.options != o:
		return false, prism.New(prism.ReasonAlreadyExists, "queue %q is there", queue)
	case err == nil, prism.From(err).Reason != prism.ReasonNotFound:
		return false, err
	}
	if p.spaces[ns] == nil {
		p.spaces[ns] = &plainSpace{queues: map[string]*plainQueue{}}
	}
	p.spaces[ns].queues[queue] = &plainQueue{options: o}
	return true, nil
}

func (p *plain) Publish(ctx context.Context, ns prism.Namespace, queue string, messages []driver.QueueMessage, results []driver.QueueResult) error {
	q, now, end, err := p.begin(ctx, ns, queue)
	defer end()
	if err != nil {
		return err
	}
	for i, m := range messages {
		results[i] = p.publish(p.spaces[ns], q, m, now)
	}
	return nil
}

func (p *plain) publish(sp *plainSpace, q *plainQueue, m driver.QueueMessage, now time.Time) driver.QueueResult {
	if m.Delay < 0 || m.Priority < 0 || m.Priority > driver.MaxPriority {
		return driver.QueueResult{Err: prism.InvalidField("message", "is wrong")}
	}
	sp.receipts = slices.DeleteFunc(sp.receipts, func(r plainReceipt) bool { return !r.ends.After(now) })
	if !m.Receipt.IsZero() {
		for _, r := range sp.receipts {
			if r.ID == m.Receipt.ID && r.Body != m.Receipt.Body {
				return driver.QueueResult{Err: prism.New(prism.ReasonKeyReused, "used before")}
			} else if r.ID == m.Receipt.ID {
				return driver.QueueResult{ID: r.id, Replayed: true}
			}
		}
	}
	p.seq++
	s := &plainMessage{ready: now.Add(m.Delay), StoredMessage: driver.StoredMessage{
		ID: p.seq, Key: m.Key, Payload: bytes.Clone(m.Payload), Attributes: maps.Clone(m.Attributes),
		Priority: m.Priority, State: driver.QueueReady, PublishedAt: now,
	}}
	if m.Delay > 0 {
		s.State, s.DueAt = driver.QueueLater, ceilMS(now.Add(m.Delay))
	}
	q.messages = append(q.messages, s)
	q.info.Published++
	if !m.Receipt.IsZero() {
		sp.receipts = append(sp.receipts, plainReceipt{m.Receipt, now.Add(m.Receipt.Keep), s.ID})
		bound := p.receipts
		if limit := m.Receipt.Max; limit > 0 {
			bound = min(bound, int(limit))
		}
		sp.receipts = sp.receipts[max(0, len(sp.receipts)-bound):]
	}
	return driver.QueueResult{ID: s.ID}
}

func ceilMS(t time.Time) time.Time { return t.Add(time.Millisecond - 1).Truncate(time.Millisecond) }

func (p *plain) Receive(ctx context.Context, ns prism.Namespace, queue string, r driver.QueueReceive) ([]driver.Delivery, error) {
	if r.Max < 1 || r.Bytes < 0 || r.Lease < 0 || r.Wait < 0 {
		return nil, prism.InvalidField("receive", "is wrong")
	}
	over := p.clock.Now().Add(r.Wait)
	for {
		q, now, end, err := p.begin(ctx, ns, queue)
		if err != nil {
			end()
			return nil, err
		}
		out := p.take(q, r, now)
		next, changed := over, p.changed
		for _, m := range q.messages {
			if !m.DueAt.IsZero() && m.DueAt.Before(next) {
				next = m.DueAt
			}
		}
		if len(out) > 0 || !over.After(now) {
			end()
			return out, nil
		}
		p.mu.Unlock() // nothing changed
		timer := p.clock.NewTimer(next.Sub(now))
		select {
		case <-changed:
		case <-timer.C:
		case <-ctx.Done():
		}
		timer.Stop()
	}
}

func (p *plain) take(q *plainQueue, r driver.QueueReceive, now time.Time) []driver.Delivery {
	var out []driver.Delivery
	size := 0
	for len(out) < r.Max {
		i, list := 0, q.in(driver.QueueReady)
		for i < len(list) && !q.first(list[i]) {
			i++
		}
		if i == len(list) {
			break
		}
		m := list[i]
		if size += m.size(); r.Bytes > 0 && len(out) > 0 && size > r.Bytes {
			break
		}
		p.seq++
		m.State, m.fence, m.DueAt = driver.QueueLeased, p.seq, ceilMS(now.Add(cmp.Or(r.Lease, q.options.Lease)))
		m.Attempts++
		q.info.Delivered++
		if m.Attempts > 1 {
			q.info.Redelivered++
		}
		out = append(out, driver.Delivery{
			StoredMessage: m.copy(), Until: m.DueAt, Receipt: driver.LeaseReceipt{ID: m.ID, Fence: m.fence},
		})
	}
	return out
}

func (m *plainMessage) size() int {
	return (&driver.QueueMessage{Key: m.Key, Payload: m.Payload, Attributes: m.Attributes}).Size()
}

func (m *plainMessage) copy() driver.StoredMessage {
	c := m.StoredMessage
	c.Payload, c.Attributes = bytes.Clone(c.Payload), maps.Clone(c.Attributes)
	return c
}

func (p *plain) settle(
	ctx context.Context, ns prism.Namespace, queue string, receipts []driver.LeaseReceipt, results []driver.QueueResult,
	do func(q *plainQueue, m *plainMessage, now time.Time) driver.QueueResult,
) error {
	q, now, end, err := p.begin(ctx, ns, queue)
	defer end()
	if err != nil {
		return err
	}
	for i, r := range receipts {
		at := slices.IndexFunc(q.messages, func(m *plainMessage) bool {
			return m.State == driver.QueueLeased && m.ID == r.ID && m.fence == r.Fence
		})
		if at < 0 {
			results[i] = driver.QueueResult{Err: prism.New(prism.ReasonLeaseLost, "over")}
			continue
		}
		results[i] = do(q, q.messages[at], now)
		results[i].ID = r.ID
	}
	return nil
}

func (q *plainQueue) remove(m *plainMessage) {
	q.messages = slices.DeleteFunc(q.messages, func(o *plainMessage) bool { return o == m })
}

func (p *plain) Ack(ctx context.Context, ns prism.Namespace, queue string, receipts []driver.LeaseReceipt, results []driver.QueueResult) error {
	return p.settle(ctx, ns, queue, receipts, results, func(q *plainQueue, m *plainMessage, _ time.Time) driver.QueueResult {
		q.remove(m)
		q.info.Acked++
		return driver.QueueResult{}
	})
}

func (p *plain) Extend(ctx context.Context, ns prism.Namespace, queue string, receipts []driver.LeaseReceipt, d time.Duration, results []driver.QueueResult) error {
	if d <= 0 {
		return prism.InvalidField("lease", "must be positive")
	}
	return p.settle(ctx, ns, queue, receipts, results, func(_ *plainQueue, m *plainMessage, now time.Time) driver.QueueResult {
		m.DueAt = ceilMS(now.Add(d))
		return driver.QueueResult{Until: m.DueAt}
	})
}

func (p *plain) Release(ctx context.Context, ns prism.Namespace, queue string, receipts []driver.LeaseReceipt, delay time.Duration, reason string, results []driver.QueueResult) error {
	if delay < 0 {
		return prism.InvalidField("delay", "must not be negative")
	}
	return p.settle(ctx, ns, queue, receipts, results, func(q *plainQueue, m *plainMessage, now time.Time) driver.QueueResult {
		m.Reason, m.DueAt = reason, time.Time{}
		switch {
		case q.last(m):
			m.State = driver.QueueDead
		case delay > 0:
			m.State, m.DueAt = driver.QueueLater, ceilMS(now.Add(delay))
		default:
			m.State = driver.QueueReady
		}
		return driver.QueueResult{Dead: m.State == driver.QueueDead}
	})
}

func (p *plain) Reject(ctx context.Context, ns prism.Namespace, queue string, receipts []driver.LeaseReceipt, reason string, results []driver.QueueResult) error {
	return p.settle(ctx, ns, queue, receipts, results, func(_ *plainQueue, m *plainMessage, _ time.Time) driver.QueueResult {
		m.State, m.Reason, m.DueAt = driver.QueueDead, reason, time.Time{}
		return driver.QueueResult{Dead: true}
	})
}

// named lists the dead letters with the ids, or the oldest.
func (q *plainQueue) named(ids []uint64, limit int) []*plainMessage {
	list := q.in(driver.QueueDead)
	if len(ids) > 0 {
		return slices.DeleteFunc(list, func(m *plainMessage) bool { return !slices.Contains(ids, m.ID) })
	}
	if limit > 0 && limit < len(list) {
		list = list[:limit]
	}
	return list
}

func (p *plain) Redrive(ctx context.Context, ns prism.Namespace, queue string, ids []uint64, limit int) (int64, error) {
	q, now, end, err := p.begin(ctx, ns, queue)
	defer end()
	if err != nil {
		return 0, err
	}
	list := q.named(ids, limit)
	for _, m := range list {
		m.State, m.Attempts, m.Reason, m.ready = driver.QueueReady, 0, "", now
	}
	return int64(len(list)), nil
}

func (p *plain) Purge(ctx context.Context, ns prism.Namespace, queue string, ids []uint64) (int64, error) {
	q, _, end, err := p.begin(ctx, ns, queue)
	defer end()
	if err != nil {
		return 0, err
	}
	list := q.named(ids, 0)
	for _, m := range list {
		q.remove(m)
	}
	return int64(len(list)), nil
}

func (p *plain) Peek(ctx context.Context, ns prism.Namespace, queue string, k driver.QueuePeek) (page driver.QueuePage, err error) {
	if k.Limit < 1 || k.State < driver.QueueReady || k.State > driver.QueueDead {
		return page, prism.InvalidField("peek", "is wrong")
	}
	q, _, end, err := p.begin(ctx, ns, queue)
	defer end()
	if err != nil {
		return page, err
	}
	list := q.in(k.State)
	if k.Token != nil {
		last, err := strconv.ParseUint(string(k.Token), 10, 64)
		if err != nil {
			return page, prism.New(prism.ReasonInvalidCursor, "not one of this store")
		}
		list = list[1+slices.IndexFunc(list, func(m *plainMessage) bool { return m.ID == last }):]
	}
	size := 0
	for i, m := range list {
		if size += m.size(); i == k.Limit || i > 0 && k.Bytes > 0 && size > k.Bytes {
			page.Next = strconv.AppendUint(nil, list[i-1].ID, 10)
			break
		}
		page.Messages = append(page.Messages, m.copy())
	}
	return page, nil
}

func (p *plain) Info(ctx context.Context, ns prism.Namespace, queue string) (driver.QueueInfo, error) {
	q, _, end, err := p.begin(ctx, ns, queue)
	defer end()
	if err != nil {
		return driver.QueueInfo{}, err
	}
	i := q.info
	i.Options = q.options
	for _, m := range q.messages {
		i.Bytes += int64(m.size())
		if (m.State == driver.QueueReady || m.State == driver.QueueLeased) && i.Oldest.IsZero() {
			i.Oldest = m.PublishedAt
		}
	}
	for state, n := range map[driver.QueueState]*int64{
		driver.QueueReady: &i.Ready, driver.QueueLater: &i.Delayed, driver.QueueLeased: &i.Leased, driver.QueueDead: &i.Dead,
	} {
		*n = int64(len(q.in(state)))
	}
	return i, nil
}

func (p *plain) Queues(ctx context.Context, ns prism.Namespace) ([]string, error) {
	_, _, end, err := p.begin(ctx, ns, "")
	defer end()
	if prism.From(err).Reason != prism.ReasonNotFound {
		return nil, err
	}
	if p.spaces[ns] == nil {
		return nil, nil
	}
	return slices.Sorted(maps.Keys(p.spaces[ns].queues)), nil
}

func (p *plain) Delayed(ctx context.Context, ns prism.Namespace, queue string) (int64, time.Time, error) {
	q, _, end, err := p.begin(ctx, ns, queue)
	defer end()
	if err != nil {
		return 0, time.Time{}, err
	}
	list := q.in(driver.QueueLater)
	if len(list) == 0 {
		return 0, time.Time{}, nil
	}
	return int64(len(list)), list[0].DueAt, nil
}

func (p *plain) Priorities(ctx context.Context, ns prism.Namespace, queue string) ([]int64, error) {
	q, _, end, err := p.begin(ctx, ns, queue)
	defer end()
	if err != nil {
		return nil, err
	}
	counts := make([]int64, driver.MaxPriority+1)
	for _, m := range q.in(driver.QueueReady) {
		counts[m.Priority]++
	}
	return counts, nil
}

func (p *plain) Health(context.Context) driver.Health {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return driver.Health{State: driver.Unhealthy, Message: "closed"}
	}
	return driver.Health{State: driver.Healthy}
}

func (p *plain) Usage(ctx context.Context, ns prism.Namespace) (driver.Usage, error) {
	_, _, end, err := p.begin(ctx, ns, "")
	defer end()
	if prism.From(err).Reason != prism.ReasonNotFound {
		return driver.Usage{}, err
	}
	var u driver.Usage
	if sp := p.spaces[ns]; sp != nil {
		u.Receipts = int64(len(sp.receipts))
		for _, q := range sp.queues {
			u.Keys += int64(len(q.messages))
			for _, m := range q.messages {
				u.Bytes += int64(m.size())
			}
		}
	}
	return u, nil
}

func (p *plain) Drop(ctx context.Context, ns prism.Namespace) error {
	_, _, end, err := p.begin(ctx, ns, "")
	defer end()
	if prism.From(err).Reason != prism.ReasonNotFound {
		return err
	}
	delete(p.spaces, ns)
	return nil
}

func (p *plain) Close() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.closed = true
	close(p.changed)
	p.changed = make(chan struct{})
	return nil
}
