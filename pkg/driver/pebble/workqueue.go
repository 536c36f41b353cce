package pebble

import (
	"bytes"
	"cmp"
	"context"
	"encoding/binary"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"github.com/cockroachdb/pebble/v2"

	"github.com/prism-data-layer/prism/pkg/driver"
	"github.com/prism-data-layer/prism/pkg/driver/lease"
	"github.com/prism-data-layer/prism/pkg/prism"
)

var (
	_ driver.Queue           = (*workQueues)(nil)
	_ driver.QueueVisibility = (*workQueues)(nil)
	_ driver.QueueDelayed    = (*workQueues)(nil)
	_ driver.QueuePriority   = (*workQueues)(nil)
	_ driver.QueueDeadLetter = (*workQueues)(nil)
)

// workQueues is the work queues of a store. Their order is in memory, 32 bytes
// for a message, and made anew when the store opens; messages and what became
// of them are on disk. What time alone does is not written: that a message is
// due or a lease has passed follows from what is there.
type workQueues struct {
	s    *store
	jobs jobQueue

	mu       sync.Mutex // of what follows; never held over a write
	engine   *lease.Engine
	receipts map[prism.Namespace]*queueReceipts
	group    *queueGroup // that is being built
	seq      uint64      // the last number given out, to a message, a lease or a receipt
	reserved uint64      // durable with whatever was given a number up to it
	alarm    int64       // when the alarm loop wakes
	ended    error       // what is answered to everyone

	applying atomic.Bool // pebble is at work on a group
	groups   chan *queueGroup
	poke     chan struct{} // the alarm must ring sooner
	workers  sync.WaitGroup
	ringer   sync.WaitGroup
}

func newWorkQueues(s *store) *workQueues {
	w := &workQueues{
		s: s, engine: lease.New(), receipts: make(map[prism.Namespace]*queueReceipts),
		groups: make(chan *queueGroup), poke: make(chan struct{}, 1), alarm: lease.Never,
	}
	w.jobs.wake = make(chan struct{}, 1)
	w.engine.Removed = func(q *lease.Queue, s lease.Slot, id uint64) { w.group.erase(q, id, q.Size(s)) }
	w.engine.Awake = func(q *lease.Queue) { w.group.serve(q) }
	return w
}

func (w *workQueues) start() {
	w.workers.Add(2)
	go func() { defer w.workers.Done(); w.commitLoop() }()
	go func() { defer w.workers.Done(); w.syncLoop() }()
	w.ringer.Add(1)
	go func() { defer w.ringer.Done(); w.alarmLoop() }()
}

// stop ends the workers, after all calls.
func (w *workQueues) stop() {
	w.jobs.close()
	soon(w.s.failed, w.workers.Wait)
}

// queueNumbersKey holds the number up to which they may have been given out.
var queueNumbersKey = []byte{kindStore, 1}

func appendNumber(dst []byte, n uint64) []byte { return binary.BigEndian.AppendUint64(dst, n) }

func (w *workQueues) number() uint64 {
	w.seq++
	return w.seq
}

// find is the queue as it is now.
func (g *queueGroup) find(ns prism.Namespace, queue string) (*lease.Queue, error) {
	q := g.w.engine.Find(lease.Name{Namespace: ns, Queue: queue})
	if q == nil {
		return nil, prism.NotFound("queue", queue)
	}
	q.Advance(g.nowMs)
	g.serve(q)
	return q, nil
}

// serve gives what is ready to those who wait for it.
func (g *queueGroup) serve(q *lease.Queue) {
	for q.Waiting.Len() > 0 && q.Ready() {
		at := q.Waiting.First()
		q.Waiting.Remove(at)
		j := at.Value.(*queueJob)
		j.parked = nil
		g.take(q, j)
		g.jobs = append(g.jobs, j)
	}
}

// A leasedMessage is what a Receive got; the message itself is read when the
// lease is durable.
type leasedMessage struct {
	lease.Leased
	priority int
	until    int64
	reason   string
}

