package kv

import (
	"context"
	"errors"
	"io"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/spf13/cobra"
	"google.golang.org/grpc"

	"github.com/prism-data-layer/prism/pkg/cli"
	"github.com/prism-data-layer/prism/pkg/clock"
	"github.com/prism-data-layer/prism/pkg/prism"
	keyvaluev1 "github.com/prism-data-layer/prism/proto/prism/keyvalue/v1"
)

type watcher interface {
	Watch(context.Context, *keyvaluev1.WatchRequest, ...grpc.CallOption) (grpc.ServerStreamingClient[keyvaluev1.WatchResponse], error)
}

type watchOptions struct {
	Clock clock.Clock
	Out   *cli.Output
	door[watcher]

	Prefix, From string
	Values       bool

	list *cli.List[change]
	left int
	said bool
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
		door:  openDoor(f, func(c keyvaluev1.KeyValueServiceClient) watcher { return c }),
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

// The waits between attempts to go on.
const (
	firstPause = 200 * time.Millisecond
	longPause  = 5 * time.Second
)

func runWatch(ctx context.Context, o *watchOptions) error {
	if err := o.Out.Endless(); err != nil {
		return err
	}
	c, ns, err := o.enter(ctx)
	if err != nil {
		return err
	}
	o.list, o.left = cli.NewList(o.Out, changeKind(), ""), o.Out.Limit
	started, pause := false, firstPause
	for {
		got, err := o.follow(ctx, c, ns)
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
				o.From = resume.Position
			}
			started, pause = true, max(resume.After, firstPause)
		case started && errors.Is(err, prism.ReasonUnavailable):
		default:
			return explain(err, ns, "")
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

// errEnough ends a watch that has shown as much as was asked for.
var errEnough = errors.New("enough")

// follow reads one stream to its end; got says that it gave anything. A nil
// error means that the watch is done.
func (o *watchOptions) follow(ctx context.Context, c watcher, ns string) (got bool, err error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	stream, err := c.Watch(ctx, &keyvaluev1.WatchRequest{Namespace: ns, Prefix: o.Prefix, Position: o.From, IncludeValues: o.Values})
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
			o.Out.Note("the gateway is back")
			o.said = false
		}
		got = true
		if err := o.show(batch); err != nil {
			if err == errEnough {
				return got, nil
			}
			return got, err
		}
		o.From = batch.GetPosition()
	}
}

func (o *watchOptions) show(batch *keyvaluev1.WatchResponse) error {
	for _, c := range batch.GetChanges() {
		if err := o.list.Add(change{c, batch.GetPosition()}); err != nil {
			return err
		}
		if o.left--; o.left == 0 {
			return errEnough
		}
	}
	return o.list.Flush()
}
