package pebble

import (
	"context"
	"maps"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/prism-data-layer/prism/pkg/driver"
	"github.com/prism-data-layer/prism/pkg/driver/broker"
	"github.com/prism-data-layer/prism/pkg/prism"
)

// pubsub is the store as publish and subscribe. Live events go through the
// broker and touch no disk. Persistent ones are written first: one goroutine
// takes the jobs that are queued, has the committer make them one batch, and
// when that is synced hands the events out in the order of their log.
type pubsub struct {
	*store
	broker *broker.Broker
	jobs   jobs
	worker sync.WaitGroup
	over   atomic.Bool // no reader goes on

	mu   sync.Mutex
	logs map[prism.Namespace]*eventLog
}

var (
	_ driver.PubSub           = (*pubsub)(nil)
	_ driver.PubSubWildcards  = (*pubsub)(nil)
	_ driver.PubSubGroups     = (*pubsub)(nil)
	_ driver.PubSubFiltering  = (*pubsub)(nil)
	_ driver.PubSubOrdering   = (*pubsub)(nil)
	_ driver.PubSubPersistent = (*pubsub)(nil)
)

func newPubSub(s *store) *pubsub {
	p := &pubsub{store: s, broker: broker.New(), logs: map[prism.Namespace]*eventLog{}}
	p.jobs.wake = make(chan struct{}, 1)
	return p
}

func (p *pubsub) start() {
	p.worker.Add(1)
	go func() { defer p.worker.Done(); p.work() }()
}

// stop answers what is queued and ends the worker. No call is running then.
func (p *pubsub) stop() {
	p.jobs.close()
	p.worker.Wait()
}

// end ends all readers with err.
func (p *pubsub) end(err error) {
	p.over.Store(true)
	p.broker.Close(err)
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, l := range p.logs {
		l.changed.fire()
	}
}

// log finds or makes the log of a namespace.
func (p *pubsub) log(ns prism.Namespace) *eventLog {
	p.mu.Lock()
	defer p.mu.Unlock()
	l := p.logs[ns]
	if l == nil {
		l = &eventLog{p: p, ns: ns, names: map[string]*broker.Name{}, drafts: map[string]draftName{}}
		p.logs[ns] = l
	}
	return l
}

func (p *pubsub) find(ns prism.Namespace) *eventLog {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.logs[ns]
}

// usage is what the log of a namespace holds.
func (p *pubsub) usage(ns prism.Namespace) (u driver.Usage) {
	if l := p.find(ns); l != nil {
		l.mu.Lock()
		defer l.mu.Unlock()
		u.Keys, u.Bytes = int64(l.state.Last-l.state.Floor), l.state.bytes
	}
	return u
}

// forget is called when a namespace was dropped.
func (p *pubsub) forget(ns prism.Namespace) {
	p.mu.Lock()
	l := p.logs[ns]
	delete(p.logs, ns)
	p.mu.Unlock()
	if l == nil {
		return
	}
	l.mu.Lock()
	l.gone = true
	l.mu.Unlock()
	l.changed.fire()
}

func (p *pubsub) Publish(ctx context.Context, ns prism.Namespace, events []driver.Event, results []driver.PublishResult) error {
	return p.publish(ctx, ns, events, results, false)
}

func (p *pubsub) PublishOrdered(ctx context.Context, ns prism.Namespace, events []driver.Event, results []driver.PublishResult) error {
	return p.publish(ctx, ns, events, results, true)
}

func (p *pubsub) publish(ctx context.Context, ns prism.Namespace, events []driver.Event, results []driver.PublishResult, ordered bool) error {
	if err := p.enter(); err != nil {
		return err
	}
	defer p.leave()
	if err := ctx.Err(); err != nil {
		return prism.From(err)
	}
	p.broker.Publish(ns, events, ordered, func(i int, n int64) { results[i] = driver.PublishResult{Subscribers: n} })
	return nil
}

func (p *pubsub) Subscribe(ctx context.Context, ns prism.Namespace, s driver.Subscription) (driver.Subscriber, error) {
	return p.SubscribeGroup(ctx, ns, "", s)
}

