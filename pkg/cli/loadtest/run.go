package loadtest

import (
	"context"
	"crypto/rand"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/prism-data-layer/prism/loadtest"
	"github.com/prism-data-layer/prism/loadtest/pace"
	"github.com/prism-data-layer/prism/loadtest/report"
	"github.com/prism-data-layer/prism/loadtest/workload/kv"
	"github.com/prism-data-layer/prism/pkg/cli"
	"github.com/prism-data-layer/prism/pkg/clock"
	"github.com/prism-data-layer/prism/pkg/config"
	"github.com/prism-data-layer/prism/pkg/iostreams"
	"github.com/prism-data-layer/prism/pkg/prism"
)

// prefix begins every key that a load test writes. Behind it comes a word of
// the run's own: two runs never share keys, and clearing up touches nobody's.
const prefix = "loadtest/"

type runOptions struct {
	IO        *iostreams.IOStreams
	Target    func() (*cli.Target, error)
	Namespace func() (string, error)
	Dial      func(ctx context.Context, namespace string, connections int) (store, error)
	Clock     clock.Clock // of the load, not of the command

	Workload string
	Output   string
	Timeout  time.Duration // of one request

	Rate        float64
	Duration    cli.DurationFlag
	WarmUp      cli.DurationFlag
	Closed      int
	Mix         string
	Keys        uint64
	Order       string
	ValueSize   string
	Connections int
	InFlight    int
	Seed        uint64
	Precise     bool
	Fail        []string
	Shortfall   bool
	Keep        bool
	Sure        bool
	DryRun      bool
}

// A store is the namespace under load.
type store interface {
	kv.Target
	kv.Counter
	// Check asks once, so that what is wrong is told before anything starts.
	Check(ctx context.Context) error
	// About says what it is, for the report; empty where it may not be asked.
	About(ctx context.Context) map[string]string
	// DeleteAll deletes keys; those that are not there are no error.
	DeleteAll(ctx context.Context, keys []string) error
	Close() error
}

