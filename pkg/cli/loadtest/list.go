package loadtest

import (
	"context"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/prism-data-layer/prism/loadtest/report"
	"github.com/prism-data-layer/prism/loadtest/scenario"
	"github.com/prism-data-layer/prism/pkg/cli"
	"github.com/prism-data-layer/prism/pkg/iostreams"
)

// A saved run is a row of the list.
type savedRun struct {
	name string
	r    *report.Report
}

func savedKind() cli.Kind[savedRun] {
	return cli.Kind[savedRun]{Name: "LoadRun", Fields: []cli.Field[savedRun]{
		cli.Text("name", "NAME", "what it was saved as", func(s savedRun) string { return s.name }),
		cli.Text("workload", "WORKLOAD", "what was asked for", func(s savedRun) string { return s.r.Workload }),
		cli.Text("load", "LOAD", "how", func(s savedRun) string { return s.r.Plan.Load() }),
		cli.Time("started_at", "STARTED", "when", func(s savedRun) int64 { return s.r.StartedAt.UnixMilli() }),
		cli.Text("rate", "RATE", "successful answers per second", func(s savedRun) string { return fmt.Sprintf("%.1f", s.r.ThroughputRPS) }),
		cli.Text("p99_ms", "P99", "response time in milliseconds", func(s savedRun) string { return fmt.Sprintf("%.2f", s.r.Response.P99Ms) }),
		cli.Bool("passed", "PASSED", "whether it did what it was asked to", func(s savedRun) bool { return s.r.Pass() }),
	}}
}

type listOptions struct {
	Out  *cli.Output
	Runs func() runs
}

func newList(f *cli.Factory, run func(context.Context, *listOptions) error) *cobra.Command {
	o := &listOptions{Runs: func() runs { return runsOf(f) }}
	cmd := &cobra.Command{
		Use:     "list",
		Aliases: []string{"ls"},
		Short:   "List the runs that were saved",
		Long:    "Lists the reports that run --save keeps on this machine. compare and report take their names.",
		Example: "  prismctl loadtest list\n  prismctl loadtest list -o json",
		Args:    cli.NoArgs,
		RunE:    func(cmd *cobra.Command, _ []string) error { return run(cmd.Context(), o) },
	}
	o.Out = cli.AddListOutput(f, cmd, savedKind().Info())
	return cmd
}

func runList(_ context.Context, o *listOptions) error {
	var all []savedRun
	for _, name := range o.Runs().names() {
		r, err := o.Runs().read(name)
		if err != nil {
			o.Out.Note("%s cannot be read", name)
			continue
		}
		all = append(all, savedRun{name, r})
	}
	return cli.PrintList(o.Out, savedKind(), cli.Cut(o.Out, all), "no run was saved; prismctl loadtest run kv --save NAME saves one")
}

func scenarioKind() cli.Kind[*scenario.Scenario] {
	return cli.Kind[*scenario.Scenario]{Name: "LoadScenario", Fields: []cli.Field[*scenario.Scenario]{
		cli.Text("name", "NAME", "its name", func(s *scenario.Scenario) string { return s.Name }),
		cli.Text("workloads", "WORKLOADS", "the models it uses", func(s *scenario.Scenario) string {
			var all []string
			for _, w := range s.Workloads {
				all = append(all, w.Model)
			}
			return strings.Join(all, ",")
		}),
		cli.Text("load", "LOAD", "how much", func(s *scenario.Scenario) string {
			p, err := s.Schedule()
			if err != nil {
				return ""
			}
			return p.String()
		}),
		cli.Text("about", "ABOUT", "what it stands for", func(s *scenario.Scenario) string { return s.About }),
	}}
}

func newScenario(f *cli.Factory) *cobra.Command {
	list := &cobra.Command{
		Use:     "list",
		Aliases: []string{"ls"},
		Short:   "List the scenarios of the catalogue",
		Long:    "Lists the load tests that are built in. run takes their names.",
		Example: "  prismctl loadtest scenario list\n  prismctl loadtest scenario list -o name",
		Args:    cli.NoArgs,
	}
	out := cli.AddListOutput(f, list, scenarioKind().Info())
	list.RunE = func(*cobra.Command, []string) error {
		var all []*scenario.Scenario
		for _, name := range scenario.Names() {
			s, err := scenario.Find(name)
			if err != nil {
				return err
			}
			all = append(all, s)
		}
		return cli.PrintList(out, scenarioKind(), cli.Cut(out, all), "there are no scenarios")
	}
	names := func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
		return scenario.Names(), cobra.ShellCompDirectiveDefault
	}
	show := &cobra.Command{
		Use:     "show NAME",
		Short:   "Print a scenario's file",
		Long:    "Prints the file of a scenario of the catalogue, to begin one of your own with.",
		Example: "  prismctl loadtest scenario show order-processing\n  prismctl loadtest scenario show event-fanout > mine.yaml",
		Args:    cli.ExactArgs("NAME"),
		RunE: func(_ *cobra.Command, args []string) error {
			if _, err := load(f.IO, args[0]); err != nil || isFile(args[0]) {
				return cli.Usage("use one of: "+strings.Join(scenario.Names(), ", "), "there is no scenario %q", args[0])
			}
			text, err := scenario.Text(args[0])
			if err == nil {
				_, err = f.IO.Out.Write(text)
			}
			return err
		},
		ValidArgsFunction: names,
	}
	validate := &cobra.Command{
		Use:     "validate FILE",
		Short:   "Check a scenario's file",
		Long:    "Reads a scenario and says what is wrong with it, with the line and the nearest right word. Nothing is\nrun and nothing is asked.",
		Example: "  prismctl loadtest scenario validate mine.yaml\n  prismctl loadtest scenario show event-fanout | prismctl loadtest scenario validate -",
		Args:    cli.ExactArgs("FILE"),
		RunE: func(_ *cobra.Command, args []string) error {
			s, err := load(f.IO, args[0])
			if err != nil {
				return err
			}
			p, err := s.Schedule()
			if err != nil {
				return err
			}
			how := p.String()
			if s.Closed > 0 {
				how = "closed loop, " + cli.Plural(s.Closed, "worker")
			}
			_, err = fmt.Fprintf(f.IO.Out, "%s is right: %s for %s\n", iostreams.Escape(s.Name), how, s.Length())
			return err
		},
		ValidArgsFunction: names,
	}
	return cli.Group("scenario", "See and check scenarios",
		"A scenario is a load test in a file: how much, of what, and what must hold. Some are built in.",
		"  prismctl loadtest scenario list\n  prismctl loadtest scenario validate mine.yaml",
		list, show, validate)
}
