package queue

import (
	"context"
	"errors"
	"io"

	"github.com/spf13/cobra"

	"github.com/prism-data-layer/prism/pkg/cli"
	"github.com/prism-data-layer/prism/pkg/clock"
	queuev1 "github.com/prism-data-layer/prism/proto/prism/queue/v1"
)

type peekOptions struct {
	Out *cli.Output
	door
	Clock   clock.Clock
	Changed func(flag string) bool

	Queue, State string
	From         string
	Partition    int32
}

var states = map[string]queuev1.MessageState{
	"ready":   queuev1.MessageState_MESSAGE_STATE_READY,
	"delayed": queuev1.MessageState_MESSAGE_STATE_DELAYED,
	"leased":  queuev1.MessageState_MESSAGE_STATE_LEASED,
	"dead":    queuev1.MessageState_MESSAGE_STATE_DEAD,
}

// usual is how many messages are shown unless a flag says otherwise.
const usual = "100"

func newPeek(f *cli.Factory, run func(context.Context, *peekOptions) error) *cobra.Command {
	o := &peekOptions{door: openDoor(f), Clock: f.Clock}
	cmd := &cobra.Command{
		Use:   "peek QUEUE",
		Short: "Look at messages without taking them",
		Long: `Lists messages of a work queue in one state, in the order of their delivery: nothing is leased, and
no attempt counts. Or those that a log keeps, the oldest first: no group moves.`,
		Example:           "  prismctl queue peek mail --state delayed -o json\n  prismctl queue peek orders --from 1h --limit 10",
		Args:              cli.ExactArgs("QUEUE"),
		ValidArgsFunction: completeNames(f),
		RunE: func(cmd *cobra.Command, args []string) error {
			o.Queue, o.Changed = args[0], cmd.Flags().Changed
			return run(cmd.Context(), o)
		},
	}
	addPage(f, cmd, o)
	flags := cmd.Flags()
	flags.StringVar(&o.State, "state", "ready", "of a work queue, in this `STATE`: ready, delayed, leased or dead")
	cli.Enum(cmd, "state", "ready", "delayed", "leased", "dead")
	addRange(cmd, &o.From, &o.Partition)
	return cmd
}

// addRange gives a command flags for where it reads a log.
func addRange(cmd *cobra.Command, from *string, partition *int32) {
	flags := cmd.Flags()
	flags.StringVar(from, "from", "", "of a log, begin at this `PLACE`: earliest, latest, an offset, how long ago, or a time")
	flags.Int32Var(partition, "partition", -1, "of a log, only partition `N`")
	cli.SetDefault(cmd, "from", "earliest")
	cli.SetDefault(cmd, "partition", "all")
}

// newDLQ is peek for dead letters.
func newDLQ(f *cli.Factory, run func(context.Context, *peekOptions) error) *cobra.Command {
	o := &peekOptions{State: "dead", door: openDoor(f), Clock: f.Clock}
	cmd := &cobra.Command{
		Use:               "dlq QUEUE",
		Short:             "List dead letters, with the reasons",
		Long:              "Lists the messages that failed too often or were rejected, the oldest first.",
		Example:           "  prismctl queue dlq mail\n  prismctl queue dlq mail --all -o json",
		Args:              cli.ExactArgs("QUEUE"),
		ValidArgsFunction: completeNames(f),
		RunE: func(cmd *cobra.Command, args []string) error {
			o.Queue, o.Changed = args[0], func(flag string) bool { return flag == "state" } // of a log there is none
			return run(cmd.Context(), o)
		},
	}
	addPage(f, cmd, o)
	return cmd
}

func addPage(f *cli.Factory, cmd *cobra.Command, o *peekOptions) {
	o.Out = cli.AddListOutput(f, cmd, peekedKind().Info())
	cli.SetDefault(cmd, "limit", usual)
	_ = cmd.Flags().Lookup("limit").Value.Set(usual)
}

func runPeek(ctx context.Context, o *peekOptions) error {
	state := states[o.State]
	h, err := o.enter(ctx)
	if err != nil {
		return err
	}
	limit := o.Out.Limit
	list, more := cli.NewList(o.Out, peekedKind(), "no message of "+o.Queue+" is "+o.State+"; prismctl queue info "+o.Queue+" counts them"), ""
	asLog := o.Changed("from") || o.Changed("partition") // which only a log has
	if !asLog {
		more, err = cli.Pages(ctx, limit, func(ctx context.Context, cursor string, size int32) (int, string, error) {
			page, err := h.work.Peek(ctx, &queuev1.PeekRequest{Namespace: h.ns, Queue: o.Queue, State: state, Limit: size, Cursor: cursor})
			if err != nil {
				return 0, "", err
			}
			for _, m := range page.GetMessages() {
				if err := list.Add(fromPeeked(m)); err != nil {
					return 0, "", err
				}
			}
			return len(page.GetMessages()), page.GetCursor(), list.Flush()
		})
	}
	if asLog || isLog(err) && !o.Changed("state") {
		list = cli.NewList(o.Out, peekedKind(), o.Queue+" keeps no message there; prismctl queue info "+o.Queue+" counts them")
		more, err = o.log(ctx, h, list, limit)
	}
	if err != nil {
		return explain(err, h.ns)
	}
	if err := list.Close(); err != nil {
		return err
	}
	o.Out.MoreHint(more, list.Len())
	return nil
}

// log lists what a log keeps; more is not empty if there is more than limit.
func (o *peekOptions) log(ctx context.Context, h hall, list *cli.List[message], limit int) (more string, err error) {
	from, err := parsePoint("from", o.From, o.Clock.Now())
	if err != nil {
		return "", err
	}
	r, err := h.replay(ctx, o.Queue, o.Partition, from, point{latest: true})
	if err != nil {
		return "", err
	}
	for {
		m, err := r.Next(ctx)
		switch {
		case errors.Is(err, io.EOF):
			return "", nil
		case err != nil:
			return "", err
		case limit > 0 && list.Len() == limit:
			return m.GetMessageId(), nil
		}
		if err := list.Add(fromLog(m)); err != nil {
			return "", err
		}
	}
}
