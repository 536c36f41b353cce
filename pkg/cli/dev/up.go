package dev

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/prism-data-layer/prism/pkg/cli"
	"github.com/prism-data-layer/prism/pkg/clock"
	"github.com/prism-data-layer/prism/pkg/config"
	"github.com/prism-data-layer/prism/pkg/iostreams"
	"github.com/prism-data-layer/prism/pkg/prism"
	"github.com/prism-data-layer/prism/pkg/supervise"
	"github.com/prism-data-layer/prism/stacks"
)

type upOptions struct {
	IO      *iostreams.IOStreams
	Clock   clock.Clock
	Project func() (project, error)
	Version string

	wish
	Check     func(*config.Project) error // of the wish
	Program   string
	AllowSkew bool
	Watch     bool
	Detach    bool
	Plan      bool
	Progress  string
	Wait      time.Duration

	child bool // the supervisor that --detach has started
}

// upOf are the options of an up that asks for nothing.
func upOf(f *cli.Factory) *upOptions {
	return &upOptions{
		IO: f.IO, Clock: f.Clock, Version: f.Build.Version, Progress: progressAuto, Wait: cli.DefaultTimeout,
		Project: func() (project, error) { return find(f) },
	}
}

func newUp(f *cli.Factory, run func(context.Context, *upOptions) error) *cobra.Command {
	o := upOf(f)
	var wait, dryRun bool
	cmd := &cobra.Command{
		Use:   "up",
		Short: "Start the gateway and its stacks, and keep them running",
		Long: "Starts prismd, the stacks that are asked for and the project's own programs, and keeps them running.\nThe gateway is ready when a value was written and read back through its data API, a stack when it\nanswers a question of our own. Ctrl-C stops all; a second Ctrl-C does not wait. What runs already\nstays as it is, and what has failed is started again.\n\n" +
			"A stack that cannot run on this machine is skipped, with the reason and what would help; the rest\nstarts. The listening sockets belong to the supervisor, so a restart refuses no connection.",
		Example: "  prismctl dev up\n  prismctl dev up --detach --with redis,nats\n  prismctl dev up --profile full --plan\n  prismctl dev up --port-offset 100\n  prismctl dev up --with redis --form native --port redis=6380",
		Args:    cli.NoArgs,
	}
	o.Check = o.addFlags(cmd)
	flags := cmd.Flags()
	flags.BoolVarP(&o.Detach, "detach", "d", false, "return when all is ready, and leave it running")
	flags.BoolVar(&wait, "wait", false, "the same as --detach")
	flags.BoolVar(&o.Plan, "plan", false, "print what would be started, and start nothing")
	flags.BoolVar(&dryRun, "dry-run", false, "the same as --plan")
	flags.BoolVar(&o.Watch, "watch", false, "in a checkout of Prism: build prismd anew when its source changes, and swap it if that succeeds")
	flags.StringVar(&o.Progress, "progress", progressAuto, "tell in this `FORM`: auto, plain or json")
	cli.Enum(cmd, "progress", progressAuto, progressPlain, progressJSON)
	o.addProgram(cmd)
	flags.BoolVar(&o.child, "supervisor", false, "")
	_ = flags.MarkHidden("supervisor")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		o.Wait = f.Globals.Timeout
		o.Detach, o.Plan = o.Detach || wait, o.Plan || dryRun
		return run(cmd.Context(), o)
	}
	return cmd
}

// addProgram gives cmd the flags that choose prismd.
func (o *upOptions) addProgram(cmd *cobra.Command) {
	cmd.Flags().StringVar(&o.Program, "prismd", "", "the gateway `FILE`")
	cli.SetDefault(cmd, "prismd", "beside prismctl, then on PATH")
	cmd.Flags().BoolVar(&o.AllowSkew, "allow-skew", false, "take a prismd of another version")
}

// runUp is plan → preflight → start → narrate.
func runUp(ctx context.Context, o *upOptions) error {
	start := o.Clock.Now()
	p, err := o.Project()
	if err == nil {
		err = o.Check(p.own)
	}
	if err != nil {
		return err
	}
	if !o.Plan {
		if done, err := o.already(ctx, p); done {
			return err
		}
	}
	pl, err := makePlan(ctx, o, p)
	if err == nil {
		err = pl.refuse()
	}
	if err != nil {
		return err
	}
	pl.preflight(ctx)
	if o.Plan {
		return o.printPlan(pl)
	}
	if !o.child { // the one who waits has said it
		o.skips(pl)
	}
	if o.Detach && !o.child {
		return o.detach(ctx, pl, start)
	}
	opts := p.options()
	opts.Services = pl.specs
	s, err := supervise.Open(opts)
	for held := (*supervise.Held)(nil); errors.As(err, &held); s, err = supervise.Open(opts) {
		// Another up was faster. It has the lock and will answer soon, or die.
		if done, err := o.already(ctx, p); done {
			return err
		}
		if o.Clock.Now().Sub(start) > o.Wait || !pause(ctx) {
			break
		}
	}
	if err != nil {
		return stateAdvice(portAdvice(err))
	}
	return o.supervise(ctx, s, pl, start)
}

