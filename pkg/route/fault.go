package route

import (
	"fmt"
	"slices"

	"github.com/prism-data-layer/prism/pkg/control"
	"github.com/prism-data-layer/prism/pkg/fault"
	"github.com/prism-data-layer/prism/pkg/prism"
)

// FaultsAllowed reports whether AddFault is.
func (r *Router) FaultsAllowed() bool { return r.faults }

// AddFault puts a fault on a backend; a dry one is only checked.
func (r *Router) AddFault(backend string, s fault.Spec, dry bool) (fault.Fault, error) {
	if !r.faults {
		return fault.Fault{}, prism.New(prism.ReasonFailedPrecond, "this gateway does not allow faults: its configuration does not say faults: true").WithMeta("setting", "faults")
	}
	be, err := r.find(backend)
	if err != nil {
		return fault.Fault{}, err
	}
	return be.faults.Add(s, dry)
}

// RemoveFault ends a fault before its time.
func (r *Router) RemoveFault(id string) (fault.Fault, error) {
	for _, be := range r.opened() {
		if be.faults == nil {
			continue
		}
		if f, found := be.faults.Remove(id); found {
			return f, nil
		}
	}
	return fault.Fault{}, prism.NotFound("fault", id)
}

// faultEnded tells of a fault that was over by itself: who had added it, and how
// often it has acted.
func (r *Router) faultEnded(f fault.Fault) {
	r.log.Info("a fault has ended", "backend", f.Backend, "fault", f.ID, "slowed", f.Slowed, "failed", f.Failed)
	if r.audit == nil {
		return
	}
	r.audit(control.AuditRecord{
		Time: f.EndsAt, Actor: f.Actor, Method: "gateway/FaultEnded", Resource: f.Backend, Decision: "allowed", Result: "OK",
		Latency: f.EndsAt.Sub(f.StartedAt), Calls: 1, Detail: fmt.Sprintf("%s; it slowed %d calls and failed %d", f, f.Slowed, f.Failed),
	})
}

// Faults lists those that act on a backend, or on all, the oldest first.
func (r *Router) Faults(backend string) (list []fault.Fault, err error) {
	if backend != "" {
		be, err := r.find(backend)
		if err != nil {
			return nil, err
		}
		return be.injected(), nil
	}
	for _, be := range r.opened() {
		list = append(list, be.injected()...)
	}
	slices.SortStableFunc(list, func(a, b fault.Fault) int { return a.StartedAt.Compare(b.StartedAt) })
	return list, nil
}

func (be *backend) injected() []fault.Fault {
	if be.faults == nil {
		return nil
	}
	return be.faults.Faults()
}
