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

type lister interface {
	ListSubscriptions(context.Context, *pubsubv1.ListSubscriptionsRequest, ...grpc.CallOption) (*pubsubv1.ListSubscriptionsResponse, error)
}

type subscriptionsOptions struct {
	Out *cli.Output
	cli.Door[lister]
}

func subscriptionKind() cli.Kind[*pubsubv1.Subscription] {
	type sub = *pubsubv1.Subscription
	return cli.Kind[sub]{Name: "Subscription", Fields: []cli.Field[sub]{
		cli.Text("subscription_id", "SUBSCRIPTION", "of the stream, or the durable name", func(s sub) string { return s.GetSubscriptionId() }),
		cli.Text("pattern", "PATTERN", "what it follows", func(s sub) string { return s.GetPattern() }),
		cli.State("state", "STATE", "active: somebody reads it now; idle: nobody does", func(s sub) string { return state(s.GetActive()) }),
		cli.Text("durable_name", "DURABLE", "under which it goes on", func(s sub) string { return s.GetDurableName() }),
		cli.Int("behind", "BEHIND", "of a durable one: persistent events after what was acknowledged", func(s sub) int64 { return s.GetBehind() }).
			Optional(func(s sub) bool { return s.GetDurableName() != "" }),
		cli.Int("events_sent", "SENT", "events that this stream has carried", func(s sub) int64 { return s.GetEventsSent() }),
		cli.Int("events_dropped", "DROPPED", "events that were dropped because its reader was too slow", func(s sub) int64 { return s.GetEventsDropped() }),
		cli.Text("queue_group", "GROUP", "with which it shares the events", func(s sub) string { return s.GetQueueGroup() }).OnlyWide(),
		cli.Text("principal", "PRINCIPAL", "whose stream it is", func(s sub) string { return s.GetPrincipal() }).OnlyWide(),
		cli.Time("created_at", "CREATED", "when it began", func(s sub) int64 { return s.GetCreatedAtMs() }).OnlyWide(),
	}}
}

// state is a word for whether somebody reads.
func state(active bool) string {
	if active {
		return "active"
	}
	return "idle"
}

func newSubscriptions(f *cli.Factory, run func(context.Context, *subscriptionsOptions) error) *cobra.Command {
	o := &subscriptionsOptions{
		Door: cli.OpenDoor(f, model, func(ctx context.Context) (lister, error) { return f.PubSub(ctx) }),
	}
	cmd := &cobra.Command{
		Use:   "subscriptions",
		Short: "List subscriptions",
		Long: `Lists your open streams in the namespace, everybody's for an admin, and its durable names with
how far behind each is.`,
		Example: "  prismctl pubsub subscriptions\n  prismctl pubsub subscriptions --sort-by -behind -o json",
		Args:    cli.NoArgs,
		RunE:    func(cmd *cobra.Command, _ []string) error { return run(cmd.Context(), o) },
	}
	o.Out = cli.AddListOutput(f, cmd, subscriptionKind().Info())
	return cmd
}

func runSubscriptions(ctx context.Context, o *subscriptionsOptions) error {
	c, ns, err := o.Enter(ctx)
	if err != nil {
		return err
	}
	r, err := c.ListSubscriptions(ctx, &pubsubv1.ListSubscriptionsRequest{Namespace: ns})
	if err != nil {
		return explain(err)
	}
	list, more := r.GetSubscriptions(), ""
	if n := o.Out.Limit; n > 0 && len(list) > n {
		list, more = list[:n], "there are more"
	}
	if err := cli.PrintList(o.Out, subscriptionKind(), list, "nobody is subscribed; prismctl pubsub tail PATTERN does"); err != nil {
		return err
	}
	o.Out.MoreHint(more, len(list))
	return nil
}

type unsubscriber interface {
	Unsubscribe(context.Context, *pubsubv1.UnsubscribeRequest, ...grpc.CallOption) (*pubsubv1.UnsubscribeResponse, error)
}

type unsubscribeOptions struct {
	Out *cli.Output
	cli.Door[unsubscriber]

	ID string
}

type unsubscribed struct{ namespace, id string }

func unsubscribedKind() cli.Kind[unsubscribed] {
	return cli.Kind[unsubscribed]{Name: "EndedSubscription", Fields: []cli.Field[unsubscribed]{
		cli.Text("subscription_id", "SUBSCRIPTION", "what was ended", func(u unsubscribed) string { return u.id }),
		cli.Text("namespace", "NAMESPACE", "where it was", func(u unsubscribed) string { return u.namespace }),
	}}
}

func newUnsubscribe(f *cli.Factory, run func(context.Context, *unsubscribeOptions) error) *cobra.Command {
	o := &unsubscribeOptions{
		Door: cli.OpenDoor(f, model, func(ctx context.Context) (unsubscriber, error) { return f.PubSub(ctx) }),
	}
	cmd := &cobra.Command{
		Use:     "unsubscribe SUBSCRIPTION",
		Short:   "End a subscription",
		Long:    "Ends a stream of yours by its id, anybody's for an admin; or forgets a durable name with what it\nhas acknowledged.",
		Example: "  prismctl pubsub unsubscribe audit\n  prismctl pubsub unsubscribe audit -n pubsub -o json",
		Args:    cli.ExactArgs("SUBSCRIPTION"),
		RunE: func(cmd *cobra.Command, args []string) error {
			o.ID = args[0]
			return run(cmd.Context(), o)
		},
	}
	o.Out = cli.AddOutput(f, cmd, unsubscribedKind().Info())
	return cmd
}

func runUnsubscribe(ctx context.Context, o *unsubscribeOptions) error {
	c, ns, err := o.Enter(ctx)
	if err != nil {
		return err
	}
	r, err := c.Unsubscribe(ctx, &pubsubv1.UnsubscribeRequest{Namespace: ns, SubscriptionId: o.ID})
	if err != nil {
		return explain(err)
	}
	if !r.GetFound() {
		return cli.WithFix(prism.NotFound("subscription", o.ID), "prismctl pubsub subscriptions -n %s", ns)
	}
	sentence := fmt.Sprintf("ended %s in %s", iostreams.Escape(o.ID), ns)
	return cli.PrintChanged(o.Out, unsubscribedKind(), unsubscribed{ns, o.ID}, sentence, "prismctl pubsub subscriptions")
}
