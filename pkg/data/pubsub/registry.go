package pubsub

import (
	"cmp"
	"context"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prism-data-layer/prism/pkg/driver"
	"github.com/prism-data-layer/prism/pkg/prism"
)

// A Registry knows the open streams of a gateway, and counts what they carry.
type Registry struct {
	mu   sync.Mutex
	open map[prism.Namespace]map[string]*Subscription

	published, delivered, dropped atomic.Int64
}

// NewRegistry returns an empty one.
func NewRegistry() *Registry { return &Registry{open: map[prism.Namespace]map[string]*Subscription{}} }

// Stats are a registry's numbers since its start.
type Stats struct {
	Subscriptions int64 // open now
	Published     int64
	Delivered     int64 // to streams
	Dropped       int64 // for readers that were too slow
}

// Stats reads the numbers.
func (r *Registry) Stats() Stats {
	s := Stats{Published: r.published.Load(), Delivered: r.delivered.Load(), Dropped: r.dropped.Load()}
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, subs := range r.open {
		s.Subscriptions += int64(len(subs))
	}
	return s
}

func (r *Registry) add(ns prism.Namespace, sub *Subscription) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.open[ns] == nil {
		r.open[ns] = map[string]*Subscription{}
	}
	r.open[ns][sub.ID] = sub
}

func (r *Registry) remove(ns prism.Namespace, sub *Subscription) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.open[ns], sub.ID)
	if len(r.open[ns]) == 0 {
		delete(r.open, ns)
	}
}

// list is the open streams of a namespace that pass keep, oldest first.
func (r *Registry) list(ns prism.Namespace, keep func(*Subscription) bool) []*Subscription {
	r.mu.Lock()
	defer r.mu.Unlock()
	var list []*Subscription
	for _, sub := range r.open[ns] {
		if keep(sub) {
			list = append(list, sub)
		}
	}
	slices.SortFunc(list, func(a, b *Subscription) int {
		return cmp.Or(a.CreatedAt.Compare(b.CreatedAt), cmp.Compare(a.ID, b.ID))
	})
	return list
}

// A Caller is who asks about subscriptions. All sees everybody's.
type Caller struct {
	Principal string
	All       bool
}

func (c Caller) owns(sub *Subscription) bool { return c.All || sub.Principal == c.Principal }

// An Info describes a subscription: an open stream, or a durable name.
type Info struct {
	ID        string
	Pattern   string
	Group     string
	Durable   string
	CreatedAt time.Time
	Active    bool
	Sent      int64
	Dropped   int64
	Behind    int64
	Principal string
}

// List tells of the caller's streams and of the namespace's durable names,
// which are for whoever may read it.
func (s *Store) List(ctx context.Context, who Caller) ([]Info, error) {
	if s.set.PubSub == nil {
		return nil, s.missing("pubsub_basic")
	}
	var durable []driver.DurableSubscription
	if p := s.set.PubSubPersistent; p != nil {
		var err error
		if durable, err = p.Subscriptions(ctx, s.ns); err != nil {
			return nil, err
		}
	}
	var list []Info
	reads := map[string]Info{} // by durable name
	for _, sub := range s.registry.list(s.ns, who.owns) {
		i := Info{
			ID: sub.ID, Pattern: sub.Pattern, Group: sub.Group, Durable: sub.Durable, CreatedAt: sub.CreatedAt, Active: true,
			Sent: sub.sent.Load(), Dropped: sub.dropped.Load(), Principal: sub.Principal,
		}
		if sub.Durable != "" {
			reads[sub.Durable] = i
			continue
		}
		list = append(list, i)
	}
	for _, d := range durable {
		i, read := reads[d.Name]
		if !read {
			i = Info{ID: d.Name, Active: d.Active}
		}
		i.Durable, i.Pattern, i.CreatedAt, i.Behind = d.Name, d.Pattern, d.CreatedAt, d.Behind
		list = append(list, i)
	}
	return list, nil
}

// Unsubscribe ends a stream of the caller's, or forgets a durable name and ends
// its stream.
func (s *Store) Unsubscribe(ctx context.Context, who Caller, id string) (found bool, err error) {
	if s.set.PubSub == nil {
		return false, s.missing("pubsub_basic")
	}
	ends := s.registry.list(s.ns, func(sub *Subscription) bool {
		return sub.ID == id && who.owns(sub) || sub.Durable == id && id != ""
	})
	for _, sub := range ends {
		sub.end(ErrUnsubscribed)
		s.registry.remove(s.ns, sub) // its stream may take a moment to notice
	}
	if p := s.set.PubSubPersistent; p != nil && prism.ValidName(id) {
		return p.DeleteSubscription(ctx, s.ns, id)
	}
	return len(ends) > 0, nil
}

// Acknowledge remembers for a durable name that all up to a position was
// worked off.
func (s *Store) Acknowledge(ctx context.Context, name, position string) error {
	p := s.set.PubSubPersistent
	if p == nil {
		return s.missing("pubsub_persistent")
	}
	at, err := s.open("position", position)
	if err != nil {
		return err
	}
	return p.Acknowledge(ctx, s.ns, name, at)
}

// Backlog is how many persistent events are ahead of what durable names have
// acknowledged, all names together.
func (s *Store) Backlog(ctx context.Context) (n int64) {
	if s.set.PubSubPersistent == nil {
		return 0
	}
	names, err := s.set.PubSubPersistent.Subscriptions(ctx, s.ns)
	if err != nil {
		return 0
	}
	for _, d := range names {
		n += d.Behind
	}
	return n
}
