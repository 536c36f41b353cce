package queue

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"
	"google.golang.org/grpc"

	"github.com/prism-data-layer/prism/pkg/cli"
	queuev1 "github.com/prism-data-layer/prism/proto/prism/queue/v1"
)

type redriver interface {
	Redrive(context.Context, *queuev1.RedriveRequest, ...grpc.CallOption) (*queuev1.RedriveResponse, error)
}

type redriveOptions struct {
	Out       *cli.Output
	Client    func(context.Context) (redriver, error)
	Namespace func() (string, error)

	Queue string
	IDs   []string
	Max   int32
}

// moved is what a redrive did.
type moved struct {
	namespace, queue string
	n                int64
}

func movedKind() cli.Kind[moved] {
	return cli.Kind[moved]{Name: "Redrive", Fields: []cli.Field[moved]{
		cli.Text("queue", "QUEUE", "its name", func(m moved) string { return m.queue }),
		cli.Text("namespace", "NAMESPACE", "where it is", func(m moved) string { return m.namespace }),
		cli.Int("moved", "MOVED", "dead letters that are ready again", func(m moved) int64 { return m.n }),
	}}
}

func newRedrive(f *cli.Factory, run func(context.Context, *redriveOptions) error) *cobra.Command {
	o := &redriveOptions{
		Client:    func(ctx context.Context) (redriver, error) { return f.WorkQueue(ctx) },
		Namespace: func() (string, error) { return f.Namespace(model) },
	}
	cmd := &cobra.Command{
		Use:     "redrive QUEUE [ID…]",
		Short:   "Deliver dead letters again",
		Long:    "Makes the dead letters with the ids that are named ready again, or without any all of them, with\nno attempts counted.",
		Example: "  prismctl queue redrive mail\n  prismctl queue redrive mail --max 10",
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) == 0 {
				return cli.Usage("prismctl queue redrive QUEUE", "prismctl queue redrive needs QUEUE")
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			o.Queue, o.IDs = args[0], args[1:]
			return run(cmd.Context(), o)
		},
	}
	o.Out = cli.AddOutput(f, cmd, movedKind().Info())
	cmd.Flags().Int32Var(&o.Max, "max", 0, "the oldest `N` of them")
	cli.SetDefault(cmd, "max", "all")
	return cmd
}

func runRedrive(ctx context.Context, o *redriveOptions) error {
	ns, err := o.Namespace()
	if err != nil {
		return err
	}
	c, err := o.Client(ctx)
	if err != nil {
		return err
	}
	r, err := c.Redrive(ctx, &queuev1.RedriveRequest{Namespace: ns, Queue: o.Queue, MessageIds: o.IDs, Limit: o.Max})
	if err != nil {
		return explain(err, ns)
	}
	sentence := fmt.Sprintf("%s of %s ready again in %s", cli.Plural(int(r.GetMoved()), "dead letter"), o.Queue, ns)
	return cli.PrintChanged(o.Out, movedKind(), moved{ns, o.Queue, r.GetMoved()}, sentence, "prismctl queue info "+cli.Quote(o.Queue))
}
