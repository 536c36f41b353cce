package route

import (
	"context"
	"errors"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/prism-data-layer/prism/pkg/driver"
	"github.com/prism-data-layer/prism/pkg/driver/around"
	"github.com/prism-data-layer/prism/pkg/fault"
	"github.com/prism-data-layer/prism/pkg/guard"
	"github.com/prism-data-layer/prism/pkg/prism"
	"github.com/prism-data-layer/prism/pkg/telemetry"
)

// A Backend is what the configuration says of one.
type Backend struct {
	Name       string
	Driver     string
	Options    func(into any) error // nil: none
	Written    map[string]string    // the options as they were written, to be shown
	DeclaredIn string               // "prism.yaml:14"; empty: built in, or added
	Added      bool                 // by an operator, not declared
	Guard      guard.Settings
}

// A backend is an opened one.
type backend struct {
	Backend
	set    driver.Set
	guard  *guard.Guard
	faults *fault.Injector // nil: none are allowed

	trial sync.Mutex // one at a time

	mu      sync.Mutex
	probing *probe // under way; nil: none
	watched bool   // Watch waits for its answer
	health  driver.Health
	checked time.Time
	latency time.Duration
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
		why := prism.From(err)
		e := prism.New(why.Reason, "cannot open backend %q", b.Name).WithBackend(b.Name).WithCause(err)
		e.Fields = why.Fields
		return nil, e
	}
	if r.wrap != nil {
		set = r.wrap(b.Name, set)
	}
	be := &backend{Backend: b, guard: guard.New(b.Name, b.Guard, r.clock)}
	if r.faults {
		be.faults = fault.New(b.Name, r.clock, r.faultEnded)
		set = be.faults.Wrap(set)
	}
	be.set = around.Wrap(be.guard.Wrap(set), spans{b.Name, b.Driver})
	return be, nil
}

// AddBackend opens one more. Nothing is held up while its store is slow to
// answer.
func (r *Router) AddBackend(ctx context.Context, b Backend) error {
	if _, err := r.find(b.Name); err == nil {
		return prism.New(prism.ReasonAlreadyExists, "backend %q is there already", b.Name)
	}
	be, err := r.open(ctx, b)
	if err != nil {
		return err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.backends[b.Name] != nil {
		be.set.Store.Close() //nolint:errcheck // nothing was written to it
		return prism.New(prism.ReasonAlreadyExists, "backend %q is there already", b.Name)
	}
	r.backends[b.Name] = be
	return nil
}

// RemoveBackend closes one to which no namespace in force is bound.
func (r *Router) RemoveBackend(name string) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	be := r.backends[name]
	if be == nil {
		return prism.NotFound("backend", name)
	}
	if bound := r.namespacesOn(be); len(bound) > 0 {
		return prism.New(prism.ReasonFailedPrecond, "backend %q holds the data of %s", name, strings.Join(bound, ", ")).WithBackend(name)
	}
	delete(r.backends, name)
	return be.set.Store.Close()
}

func (r *Router) find(name string) (*backend, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if be := r.backends[name]; be != nil {
		return be, nil
	}
	return nil, prism.NotFound("backend", name)
}

// opened lists the open backends by name.
func (r *Router) opened() []*backend {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.SortedFunc(maps.Values(r.backends), func(a, b *backend) int { return strings.Compare(a.Name, b.Name) })
}

// Backends lists the names of the open backends in their order.
func (r *Router) Backends() []string {
	list := r.opened()
	names := make([]string, len(list))
	for i, be := range list {
		names[i] = be.Name
	}
	return names
}

func (r *Router) namespacesOn(be *backend) (names []string) {
	for ns, n := range *r.table.Load() {
		if n.backend == be {
			names = append(names, ns)
		}
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
	Latency      time.Duration // of the last probe
	Durability   string        // what acked means now
	Durable      bool
	Injected     []fault.Fault // that act on it
	guard.Figures
}

// Status tells what is known of a backend, from its last probe.
func (r *Router) Status(name string) (BackendStatus, error) {
	be, err := r.find(name)
	if err != nil {
		return BackendStatus{}, err
	}
	s := BackendStatus{
		Backend: be.Backend, Info: be.set.Info, Capabilities: be.set.Names(),
		Namespaces: r.namespacesOn(be), Figures: be.guard.Figures(), Injected: be.injected(),
	}
	be.mu.Lock()
	defer be.mu.Unlock()
	s.Health, s.CheckedAt, s.Latency = be.health, be.checked, be.latency
	s.Durability, s.Durable = be.durability()
	return s, nil
}

// durability is what acked means now, as far as the last probe has told. Its
// caller holds be.mu.
func (be *backend) durability() (words string, durable bool) {
	if be.health.Durability != "" {
		return be.health.Durability, be.health.Durable
	}
	return be.set.Info.Durability, be.set.Info.Durable
}

// BackendStats are the figures of all backends, for metrics.
func (r *Router) BackendStats() (stats []telemetry.BackendStats) {
	for _, be := range r.opened() {
		f := be.guard.Figures()
		be.mu.Lock()
		h := be.health
		be.mu.Unlock()
		stats = append(stats, telemetry.BackendStats{
			Backend: be.Name, Up: h.State == driver.Healthy || h.State == driver.Degraded,
			Breaker: int(f.Breaker), Opened: f.Opened, InFlight: f.InFlight,
			Rejected: map[string]int64{"breaker": f.Refused, "limit": f.Overloaded},
			Errors:   f.Errors, Classes: f.Classes, Facts: h.Facts, Faults: len(be.injected()),
		})
	}
	return stats
}
