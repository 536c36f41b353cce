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
		Long:    "Shows a backend: how it is and how its calls do, what an answered write means there, the namespaces\non it, the facts of its store, and what it can and cannot do.",
		Example: "  prismctl backend describe local\n  prismctl backend describe local --json capabilities",
		Get: func(ctx context.Context, c adminv1.AdminServiceClient, name string) (*adminv1.Backend, error) {
			r, err := c.GetBackend(ctx, &adminv1.GetBackendRequest{Name: name})
			return r.GetBackend(), err
		},
	})
}
