package memory

import (
	"bytes"
	"container/list"
	"context"
	"maps"
	"sync"
	"time"

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

// workQueues is the work queues of a store, under one lock: a call holds it for
// about a microsecond, whatever waits.
type workQueues struct {
	store *store

	mu       sync.Mutex
	closed   bool
	engine   *lease.Engine
	bodies   []*body // by slot
	receipts map[prism.Namespace]*receipts
	seq      uint64 // of ids and fences; begins as versions do
}

// A body is what the engine does not keep of a message. Nothing in it changes
// but the reason, so a reader copies outside the lock.
type body struct {
	key        string
	payload    []byte
	attributes map[string]string
	published  int64 // store time, milliseconds
	reason     string
}

// A waiter is a Receive that found nothing. done is closed when it has got what
// it takes, or why it gets nothing.
type waiter struct {
	q    driver.QueueReceive
	out  []driver.Delivery
	err  error
	done chan struct{}
}

func newWorkQueues(s *store) *workQueues {
	w := &workQueues{
		store: s, engine: lease.New(), seq: uint64(s.opened.UnixMicro()),
		receipts: make(map[prism.Namespace]*receipts),
	}
	w.engine.Removed = func(_ *lease.Queue, s lease.Slot, _ uint64) { w.bodies[s] = nil }
	w.engine.Died = func(q *lease.Queue, s lease.Slot, _ uint64) { w.bodies[s].reason = q.Passed(s) }
	w.engine.Awake = func(q *lease.Queue) { w.serve(q) }
	return w
}

func (w *workQueues) next() uint64 {
	w.seq++
	return w.seq
}

func (w *workQueues) nowMS() int64 { return w.store.now() / 1e6 }

// enter takes the lock; leave gives it back and has the sweeper come when the
// next message is due.
func (w *workQueues) enter(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return prism.From(err)
	}
	w.mu.Lock()
	if w.closed {
		w.mu.Unlock()
		return w.store.unavailable()
	}
	return nil
}

func (w *workQueues) leave() {
	w.store.due(w.engine.Next())
	w.mu.Unlock()
}

// find enters, and finds the queue as it is now.
func (w *workQueues) find(ctx context.Context, ns prism.Namespace, queue string) (q *lease.Queue, now int64, err error) {
	if err := w.enter(ctx); err != nil {
		return nil, 0, err
	}
	if q = w.engine.Find(lease.Name{Namespace: ns, Queue: queue}); q == nil {
		w.leave()
		return nil, 0, prism.NotFound("queue", queue)
	}
	now = w.nowMS()
	q.Advance(now)
	w.serve(q)
	return q, now, nil
}

// serve gives what is ready to those who wait for it.
func (w *workQueues) serve(q *lease.Queue) {
	for q.Waiting.Len() > 0 && q.Ready() {
		at := q.Waiting.First()
		q.Waiting.Remove(at)
		wait := at.Value.(*waiter)
		wait.out = w.take(q, wait.q, w.nowMS())
		close(wait.done)
	}
}

// tidy is the sweeper's work.
func (w *workQueues) tidy() {
	for more := true; more; {
		w.mu.Lock()
		more = w.engine.Ring(w.nowMS(), 100)
		for _, r := range w.receipts {
			r.sweep(w.nowMS(), 100)
		}
		w.leave()
	}
}

func (w *workQueues) CreateQueue(ctx context.Context, ns prism.Namespace, queue string, o driver.QueueOptions) (bool, error) {
	if err := lease.CheckQueue(queue, o); err != nil {
		return false, err
	}
	if err := w.enter(ctx); err != nil {
		return false, err
	}
	defer w.leave()
	if q := w.engine.Find(lease.Name{Namespace: ns, Queue: queue}); q != nil {
		return false, q.Same(o)
	}
	w.engine.Make(lease.Name{Namespace: ns, Queue: queue}, o)
	return true, nil
}

