package queue

import (
	"context"

	"github.com/spf13/cobra"
	"google.golang.org/grpc"

	"github.com/prism-data-layer/prism/pkg/cli"
	queuev1 "github.com/prism-data-layer/prism/proto/prism/queue/v1"
)

type lister interface {
	ListQueues(context.Context, *queuev1.ListQueuesRequest, ...grpc.CallOption) (*queuev1.ListQueuesResponse, error)
	informer
}

type listOptions struct {
	Out       *cli.Output
	Client    func(context.Context) (lister, error)
	Namespace func() (string, error)
}

func newList(f *cli.Factory, run func(context.Context, *listOptions) error) *cobra.Command {
	o := &listOptions{
		Client:    func(ctx context.Context) (lister, error) { return f.WorkQueue(ctx) },
		Namespace: func() (string, error) { return f.Namespace(model) },
	}
	cmd := &cobra.Command{
		Use:     "list",
		Aliases: []string{"ls"},
		Short:   "List the queues of a namespace",
		Long:    "Lists the queues by name, with what each holds.",
		Example: "  prismctl queue list\n  prismctl queue list -n queue -o name",
		Args:    cli.NoArgs,
		RunE:    func(cmd *cobra.Command, _ []string) error { return run(cmd.Context(), o) },
	}
	o.Out = cli.AddListOutput(f, cmd, infoKind().Info())
	return cmd
}

func runList(ctx context.Context, o *listOptions) error {
	ns, err := o.Namespace()
	if err != nil {
		return err
	}
	c, err := o.Client(ctx)
	if err != nil {
		return err
	}
	list := cli.NewList(o.Out, infoKind(), "there are no queues in "+ns+"; prismctl queue publish QUEUE PAYLOAD makes one")
	more, err := cli.Pages(ctx, o.Out.Limit, func(ctx context.Context, cursor string, size int32) (int, string, error) {
		page, err := c.ListQueues(ctx, &queuev1.ListQueuesRequest{Namespace: ns, Limit: size, Cursor: cursor})
		if err != nil {
			return 0, "", err
		}
		for _, name := range page.GetQueues() {
			i, err := c.GetQueueInfo(ctx, &queuev1.GetQueueInfoRequest{Namespace: ns, Queue: name})
			if err != nil {
				return 0, "", err
			}
			if err := list.Add(i); err != nil {
				return 0, "", err
			}
		}
		return len(page.GetQueues()), page.GetCursor(), list.Flush()
	})
	if err != nil {
		return explain(err, ns)
	}
	if err := list.Close(); err != nil {
		return err
	}
	o.Out.MoreHint(more, list.Len(), "--limit N")
	return nil
}
