package backend

import (
	"context"

	"github.com/spf13/cobra"
	"google.golang.org/grpc"

	"github.com/prism-data-layer/prism/pkg/cli"
	adminv1 "github.com/prism-data-layer/prism/proto/prism/admin/v1"
)

type lister interface {
	ListBackends(context.Context, *adminv1.ListBackendsRequest, ...grpc.CallOption) (*adminv1.ListBackendsResponse, error)
}

type listOptions struct {
	Out    *cli.Output
	Client func(context.Context) (lister, error)
}

func newList(f *cli.Factory, run func(context.Context, *listOptions) error) *cobra.Command {
	o := &listOptions{Client: func(ctx context.Context) (lister, error) { return f.Admin(ctx) }}
	cmd := &cobra.Command{
		Use:     "list",
		Aliases: []string{"ls"},
		Short:   "List backends",
		Long:    "Lists the backends with the health that the gateway last saw. prismctl backend health probes now.",
		Example: "  prismctl backend list\n  prismctl be ls -o wide",
		Args:    cli.NoArgs,
		RunE:    func(cmd *cobra.Command, _ []string) error { return run(cmd.Context(), o) },
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
	r, err := c.ListBackends(ctx, &adminv1.ListBackendsRequest{})
	if err != nil {
		return err
	}
	return cli.PrintList(o.Out, kind(), cli.Cut(o.Out, r.GetBackends()), "there are no backends; declare one in the gateway's file")
}
