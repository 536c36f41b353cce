package queue

import (
	"context"
	"time"

	"github.com/spf13/cobra"
	"google.golang.org/grpc"

	"github.com/prism-data-layer/prism/pkg/cli"
	"github.com/prism-data-layer/prism/pkg/clock"
	"github.com/prism-data-layer/prism/pkg/prism"
	"github.com/prism-data-layer/prism/pkg/wire"
	queuev1 "github.com/prism-data-layer/prism/proto/prism/queue/v1"
)

type receiver interface {
	Receive(context.Context, *queuev1.ReceiveRequest, ...grpc.CallOption) (*queuev1.ReceiveResponse, error)
	Acknowledge(context.Context, *queuev1.WorkQueueServiceAcknowledgeRequest, ...grpc.CallOption) (*queuev1.WorkQueueServiceAcknowledgeResponse, error)
}

type subscribeOptions struct {
	Out       *cli.Output
	Client    func(context.Context) (receiver, error)
	Namespace func() (string, error)
	Clock     clock.Clock
	Timeout   func() time.Duration // of a call

	Queue string
	Max   int
	Ack   bool
	Lease cli.DurationFlag

	list *cli.List[*queuev1.LeasedMessage]
	said bool // that the gateway is away
}

func leasedKind() cli.Kind[*queuev1.LeasedMessage] {
	type m = *queuev1.LeasedMessage
	payload := payloadFields(func(v m) []byte { return v.GetPayload() })
	return cli.Kind[m]{Name: "LeasedMessage", Fields: []cli.Field[m]{
		cli.Text("message_id", "ID", "the message's id", func(v m) string { return v.GetMessageId() }),
		payload[0],
		cli.Text("key", "KEY", "messages with one key come in order", func(v m) string { return v.GetKey() }),
		cli.Int("attempt", "ATTEMPT", "deliveries, this one included", func(v m) int64 { return int64(v.GetAttempt()) }),
		cli.Time("published_at", "PUBLISHED", "when it was published", func(v m) int64 { return v.GetPublishedMs() }),
		payload[1],
		cli.Int("priority", "PRIORITY", "the highest goes first", func(v m) int64 { return int64(v.GetPriority()) }).OnlyWide(),
		cli.Time("lease_ends_at", "LEASE ENDS", "when it comes again, unless it is acknowledged", func(v m) int64 { return v.GetLeaseUntilMs() }).OnlyWide(),
		cli.Nested("attributes", "what was published with it", func(v m) any { return attributesOf(v.GetAttributes()) }),
		cli.Text("lease", "", "the token of the lease", func(v m) string { return v.GetLease() }),
	}}
}

func newSubscribe(f *cli.Factory, run func(context.Context, *subscribeOptions) error) *cobra.Command {
	o := &subscribeOptions{
		Client:    func(ctx context.Context) (receiver, error) { return f.WorkQueue(ctx) },
		Namespace: func() (string, error) { return f.Namespace(model) },
		Clock:     f.Clock,
		Timeout:   func() time.Duration { return f.Globals.Timeout },
	}
	cmd := &cobra.Command{
		Use:   "subscribe QUEUE",
		Short: "Receive messages and print them",
		Long: `Leases messages as they come and prints each, until Ctrl-C or --max of them. With --ack they are
acknowledged when they are printed; without, each comes again when its lease ends. A gateway that
restarts is waited for. For programs, -o json prints one object a line.`,
		Example: "  prismctl queue subscribe mail --max 10 --ack\n  prismctl queue subscribe mail --max 1 --lease 5m -o json",
		Args:    cli.ExactArgs("QUEUE"),
		RunE: func(cmd *cobra.Command, args []string) error {
			o.Queue = args[0]
			return run(cmd.Context(), o)
		},
	}
	o.Out = cli.AddListOutput(f, cmd, leasedKind().Info())
	flags := cmd.Flags()
	flags.IntVar(&o.Max, "max", 0, "end after `N` messages")
	flags.BoolVar(&o.Ack, "ack", false, "acknowledge what was printed")
	flags.Var(&o.Lease, "lease", "hold each message for this `DURATION`")
	cli.SetDefault(cmd, "max", "until Ctrl-C")
	cli.SetDefault(cmd, "lease", "the queue's")
	cli.SetDefault(cmd, "limit", "as --max")
	return cmd
}

// pause is the wait before a gateway that is away is asked again.
const pause = 500 * time.Millisecond

// longestWait is how long the gateway is asked to wait for a message.
const longestWait = 20 * time.Second

func runSubscribe(ctx context.Context, o *subscribeOptions) error {
	left := o.Max
	if left == 0 {
		left = o.Out.Limit
	}
	if left < 0 {
		return cli.Usage("--max N, a positive number", "--max is negative")
	}
	if left == 0 {
		if err := o.Out.Endless(); err != nil {
			return err
		}
	}
	ns, err := o.Namespace()
	if err != nil {
		return err
	}
	c, err := o.Client(ctx)
	if err != nil {
		return err
	}
	o.list = cli.NewList(o.Out, leasedKind(), "")
	for endless, started := left == 0, false; endless || left > 0; {
		n, err := o.receive(ctx, c, ns, left)
		switch {
		case ctx.Err() != nil:
			_ = o.list.Close()
			return context.Cause(ctx)
		case err != nil && !(started && away(err)):
			_ = o.list.Close()
			return explain(err, ns)
		case err != nil:
			if err := o.wait(ctx); err != nil {
				return err
			}
			continue
		}
		started = true
		left = max(left-n, 0)
	}
	return o.list.Close()
}

// wait says that the gateway is away, and waits a moment.
func (o *subscribeOptions) wait(ctx context.Context) error {
	if !o.said {
		o.Out.Note("the gateway is away; waiting to go on")
		o.said = true
	}
	timer := o.Clock.NewTimer(pause)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		_ = o.list.Close()
		return context.Cause(ctx)
	case <-timer.C:
		return nil
	}
}

// receive prints what one call gives, up to most (0: any), and acknowledges it.
func (o *subscribeOptions) receive(ctx context.Context, c receiver, ns string, most int) (int, error) {
	if most == 0 || most > 100 {
		most = 100
	}
	wait := min(longestWait, o.Timeout()*3/4)
	r, err := c.Receive(ctx, &queuev1.ReceiveRequest{
		Namespace: ns, Queue: o.Queue, MaxMessages: int32(most), LeaseMs: o.Lease.Milliseconds(), WaitMs: wait.Milliseconds(),
	})
	if err != nil {
		return 0, err
	}
	if o.said {
		o.Out.Note("the gateway is back")
		o.said = false
	}
	var leases []string
	for _, m := range r.GetMessages() {
		if err := o.list.Add(m); err != nil {
			return 0, err
		}
		leases = append(leases, m.GetLease())
	}
	if err := o.list.Flush(); err != nil {
		return 0, err
	}
	if !o.Ack || len(leases) == 0 {
		return len(leases), nil
	}
	a, err := c.Acknowledge(ctx, &queuev1.WorkQueueServiceAcknowledgeRequest{Namespace: ns, Queue: o.Queue, Leases: leases})
	if err != nil {
		return len(leases), err
	}
	for i, res := range a.GetResults() {
		if e := res.GetError(); e != nil {
			return len(leases), prism.From(wire.FromItem(e)).WithMeta("message_id", r.GetMessages()[i].GetMessageId())
		}
	}
	return len(leases), nil
}
