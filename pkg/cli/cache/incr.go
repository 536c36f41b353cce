package cache

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"
	"google.golang.org/grpc"

	"github.com/prism-data-layer/prism/pkg/cli"
	"github.com/prism-data-layer/prism/pkg/iostreams"
	"github.com/prism-data-layer/prism/pkg/prism"
	cachev1 "github.com/prism-data-layer/prism/proto/prism/cache/v1"
)

type counter interface {
	Increment(context.Context, *cachev1.IncrementRequest, ...grpc.CallOption) (*cachev1.IncrementResponse, error)
}

type incrOptions struct {
	IO  *iostreams.IOStreams
	Out *cli.Output
	cli.Door[counter]

	Key         string
	By, Initial int64
	TTL         cli.DurationFlag
}

type count struct {
	namespace, key string
	value          int64
}

func countKind() cli.Kind[count] {
	return cli.Kind[count]{Name: "CacheCount", Fields: []cli.Field[count]{
		cli.Text("key", "KEY", "the key", func(c count) string { return c.key }),
		cli.Text("namespace", "NAMESPACE", "where it is", func(c count) string { return c.namespace }),
		cli.Int("value", "VALUE", "the sum", func(c count) int64 { return c.value }),
	}}
}

func newIncr(f *cli.Factory, run func(context.Context, *incrOptions) error) *cobra.Command {
	o := &incrOptions{
		IO:   f.IO,
		Door: cli.OpenDoor(f, model, func(ctx context.Context) (counter, error) { return f.Cache(ctx) }),
	}
	cmd := &cobra.Command{
		Use:   "incr KEY",
		Short: "Add to a number",
		Long: `Adds to the decimal number under a key and prints the sum. A missing entry counts as --initial
and gets its time to live then; counting on keeps its end.`,
		Example: "  prismctl cache incr visits\n  prismctl cache incr budget --by=-5 --initial 100 --ttl 1h",
		Args:    cli.ExactArgs("KEY"),
		RunE: func(cmd *cobra.Command, args []string) error {
			o.Key = args[0]
			return run(cmd.Context(), o)
		},
	}
	o.Out = cli.AddOutput(f, cmd, countKind().Info())
	flags := cmd.Flags()
	flags.Int64Var(&o.By, "by", 1, "add `N`")
	flags.Int64Var(&o.Initial, "initial", 0, "what a missing entry counts as: `N`")
	flags.Var(&o.TTL, "ttl", "let an entry that is made end after this `DURATION`")
	cli.SetDefault(cmd, "ttl", "the namespace's, or 15m")
	return cmd
}

func runIncr(ctx context.Context, o *incrOptions) error {
	c, ns, err := o.Enter(ctx)
	if err != nil {
		return err
	}
	r, err := c.Increment(ctx, &cachev1.IncrementRequest{Namespace: ns, Key: o.Key, Delta: o.By, Initial: o.Initial, TtlMs: millis(o.TTL)})
	if err != nil {
		if prism.From(err).Reason == prism.ReasonNotANumber {
			return cli.WithFix(err, "prismctl cache get %s -n %s", cli.Quote(o.Key), ns)
		}
		return explain(err)
	}
	if o.Out.Asked() {
		return cli.PrintOne(o.Out, countKind(), count{ns, o.Key, r.GetValue()})
	}
	_, err = fmt.Fprintln(o.IO.Out, r.GetValue())
	return err
}
