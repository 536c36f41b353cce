package namespace

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/prism-data-layer/prism/pkg/cli"
	adminv1 "github.com/prism-data-layer/prism/proto/prism/admin/v1"
)

func newDescribe(f *cli.Factory) *cobra.Command {
	return cli.NewDescribe(f, cli.Description[ns]{
		Kind: kind(), Noun: "namespace", Arg: "NAME", Complete: cli.CompleteNamespaces,
		Long:    "Shows everything that is known of a namespace: where its data is and why, who may use it,\nwhat it can do, and what an operator should know.",
		Example: "  prismctl namespace describe kv\n  prismctl namespace describe kv --jq .capabilities",
		Get: func(ctx context.Context, c adminv1.AdminServiceClient, name string) (ns, error) {
			r, err := c.GetNamespace(ctx, &adminv1.GetNamespaceRequest{Name: name})
			return r.GetNamespace(), err
		},
	})
}
