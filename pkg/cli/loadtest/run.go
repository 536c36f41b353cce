package loadtest

import (
	"context"
	"crypto/rand"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/prism-data-layer/prism/loadtest"
	"github.com/prism-data-layer/prism/loadtest/otlp"
	"github.com/prism-data-layer/prism/loadtest/report"
	"github.com/prism-data-layer/prism/loadtest/scenario"
	"github.com/prism-data-layer/prism/pkg/cli"
	"github.com/prism-data-layer/prism/pkg/clock"
	"github.com/prism-data-layer/prism/pkg/config"
	"github.com/prism-data-layer/prism/pkg/iostreams"
	"github.com/prism-data-layer/prism/pkg/prism"
)

// A Live shows a run instead of lines on the terminal: it calls run once, with
// what is to get the snapshots, and returns what run returned. The run ends
// early when its context does.
type Live func(ctx context.Context, title string, run func(context.Context, func(report.Snapshot)) (*report.Report, error)) (*report.Report, error)

type runOptions struct {
	asked

	IO        *iostreams.IOStreams
	Target    func() (*cli.Target, error)
	Namespace func(model string) (string, error)
	Open      func(sessions, connections int, namespaces []string) (*site, error)
	Runs      func() runs
	Clock     clock.Clock // of the load, not of the command
	Live      Live        // nil: there is none

	What    string // a workload, a scenario or a file
	Output  string
	Timeout time.Duration // of one request
	Version string        // of prismctl

	Reports []string
	OTLP    string
	Save    string
	Keep    bool
	Sure    bool
	UI      bool
	DryRun  bool
}

