// Package broker delivers events inside one process: to live subscriptions, by
// topic, group and filter, and to readers of a log. Drivers that have no broker
// of their own share it. What is kept, and how durably, is theirs.
//
// An event is copied once, when it is published, and then shared by all who get
// it. Publishing waits for nobody: each subscription has a ring, and what does
// not fit is for its policy to decide.
package broker

import (
	"hash/maphash"
	"maps"
	"sync"
	"sync/atomic"

	"github.com/prism-data-layer/prism/pkg/driver"
	"github.com/prism-data-layer/prism/pkg/prism"
)

// A Broker has the live subscriptions of one store.
type Broker struct {
	mu     sync.RWMutex
	spaces map[prism.Namespace]*space
	closed error
}

// New returns a broker without subscriptions.
func New() *Broker { return &Broker{spaces: map[prism.Namespace]*space{}} }

// stripes is how many ordering keys can be published at once.
const stripes = 64

// A space is one namespace.
type space struct {
	b  *Broker
	ns prism.Namespace
	// mu is held for reading while events are handed out, for writing to come
	// and go.
	mu     sync.RWMutex
	root   node
	groups map[string]*group
	count  int
	order  [stripes]sync.Mutex
}

var seed = maphash.MakeSeed()

// Publish hands out events in order and says how many subscriptions each went
// to. Those with one ordering key are seen by all subscriptions in one order,
// also when calls overlap, if ordered is set.
func (b *Broker) Publish(ns prism.Namespace, events []driver.Event, ordered bool, subscribers func(i int, n int64)) {
	b.mu.RLock()
	sp := b.spaces[ns]
	b.mu.RUnlock()
	if sp == nil {
		for i := range events {
			subscribers(i, 0)
		}
		return
	}
	d := deliveries.Get().(*delivery)
	defer d.free()
	sp.mu.RLock()
	defer sp.mu.RUnlock()
	for i := range events {
		if key := events[i].OrderingKey; ordered && key != "" {
			turn := &sp.order[maphash.String(seed, key)%stripes]
			turn.Lock()
			subscribers(i, d.one(sp, &events[i]))
			turn.Unlock()
			continue
		}
		subscribers(i, d.one(sp, &events[i]))
	}
	d.wakeAll()
}

// Share copies an event, so that it can be handed to many while its publisher
// uses its memory again.
func Share(e *driver.Event) *driver.Event {
	own := *e
	own.Payload = append(make([]byte, 0, len(e.Payload)), e.Payload...)
	own.Attributes = maps.Clone(e.Attributes)
	own.Receipt, own.Position = driver.Receipt{}, nil
	return &own
}

// A delivery is the working memory of one Publish.
type delivery struct {
	matched []*subscription
	grouped []*subscription
	members []*subscription
	wake    []*subscription
}

var deliveries = sync.Pool{New: func() any { return new(delivery) }}

func (d *delivery) free() {
	clear(d.matched[:cap(d.matched)])
	clear(d.grouped[:cap(d.grouped)])
	clear(d.members[:cap(d.members)])
	clear(d.wake[:cap(d.wake)])
	*d = delivery{d.matched[:0], d.grouped[:0], d.members[:0], d.wake[:0]}
	deliveries.Put(d)
}

// one hands out an event.
func (d *delivery) one(sp *space, e *driver.Event) (n int64) {
	d.matched = sp.root.match(e.Topic, d.matched[:0])
	if len(d.matched) == 0 {
		return 0
	}
	own := Share(e)
	d.grouped = d.grouped[:0]
	for _, s := range d.matched {
		if s.group != nil {
			d.grouped = append(d.grouped, s)
			continue
		}
		if d.note(s, s.push(own, false)) {
			n++
		}
	}
	for len(d.grouped) > 0 {
		g, others := d.grouped[0].group, d.grouped[:0]
		d.members = d.members[:0]
		for _, s := range d.grouped {
			if s.group == g {
				d.members = append(d.members, s)
			} else {
				others = append(others, s)
			}
		}
		d.grouped = others
		if g.give(d, own) {
			n++
		}
	}
	return n
}

