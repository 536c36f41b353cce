package queue

import (
	"context"
	"strings"

	"github.com/spf13/cobra"
	"google.golang.org/grpc"

	"github.com/prism-data-layer/prism/pkg/cli"
	queuev1 "github.com/prism-data-layer/prism/proto/prism/queue/v1"
)

type peeker interface {
	Peek(context.Context, *queuev1.PeekRequest, ...grpc.CallOption) (*queuev1.PeekResponse, error)
}

type peekOptions struct {
	Out       *cli.Output
	Client    func(context.Context) (peeker, error)
	Namespace func() (string, error)

	Queue, State string
	All          bool
}

var states = map[string]queuev1.MessageState{
	"ready":   queuev1.MessageState_MESSAGE_STATE_READY,
	"delayed": queuev1.MessageState_MESSAGE_STATE_DELAYED,
	"leased":  queuev1.MessageState_MESSAGE_STATE_LEASED,
	"dead":    queuev1.MessageState_MESSAGE_STATE_DEAD,
}

func stateName(s queuev1.MessageState) string {
	return strings.ToLower(strings.TrimPrefix(s.String(), "MESSAGE_STATE_"))
}

func peekedKind() cli.Kind[*queuev1.PeekedMessage] {
	type m = *queuev1.PeekedMessage
	payload := payloadFields(func(v m) []byte { return v.GetPayload() })
	return cli.Kind[m]{Name: "QueuedMessage", Fields: []cli.Field[m]{
		cli.Text("message_id", "ID", "the message's id", func(v m) string { return v.GetMessageId() }),
		cli.State("state", "STATE", "ready, delayed, leased or dead", func(v m) string { return stateName(v.GetState()) }),
		payload[0],
		cli.Text("key", "KEY", "messages with one key come in order", func(v m) string { return v.GetKey() }),
		cli.Int("attempts", "ATTEMPTS", "deliveries so far", func(v m) int64 { return int64(v.GetAttempts()) }),
		cli.Text("reason", "REASON", "why it is dead, or was last released", func(v m) string { return v.GetReason() }),
		cli.Time("published_at", "PUBLISHED", "when it was published", func(v m) int64 { return v.GetPublishedMs() }),
		cli.Time("due_at", "DUE", "when it becomes ready, or its lease ends", func(v m) int64 { return v.GetDueMs() }),
		payload[1],
		cli.Int("priority", "PRIORITY", "the highest goes first", func(v m) int64 { return int64(v.GetPriority()) }).OnlyWide(),
		cli.Nested("attributes", "what was published with it", func(v m) any { return attributesOf(v.GetAttributes()) }),
	}}
}

// usual is how many messages are shown unless a flag says otherwise.
const usual = "100"

func newPeek(f *cli.Factory, run func(context.Context, *peekOptions) error) *cobra.Command {
	o := &peekOptions{
		Client:    func(ctx context.Context) (peeker, error) { return f.WorkQueue(ctx) },
		Namespace: func() (string, error) { return f.Namespace(model) },
	}
	cmd := &cobra.Command{
		Use:     "peek QUEUE",
		Short:   "Look at messages without taking them",
		Long:    "Lists the messages of one state in the order of their delivery. Nothing is leased, and no attempt\ncounts.",
		Example: "  prismctl queue peek mail\n  prismctl queue peek mail --state delayed -o json",
		Args:    cli.ExactArgs("QUEUE"),
		RunE: func(cmd *cobra.Command, args []string) error {
			o.Queue = args[0]
			return run(cmd.Context(), o)
		},
	}
	addPage(f, cmd, o)
	cmd.Flags().StringVar(&o.State, "state", "ready", "of this `STATE`: ready, delayed, leased or dead")
	return cmd
}

// newDLQ is peek for dead letters.
func newDLQ(f *cli.Factory, run func(context.Context, *peekOptions) error) *cobra.Command {
	o := &peekOptions{
		State:     "dead",
		Client:    func(ctx context.Context) (peeker, error) { return f.WorkQueue(ctx) },
		Namespace: func() (string, error) { return f.Namespace(model) },
	}
	cmd := &cobra.Command{
		Use:     "dlq QUEUE",
		Short:   "List dead letters, with the reasons",
		Long:    "Lists the messages that failed too often or were rejected, the oldest first.",
		Example: "  prismctl queue dlq mail\n  prismctl queue dlq mail --all -o json",
		Args:    cli.ExactArgs("QUEUE"),
		RunE: func(cmd *cobra.Command, args []string) error {
			o.Queue = args[0]
			return run(cmd.Context(), o)
		},
	}
	addPage(f, cmd, o)
	return cmd
}

func addPage(f *cli.Factory, cmd *cobra.Command, o *peekOptions) {
	o.Out = cli.AddListOutput(f, cmd, peekedKind().Info())
	cmd.Flags().BoolVar(&o.All, "all", false, "all there are, whatever --limit says")
	cli.SetDefault(cmd, "limit", usual)
	_ = cmd.Flags().Lookup("limit").Value.Set(usual)
}

func runPeek(ctx context.Context, o *peekOptions) error {
	state, ok := states[o.State]
	if !ok {
		return cli.Usage("--state ready, delayed, leased or dead", "%q is no state of a message", o.State)
	}
	ns, err := o.Namespace()
	if err != nil {
		return err
	}
	c, err := o.Client(ctx)
	if err != nil {
		return err
	}
	limit := o.Out.Limit
	if o.All {
		limit = 0
	}
	list := cli.NewList(o.Out, peekedKind(), "no message of "+o.Queue+" is "+o.State+"; prismctl queue info "+o.Queue+" counts them")
	more, err := cli.Pages(ctx, limit, func(ctx context.Context, cursor string, size int32) (int, string, error) {
		page, err := c.Peek(ctx, &queuev1.PeekRequest{Namespace: ns, Queue: o.Queue, State: state, Limit: size, Cursor: cursor})
		if err != nil {
			return 0, "", err
		}
		for _, m := range page.GetMessages() {
			if err := list.Add(m); err != nil {
				return 0, "", err
			}
		}
		return len(page.GetMessages()), page.GetCursor(), list.Flush()
	})
	if err != nil {
		return explain(err, ns)
	}
	if err := list.Close(); err != nil {
		return err
	}
	o.Out.MoreHint(more, list.Len(), "--all, or --limit N,")
	return nil
}
