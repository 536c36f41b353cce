package cache

import (
	"context"

	"github.com/spf13/cobra"
	"google.golang.org/grpc"

	"github.com/prism-data-layer/prism/pkg/cli"
	"github.com/prism-data-layer/prism/pkg/iostreams"
	"github.com/prism-data-layer/prism/pkg/prism"
	cachev1 "github.com/prism-data-layer/prism/proto/prism/cache/v1"
)

type getter interface {
	Get(context.Context, *cachev1.GetRequest, ...grpc.CallOption) (*cachev1.GetResponse, error)
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
		Door: cli.OpenDoor(f, model, func(ctx context.Context) (getter, error) { return f.Cache(ctx) }),
	}
	cmd := &cobra.Command{
		Use:   "get KEY",
		Short: "Print the value of an entry",
		Long: `Prints the value and a line feed. In a pipe the value is written byte for byte; on a terminal
control characters are escaped. --raw writes exactly the bytes, to any place. With -o the
entry's end is shown too. A missing entry is NOT_FOUND, exit 3.`,
		Example: "  prismctl cache get greeting\n  prismctl cache get greeting -o json",
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
	r, err := c.Get(ctx, &cachev1.GetRequest{Namespace: ns, Key: o.Key})
	switch {
	case err != nil:
		return explain(err)
	case !r.GetFound():
		return cli.WithFix(prism.NotFound("key", o.Key), "it was never set, has ended or was evicted: prismctl cache stats -n %s", ns)
	case o.Out.Asked() && !o.Raw:
		return cli.PrintOne(o.Out, kind(), entry{ns, o.Key, r})
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
