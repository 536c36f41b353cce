package loadtest

import (
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/prism-data-layer/prism/loadtest"
	"github.com/prism-data-layer/prism/loadtest/pace"
	"github.com/prism-data-layer/prism/loadtest/scenario"
	"github.com/prism-data-layer/prism/loadtest/workload/kv"
	"github.com/prism-data-layer/prism/pkg/cli"
	"github.com/prism-data-layer/prism/pkg/config"
	"github.com/prism-data-layer/prism/pkg/iostreams"
	"github.com/prism-data-layer/prism/pkg/prism"
)

// asked are the flags that say what is run. They make a scenario, or change
// what one says.
type asked struct {
	Profile           string
	Rate, Start, Peak float64
	Steps             int
	Hold, Every       cli.DurationFlag
	Duration, WarmUp  cli.DurationFlag
	Closed            int
	Mix, Order        string
	Keys              int64
	ValueSize         string
	Batch             int
	Consumers         int
	Subscribers       int
	Connections, InFl int
	Sessions          int
	Seed              int64
	Precise           bool
	Fail              []string
	Shortfall         bool
	changed           func(flag string) bool
	given             []string // as they were given, for the report
}

// of a workload, not of the load: a scenario has its own.
func workloadFlags() []string {
	return []string{"mix", "order", "keys", "value-size", "batch", "consumers", "subscribers"}
}

func (a *asked) addFlags(cmd *cobra.Command) {
	flags := cmd.Flags()
	flags.StringVar(&a.Profile, "profile", "constant", "shape of the load: `PROFILE` is "+strings.Join(pace.Profiles(), ", "))
	cli.Enum(cmd, "profile", pace.Profiles()...)
	flags.Float64Var(&a.Rate, "rate", 1000, "start `N` requests per second: of a ramp and of steps, those at the end")
	flags.Float64Var(&a.Start, "start-rate", 0, "begin a ramp or steps at `N` per second; the rate between bursts")
	flags.Float64Var(&a.Peak, "peak-rate", 0, "of a spike or a burst: `N` per second")
	flags.IntVar(&a.Steps, "steps", pace.DefaultSteps, "of the profile step: `N` steps")
	flags.Var(&a.Hold, "hold", "of a ramp: stay at the rate for this `DURATION` in the end; of a spike or a burst: how long it lasts")
	flags.Var(&a.Every, "every", "from one burst to the next: a `DURATION`")
	flags.Var(&a.Duration, "duration", "measure for this `DURATION`")
	flags.Var(&a.WarmUp, "warm-up", "first run for a `DURATION` that is in no figure")
	flags.IntVar(&a.Closed, "closed", 0, "instead of a rate, `N` workers that wait for each answer")
	flags.StringVar(&a.Mix, "mix", "", "`SHARES` of the workload's operations, such as "+kv.DefaultMix)
	flags.Int64Var(&a.Keys, "keys", 0, "work on `N` keys, topics, sources or sessions")
	flags.StringVar(&a.Order, "order", "uniform", "choose them in this `ORDER`: "+strings.Join(loadtest.Orders(), ", ")+" or zipf(1.2)")
	cli.Suggest(cmd, "order", loadtest.Orders()...)
	flags.StringVar(&a.ValueSize, "value-size", "128B", "`SIZE` of a value: 64B, 64B-4KiB for a range, 64B,1KiB for a list")
	flags.IntVar(&a.Batch, "batch", 0, "take `N` messages at once, or append N events at once")
	flags.IntVar(&a.Consumers, "consumers", 0, "of queue: `N` consumers beside the requests; -1 for none")
	flags.IntVar(&a.Subscribers, "subscribers", 0, "of pubsub: `N` subscribers; -1 for none")
	flags.IntVar(&a.Connections, "connections", 1, "spread the load over `N` connections")
	flags.IntVar(&a.Sessions, "sessions", 1, "send it in `N` sessions, each with connections of its own")
	flags.IntVar(&a.InFl, "max-in-flight", loadtest.DefaultMaxInFlight, "at most `N` requests at once; more wait, and are late")
	flags.Int64Var(&a.Seed, "seed", 1, "the same `N` asks for the same things in the same order")
	flags.BoolVar(&a.Precise, "precise", false, "start to within microseconds, for a good part of a core")
	flags.StringArrayVar(&a.Fail, "fail", nil, "end with 99 unless this `CONDITION` holds, such as p99<20ms or error_rate<0.1%; may be repeated")
	flags.BoolVar(&a.Shortfall, "allow-shortfall", false, "achieving less than 95 % of the rate is no failure")
	for name, text := range map[string]string{
		"peak-rate": "ten times the rate; the rate for a burst", "hold": "none; a tenth for a spike, a sixth for a burst", "every": "a fifth of the duration",
		"mix": "the workload's", "keys": "the workload's", "batch": "the workload's", "consumers": "4", "subscribers": "1",
	} {
		cli.SetDefault(cmd, name, text)
	}
	a.changed = flags.Changed
}

