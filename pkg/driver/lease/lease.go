// Package lease is the order of work queues as the embedded drivers share it:
// which message goes next, what waits for its time or for its key, whose lease
// is over. It holds 32 bytes for a message, without pointers, and no payloads:
// a driver keeps those, in memory or on disk, and calls the engine under a lock
// of its own.
//
// What a call costs does not grow with what waits, but for the logarithm of
// what waits in the same queue. Times are milliseconds of the driver's clock.
package lease

import (
	"hash/maphash"
	"iter"
	"maps"
	"math"
	"math/bits"
	"slices"

	"github.com/prism-data-layer/prism/pkg/driver"
	"github.com/prism-data-layer/prism/pkg/prism"
)

// Slot is where the engine keeps a message: a driver may keep its own part of
// the message under the same number. It is used again for another message.
type Slot int32

const none = Slot(-1)

// Never is a time after all others.
const Never = math.MaxInt64

// A record is what the engine keeps of a message.
type record struct {
	id       uint64
	born     uint32 // when it was first ready, in seconds: its retention begins
	size     uint32
	group    int32 // of its key; 0: none
	next     Slot  // in the list of its priority, or of its key
	pos      int32 // in the heap that holds it
	attempts uint16
	priority uint8
	state    driver.QueueState
}

const slabLen = 1024

// A line is a list of messages through their next.
type line struct{ head, tail Slot }

// A group is the messages of one key, oldest first. Only the first may be
// delivered; the others wait in the list.
type group struct {
	hash uint64
	line
}

// Name is a queue's.
type Name struct {
	Namespace prism.Namespace
	Queue     string
}

// An Engine holds queues. Its functions are called under one lock.
type Engine struct {
	// Removed is told of a message that its retention has ended, before its
	// slot is used again.
	Removed func(q *Queue, s Slot, id uint64)
	// Died is told of a message whose last lease has passed.
	Died func(q *Queue, s Slot, id uint64)
	// Awake is told of a queue of which messages became ready by the time.
	Awake func(q *Queue)

	slabs  []*[slabLen]record
	used   int32
	free   Slot
	groups []group
	spare  int32 // first free group, through hash
	seed   maphash.Seed
	spaces map[prism.Namespace]map[string]*Queue
	alarm  []*Queue // heap by wake
}

// New returns an engine without queues.
func New() *Engine {
	return &Engine{
		Removed: func(*Queue, Slot, uint64) {}, Died: func(*Queue, Slot, uint64) {}, Awake: func(*Queue) {},
		free: none, groups: make([]group, 1), seed: maphash.MakeSeed(),
		spaces: make(map[prism.Namespace]map[string]*Queue),
	}
}

// A Queue is one queue. The exported fields are the driver's.
type Queue struct {
	Name
	Options driver.QueueOptions

	Published, Delivered, Acked, Redelivered int64

	Waiting Waiters

	engine *Engine
	fifo   [driver.MaxPriority + 1]line // never delivered, no key: in the order of publishing
	some   uint16                       // which of fifo have any
	back   []ready                      // the other ready messages that may go
	later  run                          // delayed, in the order in which they were and become due
	due    []due                        // delayed, and due before one that came earlier
	held   []held
	dead   []dead
	byID   map[uint64]Slot // of leased messages and dead letters
	keys   map[uint64]int32
	counts [driver.QueueDead + 1]int64
	ready  [driver.MaxPriority + 1]int64
	bytes  int64

	wake  int64 // for when the alarm is set
	alarm int32 // place in the alarm heap, -1: none
}

// Find returns a queue, nil if there is none.
func (e *Engine) Find(n Name) *Queue { return e.spaces[n.Namespace][n.Queue] }

// Make adds a queue, which is not there.
func (e *Engine) Make(n Name, o driver.QueueOptions) *Queue {
	q := &Queue{Name: n, Options: o, engine: e, wake: Never, alarm: -1, byID: make(map[uint64]Slot), keys: make(map[uint64]int32)}
	for i := range q.fifo {
		q.fifo[i] = line{none, none}
	}
	if e.spaces[n.Namespace] == nil {
		e.spaces[n.Namespace] = make(map[string]*Queue)
	}
	e.spaces[n.Namespace][n.Queue] = q
	return q
}

