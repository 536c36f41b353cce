package backend

import (
	"context"

	"github.com/spf13/cobra"
	"google.golang.org/grpc"

	"github.com/prism-data-layer/prism/pkg/cli"
	adminv1 "github.com/prism-data-layer/prism/proto/prism/admin/v1"
)

type getter interface {
	GetBackend(context.Context, *adminv1.GetBackendRequest, ...grpc.CallOption) (*adminv1.GetBackendResponse, error)
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
		Short:             "Show one backend",
		Long:              "Shows a backend with everything it can do, the namespaces on it and the facts of its store.",
		Example:           "  prismctl backend describe local\n  prismctl backend describe local --json capabilities",
		Args:              cli.ExactArgs("NAME"),
		ValidArgsFunction: cli.CompleteBackends(f),
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
	r, err := c.GetBackend(ctx, &adminv1.GetBackendRequest{Name: o.Name})
	if err != nil {
		return cli.NotFoundFix(err, seeList)
	}
	return cli.PrintOne(o.Out, kind(), r.GetBackend())
}