// note keeps the flags as they were given.
func (a *asked) note(flags *pflag.FlagSet) {
	flags.VisitAll(func(f *pflag.Flag) {
		switch f.Name {
		case "dry-run", "plan", "keep", "i-know", "report", "save", "ui", "otlp":
			return
		}
		if !f.Changed {
			return
		}
		if s, ok := f.Value.(pflag.SliceValue); ok {
			for _, v := range s.GetSlice() {
				a.given = append(a.given, "--"+f.Name, quote(v))
			}
			return
		}
		if f.Value.Type() == "bool" {
			a.given = append(a.given, "--"+f.Name)
			return
		}
		a.given = append(a.given, "--"+f.Name, quote(cmpOr(f.Value.String(), "0")))
	})
}

// quote makes a word of a shell.
func quote(s string) string {
	if s != "" && !strings.ContainsFunc(s, func(r rune) bool {
		return !strings.ContainsRune("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_./:=,@%+", r)
	}) {
		return s
	}
	return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
}

// isFile reports whether an argument means a file.
func isFile(arg string) bool {
	ext := filepath.Ext(arg)
	return arg == "-" || strings.ContainsAny(arg, `/\`) || ext == ".yaml" || ext == ".yml"
}

// scenario is what the argument means, with the flags over it.
func (a *asked) scenario(ios *iostreams.IOStreams, arg string) (*scenario.Scenario, error) {
	if slices.Contains(scenario.Models(), arg) {
		return a.fromFlags(arg)
	}
	for _, name := range workloadFlags() {
		if a.changed(name) {
			return nil, cli.Usage("write it in the scenario, or name a workload: "+strings.Join(scenario.Models(), ", "), "--%s is of a workload, and %s is a scenario", name, arg)
		}
	}
	s, err := load(ios, arg)
	if err != nil {
		return nil, err
	}
	return s, a.over(s)
}

// load reads a scenario from the catalogue or from a file.
func load(ios *iostreams.IOStreams, arg string) (*scenario.Scenario, error) {
	if !isFile(arg) {
		s, err := scenario.Find(arg)
		if errors.Is(err, prism.ReasonNotFound) {
			known := slices.Concat(scenario.Models(), scenario.Names())
			fix := "use one of: " + strings.Join(known, ", ")
			if near := config.Nearest(arg, known); near != "" {
				fix = fmt.Sprintf("did you mean %s? there are %s, or a file", near, strings.Join(known, ", "))
			}
			return nil, cli.Usage(fix, "there is no workload or scenario %q", arg)
		}
		return s, err
	}
	r, err := cli.OpenInput(ios, arg)
	if err != nil {
		return nil, err
	}
	defer r.Close()
	text, err := io.ReadAll(io.LimitReader(r, maxScenarioBytes))
	if err != nil {
		return nil, &cli.Failure{Err: err, Exit: cli.ExitFailure}
	}
	return scenario.Parse(arg, text)
}

const maxScenarioBytes = 1 << 20

// fromFlags makes the scenario of one workload.
func (a *asked) fromFlags(model string) (*scenario.Scenario, error) {
	s := &scenario.Scenario{
		Name: model, Profile: a.Profile, Rate: a.Rate, Start: a.Start, Peak: a.Peak, Steps: a.Steps,
		Hold: time.Duration(a.Hold), Every: time.Duration(a.Every), For: time.Duration(a.Duration), Closed: a.Closed,
		WarmUp: time.Duration(a.WarmUp), MaxInFlight: a.InFl, Connections: a.Connections, Sessions: a.Sessions,
		Seed: a.Seed, Precise: a.Precise, Shortfall: a.Shortfall, Thresholds: a.Fail,
	}
	w := scenario.Workload{Model: model, Share: 1, Mix: a.Mix, Keys: a.Keys, Order: a.Order, Batch: a.Batch, Consumers: a.Consumers, Subscribers: a.Subscribers}
	switch {
	case a.changed("keys") && a.Keys < 1:
		return nil, cli.Usage("use at least 1", "--keys must be at least 1")
	case a.Duration <= 0:
		return nil, cli.Usage("use one such as 10s", "--duration must be more than 0")
	}
	if name, _, _ := strings.Cut(a.Order, "("); !slices.Contains(loadtest.Orders(), name) && name != "" {
		return nil, cli.NotAWord("order", a.Order, loadtest.Orders())
	}
	if model == "pubsub" && a.changed("mix") {
		return nil, cli.Usage("leave it out", "--mix: pubsub has one operation, publish")
	}
	var err error
	if w.ValueSize, err = scenario.ParseSizes(a.ValueSize); err != nil {
		return nil, cli.Usage("write it as 64B, 64B-4KiB or 64B,1KiB", "--value-size: %v", err)
	}
	s.Workloads = []scenario.Workload{w}
	if _, err := s.Build("check", make([]any, 1)); err != nil {
		return nil, flagError(err)
	}
	return s, a.check(s)
}

// over puts the flags that were given over a scenario.
func (a *asked) over(s *scenario.Scenario) error {
	set := func(flag string, to func()) {
		if a.changed(flag) {
			to()
		}
	}
	if a.changed("rate") || a.changed("closed") || a.changed("profile") {
		if len(s.Phases) > 0 && s.For == 0 {
			s.For = s.Length()
		}
		s.Phases, s.Closed = nil, 0
	}
	if a.changed("duration") && len(s.Phases) > 0 {
		return cli.Usage("leave --duration out, or give a --rate too", "--duration: the scenario %s has phases, which last as long as they say", s.Name)
	}
	set("profile", func() { s.Profile = a.Profile })
	set("rate", func() { s.Rate = a.Rate })
	set("start-rate", func() { s.Start = a.Start })
	set("peak-rate", func() { s.Peak = a.Peak })
	set("steps", func() { s.Steps = a.Steps })
	set("hold", func() { s.Hold = time.Duration(a.Hold) })
	set("every", func() { s.Every = time.Duration(a.Every) })
	set("duration", func() { s.For = time.Duration(a.Duration) })
	set("warm-up", func() { s.WarmUp = time.Duration(a.WarmUp) })
	set("closed", func() { s.Closed = a.Closed })
	set("connections", func() { s.Connections = a.Connections })
	set("sessions", func() { s.Sessions = a.Sessions })
	set("max-in-flight", func() { s.MaxInFlight = a.InFl })
	set("seed", func() { s.Seed = a.Seed })
	set("precise", func() { s.Precise = a.Precise })
	set("allow-shortfall", func() { s.Shortfall = a.Shortfall })
	set("fail", func() { s.Thresholds = append(slices.Clone(s.Thresholds), a.Fail...) })
	return a.check(s)
}

// Bounds beyond what one generator can use.
const (
	maxConnections = 1024
	maxSessions    = 1024
)

// check refuses what no plan can be made of.
func (a *asked) check(s *scenario.Scenario) error {
	for _, b := range []struct {
		flag string
		n    int
		most int
	}{{"connections", s.Connections, maxConnections}, {"sessions", s.Sessions, maxSessions}} {
		if b.n < 1 || b.n > b.most {
			return cli.Usage("use one from 1 to "+strconv.Itoa(b.most), "--%s: %d is too few or too many", b.flag, b.n)
		}
	}
	if s.Seed < 0 {
		return cli.Usage("use one from 0 on", "--seed must not be negative")
	}
	if _, err := s.Plan(); err != nil {
		return flagError(err)
	}
	return nil
}

// flagError is a wrong value of a flag in the words of what refused it.
func flagError(err error) error {
	return cli.Usage("prismctl loadtest run --help", "%s", prism.From(err).Message)
}
