package keyvalue

import (
	"context"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prism-data-layer/prism/pkg/clock"
	"github.com/prism-data-layer/prism/pkg/driver"
	"github.com/prism-data-layer/prism/pkg/prism"
)

// A Place is where a namespace's data is. The versions of a namespace share
// one, and every call goes through it, so that a move takes calls and streams
// along that began before it.
type Place struct {
	now atomic.Pointer[stay]

	mu  sync.Mutex
	old []*stay // that were in force, and may have calls under way
}

// A stay is the data on one backend in one phase of a move: immutable but for
// its counters. Another phase is another stay.
type stay struct {
	set    *driver.Set
	moves  int64   // how often the namespace has moved
	before *former // where it was; nil: it never moved
	tail   *tail   // of a move away from here; nil: none
	hold   *hold   // writes wait for its end; nil: none

	here context.Context // ends when the namespace leaves this backend
	away context.CancelFunc

	reads, writes atomic.Int64 // under way
}

// A former backend, from which watches and walks that began there go on.
type former struct {
	set     *driver.Set // nil: the data there is gone
	version uint64      // the last that was given out there
	start   driver.Position
	ordered bool // walks there were in the order of keys
}

// A Former is what must be kept of the last move for those who were there
// before it.
type Former struct {
	Version uint64          // the last that the former backend has given out
	Start   driver.Position // of the history on the present one
	Ordered bool            // walks on the former backend were in the order of keys
}

// NewPlace is where a namespace is that has never moved.
func NewPlace(set driver.Set) *Place { return NewPlaceAfter(set, 0, Former{}, nil) }

// NewPlaceAfter is where a namespace is after so many moves. The backend that
// it came from is nil when its data is gone.
func NewPlaceAfter(set driver.Set, moves int64, f Former, from *driver.Set) *Place {
	p := new(Place)
	st := newStay(&set, moves)
	if moves > 0 {
		st.before = &former{set: from, version: f.Version, start: f.Start, ordered: f.Ordered}
	}
	p.now.Store(st)
	return p
}

func newStay(set *driver.Set, moves int64) *stay {
	st := &stay{set: set, moves: moves}
	st.here, st.away = context.WithCancel(context.Background())
	return st
}

// Forget returns when nobody uses the data on the backend that the namespace
// came from any more: it may be dropped then.
func (p *Place) Forget(ctx context.Context, c clock.Clock) error {
	p.change(func(st *stay) {
		if st.before != nil {
			f := *st.before
			f.set = nil
			st.before = &f
		}
	})
	return p.await(ctx, c, true)
}

// change puts another phase of the present stay in force. Only one caller
// changes a place at a time.
func (p *Place) change(f func(*stay)) {
	was := p.now.Load()
	next := &stay{set: was.set, moves: was.moves, before: was.before, tail: was.tail, hold: was.hold, here: was.here, away: was.away}
	f(next)
	p.enforce(next)
}

func (p *Place) enforce(next *stay) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.old = append(p.old, p.now.Swap(next))
}

// quiet reports whether no write is under way that began before the present
// phase, and no read that goes to a backend which the namespace has left.
func (p *Place) quiet(reads bool) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	set := p.now.Load().set
	p.old = slices.DeleteFunc(p.old, func(st *stay) bool { return st.writes.Load() == 0 && st.reads.Load() == 0 })
	return !slices.ContainsFunc(p.old, func(st *stay) bool {
		return st.writes.Load() > 0 || reads && st.set != set && st.reads.Load() > 0
	})
}

// await returns when the place is quiet.
func (p *Place) await(ctx context.Context, c clock.Clock, reads bool) error {
	for !p.quiet(reads) {
		t := c.NewTimer(time.Millisecond)
		select {
		case <-t.C:
		case <-ctx.Done():
			t.Stop()
			return prism.From(ctx.Err())
		}
	}
	return nil
}

// A call is the store at the place where one call found it.
type call struct {
	*Store
	at    *stay
	set   *driver.Set
	write bool
}

// here is the store where it is now, for what asks nothing of the backend.
func (s *Store) here() call {
	st := s.place.now.Load()
	return call{Store: s, at: st, set: st.set}
}

// reading begins a call that changes nothing. Every call needs one leave.
func (s *Store) reading() call {
	for {
		c := s.here()
		c.at.reads.Add(1)
		// Counted first and looked at after, so that a move either sees this
		// call or is seen by it.
		if s.place.now.Load() == c.at {
			return c
		}
		c.at.reads.Add(-1)
	}
}

// writing begins a call that brings so many bytes. It waits while a move holds
// writes.
func (s *Store) writing(ctx context.Context, size int) (call, error) {
	for {
		c := s.here()
		if h := c.at.hold; h != nil {
			if err := h.wait(ctx, size); err != nil {
				return call{}, err
			}
			continue
		}
		c.at.writes.Add(1)
		if s.place.now.Load() == c.at {
			c.write = true
			return c, nil
		}
		c.at.writes.Add(-1)
	}
}

// enter begins a call of one operation.
func (s *Store) enter(ctx context.Context, op *Op) (call, error) {
	if op.Reads() {
		return s.reading(), nil
	}
	return s.writing(ctx, len(op.Key)+len(op.Value))
}

// enterAll begins a call of many operations.
func (s *Store) enterAll(ctx context.Context, ops []Op) (call, error) {
	size, writes := 0, false
	for i := range ops {
		if !ops[i].Reads() {
			writes = true
			size += len(ops[i].Key) + len(ops[i].Value)
		}
	}
	if !writes {
		return s.reading(), nil
	}
	return s.writing(ctx, size)
}

// leave ends a call.
func (s call) leave() {
	if s.write {
		s.at.writes.Add(-1)
	} else {
		s.at.reads.Add(-1)
	}
}

// note tells a move of an operation that was done, or tried.
func (s call) note(op *Op, r *Result, err error) {
	if t := s.at.tail; t != nil && !op.Reads() {
		t.note(op, s.clock.Now(), r, err)
	}
}

func (s call) noteAll(ops []Op, results []Result, err error) {
	if s.at.tail == nil {
		return
	}
	for i := range ops {
		failed := err
		if failed == nil {
			failed = results[i].Err
		}
		s.note(&ops[i], &results[i], failed)
	}
}

func (s call) noteCommit(writes []Op, once driver.Receipt, results []Result, err error) {
	if t := s.at.tail; t != nil {
		t.noteCommit(writes, once, s.clock.Now(), results, err)
	}
}
