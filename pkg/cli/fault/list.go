package fault

import (
	"context"
	"strings"

	"github.com/spf13/cobra"
	"google.golang.org/grpc"

	"github.com/prism-data-layer/prism/pkg/cli"
	adminv1 "github.com/prism-data-layer/prism/proto/prism/admin/v1"
)

type lister interface {
	ListFaults(context.Context, *adminv1.ListFaultsRequest, ...grpc.CallOption) (*adminv1.ListFaultsResponse, error)
}

type listOptions struct {
	Out    *cli.Output
	Client func(context.Context) (lister, error)

	Backend string
}

func newList(f *cli.Factory, run func(context.Context, *listOptions) error) *cobra.Command {
	o := &listOptions{Client: func(ctx context.Context) (lister, error) { return f.Admin(ctx) }}
	cmd := &cobra.Command{
		Use:               "list [BACKEND]",
		Aliases:           []string{"ls"},
		Short:             "List the faults that act",
		Long:              "Lists the faults that act on one backend or on all, the oldest first. What has ended is gone.",
		Example:           "  prismctl fault list\n  prismctl fault list volatile -o json",
		Args:              cli.OptionalArgs("BACKEND"),
		ValidArgsFunction: cli.CompleteBackends(f),
		RunE: func(cmd *cobra.Command, args []string) error {
			o.Backend = strings.Join(args, "")
			return run(cmd.Context(), o)
		},
	}
	o.Out = cli.AddListOutput(f, cmd, kind().Info())
	cli.AddWatch(f, cmd, o.Out)
	return cmd
}

func runList(ctx context.Context, o *listOptions) error {
	c, err := o.Client(ctx)
	if err != nil {
		return err
	}
	r, err := c.ListFaults(ctx, &adminv1.ListFaultsRequest{Backend: o.Backend})
	if err != nil {
		return cli.NotFoundFix(err, "prismctl backend list")
	}
	empty := "no fault acts"
	if !r.GetEnabled() {
		empty += ", and this gateway allows none"
	}
	return cli.PrintList(o.Out, kind(), cli.Cut(o.Out, r.GetFaults()), empty)
}
