package route

import (
	"context"
	"slices"
	"sync/atomic"

	"github.com/prism-data-layer/prism/pkg/control"
	"github.com/prism-data-layer/prism/pkg/data/keyvalue"
	"github.com/prism-data-layer/prism/pkg/driver"
	"github.com/prism-data-layer/prism/pkg/prism"
)

// A home is where the data of a namespace is, shared by its versions: a move
// changes it under the calls that are under way.
type home struct {
	place *keyvalue.Place
	at    atomic.Pointer[backend]
}

// isAt reports whether a home is on a backend.
func (h *home) isAt(be *backend) bool { return h != nil && h.at.Load() == be }

// home finds or makes that of a namespace of key-values. r.mu is held.
func (r *Router) home(record control.Namespace, be *backend, was *namespace) *home {
	if was != nil && was.home.isAt(be) {
		return was.home
	}
	h := new(home)
	h.at.Store(be)
	if record.Moves == 0 || record.Former == nil {
		h.place = keyvalue.NewPlace(be.set)
		return h
	}
	f := record.Former
	var from *driver.Set
	if left := r.backends[f.Binding.Backend]; left != nil && !f.Left {
		from = &left.set
	}
	h.place = keyvalue.NewPlaceAfter(be.set, record.Moves, keyvalue.Former{Version: f.Version, Start: f.Start, Ordered: f.Ordered}, from)
	return h
}

// A MovePlan is what a move of a namespace would be.
type MovePlan struct {
	To    control.Binding
	Live  bool     // the data goes along; otherwise the namespace begins empty
	Fewer []string // capabilities that it has and would not have
	Holds int64    // keys that the target has of a namespace of this name
	Notes []string
}

// PlanMove says what a move would be, or why it cannot be.
func (r *Router) PlanMove(ctx context.Context, record control.Namespace, to string) (MovePlan, error) {
	m, err := modelOf(record.Model)
	if err != nil {
		return MovePlan{}, err
	}
	r.mu.Lock()
	from, target := r.backends[record.Binding.Backend], r.backends[to]
	r.mu.Unlock()
	switch {
	case target == nil:
		return MovePlan{}, prism.NotFound("backend", to)
	case from == nil:
		return MovePlan{}, prism.New(prism.ReasonFailedPrecond, "namespace %q is bound to backend %q, which is not open", record.Name, record.Binding.Backend)
	case from == target:
		return MovePlan{}, prism.New(prism.ReasonFailedPrecond, "namespace %q is on backend %q already", record.Name, to).WithNamespace(prism.Namespace(record.Name))
	case !m.servedBy(&target.set):
		return MovePlan{}, prism.New(prism.ReasonCapabilityMissing, "backend %q cannot serve model %s", to, record.Model).
			WithMeta("missing", m.any[0]).WithNamespace(prism.Namespace(record.Name))
	}
	p := MovePlan{To: control.Binding{Backend: to, Driver: target.Driver}}
	has := m.capabilities(&target.set)
	for _, c := range m.capabilities(&from.set) {
		if !slices.Contains(has, c) {
			p.Fewer = append(p.Fewer, c)
		}
	}
	if err := p.judge(ctx, record, from, target); err != nil {
		return MovePlan{}, err
	}
	if u, err := target.set.Store.Usage(ctx, prism.Namespace(record.Name)); err != nil {
		return MovePlan{}, err
	} else {
		p.Holds = u.Keys
	}
	if from.set.Info.Durable && !target.set.Info.Durable {
		p.Notes = append(p.Notes, "acknowledged writes are less safe on "+to+": "+target.set.Info.Durability)
	}
	return p, nil
}

