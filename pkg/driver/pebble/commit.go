package pebble

import (
	"context"
	"errors"
	"time"

	"github.com/cockroachdb/pebble/v2"

	"github.com/prism-data-layer/prism/pkg/driver"
	"github.com/prism-data-layer/prism/pkg/prism"
)

// A group is bounded so that its first request does not wait for its last.
const (
	groupOps   = 512
	groupBytes = 1 << 20
)

var errNotSynced = errors.New("the write was not synced")

// group is what is committed at once.
type group struct {
	s      *store
	number uint64
	batch  *pebble.Batch
	now    time.Time
	nowMs  int64

	ops      int
	requests []*request // that end with this group
	from     int        // the first operation of requests[0] in this group
	part     *request   // that ends with a later group
	partFrom int        // its first operation in this group

	// The group's own writes, which the store does not show yet.
	cells   map[prism.Key]cell
	entered []entered

	touched []touch
	grown   []growth // of logs
	undo    []func() // what to do if the group is undone, the last first
	synced  []func() // what to do after its sync
	dropped *namespace
	hashes  []uint32   // of keys written
	last    *namespace // looked up last
	seq     uint64     // the last version given out
	glimpse *glimpse   // what the caller saw under the key of the operation
	full    bool       // only what frees space may write

	free, low int64 // disk space at the start of the group, and the reserve

	key, buf []byte
}

// touch is what a group does to a namespace as a whole, and adds to its logs.
type touch struct {
	ns            *namespace
	before, after meta
	due           int64 // the soonest new expiry
	logged        bool  // whether there are changes

	changes     piece
	receipts    []lanePiece
	receiptsMax int64 // the smallest bound that was asked for; 0: no receipts
}

// commitLoop builds and applies groups; syncLoop waits for their syncs.
func (s *store) commitLoop() {
	defer close(s.groups)
	var list []*request
	for {
		// Who is answered by the sync under way comes back in a moment: all
		// that has come together until then shares the next.
		_ = s.dirty.await(context.Background(), s.dirty.applied.Load()) // fails with the store
		var ok bool
		if list, ok = s.queue.takeAll(list[:0]); !ok {
			return
		}
		for i := 0; i < len(list); {
			g := s.begin()
			i += g.fill(list[i:])
			s.apply(g)
		}
		clear(list)
	}
}

func (s *store) begin() *group {
	var g *group
	select {
	case g = <-s.spare:
	default:
		g = &group{s: s, cells: make(map[prism.Key]cell)}
	}
	g.number = s.dirty.applied.Load() + 1
	g.now = s.clock.Now()
	g.nowMs = g.now.UnixMilli()
	g.batch = s.db.NewBatch()
	g.free, g.low = s.disk.room()
	g.full = g.free < g.low || s.disk.flushFails.Load()
	return g
}

func (g *group) recycle() {
	clear(g.cells)
	clear(g.entered)
	clear(g.requests)
	g.requests, g.touched, g.entered, g.hashes = g.requests[:0], g.touched[:0], g.entered[:0], g.hashes[:0]
	g.ops, g.from, g.part, g.partFrom, g.last, g.dropped, g.batch = 0, 0, nil, 0, nil, nil, nil
	g.recycleLogs()
	select {
	case g.s.spare <- g:
	default:
	}
}

func (g *group) room() bool { return g.ops < groupOps && g.batch.Len() < groupBytes }

// fill works requests off until the group is full, and says how many are over.
func (g *group) fill(list []*request) (over int) {
	for over < len(list) && g.room() {
		r := list[over]
		if r.kind == kindWork && g.ops > 0 {
			break
		}
		if r.next == 0 && !r.take() {
			over++ // abandoned; it belongs to nobody
			list[over-1] = nil
			continue
		}
		from := r.next
		if !g.do(r) {
			g.part, g.partFrom = r, from
			break
		}
		if len(g.requests) == 0 {
			g.from = from
		}
		g.requests = append(g.requests, r)
		over++
		if r.kind == kindWork {
			break
		}
	}
	return over
}

// do works a request off as far as the group has room, and reports whether it
// is over.
func (g *group) do(r *request) bool {
	switch r.kind {
	case kindWork, kindJobs:
		g.ops++
		g.glimpse = nil
		r.err = classify(g.s.name, r.work(g))
		return true
	case kindTransaction:
		g.ops += len(r.ops) + 1
		g.glimpse = nil
		r.err = g.transact(g.namespace(r.ns), r)
		return true
	}
	ns := g.namespace(r.ns)
	for r.next < len(r.ops) {
		if !g.room() {
			return false
		}
		op := &r.ops[r.next]
		g.glimpse = nil
		if r.next < len(r.glimpses) {
			g.glimpse = &r.glimpses[r.next]
		}
		result, err := g.once(ns, op)
		if err != nil {
			result = driver.Result{Err: classify(g.s.name, err)}
		}
		r.results[r.next] = result
		r.next++
		g.ops++
	}
	return true
}

func (g *group) namespace(name prism.Namespace) *namespace {
	if g.last == nil || g.last.name != name {
		g.last = g.s.namespace(name)
	}
	return g.last
}

