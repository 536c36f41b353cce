package route

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"path/filepath"
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
	"github.com/prism-data-layer/prism/pkg/driver/around"
	"github.com/prism-data-layer/prism/pkg/prism"
)

// A Router holds the backends and namespaces in force.
type Router struct {
	drivers driver.Registry
	dir     string // embedded backends live in folders below it
	clock   clock.Clock
	log     *slog.Logger
	sealer  *data.Sealer
	streams *pubsub.Registry // of all namespaces and their versions
	wrap    func(backend string, s driver.Set) driver.Set

	table atomic.Pointer[map[string]*namespace]

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
	// Wrap puts what treats all calls alike around an opened backend: figures,
	// breakers. Nil: nothing.
	Wrap func(backend string, s driver.Set) driver.Set
}

// New returns a Router without backends and namespaces.
func New(o Options) *Router {
	r := &Router{
		drivers: o.Drivers, dir: o.Dir, clock: o.Clock, log: o.Log,
		sealer: data.NewSealer(o.Secret), wrap: o.Wrap,
		backends: map[string]*backend{}, streams: pubsub.NewRegistry(),
	}
	r.table.Store(&map[string]*namespace{})
	return r
}

// A Backend is what the configuration says of one.
type Backend struct {
	Name       string
	Driver     string
	Options    func(into any) error // nil: none
	DeclaredIn string               // "prism.yaml:14"; empty: built in
}

// A backend is an opened one.
type backend struct {
	Backend
	set driver.Set

	mu      sync.Mutex
	probing *probe // under way; nil: none
	health  driver.Health
	checked time.Time
	latency time.Duration
	errors  int64
	last    string
}

// OpenBackends opens those that are not open yet. If one cannot be opened,
// none of these stays open. Backends that are no longer declared stay open
// until the gateway stops: namespaces may be bound to them.
func (r *Router) OpenBackends(ctx context.Context, list []Backend) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	var opened []string
	var problems []error
	for _, b := range list {
		if have := r.backends[b.Name]; have != nil {
			if have.Driver != b.Driver {
				problems = append(problems, prism.New(prism.ReasonFailedPrecond,
					"backend %q is open with driver %s and cannot become %s without a restart", b.Name, have.Driver, b.Driver))
			}
			continue
		}
		be, err := r.open(ctx, b)
		if err != nil {
			problems = append(problems, err)
			continue
		}
		r.backends[b.Name] = be
		opened = append(opened, b.Name)
	}
	if len(problems) == 0 {
		return nil
	}
	for _, name := range opened {
		r.backends[name].set.Store.Close() //nolint:errcheck // nothing was written to it
		delete(r.backends, name)
	}
	return errors.Join(problems...)
}

func (r *Router) open(ctx context.Context, b Backend) (*backend, error) {
	spec, ok := r.drivers.Find(b.Driver)
	if !ok {
		return nil, prism.New(prism.ReasonInvalidConfig, "backend %q: there is no driver %q, only %v", b.Name, b.Driver, r.drivers.Names())
	}
	set, err := spec.Open(ctx, driver.Config{
		Name: b.Name, Dir: filepath.Join(r.dir, "backends", b.Name), Clock: r.clock,
		Log: r.log.With("backend", b.Name), Options: b.Options,
	})
	if err != nil {
		return nil, prism.New(prism.From(err).Reason, "cannot open backend %q", b.Name).WithBackend(b.Name).WithCause(err)
	}
	if r.wrap != nil {
		set = r.wrap(b.Name, set)
	}
	be := &backend{Backend: b}
	be.set = around.Wrap(set, faults{be})
	return be, nil
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
		now := next[name]
		endSeries(was, now)
		switch {
		case now == nil:
			was.state.end(prism.New(prism.ReasonNamespaceBusy, "namespace %q is being deleted", name).WithNamespace(prism.Namespace(name)))
		case now.state != was.state:
			was.state.end(prism.New(prism.ReasonMoved, "namespace %q has changed", name).WithNamespace(prism.Namespace(name)))
		}
	}
	return errors.Join(problems...)
}

