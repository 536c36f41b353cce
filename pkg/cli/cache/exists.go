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

type asker interface {
	Exists(context.Context, *cachev1.ExistsRequest, ...grpc.CallOption) (*cachev1.ExistsResponse, error)
}

type existsOptions struct {
	IO  *iostreams.IOStreams
	Out *cli.Output
	cli.Door[asker]

	Key string
}

type presence struct {
	namespace, key string
	exists         bool
}

func presenceKind() cli.Kind[presence] {
	return cli.Kind[presence]{Name: "CachePresence", Fields: []cli.Field[presence]{
		cli.Text("key", "KEY", "the key", func(p presence) string { return p.key }),
		cli.Text("namespace", "NAMESPACE", "where it was looked for", func(p presence) string { return p.namespace }),
		cli.Bool("exists", "EXISTS", "whether it is there", func(p presence) bool { return p.exists }),
	}}
}

func newExists(f *cli.Factory, run func(context.Context, *existsOptions) error) *cobra.Command {
	o := &existsOptions{
		IO:   f.IO,
		Door: cli.OpenDoor(f, model, func(ctx context.Context) (asker, error) { return f.Cache(ctx) }),
	}
	cmd := &cobra.Command{
		Use:     "exists KEY",
		Short:   "Tell whether an entry is there",
		Long:    "Prints true or false, without fetching the value; both are success.",
		Example: "  prismctl cache exists greeting\n  prismctl cache exists greeting -o json",
		Args:    cli.ExactArgs("KEY"),
		RunE: func(cmd *cobra.Command, args []string) error {
			o.Key = args[0]
			return run(cmd.Context(), o)
		},
	}
	o.Out = cli.AddOutput(f, cmd, presenceKind().Info())
	return cmd
}

func runExists(ctx context.Context, o *existsOptions) error {
	c, ns, err := o.Enter(ctx)
	if err != nil {
		return err
	}
	r, err := c.Exists(ctx, &cachev1.ExistsRequest{Namespace: ns, Key: o.Key})
	if err != nil {
		return explain(err)
	}
	if o.Out.Asked() {
		return cli.PrintOne(o.Out, presenceKind(), presence{ns, o.Key, r.GetExists()})
	}
	_, err = fmt.Fprintln(o.IO.Out, r.GetExists())
	return err
}
