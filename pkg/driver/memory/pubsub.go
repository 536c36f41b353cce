package memory

import (
	"context"
	"maps"
	"slices"
	"sort"
	"time"

	"github.com/prism-data-layer/prism/pkg/driver"
	"github.com/prism-data-layer/prism/pkg/driver/broker"
	"github.com/prism-data-layer/prism/pkg/prism"
)

// pubsub is the store as publish and subscribe. Live events go through the
// broker; persistent ones are also kept in their space.
type pubsub struct {
	*store
	broker *broker.Broker
}

var (
	_ driver.PubSub           = pubsub{}
	_ driver.PubSubWildcards  = pubsub{}
	_ driver.PubSubGroups     = pubsub{}
	_ driver.PubSubFiltering  = pubsub{}
	_ driver.PubSubOrdering   = pubsub{}
	_ driver.PubSubPersistent = pubsub{}
)

func (p pubsub) Publish(ctx context.Context, ns prism.Namespace, events []driver.Event, results []driver.PublishResult) error {
	return p.publish(ctx, ns, events, results, false)
}

func (p pubsub) PublishOrdered(ctx context.Context, ns prism.Namespace, events []driver.Event, results []driver.PublishResult) error {
	return p.publish(ctx, ns, events, results, true)
}

func (p pubsub) publish(ctx context.Context, ns prism.Namespace, events []driver.Event, results []driver.PublishResult, ordered bool) error {
	if _, err := p.find(ctx, ns); err != nil {
		return err
	}
	p.broker.Publish(ns, events, ordered, func(i int, n int64) { results[i] = driver.PublishResult{Subscribers: n} })
	return nil
}

func (p pubsub) Subscribe(ctx context.Context, ns prism.Namespace, s driver.Subscription) (driver.Subscriber, error) {
	return p.SubscribeGroup(ctx, ns, "", s)
}

func (p pubsub) SubscribePattern(ctx context.Context, ns prism.Namespace, s driver.Subscription) (driver.Subscriber, error) {
	return p.SubscribeGroup(ctx, ns, "", s)
}

func (p pubsub) SubscribeFiltered(ctx context.Context, ns prism.Namespace, s driver.Subscription) (driver.Subscriber, error) {
	return p.SubscribeGroup(ctx, ns, "", s)
}

func (p pubsub) SubscribeGroup(ctx context.Context, ns prism.Namespace, group string, s driver.Subscription) (driver.Subscriber, error) {
	if _, err := p.find(ctx, ns); err != nil {
		return nil, err
	}
	return p.broker.Subscribe(ns, group, s)
}

// PublishPersistent keeps the events and hands them out in the order in which
// they are kept.
func (p pubsub) PublishPersistent(ctx context.Context, ns prism.Namespace, events []driver.Event, results []driver.PublishResult) error {
	sp, err := p.lock(ctx, ns)
	if err != nil {
		return err
	}
	defer sp.mu.Unlock()
	l, now := sp.log(), p.now()/1e6
	for i := range events {
		results[i] = sp.keepEvent(l, &events[i], now)
		if r := &results[i]; r.Err == nil && !r.Replayed {
			p.broker.Publish(ns, events[i:i+1], false, func(_ int, n int64) { r.Subscribers = n })
		}
	}
	l.trim(now)
	l.fire()
	return nil
}

// keepEvent appends an event to the log, unless its receipt says that it was
// kept before.
func (sp *space) keepEvent(l *eventLog, e *driver.Event, now int64) driver.PublishResult {
	if !e.Receipt.IsZero() {
		switch first, ok, err := sp.receipts.replay(e.Receipt, now); {
		case err != nil:
			return driver.PublishResult{Err: err}
		case ok && len(first) == 1:
			return driver.PublishResult{
				Subscribers: -1, Replayed: true, Position: l.extent().Position(first[0].Version),
				ID: string(first[0].Value), Time: first[0].ExpiresAt,
			}
		}
	}
	l.append(broker.Share(e))
	if !e.Receipt.IsZero() {
		sp.receipts.keep(e.Receipt, now, driver.Result{Version: l.last, Value: []byte(e.ID), ExpiresAt: e.Time})
	}
	return driver.PublishResult{Position: l.extent().Position(l.last)}
}

