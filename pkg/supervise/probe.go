package supervise

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// Pauses between checks until the first success: a quick start is seen at
// once, a slow one costs little.
const (
	firstPause = 20 * time.Millisecond
	lastPause  = 250 * time.Millisecond
)

// failuresToDegrade is how often in a row a ready service may fail its check:
// one lost packet is no news.
const failuresToDegrade = 2

// probe asks until ctx ends and keeps the service's state true.
func (s *service) probe(ctx context.Context, inst Instance) {
	if s.spec.Task {
		s.attend(ctx)
		return
	}
	p := s.spec.Ready
	ran := newAwake(s.clk)
	pause, wait, failures, ready, late := firstPause, time.Duration(0), 0, false, false
	for {
		err := s.check(ctx, inst)
		if ctx.Err() != nil {
			return
		}
		took, slept := ran.lap(wait + p.bound() + time.Second)
		switch {
		case err == nil && !ready:
			ready, failures = true, 0
			s.set(Ready, "", func(st *ServiceStatus) {
				st.Late = false
				if st.ReadyMS == 0 {
					st.ReadyMS = max(1, took.Milliseconds())
				}
			})
		case err == nil:
			failures = 0
		case slept:
			// Who could have answered slept too: ask again.
		case ready:
			if failures++; failures >= failuresToDegrade {
				ready, late = false, true
				s.set(Degraded, fmt.Sprintf("%s fails: %v", p.Name, err), nil)
			}
		case !late && took >= p.Timeout:
			late = true
			s.set(Degraded, fmt.Sprintf("not ready after %s: %s: %v", p.Timeout, p.Name, err),
				func(st *ServiceStatus) { st.Late = true })
		case !late:
			// No news for anyone, but the answer to "what is it waiting for?".
			s.sup.mu.Lock()
			s.why = fmt.Sprintf("waits for %s: %v", p.Name, err)
			s.compose()
			s.sup.mu.Unlock()
		}
		wait = pause
		if ready {
			wait = p.Every
			if failures > 0 {
				wait = min(wait, lastPause)
			}
		} else {
			pause = min(pause*3/2, lastPause)
		}
		if ready && p.Check == nil {
			<-ctx.Done() // nothing to ask
			return
		}
		t := s.clk.NewTimer(wait)
		select {
		case <-t.C:
		case <-ctx.Done():
			t.Stop()
			return
		}
	}
}

// bound is how long one check may take.
func (p Probe) bound() time.Duration { return min(p.Timeout, 5*time.Second) }

// attend watches a task, which has no probe: its end is what we wait for.
func (s *service) attend(ctx context.Context) {
	if s.sleep(s.spec.Ready.Timeout, ctx.Done()) {
		s.set(Degraded, fmt.Sprintf("has not ended after %s", s.spec.Ready.Timeout), func(st *ServiceStatus) { st.Late = true })
	}
}

// check asks once. A check that hangs is a failure, not our end.
func (s *service) check(ctx context.Context, inst Instance) error {
	p := s.spec.Ready
	if p.Check == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, p.bound())
	defer cancel()
	result := make(chan error, 1)
	go func() { result <- p.Check(ctx, inst) }()
	select {
	case err := <-result:
		return err
	case <-ctx.Done():
		if errors.Is(ctx.Err(), context.DeadlineExceeded) {
			return fmt.Errorf("no answer within %s", p.bound())
		}
		return ctx.Err()
	}
}