func (w *workQueues) Publish(ctx context.Context, ns prism.Namespace, queue string, messages []driver.QueueMessage, results []driver.QueueResult) error {
	q, now, err := w.find(ctx, ns, queue)
	if err != nil {
		return err
	}
	defer w.leave()
	for i := range messages {
		results[i] = w.publish(q, &messages[i], now)
	}
	w.serve(q)
	return nil
}

func (w *workQueues) publish(q *lease.Queue, m *driver.QueueMessage, now int64) driver.QueueResult {
	if err := lease.CheckMessage(m); err != nil {
		return driver.QueueResult{Err: err}
	}
	r := w.receiptsOf(q.Namespace)
	if !m.Receipt.IsZero() {
		if first, ok, err := r.replay(m.Receipt, now); err != nil {
			return driver.QueueResult{Err: err}
		} else if ok {
			return driver.QueueResult{ID: first[0].Version, Replayed: true}
		}
	}
	at := now
	if m.Delay > 0 {
		at = deadline(w.store.now(), m.Delay)
	}
	id := w.next()
	q.Published++
	s := q.Add(lease.Fresh(m, id, now, at))
	w.put(s, &body{key: m.Key, payload: clone(m.Payload), attributes: maps.Clone(m.Attributes), published: now})
	if !m.Receipt.IsZero() {
		r.keep(m.Receipt, now, driver.Result{Version: id})
	}
	return driver.QueueResult{ID: id}
}

func (w *workQueues) receiptsOf(ns prism.Namespace) *receipts {
	r := w.receipts[ns]
	if r == nil {
		made := newReceipts(w.store.opts.Receipts)
		r = &made
		w.receipts[ns] = r
	}
	return r
}

func (w *workQueues) put(s lease.Slot, b *body) {
	for int(s) >= len(w.bodies) {
		w.bodies = append(w.bodies, nil)
	}
	w.bodies[s] = b
}

// take leases messages; their payloads are still the store's.
func (w *workQueues) take(q *lease.Queue, r driver.QueueReceive, now int64) []driver.Delivery {
	d := r.Lease
	if d == 0 {
		d = q.Options.Lease
	}
	until := deadline(w.store.now(), d)
	leased := q.Lease(r.Max, r.Bytes, until, w.next)
	out := make([]driver.Delivery, len(leased))
	for i, l := range leased {
		out[i] = driver.Delivery{
			StoredMessage: w.stored(l.Slot, l.ID, driver.QueueLeased, q.Priority(l.Slot), l.Attempts, until),
			Receipt:       driver.LeaseReceipt{ID: l.ID, Fence: l.Fence},
			Until:         w.store.shown(until),
		}
	}
	return out
}

func (w *workQueues) stored(s lease.Slot, id uint64, state driver.QueueState, priority, attempts int, at int64) driver.StoredMessage {
	b := w.bodies[s]
	return driver.StoredMessage{
		ID: id, Key: b.key, Payload: b.payload, Attributes: b.attributes, Priority: priority, Attempts: attempts,
		State: state, PublishedAt: w.store.shown(b.published), DueAt: w.store.shown(at), Reason: b.reason,
	}
}

// detach makes a message the caller's.
func detach(m *driver.StoredMessage) {
	m.Payload, m.Attributes = bytes.Clone(m.Payload), maps.Clone(m.Attributes)
}

func owned(out []driver.Delivery) []driver.Delivery {
	for i := range out {
		detach(&out[i].StoredMessage)
	}
	return out
}

func (w *workQueues) Receive(ctx context.Context, ns prism.Namespace, queue string, r driver.QueueReceive) ([]driver.Delivery, error) {
	if err := lease.CheckReceive(r); err != nil {
		return nil, err
	}
	q, now, err := w.find(ctx, ns, queue)
	if err != nil {
		return nil, err
	}
	// Whoever waits was served by find: what is left is for us.
	out := w.take(q, r, now)
	if len(out) > 0 || r.Wait == 0 {
		w.leave()
		return owned(out), nil
	}
	wait := &waiter{q: r, done: make(chan struct{})}
	at := q.Waiting.Add(wait)
	w.leave()
	return w.await(ctx, q, wait, at)
}