// Queues lists those of a namespace by name.
func (e *Engine) Queues(ns prism.Namespace) []*Queue {
	queues := make([]*Queue, 0, len(e.spaces[ns]))
	for _, name := range slices.Sorted(maps.Keys(e.spaces[ns])) {
		queues = append(queues, e.spaces[ns][name])
	}
	return queues
}

// All walks the queues of all namespaces, in no order.
func (e *Engine) All() iter.Seq[*Queue] {
	return func(yield func(*Queue) bool) {
		for _, space := range e.spaces {
			for _, q := range space {
				if !yield(q) {
					return
				}
			}
		}
	}
}

// Remove forgets a queue with its messages; each is told their slots.
func (e *Engine) Remove(q *Queue, each func(Slot)) {
	for _, s := range slices.Collect(q.each()) {
		each(s)
		e.release(s)
	}
	for _, g := range q.keys {
		e.dropGroup(g)
	}
	if q.alarm >= 0 {
		e.unset(q)
	}
	delete(e.spaces[q.Namespace], q.Queue)
	if len(e.spaces[q.Namespace]) == 0 {
		delete(e.spaces, q.Namespace)
	}
}

func (e *Engine) at(s Slot) *record { return &e.slabs[s/slabLen][s%slabLen] }

func (e *Engine) take() Slot {
	if s := e.free; s != none {
		e.free = e.at(s).next
		return s
	}
	if int(e.used)/slabLen == len(e.slabs) {
		e.slabs = append(e.slabs, new([slabLen]record))
	}
	e.used++
	return Slot(e.used - 1)
}

func (e *Engine) release(s Slot) {
	*e.at(s) = record{next: e.free}
	e.free = s
}

func (e *Engine) takeGroup(hash uint64) int32 {
	g := e.spare
	if g != 0 {
		e.spare = int32(e.groups[g].hash)
	} else {
		g = int32(len(e.groups))
		e.groups = append(e.groups, group{})
	}
	e.groups[g] = group{hash, line{none, none}}
	return g
}

func (e *Engine) dropGroup(g int32) {
	e.groups[g] = group{hash: uint64(e.spare)}
	e.spare = g
}

// A Message is what the engine must know of one.
type Message struct {
	ID       uint64
	Key      string
	Size     int // in bytes, for the bounds of Receive and Peek
	Priority int
	Attempts int
	State    driver.QueueState
	At       int64  // when it is due, or its lease ends
	Fence    uint64 // of its lease
	Born     int64  // when it was, or will be, first ready: its retention begins
}

// Add puts a message into the queue. Messages of one key are added in the order
// of their ids.
func (q *Queue) Add(m Message) Slot {
	e := q.engine
	s := e.take()
	r := e.at(s)
	*r = record{
		id: m.ID, born: uint32(min((m.Born+999)/1000, math.MaxUint32)), size: uint32(m.Size), next: none,
		attempts: clip(m.Attempts), priority: uint8(m.Priority), state: m.State,
	}
	q.bytes += int64(m.Size)
	if m.Key != "" && m.State != driver.QueueDead {
		q.join(s, m.Key)
	}
	switch m.State {
	case driver.QueueReady:
		q.setReady(s)
	case driver.QueueLater:
		q.setLater(s, m.At)
	case driver.QueueLeased:
		q.setHeld(s, m.At, m.Fence)
	case driver.QueueDead:
		q.setDead(s)
	}
	q.rouse()
	return s
}

func clip(n int) uint16 { return uint16(min(n, math.MaxUint16)) }

// join puts a message into its key's list, by age, but never before one that
// is leased.
func (q *Queue) join(s Slot, key string) {
	e := q.engine
	hash := maphash.String(e.seed, key)
	g, ok := q.keys[hash]
	if !ok {
		g = e.takeGroup(hash)
		q.keys[hash] = g
	}
	r := e.at(s)
	r.group = g
	l := &e.groups[g].line
	switch head := l.head; {
	case head == none:
		*l = line{s, s}
	case e.at(l.tail).id < r.id:
		e.at(l.tail).next, l.tail = s, s
	case r.id < e.at(head).id && e.at(head).state != driver.QueueLeased:
		if h := e.at(head); h.state == driver.QueueReady {
			remove(e, &q.back, int(h.pos)) // it waits for its key again
		}
		r.next, l.head = head, s
	default:
		p := head
		for n := e.at(p).next; n != none && e.at(n).id < r.id; n = e.at(p).next {
			p = n
		}
		if r.next = e.at(p).next; r.next == none {
			l.tail = s
		}
		e.at(p).next = s
	}
}

