package namespace

import (
	"context"

	"github.com/spf13/cobra"
	"google.golang.org/grpc"

	"github.com/prism-data-layer/prism/pkg/cli"
	adminv1 "github.com/prism-data-layer/prism/proto/prism/admin/v1"
)

type getter interface {
	GetNamespace(context.Context, *adminv1.GetNamespaceRequest, ...grpc.CallOption) (*adminv1.GetNamespaceResponse, error)
}

type describeOptions struct {
	Out    *cli.Output
	Client func(context.Context) (getter, error)

	Name string
}

func newDescribe(f *cli.Factory, run func(context.Context, *describeOptions) error) *cobra.Command {
	o := &describeOptions{Client: func(ctx context.Context) (getter, error) { return f.Admin(ctx) }}
	cmd := &cobra.Command{
		Use:               "describe NAME",
		Aliases:           []string{"get", "show"},
		Short:             "Show one namespace",
		Long:              "Shows everything that is known of a namespace: where its data is and why, who may use it,\nwhat it can do, and what an operator should know.",
		Example:           "  prismctl namespace describe kv\n  prismctl namespace describe kv --jq .capabilities",
		Args:              cli.ExactArgs("NAME"),
		ValidArgsFunction: cli.CompleteNamespaces(f),
		RunE: func(cmd *cobra.Command, args []string) error {
			o.Name = args[0]
			return run(cmd.Context(), o)
		},
	}
	o.Out = cli.AddOutput(f, cmd, kind().Info())
	return cmd
}

func runDescribe(ctx context.Context, o *describeOptions) error {
	c, err := o.Client(ctx)
	if err != nil {
		return err
	}
	r, err := c.GetNamespace(ctx, &adminv1.GetNamespaceRequest{Name: o.Name})
	if err != nil {
		return cli.NotFoundFix(err, seeList)
	}
	return cli.PrintOne(o.Out, kind(), r.GetNamespace())
}
