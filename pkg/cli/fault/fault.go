// Package fault is `prismctl fault`: doing harm to one backend for a while, to
// see what becomes of those who use it.
package fault

import (
	"github.com/spf13/cobra"

	"github.com/prism-data-layer/prism/pkg/cli"
	adminv1 "github.com/prism-data-layer/prism/proto/prism/admin/v1"
)

// New is the noun.
func New(f *cli.Factory) *cobra.Command {
	return cli.Group("fault", "Make a backend slow or failing for a while",
		`A fault makes calls of one backend slower, or lets a share of them fail, for a while: an hour at
most. It ends by itself. The gateway's breaker, deadlines and figures see what they would see of an
ill store; its health says that it is a fault. A gateway refuses faults unless its configuration
says "faults: true"; the gateway that dev up starts allows them.`,
		"  prismctl fault add --backend local --latency 200ms --errors 5% --for 60s\n  prismctl fault list",
		newAdd(f, runAdd), newList(f, runList), newRemove(f, runRemove))
}

const seeList = "prismctl fault list"

type injected = *adminv1.Fault

func kind() cli.Kind[injected] {
	return cli.Kind[injected]{Name: "Fault", Fields: []cli.Field[injected]{
		cli.Text("fault_id", "FAULT", "its id", func(x injected) string { return x.GetFaultId() }),
		cli.Text("backend", "BACKEND", "what it is done to", func(x injected) string { return x.GetBackend() }),
		cli.Text("calls", "CALLS", "those that it meets: read, write or all", func(x injected) string { return x.GetCalls() }),
		cli.Micros("latency_us", "LATENCY", "how much longer they take", func(x injected) int64 { return x.GetLatencyUs() }).Optional(func(x injected) bool { return x.GetLatencyUs() > 0 }),
		cli.Micros("jitter_us", "JITTER", "up to so much more or less", func(x injected) int64 { return x.GetJitterUs() }).Optional(func(x injected) bool { return x.GetJitterUs() > 0 }).OnlyWide(),
		cli.Number("error_percent", "ERRORS %", "how many of a hundred fail", func(x injected) float64 { return x.GetErrorShare() * 100 }),
		cli.Text("reason", "REASON", "what those fail with", func(x injected) string { return x.GetReason() }).OnlyWide(),
		cli.Time("ends_at", "ENDS", "when it ends by itself", func(x injected) int64 { return x.GetEndsAtMs() }),
		cli.Int("slowed", "SLOWED", "calls that took longer", func(x injected) int64 { return x.GetSlowed() }),
		cli.Int("failed", "FAILED", "calls that were failed", func(x injected) int64 { return x.GetFailed() }),
		cli.Time("started_at", "STARTED", "when it began", func(x injected) int64 { return x.GetStartedAtMs() }).OnlyWide(),
		cli.Text("actor", "ACTOR", "who asked for it", func(x injected) string { return x.GetActor() }).OnlyWide(),
	}}
}