// Replay begins after what the name has acked, or where the caller says.
func (p pubsub) Replay(ctx context.Context, ns prism.Namespace, r driver.Replay) (driver.Replayer, error) {
	sp, err := p.lock(ctx, ns)
	if err != nil {
		return nil, err
	}
	defer sp.mu.Unlock()
	l := sp.log()
	l.trim(p.now() / 1e6)
	n := l.names[r.Name]
	if n != nil && n.Pattern != r.Pattern {
		return nil, prism.InvalidField("pattern", "is not the one of the durable subscription, which is "+n.Pattern+": delete it first")
	}
	var after uint64
	if n != nil {
		after = n.At()
	} else if after, err = l.start(r.Start); err != nil {
		return nil, err
	}
	if after < l.floor {
		return nil, broker.Compacted()
	}
	reader := broker.Follow(spaceLog{sp}, p.clock, r, l.epoch, after)
	if r.Name == "" {
		return reader, nil
	}
	if n == nil {
		n = &broker.Name{Pattern: r.Pattern, Created: time.UnixMilli(p.now() / 1e6), Start: after}
		l.names[r.Name] = n
	}
	n.Take(reader)
	return reader, nil
}

// named finds a durable subscription, with the lock of its space held if there
// is one.
func (p pubsub) named(ctx context.Context, ns prism.Namespace, name string) (sp *space, n *broker.Name, err error) {
	if sp, err = p.lock(ctx, ns); err != nil {
		return nil, nil, err
	}
	if sp.events != nil {
		n = sp.events.names[name]
	}
	return sp, n, nil
}

func (p pubsub) Acknowledge(ctx context.Context, ns prism.Namespace, name string, at driver.Position) error {
	sp, n, err := p.named(ctx, ns, name)
	if err != nil {
		return err
	}
	defer sp.mu.Unlock()
	if n == nil {
		return prism.NotFound("subscription", name)
	}
	number, err := sp.events.extent().Acked(at)
	if err != nil {
		return err
	}
	n.Acked = max(n.Acked, number)
	return nil
}

func (p pubsub) Subscriptions(ctx context.Context, ns prism.Namespace) ([]driver.DurableSubscription, error) {
	sp, err := p.find(ctx, ns)
	if sp == nil || err != nil {
		return nil, err
	}
	sp.mu.Lock()
	defer sp.mu.Unlock()
	if sp.gone || sp.events == nil {
		return nil, p.goneError()
	}
	l := sp.events
	list := make([]driver.DurableSubscription, 0, len(l.names))
	for _, name := range slices.Sorted(maps.Keys(l.names)) {
		list = append(list, l.names[name].Info(name, l.extent()))
	}
	return list, nil
}

func (p pubsub) DeleteSubscription(ctx context.Context, ns prism.Namespace, name string) (bool, error) {
	sp, n, err := p.named(ctx, ns, name)
	if err != nil {
		return false, err
	}
	defer sp.mu.Unlock()
	if n == nil {
		return false, nil
	}
	delete(sp.events.names, name)
	n.End(name)
	return true, nil
}

// An eventLog is the persistent events of a space, under its lock.
type eventLog struct {
	epoch uint64
	floor uint64 // the last event that is gone
	last  uint64
	kept  []keptEvent // floor+1 to last, after head gone ones
	head  int
	bytes int64
	stamp int64 // of the last event
	max   int
	age   int64 // milliseconds
	names map[string]*broker.Name
	wake  chan struct{} // closed at the next event; nil when nobody waits
}

