package supervise

import (
	"context"
	"fmt"
	"strings"

	"github.com/prism-data-layer/prism/pkg/prism"
)

// await blocks until cond is true or ctx ends. cond is called with s.mu held.
func (s *Supervisor) await(ctx context.Context, cond func() bool) error {
	for {
		s.mu.Lock()
		ok, changed := cond(), s.changed
		s.mu.Unlock()
		if ok {
			return nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// WaitReady waits until every service is ready or done. It does not wait for what will
// not come: when each service is ready or failed (crash loop, a task
// that failed, not ready in time, or behind one of those), or when ctx ends, it returns an error that
// says of each service what it lacks. The others stay up.
func (s *Supervisor) WaitReady(ctx context.Context) error {
	err := s.await(ctx, func() bool {
		for _, svc := range s.services {
			if !svc.st.State.Up() && !svc.hopeless() {
				return false
			}
		}
		return true
	})
	reason := prism.ReasonUnavailable
	if err != nil {
		reason = prism.From(err).Reason
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	var bad []string
	for _, svc := range s.services {
		if !svc.st.State.Up() {
			bad = append(bad, fmt.Sprintf("%s is %s: %s", svc.spec.Name, svc.st.State, svc.st.Message))
		}
	}
	if bad != nil {
		return prism.New(reason, "%s", strings.Join(bad, "; ")).WithMeta("kind", "not_ready")
	}
	return nil
}

// Restart drains a service and starts it again on the same sockets, and
// returns when it is ready or has failed. Other services are not touched.
func (s *Supervisor) Restart(ctx context.Context, name string) error {
	svc := s.service(name)
	if svc == nil {
		return prism.NotFound("service", name)
	}
	s.mu.Lock()
	was := svc.starts
	svc.startAgain()
	s.mu.Unlock()
	var st ServiceStatus
	err := s.await(ctx, func() bool {
		st = svc.st
		over := st.State.Up() || st.State == Degraded || st.State == CrashLoop || svc.failed()
		return svc.starts > was && over || st.State == Stopped
	})
	if err != nil {
		return prism.From(err)
	}
	if !st.State.Up() {
		return prism.New(prism.ReasonUnavailable, "%s is %s: %s", name, st.State, st.Message)
	}
	return nil
}

// Repair starts again, at once, what crashed, is in a crash loop, or is a task
// that failed, and returns their names. What runs is not touched.
func (s *Supervisor) Repair() (names []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, svc := range s.services {
		if svc.st.State == Crashed || svc.st.State == CrashLoop {
			svc.startAgain()
			names = append(names, svc.spec.Name)
		}
	}
	return names
}

// startAgain wishes for a start. sup.mu is held.
func (s *service) startAgain() {
	select {
	case s.again <- struct{}{}:
	default: // one is asked for already
	}
}