// pollEvery is how often a supervisor that will answer soon is asked.
const pollEvery = 20 * time.Millisecond

func pause(ctx context.Context) bool {
	select {
	case <-ctx.Done():
		return false
	case <-time.After(pollEvery):
		return true
	}
}

// already answers for a project that runs: a second up starts again what has
// failed, and touches nothing else.
func (o *upOptions) already(ctx context.Context, p project) (done bool, err error) {
	c, err := supervise.Dial(p.socket)
	if err != nil {
		return !notRunning(err), err
	}
	st, err := c.Status(ctx)
	if err != nil {
		return true, err
	}
	last, err := p.lastWish()
	if err == nil {
		err = o.lacks(p, st, last)
	}
	if err != nil {
		return true, err
	}
	fmt.Fprintf(o.IO.ErrOut, "already running (supervisor pid %d)\n", st.Supervisor)
	if err := o.apply(ctx, p, st); err != nil {
		return true, err
	}
	if !st.Ready {
		names, err := c.Repair(ctx)
		if err != nil {
			return true, err
		}
		if len(names) > 0 {
			fmt.Fprintf(o.IO.ErrOut, "starts again: %s\n", strings.Join(names, ", "))
		}
		ctx, cancel := context.WithTimeout(ctx, o.Wait)
		defer cancel()
		if st, err = o.awaitReady(ctx, p, nil); err != nil {
			o.complain(goesOn(st), st)
			return true, err
		}
	}
	o.printReady(p, st)
	return true, skippedError(last.Skipped)
}

// apply starts stacks again whose files want another image than the one that
// runs. Others are not touched.
func (o *upOptions) apply(ctx context.Context, p project, st supervise.Status) error {
	records, err := stacks.Running(p.state)
	if err != nil {
		return advised(err)
	}
	for _, r := range records {
		if r.Form != stacks.FormContainer || st.Service(r.Name) == nil {
			continue
		}
		s, err := stacks.Find(r.Name)
		if err != nil {
			return advised(err)
		}
		for _, image := range s.Images {
			u, err := (&updateOptions{Name: image.Name}).prepare(p, s)
			if err != nil {
				return err
			}
			if u.from == u.to || u.from == "" {
				continue
			}
			fmt.Fprintf(o.IO.ErrOut, "changed %s: image %s → %s\n", s.Name, u.from, u.to)
			if err := u.run(ctx, u.to); err != nil {
				return cli.WithFix(err, "prismctl dev logs %s", s.Name)
			}
		}
	}
	return nil
}

// lacks names what is asked for and the running supervisor does not have. What
// the last up has skipped it has said.
func (o *upOptions) lacks(p project, st supervise.Status, last wish) error {
	for _, name := range o.names(p.own) {
		if st.Service(name) == nil && !slices.Contains(last.Skipped, name) {
			return cli.WithFix(prism.New(prism.ReasonFailedPrecond, "it runs already, without %s", name), "prismctl dev down, then prismctl dev up --with %s", name)
		}
	}
	return nil
}

// skippedError says that all is well but for what was skipped; nil if nothing
// was.
func skippedError(names []string) error {
	if len(names) == 0 {
		return nil
	}
	return cli.Partial("prismctl dev doctor", "all is ready but for what cannot run here: %s", strings.Join(names, ", "))
}

func (o *upOptions) printPlan(pl *plan) error {
	out := o.IO.Out
	fmt.Fprintf(out, "project  %s (%s)\nsettings %s\ndata     %s\nstate    %s\n", pl.Root, pl.ID, pl.origin, pl.data, pl.state)
	if memory, disk := pl.needs(); memory+disk > 0 {
		fmt.Fprintf(out, "needs    up to %s of memory for containers, and %s of disk for images\n", size(memory), size(disk))
	}
	for _, s := range pl.specs {
		form := ""
		if i := pl.stacks.Instance(s.Name); i != nil {
			form = " (" + string(i.Form) + ")"
		}
		fmt.Fprintf(out, "start    %s: %s %s%s\n", s.Name, s.Path, strings.Join(s.Args, " "), form)
		for _, l := range s.Listen {
			fmt.Fprintf(out, "listen   %-8s %s (%s)\n", l.Name, l.Addr, l.Origin)
		}
		if len(s.After) > 0 {
			fmt.Fprintf(out, "after    %s\n", strings.Join(s.After, ", "))
		}
		fmt.Fprintf(out, "ready    %s\n", s.Ready.Name)
	}
	for _, s := range pl.skipped {
		fmt.Fprintf(out, "skip     %s: %s; %s\n", s.Name, iostreams.Escape(s.Why), iostreams.Escape(s.Fix))
	}
	for _, w := range pl.warnings {
		fmt.Fprintf(out, "warning  %s\n", iostreams.Escape(w))
	}
	return nil
}
