package pebble

import (
	"container/list"
	"context"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"github.com/cockroachdb/pebble/v2"

	"github.com/prism-data-layer/prism/pkg/driver"
	"github.com/prism-data-layer/prism/pkg/driver/lease"
	"github.com/prism-data-layer/prism/pkg/prism"
)

// A queueJob is a call on work queues, or work of our own. All go through one
// committer, which puts what is queued into one batch and answers after its
// sync, so that nothing is told that a power cut could still take back.
type queueJob struct {
	work  func(g *queueGroup) error
	size  int  // bytes that it writes, about
	frees bool // may use the reserve of a full disk

	err   error
	state atomic.Int32 // as of a request
	done  chan struct{}

	// Of a Receive: what it asks for and gets. Where it waits, and whether its
	// wait is over, is guarded by workQueues.mu.
	receive driver.QueueReceive
	leased  []leasedMessage
	queue   *lease.Queue
	parked  *list.Element
	over    bool
}

// A queueGroup is what is committed at once.
type queueGroup struct {
	w     *workQueues
	batch *pebble.Batch
	jobs  []*queueJob
	now   time.Time
	nowMs int64

	free, low int64 // disk space at the start of the group, and the reserve
	full      bool  // only what frees space may write

	// What the group has written that the store does not show yet.
	reasons  map[uint64]string
	receipts groupReceipts

	key, buf []byte // for what is written next
}

// jobQueue is what the committer takes from, all at once.
type jobQueue struct {
	mu     sync.Mutex
	list   []*queueJob
	closed bool
	err    error // what put answers
	wake   chan struct{}
}

func (q *jobQueue) put(j *queueJob) error {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.err != nil {
		return q.err
	}
	q.list = append(q.list, j)
	q.signal()
	return nil
}

func (q *jobQueue) signal() {
	select {
	case q.wake <- struct{}{}:
	default:
	}
}

// take waits for jobs; false at the end. Whoever is ready to run may be about
// to queue: a sync shared by more costs each of them less.
func (q *jobQueue) take() ([]*queueJob, bool) {
	for yielded := false; ; {
		q.mu.Lock()
		if len(q.list) > 0 && yielded || q.closed {
			jobs := q.list
			q.list = nil
			q.mu.Unlock()
			return jobs, len(jobs) > 0
		}
		waiting := len(q.list) > 0
		q.mu.Unlock()
		if waiting {
			runtime.Gosched()
			yielded = true
			continue
		}
		<-q.wake
	}
}

// refuse answers what is queued with err; for good: also everything to come.
func (q *jobQueue) refuse(err error, good bool) {
	q.mu.Lock()
	if good && q.err == nil {
		q.err = err
	}
	jobs := q.list
	q.list = nil
	q.mu.Unlock()
	for _, j := range jobs {
		if j.state.CompareAndSwap(requestQueued, requestTaken) {
			j.err = err
			close(j.done)
		}
	}
}

func (q *jobQueue) close() {
	q.mu.Lock()
	q.closed = true
	q.mu.Unlock()
	q.signal()
}

// do has j done and waits for its sync.
func (w *workQueues) do(ctx context.Context, j *queueJob) error {
	if err := w.s.enter(); err != nil {
		return err
	}
	defer w.s.leave()
	if err := ctx.Err(); err != nil {
		return prism.From(err)
	}
	if w.s.disk.waiting.Load() > 0 || w.s.disk.flushFails.Load() && w.applying.Load() {
		return w.s.refuseFull()
	}
	j.done = make(chan struct{})
	if err := w.jobs.put(j); err != nil {
		return err
	}
	var over <-chan time.Time
	if j.receive.Wait > 0 {
		timer := w.s.clock.NewTimer(j.receive.Wait)
		defer timer.Stop()
		over = timer.C
	}
	for {
		select {
		case <-j.done:
			return j.err
		case <-w.s.failed:
			return w.s.failure.Load()
		case <-over:
			over = nil
			if w.unpark(j) {
				return nil
			}
		case <-ctx.Done():
			return w.abandon(ctx, j)
		}
	}
}

// abandon gives up on a job, unless it has begun: then it is over in a moment.
func (w *workQueues) abandon(ctx context.Context, j *queueJob) error {
	if j.state.CompareAndSwap(requestQueued, requestAbandoned) || w.unpark(j) {
		return prism.From(ctx.Err())
	}
	if j.receive.Max > 0 { // what is leased is not given back
		select {
		case <-j.done:
			return j.err
		case <-w.s.failed:
			return w.s.failure.Load()
		}
	}
	for j.state.Load() == requestTaken { // the committer reads the caller's memory
		select {
		case <-j.done:
			return j.err
		case <-w.s.failed:
			return w.s.failure.Load()
		case <-time.After(50 * time.Microsecond):
		}
	}
	return prism.From(ctx.Err())
}

// unpark takes a job out from among those that wait; false if it does not wait
// any more, or not yet: then it will not.
func (w *workQueues) unpark(j *queueJob) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	j.over = true
	if j.parked == nil {
		return false
	}
	j.queue.Waiting.Remove(j.parked)
	j.parked = nil
	return true
}

// end answers whoever waits with err, and everything that is queued or comes.
func (w *workQueues) end(err error) {
	w.jobs.refuse(err, true)
	w.mu.Lock()
	defer w.mu.Unlock()
	w.ended = err
	for q := range w.engine.All() {
		refuseParked(q, err)
	}
}

func refuseParked(q *lease.Queue, err error) {
	for q.Waiting.Len() > 0 {
		at := q.Waiting.First()
		q.Waiting.Remove(at)
		j := at.Value.(*queueJob)
		j.parked, j.err = nil, err
		close(j.done)
	}
}