// apply hands the group to pebble and on to syncLoop.
func (s *store) apply(g *group) {
	if s.failure.Load() != nil {
		g.abort(s.failure.Load())
	} else if g.batch.Count() > 0 || len(g.touched) > 0 || len(g.grown) > 0 {
		g.finish()
		// The sizes of requests are known now: keep a part of the reserve
		// for what frees space.
		if int64(g.batch.Len()) > g.free-g.low/4 {
			g.abort(s.refuseFull())
		}
	}
	for i := range g.touched {
		g.touched[i].after = g.touched[i].ns.meta
	}
	if g.dropped != nil {
		g.dropped.lanes = nil
		s.recent.drop(g.dropped)
		s.dirty.markAll(g.number)
	}
	for _, h := range g.hashes {
		s.dirty.mark(h, g.number)
	}
	s.dirty.applied.Store(g.number)
	g.seq = s.seq
	for _, r := range g.requests {
		r.state.Store(requestBuilt)
	}
	s.applying.Store(true)
	if !g.batch.Empty() {
		if err := s.write(g.batch); err != nil {
			s.fail(err)
		}
	}
	s.dirty.visible.Store(g.number)
	// Only now may the sweeper look: it must find what is due.
	for i := range g.touched {
		if t := &g.touched[i]; t.due != never && t.ns.dueBy(t.due) {
			s.wakeSweeper()
		}
	}
	if s.reserved-s.seq < sequenceMargin {
		if err := s.reserve(s.seq + sequenceBlock); err != nil {
			s.fail(err)
		}
	}
	s.applying.Store(false)
	s.groups <- g
}

func (s *store) write(b *pebble.Batch) error {
	if s.options.Durability == relaxed {
		return s.db.Apply(b, pebble.NoSync)
	}
	return s.db.ApplyNoSyncWait(b, pebble.Sync)
}

// syncLoop answers requests in the order of groups, also of those that wrote
// nothing: what they saw may be of the group before.
func (s *store) syncLoop() {
	for g := range s.groups {
		var err error
		if !g.batch.Empty() && s.failure.Load() == nil && s.options.Durability == strong {
			err = g.batch.SyncWait()
		}
		if err != nil {
			s.fail(err)
		}
		failure := s.failure.Load()
		if failure == nil {
			for i := range g.touched {
				g.touched[i].ns.publish(&g.touched[i].after)
			}
			g.settleLogs() // before those wake who look again after the sync
			s.dirty.advance(g.number, g.seq)
			for i := range g.touched {
				if g.touched[i].logged {
					g.touched[i].ns.changed.fire()
				}
			}
		}
		for _, r := range g.requests {
			if failure != nil {
				r.err = failure
			}
			r.done <- struct{}{}
		}
		if failure == nil {
			_ = g.batch.Close()
			g.recycle()
		}
	}
}

// touch notes that the group changes n.meta.
func (g *group) touch(n *namespace) *touch {
	if i := n.touched; i < len(g.touched) && g.touched[i].ns == n {
		return &g.touched[i]
	}
	n.touched = len(g.touched)
	if n.touched < cap(g.touched) {
		g.touched = g.touched[:n.touched+1] // with the buffers it had
	} else {
		g.touched = append(g.touched, touch{})
	}
	t := &g.touched[n.touched]
	t.changes.reset()
	*t = touch{ns: n, before: n.meta, due: never, changes: t.changes, receipts: t.receipts[:0]}
	return t
}

// finish writes what the group adds to the logs of namespaces and what is known
// of them, and drops what is too much.
func (g *group) finish() {
	g.finishLogs()
	for i := range g.touched {
		t := &g.touched[i]
		g.writeChanges(t)
		for j := range t.receipts {
			g.writeReceipts(t, &t.receipts[j])
		}
		g.boundHistory(t)
		if err := g.boundReceipts(t); err != nil {
			// What stays a little longer hurts nobody.
			g.s.log.Warn("old receipts could not be dropped; it is tried again", "namespace", string(t.ns.name), "error", err)
		}
		g.key = appendMetaKey(g.key[:0], t.ns.name)
		g.buf = t.ns.meta.append(g.buf[:0])
		g.setSealed()
	}
}

// setSealed writes g.buf, sealed, under g.key.
func (g *group) setSealed() {
	seal(keySum(g.key), g.buf)
	_ = g.batch.Set(g.key, g.buf, nil) // fails only on an applied batch
}

// abort undoes the group before it is applied.
func (g *group) abort(err error) {
	for i := range g.touched {
		t := &g.touched[i]
		t.ns.meta = t.before
		// What was looked up on the way may be wrong now: look again.
		for _, l := range t.ns.lanes {
			l.low = 0
		}
		t.ns.due.Store(0)
	}
	g.leave()
	g.abortLogs()
	g.touched, g.dropped = g.touched[:0], nil
	g.batch.Reset()
	for _, h := range g.hashes {
		g.s.recent.forget(h)
	}
	g.hashes = g.hashes[:0]
	for i, r := range g.requests {
		from := 0
		if i == 0 {
			from = g.from
		}
		g.refuse(r, from, err)
	}
	if g.part != nil {
		g.refuse(g.part, g.partFrom, err)
	}
}

// refuse answers what the group did of r with err.
func (g *group) refuse(r *request, from int, err error) {
	if r.kind != kindOps {
		r.err = err
		return
	}
	for i := from; i < r.next; i++ {
		r.results[i] = driver.Result{Err: err}
	}
}
