package loadtest

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prism-data-layer/prism/loadtest/pace"
	"github.com/prism-data-layer/prism/loadtest/report"
	"github.com/prism-data-layer/prism/pkg/prism"
)

// Run makes the load of plan p with workload w and reports on it. When ctx ends
// the run ends, and the report is of what ran, marked as aborted. An error
// means that nothing was measured: a wrong plan, or a store that could not be
// filled.
func Run(ctx context.Context, p Plan, w Workload) (*report.Report, error) {
	names := w.Operations()
	if rec, ok := w.(Receiver); ok {
		names = slices.Concat(names, rec.Streams())
	}
	p, err := p.normal(names)
	if err != nil {
		return nil, err
	}
	r, err := newRunner(p, w)
	if err != nil {
		return nil, err
	}
	if err := r.prepare(ctx); err != nil {
		return nil, err
	}
	if err := r.streams.listen(ctx); err != nil {
		return nil, fmt.Errorf("receive for workload %s: %w", w.Name(), err)
	}
	r.run(ctx)
	return r.report(), nil
}

// A runner is one run. Times in it are offsets from start.
type runner struct {
	plan     Plan
	workload Workload
	schedule pace.Schedule // with the warm-up before it
	sleep    pace.Sleep

	prepared time.Duration
	start    time.Time
	end      time.Duration // no request is due from here on; an abort moves it
	before   usage
	after    usage
	counter  Counter

	queue    chan arrival
	busy     atomic.Int64 // arrivals given out and not finished: running or waiting
	stopped  atomic.Bool  // whatever is still queued must not start
	draining atomic.Bool  // nothing new is due
	cancel   context.CancelCauseFunc
	workers  sync.WaitGroup
	stuck    int

	// The dispatcher's own; the rest reads them after it has ended.
	spawned     int
	scheduled   uint64        // measured arrivals that were due
	dropped     atomic.Uint64 // so far; those that still waited at the end are added in the report
	warmDropped uint64
	peakBusy    atomic.Int64
	abortReason string

	closedNext atomic.Uint64 // number of a closed loop's next request
	warmOK     atomic.Uint64
	warmFailed atomic.Uint64
	errorCount atomic.Uint64

	shards    []*shard
	streams   *streams
	events    *events
	failures  *failures
	collector *collector
}

// An arrival is request n, due at an offset from the start.
type arrival struct {
	n      uint64
	due    time.Duration
	waited bool
}

// maxShards bounds the memory: a shard takes a MiB for each operation.
const maxShards = 8

func newRunner(p Plan, w Workload) (*runner, error) {
	r := &runner{plan: p, workload: w, failures: newFailures(), sleep: pace.Timer(p.Clock)}
	if p.Precise {
		r.sleep = pace.Precise()
	}
	r.end = p.WarmUp + p.Duration
	if p.Closed == 0 {
		var err error
		if r.schedule, err = p.Schedule.Lead(p.WarmUp); err != nil {
			return nil, err
		}
		r.end = r.schedule.Length()
		r.queue = make(chan arrival, p.MaxInFlight+p.MaxBacklog)
	}
	operations := len(w.Operations())
	// A shard for each processor: no more workers than that record at once.
	for range min(runtime.GOMAXPROCS(0), maxShards) {
		r.shards = append(r.shards, &shard{sheet: newSheet(operations), spare: newSheet(operations)})
	}
	r.counter, _ = w.(Counter)
	r.streams, r.events = newStreams(r), newEvents(r)
	r.collector = newCollector(r, operations)
	return r, nil
}

func (r *runner) prepare(ctx context.Context) error {
	p, ok := r.workload.(Preparer)
	if !ok {
		return nil
	}
	if r.plan.Progress != nil {
		r.plan.Progress(report.Snapshot{Phase: report.Preparing})
	}
	begun := r.plan.Clock.Now()
	if err := p.Prepare(ctx); err != nil {
		return fmt.Errorf("prepare workload %s: %w", r.workload.Name(), err)
	}
	r.prepared = r.plan.Clock.Now().Sub(begun)
	return nil
}

// length is how long the measurement was to last.
func (r *runner) length() time.Duration {
	if r.plan.Closed > 0 {
		return r.plan.Duration
	}
	return r.plan.Schedule.Length()
}

