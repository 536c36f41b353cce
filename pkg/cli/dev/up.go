package dev

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/prism-data-layer/prism/pkg/cli"
	"github.com/prism-data-layer/prism/pkg/iostreams"
	"github.com/prism-data-layer/prism/pkg/supervise"
)

type upOptions struct {
	IO      *iostreams.IOStreams
	Project func() (project, error)
	Version string

	Program    string
	AllowSkew  bool
	Detach     bool
	Plan       bool
	AutoPorts  bool
	PortOffset int
	With       []string
	Wait       time.Duration

	child bool // the supervisor that --detach has started
}

func newUp(f *cli.Factory, run func(context.Context, *upOptions) error) *cobra.Command {
	o := &upOptions{IO: f.IO, Version: f.Build.Version, Project: func() (project, error) { return find(f) }}
	cmd := &cobra.Command{
		Use:   "up",
		Short: "Start the gateway and keep it running",
		Long: "Starts prismd as a child of this process and keeps it running: it is ready when a value was written\nand read back through its data API. Ctrl-C stops it; a second Ctrl-C does not wait. When it runs\nalready, up changes nothing.\n\n" +
			"The listening sockets belong to the supervisor, so a restart refuses no connection.",
		Example: "  prismctl dev up\n  prismctl dev up --detach\n  prismctl dev up --plan\n  prismctl dev up --port-offset 100\n  prismctl dev up --with redis,nats",
		Args:    cli.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			o.Wait = f.Globals.Timeout
			if o.AutoPorts && o.PortOffset != 0 {
				return cli.Usage("leave one of them out", "--auto-ports and --port-offset contradict each other")
			}
			if err := checkWith(o.With); err != nil {
				return err
			}
			return run(cmd.Context(), o)
		},
	}
	cmd.Flags().BoolVarP(&o.Detach, "detach", "d", false, "return when it is ready, and leave it running")
	cmd.Flags().BoolVar(&o.Plan, "plan", false, "print what would be started, and start nothing")
	cmd.Flags().StringVar(&o.Program, "prismd", "", "the gateway `FILE`")
	cli.SetDefault(cmd, "prismd", "beside prismctl, then on PATH")
	cmd.Flags().BoolVar(&o.AllowSkew, "allow-skew", false, "take a prismd of another version")
	cmd.Flags().BoolVar(&o.AutoPorts, "auto-ports", false, "let the system choose free ports")
	cmd.Flags().IntVar(&o.PortOffset, "port-offset", 0, "add `N` to every port, for a second project beside this one")
	cmd.Flags().StringSliceVar(&o.With, "with", nil, "start these `STORES` too, each with a backend of its name: redis, nats, clickhouse")
	cmd.Flags().BoolVar(&o.child, "supervisor", false, "")
	_ = cmd.Flags().MarkHidden("supervisor")
	return cmd
}

func runUp(ctx context.Context, o *upOptions) error {
	start := time.Now()
	p, err := o.Project()
	if err != nil {
		return err
	}
	if !o.Plan {
		if done, err := o.already(ctx, p); done {
			return err
		}
	}
	pl, err := makePlan(ctx, o, p)
	if err != nil {
		return err
	}
	switch {
	case o.Plan:
		return o.printPlan(pl)
	case o.Detach && !o.child:
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
		if time.Since(start) > o.Wait || !pause(ctx) {
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

// already answers for a project that runs: a second up changes nothing.
func (o *upOptions) already(ctx context.Context, p project) (done bool, err error) {
	c, err := supervise.Dial(p.socket)
	if err != nil {
		return !notRunning(err), err
	}
	st, err := c.Status(ctx)
	if err != nil {
		return true, err
	}
	if err := o.missing(st); err != nil {
		return true, err
	}
	fmt.Fprintf(o.IO.ErrOut, "already running (supervisor pid %d)\n", st.Supervisor)
	if !st.Ready {
		ctx, cancel := context.WithTimeout(ctx, o.Wait)
		defer cancel()
		if st, err = o.awaitReady(ctx, p, nil); err != nil {
			o.complain(goesOn(st), st)
			return true, err
		}
	}
	o.printReady(st)
	return true, nil
}

func (o *upOptions) printPlan(pl *plan) error {
	fmt.Fprintf(o.IO.Out, "project  %s (%s)\nsettings %s\ndata     %s\nstate    %s\n", pl.Root, pl.ID, pl.origin, pl.data, pl.state)
	for _, s := range pl.specs {
		fmt.Fprintf(o.IO.Out, "start    %s: %s %s\n", s.Name, s.Path, strings.Join(s.Args, " "))
		for _, l := range s.Listen {
			fmt.Fprintf(o.IO.Out, "listen   %-8s %s (%s)\n", l.Name, l.Addr, l.Origin)
		}
		fmt.Fprintf(o.IO.Out, "ready    %s\n", s.Ready.Name)
	}
	return nil
}
