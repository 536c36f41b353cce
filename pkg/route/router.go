package route

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"reflect"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prism-data-layer/prism/pkg/clock"
	"github.com/prism-data-layer/prism/pkg/control"
	"github.com/prism-data-layer/prism/pkg/data"
	"github.com/prism-data-layer/prism/pkg/data/cache"
	"github.com/prism-data-layer/prism/pkg/data/keyvalue"
	"github.com/prism-data-layer/prism/pkg/data/pubsub"
	"github.com/prism-data-layer/prism/pkg/data/queue"
	"github.com/prism-data-layer/prism/pkg/data/workqueue"
	"github.com/prism-data-layer/prism/pkg/driver"
	"github.com/prism-data-layer/prism/pkg/prism"
)

// A Router holds the backends and namespaces in force.
type Router struct {
	drivers driver.Registry
	dir     string // embedded backends live in folders below it
	clock   clock.Clock
	log     *slog.Logger
	sealer  *data.Sealer
	trials  prism.Namespace  // where backends are tried
	streams *pubsub.Registry // of all namespaces and their versions
	wrap    func(backend string, s driver.Set) driver.Set
	faults  bool
	audit   func(control.AuditRecord)

	table atomic.Pointer[map[string]*namespace]
	gate  gate

	mu       sync.Mutex // one change at a time
	backends map[string]*backend
}

// Options are what a Router is made with.
type Options struct {
	Drivers driver.Registry
	Dir     string
	Secret  []byte // authenticates cursors and positions
	Clock   clock.Clock
	Log     *slog.Logger
	// Wrap may change an opened backend before its guard is put around it. Nil:
	// it is taken as it is.
	Wrap func(backend string, s driver.Set) driver.Set
	// Faults lets operators do harm to backends; see package fault.
	Faults bool
	// Audit is told of what the gateway does by itself; nil: nobody is.
	Audit func(control.AuditRecord)
}

// New returns a Router without backends and namespaces.
func New(o Options) *Router {
	r := &Router{
		drivers: o.Drivers, dir: o.Dir, clock: o.Clock, log: o.Log,
		sealer: data.NewSealer(o.Secret), trials: trialNamespace(o.Secret), wrap: o.Wrap, faults: o.Faults, audit: o.Audit,
		backends: map[string]*backend{}, streams: pubsub.NewRegistry(),
	}
	r.gate.clock = o.Clock
	r.table.Store(&map[string]*namespace{})
	return r
}

// Apply puts a list of namespaces in force, as one step: every call sees the
// old list or the new one. A namespace that cannot be served, because its
// backend is not there, is left out and named in the error; the others are in
// force all the same.
func (r *Router) Apply(list []control.Namespace) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	old := *r.table.Load()
	next := make(map[string]*namespace, len(list))
	var problems []error
	for _, record := range list {
		if record.State == control.Deleting || record.State == control.Deleted {
			continue
		}
		n, err := r.namespace(record, old[record.Name])
		if err != nil {
			problems = append(problems, err)
			continue
		}
		next[record.Name] = n
	}
	r.table.Store(&next)
	for name, was := range old {
		was.succeed(next[name])
	}
	return errors.Join(problems...)
}

// Put puts one namespace in force, or takes it out if it is being deleted, and
// leaves the others as they are: what it costs does not grow with what they are.
// One that cannot be served is not in force any more.
func (r *Router) Put(record control.Namespace) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	next := maps.Clone(*r.table.Load())
	was := next[record.Name]
	delete(next, record.Name)
	var err error
	if record.State != control.Deleting && record.State != control.Deleted {
		var n *namespace
		if n, err = r.namespace(record, was); err == nil {
			next[record.Name] = n
		}
	}
	r.table.Store(&next)
	if was != nil {
		was.succeed(next[record.Name])
	}
	return err
}

// succeed ends what the next version of a namespace does not take over; nil: there
// is none.
func (n *namespace) succeed(next *namespace) {
	name := n.record.Name
	endSeries(n, next)
	switch {
	case next == nil:
		n.state.end(prism.New(prism.ReasonNamespaceBusy, "namespace %q is being deleted", name).WithNamespace(prism.Namespace(name)))
	case next.state != n.state:
		n.state.end(prism.New(prism.ReasonMoved, "namespace %q has changed", name).WithNamespace(prism.Namespace(name)))
	}
}