func newRun(f *cli.Factory, run func(context.Context, *runOptions) error) *cobra.Command {
	o := &runOptions{
		IO: f.IO, Target: f.Target, Clock: clock.Real(),
		Namespace: func() (string, error) { return f.Namespace("kv") },
		Dial: func(ctx context.Context, namespace string, connections int) (store, error) {
			return dial(ctx, f, namespace, connections)
		},
		Duration: cli.DurationFlag(10 * time.Second), WarmUp: cli.DurationFlag(time.Second),
	}
	cmd := &cobra.Command{
		Use:   "run WORKLOAD",
		Short: "Run a load test",
		Long: `Runs the workload kv: gets, sets and deletes on a key-value namespace, that of -n or the context's.
Each request is started when it is due and its latency counts from then. Before the run every key
is set once; they all begin with ` + prefix + ` and a word of this run, and are deleted afterwards, unless
--keep is given. Nothing else in the namespace is touched.

Progress goes to stderr, the report to stdout: as text, or with -o json. Ends with 99 if a --fail
threshold failed, with 1 if less than 95 % of the rate was achieved, with 130 after Ctrl-C, which
still prints the report of what ran.`,
		Example:   "  prismctl loadtest run kv --rate 5000 --duration 10s --mix get=90,set=10\n  prismctl loadtest run kv --rate 1000 --fail 'p99<20ms' --fail 'error_rate<0.1%' -o json\n  prismctl loadtest run kv --closed 64 --duration 30s --dry-run",
		Args:      cli.ExactArgs("WORKLOAD"),
		ValidArgs: workloads(),
		RunE: func(cmd *cobra.Command, args []string) error {
			o.Workload, o.Output, o.Timeout = args[0], f.Globals.Output, f.Globals.Timeout
			if cmd.Flags().Changed("rate") && cmd.Flags().Changed("closed") {
				return cli.Usage("leave one of them out", "--rate and --closed ask for two kinds of load")
			}
			return run(cmd.Context(), o)
		},
	}
	flags := cmd.Flags()
	flags.Float64Var(&o.Rate, "rate", 1000, "start `N` requests per second")
	flags.Var(&o.Duration, "duration", "measure for this `DURATION`")
	flags.Var(&o.WarmUp, "warm-up", "first run for a `DURATION` that is in no figure")
	flags.IntVar(&o.Closed, "closed", 0, "instead of a rate, `N` workers that wait for each answer")
	flags.StringVar(&o.Mix, "mix", kv.DefaultMix, "`SHARES` of "+strings.Join(kv.Operations(), ", "))
	flags.Uint64Var(&o.Keys, "keys", kv.DefaultKeys, "work on `N` keys")
	flags.StringVar(&o.Order, "order", loadtest.Orders()[0], "choose keys in this `ORDER`: "+strings.Join(loadtest.Orders(), ", "))
	flags.StringVar(&o.ValueSize, "value-size", strconv.Itoa(kv.DefaultValueBytes)+"B", "`SIZE` of a value: 64B, 4KiB")
	flags.IntVar(&o.Connections, "connections", 1, "spread the load over `N` connections")
	flags.IntVar(&o.InFlight, "max-in-flight", loadtest.DefaultMaxInFlight, "at most `N` requests at once; more wait, and are late")
	flags.Uint64Var(&o.Seed, "seed", 1, "the same `N` asks for the same keys in the same order")
	flags.BoolVar(&o.Precise, "precise", false, "start to within microseconds, for a good part of a core")
	flags.StringArrayVar(&o.Fail, "fail", nil, "end with 99 unless this `CONDITION` holds, such as p99<20ms or error_rate<0.1%; may be repeated")
	flags.BoolVar(&o.Shortfall, "allow-shortfall", false, "achieving less than 95 % of the rate is no failure")
	flags.BoolVar(&o.Keep, "keep", false, "leave the keys in the namespace")
	flags.BoolVar(&o.Sure, "i-know", false, "load a protected context")
	flags.BoolVar(&o.DryRun, "dry-run", false, "print what would be done, and do nothing")
	flags.BoolVar(&o.DryRun, "plan", false, "as --dry-run")
	_ = flags.MarkHidden("plan")
	return cmd
}

func workloads() []string { return []string{"kv"} }

func runRun(ctx context.Context, o *runOptions) error {
	t, err := o.check()
	if err != nil {
		return err
	}
	plan, c, err := o.plan()
	if err != nil {
		return err
	}
	ns, err := o.Namespace()
	if err != nil {
		return err
	}
	c.Prefix = prefix + strings.ToLower(rand.Text()[:8]) + "/"
	plan.Command = o.command(ns)
	if o.DryRun {
		// Only the namespace's name is needed; no connection is made.
		return o.printPlan(t, ns, c)
	}
	s, err := o.Dial(ctx, ns, o.Connections)
	if err != nil {
		return err
	}
	defer s.Close()
	if err := s.Check(ctx); err != nil {
		return err
	}
	w, err := kv.New(s, c)
	if err != nil {
		return err
	}
	plan.Environment = s.About(ctx)
	live := newLive(o.IO, c.Keys)
	plan.Progress = live.show
	r, err := loadtest.Run(ctx, plan, w)
	live.clear()
	if err == nil {
		err = o.print(r)
	}
	if err2 := o.clearUp(ctx, s, c, ns); err == nil {
		err = err2
	}
	if err != nil {
		return err
	}
	return verdict(r)
}

// check refuses what is wrong at first sight.
func (o *runOptions) check() (*cli.Target, error) {
	if !slices.Contains(workloads(), o.Workload) {
		return nil, cli.Usage("use one of: "+strings.Join(workloads(), ", "), "there is no workload %q", o.Workload)
	}
	if !slices.Contains(formats(), cmpOr(o.Output, formatText)) {
		return nil, cli.Usage("use one of: "+strings.Join(formats(), ", "), "unknown output format %q", o.Output)
	}
	if o.Connections < 1 || o.Connections > maxConnections {
		return nil, cli.Usage("use one from 1 to "+strconv.Itoa(maxConnections), "--connections: %d is too few or too many", o.Connections)
	}
	t, err := o.Target()
	if err != nil {
		return nil, err
	}
	if t.Protected && !o.Sure && !o.DryRun {
		return nil, cli.Usage("pass --i-know", "the context %s is protected: a load test there must be meant", t.Context)
	}
	return t, nil
}

