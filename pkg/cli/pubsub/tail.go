package pubsub

import (
	"context"
	"maps"
	"slices"
	"unicode/utf8"

	"github.com/spf13/cobra"
	"google.golang.org/grpc"

	"github.com/prism-data-layer/prism/pkg/cli"
	"github.com/prism-data-layer/prism/pkg/clock"
	pubsubv1 "github.com/prism-data-layer/prism/proto/prism/pubsub/v1"
)

type subscriber interface {
	Subscribe(context.Context, *pubsubv1.SubscribeRequest, ...grpc.CallOption) (grpc.ServerStreamingClient[pubsubv1.SubscribeResponse], error)
	Acknowledge(context.Context, *pubsubv1.AcknowledgeRequest, ...grpc.CallOption) (*pubsubv1.AcknowledgeResponse, error)
}

type tailOptions struct {
	Clock clock.Clock
	Out   *cli.Output
	cli.Door[subscriber]

	Pattern, Group, Durable, From string
	Since                         cli.DurationFlag
	Where                         []string

	request *pubsubv1.SubscribeRequest
	at      string // the last position
	list    *cli.List[*pubsubv1.Event]
	left    int
}

func eventKind() cli.Kind[*pubsubv1.Event] {
	type event = *pubsubv1.Event
	return cli.Kind[event]{Name: "Event", Fields: []cli.Field[event]{
		cli.Text("topic", "TOPIC", "where it was published", func(e event) string { return e.GetTopic() }),
		cli.Text("payload", "PAYLOAD", "what it carries; null where it is not UTF-8", func(e event) string { return string(e.GetPayload()) }).
			Optional(func(e event) bool { return utf8.Valid(e.GetPayload()) }),
		cli.Time("time", "TIME", "when it was published", func(e event) int64 { return e.GetTimeMs() }),
		cli.Text("event_id", "EVENT", "its id", func(e event) string { return e.GetEventId() }).OnlyWide(),
		cli.Text("payload_base64", "", "what it carries, where it is not UTF-8", func(e event) string { return base64(e.GetPayload()) }).
			Optional(func(e event) bool { return !utf8.Valid(e.GetPayload()) }),
		cli.Nested("attributes", "its attributes", func(e event) any { return object(e.GetAttributes()) }),
		cli.Text("correlation_id", "", "by which an answer finds its request", func(e event) string { return e.GetCorrelationId() }),
		cli.Text("reply_to", "", "the topic that answers go to", func(e event) string { return e.GetReplyTo() }),
		cli.Text("ordering_key", "", "with which others it is in order", func(e event) string { return e.GetOrderingKey() }),
		cli.Text("position", "", "of a persistent event: give it to --from to go on after it", func(e event) string { return e.GetPosition() }),
	}}
}

func newTail(f *cli.Factory, run func(context.Context, *tailOptions) error) *cobra.Command {
	o := &tailOptions{
		Clock: f.Clock,
		Door:  cli.OpenDoor(f, model, func(ctx context.Context) (subscriber, error) { return f.PubSub(ctx) }),
	}
	cmd := &cobra.Command{
		Use:   "tail [PATTERN]",
		Short: "Show events as they are published",
		Long: `Shows the events whose topic PATTERN covers, until Ctrl-C or --limit: live ones from now on, or
with --from, --since or --durable the persistent ones. A gateway that restarts is waited for; no
persistent event is missed, and live ones may be. For programs, -o json prints one object a line.`,
		Example: `  prismctl pubsub tail 'orders.>' --limit 10
  prismctl pubsub tail --from earliest --where region=eu -o json --limit 1`,
		Args: cli.OptionalArgs("PATTERN"),
		RunE: func(cmd *cobra.Command, args []string) error {
			if o.Pattern = ">"; len(args) == 1 {
				o.Pattern = args[0]
			}
			return run(cmd.Context(), o)
		},
	}
	o.Out = cli.AddListOutput(f, cmd, eventKind().Info())
	flags := cmd.Flags()
	flags.StringVar(&o.Group, "group", "", "share the events with others of this `GROUP`")
	flags.StringVar(&o.Durable, "durable", "", "remember under this `NAME` what was shown, and go on there the next time")
	flags.StringVar(&o.From, "from", "", "show persistent events after this `POSITION`, or from the earliest")
	flags.Var(&o.Since, "since", "show persistent events of the last `DURATION` too")
	flags.StringArrayVar(&o.Where, "where", nil, "only events with this attribute, `NAME=VALUE`; may be given again")
	cli.SetDefault(cmd, "group", "none")
	cli.SetDefault(cmd, "durable", "none")
	cli.SetDefault(cmd, "from", "live events only")
	cli.SetDefault(cmd, "since", "live events only")
	cli.SetDefault(cmd, "limit", "0: until Ctrl-C")
	return cmd
}

