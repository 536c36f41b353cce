package namespace

import (
	"context"

	"github.com/spf13/cobra"
	"google.golang.org/grpc"

	"github.com/prism-data-layer/prism/pkg/cli"
	adminv1 "github.com/prism-data-layer/prism/proto/prism/admin/v1"
)

type historian interface {
	ListNamespaceHistory(context.Context, *adminv1.ListNamespaceHistoryRequest, ...grpc.CallOption) (*adminv1.ListNamespaceHistoryResponse, error)
}

type historyOptions struct {
	Out    *cli.Output
	Client func(context.Context) (historian, error)

	Name string
}

func newHistory(f *cli.Factory, run func(context.Context, *historyOptions) error) *cobra.Command {
	o := &historyOptions{Client: func(ctx context.Context) (historian, error) { return f.Admin(ctx) }}
	cmd := &cobra.Command{
		Use:               "history NAME",
		Short:             "Show what happened to a namespace",
		Long:              "Lists the changes of a namespace, the newest first: who changed what and when. The history of\na deleted namespace is kept.",
		Example:           "  prismctl namespace history kv\n  prismctl namespace history kv --limit 5 --utc",
		Args:              cli.ExactArgs("NAME"),
		ValidArgsFunction: cli.CompleteNamespaces(f),
		RunE: func(cmd *cobra.Command, args []string) error {
			o.Name = args[0]
			return run(cmd.Context(), o)
		},
	}
	o.Out = cli.AddListOutput(f, cmd, eventKind().Info())
	return cmd
}

func runHistory(ctx context.Context, o *historyOptions) error {
	c, err := o.Client(ctx)
	if err != nil {
		return err
	}
	list := cli.NewList(o.Out, eventKind(), "nothing has happened to it")
	more, err := cli.Pages(ctx, o.Out.Fetch(), func(ctx context.Context, cursor string, size int32) (int, string, error) {
		page, err := c.ListNamespaceHistory(ctx, &adminv1.ListNamespaceHistoryRequest{Name: o.Name, Cursor: cursor, Limit: size})
		if err != nil {
			return 0, "", err
		}
		for _, e := range page.GetEvents() {
			if err := list.Add(e); err != nil {
				return 0, "", err
			}
		}
		return len(page.GetEvents()), page.GetCursor(), nil
	})
	if err != nil {
		return cli.NotFoundFix(err, seeList)
	}
	if err := list.Close(); err != nil {
		return err
	}
	o.Out.MoreHint(more, list.Len())
	return nil
}
