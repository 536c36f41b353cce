package queue

import (
	"context"
	"fmt"
	"slices"
	"strconv"

	"github.com/spf13/cobra"

	"github.com/prism-data-layer/prism/pkg/cli"
	"github.com/prism-data-layer/prism/pkg/clock"
	queuev1 "github.com/prism-data-layer/prism/proto/prism/queue/v1"
)

type seekOptions struct {
	Out *cli.Output
	door
	Clock   clock.Clock
	Changed func(flag string) bool

	Queue, Group string
	To, ToTime   string
	ToOffset     int64
	Partitions   []int32
	DryRun       bool
}

// sought is what a seek did.
type sought struct {
	namespace, queue, group string
	moves                   []move
}

// A move is of one partition; from is -1 where the group had committed nothing.
type move struct {
	partition        int32
	from, to, behind int64
}

// lag is how many messages are before the group now, in what has moved.
func (s sought) lag() (n int64) {
	for _, m := range s.moves {
		n += m.behind
	}
	return n
}

func soughtKind() cli.Kind[sought] {
	return cli.Kind[sought]{Name: "Seek", Fields: []cli.Field[sought]{
		cli.Text("group", "GROUP", "who goes on elsewhere", func(s sought) string { return s.group }),
		cli.Text("queue", "QUEUE", "the log", func(s sought) string { return s.queue }),
		cli.Text("namespace", "NAMESPACE", "where it is", func(s sought) string { return s.namespace }),
		cli.Int("lag", "LAG", "messages before the group now, in the partitions that moved", sought.lag),
		cli.Nested("partitions", "what moved: from which offset, null for none, to which", func(s sought) any {
			list := make([]any, len(s.moves))
			for i, m := range s.moves {
				o := cli.Object{{Name: "partition", Value: int64(m.partition)}, {Name: "from", Value: m.from}, {Name: "to", Value: m.to}, {Name: "lag", Value: m.behind}}
				if m.from < 0 {
					o[1].Value = nil
				}
				list[i] = o
			}
			return list
		}),
	}}
}

func newSeek(f *cli.Factory, run func(context.Context, *seekOptions) error) *cobra.Command {
	o := &seekOptions{door: openDoor(f), Clock: f.Clock}
	cmd := &cobra.Command{
		Use:   "seek LOG",
		Short: "Let a group go on somewhere else",
		Long: `Moves a group to the beginning of a log, its end, an offset or a time: all its partitions, or those
that --partition names. Members that read now go on from there at once. Messages before the place
are not delivered to the group any more, those after it again.`,
		Example: `  prismctl queue seek orders --group billing --to earliest --dry-run
  prismctl queue seek orders --group billing --to-time 1h
  prismctl queue seek orders --group billing --to-offset 0 --partition 0`,
		Args:              cli.ExactArgs("LOG"),
		ValidArgsFunction: completeNames(f),
		RunE: func(cmd *cobra.Command, args []string) error {
			o.Queue, o.Changed = args[0], cmd.Flags().Changed
			return run(cmd.Context(), o)
		},
	}
	o.Out = cli.AddOutput(f, cmd, soughtKind().Info())
	flags := cmd.Flags()
	flags.StringVar(&o.Group, "group", "", "the `GROUP`")
	flags.StringVar(&o.To, "to", "", "to this `PLACE`: earliest or latest")
	flags.Int64Var(&o.ToOffset, "to-offset", 0, "to message `N` of each partition")
	flags.StringVar(&o.ToTime, "to-time", "", "to the first message since this `TIME`: how long ago, or RFC 3339")
	flags.Int32SliceVar(&o.Partitions, "partition", nil, "only partition `N`; may be given again")
	flags.BoolVar(&o.DryRun, "dry-run", false, "show what would move, and move nothing")
	for flag, def := range map[string]string{"group": "required", "to": "none", "to-offset": "none", "to-time": "none", "partition": "all"} {
		cli.SetDefault(cmd, flag, def)
	}
	_ = cmd.RegisterFlagCompletionFunc("group", completeGroups(f))
	return cmd
}

