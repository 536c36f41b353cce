// Package backend is `prismctl backend`: the stores that a gateway keeps data
// on, and how they are.
package backend

import (
	"maps"
	"slices"

	"github.com/spf13/cobra"

	"github.com/prism-data-layer/prism/pkg/cli"
	adminv1 "github.com/prism-data-layer/prism/proto/prism/admin/v1"
)

// New is the noun.
func New(f *cli.Factory) *cobra.Command {
	cmd := cli.Group("backend", "Look at backends, the stores behind a gateway",
		"A backend is a running store with a name in the gateway's configuration. What it can do decides\nwhat its namespaces can.",
		"  prismctl backend list\n  prismctl backend health",
		newList(f, runList), newDescribe(f), newHealth(f, runHealth))
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
		cli.Int("errors", "ERRORS", "calls that failed since the start", func(b store) int64 { return b.GetErrors() }),
		cli.Time("checked_at", "CHECKED", "when it was last probed", func(b store) int64 { return b.GetCheckedAtMs() }),
		cli.Text("message", "MESSAGE", "why it is not healthy", func(b store) string { return b.GetMessage() }).OnlyWide(),
		cli.Text("durability", "DURABILITY", "what an answered write means", func(b store) string { return b.GetDurability() }).OnlyWide(),
		cli.Text("declared_in", "DECLARED", "the file and line that declares it", func(b store) string { return b.GetDeclaredIn() }).OnlyWide(),
		cli.Text("last_error", "", "the last error", func(b store) string { return b.GetLastError() }),
		cli.Words("capabilities", "", "what it can do", func(b store) []string { return b.GetCapabilities() }),
		cli.Nested("facts", "sizes, versions, pools", facts),
	}}
}

func facts(b store) any {
	o := make(cli.Object, 0, len(b.GetFacts()))
	for _, k := range slices.Sorted(maps.Keys(b.GetFacts())) {
		o = append(o, cli.Member{Name: k, Value: b.GetFacts()[k]})
	}
	return o
}
