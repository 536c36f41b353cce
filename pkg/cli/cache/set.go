package cache

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"
	"google.golang.org/grpc"

	"github.com/prism-data-layer/prism/pkg/cli"
	"github.com/prism-data-layer/prism/pkg/iostreams"
	cachev1 "github.com/prism-data-layer/prism/proto/prism/cache/v1"
)

type setter interface {
	Set(context.Context, *cachev1.SetRequest, ...grpc.CallOption) (*cachev1.SetResponse, error)
}

type setOptions struct {
	IO  *iostreams.IOStreams
	Out *cli.Output
	cli.Door[setter]

	Key       string
	Value     cli.ValueArg
	TTL       cli.DurationFlag
	IfAbsent  bool
	IfPresent bool
}

// written is what a set did.
type written struct {
	namespace, key string
	size           int64
	applied        bool
}

func writtenKind() cli.Kind[written] {
	return cli.Kind[written]{Name: "CacheWrite", Fields: []cli.Field[written]{
		cli.Text("key", "KEY", "the key", func(w written) string { return w.key }),
		cli.Text("namespace", "NAMESPACE", "where it is", func(w written) string { return w.namespace }),
		cli.Bool("applied", "APPLIED", "whether the value was stored", func(w written) bool { return w.applied }),
		cli.Bytes("size_bytes", "SIZE", "bytes of the value", func(w written) int64 { return w.size }),
	}}
}

func newSet(f *cli.Factory, run func(context.Context, *setOptions) error) *cobra.Command {
	o := &setOptions{
		IO:   f.IO,
		Door: cli.OpenDoor(f, model, func(ctx context.Context) (setter, error) { return f.Cache(ctx) }),
	}
	cmd := &cobra.Command{
		Use:   "set KEY [VALUE | -]",
		Short: "Store a value under a key",
		Long: `Stores a value of up to 1 MiB. Without VALUE it is read from --file, or from standard input
with -. A value that begins with a dash goes behind --. A condition that does not hold changes
nothing and is no error: the answer says so.`,
		Example: `  prismctl cache set greeting hello --ttl 5m
  prismctl cache set session-17 '{"user":"ann"}' --if-absent`,
		Args: cli.OptionalArgs("KEY", "VALUE"),
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 {
				return cli.Usage("prismctl cache set KEY VALUE", "prismctl cache set needs KEY")
			}
			o.Key = args[0]
			if len(args) == 2 {
				o.Value.Value, o.Value.Has = args[1], true
			}
			return run(cmd.Context(), o)
		},
	}
	o.Out = cli.AddOutput(f, cmd, writtenKind().Info())
	flags := cmd.Flags()
	flags.StringVarP(&o.Value.File, "file", "f", "", "read the value from this `FILE`; - for standard input")
	flags.Var(&o.TTL, "ttl", "let the entry end after this `DURATION`")
	flags.BoolVar(&o.IfAbsent, "if-absent", false, "only if the key is not there")
	flags.BoolVar(&o.IfPresent, "if-present", false, "only if the key is there")
	cli.SetDefault(cmd, "ttl", "the namespace's, or 15m")
	return cmd
}

func runSet(ctx context.Context, o *setOptions) error {
	if o.IfAbsent && o.IfPresent {
		return cli.Usage("leave one of them out", "--if-absent and --if-present exclude each other")
	}
	value, err := o.Value.Read(o.IO, "prismctl cache set", "prismctl cache set "+cli.Quote(o.Key)+" VALUE, or --file FILE")
	if err != nil {
		return err
	}
	c, ns, err := o.Enter(ctx)
	if err != nil {
		return err
	}
	r, err := c.Set(ctx, &cachev1.SetRequest{
		Namespace: ns, Key: o.Key, Value: value, TtlMs: millis(o.TTL), IfAbsent: o.IfAbsent, IfPresent: o.IfPresent,
	})
	if err != nil {
		return explain(err)
	}
	w := written{ns, o.Key, int64(len(value)), r.GetApplied()}
	return cli.PrintChanged(o.Out, writtenKind(), w, w.sentence(o.IfAbsent), cli.Next(model, ns, "cache", "get", o.Key))
}

func (w written) sentence(ifAbsent bool) string {
	key := iostreams.Escape(w.key)
	switch {
	case w.applied:
		return fmt.Sprintf("set %s in %s (%s)", key, w.namespace, cli.Size(w.size))
	case ifAbsent:
		return fmt.Sprintf("%s is in %s already: nothing was changed", key, w.namespace)
	}
	return fmt.Sprintf("%s is not in %s: nothing was changed", key, w.namespace)
}

// millis is a time to live as the wire has it; none: absent.
func millis(d cli.DurationFlag) *int64 {
	if d == 0 {
		return nil
	}
	ms := d.Milliseconds()
	return &ms
}
