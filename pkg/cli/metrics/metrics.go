// Package metrics is `prismctl metrics`: what a gateway has done and does, and
// how fast, without a monitoring system.
package metrics

import (
	"context"

	"github.com/spf13/cobra"
	"google.golang.org/grpc"

	"github.com/prism-data-layer/prism/pkg/cli"
	adminv1 "github.com/prism-data-layer/prism/proto/prism/admin/v1"
)

// New is the noun.
func New(f *cli.Factory) *cobra.Command {
	return cli.Group("metrics", "Look at requests, errors and latencies",
		"Shows what the gateway has counted since it started, or over a while from now on. It keeps no\nhistory: for that, let Prometheus scrape its metrics port.",
		"  prismctl metrics summary\n  prismctl metrics export --format prometheus",
		newSummary(f, runSummary), newNamespace(f, runNamespace), newExport(f, runExport))
}

type client interface {
	GetStatus(context.Context, *adminv1.GetStatusRequest, ...grpc.CallOption) (*adminv1.GetStatusResponse, error)
	GetStats(context.Context, *adminv1.GetStatsRequest, ...grpc.CallOption) (*adminv1.GetStatsResponse, error)
	ListBackends(context.Context, *adminv1.ListBackendsRequest, ...grpc.CallOption) (*adminv1.ListBackendsResponse, error)
	GetNamespace(context.Context, *adminv1.GetNamespaceRequest, ...grpc.CallOption) (*adminv1.GetNamespaceResponse, error)
}

// A row is what was counted of one thing over a while.
type row struct {
	name, state           string
	calls, errors         int64
	reads, writes         int64 // of a namespace
	latency               histogram
	p50, p99              int64 // of a backend, which tells them itself
	seconds               float64
	isNamespace, measured bool
}

func (r row) rate() float64 {
	if r.seconds <= 0 {
		return 0
	}
	return round(float64(r.calls) / r.seconds)
}

func (r row) errorPercent() float64 {
	if r.calls == 0 {
		return 0
	}
	return round(float64(r.errors) / float64(r.calls) * 100)
}

func (r row) quantile(q float64) int64 {
	switch {
	case r.measured && q < 0.9:
		return r.p50
	case r.measured:
		return r.p99
	}
	return r.latency.quantile(q)
}

func round(x float64) float64 { return float64(int64(x*100+0.5)) / 100 }

func kind() cli.Kind[row] {
	micros := func(name, header, doc string, q float64) cli.Field[row] {
		return cli.Micros(name, header, doc, func(r row) int64 { return r.quantile(q) }).Optional(func(r row) bool { return r.quantile(q) > 0 })
	}
	ofNamespace := func(r row) bool { return r.isNamespace }
	return cli.Kind[row]{Name: "Metrics", Fields: []cli.Field[row]{
		cli.Text("name", "NAME", "gateway, namespace/NAME or backend/NAME", func(r row) string { return r.name }),
		cli.State("state", "STATE", "of the gateway, or the health of a backend", func(r row) string { return r.state }),
		cli.Int("requests", "REQUESTS", "that have ended in this while", func(r row) int64 { return r.calls }),
		cli.Number("requests_per_second", "RATE", "how many a second, on average", row.rate).WithDecimals(2),
		cli.Int("errors", "ERRORS", "how many of them failed", func(r row) int64 { return r.errors }),
		cli.Number("error_percent", "ERR%", "how many of a hundred failed", row.errorPercent).WithDecimals(2),
		micros("p50_us", "P50", "half of them took no longer", 0.5),
		micros("p95_us", "P95", "nor did all but one in twenty", 0.95).Optional(func(r row) bool { return !r.measured && r.latency.total() > 0 }),
		micros("p99_us", "P99", "nor did all but one in a hundred", 0.99),
		cli.Int("reads", "READS", "of a namespace", func(r row) int64 { return r.reads }).Optional(ofNamespace).OnlyWide(),
		cli.Int("writes", "WRITES", "of a namespace", func(r row) int64 { return r.writes }).Optional(ofNamespace).OnlyWide(),
		cli.Number("seconds", "SECONDS", "how long the while was", func(r row) float64 { return round(r.seconds) }).OnlyWide(),
	}}
}
