package lease

import (
	"cmp"
	"encoding/binary"
	"iter"
	"math"
	"slices"

	"github.com/prism-data-layer/prism/pkg/driver"
	"github.com/prism-data-layer/prism/pkg/prism"
)

// each walks all messages of the queue. The queue must not change meanwhile.
func (q *Queue) each() iter.Seq[Slot] {
	return func(yield func(Slot) bool) {
		for _, state := range []driver.QueueState{driver.QueueReady, driver.QueueLater, driver.QueueLeased, driver.QueueDead} {
			for s := range q.in(state) {
				if !yield(s) {
					return
				}
			}
		}
	}
}

// in walks the messages of one state, in no order.
func (q *Queue) in(state driver.QueueState) iter.Seq[Slot] {
	e := q.engine
	return func(yield func(Slot) bool) {
		switch state {
		case driver.QueueReady:
			for i := range q.fifo {
				for s := q.fifo[i].head; s != none; s = e.at(s).next {
					if !yield(s) {
						return
					}
				}
			}
			for _, x := range q.back {
				if e.at(x.slot()).group == 0 && !yield(x.slot()) {
					return
				}
			}
			for _, g := range q.keys {
				for s := e.groups[g].head; s != none; s = e.at(s).next {
					if e.at(s).state == driver.QueueReady && !yield(s) {
						return
					}
				}
			}
		case driver.QueueLater:
			walk(append(slices.Clone(q.due), q.later.all()...), yield)
		case driver.QueueLeased:
			walk(q.held, yield)
		case driver.QueueDead:
			walk(q.dead, yield)
		}
	}
}

func walk[T item[T]](h []T, yield func(Slot) bool) {
	for _, x := range h {
		if !yield(x.slot()) {
			return
		}
	}
}

// place is where a message stands in a list: by rank, then by age.
type place struct {
	rank int64
	id   uint64
	slot Slot
}

func (a place) compare(b place) int {
	return cmp.Or(cmp.Compare(a.rank, b.rank), cmp.Compare(a.id, b.id))
}

func (q *Queue) placeOf(s Slot) place {
	r := q.engine.at(s)
	p := place{id: r.id, slot: s}
	switch r.state {
	case driver.QueueReady:
		p.rank = driver.MaxPriority - int64(r.priority)
	case driver.QueueLeased:
		p.rank = q.held[r.pos].at
	}
	return p
}

// places walks the messages of one state with where they stand.
func (q *Queue) places(state driver.QueueState) iter.Seq[place] {
	return func(yield func(place) bool) {
		if state == driver.QueueLater {
			for _, d := range append(slices.Clone(q.due), q.later.all()...) {
				if !yield(place{d.at, q.engine.at(d.s).id, d.s}) {
					return
				}
			}
			return
		}
		for s := range q.in(state) {
			if !yield(q.placeOf(s)) {
				return
			}
		}
	}
}

// list finds the first n messages of a state after a place. It looks at all of
// them: a list is for people.
func (q *Queue) list(state driver.QueueState, after *place, n int) []place {
	var best []place
	cut := func() {
		slices.SortFunc(best, place.compare)
		best = best[:min(n, len(best))]
	}
	for p := range q.places(state) {
		if after != nil && p.compare(*after) <= 0 {
			continue
		}
		if best = append(best, p); len(best) >= 2*n+64 {
			cut()
		}
	}
	cut()
	return best
}

const tokenFormat = 1

// A Peeked message is one of a list.
type Peeked struct {
	Slot     Slot
	ID       uint64
	Size     int
	Priority int
	Attempts int
	At       int64 // when it is due, or its lease ends; 0: neither
}

// Peek lists a page of messages of one state in the order of their delivery,
// and the token for the next; nil at the end.
func (q *Queue) Peek(p driver.QueuePeek) (page []Peeked, next []byte, err error) {
	switch {
	case p.State < driver.QueueReady || p.State > driver.QueueDead:
		return nil, nil, prism.InvalidField("state", "is none of a message")
	case p.Limit < 1:
		return nil, nil, prism.InvalidField("limit", "must be positive")
	}
	var after *place
	if p.Token != nil {
		if len(p.Token) != 17 || p.Token[0] != tokenFormat {
			return nil, nil, prism.New(prism.ReasonInvalidCursor, "the token is not one of this store")
		}
		after = &place{rank: int64(binary.BigEndian.Uint64(p.Token[1:])), id: binary.BigEndian.Uint64(p.Token[9:])}
	}
	limit := min(p.Limit, math.MaxInt32)
	found := q.list(p.State, after, limit+1)
	room := p.Bytes
	for i, f := range found {
		r := q.engine.at(f.slot)
		if i == limit || i > 0 && p.Bytes > 0 && int(r.size) > room {
			last := found[i-1]
			next = binary.BigEndian.AppendUint64(binary.BigEndian.AppendUint64([]byte{tokenFormat}, uint64(last.rank)), last.id)
			break
		}
		room -= int(r.size)
		m := Peeked{Slot: f.slot, ID: r.id, Size: int(r.size), Priority: int(r.priority), Attempts: int(r.attempts)}
		if p.State == driver.QueueLater || p.State == driver.QueueLeased {
			m.At = f.rank
		}
		page = append(page, m)
	}
	return page, next, nil
}

// Oldest is the oldest message that is ready or leased. It looks at what may be
// delivered, at all leases, and at the first of each key.
func (q *Queue) Oldest() (Slot, bool) {
	e, oldest := q.engine, none
	older := func(s Slot) {
		if s != none && (oldest == none || e.at(s).id < e.at(oldest).id) {
			oldest = s
		}
	}
	for i := range q.fifo {
		older(q.fifo[i].head)
	}
	for _, x := range q.back {
		older(x.slot())
	}
	for _, x := range q.held {
		older(x.s)
	}
	for _, g := range q.keys { // what waits behind a delayed one, or came back behind a younger one that is leased
		s := e.groups[g].head
		for s != none && e.at(s).state != driver.QueueReady {
			s = e.at(s).next
		}
		older(s)
	}
	return oldest, oldest != none
}