// take leases messages.
func (g *queueGroup) take(q *lease.Queue, j *queueJob) {
	d := j.receive.Lease
	if d == 0 {
		d = q.Options.Lease
	}
	until := g.after(d)
	for _, l := range q.Lease(j.receive.Max, j.receive.Bytes, until, g.w.number) {
		s := workState{state: driver.QueueLeased, attempts: l.Attempts, at: until, fence: l.Fence, born: q.Born(l.Slot)}
		if l.Attempts > 1 {
			s.reason = g.reason(q, l.ID)
		}
		g.putState(q, l.ID, s)
		j.leased = append(j.leased, leasedMessage{l, q.Priority(l.Slot), until, s.reason})
	}
}

func (g *queueGroup) putState(q *lease.Queue, id uint64, s workState) {
	g.reasons[id] = s.reason
	g.key = appendMessageKey(g.key[:0], q.Namespace, queuePartState, q.Queue, id)
	g.buf = s.append(g.buf[:0])
	g.set(g.key, g.buf)
}

// reason is why a message was last released.
func (g *queueGroup) reason(q *lease.Queue, id uint64) string {
	if r, ok := g.reasons[id]; ok {
		return r
	}
	s, err := g.w.readState(q.Name, id)
	if err != nil {
		return ""
	}
	return s.reason
}

// erase removes a message and all that belongs to it.
func (g *queueGroup) erase(q *lease.Queue, id uint64, size int) {
	parts := []byte{queuePartMessage, queuePartState, queuePartPayload}
	if size <= inlinePayload {
		parts = parts[:2]
	}
	for _, part := range parts {
		g.key = appendMessageKey(g.key[:0], q.Namespace, part, q.Queue, id)
		g.delete(g.key)
	}
}

func (w *workQueues) CreateQueue(ctx context.Context, ns prism.Namespace, queue string, o driver.QueueOptions) (created bool, err error) {
	if err := lease.CheckQueue(queue, o); err != nil {
		return false, err
	}
	err = w.do(ctx, &queueJob{size: 100, work: func(g *queueGroup) error {
		if q := w.engine.Find(lease.Name{Namespace: ns, Queue: queue}); q != nil {
			return q.Same(o)
		}
		created = true
		w.engine.Make(lease.Name{Namespace: ns, Queue: queue}, o)
		g.key = appendSettingsKey(g.key[:0], ns, queue)
		g.buf = appendSettings(g.buf[:0], o)
		g.set(g.key, g.buf)
		return nil
	}})
	return created && err == nil, err
}

// recordOverhead is about what a message adds to the log beside its bytes.
const recordOverhead = 150

func (w *workQueues) Publish(ctx context.Context, ns prism.Namespace, queue string, messages []driver.QueueMessage, results []driver.QueueResult) error {
	size := 0
	for i := range messages {
		size += messages[i].Size() + recordOverhead
	}
	return w.do(ctx, &queueJob{size: size, work: func(g *queueGroup) error {
		q, err := g.find(ns, queue)
		if err != nil {
			return err
		}
		for i := range messages {
			id, replayed, err := g.publish(q, &messages[i])
			results[i] = driver.QueueResult{ID: id, Replayed: replayed, Err: classify(w.s.name, err)}
		}
		g.serve(q)
		return nil
	}})
}

func (g *queueGroup) publish(q *lease.Queue, m *driver.QueueMessage) (id uint64, replayed bool, err error) {
	if err := lease.CheckMessage(m); err != nil {
		return 0, false, err
	}
	if !m.Receipt.IsZero() {
		if id, replayed, err = g.replay(q.Namespace, m.Receipt); err != nil || replayed {
			return id, replayed, err
		}
	}
	at := g.nowMs
	r := workMessage{published: g.nowMs, priority: m.Priority, size: m.Size(), key: m.Key, attributes: m.Attributes, payload: m.Payload}
	if m.Delay > 0 {
		at = g.after(m.Delay)
		r.due = at
	}
	id = g.w.number()
	if r.size > inlinePayload {
		r.large, r.payload = true, nil
		g.key = appendMessageKey(g.key[:0], q.Namespace, queuePartPayload, q.Queue, id)
		g.buf = append(append(g.buf[:0], make([]byte, sealSize)...), m.Payload...)
		g.set(g.key, g.buf)
	}
	g.key = appendMessageKey(g.key[:0], q.Namespace, queuePartMessage, q.Queue, id)
	g.buf = r.append(g.buf[:0])
	g.set(g.key, g.buf)
	q.Add(lease.Fresh(m, id, g.nowMs, at))
	q.Published++
	if !m.Receipt.IsZero() {
		err = g.keep(q.Namespace, m.Receipt, id)
	}
	return id, false, err
}