// now is the offset from the start.
func (r *runner) now() time.Duration { return r.plan.Clock.Now().Sub(r.start) }

func (r *runner) run(ctx context.Context) {
	// Requests outlive ctx for the grace of an abort.
	calls, cancel := context.WithCancelCause(context.WithoutCancel(ctx))
	defer cancel(nil)
	r.cancel = cancel
	r.before = usageNow()
	r.start = r.plan.Clock.Now()
	r.collector.begin()
	r.streams.begin()
	r.events.begin(ctx)
	if r.plan.Closed > 0 {
		r.closedLoop(ctx, calls)
	} else {
		r.dispatch(ctx, calls)
		close(r.queue)
	}
	r.drain(ctx)
	r.events.end()
	r.streams.end(ctx)
	r.after = usageNow()
	r.collector.finish()
}

// dispatch gives every arrival to a worker when it is due. It never waits for
// one. What it wakes up late for it gives out at once, each arrival with the
// time at which it was due.
func (r *runner) dispatch(ctx, calls context.Context) {
	now := r.now()
	for n := uint64(0); ; n++ {
		due, ok := r.schedule.At(n)
		if !ok || r.plan.MaxRequests > 0 && n >= r.plan.MaxRequests {
			if ok {
				r.end = due
			}
			break
		}
		for due > now {
			if r.tooManyErrors() || !r.sleep(ctx, due-now) {
				break
			}
			now = r.now()
		}
		// In a long burst nothing sleeps, and the clock must still be looked at.
		if n%64 == 0 {
			now = r.now()
		}
		if r.abort(ctx, now) {
			return
		}
		if now > r.end+r.plan.Grace {
			r.giveUp(n)
			return
		}
		r.offer(calls, arrival{n: n, due: due})
	}
	// The run lasts as long as its schedule, even when the last arrival is
	// long before the end.
	for now = r.now(); now < r.end && !r.abort(ctx, now); now = r.now() {
		r.sleep(ctx, r.end-now)
	}
}

func (r *runner) tooManyErrors() bool {
	return r.plan.MaxErrors > 0 && r.errorCount.Load() >= r.plan.MaxErrors
}

// abort ends the run here if it must end.
func (r *runner) abort(ctx context.Context, now time.Duration) bool {
	switch {
	case ctx.Err() != nil:
		r.abortReason = report.Interrupted
	case r.tooManyErrors():
		r.abortReason = fmt.Sprintf("%d errors", r.plan.MaxErrors)
	default:
		return false
	}
	r.end = min(r.end, now)
	return true
}

// giveUp drops the rest of a schedule that the generator cannot follow.
func (r *runner) giveUp(from uint64) {
	for n := from; ; n++ {
		due, ok := r.schedule.At(n)
		if !ok {
			return
		}
		r.drop(due)
	}
}

func (r *runner) drop(due time.Duration) {
	if due < r.plan.WarmUp {
		r.warmDropped++
		return
	}
	r.scheduled++
	r.dropped.Add(1)
}

// offer hands an arrival over or drops it. Workers are made when they are first
// needed: as many as there were ever requests at once.
func (r *runner) offer(calls context.Context, a arrival) {
	busy := r.busy.Add(1)
	if busy > int64(r.plan.MaxInFlight+r.plan.MaxBacklog) {
		r.busy.Add(-1)
		r.drop(a.due)
		return
	}
	if busy > r.peakBusy.Load() {
		r.peakBusy.Store(busy)
	}
	a.waited = busy > int64(r.plan.MaxInFlight)
	if busy > int64(r.spawned) && r.spawned < r.plan.MaxInFlight {
		r.spawn(calls)
	}
	if a.due >= r.plan.WarmUp {
		r.scheduled++
	}
	r.queue <- a // has room for all that may be busy
}

func (r *runner) spawn(calls context.Context) {
	s := r.shards[r.spawned%len(r.shards)]
	r.spawned++
	r.workers.Go(func() {
		for a := range r.queue {
			// What still waits when the run is over is dropped.
			if !r.stopped.Load() {
				r.one(calls, s, a)
			}
			r.busy.Add(-1)
		}
	})
}