// maxConnections is beyond what one generator can use.
const maxConnections = 1024

// plan reads the flags. What is wrong with them is a wrong command line.
func (o *runOptions) plan() (loadtest.Plan, kv.Config, error) {
	plan := loadtest.Plan{
		Closed: o.Closed, WarmUp: time.Duration(o.WarmUp), MaxInFlight: o.InFlight, Timeout: o.Timeout,
		Seed: o.Seed, Precise: o.Precise, AllowShortfall: o.Shortfall, Clock: o.Clock,
	}
	c := kv.Config{Mix: o.Mix, Keys: o.Keys, Order: o.Order, Seed: o.Seed}
	size, err := config.ParseSize(o.ValueSize)
	if err != nil {
		return plan, c, cli.Usage("write it as 64B or 4KiB", "--value-size: %v", err)
	}
	c.Values = loadtest.FixedSize(int(size))
	switch {
	case o.Keys < 1:
		return plan, c, cli.Usage("use at least 1", "--keys must not be 0")
	case o.Duration <= 0:
		return plan, c, cli.Usage("use one such as 10s", "--duration must be more than 0")
	case o.Closed > 0:
		plan.Duration = time.Duration(o.Duration)
	default:
		if plan.Schedule, err = pace.Constant(o.Rate, time.Duration(o.Duration)); err != nil {
			return plan, c, flagError(err)
		}
	}
	for _, text := range o.Fail {
		ts, err := report.ParseThresholds(text)
		if err != nil {
			return plan, c, flagError(err)
		}
		plan.Thresholds = append(plan.Thresholds, ts...)
	}
	if _, err := kv.New(nil, c); err != nil { // reads the mix, the order and the sizes
		return plan, c, flagError(err)
	}
	return plan, c, nil
}

// flagError is a wrong value of a flag in the words of what refused it.
func flagError(err error) error {
	return cli.Usage("prismctl loadtest run --help", "%s", prism.From(err).Message)
}

// command runs this test again. Only what differs from the defaults is said,
// and what every reader wants to know.
func (o *runOptions) command(ns string) string {
	b := []string{"prismctl loadtest run", o.Workload, "-n", ns}
	add := func(flag, value string) { b = append(b, "--"+flag, value) }
	if o.Closed > 0 {
		add("closed", strconv.Itoa(o.Closed))
	} else {
		add("rate", strconv.FormatFloat(o.Rate, 'f', -1, 64))
	}
	add("duration", o.Duration.String())
	add("warm-up", cmpOr(o.WarmUp.String(), "0"))
	add("mix", o.Mix)
	add("keys", strconv.FormatUint(o.Keys, 10))
	add("value-size", o.ValueSize)
	add("order", o.Order)
	add("connections", strconv.Itoa(o.Connections))
	add("max-in-flight", strconv.Itoa(o.InFlight))
	add("seed", strconv.FormatUint(o.Seed, 10))
	if o.Precise {
		b = append(b, "--precise")
	}
	for _, f := range o.Fail {
		add("fail", "'"+f+"'")
	}
	if o.Shortfall {
		b = append(b, "--allow-shortfall")
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
		return &cli.Failure{Err: prism.New(prism.ReasonFailedPrecond, "%s failed: %s", cli.Plural(len(failed), "threshold"), strings.Join(failed, "; ")), Exit: code, Docs: "prismctl help exit-codes"}
	default:
		var why []string
		for _, v := range r.Verdicts {
			if v.Severity == report.Fail {
				why = append(why, v.Text)
			}
		}
		return &cli.Failure{Err: prism.New(prism.ReasonFailedPrecond, "the load test failed: %s", strings.Join(why, "; ")), Exit: cli.ExitFailure, Docs: "prismctl help exit-codes"}
	}
}
