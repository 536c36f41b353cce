package queue

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/prism-data-layer/prism/pkg/cli"
	queuev1 "github.com/prism-data-layer/prism/proto/prism/queue/v1"
)

type groupsOptions struct {
	Out *cli.Output
	door

	Queue string
}

func groupKind() cli.Kind[*queuev1.Group] {
	type g = *queuev1.Group
	return cli.Kind[g]{Name: "ConsumerGroup", Fields: []cli.Field[g]{
		cli.Text("group", "GROUP", "its name", func(v g) string { return v.GetGroup() }),
		cli.Int("members", "MEMBERS", "who read now, through this gateway", func(v g) int64 { return int64(v.GetMembers()) }),
		cli.Int("lag", "LAG", "messages after what it has acknowledged", func(v g) int64 { return v.GetLag() }),
		cli.Nested("committed", "the next offset to read of each partition", func(v g) any { return offsetsOf(v.GetCommitted()) }),
	}}
}

func offsetsOf(list []*queuev1.PartitionOffset) any {
	out := make([]any, len(list))
	for i, p := range list {
		out[i] = cli.Object{{Name: "partition", Value: int64(p.GetPartition())}, {Name: "offset", Value: p.GetOffset()}}
	}
	return out
}

func newGroups(f *cli.Factory, run func(context.Context, *groupsOptions) error) *cobra.Command {
	o := &groupsOptions{door: openDoor(f)}
	cmd := &cobra.Command{
		Use:               "groups LOG",
		Short:             "List the groups that read a log, and how far behind each is",
		Long:              "Lists the groups of a log by name, with the members that read now and the messages before each.",
		Example:           "  prismctl queue groups orders\n  prismctl queue groups orders -o json",
		Args:              cli.ExactArgs("LOG"),
		ValidArgsFunction: completeNames(f),
		RunE: func(cmd *cobra.Command, args []string) error {
			o.Queue = args[0]
			return run(cmd.Context(), o)
		},
	}
	o.Out = cli.AddListOutput(f, cmd, groupKind().Info())
	return cmd
}

func runGroups(ctx context.Context, o *groupsOptions) error {
	h, err := o.enter(ctx)
	if err != nil {
		return err
	}
	r, err := h.log.ListGroups(ctx, &queuev1.ListGroupsRequest{Namespace: h.ns, Topic: o.Queue})
	if err != nil {
		return explain(err, h.ns)
	}
	return cli.PrintList(o.Out, groupKind(), cli.Cut(o.Out, r.GetGroups()), "no group reads "+o.Queue+"; prismctl queue subscribe "+o.Queue+" --group NAME begins one")
}
