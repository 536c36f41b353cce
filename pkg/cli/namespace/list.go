package namespace

import (
	"context"

	"github.com/spf13/cobra"
	"google.golang.org/grpc"

	"github.com/prism-data-layer/prism/pkg/cli"
	adminv1 "github.com/prism-data-layer/prism/proto/prism/admin/v1"
)

type lister interface {
	ListNamespaces(context.Context, *adminv1.ListNamespacesRequest, ...grpc.CallOption) (*adminv1.ListNamespacesResponse, error)
}

type listOptions struct {
	Out    *cli.Output
	Client func(context.Context) (lister, error)

	Backend string
}

func newList(f *cli.Factory, run func(context.Context, *listOptions) error) *cobra.Command {
	o := &listOptions{Client: func(ctx context.Context) (lister, error) { return f.Admin(ctx) }}
	cmd := &cobra.Command{
		Use:     "list",
		Aliases: []string{"ls"},
		Short:   "List namespaces",
		Long:    "Lists the namespaces of the gateway, with where each keeps its data and how much it holds.",
		Example: "  prismctl namespace list\n  prismctl namespace list --backend local -o json\n  prismctl ns ls --sort-by -size_bytes --limit 5",
		Args:    cli.NoArgs,
		RunE:    func(cmd *cobra.Command, _ []string) error { return run(cmd.Context(), o) },
	}
	o.Out = cli.AddListOutput(f, cmd, kind().Info())
	cli.AddWatch(f, cmd, o.Out)
	cmd.Flags().StringVar(&o.Backend, "backend", "", "only those on this `BACKEND`")
	cli.SetDefault(cmd, "backend", "all")
	return cmd
}

func runList(ctx context.Context, o *listOptions) error {
	c, err := o.Client(ctx)
	if err != nil {
		return err
	}
	list := cli.NewList(o.Out, kind(), "there are no namespaces; prismctl namespace create NAME makes one")
	more, err := cli.Pages(ctx, o.Out.Fetch(), func(ctx context.Context, cursor string, size int32) (int, string, error) {
		page, err := c.ListNamespaces(ctx, &adminv1.ListNamespacesRequest{Cursor: cursor, Limit: size})
		if err != nil {
			return 0, "", err
		}
		shown := 0
		for _, n := range page.GetNamespaces() {
			if o.Backend != "" && n.GetBoundBackend() != o.Backend {
				continue
			}
			shown++
			if err := list.Add(n); err != nil {
				return shown, "", err
			}
		}
		return shown, page.GetCursor(), nil
	})
	if err != nil {
		return err
	}
	if err := list.Close(); err != nil {
		return err
	}
	o.Out.MoreHint(more, list.Len())
	return nil
}
