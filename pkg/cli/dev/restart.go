package dev

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/prism-data-layer/prism/pkg/cli"
	"github.com/prism-data-layer/prism/pkg/iostreams"
	"github.com/prism-data-layer/prism/pkg/prism"
	"github.com/prism-data-layer/prism/pkg/supervise"
)

type restartOptions struct {
	IO      *iostreams.IOStreams
	Project func() (project, error)

	Service string
}

func newRestart(f *cli.Factory, run func(context.Context, *restartOptions) error) *cobra.Command {
	o := &restartOptions{IO: f.IO, Project: func() (project, error) { return find(f) }, Service: gateway}
	return &cobra.Command{
		Use:     "restart [SERVICE]",
		Short:   "Drain a service and start it again",
		Long:    "Drains prismd, or the service that is named, and starts it again on the same sockets: callers wait,\nnone is refused. Others are not touched; it says who depends on the service. Returns when it is ready.",
		Example: "  prismctl dev restart\n  prismctl dev restart redis",
		Args:    cli.OptionalArgs("SERVICE"),
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) > 0 {
				o.Service = args[0]
			}
			return run(cmd.Context(), o)
		},
	}
}

func runRestart(ctx context.Context, o *restartOptions) error {
	p, err := o.Project()
	if err != nil {
		return err
	}
	c, err := p.client()
	if err != nil {
		return err
	}
	o.tellDependants(ctx, c)
	if err := c.Restart(ctx, o.Service); err != nil {
		if errors.Is(err, prism.ReasonNotFound) {
			return cli.WithFix(err, "prismctl dev status")
		}
		return cli.WithFix(err, "prismctl dev logs %s", o.Service)
	}
	fmt.Fprintf(o.IO.Out, "%s is ready\n", o.Service)
	return nil
}

// tellDependants says who will miss the service while it is away.
func (o *restartOptions) tellDependants(ctx context.Context, c *supervise.Client) {
	st, err := c.Status(ctx)
	if err != nil {
		return // the restart will say it
	}
	if s := st.Service(o.Service); s != nil && len(s.Dependants) > 0 {
		fmt.Fprintf(o.IO.ErrOut, "%s depends on it and goes on\n", strings.Join(s.Dependants, ", "))
	}
}
