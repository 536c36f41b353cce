package pubsub

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"
	"google.golang.org/grpc"

	"github.com/prism-data-layer/prism/pkg/cli"
	"github.com/prism-data-layer/prism/pkg/iostreams"
	"github.com/prism-data-layer/prism/pkg/prism"
	pubsubv1 "github.com/prism-data-layer/prism/proto/prism/pubsub/v1"
)

type publisher interface {
	Publish(context.Context, *pubsubv1.PublishRequest, ...grpc.CallOption) (*pubsubv1.PublishResponse, error)
}

type publishOptions struct {
	IO  *iostreams.IOStreams
	Out *cli.Output
	cli.Door[publisher]

	Event         pubsubv1.Outgoing
	Payload, File string
	HasPayload    bool
	Attributes    []string
}

// published is what became of an event.
type published struct {
	namespace, topic string
	*pubsubv1.PublishResponse
}

func publishedKind() cli.Kind[published] {
	return cli.Kind[published]{Name: "PublishedEvent", Fields: []cli.Field[published]{
		cli.Text("event_id", "EVENT", "the id that the gateway has given it", func(p published) string { return p.GetEventId() }),
		cli.Text("topic", "TOPIC", "where it went", func(p published) string { return p.topic }),
		cli.Text("namespace", "NAMESPACE", "where that is", func(p published) string { return p.namespace }),
		cli.Int("subscribers", "SUBSCRIBERS", "subscriptions that it went to; null: the backend does not tell", func(p published) int64 { return p.GetSubscriberCount() }).
			Optional(func(p published) bool { return p.SubscriberCount != nil }),
		cli.Time("time", "TIME", "when", func(p published) int64 { return p.GetTimeMs() }),
		cli.Text("position", "", "of a persistent event: give it to tail --from to go on after it", func(p published) string { return p.GetPosition() }),
	}}
}

func newPublish(f *cli.Factory, run func(context.Context, *publishOptions) error) *cobra.Command {
	o := &publishOptions{
		IO:   f.IO,
		Door: cli.OpenDoor(f, model, func(ctx context.Context) (publisher, error) { return f.PubSub(ctx) }),
	}
	cmd := &cobra.Command{
		Use:   "publish TOPIC [PAYLOAD | -]",
		Short: "Send an event to whoever is subscribed",
		Long: `Sends an event of up to 1 MiB to the subscriptions there are; with --persistent it is also kept
for those that come later. Without PAYLOAD it is read from --file, or from standard input with -.`,
		Example: `  prismctl pubsub publish orders.created '{"id":17}'
  prismctl pubsub publish orders.paid 17 --persistent --attribute region=eu -o json`,
		Args: cli.OptionalArgs("TOPIC", "PAYLOAD"),
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 {
				return cli.Usage("prismctl pubsub publish TOPIC PAYLOAD", "prismctl pubsub publish needs TOPIC")
			}
			o.Event.Topic = args[0]
			if len(args) == 2 {
				o.Payload, o.HasPayload = args[1], true
			}
			return run(cmd.Context(), o)
		},
	}
	o.Out = cli.AddOutput(f, cmd, publishedKind().Info())
	flags := cmd.Flags()
	flags.StringVarP(&o.File, "file", "f", "", "read the payload from this `FILE`; - for standard input")
	flags.BoolVar(&o.Event.Persistent, "persistent", false, "keep it for durable subscriptions and replays")
	flags.StringArrayVar(&o.Attributes, "attribute", nil, "give it an attribute, `NAME=VALUE`; may be given again")
	flags.StringVar(&o.Event.OrderingKey, "ordering-key", "", "keep it in order with others of this `KEY`")
	flags.StringVar(&o.Event.ReplyTo, "reply-to", "", "the `TOPIC` that answers go to")
	flags.StringVar(&o.Event.CorrelationId, "correlation-id", "", "the `ID` by which an answer finds its request")
	flags.StringVar(&o.Event.IdempotencyKey, "idempotency-key", "", "publish a persistent event once for this `KEY`")
	for _, name := range []string{"ordering-key", "reply-to", "correlation-id", "idempotency-key"} {
		cli.SetDefault(cmd, name, "none")
	}
	return cmd
}

func runPublish(ctx context.Context, o *publishOptions) (err error) {
	if o.Event.Attributes, err = pairs("attribute", o.Attributes); err != nil {
		return err
	}
	if o.Event.Payload, err = o.payload(); err != nil {
		return err
	}
	c, ns, err := o.Enter(ctx)
	if err != nil {
		return err
	}
	r, err := c.Publish(ctx, &pubsubv1.PublishRequest{Namespace: ns, Event: &o.Event})
	if err != nil {
		return explain(err)
	}
	p := published{ns, o.Event.Topic, r}
	return cli.PrintChanged(o.Out, publishedKind(), p, sentence(p), cli.Next(model, ns, "pubsub", "tail", o.Event.Topic))
}

func sentence(p published) string {
	to := ""
	if p.SubscriberCount != nil {
		to = fmt.Sprintf(" to %d subscriptions", p.GetSubscriberCount())
		if p.GetSubscriberCount() == 1 {
			to = " to 1 subscription"
		}
	}
	return fmt.Sprintf("published %s in %s%s", iostreams.Escape(p.topic), p.namespace, to)
}

func (o *publishOptions) payload() ([]byte, error) {
	switch {
	case o.HasPayload && o.File != "":
		return nil, cli.Usage("leave out PAYLOAD or --file", "the payload is given twice")
	case o.File != "":
		return cli.ReadValue(o.IO, "payload", o.File)
	case o.HasPayload && o.Payload == "-":
		return cli.ReadValue(o.IO, "payload", "-")
	case o.HasPayload:
		if len(o.Payload) > prism.MaxValueBytes {
			return nil, prism.InvalidField("payload", "must be at most 1 MiB")
		}
		return []byte(o.Payload), nil
	}
	return nil, cli.Usage("prismctl pubsub publish "+cli.Quote(o.Event.Topic)+" PAYLOAD, or --file FILE", "prismctl pubsub publish needs PAYLOAD")
}