// keptEvent has the time of its event in milliseconds, but never one before
// that of the event ahead of it: so that times can be searched.
type keptEvent struct {
	*driver.Event
	stamp int64
}

// log is the space's, made if there is none.
func (sp *space) log() *eventLog {
	if sp.events == nil {
		sp.events = &eventLog{
			epoch: sp.store.seq.Add(1), names: map[string]*broker.Name{},
			max: sp.store.opts.PubSubEvents, age: sp.store.opts.PubSubAge.Milliseconds(),
		}
	}
	return sp.events
}

func (l *eventLog) extent() broker.Extent {
	return broker.Extent{Epoch: l.epoch, Floor: l.floor, Last: l.last}
}

func (l *eventLog) append(e *driver.Event) {
	l.stamp = max(l.stamp, e.Time.UnixMilli())
	l.kept = append(l.kept, keptEvent{e, l.stamp})
	l.bytes += eventBytes(e)
	l.last++
}

// eventBytes is what an event weighs.
func eventBytes(e *driver.Event) int64 {
	n := len(e.ID) + len(e.Topic) + len(e.Payload) + len(e.CorrelationID) + len(e.ReplyTo) + len(e.OrderingKey)
	for k, v := range e.Attributes {
		n += len(k) + len(v)
	}
	return int64(n)
}

// start is the event that a new replay begins after.
func (l *eventLog) start(s driver.ReplayStart) (uint64, error) {
	switch {
	case s.Earliest:
		return l.floor, nil
	case s.After != nil:
		return l.extent().Number(s.After)
	case !s.Time.IsZero():
		at := s.Time.UnixMilli()
		kept := l.kept[l.head:]
		return l.floor + uint64(sort.Search(len(kept), func(i int) bool { return kept[i].stamp >= at })), nil
	}
	return l.last, nil
}

// trim drops what is too old or too much.
func (l *eventLog) trim(now int64) {
	kept := l.kept[l.head:]
	over := max(len(kept)-l.max, 0)
	for over < len(kept) && kept[over].stamp <= now-l.age {
		over++
	}
	if over == 0 {
		return
	}
	for _, n := range l.names {
		n.Pass(l.floor, l.floor+uint64(over), func(number uint64) string { return kept[number-l.floor-1].Topic })
	}
	for i := range kept[:over] {
		l.bytes -= eventBytes(kept[i].Event)
		kept[i] = keptEvent{}
	}
	l.head += over
	l.floor += uint64(over)
	if l.head > len(l.kept)/2 {
		l.kept = slices.Clone(l.kept[l.head:])
		l.head = 0
	}
}

// fire wakes the readers.
func (l *eventLog) fire() {
	if l.wake != nil {
		close(l.wake)
		l.wake = nil
	}
}

// spaceLog lets a reader read a space.
type spaceLog struct{ *space }

// readMax and readBytes bound what a reader takes under one hold of the lock.
const (
	readMax   = 1000
	readBytes = 4 << 20
)

func (s spaceLog) Extent() (broker.Extent, <-chan struct{}, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.gone {
		if s.store.closed.Load() {
			return broker.Extent{}, nil, s.store.unavailable()
		}
		return broker.Extent{}, nil, broker.Compacted()
	}
	l := s.events
	if l.wake == nil {
		l.wake = make(chan struct{})
	}
	return l.extent(), l.wake, nil
}

func (s spaceLog) Read(_ broker.Extent, after uint64) ([]*driver.Event, error) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	l := s.events
	if s.gone || after < l.floor {
		return nil, broker.Compacted()
	}
	kept := l.kept[l.head+int(after-l.floor):]
	list := make([]*driver.Event, 0, min(len(kept), readMax))
	for bytes := 0; len(list) < cap(list) && bytes < readBytes; {
		e := kept[len(list)].Event
		bytes += len(e.Payload)
		list = append(list, e)
	}
	return list, nil
}
