package clitest

import (
	"cmp"
	"context"
	"slices"
	"strings"
	"time"

	"google.golang.org/grpc"

	"github.com/prism-data-layer/prism/pkg/prism"
	adminv1 "github.com/prism-data-layer/prism/proto/prism/admin/v1"
)

// Operate is what an operator does to a running gateway.
type Operate struct {
	// OnTrace, if set, answers TraceSession.
	OnTrace func(*adminv1.TraceSessionRequest, grpc.ServerStreamingServer[adminv1.TraceSessionResponse]) error
	// NoFaults refuses faults.
	NoFaults bool

	maintenance *adminv1.Maintenance
}

// TracedCalls are those that a trace tells of.
func (g *Gateway) TracedCalls() []*adminv1.TracedCall {
	at := func(d time.Duration) int64 { return g.now.Add(d).UnixMicro() }
	return []*adminv1.TracedCall{
		{TimeUs: at(0), LatencyUs: 412, Method: "prism.keyvalue.v1.KeyValueService/Set", SessionId: "s-7f3a", Principal: "user:dev", Namespace: "kv", Subject: "orders/1", Operations: 1, ReceivedBytes: 128, SentBytes: 4, TraceId: "4bf92f3577b34da6a3ce929d0e0e4736"},
		{TimeUs: at(time.Millisecond), LatencyUs: 130_000, Method: "prism.keyvalue.v1.KeyValueService/BatchGet", SessionId: "s-7f3a", Principal: "user:dev", Namespace: "kv", Subject: "orders/1", Operations: 20, ReceivedBytes: 240, SentBytes: 9000, TraceId: "0af7651916cd43dd8448eb211c80319c"},
		{TimeUs: at(2 * time.Millisecond), LatencyUs: 90, Method: "prism.cache.v1.CacheService/Get", SessionId: "s-8b00", Principal: "service:checkout", Namespace: "cache", Subject: "page\x1b[2J", Operations: 1, Reason: "NOT_FOUND", ReceivedBytes: 12, TraceId: "1af7651916cd43dd8448eb211c80319c"},
	}
}

// TraceSession tells of [Gateway.TracedCalls], and is over.
func (g *Gateway) TraceSession(r *adminv1.TraceSessionRequest, st grpc.ServerStreamingServer[adminv1.TraceSessionResponse]) error {
	if g.OnTrace != nil {
		return g.OnTrace(r, st)
	}
	if r.SessionId != "" {
		if _, err := g.GetSession(st.Context(), &adminv1.GetSessionRequest{SessionId: r.SessionId}); err != nil {
			return failed(err)
		}
	}
	if err := st.Send(&adminv1.TraceSessionResponse{}); err != nil {
		return err
	}
	calls := slices.DeleteFunc(g.TracedCalls(), func(c *adminv1.TracedCall) bool {
		return r.SessionId != "" && c.SessionId != r.SessionId || r.Namespace != "" && c.Namespace != r.Namespace ||
			c.LatencyUs < r.MinLatencyUs || r.Errors && c.Reason == ""
	})
	return st.Send(&adminv1.TraceSessionResponse{Calls: calls})
}

func (g *Gateway) AddFault(_ context.Context, r *adminv1.AddFaultRequest) (*adminv1.AddFaultResponse, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.NoFaults {
		return nil, prism.New(prism.ReasonFailedPrecond, "this gateway does not allow faults: its configuration does not say faults: true").WithMeta("setting", "faults")
	}
	at := slices.IndexFunc(g.backends, func(b *adminv1.Backend) bool { return b.Name == r.Backend })
	if at < 0 {
		return nil, prism.NotFound("backend", r.Backend)
	}
	f := &adminv1.Fault{
		Backend: r.Backend, Calls: cmp.Or(r.Calls, "all"), LatencyUs: r.LatencyUs, JitterUs: r.JitterUs, ErrorShare: r.ErrorShare,
		Reason: cmp.Or(r.Reason, "BACKEND_UNAVAILABLE"), StartedAtMs: g.now.UnixMilli(), EndsAtMs: g.now.UnixMilli() + r.DurationMs, Actor: "dev",
	}
	if !r.DryRun {
		f.FaultId = "f-20cd0002"
		g.backends[at].Faults = append(g.backends[at].Faults, f)
	}
	return &adminv1.AddFaultResponse{Fault: f}, nil
}

func (g *Gateway) ListFaults(_ context.Context, r *adminv1.ListFaultsRequest) (*adminv1.ListFaultsResponse, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	resp := &adminv1.ListFaultsResponse{Enabled: !g.NoFaults}
	found := r.Backend == ""
	for _, b := range g.backends {
		if r.Backend == "" || r.Backend == b.Name {
			found = true
			resp.Faults = append(resp.Faults, b.Faults...)
		}
	}
	if !found {
		return nil, prism.NotFound("backend", r.Backend)
	}
	return resp, nil
}

func (g *Gateway) RemoveFault(_ context.Context, r *adminv1.RemoveFaultRequest) (*adminv1.RemoveFaultResponse, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, b := range g.backends {
		for i, f := range b.Faults {
			if f.FaultId == r.FaultId {
				b.Faults = slices.Delete(b.Faults, i, i+1)
				return &adminv1.RemoveFaultResponse{Fault: f}, nil
			}
		}
	}
	return nil, prism.NotFound("fault", r.FaultId)
}

func (g *Gateway) SetMaintenanceMode(_ context.Context, r *adminv1.SetMaintenanceModeRequest) (*adminv1.SetMaintenanceModeResponse, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	var m *adminv1.Maintenance
	if r.Enabled {
		m = &adminv1.Maintenance{Refuses: cmp.Or(r.Refuses, "writes"), Message: r.Message, StartedAtMs: g.now.UnixMilli(), Actor: "dev"}
		if r.DurationMs > 0 {
			m.EndsAtMs = m.StartedAtMs + r.DurationMs
		}
	}
	if !r.DryRun {
		g.maintenance = m
	}
	return &adminv1.SetMaintenanceModeResponse{Maintenance: m, ActiveSessions: int64(len(g.sessions))}, nil
}

// DrainConnections has ended three of four streams when it answers, and the
// operation says how it goes on: see [Gateway.SetOperation].
func (g *Gateway) DrainConnections(_ context.Context, r *adminv1.DrainConnectionsRequest) (*adminv1.DrainConnectionsResponse, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if r.Namespace != "" {
		if _, err := g.find(r.Namespace); err != nil {
			return nil, err
		}
	}
	if r.DryRun {
		return &adminv1.DrainConnectionsResponse{InitialCount: 4, RemainingCount: 4}, nil
	}
	op := g.operation
	if op == nil {
		op = &adminv1.Operation{OperationId: "op-3", Kind: "drain", Resource: strings.Clone(r.Namespace), State: adminv1.OperationState_OPERATION_STATE_DONE, StartedAtMs: g.now.UnixMilli(), EndedAtMs: g.now.UnixMilli()}
	}
	return &adminv1.DrainConnectionsResponse{Operation: op, InitialCount: 4, DrainedCount: 3, RemainingCount: 1}, nil
}
