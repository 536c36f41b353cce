package key

import (
	"context"

	"github.com/spf13/cobra"
	"google.golang.org/grpc"

	"github.com/prism-data-layer/prism/pkg/cli"
	adminv1 "github.com/prism-data-layer/prism/proto/prism/admin/v1"
)

type lister interface {
	ListKeys(context.Context, *adminv1.ListKeysRequest, ...grpc.CallOption) (*adminv1.ListKeysResponse, error)
}

type listOptions struct {
	Out    *cli.Output
	Client func(context.Context) (lister, error)

	Revoked bool
}

func newList(f *cli.Factory, run func(context.Context, *listOptions) error) *cobra.Command {
	o := &listOptions{Client: func(ctx context.Context) (lister, error) { return f.Admin(ctx) }}
	cmd := &cobra.Command{
		Use:     "list",
		Aliases: []string{"ls"},
		Short:   "List API keys",
		Long:    "Lists the keys without their secrets, which nobody has any more.",
		Example: "  prismctl key list\n  prismctl key list --revoked -o wide",
		Args:    cli.NoArgs,
		RunE:    func(cmd *cobra.Command, _ []string) error { return run(cmd.Context(), o) },
	}
	o.Out = cli.AddListOutput(f, cmd, kind().Info())
	cli.AddWatch(f, cmd, o.Out)
	cmd.Flags().BoolVar(&o.Revoked, "revoked", false, "those that were revoked too")
	return cmd
}

func runList(ctx context.Context, o *listOptions) error {
	c, err := o.Client(ctx)
	if err != nil {
		return err
	}
	r, err := c.ListKeys(ctx, &adminv1.ListKeysRequest{IncludeRevoked: o.Revoked})
	if err != nil {
		return err
	}
	return cli.PrintList(o.Out, kind(), cli.Cut(o.Out, r.GetKeys()), "there are no keys; prismctl key create PRINCIPAL makes one")
}
