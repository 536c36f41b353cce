package pubsub

import (
	"context"
	"errors"
	"io"
	"maps"
	"slices"
	"time"
	"unicode/utf8"

	"github.com/spf13/cobra"
	"google.golang.org/grpc"

	"github.com/prism-data-layer/prism/pkg/cli"
	"github.com/prism-data-layer/prism/pkg/clock"
	"github.com/prism-data-layer/prism/pkg/prism"
	pubsubv1 "github.com/prism-data-layer/prism/proto/prism/pubsub/v1"
)

type subscriber interface {
	Subscribe(context.Context, *pubsubv1.SubscribeRequest, ...grpc.CallOption) (grpc.ServerStreamingClient[pubsubv1.SubscribeResponse], error)
	Acknowledge(context.Context, *pubsubv1.AcknowledgeRequest, ...grpc.CallOption) (*pubsubv1.AcknowledgeResponse, error)
}

type tailOptions struct {
	Clock     clock.Clock
	Out       *cli.Output
	Client    func(context.Context) (subscriber, error)
	Namespace func() (string, error)

	Pattern, Group, Durable, From string
	Since                         cli.DurationFlag
	Where                         []string

	request *pubsubv1.SubscribeRequest
	at      string // the last position
	list    *cli.List[*pubsubv1.Event]
	left    int
	said    bool
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
		Clock:     f.Clock,
		Client:    func(ctx context.Context) (subscriber, error) { return f.PubSub(ctx) },
		Namespace: func() (string, error) { return f.Namespace(model) },
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

// The waits between attempts to go on.
const (
	firstPause = 200 * time.Millisecond
	longPause  = 5 * time.Second
)

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
	started, pause := false, firstPause
	for {
		got, err := o.follow(ctx, c)
		if got {
			started, pause = true, firstPause
		}
		var resume *cli.Resumable
		switch {
		case err == nil:
			return o.list.Close()
		case ctx.Err() != nil:
			_ = o.list.Close()
			return context.Cause(ctx)
		case errors.As(err, &resume):
			if resume.Position != "" {
				o.at = resume.Position
			}
			started, pause = true, max(resume.After, firstPause)
		case started && away(err):
		default:
			return explain(err)
		}
		if !o.said {
			o.Out.Note("the gateway is away; waiting to go on")
			o.said = true
		}
		timer := o.Clock.NewTimer(pause)
		select {
		case <-ctx.Done():
			timer.Stop()
			return context.Cause(ctx)
		case <-timer.C:
		}
		pause = min(2*pause, longPause)
	}
}

// away reports whether the gateway may come back by itself.
func away(err error) bool {
	return errors.Is(err, prism.ReasonUnavailable) || errors.Is(err, prism.ReasonDraining) || errors.Is(err, prism.ReasonMoved)
}

// errEnough ends a tail that has shown as much as was asked for.
var errEnough = errors.New("enough")

// follow reads one stream to its end; got says that it gave anything. A nil
// error means that the tail is done.
func (o *tailOptions) follow(ctx context.Context, c subscriber) (got bool, err error) {
	streaming, cancel := context.WithCancel(ctx)
	defer cancel()
	if o.at != "" {
		o.request.Start = &pubsubv1.Start{Start: &pubsubv1.Start_After{After: o.at}}
	}
	stream, err := c.Subscribe(streaming, o.request)
	if err != nil {
		return false, err
	}
	for {
		batch, err := stream.Recv()
		switch {
		case errors.Is(err, io.EOF):
			return got, nil
		case err != nil:
			return got, err
		}
		if o.said {
			o.back()
		}
		got = true
		err = o.show(batch)
		if ackErr := o.acknowledge(ctx, c); err == nil {
			err = ackErr
		}
		if err != nil {
			if err == errEnough {
				return got, nil
			}
			return got, err
		}
	}
}

func (o *tailOptions) back() {
	o.said = false
	if o.request.Start == nil && o.Durable == "" {
		o.Out.Note("the gateway is back; events in between were missed")
		return
	}
	o.Out.Note("the gateway is back")
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
			return errEnough
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
