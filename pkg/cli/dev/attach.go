package dev

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/prism-data-layer/prism/pkg/cli"
	"github.com/prism-data-layer/prism/pkg/iostreams"
	"github.com/prism-data-layer/prism/pkg/supervise"
)

type attachOptions struct {
	IO      *iostreams.IOStreams
	Project func() (project, error)
	Show    func(ctx context.Context, view string) error // the dashboards; nil: there are none

	UI bool
}

func newAttach(f *cli.Factory, show Show, run func(context.Context, *attachOptions) error) *cobra.Command {
	o := &attachOptions{IO: f.IO, Project: func() (project, error) { return find(f) }, Show: show}
	cmd := &cobra.Command{
		Use:     "attach",
		Short:   "Follow what happens to the services",
		Long:    "Prints the state of every service and then each change, until Ctrl-C or until they are stopped.\nCtrl-C ends attach only: the services go on.",
		Example: "  prismctl dev attach\n  prismctl dev attach | grep crash",
		Args:    cli.NoArgs,
		RunE:    func(cmd *cobra.Command, _ []string) error { return run(cmd.Context(), o) },
	}
	cmd.Flags().BoolVar(&o.UI, "ui", false, "show them on the dashboards instead")
	return cmd
}

// A Show opens the dashboards on a page: "services".
type Show func(ctx context.Context, view string) error

func runAttach(ctx context.Context, o *attachOptions) error {
	if o.UI && o.Show == nil {
		return cli.Usage("prismctl dev attach", "there are no dashboards in this program")
	}
	if o.UI {
		return o.Show(ctx, "services")
	}
	p, err := o.Project()
	if err != nil {
		return err
	}
	c, err := p.client()
	if err != nil {
		return err
	}
	err = c.Events(ctx,
		func(st supervise.Status) error {
			for _, s := range st.Services {
				fmt.Fprintln(o.IO.Out, eventLine(supervise.Event{Time: s.Since, Service: s.Name, State: s.State, PID: s.PID, Message: s.Message}))
			}
			return nil
		},
		func(e supervise.Event) error {
			_, err := fmt.Fprintln(o.IO.Out, eventLine(e))
			return err
		})
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return err
}
