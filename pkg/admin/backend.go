package admin

import (
	"context"
	"strings"
	"sync"

	"github.com/prism-data-layer/prism/pkg/control"
	"github.com/prism-data-layer/prism/pkg/driver"
	"github.com/prism-data-layer/prism/pkg/prism"
	"github.com/prism-data-layer/prism/pkg/route"
	adminv1 "github.com/prism-data-layer/prism/proto/prism/admin/v1"
)

// ListBackends answers what is known of each backend, from its last probe.
func (s *Service) ListBackends(context.Context, *adminv1.ListBackendsRequest) (*adminv1.ListBackendsResponse, error) {
	resp := &adminv1.ListBackendsResponse{}
	for _, name := range s.router.Backends() {
		b, err := s.router.Status(name)
		if err != nil { // removed meanwhile
			continue
		}
		resp.Backends = append(resp.Backends, backendOf(b))
	}
	return resp, nil
}

// GetBackend answers what is known of one.
func (s *Service) GetBackend(_ context.Context, r *adminv1.GetBackendRequest) (*adminv1.GetBackendResponse, error) {
	b, err := s.router.Status(r.Name)
	if err != nil {
		return nil, err
	}
	return &adminv1.GetBackendResponse{Backend: backendOf(b)}, nil
}

// CheckBackendHealth probes now.
func (s *Service) CheckBackendHealth(ctx context.Context, r *adminv1.CheckBackendHealthRequest) (*adminv1.CheckBackendHealthResponse, error) {
	names := s.router.Backends()
	if r.Name != "" {
		names = []string{r.Name}
	}
	found := make([]*adminv1.Backend, len(names))
	errs := make([]error, len(names))
	var wg sync.WaitGroup
	for i, name := range names {
		wg.Go(func() {
			b, err := s.router.Probe(ctx, name)
			found[i], errs[i] = backendOf(b), err
		})
	}
	wg.Wait()
	for _, err := range errs {
		if err != nil {
			return nil, err
		}
	}
	return &adminv1.CheckBackendHealthResponse{Backends: found}, nil
}

func backendOf(b route.BackendStatus) *adminv1.Backend {
	out := &adminv1.Backend{
		Name: b.Name, Driver: b.Driver, Health: adminv1.HealthState(b.Health.State), Message: b.Health.Message,
		CheckedAtMs: millis(b.CheckedAt), LatencyUs: b.Latency.Microseconds(), Capabilities: b.Capabilities,
		Namespaces: b.Namespaces, Durability: b.Durability, Durable: b.Durable, Facts: b.Health.Facts,
		Errors: b.Faults, LastError: b.LastError, LastErrorMs: millis(b.LastErrorAt), DeclaredIn: b.DeclaredIn, Added: b.Added,
		Breaker: b.Breaker.String(), BreakerSinceMs: millis(b.Since), BreakerOpened: b.Opened,
		InFlight: b.InFlight, Calls: b.Calls, RejectedOpen: b.Refused, RejectedBusy: b.Overloaded,
		P50Us: b.P50.Microseconds(), P99Us: b.P99.Microseconds(), Options: b.Written,
		ErrorsByReason: make(map[string]int64, len(b.Figures.Errors)),
	}
	for reason, n := range b.Figures.Errors {
		out.ErrorsByReason[string(reason)] = n
	}
	out.Missing, out.Faults = missingOf(b), faultsOf(b.Injected)
	return out
}

// missingOf lists the capabilities that a backend lacks, with the store's reason
// where it has one.
func missingOf(b route.BackendStatus) (list []*adminv1.MissingCapability) {
	has := map[string]bool{}
	for _, c := range b.Capabilities {
		has[c] = true
	}
	for _, c := range driver.Capabilities() {
		if has[c.Name] {
			continue
		}
		why := b.Info.Missing[c.Name]
		if why == "" {
			why = "the driver " + b.Driver + " does not have it"
		}
		list = append(list, &adminv1.MissingCapability{Name: c.Name, Why: why})
	}
	return list
}

// TestBackend does a round trip on a backend. That a step has failed is an
// answer, not an error of the call.
func (s *Service) TestBackend(ctx context.Context, r *adminv1.TestBackendRequest) (*adminv1.TestBackendResponse, error) {
	steps, err := s.router.TryBackend(ctx, r.Name)
	if err != nil {
		return nil, err
	}
	out, failed := stepsOf(steps)
	return &adminv1.TestBackendResponse{Steps: out, Passed: failed == nil}, nil
}

