package kv

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"
	"google.golang.org/grpc"

	"github.com/prism-data-layer/prism/pkg/cli"
	"github.com/prism-data-layer/prism/pkg/iostreams"
	"github.com/prism-data-layer/prism/pkg/prism"
	keyvaluev1 "github.com/prism-data-layer/prism/proto/prism/keyvalue/v1"
)

type deleter interface {
	getter
	Delete(context.Context, *keyvaluev1.DeleteRequest, ...grpc.CallOption) (*keyvaluev1.DeleteResponse, error)
}

type deleteOptions struct {
	IO  *iostreams.IOStreams
	Out *cli.Output
	cli.Door[deleter]
	Confirm func(context.Context) error

	Keys       []string
	IfVersion  uint64
	HasVersion bool
	DryRun     bool
}

type deletion struct {
	namespace, key string
	found          bool
	version        uint64
	dry            bool
}

func deletionKind() cli.Kind[deletion] {
	return cli.Kind[deletion]{Name: "EntryDeletion", Fields: []cli.Field[deletion]{
		cli.Text("key", "KEY", "the key", func(d deletion) string { return d.key }),
		cli.Text("namespace", "NAMESPACE", "where it was", func(d deletion) string { return d.namespace }),
		cli.Bool("found", "FOUND", "whether it was there", func(d deletion) bool { return d.found }),
		cli.Uint("version", "VERSION", "of the deletion, or with --dry-run of the key; 0 if there was nothing to delete", func(d deletion) uint64 { return d.version }),
	}}
}

func newDelete(f *cli.Factory, run func(context.Context, *deleteOptions) error) *cobra.Command {
	o := &deleteOptions{
		IO:   f.IO,
		Door: cli.OpenDoor(f, model, func(ctx context.Context) (deleter, error) { return f.KeyValue(ctx) }),
	}
	cmd := &cobra.Command{
		Use:     "delete KEY [KEY…]",
		Aliases: []string{"rm"},
		Short:   "Delete keys",
		Long:    "Deletes the keys that are named. A key that is not there is no error. Asks only in a protected\ncontext.",
		Example: "  prismctl kv delete greeting\n  prismctl kv rm session-17 session-18 -n kv",
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 {
				return cli.Usage("prismctl kv delete KEY", "prismctl kv delete needs KEY")
			}
			return nil
		},
	}
	confirm := cli.AddConfirmation(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		o.Keys, o.HasVersion = args, cmd.Flags().Changed("if-version")
		o.Confirm = func(ctx context.Context) error {
			if t, err := f.Target(); err != nil || !t.Protected {
				return err
			}
			return confirm.Ask(ctx, f, "delete "+cli.Plural(len(args), "key"), args[0])
		}
		return run(cmd.Context(), o)
	}
	o.Out = cli.AddListOutput(f, cmd, deletionKind().Info())
	cmd.Flags().Uint64Var(&o.IfVersion, "if-version", 0, "only if the key has version `N`")
	cmd.Flags().BoolVar(&o.DryRun, "dry-run", false, "look at the keys, and change nothing")
	cli.SetDefault(cmd, "if-version", "any")
	return cmd
}

func runDelete(ctx context.Context, o *deleteOptions) error {
	if o.HasVersion && len(o.Keys) > 1 {
		return cli.Usage("delete one key at a time", "--if-version goes with one key")
	}
	if !o.DryRun {
		if err := o.Confirm(ctx); err != nil {
			return err
		}
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
		d, err := o.delete(ctx, c, ns, key)
		if err != nil {
			if i > 0 {
				return cli.Partial("prismctl kv delete "+cli.Quote(key)+" …", "%s deleted, then: %v", cli.Plural(i, "key"), err)
			}
			return explain(err, ns, key)
		}
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
	if !o.DryRun {
		o.Out.Note("next: prismctl kv scan -n %s", ns)
	}
	return nil
}

// delete removes one key, or finds out what that would do.
func (o *deleteOptions) delete(ctx context.Context, c deleter, ns, key string) (deletion, error) {
	if o.DryRun {
		version, err := versionOf(ctx, c, ns, key)
		if err == nil && o.HasVersion && version != o.IfVersion {
			err = prism.New(prism.ReasonVersionMismatch, "the key has version %d, not %d", version, o.IfVersion).WithMeta("current_version", fmt.Sprint(version))
		}
		return deletion{ns, key, version != 0, version, true}, err
	}
	req := &keyvaluev1.DeleteRequest{Namespace: ns, Key: key}
	if o.HasVersion {
		req.IfVersion = &o.IfVersion
	}
	r, err := c.Delete(ctx, req)
	return deletion{ns, key, r.GetFound(), r.GetVersion(), false}, err
}

func (d deletion) sentence() string {
	key := iostreams.Escape(d.key)
	switch {
	case !d.found:
		return fmt.Sprintf("%s was not in %s: nothing to delete", key, d.namespace)
	case d.dry:
		return fmt.Sprintf("would delete %s from %s, now of version %d (dry run)", key, d.namespace, d.version)
	}
	return fmt.Sprintf("deleted %s from %s (version %d)", key, d.namespace, d.version)
}
