package clitest

import (
	"context"
	"slices"
	"time"

	"github.com/prism-data-layer/prism/pkg/prism"
	adminv1 "github.com/prism-data-layer/prism/proto/prism/admin/v1"
)

func (g *Gateway) seedBackends(caps []string) {
	g.backends = []*adminv1.Backend{
		{
			Name: "local", Driver: "pebble", Health: adminv1.HealthState_HEALTH_STATE_HEALTHY, CheckedAtMs: g.ago(2 * time.Second), LatencyUs: 1240,
			Capabilities: caps, Namespaces: []string{"kv", "scratch"}, Durability: "fsynced", Durable: true, Facts: map[string]string{"disk_bytes": "4096", "version": "2"}, DeclaredIn: "prism.yaml:8",
			Breaker: "closed", BreakerSinceMs: g.ago(time.Hour), BreakerOpened: 1, Calls: 120_500, InFlight: 3, RejectedOpen: 12, P50Us: 210, P99Us: 1900,
			Errors: 4, LastError: "DISK_FULL: the disk of backend \"local\" is full", LastErrorMs: g.ago(time.Hour), ErrorsByReason: map[string]int64{"DISK_FULL": 4, "NOT_FOUND": 31},
			Missing: []*adminv1.MissingCapability{{Name: "cache_bounded", Why: "the driver pebble does not have it"}},
		},
		{
			Name: "volatile", Driver: "memory", Health: adminv1.HealthState_HEALTH_STATE_HEALTHY, CheckedAtMs: g.ago(2 * time.Second), LatencyUs: 12,
			Capabilities: caps, DeclaredIn: "prism.yaml:7", Breaker: "closed",
			Faults: []*adminv1.Fault{{
				FaultId: "f-19ab0001", Backend: "volatile", Calls: "read", LatencyUs: 200_000, JitterUs: 50_000, ErrorShare: 0.05, Reason: "BACKEND_UNAVAILABLE",
				StartedAtMs: g.ago(10 * time.Second), EndsAtMs: g.ago(-50 * time.Second), Actor: "user:ann", Slowed: 120, Failed: 6,
			}},
		},
		{
			Name: "spare", Driver: "memory", Health: adminv1.HealthState_HEALTH_STATE_HEALTHY, CheckedAtMs: g.ago(2 * time.Second), LatencyUs: 11,
			Capabilities: caps, Added: true, Breaker: "closed",
		},
	}
}

func (g *Gateway) ListBackends(context.Context, *adminv1.ListBackendsRequest) (*adminv1.ListBackendsResponse, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	return &adminv1.ListBackendsResponse{Backends: g.backends}, nil
}

func (g *Gateway) GetBackend(_ context.Context, r *adminv1.GetBackendRequest) (*adminv1.GetBackendResponse, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, b := range g.backends {
		if b.Name == r.Name {
			return &adminv1.GetBackendResponse{Backend: b}, nil
		}
	}
	return nil, prism.NotFound("backend", r.Name)
}

func (g *Gateway) CheckBackendHealth(_ context.Context, r *adminv1.CheckBackendHealthRequest) (*adminv1.CheckBackendHealthResponse, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	var list []*adminv1.Backend
	for _, b := range g.backends {
		if r.Name == "" || r.Name == b.Name {
			list = append(list, b)
		}
	}
	if r.Name != "" && list == nil {
		return nil, prism.NotFound("backend", r.Name)
	}
	return &adminv1.CheckBackendHealthResponse{Backends: list}, nil
}

// TestBackend passes on a backend that is healthy.
func (g *Gateway) TestBackend(ctx context.Context, r *adminv1.TestBackendRequest) (*adminv1.TestBackendResponse, error) {
	found, err := g.GetBackend(ctx, &adminv1.GetBackendRequest{Name: r.Name})
	if err != nil {
		return nil, err
	}
	if found.GetBackend().GetHealth() == adminv1.HealthState_HEALTH_STATE_UNHEALTHY {
		return &adminv1.TestBackendResponse{Steps: []*adminv1.TestStep{
			{Model: "keyvalue", Name: "write", TookUs: 12, Reason: "BACKEND_UNAVAILABLE", Message: "no answer"},
		}}, nil
	}
	return &adminv1.TestBackendResponse{Passed: true, Steps: []*adminv1.TestStep{
		{Model: "keyvalue", Name: "write", TookUs: 1450},
		{Model: "keyvalue", Name: "read back", TookUs: 90},
		{Model: "keyvalue", Name: "delete", TookUs: 1320},
		{Model: "store", Name: "clean up", TookUs: 700},
	}}, nil
}

// AddBackend knows the driver memory, and pebble.
func (g *Gateway) AddBackend(_ context.Context, r *adminv1.AddBackendRequest) (*adminv1.AddBackendResponse, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, b := range g.backends {
		switch {
		case b.Name == r.Name && b.DeclaredIn != "":
			return nil, prism.New(prism.ReasonDeclaredInFile, "backend %q is declared in %s", r.Name, b.DeclaredIn)
		case b.Name == r.Name:
			return nil, prism.New(prism.ReasonAlreadyExists, "backend %q is there already", r.Name)
		}
	}
	if r.Driver != "memory" && r.Driver != "pebble" {
		return nil, prism.New(prism.ReasonInvalidConfig, "the configuration has 1 problem").WithField("backends[0].driver", "options:4:13: unknown driver \""+r.Driver+"\"")
	}
	b := &adminv1.Backend{Name: r.Name, Driver: r.Driver, Health: adminv1.HealthState_HEALTH_STATE_HEALTHY, CheckedAtMs: g.ago(0), Added: true, Breaker: "closed"}
	g.backends = append(g.backends, b)
	return &adminv1.AddBackendResponse{Backend: b, Steps: []*adminv1.TestStep{{Model: "keyvalue", Name: "write", TookUs: 1}, {Model: "store", Name: "clean up", TookUs: 1}}}, nil
}

// RemoveBackend removes what was added.
func (g *Gateway) RemoveBackend(_ context.Context, r *adminv1.RemoveBackendRequest) (*adminv1.RemoveBackendResponse, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for i, b := range g.backends {
		switch {
		case b.Name != r.Name:
		case b.DeclaredIn != "":
			return nil, prism.New(prism.ReasonDeclaredInFile, "backend %q is declared in %s: take it out there", r.Name, b.DeclaredIn)
		default:
			g.backends = slices.Delete(g.backends, i, i+1)
			return &adminv1.RemoveBackendResponse{}, nil
		}
	}
	return nil, prism.NotFound("backend", r.Name)
}