func (w *workQueues) Receive(ctx context.Context, ns prism.Namespace, queue string, r driver.QueueReceive) ([]driver.Delivery, error) {
	if err := lease.CheckReceive(r); err != nil {
		return nil, err
	}
	j := &queueJob{frees: true, receive: r}
	j.work = func(g *queueGroup) error {
		q, err := g.find(ns, queue)
		if err != nil {
			return err
		}
		// Whoever waits was served by find: what is left is for us.
		if g.take(q, j); len(j.leased) == 0 && r.Wait > 0 && !j.over {
			j.queue, j.parked = q, q.Waiting.Add(j)
		}
		return nil
	}
	if err := w.do(ctx, j); err != nil {
		return nil, err
	}
	out := make([]driver.Delivery, 0, len(j.leased))
	read, done, err := w.reader(lease.Name{Namespace: ns, Queue: queue}, len(j.leased))
	if err != nil {
		return nil, classify(w.s.name, err)
	}
	defer done()
	for _, l := range j.leased {
		m, err := read(l.ID)
		if err != nil {
			// Gone: its lease has passed, and another was faster. Damaged: it
			// cannot be served, and becomes a dead letter in time.
			continue
		}
		s := m.stored(l.ID, driver.QueueLeased, l.priority, l.Attempts, l.until)
		s.Reason = l.reason
		out = append(out, driver.Delivery{
			StoredMessage: s, Receipt: driver.LeaseReceipt{ID: l.ID, Fence: l.Fence}, Until: time.UnixMilli(l.until),
		})
	}
	return out, nil
}

func (m *workMessage) stored(id uint64, state driver.QueueState, priority, attempts int, at int64) driver.StoredMessage {
	s := driver.StoredMessage{
		ID: id, Key: m.key, Payload: m.payload, Attributes: m.attributes, Priority: priority, Attempts: attempts,
		State: state, PublishedAt: time.UnixMilli(m.published),
	}
	if at != 0 {
		s.DueAt = time.UnixMilli(at)
	}
	return s
}

// record reads a record of a message and hands it to parse.
func (w *workQueues) record(n lease.Name, part byte, id uint64, parse func(keySum uint32, record []byte) error) error {
	key := appendMessageKey(nil, n.Namespace, part, n.Queue, id)
	v, closer, err := w.s.db.Get(key)
	if err != nil {
		return err
	}
	err = parse(keySum(key), v)
	if errors.Is(err, errChecksum) || errors.Is(err, errRecord) {
		w.s.damage.Add(1)
		w.s.log.Error("a message is damaged and is not served", "namespace", string(n.Namespace), "queue", n.Queue, "id", id, "error", err)
	}
	return errors.Join(err, closer.Close())
}

// read reads a message with its payload.
func (w *workQueues) read(n lease.Name, id uint64) (m workMessage, err error) {
	if err = w.record(n, queuePartMessage, id, func(sum uint32, record []byte) (err error) {
		m, err = parseMessage(sum, record)
		m.payload = bytes.Clone(m.payload)
		return err
	}); err != nil || !m.large {
		return m, err
	}
	return m, w.record(n, queuePartPayload, id, func(sum uint32, record []byte) error {
		b, err := unseal(sum, record)
		m.payload = bytes.Clone(b)
		return err
	})
}

// manyMessages is from how many on walking costs less than looking up each.
const manyMessages = 4

// reader reads n messages of a queue, most of them one after the other.
func (w *workQueues) reader(n lease.Name, many int) (read func(id uint64) (workMessage, error), done func(), err error) {
	if many < manyMessages {
		return func(id uint64) (workMessage, error) { return w.read(n, id) }, func() {}, nil
	}
	key := appendMessageKey(nil, n.Namespace, queuePartMessage, n.Queue, 0)
	prefix := len(key) - 8
	it, err := w.s.db.NewIter(&pebble.IterOptions{LowerBound: key[:prefix], UpperBound: successor(bytes.Clone(key[:prefix]), 0)})
	if err != nil {
		return nil, nil, err
	}
	key = bytes.Clone(key)
	return func(id uint64) (workMessage, error) {
		binary.BigEndian.PutUint64(key[prefix:], id)
		if !it.SeekGE(key) || !bytes.Equal(it.Key(), key) {
			return workMessage{}, cmp.Or(it.Error(), pebble.ErrNotFound)
		}
		m, err := parseMessage(keySum(key), it.Value())
		if err != nil || m.large {
			return w.read(n, id) // which tells of damage
		}
		m.payload = bytes.Clone(m.payload)
		return m, nil
	}, func() { _ = it.Close() }, nil
}

