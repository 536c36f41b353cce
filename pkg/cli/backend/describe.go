package backend

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/prism-data-layer/prism/pkg/cli"
	adminv1 "github.com/prism-data-layer/prism/proto/prism/admin/v1"
)

func newDescribe(f *cli.Factory) *cobra.Command {
	return cli.NewDescribe(f, cli.Description[*adminv1.Backend]{
		Kind: kind(), Noun: "backend", Arg: "NAME", Complete: cli.CompleteBackends,
		Long:    "Shows a backend with everything it can do, the namespaces on it and the facts of its store.",
		Example: "  prismctl backend describe local\n  prismctl backend describe local --json capabilities",
		Get: func(ctx context.Context, c adminv1.AdminServiceClient, name string) (*adminv1.Backend, error) {
			r, err := c.GetBackend(ctx, &adminv1.GetBackendRequest{Name: name})
			return r.GetBackend(), err
		},
	})
}