// namespace makes the version of a namespace that is in force from now on. A
// running stream goes on if neither the binding nor the access has changed.
func (r *Router) namespace(record control.Namespace, was *namespace) (*namespace, error) {
	be := r.backends[record.Binding.Backend]
	if be == nil {
		return nil, prism.New(prism.ReasonFailedPrecond, "namespace %q is bound to backend %q, which is not declared", record.Name, record.Binding.Backend)
	}
	n := &namespace{record: record, backend: be, rules: rulesOf(record.Access), gate: &r.gate, inflight: new(atomic.Int64)}
	stays := was != nil && (was.backend == be || was.home.isAt(be)) // calls and streams go on
	if stays {
		n.inflight = was.inflight
	}
	if stays && was.record.Limits == record.Limits {
		n.limiter = was.limiter
	} else {
		n.limiter = newLimiter(record.Name, record.Limits.RequestRPS, record.Limits.Burst, r.clock.Now())
	}
	if stays && was.state.cause.Load() == nil && reflect.DeepEqual(was.record.Access, record.Access) {
		n.state = was.state
	} else {
		n.state = &liveness{done: make(chan struct{})}
	}
	switch record.Model {
	case "keyvalue":
		n.home = r.home(record, be, was)
		n.keyvalue = keyvalue.At(n.home.place, prism.Namespace(record.Name),
			keyvalue.Policy{DefaultTTL: record.DefaultTTL, MaxTTL: record.MaxTTL, Receipts: record.Limits.Receipts}, r.sealer, r.clock)
	case "queue":
		if n.hub, n.names = new(queue.Hub), data.NewNames(); was != nil && was.backend == be && was.hub != nil {
			n.hub, n.names = was.hub, was.names
		}
		p := queuePolicy(record)
		n.queue = queue.New(be.set, prism.Namespace(record.Name), p, r.sealer, r.clock, n.hub, n.names)
		n.workQueue = workqueue.New(be.set, prism.Namespace(record.Name), p, r.sealer, r.clock, n.names)
	case "cache":
		var before *cache.Store
		if was != nil && was.backend == be {
			before = was.cache
		}
		n.cache = cache.New(be.set, prism.Namespace(record.Name),
			cache.Policy{DefaultTTL: record.DefaultTTL, MaxTTL: record.MaxTTL, Receipts: record.Limits.Receipts}, r.sealer, r.clock, before)
	case "pubsub":
		n.pubsub = pubsub.New(be.set, prism.Namespace(record.Name), pubsub.Policy{Receipts: record.Limits.Receipts}, r.streams, r.sealer, r.clock)
	case "timeseries":
		n.series = r.timeSeries(n, was)
	}
	return n, nil
}

func queuePolicy(n control.Namespace) data.QueuePolicy {
	return data.QueuePolicy{
		Receipts: n.Limits.Receipts, NoAutoCreate: n.NoAutoCreate, DefaultKind: data.QueueKind(n.DefaultKind),
		Queues: n.Limits.Queues, Partitions: n.Limits.Partitions, Groups: n.Limits.Groups, MessageBytes: n.Limits.MessageBytes,
	}
}

// Caches tells how well each cache in force does, by name, for metrics. One whose
// backend does not answer is left out.
func (r *Router) Caches(ctx context.Context) map[prism.Namespace]cache.Stats {
	stats := map[prism.Namespace]cache.Stats{}
	for name, n := range *r.table.Load() {
		if n.cache == nil {
			continue
		}
		if s, err := n.cache.Stats(ctx); err == nil {
			stats[prism.Namespace(name)] = s
		}
	}
	return stats
}