// namespace makes the version of a namespace that is in force from now on. A
// running stream goes on if neither the binding nor the access has changed.
func (r *Router) namespace(record control.Namespace, was *namespace) (*namespace, error) {
	be := r.backends[record.Binding.Backend]
	if be == nil {
		return nil, prism.New(prism.ReasonFailedPrecond, "namespace %q is bound to backend %q, which is not declared", record.Name, record.Binding.Backend)
	}
	n := &namespace{record: record, backend: be, rules: rulesOf(record.Access), inflight: new(atomic.Int64)}
	if was != nil && was.backend == be {
		n.inflight = was.inflight
	}
	if was != nil && was.backend == be && was.record.Limits == record.Limits {
		n.limiter = was.limiter
	} else {
		n.limiter = newLimiter(record.Name, record.Limits.RequestRPS, record.Limits.Burst, r.clock.Now())
	}
	if was != nil && was.backend == be && was.state.cause.Load() == nil && reflect.DeepEqual(was.record.Access, record.Access) {
		n.state = was.state
	} else {
		n.state = &liveness{done: make(chan struct{})}
	}
	switch record.Model {
	case "keyvalue":
		n.keyvalue = keyvalue.New(be.set, prism.Namespace(record.Name),
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
	return be.set.Store.Drop(ctx, prism.Namespace(record.Name))
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

// Backends lists the open backends by name.
func (r *Router) Backends() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	names := make([]string, 0, len(r.backends))
	for name := range r.backends {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// A BackendStatus is what is known of a backend.
type BackendStatus struct {
	Backend
	Info         driver.Info
	Capabilities []string
	Namespaces   []string
	Health       driver.Health
	CheckedAt    time.Time
	Latency      time.Duration
	Errors       int64
	LastError    string
}

// Status tells what is known of a backend, from its last probe.
func (r *Router) Status(name string) (BackendStatus, error) {
	r.mu.Lock()
	be := r.backends[name]
	r.mu.Unlock()
	if be == nil {
		return BackendStatus{}, prism.NotFound("backend", name)
	}
	s := BackendStatus{Backend: be.Backend, Info: be.set.Info, Capabilities: be.set.Names()}
	for ns, n := range *r.table.Load() {
		if n.backend == be {
			s.Namespaces = append(s.Namespaces, ns)
		}
	}
	slices.Sort(s.Namespaces)
	be.mu.Lock()
	defer be.mu.Unlock()
	s.Health, s.CheckedAt, s.Latency, s.Errors, s.LastError = be.health, be.checked, be.latency, be.errors, be.last
	return s, nil
}

// probeTime bounds a probe: a store that takes longer is not healthy.
const probeTime = 2 * time.Second

// A probe is a question to a store and, once done is closed, its answer.
type probe struct {
	done   chan struct{}
	health driver.Health
}

// ask asks the store how it does, unless it still owes an answer: one that is
// stuck is not asked again and again, each time at the price of a goroutine.
// The question does not end with the caller, for others may wait for it too.
func (be *backend) ask(ctx context.Context) *probe {
	be.mu.Lock()
	defer be.mu.Unlock()
	if be.probing != nil {
		return be.probing
	}
	p := &probe{done: make(chan struct{})}
	be.probing = p
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), probeTime)
	go func() {
		defer cancel()
		p.health = be.set.Store.Health(ctx)
		be.mu.Lock()
		be.probing = nil
		be.mu.Unlock()
		close(p.done)
	}()
	return p
}

// Probe asks a backend how it does, now. A caller who does not wait for the
// answer says nothing about the backend.
func (r *Router) Probe(ctx context.Context, name string) (BackendStatus, error) {
	r.mu.Lock()
	be := r.backends[name]
	r.mu.Unlock()
	if be == nil {
		return BackendStatus{}, prism.NotFound("backend", name)
	}
	start := time.Now()
	late := time.NewTimer(probeTime)
	defer late.Stop()
	p := be.ask(ctx)
	var h driver.Health
	select {
	case <-p.done:
		h = p.health
	case <-late.C:
		h = driver.Health{State: driver.Unhealthy, Message: fmt.Sprintf("no answer to the probe within %s", probeTime)}
	case <-ctx.Done():
		return BackendStatus{}, prism.From(ctx.Err())
	}
	be.mu.Lock()
	be.health, be.checked, be.latency = h, r.clock.Now(), time.Since(start)
	if h.State == driver.Unhealthy {
		be.errors++
		be.last = h.Message
	}
	be.mu.Unlock()
	return r.Status(name)
}

// Watch probes every backend now and then, until ctx ends.
func (r *Router) Watch(ctx context.Context, every time.Duration) {
	for {
		var wg sync.WaitGroup
		for _, name := range r.Backends() {
			wg.Go(func() { r.Probe(ctx, name) }) //nolint:errcheck // the status keeps it
		}
		wg.Wait()
		t := r.clock.NewTimer(every)
		select {
		case <-t.C:
		case <-ctx.Done():
			t.Stop()
			return
		}
	}
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
	s := NamespaceStatus{Durability: n.backend.set.Info.Durability, Durable: n.backend.set.Info.Durable, Inflight: n.inflight.Load()}
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
