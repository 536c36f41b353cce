package session

import (
	"context"

	"github.com/spf13/cobra"
	"google.golang.org/grpc"

	"github.com/prism-data-layer/prism/pkg/cli"
	adminv1 "github.com/prism-data-layer/prism/proto/prism/admin/v1"
)

type lister interface {
	ListSessions(context.Context, *adminv1.ListSessionsRequest, ...grpc.CallOption) (*adminv1.ListSessionsResponse, error)
}

type listOptions struct {
	Out    *cli.Output
	Client func(context.Context) (lister, error)

	Namespace func() string // only what --namespace says: the context's default does not narrow
	Principal string
}

func newList(f *cli.Factory, run func(context.Context, *listOptions) error) *cobra.Command {
	o := &listOptions{
		Client:    func(ctx context.Context) (lister, error) { return f.Admin(ctx) },
		Namespace: func() string { return f.Globals.Namespace },
	}
	cmd := &cobra.Command{
		Use:     "list",
		Aliases: []string{"ls"},
		Short:   "List sessions",
		Long:    "Lists the sessions that are open, all or only those of a namespace or a principal.",
		Example: "  prismctl session list\n  prismctl session list -n kv --principal user:dev -o wide",
		Args:    cli.NoArgs,
		RunE:    func(cmd *cobra.Command, _ []string) error { return run(cmd.Context(), o) },
	}
	o.Out = cli.AddListOutput(f, cmd, kind().Info())
	cli.AddWatch(f, cmd, o.Out)
	cmd.Flags().StringVar(&o.Principal, "principal", "", "only those of this `PRINCIPAL`")
	cli.SetDefault(cmd, "principal", "all")
	return cmd
}

func runList(ctx context.Context, o *listOptions) error {
	c, err := o.Client(ctx)
	if err != nil {
		return err
	}
	list := cli.NewList(o.Out, kind(), "no session is open")
	more, err := cli.Pages(ctx, o.Out.Fetch(), func(ctx context.Context, cursor string, size int32) (int, string, error) {
		page, err := c.ListSessions(ctx, &adminv1.ListSessionsRequest{Namespace: o.Namespace(), Principal: o.Principal, Cursor: cursor, Limit: size})
		if err != nil {
			return 0, "", err
		}
		for _, s := range page.GetSessions() {
			if err := list.Add(s); err != nil {
				return 0, "", err
			}
		}
		return len(page.GetSessions()), page.GetCursor(), nil
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
