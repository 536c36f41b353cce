package queue

import (
	"context"

	"github.com/spf13/cobra"
	"google.golang.org/grpc"

	"github.com/prism-data-layer/prism/pkg/cli"
	queuev1 "github.com/prism-data-layer/prism/proto/prism/queue/v1"
)

type informer interface {
	GetQueueInfo(context.Context, *queuev1.GetQueueInfoRequest, ...grpc.CallOption) (*queuev1.GetQueueInfoResponse, error)
}

type infoOptions struct {
	Out       *cli.Output
	Client    func(context.Context) (informer, error)
	Namespace func() (string, error)

	Queue string
}

func infoKind() cli.Kind[*queuev1.GetQueueInfoResponse] {
	type i = *queuev1.GetQueueInfoResponse
	return cli.Kind[i]{Name: "Queue", Fields: []cli.Field[i]{
		cli.Text("queue", "QUEUE", "its name", func(v i) string { return v.GetQueue() }),
		cli.Int("ready", "READY", "messages that may be delivered, or wait for their key", func(v i) int64 { return v.GetReady() }),
		cli.Int("delayed", "DELAYED", "messages that wait for their time", func(v i) int64 { return v.GetDelayed() }),
		cli.Int("leased", "LEASED", "messages that are being worked off", func(v i) int64 { return v.GetLeased() }),
		cli.Int("dead", "DEAD", "messages that failed too often or were rejected", func(v i) int64 { return v.GetDead() }),
		cli.Bytes("size_bytes", "SIZE", "bytes of all messages", func(v i) int64 { return v.GetSizeBytes() }),
		cli.Millis("oldest_age_ms", "OLDEST", "age of the oldest that is ready or leased", func(v i) int64 { return v.GetOldestAgeMs() }),
		cli.Time("next_due_at", "NEXT DUE", "when the next delayed message becomes ready", func(v i) int64 { return v.GetNextDueMs() }),
		cli.Millis("lease_ms", "LEASE", "of a message that is received", func(v i) int64 { return v.GetSettings().GetLeaseMs() }),
		cli.Int("max_attempts", "MAX ATTEMPTS", "deliveries before a message is dead", func(v i) int64 { return int64(v.GetSettings().GetMaxAttempts()) }),
		cli.Millis("retention_ms", "RETENTION", "of messages that nobody works off", func(v i) int64 { return v.GetSettings().GetRetentionMs() }),
		cli.Int("published", "PUBLISHED", "since the gateway was started", func(v i) int64 { return v.GetPublished() }),
		cli.Int("delivered", "DELIVERED", "since the gateway was started", func(v i) int64 { return v.GetDelivered() }),
		cli.Int("acknowledged", "ACKNOWLEDGED", "since the gateway was started", func(v i) int64 { return v.GetAcknowledged() }),
		cli.Int("redelivered", "REDELIVERED", "deliveries that were not the first", func(v i) int64 { return v.GetRedelivered() }),
	}}
}

func newInfo(f *cli.Factory, run func(context.Context, *infoOptions) error) *cobra.Command {
	o := &infoOptions{
		Client:    func(ctx context.Context) (informer, error) { return f.WorkQueue(ctx) },
		Namespace: func() (string, error) { return f.Namespace(model) },
	}
	cmd := &cobra.Command{
		Use:     "info QUEUE",
		Short:   "Show what a queue holds and how it is set",
		Long:    "Counts the messages of each state, and shows the settings that the queue was made with.",
		Example: "  prismctl queue info mail\n  prismctl queue info mail -o json",
		Args:    cli.ExactArgs("QUEUE"),
		RunE: func(cmd *cobra.Command, args []string) error {
			o.Queue = args[0]
			return run(cmd.Context(), o)
		},
	}
	o.Out = cli.AddOutput(f, cmd, infoKind().Info())
	return cmd
}

func runInfo(ctx context.Context, o *infoOptions) error {
	ns, err := o.Namespace()
	if err != nil {
		return err
	}
	c, err := o.Client(ctx)
	if err != nil {
		return err
	}
	r, err := c.GetQueueInfo(ctx, &queuev1.GetQueueInfoRequest{Namespace: ns, Queue: o.Queue})
	if err != nil {
		return explain(err, ns)
	}
	return cli.PrintOne(o.Out, infoKind(), r)
}