// one makes a request and records it.
func (r *runner) one(calls context.Context, s *shard, a arrival) {
	t := timing{due: a.due, waited: a.waited, sent: r.now()}
	o := r.call(calls, a.n)
	t.done = r.now()
	r.settle(calls, s, o, t)
}

func (r *runner) call(ctx context.Context, n uint64) Outcome {
	if r.plan.Timeout > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, r.plan.Timeout)
		defer cancel()
	}
	return r.workload.Do(ctx, n)
}

func (r *runner) settle(calls context.Context, s *shard, o Outcome, t timing) {
	if o.Err != nil && calls.Err() != nil {
		// We cut it off: because nobody wants the answer any more, or because
		// none came, and then that is the failure.
		if cause := context.Cause(calls); errors.Is(cause, errAborted) {
			t.cut = true
		} else {
			o.Err = cause
		}
	}
	if o.Err != nil && !t.cut {
		r.errorCount.Add(1)
	}
	if t.due < r.plan.WarmUp {
		switch {
		case o.Err == nil:
			r.warmOK.Add(1)
		case !t.cut:
			r.warmFailed.Add(1)
		}
		return
	}
	if o.Err != nil && !t.cut {
		r.failures.add(r.workload.Operations()[o.Operation], o.Err)
	}
	if o.Err == nil {
		r.streams.sent(o.Operation)
	}
	t.inTime = t.done <= r.plan.WarmUp+r.length()
	s.record(o, t)
}

// closedLoop keeps the plan's number of requests running until the end.
func (r *runner) closedLoop(ctx, calls context.Context) {
	var over atomic.Bool
	for i := range r.plan.Closed {
		s := r.shards[i%len(r.shards)]
		r.workers.Go(func() {
			for !over.Load() && !r.stopped.Load() {
				n := r.closedNext.Add(1) - 1
				now := r.now()
				if now >= r.plan.WarmUp+r.plan.Duration || r.plan.MaxRequests > 0 && n >= r.plan.MaxRequests {
					over.Store(true)
					return
				}
				r.busy.Add(1)
				o := r.call(calls, n)
				r.settle(calls, s, o, timing{due: now, sent: now, done: r.now()})
				r.busy.Add(-1)
			}
		})
	}
	r.peakBusy.Store(int64(r.plan.Closed))
	const look = 20 * time.Millisecond
	for now := r.now(); now < r.end && !over.Load(); now = r.now() {
		if r.abort(ctx, now) {
			return
		}
		r.sleep(ctx, min(look, r.end-now))
	}
	if r.abort(ctx, r.now()) {
		return
	}
	r.end = min(r.end, r.now())
	over.Store(true)
}

// drain waits for the last answers: as long as the grace of the plan, or
// shortly after an abort. Then what runs is cancelled and what waits is dropped.
func (r *runner) drain(ctx context.Context) {
	r.draining.Store(true)
	idle := make(chan struct{})
	go func() {
		r.workers.Wait()
		close(idle)
	}()
	aborted := r.abortReason != ""
	if !aborted {
		switch err := r.await(ctx, idle, r.plan.Grace); {
		case err == nil:
			return
		case errors.Is(err, context.Canceled):
			r.abortReason, aborted = report.Interrupted, true
		}
	}
	r.stopped.Store(true)
	if aborted && r.await(context.WithoutCancel(ctx), idle, abortGrace) == nil {
		return
	}
	if aborted {
		r.cancel(errAborted)
	} else {
		r.cancel(prism.New(prism.ReasonDeadlineExceeded, "no answer within the grace of %s after the end of the test", r.plan.Grace))
	}
	if r.await(context.WithoutCancel(ctx), idle, stuckAfter) != nil {
		r.stuck = int(min(r.busy.Load(), int64(r.plan.MaxInFlight)))
	}
}

var (
	errTooLong = errors.New("still running")
	errAborted = errors.New("the load test was aborted")
)

func (r *runner) await(ctx context.Context, idle <-chan struct{}, d time.Duration) error {
	t := r.plan.Clock.NewTimer(d)
	defer t.Stop()
	select {
	case <-idle:
		return nil
	case <-ctx.Done():
		return context.Canceled
	case <-t.C:
		return errTooLong
	}
}
