package pebble

import (
	"context"
	"sync"
	"sync/atomic"

	"github.com/prism-data-layer/prism/pkg/prism"
)

// A job is work on the log of a namespace.
type job struct {
	log   *eventLog
	size  int
	frees bool               // may use the reserve of a full disk
	work  func(*group) error // in the committer
	then  func()             // after the sync, in the order of the jobs
	err   error
	state atomic.Int32
	done  chan struct{}
}

// jobs wait for the worker.
type jobs struct {
	mu     sync.Mutex
	list   []*job
	closed bool
	wake   chan struct{}
}

func (q *jobs) put(j *job) {
	q.mu.Lock()
	q.list = append(q.list, j)
	q.mu.Unlock()
	q.signal()
}

func (q *jobs) close() {
	q.mu.Lock()
	q.closed = true
	q.mu.Unlock()
	q.signal()
}

func (q *jobs) signal() {
	select {
	case q.wake <- struct{}{}:
	default:
	}
}

// take waits for jobs; false at the end.
func (q *jobs) take() ([]*job, bool) {
	for {
		q.mu.Lock()
		list, closed := q.list, q.closed
		q.list = nil
		q.mu.Unlock()
		if len(list) > 0 || closed {
			return list, len(list) > 0
		}
		<-q.wake
	}
}

// do has j done and waits for its sync. A caller that gives up leaves a job
// behind that may still be done.
func (p *pubsub) do(ctx context.Context, j *job) error {
	if err := p.enter(); err != nil {
		return err
	}
	defer p.leave()
	if err := ctx.Err(); err != nil {
		return prism.From(err)
	}
	j.done = make(chan struct{})
	p.jobs.put(j)
	select {
	case <-j.done:
		return j.err
	case <-p.failed:
		return p.failure.Load()
	case <-ctx.Done():
		j.state.CompareAndSwap(requestQueued, requestAbandoned)
		return prism.From(ctx.Err())
	}
}

// A turn of the worker is bounded, so that its first job does not wait for its
// last.
const (
	turnJobs  = 512
	turnBytes = 1 << 20
)

// work takes what is queued, turn by turn.
func (p *pubsub) work() {
	for {
		list, ok := p.jobs.take()
		if !ok {
			return
		}
		for len(list) > 0 {
			n, size := 0, 0
			for n < len(list) && n < turnJobs && (n == 0 || size+list[n].size <= turnBytes) {
				size += list[n].size
				n++
			}
			p.turn(list[:n])
			list = list[n:]
		}
	}
}

// turn does jobs in one batch, and answers them after its sync.
func (p *pubsub) turn(list []*job) {
	taken := make([]*job, 0, len(list))
	logs := map[*eventLog]struct{}{}
	for _, j := range list {
		if j.state.CompareAndSwap(requestQueued, requestTaken) {
			taken = append(taken, j)
			logs[j.log] = struct{}{}
		}
	}
	if len(taken) == 0 {
		return
	}
	r := requests.Get().(*request)
	r.kind = kindJobs
	r.work = func(g *group) error {
		for _, j := range taken {
			if g.full && !j.frees {
				j.err = g.s.refuseFull()
				continue
			}
			j.err = classify(p.name, j.work(g))
		}
		for l := range logs {
			l.finish(g)
		}
		return nil
	}
	err := p.submit(context.Background(), r)
	if p.failure.Load() != nil {
		return // whoever waits knows, and the committer may still be at it
	}
	if err == nil {
		r.release()
	}
	for l := range logs {
		l.settle(err == nil)
	}
	for _, j := range taken {
		switch {
		case err != nil:
			j.err = err
		case j.err == nil && j.then != nil:
			j.then()
		}
	}
	for l := range logs {
		l.changed.fire()
	}
	for _, j := range taken {
		close(j.done)
	}
}
