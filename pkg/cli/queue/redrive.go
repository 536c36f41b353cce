package queue

import (
	"context"
	"fmt"
	"slices"

	"github.com/spf13/cobra"

	"github.com/prism-data-layer/prism/pkg/cli"
	queuev1 "github.com/prism-data-layer/prism/proto/prism/queue/v1"
)

type redriveOptions struct {
	Out *cli.Output
	door

	Queue  string
	IDs    []string
	Max    int32
	DryRun bool
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
	o := &redriveOptions{door: openDoor(f)}
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
		ValidArgsFunction: completeNames(f),
		RunE: func(cmd *cobra.Command, args []string) error {
			o.Queue, o.IDs = args[0], args[1:]
			return run(cmd.Context(), o)
		},
	}
	o.Out = cli.AddOutput(f, cmd, movedKind().Info())
	cmd.Flags().Int32Var(&o.Max, "max", 0, "the oldest `N` of them")
	cmd.Flags().BoolVar(&o.DryRun, "dry-run", false, "count them, and move none")
	cli.SetDefault(cmd, "max", "all")
	return cmd
}

func runRedrive(ctx context.Context, o *redriveOptions) error {
	h, err := o.enter(ctx)
	if err != nil {
		return err
	}
	if o.DryRun {
		return o.would(ctx, h)
	}
	r, err := h.work.Redrive(ctx, &queuev1.RedriveRequest{Namespace: h.ns, Queue: o.Queue, MessageIds: o.IDs, Limit: o.Max})
	if err != nil {
		return explain(err, h.ns)
	}
	sentence := fmt.Sprintf("%s of %s ready again in %s", cli.Plural(int(r.GetMoved()), "dead letter"), o.Queue, h.ns)
	return cli.PrintChanged(o.Out, movedKind(), moved{h.ns, o.Queue, r.GetMoved()}, sentence, cli.Next(model, h.ns, "queue", "info", o.Queue))
}

// would counts the dead letters that a redrive would move.
func (o *redriveOptions) would(ctx context.Context, h hall) error {
	m := moved{h.ns, o.Queue, 0}
	_, err := cli.Pages(ctx, 0, func(ctx context.Context, cursor string, size int32) (int, string, error) {
		page, err := h.work.Peek(ctx, &queuev1.PeekRequest{Namespace: h.ns, Queue: o.Queue, State: queuev1.MessageState_MESSAGE_STATE_DEAD, Limit: size, Cursor: cursor})
		for _, d := range page.GetMessages() {
			if len(o.IDs) == 0 || slices.Contains(o.IDs, d.GetMessageId()) {
				m.n++
			}
		}
		return len(page.GetMessages()), page.GetCursor(), err
	})
	if err != nil {
		return explain(err, h.ns)
	}
	if len(o.IDs) == 0 && o.Max > 0 {
		m.n = min(m.n, int64(o.Max))
	}
	return cli.PrintChanged(o.Out, movedKind(), m, fmt.Sprintf("%s of %s would be ready again in %s (dry run)", cli.Plural(m.n, "dead letter"), o.Queue, h.ns), "")
}