// ask makes the request that everything begins with.
func (o *tailOptions) ask(ns string) error {
	where, err := pairs("where", o.Where)
	if err != nil {
		return err
	}
	if o.From != "" && o.Since != 0 {
		return cli.Usage("leave out --from or --since", "the start is given twice")
	}
	o.request = &pubsubv1.SubscribeRequest{Namespace: ns, Pattern: o.Pattern, QueueGroup: o.Group, DurableName: o.Durable}
	for _, name := range slices.Sorted(maps.Keys(where)) {
		o.request.Filter = append(o.request.Filter, &pubsubv1.FilterClause{Attribute: name, Op: pubsubv1.FilterOp_FILTER_OP_IN, Values: []string{where[name]}})
	}
	switch {
	case o.From == "earliest":
		o.request.Start = &pubsubv1.Start{Start: &pubsubv1.Start_Earliest{Earliest: true}}
	case o.From != "":
		o.request.Start = &pubsubv1.Start{Start: &pubsubv1.Start_After{After: o.From}}
	case o.Since != 0:
		o.request.Start = &pubsubv1.Start{Start: &pubsubv1.Start_TimeMs{TimeMs: o.Clock.Now().UnixMilli() - o.Since.Milliseconds()}}
	}
	return nil
}

func runTail(ctx context.Context, o *tailOptions) error {
	if err := o.Out.Endless(); err != nil {
		return err
	}
	ns, err := o.Namespace()
	if err != nil {
		return err
	}
	if err := o.ask(ns); err != nil {
		return err
	}
	c, err := o.Client(ctx)
	if err != nil {
		return err
	}
	o.list, o.left = cli.NewList(o.Out, eventKind(), ""), o.Out.Limit
	stream := cli.Stream[pubsubv1.SubscribeResponse]{
		Clock: o.Clock, Out: o.Out, List: o.list,
		Open: func(ctx context.Context) (grpc.ServerStreamingClient[pubsubv1.SubscribeResponse], error) {
			if o.at != "" {
				o.request.Start = &pubsubv1.Start{Start: &pubsubv1.Start_After{After: o.at}}
			}
			return c.Subscribe(ctx, o.request)
		},
		Show: func(ctx context.Context, batch *pubsubv1.SubscribeResponse) error {
			err := o.show(batch)
			if ackErr := o.acknowledge(ctx, c); err == nil {
				err = ackErr
			}
			return err
		},
		Resume:  func(position string) { o.at = position },
		Back:    o.back,
		Explain: explain,
	}
	return stream.Follow(ctx)
}

func (o *tailOptions) back() string {
	if o.request.Start == nil && o.Durable == "" {
		return "the gateway is back; events in between were missed"
	}
	return "the gateway is back"
}

func (o *tailOptions) show(batch *pubsubv1.SubscribeResponse) error {
	if n := batch.GetDropped(); n > 0 {
		o.Out.Note("%d events were dropped: they came faster than they are shown", n)
	}
	for _, e := range batch.GetEvents() {
		if err := o.list.Add(e); err != nil {
			return err
		}
		if e.GetPosition() != "" {
			o.at = e.GetPosition()
		}
		if o.left--; o.left == 0 {
			return cli.ErrEnough
		}
	}
	if batch.GetPosition() != "" {
		o.at = batch.GetPosition()
	}
	return o.list.Flush()
}

// acknowledge remembers for a durable name what was shown.
func (o *tailOptions) acknowledge(ctx context.Context, c subscriber) error {
	if o.Durable == "" || o.at == "" {
		return nil
	}
	_, err := c.Acknowledge(ctx, &pubsubv1.AcknowledgeRequest{Namespace: o.request.Namespace, DurableName: o.Durable, Position: o.at})
	return err
}
