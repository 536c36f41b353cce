package fault

import (
	"context"
	"fmt"
	"slices"

	"github.com/spf13/cobra"
	"google.golang.org/grpc"

	"github.com/prism-data-layer/prism/pkg/cli"
	"github.com/prism-data-layer/prism/pkg/prism"
	adminv1 "github.com/prism-data-layer/prism/proto/prism/admin/v1"
)

type remover interface {
	lister
	RemoveFault(context.Context, *adminv1.RemoveFaultRequest, ...grpc.CallOption) (*adminv1.RemoveFaultResponse, error)
}

type removeOptions struct {
	Out    *cli.Output
	Client func(context.Context) (remover, error)

	ID     string
	DryRun bool
}

func newRemove(f *cli.Factory, run func(context.Context, *removeOptions) error) *cobra.Command {
	o := &removeOptions{Client: func(ctx context.Context) (remover, error) { return f.Admin(ctx) }}
	cmd := &cobra.Command{
		Use:     "remove FAULT",
		Aliases: []string{"rm"},
		Short:   "End a fault before its time",
		Long:    "Ends a fault before its time, and says what it has done.",
		Example: "  prismctl fault remove f-19ab0001\n  prismctl fault remove f-19ab0001 --dry-run",
		Args:    cli.ExactArgs("FAULT"),
		ValidArgsFunction: cli.Complete(f, func(ctx context.Context) (list []cli.Candidate, err error) {
			c, err := f.Admin(ctx)
			if err != nil {
				return nil, err
			}
			r, err := c.ListFaults(ctx, &adminv1.ListFaultsRequest{})
			for _, x := range r.GetFaults() {
				list = append(list, cli.Candidate{Name: x.GetFaultId(), Note: x.GetBackend()})
			}
			return list, err
		}),
		RunE: func(cmd *cobra.Command, args []string) error {
			o.ID = args[0]
			return run(cmd.Context(), o)
		},
	}
	o.Out = cli.AddOutput(f, cmd, kind().Info())
	cmd.Flags().BoolVar(&o.DryRun, "dry-run", false, "look for it, and change nothing")
	return cmd
}

func runRemove(ctx context.Context, o *removeOptions) error {
	c, err := o.Client(ctx)
	if err != nil {
		return err
	}
	if o.DryRun {
		return o.would(ctx, c)
	}
	r, err := c.RemoveFault(ctx, &adminv1.RemoveFaultRequest{FaultId: o.ID})
	if err != nil {
		return cli.NotFoundFix(err, seeList)
	}
	x := r.GetFault()
	done := fmt.Sprintf("removed fault %s of backend %s (%s slowed, %d failed)", x.GetFaultId(), x.GetBackend(), cli.Plural(x.GetSlowed(), "call"), x.GetFailed())
	return cli.PrintChanged(o.Out, kind(), x, done, "prismctl backend stats "+x.GetBackend())
}

func (o *removeOptions) would(ctx context.Context, c lister) error {
	r, err := c.ListFaults(ctx, &adminv1.ListFaultsRequest{})
	if err != nil {
		return err
	}
	at := slices.IndexFunc(r.GetFaults(), func(x injected) bool { return x.GetFaultId() == o.ID })
	if at < 0 {
		return cli.NotFoundFix(prism.NotFound("fault", o.ID), seeList)
	}
	x := r.GetFaults()[at]
	return cli.PrintChanged(o.Out, kind(), x, fmt.Sprintf("would remove fault %s of backend %s (dry run)", x.GetFaultId(), x.GetBackend()), "")
}
