package loadtest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/prism-data-layer/prism/loadtest"
	"github.com/prism-data-layer/prism/loadtest/pace"
	"github.com/prism-data-layer/prism/loadtest/report"
	"github.com/prism-data-layer/prism/loadtest/scenario"
	"github.com/prism-data-layer/prism/pkg/cli"
)

type findOptions struct {
	*runOptions
	Objective []string
	MaxRate   float64
	Precision string
	precision float64
}

func newFind(f *cli.Factory, run func(context.Context, *findOptions) error) *cobra.Command {
	o := &findOptions{runOptions: newOptions(f)}
	cmd := &cobra.Command{
		Use:   "find WORKLOAD|SCENARIO|FILE",
		Short: "Find the highest rate that an objective allows",
		Long: `Runs a workload at one rate after another: twice as much as long as the objective holds, then half
way between what held and what did not. A rate is given up when it was missed twice. --rate is where
it begins, --duration how long each rate is tried. Ends with 99 if no rate holds.`,
		Example: "  prismctl loadtest find kv --objective 'p99<20ms'\n  prismctl loadtest find kv --objective 'p99<5ms' --objective 'error_rate<0.1%' --rate 1000 --duration 10s -o json",
		Args:    cli.ExactArgs("WORKLOAD"),
		ValidArgsFunction: func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
			return slices.Concat(scenario.Models(), scenario.Names()), cobra.ShellCompDirectiveDefault
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			o.read(f, cmd, args[0])
			return run(cmd.Context(), o)
		},
	}
	o.addFlags(cmd)
	flags := cmd.Flags()
	for _, name := range []string{"profile", "start-rate", "peak-rate", "steps", "hold", "every", "closed", "fail"} {
		_ = flags.MarkHidden(name)
	}
	flags.StringArrayVar(&o.Objective, "objective", []string{"p99<20ms"}, "what must hold: a `CONDITION` such as p99<20ms; may be repeated")
	flags.Float64Var(&o.MaxRate, "max-rate", 100_000, "try at most `N` requests per second")
	flags.StringVar(&o.Precision, "precision", "5%", "end when the rates that held and that did not are this `SHARE` apart")
	flags.BoolVar(&o.Keep, "keep", false, "leave what the run wrote")
	flags.BoolVar(&o.Sure, "i-know", false, "load a protected context")
	flags.BoolVar(&o.DryRun, "dry-run", false, "print what would be done, and do nothing")
	return cmd
}

// check refuses what a search cannot use.
func (o *findOptions) check() error {
	for _, name := range []string{"profile", "start-rate", "peak-rate", "steps", "hold", "every", "closed", "fail"} {
		if o.changed(name) {
			return cli.Usage("leave it out", "--%s: a search tries constant rates, and has --objective", name)
		}
	}
	if o.Output != "" && o.Output != formatText && o.Output != cli.FormatJSON {
		return cli.Usage("use one of: text, json", "unknown output format %q", o.Output)
	}
	var err error
	o.precision, err = strconv.ParseFloat(strings.TrimSuffix(o.Precision, "%"), 64)
	if err != nil || !strings.HasSuffix(o.Precision, "%") || !(o.precision >= 0.1 && o.precision <= 100) {
		return cli.Usage("write it as 5%", "--precision: %q is not a share from 0.1%% to 100%%", o.Precision)
	}
	if o.Rate <= 0 || o.MaxRate > pace.MaxRate || o.MaxRate < o.Rate {
		return cli.Usage("begin at --rate, above 0 and at most --max-rate", "the rates from %g to %g are no range", o.Rate, o.MaxRate)
	}
	return nil
}

func runFind(ctx context.Context, o *findOptions) error {
	if err := o.check(); err != nil {
		return err
	}
	j, err := o.job()
	if err != nil {
		return err
	}
	s := j.scenario
	if len(s.Faults) > 0 {
		return cli.Usage("take them out", "the scenario %s has faults: no rate would be the same", s.Name)
	}
	if !o.changed("duration") {
		o.Duration = cli.DurationFlag(5 * time.Second)
	}
	s.Phases, s.Closed, s.Profile, s.For, s.Rate, s.Thresholds = nil, 0, "", time.Duration(o.Duration), o.Rate, o.Objective
	if j.plan, err = s.Plan(); err != nil {
		return flagError(err)
	}
	j.plan.Timeout, j.plan.Clock, j.plan.RunID = o.Timeout, o.Clock, j.run
	if o.DryRun {
		return o.printPlan(j)
	}
	f, err := o.search(ctx, j)
	switch {
	case errors.Is(err, context.Canceled) && f != nil:
		f.Verdict = "interrupted: the figures are of what ran"
		if err := o.print(f); err != nil {
			return err
		}
		return cli.Interrupt{}
	case err != nil:
		return err
	}
	if err := o.print(f); err != nil {
		return err
	}
	if f.RateRPS == 0 {
		return failure(report.ExitThreshold, "%s", f.Verdict)
	}
	return nil
}

// search runs the probes on one workload.
func (o *findOptions) search(ctx context.Context, j *job) (f *loadtest.Found, err error) {
	err2 := o.prepared(ctx, j, func(run func(loadtest.Plan) (*report.Report, error)) error {
		f, err = loadtest.Search{
			From: o.Rate, Max: o.MaxRate, Precision: o.precision,
			Probe: func(_ context.Context, rate float64) (*report.Report, error) {
				plan := j.plan
				var err error
				if plan.Schedule, err = pace.Constant(rate, time.Duration(o.Duration)); err != nil {
					return nil, err
				}
				return run(plan)
			},
			Tried: func(p loadtest.Probe) { fmt.Fprintln(o.IO.ErrOut, probeLine(p)) },
		}.Run(ctx)
		return nil
	})
	if err == nil {
		err = err2
	}
	return f, err
}

func probeLine(p loadtest.Probe) string {
	line := fmt.Sprintf("%10.0f/s  p99 %s ms  ", p.RateRPS, strconv.FormatFloat(p.P99Ms, 'f', 2, 64))
	if p.Held {
		return line + "held"
	}
	return line + "MISSED: " + p.Why
}

func (o *findOptions) print(f *loadtest.Found) error {
	if o.Output == cli.FormatJSON {
		enc := json.NewEncoder(o.IO.Out)
		enc.SetEscapeHTML(false)
		enc.SetIndent("", "  ")
		return enc.Encode(struct {
			APIVersion string   `json:"apiVersion"`
			Kind       string   `json:"kind"`
			Objective  []string `json:"objective"`
			*loadtest.Found
		}{cli.APIVersion, "LoadSearch", o.Objective, f})
	}
	_, err := fmt.Fprintf(o.IO.Out, "objective  %s\nprobes     %d\nfound      %.0f/s\nverdict    %s\n", strings.Join(o.Objective, ", "), len(f.Probes), f.RateRPS, f.Verdict)
	return err
}
