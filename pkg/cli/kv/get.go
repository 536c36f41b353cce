package kv

import (
	"context"

	"github.com/spf13/cobra"
	"google.golang.org/grpc"

	"github.com/prism-data-layer/prism/pkg/cli"
	"github.com/prism-data-layer/prism/pkg/iostreams"
	keyvaluev1 "github.com/prism-data-layer/prism/proto/prism/keyvalue/v1"
)

type getter interface {
	Get(context.Context, *keyvaluev1.GetRequest, ...grpc.CallOption) (*keyvaluev1.GetResponse, error)
}

type getOptions struct {
	IO  *iostreams.IOStreams
	Out *cli.Output
	cli.Door[getter]

	Key string
	Raw bool
}

func newGet(f *cli.Factory, run func(context.Context, *getOptions) error) *cobra.Command {
	o := &getOptions{
		IO:   f.IO,
		Door: cli.OpenDoor(f, model, func(ctx context.Context) (getter, error) { return f.KeyValue(ctx) }),
	}
	cmd := &cobra.Command{
		Use:   "get KEY",
		Short: "Print the value of a key",
		Long: `Prints the value and a line feed. In a pipe the value is written byte for byte; on a terminal
control characters are escaped. --raw writes exactly the bytes, to any place. With -o the
key's version and expiry are shown too.`,
		Example: "  prismctl kv get greeting\n  prismctl kv get greeting -o json\n  prismctl kv get greeting --raw -n kv",
		Args:    cli.ExactArgs("KEY"),
		RunE: func(cmd *cobra.Command, args []string) error {
			o.Key = args[0]
			return run(cmd.Context(), o)
		},
	}
	o.Out = cli.AddOutput(f, cmd, kind().Info())
	cmd.Flags().BoolVar(&o.Raw, "raw", false, "exactly the bytes, without a line feed")
	return cmd
}

func runGet(ctx context.Context, o *getOptions) error {
	c, ns, err := o.Enter(ctx)
	if err != nil {
		return err
	}
	r, err := c.Get(ctx, &keyvaluev1.GetRequest{Namespace: ns, Key: o.Key})
	if err != nil {
		return explain(err, ns, o.Key)
	}
	if o.Out.Asked() && !o.Raw {
		return cli.PrintOne(o.Out, kind(), newEntry(ns, &keyvaluev1.Entry{Key: o.Key, Value: r.GetValue(), Version: r.GetVersion(), ExpiresAtMs: r.ExpiresAtMs}))
	}
	value := r.GetValue()
	switch {
	case o.Raw:
	case o.IO.IsTTY(iostreams.Out):
		value = []byte(iostreams.EscapeLines(string(value)) + "\n")
	default:
		value = append(value[:len(value):len(value)], '\n')
	}
	_, err = o.IO.Out.Write(value)
	return err
}
