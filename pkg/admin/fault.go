package admin

import (
	"context"
	"time"

	"github.com/prism-data-layer/prism/pkg/fault"
	"github.com/prism-data-layer/prism/pkg/prism"
	adminv1 "github.com/prism-data-layer/prism/proto/prism/admin/v1"
)

// AddFault does harm to a backend for a while.
func (s *Service) AddFault(ctx context.Context, r *adminv1.AddFaultRequest) (*adminv1.AddFaultResponse, error) {
	f, err := s.router.AddFault(r.Backend, fault.Spec{
		Calls: r.Calls, Latency: microseconds(r.LatencyUs), Jitter: microseconds(r.JitterUs), Errors: r.ErrorShare,
		Reason: prism.Reason(r.Reason), For: milliseconds(r.DurationMs), Actor: caller(ctx).Name(),
	}, r.DryRun)
	if err != nil {
		return nil, err
	}
	if !r.DryRun {
		s.road.Log.WarnContext(ctx, "a fault acts on a backend", "backend", f.Backend, "fault", f.String(), "actor", f.Actor)
	}
	return &adminv1.AddFaultResponse{Fault: faultOf(f)}, nil
}

// ListFaults answers the faults that act.
func (s *Service) ListFaults(_ context.Context, r *adminv1.ListFaultsRequest) (*adminv1.ListFaultsResponse, error) {
	list, err := s.router.Faults(r.Backend)
	if err != nil {
		return nil, err
	}
	return &adminv1.ListFaultsResponse{Faults: faultsOf(list), Enabled: s.router.FaultsAllowed()}, nil
}

// RemoveFault ends a fault before its time.
func (s *Service) RemoveFault(ctx context.Context, r *adminv1.RemoveFaultRequest) (*adminv1.RemoveFaultResponse, error) {
	f, err := s.router.RemoveFault(r.FaultId)
	if err != nil {
		return nil, err
	}
	s.road.Log.InfoContext(ctx, "a fault was removed", "backend", f.Backend, "fault", f.ID, "slowed", f.Slowed, "failed", f.Failed)
	return &adminv1.RemoveFaultResponse{Fault: faultOf(f)}, nil
}

func faultsOf(list []fault.Fault) (out []*adminv1.Fault) {
	for _, f := range list {
		out = append(out, faultOf(f))
	}
	return out
}

func faultOf(f fault.Fault) *adminv1.Fault {
	return &adminv1.Fault{
		FaultId: f.ID, Backend: f.Backend, Calls: f.Calls, LatencyUs: f.Latency.Microseconds(), JitterUs: f.Jitter.Microseconds(),
		ErrorShare: f.Errors, Reason: string(f.Reason), StartedAtMs: millis(f.StartedAt), EndsAtMs: millis(f.EndsAt),
		Actor: f.Actor, Slowed: f.Slowed, Failed: f.Failed,
	}
}

// A number that does not fit is as long as can be, and refused as too long.
func microseconds(n int64) time.Duration { return units(n, time.Microsecond) }

func milliseconds(n int64) time.Duration { return units(n, time.Millisecond) }

func units(n int64, of time.Duration) time.Duration {
	const most = int64(1<<63 - 1)
	return time.Duration(min(max(n, -most/int64(of)), most/int64(of))) * of
}
