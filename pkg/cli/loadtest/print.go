package loadtest

import (
	"encoding/json"
	"fmt"
	"strings"

	"github.com/prism-data-layer/prism/loadtest/scenario"
	"github.com/prism-data-layer/prism/pkg/cli"
	"github.com/prism-data-layer/prism/pkg/iostreams"
)

// formatText is the default; a report is no table.
const formatText = "text"

// A dryRun is the plan as programs get it.
type dryRun struct {
	APIVersion string        `json:"apiVersion"`
	Kind       string        `json:"kind"`
	Name       string        `json:"name"`
	Context    string        `json:"context,omitempty"`
	Address    string        `json:"address"`
	Load       string        `json:"load"`
	DurationS  float64       `json:"duration_s"`
	Workloads  []plannedPart `json:"workloads"`
	Faults     []string      `json:"faults"`
	Keep       bool          `json:"keep"`
	Thresholds []string      `json:"thresholds"`
	Command    string        `json:"command"`
}

type plannedPart struct {
	Model     string            `json:"model"`
	Name      string            `json:"name"`
	Namespace string            `json:"namespace"`
	Share     int64             `json:"share"`
	Options   map[string]string `json:"options"`
}

// planned describes the job.
func (o *runOptions) planned(j *job) (dryRun, error) {
	s := j.scenario
	p := dryRun{
		APIVersion: cli.APIVersion, Kind: "LoadPlan", Name: s.Name, Context: j.target.Context, Address: j.target.Data,
		DurationS: s.Length().Seconds(), Keep: o.Keep, Thresholds: append([]string{}, s.Thresholds...), Faults: []string{}, Command: o.command(j),
	}
	if p.Load = fmt.Sprintf("open loop, %s", j.plan.Schedule); s.Closed > 0 {
		p.Load = fmt.Sprintf("closed loop, %s", cli.Plural(s.Closed, "worker"))
	}
	for i := range s.Workloads {
		w := &s.Workloads[i]
		built, err := w.Build(nil, 1, scenario.Place{Run: "run"})
		if err != nil {
			return p, err
		}
		options := built.Options()
		delete(options, "prefix") // its word is made when it runs
		p.Workloads = append(p.Workloads, plannedPart{w.Model, w.Label(), j.namespaces[i], max(w.Share, 1), options})
	}
	for _, f := range s.Faults {
		p.Faults = append(p.Faults, fmt.Sprintf("%s, at %s for %s", faultName(f), f.At, f.For))
	}
	return p, nil
}

func (o *runOptions) printPlan(j *job) error {
	p, err := o.planned(j)
	if err != nil {
		return err
	}
	if o.Output == cli.FormatJSON {
		enc := json.NewEncoder(o.IO.Out)
		enc.SetEscapeHTML(false)
		enc.SetIndent("", "  ")
		return enc.Encode(p)
	}
	row := func(name, format string, args ...any) {
		fmt.Fprintf(o.IO.Out, "%-10s %s\n", name, fmt.Sprintf(format, args...))
	}
	where := p.Address
	if p.Context != "" {
		where += " (context " + iostreams.Escape(p.Context) + ")"
	}
	row("load", "%s, for %s after a warm-up of %s", p.Load, j.scenario.Length(), j.scenario.WarmUp)
	row("target", "%s, over %s in %s", where, cli.Plural(j.scenario.Connections, "connection"), cli.Plural(j.scenario.Sessions, "session"))
	for _, w := range p.Workloads {
		row("workload", "%s in namespace %s: %s", iostreams.Escape(w.Name), iostreams.Escape(w.Namespace), iostreams.Escape(pairs(w.Options)))
	}
	for _, f := range p.Faults {
		row("fault", "%s", iostreams.Escape(f))
	}
	after := "delete what was written"
	if o.Keep {
		after = "leave what was written"
	}
	if n := j.keys(); n > 0 {
		row("first", "set %s", cli.Plural(int64(n), "key"))
	}
	row("then", "%s", after)
	row("thresholds", "%d", len(p.Thresholds))
	row("command", "%s", iostreams.Escape(p.Command))
	return nil
}

// pairs are options in the order of their names.
func pairs(options map[string]string) string {
	var all []string
	for _, k := range sortedKeys(options) {
		all = append(all, k+"="+options[k])
	}
	return strings.Join(all, "  ")
}
