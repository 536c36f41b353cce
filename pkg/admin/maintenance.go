package admin

import (
	"context"
	"encoding/json"
	"time"

	"github.com/prism-data-layer/prism/pkg/prism"
	"github.com/prism-data-layer/prism/pkg/route"
	adminv1 "github.com/prism-data-layer/prism/proto/prism/admin/v1"
)

// What a maintenance refuses.
const (
	refusesWrites = "writes"
	refusesAll    = "all"
)

// kept is where the maintenance stands in the control store: it outlives a
// restart, which is often what it is for.
const kept = "gateway"

// SetMaintenanceMode lets the gateway refuse data calls, or serve them again.
func (s *Service) SetMaintenanceMode(ctx context.Context, r *adminv1.SetMaintenanceModeRequest) (*adminv1.SetMaintenanceModeResponse, error) {
	counts := s.sessions.Stats()
	resp := &adminv1.SetMaintenanceModeResponse{ActiveSessions: int64(counts.Explicit + counts.Implicit)}
	next, err := s.maintenance(ctx, r)
	if err != nil {
		return nil, err
	}
	if next != nil {
		resp.Maintenance = maintenanceOf(*next)
	}
	if r.DryRun {
		return resp, nil
	}
	s.change.Lock()
	defer s.change.Unlock()
	if err := s.keepMaintenance(ctx, next); err != nil {
		return nil, err
	}
	s.router.SetMaintenance(next)
	s.road.Log.WarnContext(ctx, "maintenance", "on", next != nil, "refuses", resp.Maintenance.GetRefuses(), "actor", caller(ctx).Name())
	return resp, nil
}

// maintenance is what a request asks for; nil: none.
func (s *Service) maintenance(ctx context.Context, r *adminv1.SetMaintenanceModeRequest) (*route.Maintenance, error) {
	if !r.Enabled {
		return nil, nil //nolint:nilnil // which is what was asked for
	}
	switch r.Refuses {
	case "", refusesWrites, refusesAll:
	default:
		return nil, prism.InvalidField("refuses", "must be writes or all")
	}
	m := &route.Maintenance{All: r.Refuses == refusesAll, Message: r.Message, StartedAt: s.road.Clock.Now(), Actor: caller(ctx).Name()}
	if r.DurationMs > 0 {
		m.EndsAt = m.StartedAt.Add(milliseconds(r.DurationMs))
	}
	return m, nil
}

func (s *Service) keepMaintenance(ctx context.Context, m *route.Maintenance) error {
	state := s.road.Control.State("maintenance")
	if m == nil {
		return state.Delete(ctx, kept)
	}
	body, err := json.Marshal(m)
	if err != nil {
		return prism.Internal(err)
	}
	return state.Put(ctx, kept, body)
}

// resumeMaintenance puts in force again what was before the start.
func (s *Service) resumeMaintenance(ctx context.Context) error {
	body, found, err := s.road.Control.State("maintenance").Get(ctx, kept)
	if err != nil || !found {
		return err
	}
	var m route.Maintenance
	if err := json.Unmarshal(body, &m); err != nil {
		return prism.Internal(err)
	}
	s.router.SetMaintenance(&m)
	if _, on := s.router.Maintenance(); on {
		s.road.Log.Warn("the gateway is still in maintenance", "since", m.StartedAt, "actor", m.Actor)
	}
	return nil
}

func maintenanceOf(m route.Maintenance) *adminv1.Maintenance {
	out := &adminv1.Maintenance{
		Refuses: refusesWrites, Message: m.Message, StartedAtMs: millis(m.StartedAt), EndsAtMs: millis(m.EndsAt), Actor: m.Actor, Refused: m.Refused,
	}
	if m.All {
		out.Refuses = refusesAll
	}
	return out
}

// drainKind is the operation of DrainConnections.
const (
	drainKind    = "drain"
	drainTimeout = 30 * time.Second
	drainLook    = 20 * time.Millisecond
)

// DrainConnections ends open streams and answers how many there were.
func (s *Service) DrainConnections(ctx context.Context, r *adminv1.DrainConnectionsRequest) (*adminv1.DrainConnectionsResponse, error) {
	open, err := s.router.Streams(r.Namespace)
	if err != nil {
		return nil, err
	}
	if r.DryRun {
		return &adminv1.DrainConnectionsResponse{InitialCount: open, RemainingCount: open}, nil
	}
	o, err := s.road.Control.CreateOperation(ctx, drainKind, r.Namespace, caller(ctx).Name())
	if err != nil {
		return nil, err
	}
	d, err := s.router.Drain(r.Namespace)
	if err != nil {
		s.finish(ctx, o.ID, err)
		return nil, err
	}
	timeout := drainTimeout
	if r.TimeoutMs > 0 {
		timeout = milliseconds(r.TimeoutMs)
	}
	s.drains.Store(o.ID, d)
	s.work.Go(func() {
		defer s.drains.Delete(o.ID)
		defer d.End()
		s.finish(s.life, o.ID, s.drained(d, timeout))
	})
	left := d.Remaining()
	resp := &adminv1.DrainConnectionsResponse{
		Operation: operationOf(o), InitialCount: d.Initial, RemainingCount: left, DrainedCount: max(d.Initial-left, 0), Complete: left == 0,
	}
	resp.Operation.Drain = &adminv1.DrainProgress{InitialCount: d.Initial, RemainingCount: left}
	return resp, nil
}

// drained waits until the streams have ended.
func (s *Service) drained(d *route.Drain, timeout time.Duration) error {
	late := s.road.Clock.NewTimer(timeout)
	defer late.Stop()
	for d.Remaining() > 0 {
		look := s.road.Clock.NewTimer(drainLook)
		select {
		case <-look.C:
		case <-late.C:
			look.Stop()
			return prism.New(prism.ReasonDeadlineExceeded, "%d of %d streams have not ended within %s", d.Remaining(), d.Initial, timeout)
		case <-s.life.Done():
			look.Stop()
			return prism.New(prism.ReasonDraining, "the gateway is about to stop")
		}
	}
	return nil
}

// finish writes down how an operation has ended.
func (s *Service) finish(ctx context.Context, id string, cause error) {
	if _, err := s.road.Control.FinishOperation(context.WithoutCancel(ctx), id, cause); err != nil {
		s.road.Log.Error("cannot finish an operation", "operation", id, "error", err)
	}
}