// leave takes a message, the first of its key, out of the key's list.
func (q *Queue) leave(s Slot) {
	e := q.engine
	r := e.at(s)
	if r.group == 0 {
		return
	}
	g := &e.groups[r.group]
	g.head = r.next
	if g.head == none {
		delete(q.keys, g.hash)
		e.dropGroup(r.group)
	} else if e.at(g.head).state == driver.QueueReady {
		push(e, &q.back, ready(g.head))
	}
	r.group, r.next = 0, none
}

// first reports whether no message of its key is before s.
func (e *Engine) first(s Slot) bool {
	g := e.at(s).group
	return g == 0 || e.groups[g].head == s
}

func (q *Queue) count(r *record, state driver.QueueState, n int64) {
	r.state = state
	q.counts[state] += n
	if state == driver.QueueReady {
		q.ready[r.priority] += n
	}
}

func (q *Queue) setReady(s Slot) {
	e := q.engine
	r := e.at(s)
	q.count(r, driver.QueueReady, 1)
	l := &q.fifo[r.priority]
	switch {
	case !e.first(s): // it waits for its key
	case r.group != 0 || r.attempts > 0 || l.tail != none && e.at(l.tail).id > r.id:
		push(e, &q.back, ready(s))
	case l.tail == none:
		*l = line{s, s}
		q.some |= 1 << r.priority
	default:
		e.at(l.tail).next, l.tail = s, s
	}
}

func (q *Queue) setLater(s Slot, at int64) {
	q.count(q.engine.at(s), driver.QueueLater, 1)
	if d := (due{at, s}); !q.later.add(d) {
		push(q.engine, &q.due, d)
	}
}

// nextDue is the delayed message that is due first.
func (q *Queue) nextDue() (d due, ok bool) {
	d, ok = q.later.first()
	if len(q.due) > 0 && (!ok || q.due[0].before(q.engine, d)) {
		return q.due[0], true
	}
	return d, ok
}

// drawDue takes out what nextDue has named.
func (q *Queue) drawDue(d due) {
	if first, ok := q.later.first(); ok && first == d {
		q.later.drop()
		return
	}
	remove(q.engine, &q.due, 0)
}

func (q *Queue) setHeld(s Slot, at int64, fence uint64) {
	r := q.engine.at(s)
	q.count(r, driver.QueueLeased, 1)
	q.byID[r.id] = s
	push(q.engine, &q.held, held{at, fence, s})
}

func (q *Queue) setDead(s Slot) {
	r := q.engine.at(s)
	q.count(r, driver.QueueDead, 1)
	q.byID[r.id] = s
	push(q.engine, &q.dead, dead(s))
}

// unhold takes a leased message out of its lease.
func (q *Queue) unhold(s Slot) {
	r := q.engine.at(s)
	q.count(r, driver.QueueLeased, -1)
	delete(q.byID, r.id)
	remove(q.engine, &q.held, int(r.pos))
}

// yield puts a message whose lease is over, the first of its key, behind older
// ones that have come back meanwhile.
func (q *Queue) yield(s Slot) {
	e := q.engine
	r := e.at(s)
	first := r.next
	if r.group == 0 || first == none || e.at(first).id > r.id {
		return
	}
	g, p := &e.groups[r.group], first
	for n := e.at(p).next; n != none && e.at(n).id < r.id; n = e.at(p).next {
		p = n
	}
	g.head = first
	if r.next = e.at(p).next; r.next == none {
		g.tail = s
	}
	e.at(p).next = s
	if e.at(first).state == driver.QueueReady {
		push(e, &q.back, ready(first))
	}
}

// forget ends a message that is in no list and no heap.
func (q *Queue) forget(s Slot) {
	q.bytes -= int64(q.engine.at(s).size)
	q.engine.release(s)
}

// best is the message that goes next, none if there is none.
func (q *Queue) best() Slot {
	s := none
	if q.some != 0 {
		s = q.fifo[bits.Len16(q.some)-1].head
	}
	if len(q.back) > 0 && (s == none || q.back[0].before(q.engine, ready(s))) {
		s = Slot(q.back[0])
	}
	return s
}

