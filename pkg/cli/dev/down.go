package dev

import (
	"context"
	"fmt"
	"os"

	"github.com/spf13/cobra"

	"github.com/prism-data-layer/prism/pkg/cli"
	"github.com/prism-data-layer/prism/pkg/iostreams"
	"github.com/prism-data-layer/prism/pkg/supervise"
)

type downOptions struct {
	IO      *iostreams.IOStreams
	Project func() (project, error)
	Confirm func(context.Context) error

	Kill    bool
	Volumes bool
}

func newDown(f *cli.Factory, run func(context.Context, *downOptions) error) *cobra.Command {
	o := &downOptions{IO: f.IO, Project: func() (project, error) { return find(f) }}
	cmd := &cobra.Command{
		Use:     "down",
		Short:   "Stop everything that runs for this folder",
		Long:    "Stops the gateway and its supervisor and returns when nothing of them is left. The data stays\nunless --volumes is given. What a killed supervisor has left is ended too.",
		Example: "  prismctl dev down\n  prismctl dev down --volumes --yes",
		Args:    cli.NoArgs,
	}
	confirm := cli.AddConfirmation(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		o.Confirm = func(ctx context.Context) error {
			return confirm.Ask(ctx, f, "delete all data in .prism/data", "data")
		}
		return run(cmd.Context(), o)
	}
	cmd.Flags().BoolVar(&o.Kill, "kill", false, "do not wait for calls in flight")
	cmd.Flags().BoolVar(&o.Volumes, "volumes", false, "delete the data in .prism/data too, after asking")
	return cmd
}

func runDown(ctx context.Context, o *downOptions) error {
	p, err := o.Project()
	if err != nil {
		return err
	}
	if o.Volumes {
		if err := o.Confirm(ctx); err != nil {
			return err
		}
	}
	c, err := supervise.Dial(p.socket)
	switch {
	case err == nil:
		err = c.Stop(ctx, o.Kill, func(e supervise.Event) { fmt.Fprintln(o.IO.ErrOut, eventLine(e)) })
		if err != nil {
			return err
		}
		fmt.Fprintln(o.IO.Out, "stopped")
	case notRunning(err):
		ended, err := supervise.Cleanup(p.options())
		if err != nil {
			return err
		}
		if ended > 0 {
			fmt.Fprintf(o.IO.Out, "ended %s that a killed supervisor had left\n", cli.Plural(ended, "process"))
		} else {
			fmt.Fprintln(o.IO.Out, "nothing was running")
		}
	default:
		return err
	}
	if !o.Volumes {
		return nil
	}
	root, err := os.OpenRoot(p.Root)
	if err != nil {
		return err
	}
	defer root.Close()
	if err := root.RemoveAll(".prism/data"); err != nil {
		return err
	}
	fmt.Fprintln(o.IO.Out, "deleted the data in .prism/data")
	return nil
}