// stepsOf answers the steps, and the error of the first that failed.
func stepsOf(steps []route.TrialStep) (list []*adminv1.TestStep, failed error) {
	for _, step := range steps {
		t := &adminv1.TestStep{Model: step.Model, Name: step.Name, TookUs: step.Took.Microseconds()}
		if e := prism.From(step.Err); e != nil {
			t.Reason, t.Message = string(e.Reason), e.Message
			if failed == nil {
				failed = e
			}
		}
		list = append(list, t)
	}
	return list, failed
}

// AddBackend opens a backend, tries it and keeps it; one that fails is closed
// again, and the store's own words are the answer.
func (s *Service) AddBackend(ctx context.Context, r *adminv1.AddBackendRequest) (*adminv1.AddBackendResponse, error) {
	s.change.Lock()
	defer s.change.Unlock()
	if err := s.mayAdd(r.Name); err != nil {
		return nil, err
	}
	b, err := s.server.Backend(r.Name, r.Driver, r.Options)
	if err != nil {
		return nil, err
	}
	if err := s.router.AddBackend(ctx, b); err != nil {
		return nil, err
	}
	steps, err := s.keep(ctx, r)
	if err != nil {
		if closing := s.router.RemoveBackend(r.Name); closing != nil {
			s.road.Log.WarnContext(ctx, "cannot close a backend that was refused", "backend", r.Name, "error", closing)
		}
		return nil, err
	}
	status, err := s.router.Probe(ctx, r.Name)
	if err != nil {
		return nil, err
	}
	return &adminv1.AddBackendResponse{Backend: backendOf(status), Steps: steps}, nil
}

// mayAdd refuses names that are taken.
func (s *Service) mayAdd(name string) error {
	have, err := s.router.Status(name)
	switch {
	case err != nil:
		return nil
	case have.DeclaredIn != "":
		return prism.New(prism.ReasonDeclaredInFile, "backend %q is declared in %s", name, have.DeclaredIn).WithMeta("declared_in", have.DeclaredIn)
	}
	return prism.New(prism.ReasonAlreadyExists, "backend %q is there already", name)
}

// keep tries a backend that was just opened and writes it down.
func (s *Service) keep(ctx context.Context, r *adminv1.AddBackendRequest) ([]*adminv1.TestStep, error) {
	steps, err := s.router.TryBackend(ctx, r.Name)
	if err != nil {
		return nil, err
	}
	list, failed := stepsOf(steps)
	if failed != nil {
		return nil, s.refusal(ctx, r.Name, failed)
	}
	_, err = s.road.Control.SaveBackend(ctx, control.Backend{Name: r.Name, Driver: r.Driver, Added: true, Options: r.Options})
	return list, err
}

// refusal adds to the failure of a trial what the store says of itself: an
// operator may see more of it than a caller.
func (s *Service) refusal(ctx context.Context, name string, failed error) error {
	status, err := s.router.Probe(ctx, name)
	if err != nil || status.Health.State != driver.Unhealthy {
		return failed
	}
	return prism.New(prism.From(failed).Reason, "%s", status.Health.Message).WithBackend(name).WithCause(failed)
}

// RemoveBackend closes and forgets a backend that was added.
func (s *Service) RemoveBackend(ctx context.Context, r *adminv1.RemoveBackendRequest) (*adminv1.RemoveBackendResponse, error) {
	s.change.Lock()
	defer s.change.Unlock()
	b, err := s.road.Control.Backend(ctx, r.Name)
	switch {
	case err != nil:
		return nil, err
	case b.DeclaredIn != "":
		return nil, prism.New(prism.ReasonDeclaredInFile, "backend %q is declared in %s: take it out there", r.Name, b.DeclaredIn).WithMeta("declared_in", b.DeclaredIn)
	case !b.Added:
		return nil, prism.New(prism.ReasonFailedPrecond, "backend %q belongs to the built-in settings and cannot be removed", r.Name)
	}
	list, err := s.road.Control.Namespaces(ctx)
	if err != nil {
		return nil, err
	}
	var bound []string
	for _, n := range list {
		if n.Binding.Backend == r.Name && n.State != control.Deleted {
			bound = append(bound, n.Name)
		}
	}
	if len(bound) > 0 {
		return nil, prism.New(prism.ReasonFailedPrecond, "backend %q holds the data of %s: move or delete it first", r.Name, strings.Join(bound, ", ")).WithBackend(r.Name)
	}
	if err := s.road.Control.RemoveBackend(ctx, r.Name); err != nil {
		return nil, err
	}
	if err := s.router.RemoveBackend(r.Name); err != nil && prism.From(err).Reason != prism.ReasonNotFound {
		return nil, err
	}
	return &adminv1.RemoveBackendResponse{}, nil
}
