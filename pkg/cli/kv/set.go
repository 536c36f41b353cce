package kv

import (
	"context"
	"fmt"
	"strings"

	"github.com/spf13/cobra"
	"google.golang.org/grpc"

	"github.com/prism-data-layer/prism/pkg/cli"
	"github.com/prism-data-layer/prism/pkg/iostreams"
	"github.com/prism-data-layer/prism/pkg/prism"
	keyvaluev1 "github.com/prism-data-layer/prism/proto/prism/keyvalue/v1"
)

type setter interface {
	getter
	Set(context.Context, *keyvaluev1.SetRequest, ...grpc.CallOption) (*keyvaluev1.SetResponse, error)
}

type setOptions struct {
	IO  *iostreams.IOStreams
	Out *cli.Output
	cli.Door[setter]

	Key        string
	Value      cli.ValueArg
	TTL        cli.DurationFlag
	KeepTTL    bool
	CreateOnly bool
	IfVersion  uint64
	HasVersion bool
	DryRun     bool
}

// written is what a set did.
type written struct {
	namespace, key string
	size           int64
	version        uint64
}

func writtenKind() cli.Kind[written] {
	return cli.Kind[written]{Name: "EntryVersion", Fields: []cli.Field[written]{
		cli.Text("key", "KEY", "the key", func(w written) string { return w.key }),
		cli.Text("namespace", "NAMESPACE", "where it is", func(w written) string { return w.namespace }),
		cli.Uint("version", "VERSION", "the version it has now; with --dry-run 0 for none", func(w written) uint64 { return w.version }),
		cli.Bytes("size_bytes", "SIZE", "bytes of the value", func(w written) int64 { return w.size }),
	}}
}

func newSet(f *cli.Factory, run func(context.Context, *setOptions) error) *cobra.Command {
	o := &setOptions{
		IO:   f.IO,
		Door: cli.OpenDoor(f, model, func(ctx context.Context) (setter, error) { return f.KeyValue(ctx) }),
	}
	cmd := &cobra.Command{
		Use:   "set KEY [VALUE | -]",
		Short: "Store a value under a key",
		Long: `Stores a value of up to 1 MiB. Without VALUE it is read from --file, or from standard input
with -. A value that begins with a dash goes behind --.`,
		Example: `  prismctl kv set greeting hello
  prismctl kv set session-17 '{"user":"ann"}' --ttl 30m
  prismctl kv set balance -n kv --create-only -- -5`,
		Args: cli.OptionalArgs("KEY", "VALUE"),
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 {
				return cli.Usage("prismctl kv set KEY VALUE", "prismctl kv set needs KEY")
			}
			o.Key, o.HasVersion = args[0], cmd.Flags().Changed("if-version")
			if len(args) == 2 {
				o.Value.Value, o.Value.Has = args[1], true
			}
			return run(cmd.Context(), o)
		},
	}
	o.Out = cli.AddOutput(f, cmd, writtenKind().Info())
	flags := cmd.Flags()
	flags.StringVarP(&o.Value.File, "file", "f", "", "read the value from this `FILE`; - for standard input")
	flags.Var(&o.TTL, "ttl", "let the key end after this `DURATION`")
	flags.BoolVar(&o.KeepTTL, "keep-ttl", false, "keep the end that the key has")
	flags.BoolVar(&o.CreateOnly, "create-only", false, "only if the key is not there")
	flags.Uint64Var(&o.IfVersion, "if-version", 0, "only if the key has version `N`")
	flags.BoolVar(&o.DryRun, "dry-run", false, "look at the key, and change nothing")
	cli.SetDefault(cmd, "ttl", "the namespace's, or none")
	cli.SetDefault(cmd, "if-version", "any")
	return cmd
}

func runSet(ctx context.Context, o *setOptions) error {
	value, err := o.Value.Read(o.IO, "prismctl kv set", "prismctl kv set "+cli.Quote(o.Key)+" VALUE, or --file FILE")
	if err != nil {
		return err
	}
	c, ns, err := o.Enter(ctx)
	if err != nil {
		return err
	}
	req := &keyvaluev1.SetRequest{Namespace: ns, Key: o.Key, Value: value, KeepTtl: o.KeepTTL, CreateOnly: o.CreateOnly}
	if o.TTL != 0 {
		ms := o.TTL.Milliseconds()
		req.TtlMs = &ms
	}
	if o.HasVersion {
		req.IfVersion = &o.IfVersion
	}
	if o.DryRun {
		return o.would(ctx, c, req)
	}
	r, err := c.Set(ctx, req)
	if err != nil {
		return explain(err, ns, o.Key)
	}
	sentence := fmt.Sprintf("set %s in %s (%s, version %d)", iostreams.Escape(o.Key), ns, cli.Size(int64(len(value))), r.GetVersion())
	return cli.PrintChanged(o.Out, writtenKind(), written{ns, o.Key, int64(len(value)), r.GetVersion()}, sentence, cli.Next(model, ns, "kv", "get", o.Key))
}

// would says what a set would do to the key as it is now.
func (o *setOptions) would(ctx context.Context, c getter, req *keyvaluev1.SetRequest) error {
	version, err := versionOf(ctx, c, req.Namespace, o.Key)
	switch {
	case err != nil:
		return explain(err, req.Namespace, o.Key)
	case o.CreateOnly && version != 0:
		return explain(prism.New(prism.ReasonAlreadyExists, "the key exists already"), req.Namespace, o.Key)
	case o.HasVersion && version != o.IfVersion:
		err := prism.New(prism.ReasonVersionMismatch, "the key has version %d, not %d", version, o.IfVersion).WithMeta("current_version", fmt.Sprint(version))
		return explain(err, req.Namespace, o.Key)
	}
	size := int64(len(req.Value))
	sentence := fmt.Sprintf("would make %s in %s (%s; dry run)", iostreams.Escape(o.Key), req.Namespace, cli.Size(size))
	if version != 0 {
		sentence = fmt.Sprintf("would replace %s in %s, now of version %d (%s; dry run)", iostreams.Escape(o.Key), req.Namespace, version, cli.Size(size))
	}
	return cli.PrintChanged(o.Out, writtenKind(), written{req.Namespace, o.Key, size, version}, sentence, "")
}

// versionOf is the version that a key has, 0 if it is not there.
func versionOf(ctx context.Context, c getter, ns, key string) (uint64, error) {
	r, err := c.Get(ctx, &keyvaluev1.GetRequest{Namespace: ns, Key: key})
	if e := prism.From(err); e != nil && e.Reason == prism.ReasonNotFound && !strings.HasPrefix(e.Message, "namespace ") {
		return 0, nil
	}
	return r.GetVersion(), err
}
