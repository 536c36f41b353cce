// Package health is `prismctl health`: is the gateway there, and how is it.
package health

import (
	"context"

	"github.com/spf13/cobra"
	"google.golang.org/grpc"

	"github.com/prism-data-layer/prism/pkg/cli"
	"github.com/prism-data-layer/prism/pkg/prism"
	adminv1 "github.com/prism-data-layer/prism/proto/prism/admin/v1"
)

type client interface {
	GetStatus(context.Context, *adminv1.GetStatusRequest, ...grpc.CallOption) (*adminv1.GetStatusResponse, error)
	CheckBackendHealth(context.Context, *adminv1.CheckBackendHealthRequest, ...grpc.CallOption) (*adminv1.CheckBackendHealthResponse, error)
}

type options struct {
	Out    *cli.Output
	Client func(context.Context) (client, error)
}

// report is what the gateway says of itself and of its backends.
type report struct {
	*adminv1.GetStatusResponse
	backends []*adminv1.Backend
}

func kind() cli.Kind[report] {
	return cli.Kind[report]{Name: "Health", Fields: []cli.Field[report]{
		cli.State("state", "STATE", "running, draining or stopping", func(r report) string { return cli.EnumWord(r.GetState(), "") }),
		cli.State("health", "HEALTH", "the worst of its backends", func(r report) string { return word(worst(r.backends)) }),
		cli.State("maintenance", "MAINTENANCE", "off, or what is refused on purpose: refuses_writes or refuses_all", maintenance),
		cli.Text("version", "VERSION", "of the gateway", func(r report) string { return r.GetVersion() }),
		cli.Text("commit", "", "it was built from", func(r report) string { return r.GetCommit() }),
		cli.Text("go_version", "", "it was built with", func(r report) string { return r.GetGoVersion() }),
		cli.Time("started_at", "STARTED", "when it started", func(r report) int64 { return r.GetStartedAtMs() }),
		cli.Text("data_address", "DATA", "the data API", func(r report) string { return r.GetDataAddress() }),
		cli.Text("admin_address", "ADMIN", "the admin API", func(r report) string { return r.GetAdminAddress() }),
		cli.Text("metrics_address", "", "metrics, health and profiles", func(r report) string { return r.GetMetricsAddress() }),
		cli.Text("auth_mode", "", "off or required", func(r report) string { return r.GetAuthMode() }),
		cli.Text("principal", "", "who you are to it", func(r report) string { return r.GetPrincipal() }),
		cli.Int("pid", "", "its process", func(r report) int64 { return r.GetPid() }),
		cli.Bytes("rss_bytes", "", "memory in use", func(r report) int64 { return r.GetRssBytes() }),
		cli.Number("cpu_seconds", "", "processor time since the start", func(r report) float64 { return r.GetCpuSeconds() }),
		cli.Int("goroutines", "", "running at once", func(r report) int64 { return r.GetGoroutines() }),
		cli.Int("namespaces", "NAMESPACES", "how many there are", func(r report) int64 { return r.GetNamespaces() }),
		cli.Int("sessions", "SESSIONS", "that are open", func(r report) int64 { return r.GetSessions() }),
		cli.Int("active_streams", "", "that are open", func(r report) int64 { return r.GetActiveStreams() }),
		cli.Nested("backends", "each with its health", backends),
		cli.Text("config_problem", "", "the last configuration that was refused", func(r report) string { return r.GetConfigProblem() }),
	}}
}

// maintenance is what is refused; prismctl maintenance status tells why.
func maintenance(r report) string {
	if m := r.GetMaintenance(); m != nil {
		return "refuses_" + m.GetRefuses()
	}
	return "off"
}

func backends(r report) any {
	list := make([]any, len(r.backends))
	for i, b := range r.backends {
		list[i] = cli.Object{
			{Name: "name", Value: b.GetName()},
			{Name: "driver", Value: b.GetDriver()},
			{Name: "health", Value: word(b.GetHealth())},
			{Name: "latency_us", Value: b.GetLatencyUs()},
			{Name: "message", Value: b.GetMessage()},
		}
	}
	return list
}

func word(h adminv1.HealthState) string { return cli.EnumWord(h.String(), "HEALTH_STATE_") }

func worst(all []*adminv1.Backend) adminv1.HealthState {
	w := adminv1.HealthState_HEALTH_STATE_HEALTHY
	for _, b := range all {
		if h := b.GetHealth(); h > w {
			w = h
		}
	}
	return w
}

// New is the command.
func New(f *cli.Factory) *cobra.Command { return newHealth(f, run) }

func newHealth(f *cli.Factory, run func(context.Context, *options) error) *cobra.Command {
	o := &options{Client: func(ctx context.Context) (client, error) { return f.Admin(ctx) }}
	cmd := &cobra.Command{
		Use:        "health",
		Short:      "Ask the gateway how it is",
		Long:       "Asks the gateway for its state and probes every backend now. Ends with 6 if the gateway cannot be\nreached, is about to stop, or has an unhealthy backend.",
		Example:    "  prismctl health\n  prismctl health --json state,health",
		Args:       cli.NoArgs,
		SuggestFor: []string{"ping", "status"},
		RunE:       func(cmd *cobra.Command, _ []string) error { return run(cmd.Context(), o) },
	}
	o.Out = cli.AddOutput(f, cmd, kind().Info())
	return cmd
}

func run(ctx context.Context, o *options) error {
	c, err := o.Client(ctx)
	if err != nil {
		return err
	}
	status, err := c.GetStatus(ctx, &adminv1.GetStatusRequest{})
	if err != nil {
		return err
	}
	health, err := c.CheckBackendHealth(ctx, &adminv1.CheckBackendHealthRequest{})
	if err != nil {
		return err
	}
	r := report{status, health.GetBackends()}
	if err := cli.PrintOne(o.Out, kind(), r); err != nil {
		return err
	}
	switch {
	case cli.EnumWord(status.GetState(), "") != "running":
		return prism.New(prism.ReasonDraining, "the gateway is %s", cli.EnumWord(status.GetState(), ""))
	case worst(r.backends) == adminv1.HealthState_HEALTH_STATE_UNHEALTHY:
		return cli.WithFix(prism.New(prism.ReasonBackendUnavailable, "a backend is unhealthy"), "prismctl backend health")
	}
	return nil
}