// judge refuses what cannot be moved without loss, and says what is lost where
// that is in the nature of the model.
func (p *MovePlan) judge(ctx context.Context, record control.Namespace, from, to *backend) error {
	ns := prism.Namespace(record.Name)
	refuse := func(format string, args ...any) error {
		return prism.New(prism.ReasonFailedPrecond, format, args...).WithNamespace(ns)
	}
	switch record.Model {
	case "keyvalue":
		for _, side := range []*backend{from, to} {
			for _, c := range []string{"keyvalue_move", "keyvalue_scan"} {
				if !side.set.Has(c) {
					return prism.New(prism.ReasonCapabilityMissing, "backend %q lacks %s, without which no namespace moves", side.Name, c).
						WithMeta("missing", c).WithNamespace(ns)
				}
			}
		}
		p.Live = true
	case "cache":
		p.Notes = append(p.Notes, "the cache begins empty: entries, counters, locks and idempotency keys stay behind")
	case "pubsub":
		if err := nothingKept(ctx, ns, from, refuse); err != nil {
			return err
		}
		p.Notes = append(p.Notes, "events that are published while subscribers change over reach at most those that are there")
	default:
		return refuse("namespace %q is of model %s, whose messages, offsets and leases cannot be moved without delivering some twice or never: "+
			"make a namespace on the other backend and let the producers go first", record.Name, record.Model)
	}
	return nil
}

// nothingKept refuses when a namespace of events keeps some, or remembers who
// has read them: positions mean nothing on another backend.
func nothingKept(ctx context.Context, ns prism.Namespace, from *backend, refuse func(string, ...any) error) error {
	if from.set.PubSubPersistent == nil {
		return nil
	}
	names, err := from.set.PubSubPersistent.Subscriptions(ctx, ns)
	if err != nil {
		return err
	}
	u, err := from.set.Store.Usage(ctx, ns)
	if err != nil {
		return err
	}
	if len(names) > 0 || u.Keys > 0 {
		return refuse("namespace %q keeps %d events and %d subscriptions, whose positions mean nothing on another backend: "+
			"only live events can be moved", ns, u.Keys, len(names))
	}
	return nil
}

// What a move of key-values tells of itself.
type (
	Progress = keyvalue.Progress
	Arrival  = keyvalue.Arrival
	Marks    = keyvalue.Marks
)

// A Copy is the copy of a namespace of key-values to another backend.
type Copy struct {
	Name, To                      string
	KeysPerSecond, BytesPerSecond int64
	// Exclusive runs f while nobody else changes namespaces.
	Exclusive func(f func() error) error
	// Settle makes the new binding durable.
	Settle func(Arrival) error
	Report func(Progress)
	Marks  *Marks // of an earlier try that was interrupted
	Mark   func(Marks) error
}

// Move copies a namespace and switches to the target. When it returns without
// error the namespace is there; Apply tells the table.
func (r *Router) Move(ctx context.Context, c Copy) error {
	n := (*r.table.Load())[c.Name]
	r.mu.Lock()
	target := r.backends[c.To]
	r.mu.Unlock()
	if n == nil || n.home == nil || target == nil {
		return prism.New(prism.ReasonFailedPrecond, "namespace %q or backend %q is not in force", c.Name, c.To)
	}
	move := keyvalue.Move{
		Place: n.home.place, Namespace: prism.Namespace(c.Name), To: target.set, Clock: r.clock,
		KeysPerSecond: c.KeysPerSecond, BytesPerSecond: c.BytesPerSecond,
		Exclusive: c.Exclusive, Report: c.Report, Marks: c.Marks, Mark: c.Mark,
		Settle: func(a Arrival) error {
			if err := c.Settle(a); err != nil {
				return err
			}
			n.home.at.Store(target)
			return nil
		},
	}
	return move.Run(ctx)
}

// Leave drops what a namespace has left on a backend, once no call uses it.
func (r *Router) Leave(ctx context.Context, name, backend string, held Held) error {
	if n := (*r.table.Load())[name]; n != nil && n.home != nil {
		if err := n.home.place.Forget(ctx, r.clock); err != nil {
			return err
		}
	}
	return r.Drop(ctx, control.Namespace{Name: name, Binding: control.Binding{Backend: backend}}, held)
}

// Clear drops what a backend holds of a namespace that is bound to another.
func (r *Router) Clear(ctx context.Context, name, backend string) error {
	return r.Drop(ctx, control.Namespace{Name: name, Binding: control.Binding{Backend: backend}}, Held{new(atomic.Int64)})
}
