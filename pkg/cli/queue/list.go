package queue

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/prism-data-layer/prism/pkg/cli"
)

type listOptions struct {
	Out *cli.Output
	door
}

func newList(f *cli.Factory, run func(context.Context, *listOptions) error) *cobra.Command {
	o := &listOptions{door: openDoor(f)}
	cmd := &cobra.Command{
		Use:     "list",
		Aliases: []string{"ls"},
		Short:   "List the queues and logs of a namespace",
		Long:    "Lists work queues and logs by name, with what each holds.",
		Example: "  prismctl queue list\n  prismctl queue list -n queue -o name",
		Args:    cli.NoArgs,
		RunE:    func(cmd *cobra.Command, _ []string) error { return run(cmd.Context(), o) },
	}
	o.Out = cli.AddListOutput(f, cmd, infoKind().Info())
	return cmd
}

func runList(ctx context.Context, o *listOptions) error {
	h, err := o.enter(ctx)
	if err != nil {
		return err
	}
	names, err := h.names(ctx)
	if err != nil {
		return explain(err, h.ns)
	}
	list := cli.NewList(o.Out, infoKind(), "there are no queues in "+h.ns+"; prismctl queue publish QUEUE PAYLOAD makes one")
	more := ""
	if n := o.Out.Fetch(); n > 0 && len(names) > n {
		names, more = names[:n], names[n].name
	}
	for _, n := range names {
		i := info{name: n.name}
		if n.typ == typeLog {
			err = h.logInfo(ctx, &i)
		} else {
			i, err = h.info(ctx, n.name)
		}
		if err != nil {
			return explain(err, h.ns)
		}
		if err := list.Add(i); err != nil {
			return err
		}
	}
	if err := list.Close(); err != nil {
		return err
	}
	o.Out.MoreHint(more, list.Len())
	return nil
}
