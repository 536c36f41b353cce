package route

import (
	"slices"

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
