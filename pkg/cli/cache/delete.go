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

type deleter interface {
	Delete(context.Context, *cachev1.DeleteRequest, ...grpc.CallOption) (*cachev1.DeleteResponse, error)
}

type deleteOptions struct {
	IO  *iostreams.IOStreams
	Out *cli.Output
	cli.Door[deleter]
	Confirm func(context.Context) error

	Keys []string
}

type deletion struct {
	namespace, key string
	found          bool
}

func deletionKind() cli.Kind[deletion] {
	return cli.Kind[deletion]{Name: "CacheDeletion", Fields: []cli.Field[deletion]{
		cli.Text("key", "KEY", "the key", func(d deletion) string { return d.key }),
		cli.Text("namespace", "NAMESPACE", "where it was", func(d deletion) string { return d.namespace }),
		cli.Bool("found", "FOUND", "whether it was there", func(d deletion) bool { return d.found }),
	}}
}

func newDelete(f *cli.Factory, run func(context.Context, *deleteOptions) error) *cobra.Command {
	o := &deleteOptions{
		IO:   f.IO,
		Door: cli.OpenDoor(f, model, func(ctx context.Context) (deleter, error) { return f.Cache(ctx) }),
	}
	cmd := &cobra.Command{
		Use:     "delete KEY [KEY…]",
		Aliases: []string{"rm"},
		Short:   "Delete entries",
		Long:    "Deletes the entries that are named. One that is not there is no error. Asks only in a protected\ncontext.",
		Example: "  prismctl cache delete greeting\n  prismctl cache rm session-17 session-18 -n cache",
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 {
				return cli.Usage("prismctl cache delete KEY", "prismctl cache delete needs KEY")
			}
			return nil
		},
	}
	confirm := cli.AddConfirmation(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		o.Keys = args
		o.Confirm = func(ctx context.Context) error {
			if t, err := f.Target(); err != nil || !t.Protected {
				return err
			}
			return confirm.Ask(ctx, f, "delete "+cli.Plural(len(args), "key"), args[0])
		}
		return run(cmd.Context(), o)
	}
	o.Out = cli.AddListOutput(f, cmd, deletionKind().Info())
	return cmd
}

func runDelete(ctx context.Context, o *deleteOptions) error {
	if err := o.Confirm(ctx); err != nil {
		return err
	}
	c, ns, err := o.Enter(ctx)
	if err != nil {
		return err
	}
	var list *cli.List[deletion]
	if o.Out.Machine() || o.Out.Quiet() {
		list = cli.NewList(o.Out, deletionKind(), "")
	}
	for i, key := range o.Keys {
		r, err := c.Delete(ctx, &cachev1.DeleteRequest{Namespace: ns, Key: key})
		if err != nil {
			if i > 0 {
				return cli.Partial("prismctl cache delete "+cli.Quote(key)+" …", "%s deleted, then: %v", cli.Plural(i, "key"), err)
			}
			return explain(err)
		}
		d := deletion{ns, key, r.GetFound()}
		if list != nil {
			err = list.Add(d)
		} else {
			_, err = fmt.Fprintln(o.IO.Out, d.sentence())
		}
		if err != nil {
			return err
		}
	}
	if list != nil {
		return list.Close()
	}
	o.Out.Note("next: prismctl cache stats -n %s", ns)
	return nil
}

func (d deletion) sentence() string {
	key := iostreams.Escape(d.key)
	if !d.found {
		return fmt.Sprintf("%s was not in %s: nothing to delete", key, d.namespace)
	}
	return fmt.Sprintf("deleted %s from %s", key, d.namespace)
}