func (w *workQueues) readState(n lease.Name, id uint64) (s workState, err error) {
	err = w.record(n, queuePartState, id, func(sum uint32, record []byte) (err error) {
		s, err = parseState(sum, record)
		return err
	})
	return s, err
}

// settle does one thing with each lease that is not over.
func (w *workQueues) settle(
	ctx context.Context, ns prism.Namespace, queue string, receipts []driver.LeaseReceipt, results []driver.QueueResult,
	do func(g *queueGroup, q *lease.Queue, s lease.Slot, id uint64) driver.QueueResult,
) error {
	return w.do(ctx, &queueJob{frees: true, work: func(g *queueGroup) error {
		q, err := g.find(ns, queue)
		if err != nil {
			return err
		}
		for i, l := range receipts {
			s, err := q.Held(l)
			if err != nil {
				results[i] = driver.QueueResult{Err: err}
				continue
			}
			results[i] = do(g, q, s, l.ID)
			results[i].ID = l.ID
		}
		g.serve(q)
		return nil
	}})
}

func (w *workQueues) Ack(ctx context.Context, ns prism.Namespace, queue string, receipts []driver.LeaseReceipt, results []driver.QueueResult) error {
	return w.settle(ctx, ns, queue, receipts, results, func(g *queueGroup, q *lease.Queue, s lease.Slot, id uint64) driver.QueueResult {
		g.erase(q, id, q.Size(s))
		q.Ack(s)
		return driver.QueueResult{}
	})
}

func (w *workQueues) Extend(ctx context.Context, ns prism.Namespace, queue string, receipts []driver.LeaseReceipt, d time.Duration, results []driver.QueueResult) error {
	if d <= 0 {
		return prism.InvalidField("lease", "must be positive")
	}
	return w.settle(ctx, ns, queue, receipts, results, func(g *queueGroup, q *lease.Queue, s lease.Slot, id uint64) driver.QueueResult {
		until := g.after(d)
		q.Extend(s, until)
		state := workState{state: driver.QueueLeased, attempts: q.Attempts(s), at: until, fence: q.Fence(s), born: q.Born(s)}
		if state.attempts > 1 {
			state.reason = g.reason(q, id)
		}
		g.putState(q, id, state)
		return driver.QueueResult{Until: time.UnixMilli(until)}
	})
}

func (w *workQueues) Release(ctx context.Context, ns prism.Namespace, queue string, receipts []driver.LeaseReceipt, delay time.Duration, reason string, results []driver.QueueResult) error {
	if delay < 0 {
		return prism.InvalidField("delay", "must not be negative")
	}
	return w.settle(ctx, ns, queue, receipts, results, func(g *queueGroup, q *lease.Queue, s lease.Slot, id uint64) driver.QueueResult {
		if q.Last(s) {
			return g.bury(q, s, id, reason)
		}
		at := g.nowMs
		if delay > 0 {
			at = g.after(delay)
		}
		state := workState{state: driver.QueueReady, attempts: q.Attempts(s), born: q.Born(s), reason: reason}
		if at > g.nowMs {
			state.state, state.at = driver.QueueLater, at
		}
		q.Release(s, g.nowMs, at)
		g.putState(q, id, state)
		return driver.QueueResult{}
	})
}

// bury makes a dead letter of a leased message.
func (g *queueGroup) bury(q *lease.Queue, s lease.Slot, id uint64, reason string) driver.QueueResult {
	g.putState(q, id, workState{state: driver.QueueDead, attempts: q.Attempts(s), born: q.Born(s), reason: reason})
	q.Kill(s)
	return driver.QueueResult{Dead: true}
}

func (w *workQueues) Reject(ctx context.Context, ns prism.Namespace, queue string, receipts []driver.LeaseReceipt, reason string, results []driver.QueueResult) error {
	return w.settle(ctx, ns, queue, receipts, results, func(g *queueGroup, q *lease.Queue, s lease.Slot, id uint64) driver.QueueResult {
		return g.bury(q, s, id, reason)
	})
}
