package pebble

import (
	"context"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prism-data-layer/prism/pkg/driver"
	"github.com/prism-data-layer/prism/pkg/prism"
)

// A request waits in the queue for the committer. It is one operation, a
// batch, a transaction, or work of our own.
type request struct {
	ns      prism.Namespace
	ops     []driver.Op
	results []driver.Result
	checks  []driver.Check // of a transaction
	receipt driver.Receipt // of a transaction
	kind    requestKind
	work    func(*group) error

	// glimpses are what the caller saw under the keys of ops.
	glimpses []glimpse

	next  int // of ops, to be done
	err   error
	state atomic.Int32
	done  chan struct{}

	op     [1]driver.Op
	result [1]driver.Result
}

type requestKind uint8

const (
	kindOps requestKind = iota
	kindTransaction
	kindWork // alone in its group
	kindJobs // work that may share one
)

const (
	requestQueued    int32 = iota
	requestTaken           // by the committer, which reads the caller's memory
	requestBuilt           // the committer needs the caller's memory no more
	requestAbandoned       // by the caller, before it was taken
)

// take claims a request for the committer; false if the caller is gone.
func (r *request) take() bool { return r.state.CompareAndSwap(requestQueued, requestTaken) }

var requests = sync.Pool{New: func() any { return &request{done: make(chan struct{}, 1)} }}

// release makes r fit for another call. Only a request whose done has been
// received may be released.
func (r *request) release() {
	glimpses := r.glimpses
	clear(glimpses)
	*r = request{done: r.done, glimpses: glimpses[:0]}
	requests.Put(r)
}

// queue is what the committer takes from, all at once.
type queue struct {
	mu     sync.Mutex
	list   []*request
	closed bool
	err    error // what put answers
	wake   chan struct{}
}

func (q *queue) put(r *request) error {
	q.mu.Lock()
	if q.err != nil || q.closed {
		err := q.err
		q.mu.Unlock()
		return err
	}
	q.list = append(q.list, r)
	first := len(q.list) == 1
	q.mu.Unlock()
	if first {
		select {
		case q.wake <- struct{}{}:
		default:
		}
	}
	return nil
}

// takeAll waits for requests and swaps them for the empty list into. False at
// the end.
func (q *queue) takeAll(into []*request) ([]*request, bool) {
	for yielded := false; ; {
		q.mu.Lock()
		waiting, closed := len(q.list) > 0, q.closed
		if waiting && (yielded || closed) {
			list := q.list
			q.list = into
			q.mu.Unlock()
			return list, true
		}
		q.mu.Unlock()
		switch {
		case waiting:
			// Whoever is ready to run may be about to queue: a sync shared by
			// more costs each of them less.
			runtime.Gosched()
			yielded = true
		case closed:
			return nil, false
		default:
			<-q.wake
		}
	}
}

func (q *queue) close() {
	q.mu.Lock()
	q.closed = true
	q.mu.Unlock()
	select {
	case q.wake <- struct{}{}:
	default:
	}
}

// refuse answers what is queued with err, except what keep holds back. With
// keep nil it also answers everything to come.
func (q *queue) refuse(err error, keep func(*request) bool) {
	q.mu.Lock()
	if keep == nil {
		q.err = err
	}
	list := q.list
	q.list = nil
	var stay []*request
	for _, r := range list {
		if keep != nil && keep(r) {
			stay = append(stay, r)
			continue
		}
		if r.take() {
			r.err = err
			r.done <- struct{}{}
		}
	}
	q.list = stay
	q.mu.Unlock()
}

// refuseQueued is called when pebble begins to wait for disk space: nothing
// that is queued will get on before that, and the callers should know.
func (s *store) refuseQueued() {
	s.queue.refuse(s.refuseFull(), func(r *request) bool { return r.kind == kindWork })
	s.workQueues.jobs.refuse(s.refuseFull(), false)
	s.caches.refuse(s.refuseFull())
}

// patience is how long a caller waits before it also waits for the end of its
// context. That may cost a timer, and most are answered before.
const patience = 5 * time.Millisecond

// late returns a channel that is closed within patience, and when the store
// fails. Callers share it.
func (s *store) late() <-chan struct{} {
	s.lateness.mu.Lock()
	defer s.lateness.mu.Unlock()
	if s.lateness.c == nil {
		s.lateness.c = make(chan struct{})
		time.AfterFunc(patience, s.lateness.fire)
	}
	return s.lateness.c
}

// submit hands r to the committer and waits for the sync that covers it. It
// releases r unless it was left behind.
func (s *store) submit(ctx context.Context, r *request) error {
	if err := ctx.Err(); err != nil {
		r.release()
		return prism.From(err)
	}
	stalled := s.disk.waiting.Load() > 0 || s.disk.flushFails.Load() && s.applying.Load()
	if stalled && r.kind != kindWork {
		r.release()
		return s.refuseFull()
	}
	if err := s.queue.put(r); err != nil {
		r.release()
		return err
	}
	select {
	case <-r.done:
		return r.err
	case <-s.late():
	}
	select {
	case <-r.done:
		return r.err
	case <-s.failed:
		return s.failure.Load()
	case <-ctx.Done():
	}
	if r.state.CompareAndSwap(requestQueued, requestAbandoned) {
		return prism.From(ctx.Err())
	}
	// The committer has it and reads the caller's memory. It is done or built
	// in a moment: building does not wait for syncs.
	for r.state.Load() == requestTaken {
		select {
		case <-r.done:
			return r.err
		case <-s.failed:
			return s.failure.Load()
		case <-time.After(50 * time.Microsecond):
		}
	}
	select {
	case <-r.done:
		return r.err
	default:
		return prism.From(ctx.Err())
	}
}

// mutate does one operation.
func (s *store) mutate(ctx context.Context, ns prism.Namespace, op driver.Op) (driver.Result, error) {
	if err := s.enter(); err != nil {
		return driver.Result{}, err
	}
	defer s.leave()
	r := requests.Get().(*request)
	r.ns, r.op[0] = ns, op
	r.ops, r.results = r.op[:], r.result[:]
	s.peek(r)
	if err := s.submit(ctx, r); err != nil {
		return driver.Result{}, err
	}
	result := r.result[0]
	r.release()
	err := result.Err
	result.Err = nil
	return result, err
}

// alone runs work in a group of its own.
func (s *store) alone(ctx context.Context, work func(*group) error) error {
	if err := s.enter(); err != nil {
		return err
	}
	defer s.leave()
	r := requests.Get().(*request)
	r.kind, r.work = kindWork, work
	if err := s.submit(ctx, r); err != nil {
		return err
	}
	r.release()
	return nil
}

// share runs work in a group that others share; it is within a call.
func (s *store) share(ctx context.Context, work func(*group) error) error {
	r := requests.Get().(*request)
	r.kind, r.work = kindJobs, work
	if err := s.submit(ctx, r); err != nil {
		return err
	}
	r.release()
	return nil
}