func newRun(f *cli.Factory, live Live, run func(context.Context, *runOptions) error) *cobra.Command {
	o := newOptions(f)
	o.Live = live
	cmd := &cobra.Command{
		Use:   "run WORKLOAD|SCENARIO|FILE",
		Short: "Run a load test",
		Long: `Runs one workload, kv, cache, queue, pubsub, ts or session, as the flags say; or a scenario, by its
name in the catalogue or from a file, with the flags over it. Each request is started when it is due
and its latency counts from then. What a run writes lies under loadtest/ and a word of the run's own
and is deleted afterwards, unless --keep is given; nothing else in the namespace is touched.

Progress goes to stderr, the report to stdout: as text, or with -o in another format. --report writes
it to files too, in the format that their names end in. Ends with 99 if a --fail threshold failed, with
1 if less than 95 % of the rate was achieved, with 130 after Ctrl-C, which still prints the report of
what ran.`,
		Example: `  prismctl loadtest run kv --rate 5000 --duration 10s --mix get=90,set=10
  prismctl loadtest run kv --profile ramp --rate 5000 --duration 1m --fail 'p99<20ms' --report ramp.html
  prismctl loadtest run kv --closed 64 --duration 30s --dry-run
  prismctl loadtest run pubsub --rate 200 --subscribers 20 -o json
  prismctl loadtest run order-processing --duration 10s`,
		Args:       cli.ExactArgs("WORKLOAD"),
		SuggestFor: slices.Concat([]string{"start"}, scenario.Models(), scenario.Names()),
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
	flags.StringArrayVar(&o.Reports, "report", nil, "write the report to this `FILE` too, by its name as "+strings.Join(report.Formats(), ", ")+"; may be repeated")
	flags.StringVar(&o.OTLP, "otlp", "", "send the figures to a collector meanwhile: its `ENDPOINT`, or env for that of "+config.EnvOTLP)
	flags.StringVar(&o.Save, "save", "", "keep the report under a `NAME`, for compare and report")
	flags.BoolVar(&o.Keep, "keep", false, "leave what the run wrote")
	flags.BoolVar(&o.Sure, "i-know", false, "load a protected context")
	flags.BoolVar(&o.UI, "ui", false, "show the run in the terminal interface")
	flags.BoolVar(&o.DryRun, "dry-run", false, "print what would be done, and do nothing")
	flags.BoolVar(&o.DryRun, "plan", false, "as --dry-run")
	_ = flags.MarkHidden("plan")
	return cmd
}

func newOptions(f *cli.Factory) *runOptions {
	return &runOptions{
		IO: f.IO, Target: f.Target, Namespace: f.Namespace, Clock: clock.Real(),
		Open: func(sessions, connections int, namespaces []string) (*site, error) {
			return open(f, sessions, connections, namespaces)
		},
		Runs:  func() runs { return runsOf(f) },
		asked: asked{Duration: cli.DurationFlag(10 * time.Second), WarmUp: cli.DurationFlag(time.Second)},
	}
}

// read takes what the command line has beside the flags.
func (o *runOptions) read(f *cli.Factory, cmd *cobra.Command, what string) {
	o.What, o.Output, o.Timeout, o.Version = what, f.Globals.Output, f.Globals.Timeout, f.Build.Version
	o.note(cmd.LocalNonPersistentFlags())
}

func runRun(ctx context.Context, o *runOptions) error {
	j, err := o.job()
	if err != nil {
		return err
	}
	if o.DryRun {
		// Only names are needed; no connection is made.
		return o.printPlan(j)
	}
	r, err := o.execute(ctx, j)
	if r != nil {
		if err2 := o.publish(r); err == nil {
			err = err2
		}
	}
	o.tellFigures(j)
	if err != nil {
		return err
	}
	return verdict(r)
}

// A job is a run that was understood.
type job struct {
	target     *cli.Target
	scenario   *scenario.Scenario
	plan       loadtest.Plan
	namespaces []string // of the workloads
	run        string   // the word of the run
	collector  string   // that figures are sent to
	sent       *otlp.Outcome
}

// job reads the command line, and refuses what is wrong at first sight.
func (o *runOptions) job() (*job, error) {
	if o.changed("rate") && o.changed("closed") {
		return nil, cli.Usage("leave one of them out", "--rate and --closed ask for two kinds of load")
	}
	if !slices.Contains(report.Formats(), cmpOr(o.Output, formatText)) {
		return nil, cli.Usage("use one of: "+strings.Join(report.Formats(), ", "), "unknown output format %q", o.Output)
	}
	for _, path := range o.Reports {
		if _, err := report.FormatOf(path); err != nil {
			return nil, cli.Usage("name it report.html or report.json", "--report: %s", prism.From(err).Message)
		}
	}
	if o.Save != "" && !prism.ValidName(o.Save) {
		return nil, cli.Usage("use small letters, digits and dashes", "--save: %q is not a name", o.Save)
	}
	if o.UI && (o.Live == nil || !o.IO.Animated()) {
		return nil, cli.Usage("leave it out", "--ui needs a terminal")
	}
	j := &job{run: strings.ToLower(rand.Text()[:8])}
	var err error
	if j.collector, err = o.collector(); err != nil {
		return nil, err
	}
	if j.scenario, err = o.scenario(o.IO, o.What); err != nil {
		return nil, err
	}
	if j.target, err = o.Target(); err != nil {
		return nil, err
	}
	if j.target.Protected && !o.Sure && !o.DryRun {
		return nil, cli.Usage("pass --i-know", "the context %s is protected: a load test there must be meant", j.target.Context)
	}
	if j.plan, err = j.scenario.Plan(); err != nil {
		return nil, flagError(err)
	}
	for _, w := range j.scenario.Workloads {
		ns := w.Namespace
		if ns == "" {
			if ns, err = o.Namespace(defaultNamespace(w.Model)); err != nil {
				return nil, err
			}
		}
		j.namespaces = append(j.namespaces, ns)
	}
	j.plan.Timeout, j.plan.Clock, j.plan.RunID, j.plan.Command = o.Timeout, o.Clock, j.run, o.command(j)
	return j, nil
}

// defaultNamespace is that which dev up makes for a model. Sessions have none.
func defaultNamespace(model string) string {
	switch model {
	case "ts":
		return "timeseries"
	case "session":
		return "kv"
	}
	return model
}

// execute runs the job and clears up. A report may come with an error.
func (o *runOptions) execute(ctx context.Context, j *job) (r *report.Report, err error) {
	err2 := o.prepared(ctx, j, func(run func(loadtest.Plan) (*report.Report, error)) error {
		r, err = run(j.plan)
		return err
	})
	return r, err2
}

// prepared opens what the job works on, and clears up after f has used it.
func (o *runOptions) prepared(ctx context.Context, j *job, f func(run func(loadtest.Plan) (*report.Report, error)) error) error {
	s, err := o.Open(j.scenario.Sessions, j.scenario.Connections, j.spaces())
	if err != nil {
		return err
	}
	defer s.Close()
	var parts []part
	var targets []any
	for i := range j.scenario.Workloads {
		p := s.part(&j.scenario.Workloads[i], j.namespaces[i], j.scenario.Place(j.run, i))
		if err := p.Check(ctx); err != nil {
			return err
		}
		parts, targets = append(parts, p), append(targets, p)
	}
	w, err := j.scenario.Build(j.run, targets)
	if err != nil {
		return err
	}
	events, err := s.events(ctx, j.scenario.Faults)
	if err != nil {
		return err
	}
	about := s.about(ctx, j.spaces())
	err = f(func(plan loadtest.Plan) (*report.Report, error) {
		plan.Events, plan.Environment = events, about
		return o.watch(ctx, j, plan, w)
	})
	if err2 := o.clearUp(ctx, w, parts); err == nil {
		err = err2
	}
	return err
}

// watch runs the plan, and shows how it goes.
func (o *runOptions) watch(ctx context.Context, j *job, plan loadtest.Plan, w loadtest.Workload) (*report.Report, error) {
	run := func(ctx context.Context, show func(report.Snapshot)) (*report.Report, error) {
		plan.Progress = show
		figures, err := o.startFigures(ctx, j, &plan)
		if err != nil {
			return nil, err
		}
		defer figures.end(ctx, j)
		return loadtest.Run(ctx, plan, w)
	}
	if o.UI {
		return o.Live(ctx, j.scenario.Name, run)
	}
	live := newLive(o.IO, j.keys())
	defer live.clear()
	return run(ctx, live.show)
}

// publish writes the report everywhere it was asked for.
func (o *runOptions) publish(r *report.Report) error {
	if err := r.Write(o.IO.Out, cmpOr(o.Output, formatText)); err != nil {
		return err
	}
	for _, path := range o.Reports {
		if err := writeFile(r, path); err != nil {
			return err
		}
		fmt.Fprintf(o.IO.ErrOut, "wrote %s\n", iostreams.Escape(path))
	}
	if o.Save == "" {
		return nil
	}
	if err := o.Runs().save(o.Save, r); err != nil {
		return err
	}
	fmt.Fprintf(o.IO.ErrOut, "saved as %s: prismctl loadtest compare %s FILE|NAME\n", o.Save, o.Save)
	return nil
}

// spaces are the namespaces, each once.
func (j *job) spaces() []string { return slices.Compact(slices.Sorted(slices.Values(j.namespaces))) }

// keys are how many are set before the run.
func (j *job) keys() uint64 {
	var n uint64
	for i := range j.scenario.Workloads {
		if w := &j.scenario.Workloads[i]; w.Model == "kv" || w.Model == "cache" {
			n += keyCount(w)
		}
	}
	return n
}

// command runs this test again: what was asked for, and where.
func (o *runOptions) command(j *job) string {
	b := []string{"prismctl loadtest run", quote(o.What)}
	if ns := j.spaces(); len(ns) == 1 {
		b = append(b, "-n", quote(ns[0]))
	}
	b = append(b, o.given...)
	if len(o.given) == 0 || !o.changed("seed") {
		b = append(b, "--seed", fmt.Sprint(j.scenario.Seed))
	}
	return strings.Join(b, " ")
}

func cmpOr(s, other string) string {
	if s == "" {
		return other
	}
	return s
}

// verdict is the exit code, with a line for whoever sent the report elsewhere.
func verdict(r *report.Report) error {
	switch code := r.ExitCode(); code {
	case report.ExitOK:
		return nil
	case report.ExitInterrupted:
		return cli.Interrupt{}
	case report.ExitThreshold:
		var failed []string
		for _, t := range r.Thresholds {
			if !t.Pass {
				failed = append(failed, fmt.Sprintf("%s was %s", t.Expression, t.Actual))
			}
		}
		return failure(code, "%s failed: %s", cli.Plural(len(failed), "threshold"), strings.Join(failed, "; "))
	default:
		var why []string
		for _, v := range r.Verdicts {
			if v.Severity == report.Fail {
				why = append(why, v.Text)
			}
		}
		return failure(cli.ExitFailure, "the load test failed: %s", strings.Join(why, "; "))
	}
}

func failure(code int, format string, args ...any) error {
	return &cli.Failure{Err: prism.New(prism.ReasonFailedPrecond, format, args...), Exit: code, Docs: "prismctl help exit-codes"}
}
