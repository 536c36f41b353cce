package kv

import (
	"context"
	"strings"
	"unicode/utf8"

	"github.com/spf13/cobra"
	"google.golang.org/grpc"

	"github.com/prism-data-layer/prism/pkg/cli"
	"github.com/prism-data-layer/prism/pkg/clock"
	keyvaluev1 "github.com/prism-data-layer/prism/proto/prism/keyvalue/v1"
)

type watcher interface {
	Watch(context.Context, *keyvaluev1.WatchRequest, ...grpc.CallOption) (grpc.ServerStreamingClient[keyvaluev1.WatchResponse], error)
}

type watchOptions struct {
	Clock clock.Clock
	Out   *cli.Output
	cli.Door[watcher]

	Prefix, From string
	Values       bool

	list *cli.List[change]
	left int
}

// A change carries the position after it, so that a reader can go on from
// there.
type change struct {
	*keyvaluev1.Change
	position string
}

func changeKind() cli.Kind[change] {
	return cli.Kind[change]{Name: "Change", Fields: []cli.Field[change]{
		cli.Text("key", "KEY", "the key", func(c change) string { return c.GetKey() }),
		cli.State("change", "CHANGE", "set, delete or expire", func(c change) string {
			return cli.EnumWord(c.GetKind().String(), "CHANGE_KIND_")
		}),
		cli.Uint("version", "VERSION", "of the change", func(c change) uint64 { return c.GetVersion() }),
		cli.Uint("previous_version", "PREVIOUS", "of the change before it; 0: none", func(c change) uint64 { return c.GetPreviousVersion() }),
		cli.Time("time", "TIME", "when", func(c change) int64 { return c.GetTimeMs() }),
		cli.Text("value", "VALUE", "with --values: the value, where it is still the latest and UTF-8", func(c change) string { return string(c.GetValue()) }).
			Optional(func(c change) bool { return c.Value != nil && utf8.Valid(c.Value) }),
		cli.Text("value_base64", "", "with --values: the value, where it is not UTF-8", func(c change) string { return base64(c.GetValue()) }).
			Optional(func(c change) bool { return c.Value != nil && !utf8.Valid(c.Value) }),
		cli.Text("position", "", "give it to --from to go on after this batch", func(c change) string { return c.position }),
	}}
}

func newWatch(f *cli.Factory, run func(context.Context, *watchOptions) error) *cobra.Command {
	o := &watchOptions{
		Clock: f.Clock,
		Door:  cli.OpenDoor(f, model, func(ctx context.Context) (watcher, error) { return f.KeyValue(ctx) }),
	}
	cmd := &cobra.Command{
		Use:   "watch [PREFIX]",
		Short: "Show changes as they happen",
		Long: `Shows each change of the keys that begin with PREFIX, from now on or from a position, until
Ctrl-C or --limit. A gateway that restarts is waited for, and no change is missed. For programs,
-o json prints one object a line.`,
		Example: "  prismctl kv watch session- --limit 10\n  prismctl kv watch --values -o json --limit 1",
		Args:    cli.OptionalArgs("PREFIX"),
		RunE: func(cmd *cobra.Command, args []string) error {
			o.Prefix = strings.Join(args, "")
			return run(cmd.Context(), o)
		},
	}
	o.Out = cli.AddListOutput(f, cmd, changeKind().Info())
	cmd.Flags().StringVar(&o.From, "from", "", "go on after this `POSITION`")
	cmd.Flags().BoolVar(&o.Values, "values", false, "show the values too")
	cli.SetDefault(cmd, "from", "now")
	cli.SetDefault(cmd, "limit", "0: until Ctrl-C")
	return cmd
}

func runWatch(ctx context.Context, o *watchOptions) error {
	if err := o.Out.Endless(); err != nil {
		return err
	}
	c, ns, err := o.Enter(ctx)
	if err != nil {
		return err
	}
	o.list, o.left = cli.NewList(o.Out, changeKind(), ""), o.Out.Limit
	stream := cli.Stream[keyvaluev1.WatchResponse]{
		Clock: o.Clock, Out: o.Out, List: o.list,
		Open: func(ctx context.Context) (grpc.ServerStreamingClient[keyvaluev1.WatchResponse], error) {
			return c.Watch(ctx, &keyvaluev1.WatchRequest{Namespace: ns, Prefix: o.Prefix, Position: o.From, IncludeValues: o.Values})
		},
		Show:    o.show,
		Resume:  func(position string) { o.From = position },
		Back:    func() string { return "the gateway is back" },
		Explain: func(err error) error { return explain(err, ns, "") },
	}
	return stream.Follow(ctx)
}

func (o *watchOptions) show(_ context.Context, batch *keyvaluev1.WatchResponse) error {
	for _, c := range batch.GetChanges() {
		if err := o.list.Add(change{c, batch.GetPosition()}); err != nil {
			return err
		}
		if o.left--; o.left == 0 {
			return cli.ErrEnough
		}
	}
	o.From = batch.GetPosition()
	return o.list.Flush()
}
