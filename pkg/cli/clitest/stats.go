package clitest

import (
	"context"

	adminv1 "github.com/prism-data-layer/prism/proto/prism/admin/v1"
)

// GetStats answers figures that grow with each time it is asked: 100 reads and
// 50 writes of kv, of which one fails.
func (g *Gateway) GetStats(context.Context, *adminv1.GetStatsRequest) (*adminv1.GetStatsResponse, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.looks++
	n := g.looks
	latency := func(n int64) *adminv1.LatencyHistogram {
		return &adminv1.LatencyHistogram{BoundsUs: []int64{100, 1000, 10_000}, Counts: []int64{n * 100, n * 45, n * 5, 0}, SumUs: n * 60_000}
	}
	return &adminv1.GetStatsResponse{
		TimeMs: g.now.UnixMilli() + n*1000,
		Methods: []*adminv1.MethodStats{
			{Method: "prism.keyvalue.v1.KeyValueService/Get", Calls: n * 100, Latency: latency(n)},
			{Method: "prism.keyvalue.v1.KeyValueService/Set", Calls: n * 50, Errors: n, Latency: latency(n)},
		},
		Namespaces: []*adminv1.NamespaceStats{
			{Namespace: "kv", Reads: n * 100, Writes: n * 50, Errors: n, Latency: latency(n)},
			{Namespace: "scratch", Latency: &adminv1.LatencyHistogram{BoundsUs: []int64{100, 1000, 10_000}, Counts: []int64{0, 0, 0, 0}}},
		},
	}, nil
}
