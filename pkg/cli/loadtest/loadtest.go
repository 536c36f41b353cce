// Package loadtest is `prismctl loadtest`: load for a gateway, and an honest
// report of what came of it.
package loadtest

import (
	"github.com/spf13/cobra"

	"github.com/prism-data-layer/prism/pkg/cli"
)

// New is the noun, without a terminal interface for runs.
func New(f *cli.Factory) *cobra.Command { return NewWith(f, nil) }

// NewWith is the noun with what run --ui shows a run in.
func NewWith(f *cli.Factory, live Live) *cobra.Command {
	return cli.Group("loadtest", "Load a gateway, and measure it",
		"Sends requests by a schedule, whether or not earlier ones were answered, and counts latency from\nthe time each was due: a gateway that stalls cannot hide the requests it kept waiting.",
		"  prismctl loadtest run kv --rate 5000 --duration 10s\n  prismctl loadtest run kv --rate 1000 --fail 'p99<20ms' -o json",
		newRun(f, live, runRun), newFind(f, runFind), newList(f, runList), newCompare(f, runCompare), newReport(f, runReport), newScenario(f))
}
