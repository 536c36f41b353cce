package dev

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/prism-data-layer/prism/pkg/cli"
	"github.com/prism-data-layer/prism/pkg/prism"
	"github.com/prism-data-layer/prism/pkg/supervise"
)

type ciOptions struct {
	Up   *upOptions
	Down *downOptions

	Command []string
	Report  string // FORMAT
	File    string
	Keep    bool
}

func newCI(f *cli.Factory, run func(context.Context, *ciOptions) error) *cobra.Command {
	o := &ciOptions{Up: upOf(f), Down: &downOptions{IO: f.IO}}
	cmd := &cobra.Command{
		Use:   "ci [flags] [-- COMMAND...]",
		Short: "Start all, run a command against it, and stop all",
		Long: "For builds: asks nothing and needs no terminal. Starts what dev up would, waits until all is ready,\nruns COMMAND with the variables of dev env, stops everything and looks whether anything is left.\n" +
			"Ends with COMMAND's exit code, or with 6 when a part did not become ready. A stack that cannot run\nhere is a failure.",
		Example: "  prismctl dev ci --with redis -- go test ./...\n  prismctl dev ci --report junit=dev.xml\n  prismctl dev ci --auto-ports --report json=dev.json -- make check",
		Args:    cobra.ArbitraryArgs,
	}
	o.Up.Check = o.Up.addFlags(cmd)
	o.Up.addProgram(cmd)
	var report string
	cmd.Flags().StringVar(&report, "report", "", "write what became ready and what failed as `FORMAT=FILE`: junit=FILE or json=FILE")
	cli.SetDefault(cmd, "report", "none")
	cmd.Flags().BoolVar(&o.Keep, "keep", false, "leave all running at the end")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if len(args) > 0 && cmd.ArgsLenAtDash() != 0 {
			return cli.Usage("write -- before the command", "%q is no flag of dev ci", args[0])
		}
		var ok bool
		if o.Report, o.File, ok = strings.Cut(report, "="); report != "" && (!ok || o.File == "" || !slices.Contains([]string{"junit", "json"}, o.Report)) {
			return cli.Usage("write --report junit=FILE or --report json=FILE", "--report %q is not known", report)
		}
		o.Up.Wait, o.Up.Detach, o.Up.Progress, o.Command = f.Globals.Timeout, true, progressPlain, args
		return run(cmd.Context(), o)
	}
	return cmd
}

func runCI(ctx context.Context, o *ciOptions) (err error) {
	begun := o.Up.Clock.Now()
	p, err := o.Up.Project()
	if err == nil {
		err = o.Up.Check(p.own)
	}
	if err != nil {
		return err
	}
	if _, err := supervise.Dial(p.socket); err == nil {
		return cli.WithFix(prism.New(prism.ReasonFailedPrecond, "something runs for this folder already: dev ci starts and stops its own"), "prismctl dev down")
	}
	pl, err := makePlan(ctx, o.Up, p)
	if err == nil {
		err = o.nothingSkipped(pl)
	}
	if err != nil {
		return err
	}
	pl.preflight(ctx)
	o.Up.skips(pl)
	r := report{Project: p.ID, Started: begun}
	err = o.Up.detach(ctx, pl, begun)
	st, _ := p.status(context.WithoutCancel(ctx)) //nolint:errcheck // the error of the start counts
	r.services(st)
	if err == nil && len(o.Command) > 0 {
		err = o.run(ctx, p, st, &r)
	}
	r.TookMS = o.Up.Clock.Now().Sub(begun).Milliseconds()
	if o.File != "" {
		if e := r.write(o.Report, o.File); err == nil {
			err = e
		}
	}
	if !o.Keep {
		// Also when we were told to stop: what a build leaves, the next one meets.
		if e := o.Down.down(context.WithoutCancel(ctx), p); err == nil {
			err = e
		}
	}
	return err
}

// nothingSkipped makes a failure of what a person would only be told.
func (o *ciOptions) nothingSkipped(pl *plan) error {
	if len(pl.skipped) == 0 {
		return nil
	}
	var why []string
	for _, s := range pl.skipped {
		why = append(why, s.Name+" cannot run here: "+s.Why)
	}
	return &cli.Failure{Err: prism.New(prism.ReasonFailedPrecond, "%s", strings.Join(why, "; ")), Exit: cli.ExitUnavailable, Fix: pl.skipped[0].Fix}
}

// run runs the command. Its exit code becomes ours.
func (o *ciOptions) run(ctx context.Context, p project, st supervise.Status, r *report) error {
	vars, err := p.env(st)
	if err != nil {
		return err
	}
	cmd := exec.CommandContext(ctx, o.Command[0], o.Command[1:]...)
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	cmd.WaitDelay = 10 * time.Second
	cmd.Dir, cmd.Stdout, cmd.Stderr, cmd.Env = p.Root, o.Up.IO.Out, o.Up.IO.ErrOut, os.Environ()
	for _, v := range vars {
		cmd.Env = append(cmd.Env, v.Name+"="+v.Value)
	}
	begun := o.Up.Clock.Now()
	err = cmd.Run()
	r.command(o.Command, o.Up.Clock.Now().Sub(begun), err)
	var exit *exec.ExitError
	switch {
	case ctx.Err() != nil:
		return context.Cause(ctx)
	case errors.As(err, &exit) && exit.ExitCode() > 0:
		fmt.Fprintf(o.Up.IO.ErrOut, "%s ended with exit code %d\n", o.Command[0], exit.ExitCode())
		return cli.ErrSilent(exit.ExitCode())
	case err != nil:
		return cli.WithFix(prism.New(prism.ReasonFailedPrecond, "%s cannot be run", o.Command[0]).WithCause(errors.New(err.Error())), "name a program after --")
	}
	return nil
}
