package queue

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"
	"google.golang.org/grpc"

	"github.com/prism-data-layer/prism/pkg/cli"
	queuev1 "github.com/prism-data-layer/prism/proto/prism/queue/v1"
)

type creator interface {
	CreateQueue(context.Context, *queuev1.CreateQueueRequest, ...grpc.CallOption) (*queuev1.CreateQueueResponse, error)
}

type createOptions struct {
	Out       *cli.Output
	Client    func(context.Context) (creator, error)
	Namespace func() (string, error)

	Queue            string
	Lease, Retention cli.DurationFlag
	MaxAttempts      int32
}

// made is what a create did.
type made struct {
	namespace, queue string
	created          bool
}

func madeKind() cli.Kind[made] {
	return cli.Kind[made]{Name: "QueueCreation", Fields: []cli.Field[made]{
		cli.Text("queue", "QUEUE", "its name", func(m made) string { return m.queue }),
		cli.Text("namespace", "NAMESPACE", "where it is", func(m made) string { return m.namespace }),
		cli.Bool("created", "CREATED", "false if it was there, with the same settings", func(m made) bool { return m.created }),
	}}
}

func newCreate(f *cli.Factory, run func(context.Context, *createOptions) error) *cobra.Command {
	o := &createOptions{
		Client:    func(ctx context.Context) (creator, error) { return f.WorkQueue(ctx) },
		Namespace: func() (string, error) { return f.Namespace(model) },
	}
	cmd := &cobra.Command{
		Use:     "create QUEUE",
		Short:   "Make a queue with settings of its own",
		Long:    "Makes a queue. One that is there with the same settings is no error. Publishing makes queues too,\nwith the defaults.",
		Example: "  prismctl queue create mail\n  prismctl queue create slow --lease 10m --max-attempts 20 --retention 30d",
		Args:    cli.ExactArgs("QUEUE"),
		RunE: func(cmd *cobra.Command, args []string) error {
			o.Queue = args[0]
			return run(cmd.Context(), o)
		},
	}
	o.Out = cli.AddOutput(f, cmd, madeKind().Info())
	flags := cmd.Flags()
	flags.Var(&o.Lease, "lease", "hold a message that is received for this `DURATION`")
	flags.Int32Var(&o.MaxAttempts, "max-attempts", 0, "make a dead letter after `N` deliveries")
	flags.Var(&o.Retention, "retention", "forget messages that nobody works off after this `DURATION`")
	cli.SetDefault(cmd, "lease", "30s")
	cli.SetDefault(cmd, "max-attempts", "5")
	cli.SetDefault(cmd, "retention", "7d")
	return cmd
}

func runCreate(ctx context.Context, o *createOptions) error {
	ns, err := o.Namespace()
	if err != nil {
		return err
	}
	c, err := o.Client(ctx)
	if err != nil {
		return err
	}
	r, err := c.CreateQueue(ctx, &queuev1.CreateQueueRequest{Namespace: ns, Queue: o.Queue, Settings: &queuev1.QueueSettings{
		LeaseMs: o.Lease.Milliseconds(), MaxAttempts: o.MaxAttempts, RetentionMs: o.Retention.Milliseconds(),
	}})
	if err != nil {
		return explain(err, ns)
	}
	sentence := fmt.Sprintf("made queue %s in %s", o.Queue, ns)
	if !r.GetCreated() {
		sentence = fmt.Sprintf("queue %s is there already in %s, with these settings", o.Queue, ns)
	}
	return cli.PrintChanged(o.Out, madeKind(), made{ns, o.Queue, r.GetCreated()}, sentence, "prismctl queue publish "+cli.Quote(o.Queue)+" hello")
}
