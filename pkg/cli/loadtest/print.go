package loadtest

import (
	"encoding/json"
	"fmt"

	"github.com/prism-data-layer/prism/loadtest/report"
	"github.com/prism-data-layer/prism/loadtest/workload/kv"
	"github.com/prism-data-layer/prism/pkg/cli"
	"github.com/prism-data-layer/prism/pkg/iostreams"
)

// formatText is the default; a report is no table.
const formatText = "text"

func formats() []string { return []string{formatText, cli.FormatJSON} }

func (o *runOptions) print(r *report.Report) error {
	if o.Output == cli.FormatJSON {
		return r.WriteJSON(o.IO.Out)
	}
	return r.WriteText(o.IO.Out)
}

// A dryRun is the plan as programs get it.
type dryRun struct {
	APIVersion string   `json:"apiVersion"`
	Kind       string   `json:"kind"`
	Workload   string   `json:"workload"`
	Context    string   `json:"context,omitempty"`
	Address    string   `json:"address"`
	Namespace  string   `json:"namespace"`
	Command    string   `json:"command"`
	Keys       uint64   `json:"keys"`
	Prefix     string   `json:"prefix"`
	Keep       bool     `json:"keep"`
	Thresholds []string `json:"thresholds"`
}

func (o *runOptions) printPlan(t *cli.Target, ns string, c kv.Config) error {
	p := dryRun{
		APIVersion: cli.APIVersion, Kind: "LoadPlan", Workload: o.Workload, Context: t.Context, Address: t.Data, Namespace: ns,
		Command: o.command(ns), Keys: c.Keys, Prefix: prefix, Keep: o.Keep, Thresholds: append([]string{}, o.Fail...),
	}
	if o.Output == cli.FormatJSON {
		enc := json.NewEncoder(o.IO.Out)
		enc.SetEscapeHTML(false)
		enc.SetIndent("", "  ")
		return enc.Encode(p)
	}
	load := fmt.Sprintf("open loop, %g requests/s", o.Rate)
	if o.Closed > 0 {
		load = fmt.Sprintf("closed loop, %s", cli.Plural(o.Closed, "worker"))
	}
	where := t.Data
	if t.Context != "" {
		where += " (context " + iostreams.Escape(t.Context) + ")"
	}
	after := "and delete them at the end"
	if o.Keep {
		after = "and leave them there"
	}
	_, err := fmt.Fprintf(o.IO.Out, `load       %s, for %s after a warm-up of %s
workload   %s: %s, values of %s, over %s
target     namespace %s at %s
first      set %s under %s, %s
thresholds %d
command    %s
`, load, o.Duration.String(), cmpOr(o.WarmUp.String(), "0s"), o.Workload, o.Mix, o.ValueSize, cli.Plural(o.Connections, "connection"),
		iostreams.Escape(ns), where, cli.Plural(int64(c.Keys), "key"), prefix, after, len(o.Fail), iostreams.Escape(o.command(ns)))
	return err
}