// note remembers whom to wake, and reports whether s has the event.
func (d *delivery) note(s *subscription, o outcome) bool {
	if o == pushedAndWake {
		d.wake = append(d.wake, s)
	}
	return o == pushed || o == pushedAndWake
}

// wakeAll wakes each reader once, whatever number of events it got.
func (d *delivery) wakeAll() {
	for _, s := range d.wake {
		s.signal()
	}
}

// A group gets each event once.
type group struct {
	next atomic.Uint64 // whose turn it is
	refs int           // members; under the space's lock
}

// give hands e to one of d.members: the next with room, and when none has room
// the next, whose policy then decides.
func (g *group) give(d *delivery, e *driver.Event) bool {
	turn := g.next.Add(1)
	n := uint64(len(d.members))
	var full *subscription
	for i := range n {
		s := d.members[(turn+i)%n]
		switch o := s.push(e, true); o {
		case pushed, pushedAndWake:
			return d.note(s, o)
		case noRoom:
			if full == nil {
				full = s
			}
		}
	}
	if full == nil {
		return false
	}
	return d.note(full, full.push(e, false))
}

// Subscribe begins a subscription, in a group if one is named.
func (b *Broker) Subscribe(ns prism.Namespace, inGroup string, sub driver.Subscription) (driver.Subscriber, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.closed != nil {
		return nil, b.closed
	}
	sp := b.spaces[ns]
	if sp == nil {
		sp = &space{b: b, ns: ns, groups: map[string]*group{}}
		b.spaces[ns] = sp
	}
	s := &subscription{space: sp, pattern: sub.Pattern, filter: sub.Filter, limit: max(sub.Pending, 1), slow: sub.Slow, wake: make(chan struct{}, 1)}
	sp.mu.Lock()
	defer sp.mu.Unlock()
	if inGroup != "" {
		s.group, s.groupName = sp.join(inGroup), inGroup
	}
	sp.root.add(s)
	sp.count++
	return s, nil
}

func (sp *space) join(name string) *group {
	g := sp.groups[name]
	if g == nil {
		g = new(group)
		sp.groups[name] = g
	}
	g.refs++
	return g
}

// leave ends a subscription. What a member of a group had not read goes to
// others, as far as they have room.
func (b *Broker) leave(s *subscription) {
	b.mu.Lock()
	defer b.mu.Unlock()
	sp := s.space
	d := deliveries.Get().(*delivery)
	defer d.free()
	sp.mu.Lock()
	defer sp.mu.Unlock()
	sp.root.remove(s)
	if sp.count--; sp.count == 0 {
		delete(b.spaces, sp.ns)
	}
	rest := s.empty()
	if s.group == nil {
		return
	}
	if s.group.refs--; s.group.refs == 0 {
		delete(sp.groups, s.groupName)
		return
	}
	for _, e := range rest {
		d.members = d.members[:0]
		d.matched = sp.root.match(e.Topic, d.matched[:0])
		for _, other := range d.matched {
			if other.group == s.group {
				d.members = append(d.members, other)
			}
		}
		if len(d.members) > 0 {
			s.group.give(d, e)
		}
	}
	d.wakeAll()
}

// Subscriptions counts those of a namespace.
func (b *Broker) Subscriptions(ns prism.Namespace) int {
	b.mu.RLock()
	defer b.mu.RUnlock()
	if sp := b.spaces[ns]; sp != nil {
		return sp.count
	}
	return 0
}

// Close ends all subscriptions with err, and those to come.
func (b *Broker) Close(err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.closed = err
	for _, sp := range b.spaces {
		sp.mu.Lock()
		sp.root.each(func(s *subscription) { s.end(err) })
		sp.mu.Unlock()
	}
}