func (w *workQueues) await(ctx context.Context, q *lease.Queue, wait *waiter, at *list.Element) ([]driver.Delivery, error) {
	timer := w.store.clock.NewTimer(wait.q.Wait)
	defer timer.Stop()
	var ended error
	select {
	case <-wait.done:
		return owned(wait.out), wait.err
	case <-timer.C:
	case <-ctx.Done():
		ended = prism.From(ctx.Err())
	}
	w.mu.Lock()
	select {
	case <-wait.done: // served meanwhile: what is leased is not given back
		ended = wait.err
	default:
		q.Waiting.Remove(at)
	}
	w.mu.Unlock()
	if len(wait.out) > 0 {
		return owned(wait.out), nil
	}
	return nil, ended
}

// settle does one thing with each lease that is not over.
func (w *workQueues) settle(
	ctx context.Context, ns prism.Namespace, queue string, receipts []driver.LeaseReceipt, results []driver.QueueResult,
	do func(q *lease.Queue, s lease.Slot, now int64) driver.QueueResult,
) error {
	q, now, err := w.find(ctx, ns, queue)
	if err != nil {
		return err
	}
	defer w.leave()
	for i, l := range receipts {
		s, err := q.Held(l)
		if err != nil {
			results[i] = driver.QueueResult{Err: err}
			continue
		}
		results[i] = do(q, s, now)
		results[i].ID = l.ID
	}
	w.serve(q)
	return nil
}

func (w *workQueues) Ack(ctx context.Context, ns prism.Namespace, queue string, receipts []driver.LeaseReceipt, results []driver.QueueResult) error {
	return w.settle(ctx, ns, queue, receipts, results, func(q *lease.Queue, s lease.Slot, _ int64) driver.QueueResult {
		q.Ack(s)
		w.bodies[s] = nil
		return driver.QueueResult{}
	})
}

func (w *workQueues) Extend(ctx context.Context, ns prism.Namespace, queue string, receipts []driver.LeaseReceipt, d time.Duration, results []driver.QueueResult) error {
	if d <= 0 {
		return prism.InvalidField("lease", "must be positive")
	}
	return w.settle(ctx, ns, queue, receipts, results, func(q *lease.Queue, s lease.Slot, _ int64) driver.QueueResult {
		until := deadline(w.store.now(), d)
		q.Extend(s, until)
		return driver.QueueResult{Until: w.store.shown(until)}
	})
}

func (w *workQueues) Release(ctx context.Context, ns prism.Namespace, queue string, receipts []driver.LeaseReceipt, delay time.Duration, reason string, results []driver.QueueResult) error {
	if delay < 0 {
		return prism.InvalidField("delay", "must not be negative")
	}
	return w.settle(ctx, ns, queue, receipts, results, func(q *lease.Queue, s lease.Slot, now int64) driver.QueueResult {
		w.bodies[s].reason = reason
		if q.Last(s) {
			q.Kill(s)
			return driver.QueueResult{Dead: true}
		}
		at := now
		if delay > 0 {
			at = deadline(w.store.now(), delay)
		}
		q.Release(s, now, at)
		return driver.QueueResult{}
	})
}

func (w *workQueues) Reject(ctx context.Context, ns prism.Namespace, queue string, receipts []driver.LeaseReceipt, reason string, results []driver.QueueResult) error {
	return w.settle(ctx, ns, queue, receipts, results, func(q *lease.Queue, s lease.Slot, _ int64) driver.QueueResult {
		w.bodies[s].reason = reason
		q.Kill(s)
		return driver.QueueResult{Dead: true}
	})
}

func (w *workQueues) Redrive(ctx context.Context, ns prism.Namespace, queue string, ids []uint64, limit int) (int64, error) {
	if limit < 0 {
		return 0, prism.InvalidField("limit", "must not be negative")
	}
	q, now, err := w.find(ctx, ns, queue)
	if err != nil {
		return 0, err
	}
	defer w.leave()
	slots := q.Dead(ids, limit)
	for _, s := range slots {
		w.bodies[s].reason = ""
		q.Revive(s, w.bodies[s].key, now)
	}
	w.serve(q)
	return int64(len(slots)), nil
}

