package metrics

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/prism-data-layer/prism/pkg/cli"
	"github.com/prism-data-layer/prism/pkg/iostreams"
	adminv1 "github.com/prism-data-layer/prism/proto/prism/admin/v1"
)

type exportOptions struct {
	IO     *iostreams.IOStreams
	Client func(context.Context) (client, error)

	Format   string
	Metadata bool
}

// The formats of an export.
const (
	prometheus = "prometheus"
	asJSON     = "json"
)

func newExport(f *cli.Factory, run func(context.Context, *exportOptions) error) *cobra.Command {
	o := &exportOptions{IO: f.IO, Client: func(ctx context.Context) (client, error) { return f.Admin(ctx) }}
	cmd := &cobra.Command{
		Use:   "export",
		Short: "Write all counters, for other programs",
		Long: `Writes what the gateway has counted since it started, methods, namespaces and backends, in the text
format of Prometheus or as JSON. --include-metadata adds what each metric means, and which gateway
it is. It comes over the admin API: where the metrics port can be reached, scrape that.`,
		Example: "  prismctl metrics export --format prometheus\n  prismctl metrics export --format json --include-metadata",
		Args:    cli.NoArgs,
		RunE:    func(cmd *cobra.Command, _ []string) error { return run(cmd.Context(), o) },
	}
	cmd.Flags().StringVar(&o.Format, "format", prometheus, "write this `FORMAT`: prometheus or json")
	cli.Enum(cmd, "format", prometheus, asJSON)
	cmd.Flags().BoolVar(&o.Metadata, "include-metadata", false, "say what each metric means, and of which gateway it is")
	return cmd
}

func runExport(ctx context.Context, o *exportOptions) error {
	c, err := o.Client(ctx)
	if err != nil {
		return err
	}
	l, err := take(ctx, c)
	if err != nil {
		return err
	}
	var b bytes.Buffer
	if o.Format == asJSON {
		err = l.json(&b, o.Metadata)
	} else {
		l.text(&b, o.Metadata)
	}
	if err != nil {
		return err
	}
	_, err = o.IO.Out.Write(b.Bytes())
	return err
}

// text writes the format of Prometheus.
func (l look) text(b *bytes.Buffer, metadata bool) {
	head := func(name, kind, help string) {
		if metadata {
			fmt.Fprintf(b, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, kind)
		}
	}
	if metadata {
		head("prism_info", "gauge", "Which gateway this is.")
		fmt.Fprintf(b, "prism_info{version=%q,commit=%q} 1\n", l.status.GetVersion(), l.status.GetCommit())
	}
	head("prism_method_calls_total", "counter", "Calls of a method that have ended.")
	for _, m := range l.stats.GetMethods() {
		fmt.Fprintf(b, "prism_method_calls_total{method=%q} %d\n", m.GetMethod(), m.GetCalls())
	}
	head("prism_method_errors_total", "counter", "Calls of a method that have failed.")
	for _, m := range l.stats.GetMethods() {
		fmt.Fprintf(b, "prism_method_errors_total{method=%q} %d\n", m.GetMethod(), m.GetErrors())
	}
	head("prism_request_duration_seconds", "histogram", "How long calls of a method took.")
	for _, m := range l.stats.GetMethods() {
		series(b, "prism_request_duration_seconds", fmt.Sprintf("method=%q", m.GetMethod()), m.GetLatency())
	}
	head("prism_namespace_operations_total", "counter", "Operations on a namespace, by what they do.")
	for _, n := range l.stats.GetNamespaces() {
		fmt.Fprintf(b, "prism_namespace_operations_total{namespace=%q,kind=\"read\"} %d\n", n.GetNamespace(), n.GetReads())
		fmt.Fprintf(b, "prism_namespace_operations_total{namespace=%q,kind=\"write\"} %d\n", n.GetNamespace(), n.GetWrites())
	}
	head("prism_namespace_errors_total", "counter", "Operations on a namespace that have failed.")
	for _, n := range l.stats.GetNamespaces() {
		fmt.Fprintf(b, "prism_namespace_errors_total{namespace=%q} %d\n", n.GetNamespace(), n.GetErrors())
	}
	head("prism_namespace_duration_seconds", "histogram", "How long operations on a namespace took.")
	for _, n := range l.stats.GetNamespaces() {
		series(b, "prism_namespace_duration_seconds", fmt.Sprintf("namespace=%q", n.GetNamespace()), n.GetLatency())
	}
	head("prism_backend_up", "gauge", "Whether the last probe of a backend was answered well.")
	for _, x := range l.backends {
		up := 0
		if x.GetHealth() != adminv1.HealthState_HEALTH_STATE_UNHEALTHY {
			up = 1
		}
		fmt.Fprintf(b, "prism_backend_up{backend=%q} %d\n", x.GetName(), up)
	}
	head("prism_backend_ended_total", "counter", "Calls on a backend that have ended.")
	for _, x := range l.backends {
		fmt.Fprintf(b, "prism_backend_ended_total{backend=%q} %d\n", x.GetName(), x.GetCalls())
	}
}

