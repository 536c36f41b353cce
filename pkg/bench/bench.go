// Package bench is `prismd bench`: the load generator on a backend of this
// process, through what a model means and through the guard, and without the
// wire. Beside `prismctl loadtest`, whose report it writes, it tells what the
// gateway itself adds.
package bench

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/prism-data-layer/prism/loadtest"
	"github.com/prism-data-layer/prism/loadtest/pace"
	"github.com/prism-data-layer/prism/loadtest/report"
	"github.com/prism-data-layer/prism/loadtest/scenario"
	"github.com/prism-data-layer/prism/loadtest/workload/kv"
	"github.com/prism-data-layer/prism/pkg/config"
	"github.com/prism-data-layer/prism/pkg/driver"
	"github.com/prism-data-layer/prism/pkg/prism"
)

// Exit codes beside the report's: those of prismd.
const (
	exitFailed = 1
	exitUsage  = 2
	exitConfig = 7
)

// models are those that can be loaded: all but sessions, which no backend has.
func models() []string {
	return slices.DeleteFunc(scenario.Models(), func(m string) bool { return m == "session" })
}

// options are the command line.
type options struct {
	model, file, backend, dir string
	rate                      float64
	closed, valueBytes        int
	duration, warmUp          time.Duration
	workload                  scenario.Workload
	fail, format              string
	seed                      uint64
	given                     []string // of the workload, as they were given
}

// Main runs `prismd bench` and returns the exit code.
func Main(args []string, stdout, stderr io.Writer, drivers driver.Registry, version string) int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	o, code, done := parse(args, stderr)
	if done {
		return code
	}
	r, err := run(ctx, o, stderr, drivers, version)
	if r != nil {
		if err2 := r.Write(stdout, o.format); err == nil {
			err = err2
		}
	}
	if err != nil {
		return tell(stderr, err)
	}
	return r.ExitCode()
}

func parse(args []string, stderr io.Writer) (o options, code int, done bool) {
	f := flag.NewFlagSet("prismd bench", flag.ContinueOnError)
	f.SetOutput(stderr)
	f.Usage = func() {
		fmt.Fprintf(stderr, "prismd bench loads a backend in this process, without the wire, and writes the report of prismctl loadtest.\n\nUsage: prismd bench %s [flags]\n\n", strings.Join(models(), "|"))
		f.PrintDefaults()
		fmt.Fprint(stderr, "\nData is written to a folder, or a namespace, of the bench's own, and deleted.\nExit codes: 0 done, 1 failed, 2 usage, 7 invalid configuration, 99 a threshold failed, 130 interrupted.\n")
	}
	f.StringVar(&o.file, "config", "", "the gateway's configuration `file`; without it the built-in settings hold")
	f.StringVar(&o.backend, "backend", "", "the `name` of the backend; without it the first of the file")
	f.StringVar(&o.dir, "data-dir", "", "the `folder` for an embedded store; without it one beside the gateway's data")
	f.Float64Var(&o.rate, "rate", 1000, "requests a second, whether or not those before were answered")
	f.IntVar(&o.closed, "closed", 0, "so many workers instead, each of which waits for its answer")
	f.DurationVar(&o.duration, "duration", 10*time.Second, "how long it is loaded")
	f.DurationVar(&o.warmUp, "warm-up", time.Second, "how long before that, in no figure")
	f.StringVar(&o.workload.Mix, "mix", "", "the `shares` of the model's operations, such as "+scenario.DefaultMix("kv")+"; each model has its own")
	f.StringVar(&o.workload.Order, "order", "", "which keys come: uniform, zipf or sequential")
	f.Int64Var(&o.workload.Keys, "keys", 0, "how many keys, topics or sources there are; 0: the model's own number")
	f.IntVar(&o.valueBytes, "value-bytes", kv.DefaultValueBytes, "the length of values and messages")
	f.IntVar(&o.workload.Batch, "batch", 0, "messages that a consumer takes at once, or events of an append; 0: 100")
	f.IntVar(&o.workload.Consumers, "consumers", 0, "of queue: consumers beside the requests; 0: 4, -1: none")
	f.IntVar(&o.workload.Subscribers, "subscribers", 0, "of pubsub: subscribers; 0: 1, -1: none")
	f.Uint64Var(&o.seed, "seed", 1, "of keys and shares")
	f.StringVar(&o.fail, "fail", "", "`thresholds` that must hold: p99<20ms,error_rate<0.1%")
	f.StringVar(&o.format, "o", "text", "the `format` of the report: "+strings.Join(report.Formats(), ", "))
	usage := func(format string, args ...any) (options, int, bool) {
		fmt.Fprintf(stderr, "error: "+format+"\n", args...)
		return o, exitUsage, true
	}
	if len(args) > 0 && !strings.HasPrefix(args[0], "-") {
		o.model, args = args[0], args[1:]
	}
	switch err := f.Parse(args); {
	case errors.Is(err, flag.ErrHelp):
		return o, 0, true
	case err != nil:
		return o, exitUsage, true
	case !slices.Contains(models(), o.model):
		return usage("the first argument is what to load: %s", strings.Join(models(), ", "))
	case f.NArg() > 0:
		return usage("unexpected argument %q", f.Arg(0))
	case !slices.Contains(report.Formats(), o.format):
		return usage("-o must be one of %s", strings.Join(report.Formats(), ", "))
	}
	rated := false
	f.Visit(func(x *flag.Flag) {
		rated = rated || x.Name == "rate"
		if slices.Contains([]string{"mix", "order", "keys", "value-bytes", "batch", "consumers", "subscribers", "config", "backend"}, x.Name) {
			o.given = append(o.given, "-"+x.Name, x.Value.String())
		}
	})
	o.workload.Model, o.workload.ValueSize.Sizes = o.model, loadtest.FixedSize(o.valueBytes)
	switch {
	case o.workload.Keys < 0:
		return usage("-keys must not be negative")
	case o.closed > 0 && rated:
		return usage("-rate and -closed ask for two kinds of load: leave one of them out")
	}
	return o, 0, false
}

