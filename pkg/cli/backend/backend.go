// Package backend is `prismctl backend`: the stores that a gateway keeps data
// on, and how they are.
package backend

import (
	"maps"
	"slices"

	"github.com/spf13/cobra"

	"github.com/prism-data-layer/prism/pkg/cli"
	"github.com/prism-data-layer/prism/pkg/cli/manifest"
	"github.com/prism-data-layer/prism/pkg/config"
	adminv1 "github.com/prism-data-layer/prism/proto/prism/admin/v1"
)

// New is the noun.
func New(f *cli.Factory) *cobra.Command {
	cmd := cli.Group("backend", "Look at backends, the stores behind a gateway",
		"A backend is a running store with a name in the gateway's configuration. What it can do decides\nwhat its namespaces can.",
		"  prismctl backend list\n  prismctl backend health\n  prismctl backend stats",
		newList(f, runList), newDescribe(f), newHealth(f, runHealth), newStats(f, runStats), newTest(f, runTest),
		newAdd(f, runAdd), newRemove(f, runRemove),
		cli.NewWatch(newList(f, runList), "backends", "  prismctl backend watch\n  prismctl backend watch --interval 5s -o jsonl"),
		manifest.NewApply(f, config.KindBackend), manifest.NewDiff(f, config.KindBackend), manifest.NewExport(f, config.KindBackend))
	cmd.Aliases = []string{"be"}
	return cmd
}

const seeList = "prismctl backend list"

type store = *adminv1.Backend

func kind() cli.Kind[store] {
	return cli.Kind[store]{Name: "Backend", Fields: []cli.Field[store]{
		cli.Text("name", "NAME", "its name", func(b store) string { return b.GetName() }),
		cli.Text("driver", "DRIVER", "the kind of store", func(b store) string { return b.GetDriver() }),
		cli.State("health", "HEALTH", "healthy, degraded or unhealthy", func(b store) string {
			return cli.EnumWord(b.GetHealth().String(), "HEALTH_STATE_")
		}),
		cli.Micros("latency_us", "LATENCY", "of the last probe", func(b store) int64 { return b.GetLatencyUs() }).Optional(func(b store) bool { return b.GetLatencyUs() > 0 }),
		cli.Words("namespaces", "NAMESPACES", "whose data is there", func(b store) []string { return b.GetNamespaces() }),
		cli.Int("errors", "ERRORS", "of the store since the start, failed probes too", func(b store) int64 { return b.GetErrors() }),
		cli.Time("checked_at", "CHECKED", "when it was last probed", func(b store) int64 { return b.GetCheckedAtMs() }),
		cli.Text("message", "MESSAGE", "why it is not healthy", func(b store) string { return b.GetMessage() }).OnlyWide(),
		cli.Text("durability", "DURABILITY", "what an answered write means", func(b store) string { return b.GetDurability() }).OnlyWide(),
		cli.Text("declared_in", "DECLARED", "the file and line that declares it", func(b store) string { return b.GetDeclaredIn() }).OnlyWide(),
		cli.Bool("durable", "", "whether an answered write survives a power cut", func(b store) bool { return b.GetDurable() }),
		cli.Bool("added", "", "added by an operator, not declared", func(b store) bool { return b.GetAdded() }),
		cli.State("breaker", "", "closed; half-open or open while the store does not answer", func(b store) string { return b.GetBreaker() }),
		cli.Time("breaker_changed_at", "", "since when it stands so", func(b store) int64 { return b.GetBreakerSinceMs() }),
		cli.Int("breaker_opened", "", "how often it has opened", func(b store) int64 { return b.GetBreakerOpened() }),
		cli.Int("calls", "", "that have ended since the start", func(b store) int64 { return b.GetCalls() }),
		cli.Int("in_flight", "", "calls under way", func(b store) int64 { return b.GetInFlight() }),
		cli.Int("rejected_open", "", "calls refused by the open breaker", func(b store) int64 { return b.GetRejectedOpen() }),
		cli.Int("rejected_busy", "", "calls refused because too many were under way", func(b store) int64 { return b.GetRejectedBusy() }),
		cli.Micros("p50_us", "", "half of the calls of the last minute took no longer", func(b store) int64 { return b.GetP50Us() }).Optional(func(b store) bool { return b.GetP50Us() > 0 }),
		cli.Micros("p99_us", "", "nor did all but one in a hundred", func(b store) int64 { return b.GetP99Us() }).Optional(func(b store) bool { return b.GetP99Us() > 0 }),
		cli.Text("last_error", "", "the last error", func(b store) string { return b.GetLastError() }),
		cli.Time("last_failed_at", "", "when that was", func(b store) int64 { return b.GetLastErrorMs() }),
		cli.Nested("errors_by_reason", "what calls ended with", func(b store) any { return counts(b.GetErrorsByReason()) }),
		cli.Nested("faults", "put on it on purpose with prismctl fault, that act", faults),
		cli.Words("capabilities", "", "what it can do", func(b store) []string { return b.GetCapabilities() }),
		cli.Nested("missing", "what it cannot do, and why", func(b store) any { return missing(b) }),
		cli.Nested("options", "the driver's settings as they were written; variables by name", options),
		cli.Nested("facts", "sizes, versions, pools", facts),
	}}
}

func counts(m map[string]int64) cli.Object {
	o := make(cli.Object, 0, len(m))
	for _, k := range slices.Sorted(maps.Keys(m)) {
		o = append(o, cli.Member{Name: k, Value: m[k]})
	}
	return o
}

func missing(b store) cli.Object {
	o := cli.Object{}
	for _, m := range b.GetMissing() {
		o = append(o, cli.Member{Name: m.GetName(), Value: m.GetWhy()})
	}
	return o
}

func faults(b store) any {
	o := make(cli.Object, 0, len(b.GetFaults()))
	for _, f := range b.GetFaults() {
		o = append(o, cli.Member{Name: f.GetFaultId(), Value: cli.FaultWords(f)})
	}
	return o
}

func facts(b store) any { return texts(b.GetFacts()) }

func options(b store) any { return texts(b.GetOptions()) }

func texts(m map[string]string) any {
	o := make(cli.Object, 0, len(m))
	for _, k := range slices.Sorted(maps.Keys(m)) {
		o = append(o, cli.Member{Name: k, Value: m[k]})
	}
	return o
}