// commitLoop builds and applies groups; syncLoop waits for their syncs.
func (w *workQueues) commitLoop() {
	defer close(w.groups)
	for {
		jobs, ok := w.jobs.take()
		if !ok {
			return
		}
		for len(jobs) > 0 {
			g := w.begin()
			jobs = g.fill(jobs)
			w.apply(g)
		}
	}
}

func (w *workQueues) begin() *queueGroup {
	g := &queueGroup{w: w, batch: w.s.db.NewBatch(), reasons: map[uint64]string{}}
	g.now = w.s.clock.Now()
	g.nowMs = g.now.UnixMilli()
	g.free, g.low = w.s.disk.room()
	g.full = g.free < g.low || w.s.disk.flushFails.Load()
	return g
}

// after is d from now in milliseconds, rounded up so that nothing ends before
// its time.
func (g *queueGroup) after(d time.Duration) int64 {
	return ceilMs(g.now.UnixNano() + int64(d))
}

func ceilMs(ns int64) int64 { return (ns + 1e6 - 1) / 1e6 }

// fill does jobs until the group is full, and returns the others.
func (g *queueGroup) fill(jobs []*queueJob) []*queueJob {
	w := g.w
	w.mu.Lock()
	defer w.mu.Unlock()
	w.group = g
	n := 0
	for n < len(jobs) && n < groupOps && g.batch.Len() < groupBytes {
		if j := jobs[n]; j.state.CompareAndSwap(requestQueued, requestTaken) {
			g.run(j)
		}
		n++
	}
	if err := g.endReceipts(); err != nil {
		w.s.fail(err)
	}
	if w.seq > w.reserved {
		w.reserved = w.seq + sequenceBlock
		g.set(append([]byte{}, queueNumbersKey...), appendNumber(make([]byte, sealSize), w.reserved))
	}
	if at := w.engine.Next(); at < w.alarm {
		w.alarm = at
		select {
		case w.poke <- struct{}{}:
		default:
		}
	}
	w.group = nil
	return jobs[n:]
}

func (g *queueGroup) run(j *queueJob) {
	switch {
	case g.w.ended != nil:
		j.err = g.w.ended
	// A part of the reserve is kept for what frees space.
	case !j.frees && (g.full || int64(j.size+g.batch.Len()) > g.free-g.low/4):
		j.err = g.w.s.refuseFull()
	default:
		if j.err = classify(g.w.s.name, j.work(g)); j.parked != nil {
			return
		}
	}
	g.jobs = append(g.jobs, j)
}

// set writes a record whose body is in place after its seal.
func (g *queueGroup) set(key, record []byte) {
	seal(keySum(key), record)
	_ = g.batch.Set(key, record, nil) // fails only on an applied batch
}

func (g *queueGroup) delete(key []byte) { _ = g.batch.Delete(key, nil) }

// apply hands the group to pebble and on to syncLoop.
func (w *workQueues) apply(g *queueGroup) {
	for _, j := range g.jobs {
		j.state.Store(requestBuilt)
	}
	if !g.batch.Empty() && w.s.failure.Load() == nil {
		w.applying.Store(true)
		if err := w.s.db.ApplyNoSyncWait(g.batch, pebble.Sync); err != nil {
			w.s.fail(err)
		}
		w.applying.Store(false)
	}
	w.groups <- g
}

// syncLoop answers jobs in the order of groups, also of those that wrote
// nothing: what they saw may be of the group before.
func (w *workQueues) syncLoop() {
	for g := range w.groups {
		if !g.batch.Empty() && w.s.failure.Load() == nil {
			if err := g.batch.SyncWait(); err != nil {
				w.s.fail(err)
			}
		}
		failure := w.s.failure.Load()
		for _, j := range g.jobs {
			if failure != nil {
				j.err = failure
			}
			close(j.done)
		}
		if failure == nil {
			_ = g.batch.Close()
		}
	}
}

// chores is how often receipts that have ended are removed.
const queueChores = time.Minute

// alarmLoop does what is due: it wakes for the next message, and now and then.
func (w *workQueues) alarmLoop() {
	for {
		w.mu.Lock()
		w.alarm = w.engine.Next()
		at := w.alarm
		w.mu.Unlock()
		wait := queueChores
		if at != lease.Never {
			wait = min(wait, time.Duration(at)*time.Millisecond-time.Duration(w.s.clock.Now().UnixNano()))
		}
		timer := w.s.clock.NewTimer(wait)
		select {
		case <-timer.C:
			if w.ring() != nil && !w.rest() {
				return
			}
		case <-w.poke:
			timer.Stop()
		case <-w.s.closing:
			timer.Stop()
			return
		case <-w.s.failed:
			timer.Stop()
			return
		}
	}
}

// rest waits a moment after a ring that was refused; false at the end.
func (w *workQueues) rest() bool {
	timer := time.NewTimer(spacePoll)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-w.s.closing:
	case <-w.s.failed:
	}
	return false
}

// ringStep is how many queues are looked after in one group.
const ringStep = 100

func (w *workQueues) ring() error {
	for more := true; more; {
		err := w.do(context.Background(), &queueJob{frees: true, work: func(g *queueGroup) error {
			more = w.engine.Ring(g.nowMs, ringStep)
			for ns := range w.receipts {
				if err := g.expireReceipts(ns, ringStep); err != nil {
					return err
				}
			}
			return nil
		}})
		if err != nil {
			return err
		}
	}
	return nil
}