// draw takes a message that [Queue.best] has named, or the head of a list of a
// lower priority, out of where it stands.
func (q *Queue) draw(s Slot) {
	e := q.engine
	r := e.at(s)
	q.count(r, driver.QueueReady, -1)
	if l := &q.fifo[r.priority]; l.head == s {
		if l.head = r.next; l.head == none {
			l.tail = none
			q.some &^= 1 << r.priority
		}
		r.next = none
		return
	}
	remove(e, &q.back, int(r.pos))
}

// A Leased message is on its way to a consumer.
type Leased struct {
	Slot     Slot
	ID       uint64
	Fence    uint64
	Attempts int
}

// Ready reports whether a message may be delivered.
func (q *Queue) Ready() bool { return q.best() != none }

// Lease takes up to limit messages of up to bytes together, one at least,
// until a time. fence gives each lease its number.
func (q *Queue) Lease(limit, bytes int, until int64, fence func() uint64) []Leased {
	e := q.engine
	room := bytes
	out := make([]Leased, 0, min(int64(limit), q.counts[driver.QueueReady]))
	for len(out) < limit {
		s := q.best()
		if s == none {
			break
		}
		r := e.at(s)
		if bytes > 0 && len(out) > 0 && int(r.size) > room {
			break
		}
		room -= int(r.size)
		q.draw(s)
		if r.attempts < math.MaxUint16 {
			r.attempts++
		}
		f := fence()
		q.setHeld(s, until, f)
		q.Delivered++
		if r.attempts > 1 {
			q.Redelivered++
		}
		out = append(out, Leased{s, r.id, f, int(r.attempts)})
	}
	q.rouse()
	return out
}

// Held finds the message of a lease that is not over.
func (q *Queue) Held(l driver.LeaseReceipt) (Slot, error) {
	s, ok := q.byID[l.ID]
	if ok {
		if r := q.engine.at(s); r.state == driver.QueueLeased && q.held[r.pos].fence == l.Fence {
			return s, nil
		}
	}
	return 0, prism.New(prism.ReasonLeaseLost, "the lease of message %d is over", l.ID)
}

// Ack ends a leased message.
func (q *Queue) Ack(s Slot) {
	q.unhold(s)
	q.leave(s)
	q.forget(s)
	q.Acked++
}

// Extend makes a lease end at another time.
func (q *Queue) Extend(s Slot, until int64) {
	i := int(q.engine.at(s).pos)
	q.held[i].at = until
	fix(q.engine, q.held, i)
	q.rouse()
}

// Last reports whether a leased message was delivered as often as it may be.
func (q *Queue) Last(s Slot) bool {
	limit := q.Options.MaxAttempts
	return limit > 0 && int(q.engine.at(s).attempts) >= limit
}

// Release gives a leased message back: at once, or at a time after now.
func (q *Queue) Release(s Slot, now, at int64) {
	q.unhold(s)
	q.yield(s)
	if at > now {
		q.setLater(s, at)
	} else {
		q.setReady(s)
	}
	q.rouse()
}

// Kill makes a dead letter of a leased message.
func (q *Queue) Kill(s Slot) {
	q.unhold(s)
	q.leave(s)
	q.setDead(s)
	q.rouse()
}

// Advance does what time has brought by now: delayed messages become ready,
// leases end, and what nobody worked off within the retention goes.
func (q *Queue) Advance(now int64) {
	e := q.engine
	for d, ok := q.nextDue(); ok && d.at <= now; d, ok = q.nextDue() {
		q.count(e.at(d.s), driver.QueueLater, -1)
		q.drawDue(d)
		q.setReady(d.s)
	}
	for len(q.held) > 0 && q.held[0].at <= now {
		s := q.held[0].s
		if q.Last(s) {
			q.Kill(s)
			e.Died(q, s, e.at(s).id)
			continue
		}
		q.unhold(s)
		q.yield(s)
		q.setReady(s)
	}
	for s := q.stale(now); s != none; s = q.stale(now) {
		q.draw(s)
		q.leave(s)
		e.Removed(q, s, e.at(s).id)
		q.forget(s)
	}
	q.rouse()
}

// stale is a message that goes next, of some priority, and is past its
// retention. What is behind it is looked at when it is gone.
func (q *Queue) stale(now int64) Slot {
	if q.Options.Retention <= 0 {
		return none
	}
	for p := q.some; p != 0; p &= p - 1 {
		if s := q.fifo[bits.TrailingZeros16(p)].head; q.ends(s) <= now {
			return s
		}
	}
	if len(q.back) > 0 && q.ends(Slot(q.back[0])) <= now {
		return Slot(q.back[0])
	}
	return none
}