// point is the place that the flags name, just one of them.
func (o *seekOptions) point() (p point, err error) {
	n := 0
	for _, flag := range []string{"to", "to-offset", "to-time"} {
		if o.Changed(flag) {
			n++
		}
	}
	switch {
	case o.Group == "":
		return p, cli.Usage("--group NAME; prismctl queue groups "+cli.Quote(o.Queue)+" lists them", "prismctl queue seek needs --group")
	case n != 1:
		return p, cli.Usage("one of --to earliest, --to latest, --to-offset N and --to-time TIME", "prismctl queue seek needs one place")
	case o.Changed("to-offset") && o.ToOffset < 0:
		return p, cli.Usage("--to-offset N, 0 or more", "--to-offset is negative")
	case o.Changed("to-offset"):
		return point{offset: &o.ToOffset}, nil
	case o.Changed("to-time"):
		p.time, err = cli.ParseMoment(o.ToTime, o.Clock.Now())
		if err != nil {
			return p, cli.Usage("--to-time 90m, or a time in RFC 3339", "%q is not a time", o.ToTime)
		}
		return p, nil
	case o.To != "earliest" && o.To != "latest":
		return p, cli.Usage("--to earliest or --to latest", "%q is no place in a log", o.To)
	}
	return parsePoint("to", o.To, o.Clock.Now())
}

func runSeek(ctx context.Context, o *seekOptions) error {
	to, err := o.point()
	if err != nil {
		return err
	}
	h, err := o.enter(ctx)
	if err != nil {
		return err
	}
	s := sought{namespace: h.ns, queue: o.Queue, group: o.Group}
	if s.moves, err = o.moves(ctx, h, to); err != nil {
		return err
	}
	what := fmt.Sprintf("group %s of %s in %s", o.Group, o.Queue, h.ns)
	where := fmt.Sprintf("%s (%s, %s before it)", to.words(), cli.Plural(len(s.moves), "partition"), cli.Plural(s.lag(), "message"))
	if o.DryRun {
		return cli.PrintChanged(o.Out, soughtKind(), s, what+" would go on at "+where+" (dry run)", "")
	}
	r := &queuev1.SeekRequest{Namespace: h.ns, Topic: o.Queue, Group: o.Group}
	for _, m := range s.moves {
		r.Offsets = append(r.Offsets, &queuev1.PartitionOffset{Partition: m.partition, Offset: m.to})
	}
	if _, err := h.log.Seek(ctx, r); err != nil {
		return explain(err, h.ns)
	}
	return cli.PrintChanged(o.Out, soughtKind(), s, what+" goes on at "+where, cli.Next(model, h.ns, "queue", "groups", o.Queue))
}

// moves works out where each partition goes. The offsets are then sent as they
// were shown.
func (o *seekOptions) moves(ctx context.Context, h hall, to point) ([]move, error) {
	parts, err := h.partitions(ctx, o.Queue, -1)
	if err != nil {
		return nil, err
	}
	for _, p := range o.Partitions {
		if p < 0 || int(p) >= len(parts) {
			return nil, cli.Usage("--partition N, 0 to "+strconv.Itoa(len(parts)-1), "%s has no partition %d", o.Queue, p)
		}
	}
	groups, err := h.log.ListGroups(ctx, &queuev1.ListGroupsRequest{Namespace: h.ns, Topic: o.Queue})
	if err != nil {
		return nil, explain(err, h.ns)
	}
	committed := map[int32]int64{}
	for _, g := range groups.GetGroups() {
		if g.GetGroup() == o.Group {
			for _, c := range g.GetCommitted() {
				committed[c.GetPartition()] = c.GetOffset()
			}
		}
	}
	var moves []move
	for _, part := range parts {
		n := part.GetPartition()
		if len(o.Partitions) > 0 && !slices.Contains(o.Partitions, n) {
			continue
		}
		m := move{partition: n, from: -1}
		if m.to, err = h.offsetOf(ctx, o.Queue, part, to); err != nil {
			return nil, explain(err, h.ns)
		}
		if at, ok := committed[n]; ok {
			m.from = at
		}
		m.behind = part.GetLatestOffset() - m.to
		moves = append(moves, m)
	}
	return moves, nil
}

// offsetOf is the offset of a place in a partition.
func (h hall) offsetOf(ctx context.Context, topic string, part *queuev1.PartitionInfo, to point) (int64, error) {
	if to.time.IsZero() {
		return to.in(part), nil
	}
	since, err := h.read(ctx, topic, &head{partition: part.GetPartition(), start: to.proto(), next: part.GetEarliestOffset(), end: part.GetLatestOffset()})
	if err != nil || len(since) == 0 {
		return part.GetLatestOffset(), err
	}
	return since[0].GetOffset(), nil
}