// progressEvery is how often a line tells how it goes.
const progressEvery = 5 * time.Second

// run loads a backend. A report may come with an error.
func run(ctx context.Context, o options, stderr io.Writer, drivers driver.Registry, version string) (*report.Report, error) {
	p, err := o.plan()
	if err != nil {
		return nil, err
	}
	b, dir, err := o.find(drivers)
	if err != nil {
		return nil, err
	}
	log := slog.New(slog.NewTextHandler(stderr, &slog.HandlerOptions{Level: slog.LevelWarn}))
	s, err := open(ctx, o.model, b, filepath.Join(dir, "bench"), drivers, log)
	if err != nil {
		return nil, err
	}
	w, err := o.workload.Build(s.target, o.seed, place)
	if err != nil {
		return nil, errors.Join(err, s.close())
	}
	p.Environment = map[string]string{
		"level": "pattern: in this process, without the wire", "prismd": version,
		"backend " + b.Name: b.Driver + ", " + s.durability,
	}
	p.Progress = report.Lines(stderr, progressEvery)
	r, err := loadtest.Run(ctx, p, w)
	return r, errors.Join(err, s.close())
}

func (o *options) plan() (p loadtest.Plan, err error) {
	p = loadtest.Plan{Closed: o.closed, WarmUp: o.warmUp, Seed: o.seed, Command: o.command()}
	if o.fail != "" {
		if p.Thresholds, err = report.ParseThresholds(o.fail); err != nil {
			return p, err
		}
	}
	if o.closed > 0 {
		p.Duration = o.duration
		return p, nil
	}
	p.Schedule, err = pace.Constant(o.rate, o.duration)
	return p, err
}

// command runs this bench again.
func (o *options) command() string {
	load := fmt.Sprintf("-rate %g", o.rate)
	if o.closed > 0 {
		load = fmt.Sprintf("-closed %d", o.closed)
	}
	text := fmt.Sprintf("prismd bench %s %s -duration %s -warm-up %s -seed %d", o.model, load, o.duration, o.warmUp, o.seed)
	return strings.Join(append([]string{text}, o.given...), " ")
}

// find picks the backend out of the configuration, and the folder of the
// gateway's data.
func (o *options) find(drivers driver.Registry) (b config.Backend, dir string, err error) {
	c, base := config.Default(), ""
	if o.file == "" {
		base, err = os.Getwd()
	} else if base, err = filepath.Abs(filepath.Dir(o.file)); err == nil {
		c, err = config.LoadGateway(o.file, config.Load{Drivers: drivers.Names(), Dir: base})
	}
	if err != nil {
		return b, "", err
	}
	if dir = o.dir; dir == "" {
		if dir, err = c.ResolveDataDir(base); err != nil {
			return b, "", prism.New(prism.ReasonInvalidConfig, "data_dir: %s", err)
		}
	}
	for _, b := range c.Backends {
		if o.backend == "" || b.Name == o.backend {
			return b, dir, nil
		}
	}
	return b, "", prism.NotFound("backend", o.backend)
}

// tell prints an error for a person and returns the exit code.
func tell(stderr io.Writer, err error) int {
	var invalid *config.Error
	if errors.As(err, &invalid) {
		fmt.Fprintln(stderr, invalid.Render())
		return exitConfig
	}
	e := prism.From(err)
	fmt.Fprintf(stderr, "error: %s\n", e.Message)
	if e.Err != nil {
		fmt.Fprintf(stderr, "  cause: %s\n", e.Err)
	}
	switch e.Reason {
	case prism.ReasonInvalidArgument:
		return exitUsage
	case prism.ReasonInvalidConfig:
		return exitConfig
	}
	return exitFailed
}