func (q *Queue) ends(s Slot) int64 {
	return int64(q.engine.at(s).born)*1000 + q.Options.Retention.Milliseconds()
}

// next is when Advance has something to do.
func (q *Queue) next() int64 {
	at := int64(Never)
	if d, ok := q.nextDue(); ok {
		at = d.at
	}
	if len(q.held) > 0 {
		at = min(at, q.held[0].at)
	}
	if q.Options.Retention > 0 {
		for p := q.some; p != 0; p &= p - 1 {
			at = min(at, q.ends(q.fifo[bits.TrailingZeros16(p)].head))
		}
		if len(q.back) > 0 {
			at = min(at, q.ends(Slot(q.back[0])))
		}
	}
	return at
}

// Revive makes a dead letter ready with no attempts counted. key is its own.
func (q *Queue) Revive(s Slot, key string, now int64) {
	e := q.engine
	r := e.at(s)
	q.count(r, driver.QueueDead, -1)
	delete(q.byID, r.id)
	remove(e, &q.dead, int(r.pos))
	r.attempts, r.born = 0, uint32((now+999)/1000)
	if key != "" {
		q.join(s, key)
	}
	q.setReady(s)
	q.rouse()
}

// Purge ends a dead letter.
func (q *Queue) Purge(s Slot) {
	r := q.engine.at(s)
	q.count(r, driver.QueueDead, -1)
	delete(q.byID, r.id)
	remove(q.engine, &q.dead, int(r.pos))
	q.forget(s)
}

// Dead finds the dead letters with the ids, or with none given the oldest; all
// of them if limit is 0.
func (q *Queue) Dead(ids []uint64, limit int) []Slot {
	var slots []Slot
	if len(ids) > 0 {
		for _, id := range ids {
			s, ok := q.byID[id]
			if ok && q.engine.at(s).state == driver.QueueDead && !slices.Contains(slots, s) {
				slots = append(slots, s)
			}
		}
		return slots
	}
	if limit == 0 || limit > len(q.dead) {
		limit = len(q.dead)
	}
	for _, i := range q.list(driver.QueueDead, nil, limit) {
		slots = append(slots, i.slot)
	}
	return slots
}

// ID is the message's.
func (e *Engine) ID(s Slot) uint64 { return e.at(s).id }

// Counts tells how many messages are in a state.
func (q *Queue) Counts(state driver.QueueState) int64 { return q.counts[state] }

// Len is how many messages there are.
func (q *Queue) Len() int64 {
	return q.counts[driver.QueueReady] + q.counts[driver.QueueLater] + q.counts[driver.QueueLeased] + q.counts[driver.QueueDead]
}

// Bytes are those of all messages.
func (q *Queue) Bytes() int64 { return q.bytes }

// Priorities counts the ready messages of each priority.
func (q *Queue) Priorities() []int64 { return slices.Clone(q.ready[:]) }

// NextDue is when the next delayed message becomes ready.
func (q *Queue) NextDue() (int64, bool) {
	d, ok := q.nextDue()
	return d.at, ok
}

// Info fills in what the engine knows.
func (q *Queue) Info() driver.QueueInfo {
	return driver.QueueInfo{
		Options: q.Options,
		Ready:   q.counts[driver.QueueReady], Delayed: q.counts[driver.QueueLater],
		Leased: q.counts[driver.QueueLeased], Dead: q.counts[driver.QueueDead], Bytes: q.bytes,
		Published: q.Published, Delivered: q.Delivered, Acked: q.Acked, Redelivered: q.Redelivered,
	}
}

// Size is how many bytes a message counts for.
func (q *Queue) Size(s Slot) int { return int(q.engine.at(s).size) }

// Priority is the message's.
func (q *Queue) Priority(s Slot) int { return int(q.engine.at(s).priority) }

// Attempts are the message's deliveries.
func (q *Queue) Attempts(s Slot) int { return int(q.engine.at(s).attempts) }

// Born is when the retention of a message began, to the second.
func (q *Queue) Born(s Slot) int64 { return int64(q.engine.at(s).born) * 1000 }

// Fence is the number of a leased message's lease.
func (q *Queue) Fence(s Slot) uint64 { return q.held[q.engine.at(s).pos].fence }