// series writes one histogram: its counts grow from bucket to bucket.
func series(b *bytes.Buffer, name, label string, h *adminv1.LatencyHistogram) {
	var n int64
	for i, c := range h.GetCounts() {
		n += c
		le := "+Inf"
		if i < len(h.GetBoundsUs()) {
			le = seconds(h.GetBoundsUs()[i])
		}
		fmt.Fprintf(b, "%s_bucket{%s,le=%q} %d\n", name, label, le, n)
	}
	fmt.Fprintf(b, "%s_sum{%s} %s\n%s_count{%s} %d\n", name, label, seconds(h.GetSumUs()), name, label, n)
}

func seconds(us int64) string { return strconv.FormatFloat(float64(us)/1e6, 'g', -1, 64) }

// json writes the same as one object.
func (l look) json(b *bytes.Buffer, metadata bool) error {
	type counted struct {
		Name    string           `json:"name"`
		Counts  map[string]int64 `json:"counts"`
		Bounds  []int64          `json:"latency_bounds_us,omitempty"`
		Latency []int64          `json:"latency_counts,omitempty"`
		Sum     int64            `json:"latency_sum_us"`
	}
	out := struct {
		APIVersion string         `json:"apiVersion"`
		Kind       string         `json:"kind"`
		Time       int64          `json:"time_ms"`
		Gateway    map[string]any `json:"gateway,omitempty"`
		Methods    []counted      `json:"methods"`
		Namespaces []counted      `json:"namespaces"`
		Backends   []counted      `json:"backends"`
	}{APIVersion: cli.APIVersion, Kind: "MetricsExport", Time: l.stats.GetTimeMs(), Methods: []counted{}, Namespaces: []counted{}, Backends: []counted{}}
	if metadata {
		out.Gateway = map[string]any{
			"version": l.status.GetVersion(), "commit": l.status.GetCommit(), "state": strings.ToLower(l.status.GetState()),
			"started_at_ms": l.status.GetStartedAtMs(), "admin_address": l.status.GetAdminAddress(),
		}
	}
	for _, m := range l.stats.GetMethods() {
		out.Methods = append(out.Methods, counted{m.GetMethod(), map[string]int64{"calls": m.GetCalls(), "errors": m.GetErrors()}, m.GetLatency().GetBoundsUs(), m.GetLatency().GetCounts(), m.GetLatency().GetSumUs()})
	}
	for _, n := range l.stats.GetNamespaces() {
		out.Namespaces = append(out.Namespaces, counted{n.GetNamespace(), map[string]int64{"reads": n.GetReads(), "writes": n.GetWrites(), "errors": n.GetErrors()}, n.GetLatency().GetBoundsUs(), n.GetLatency().GetCounts(), n.GetLatency().GetSumUs()})
	}
	for _, x := range l.backends {
		out.Backends = append(out.Backends, counted{Name: x.GetName(), Counts: map[string]int64{"calls": x.GetCalls(), "errors": x.GetErrors(), "in_flight": x.GetInFlight()}})
	}
	text, err := json.MarshalIndent(out, "", "  ")
	b.Write(append(text, '\n'))
	return err
}