func (p *pubsub) SubscribePattern(ctx context.Context, ns prism.Namespace, s driver.Subscription) (driver.Subscriber, error) {
	return p.SubscribeGroup(ctx, ns, "", s)
}

func (p *pubsub) SubscribeFiltered(ctx context.Context, ns prism.Namespace, s driver.Subscription) (driver.Subscriber, error) {
	return p.SubscribeGroup(ctx, ns, "", s)
}

func (p *pubsub) SubscribeGroup(ctx context.Context, ns prism.Namespace, group string, s driver.Subscription) (driver.Subscriber, error) {
	if err := p.enter(); err != nil {
		return nil, err
	}
	defer p.leave()
	if err := ctx.Err(); err != nil {
		return nil, prism.From(err)
	}
	return p.broker.Subscribe(ns, group, s)
}

func (p *pubsub) PublishPersistent(ctx context.Context, ns prism.Namespace, events []driver.Event, results []driver.PublishResult) error {
	// Copied here: the worker may still be at it when a caller gives up.
	own := make([]driver.Event, len(events))
	size := 0
	for i := range events {
		own[i] = *broker.Share(&events[i])
		own[i].Receipt = events[i].Receipt
		size += len(events[i].Payload) + eventOverhead
	}
	l, answers := p.log(ns), make([]driver.PublishResult, len(events))
	j := &job{log: l, size: size, work: func(g *group) error { l.appendAll(g, own, answers); return nil }}
	j.then = func() {
		for i := range answers {
			if a := &answers[i]; a.Err == nil && !a.Replayed {
				p.broker.Publish(ns, own[i:i+1], false, func(_ int, n int64) { a.Subscribers = n })
			}
		}
	}
	if err := p.do(ctx, j); err != nil {
		return err
	}
	copy(results, answers)
	return nil
}

// Replay begins after what the name has acked, or where the caller says.
func (p *pubsub) Replay(ctx context.Context, ns prism.Namespace, r driver.Replay) (driver.Replayer, error) {
	l := p.log(ns)
	e, known, err := l.look(r)
	if err != nil {
		return nil, err
	}
	if e.Epoch == 0 || r.Name != "" && !known {
		j := &job{log: l, work: func(g *group) error { return l.begin(g, r) }}
		if err := p.do(ctx, j); err != nil {
			return nil, err
		}
	} else if err := ctx.Err(); err != nil {
		return nil, prism.From(err)
	}
	if err := p.enter(); err != nil {
		return nil, err
	}
	defer p.leave()
	reader, err := l.open(r)
	return reader, classify(p.name, err)
}

func (p *pubsub) Acknowledge(ctx context.Context, ns prism.Namespace, name string, at driver.Position) error {
	l := p.find(ns)
	if l == nil {
		if err := p.enter(); err != nil {
			return err
		}
		defer p.leave()
		return prism.NotFound("subscription", name)
	}
	return p.do(ctx, &job{log: l, work: func(g *group) error { return l.acknowledge(g, name, at) }})
}

func (p *pubsub) Subscriptions(ctx context.Context, ns prism.Namespace) ([]driver.DurableSubscription, error) {
	if err := p.enter(); err != nil {
		return nil, err
	}
	defer p.leave()
	if err := ctx.Err(); err != nil {
		return nil, prism.From(err)
	}
	l := p.find(ns)
	if l == nil {
		return nil, nil
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	list := make([]driver.DurableSubscription, 0, len(l.names))
	for _, name := range slices.Sorted(maps.Keys(l.names)) {
		list = append(list, l.names[name].Info(name, l.state.Extent))
	}
	return list, nil
}

func (p *pubsub) DeleteSubscription(ctx context.Context, ns prism.Namespace, name string) (found bool, err error) {
	l := p.find(ns)
	if l == nil {
		if err := p.enter(); err != nil {
			return false, err
		}
		defer p.leave()
		return false, nil
	}
	err = p.do(ctx, &job{log: l, frees: true, work: func(g *group) error {
		found = l.remove(g, name)
		return nil
	}})
	return err == nil && found, err
}