func (w *workQueues) Purge(ctx context.Context, ns prism.Namespace, queue string, ids []uint64) (int64, error) {
	q, _, err := w.find(ctx, ns, queue)
	if err != nil {
		return 0, err
	}
	defer w.leave()
	slots := q.Dead(ids, 0)
	for _, s := range slots {
		q.Purge(s)
		w.bodies[s] = nil
	}
	return int64(len(slots)), nil
}

func (w *workQueues) Peek(ctx context.Context, ns prism.Namespace, queue string, p driver.QueuePeek) (driver.QueuePage, error) {
	q, _, err := w.find(ctx, ns, queue)
	if err != nil {
		return driver.QueuePage{}, err
	}
	found, next, err := q.Peek(p)
	page := driver.QueuePage{Next: next}
	for _, f := range found {
		page.Messages = append(page.Messages, w.stored(f.Slot, f.ID, p.State, f.Priority, f.Attempts, f.At))
	}
	w.leave()
	for i := range page.Messages {
		detach(&page.Messages[i])
	}
	return page, err
}

func (w *workQueues) Info(ctx context.Context, ns prism.Namespace, queue string) (driver.QueueInfo, error) {
	q, _, err := w.find(ctx, ns, queue)
	if err != nil {
		return driver.QueueInfo{}, err
	}
	defer w.leave()
	info := q.Info()
	if s, ok := q.Oldest(); ok {
		info.Oldest = w.store.shown(w.bodies[s].published)
	}
	return info, nil
}

func (w *workQueues) Queues(ctx context.Context, ns prism.Namespace) ([]string, error) {
	if err := w.enter(ctx); err != nil {
		return nil, err
	}
	defer w.leave()
	var names []string
	for _, q := range w.engine.Queues(ns) {
		names = append(names, q.Queue)
	}
	return names, nil
}

func (w *workQueues) Delayed(ctx context.Context, ns prism.Namespace, queue string) (int64, time.Time, error) {
	q, _, err := w.find(ctx, ns, queue)
	if err != nil {
		return 0, time.Time{}, err
	}
	defer w.leave()
	at, _ := q.NextDue()
	return q.Counts(driver.QueueLater), w.store.shown(at), nil
}

func (w *workQueues) Priorities(ctx context.Context, ns prism.Namespace, queue string) ([]int64, error) {
	q, _, err := w.find(ctx, ns, queue)
	if err != nil {
		return nil, err
	}
	defer w.leave()
	return q.Priorities(), nil
}

// usage counts each message as a key, and the bytes of payloads.
func (w *workQueues) usage(ns prism.Namespace) (u driver.Usage) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, q := range w.engine.Queues(ns) {
		q.Advance(w.nowMS())
		u.Keys += q.Len()
		u.Bytes += q.Bytes()
	}
	if r := w.receipts[ns]; r != nil {
		u.Receipts = int64(r.len())
	}
	return u
}

// drop forgets the queues of a namespace; whoever waits learns of it.
func (w *workQueues) drop(ns prism.Namespace) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, q := range w.engine.Queues(ns) {
		refuse(q, prism.NotFound("queue", q.Queue))
		w.engine.Remove(q, func(s lease.Slot) { w.bodies[s] = nil })
	}
	delete(w.receipts, ns)
}

// close ends those who wait, and all calls to come.
func (w *workQueues) close() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.closed = true
	for q := range w.engine.All() {
		refuse(q, w.store.unavailable())
	}
	w.engine, w.bodies, w.receipts = lease.New(), nil, nil
}

func refuse(q *lease.Queue, err error) {
	for q.Waiting.Len() > 0 {
		at := q.Waiting.First()
		q.Waiting.Remove(at)
		wait := at.Value.(*waiter)
		wait.err = err
		close(wait.done)
	}
}