// Drop removes the data of a namespace that Apply has taken out of force,
// after the calls that hold it have ended.
func (r *Router) Drop(ctx context.Context, record control.Namespace, held Held) error {
	r.mu.Lock()
	be := r.backends[record.Binding.Backend]
	r.mu.Unlock()
	if be == nil {
		return prism.New(prism.ReasonFailedPrecond, "namespace %q is bound to backend %q, which is not open", record.Name, record.Binding.Backend)
	}
	for held.inflight.Load() > 0 {
		t := r.clock.NewTimer(10 * time.Millisecond)
		select {
		case <-t.C:
		case <-ctx.Done():
			t.Stop()
			return prism.New(prism.ReasonDeadlineExceeded, "%d calls still hold namespace %q", held.inflight.Load(), record.Name)
		}
	}
	if f := record.Former; f != nil && !f.Left && r.isOpen(f.Binding.Backend) {
		if err := r.Clear(ctx, record.Name, f.Binding.Backend); err != nil {
			return err
		}
	}
	return be.set.Store.Drop(ctx, prism.Namespace(record.Name))
}

func (r *Router) isOpen(backend string) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.backends[backend] != nil
}

// Held counts the calls that hold a namespace, for Drop to wait on.
type Held struct{ inflight *atomic.Int64 }

// Held returns the count of a namespace in force; take it before Apply.
func (r *Router) Held(name string) Held {
	if n := (*r.table.Load())[name]; n != nil {
		return Held{n.inflight}
	}
	return Held{new(atomic.Int64)}
}

// A NamespaceStatus is what is known of a namespace in force.
type NamespaceStatus struct {
	Capabilities []string
	Durability   string
	Durable      bool
	Usage        driver.Usage
	Inflight     int64
}

// Namespace tells what is known of a namespace in force.
func (r *Router) Namespace(ctx context.Context, name string) (NamespaceStatus, bool) {
	n := (*r.table.Load())[name]
	if n == nil {
		return NamespaceStatus{}, false
	}
	s := NamespaceStatus{Inflight: n.inflight.Load()}
	n.backend.mu.Lock()
	s.Durability, s.Durable = n.backend.durability()
	n.backend.mu.Unlock()
	if m, err := modelOf(n.record.Model); err == nil {
		s.Capabilities = m.capabilities(&n.backend.set)
	}
	if u, err := n.backend.set.Store.Usage(ctx, prism.Namespace(name)); err == nil {
		s.Usage = u
	}
	return s, true
}

// Bind says which backend a new namespace of a model goes to: the one wished
// for, or else the first by name that the model prefers. Nothing is chosen from
// needs yet: that is the planner's, which is to come.
func (r *Router) Bind(name, wish string) (control.Binding, error) {
	m, err := modelOf(name)
	if err != nil {
		return control.Binding{}, err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if wish != "" {
		be := r.backends[wish]
		switch {
		case be == nil:
			return control.Binding{}, prism.InvalidField("backend", fmt.Sprintf("%q is not declared", wish))
		case !m.servedBy(&be.set):
			return control.Binding{}, prism.InvalidField("backend", fmt.Sprintf("%q lacks %s", wish, strings.Join(m.any, " and ")))
		}
		return control.Binding{Backend: wish, Driver: be.Driver}, nil
	}
	names := slices.Sorted(maps.Keys(r.backends))
	for _, name := range names {
		if be := r.backends[name]; m.servedBy(&be.set) && m.preferredOn(&be.set) {
			return control.Binding{Backend: name, Driver: be.Driver}, nil
		}
	}
	kind := "durable backend"
	if m.prefer != "" {
		kind = "backend with " + m.prefer
	}
	return control.Binding{}, prism.New(prism.ReasonFailedPrecond, "no %s that can serve %s is declared: name one with backend", kind, m.name)
}

// Close ends every stream and closes the backends.
func (r *Router) Close() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	for name, n := range *r.table.Load() {
		n.state.end(prism.New(prism.ReasonDraining, "the gateway is stopping").WithNamespace(prism.Namespace(name)))
	}
	r.table.Store(&map[string]*namespace{})
	var errs []error
	for name, be := range r.backends {
		if err := be.set.Store.Close(); err != nil {
			errs = append(errs, fmt.Errorf("close backend %q: %w", name, err))
		}
	}
	r.backends = map[string]*backend{}
	return errors.Join(errs...)
}
