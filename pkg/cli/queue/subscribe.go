package queue

import (
	"context"
	"time"

	"github.com/spf13/cobra"

	"github.com/prism-data-layer/prism/pkg/cli"
	"github.com/prism-data-layer/prism/pkg/clock"
	"github.com/prism-data-layer/prism/pkg/prism"
	"github.com/prism-data-layer/prism/pkg/wire"
	queuev1 "github.com/prism-data-layer/prism/proto/prism/queue/v1"
)

type subscribeOptions struct {
	Out *cli.Output
	door
	Clock   clock.Clock
	Timeout func() time.Duration // of a call
	Changed func(flag string) bool

	Queue           string
	Max             int
	Ack             bool
	Lease           cli.DurationFlag
	Group, From, To string
	Partition       int32

	h    hall
	list *cli.List[message]
	left int  // messages to show; 0 with endless
	said bool // that the gateway is away

	endless, started bool // started: the gateway has answered
}

func newSubscribe(f *cli.Factory, run func(context.Context, *subscribeOptions) error) *cobra.Command {
	o := &subscribeOptions{door: openDoor(f), Clock: f.Clock, Timeout: func() time.Duration { return f.Globals.Timeout }}
	cmd := &cobra.Command{
		Use:   "subscribe QUEUE",
		Short: "Receive messages and print them",
		Long: `Prints messages as they come, until Ctrl-C or --max of them. Those of a work queue are leased: with
--ack they are acknowledged when they are printed; without, each comes again when its lease ends.
A log is read as a member of --group, which goes on where the group has acknowledged; without a
group from --from on, and with --to as far as there. A gateway that restarts is waited for. For
programs, -o json prints one object a line.`,
		Example: `  prismctl queue subscribe mail --max 1 --lease 5m -o json
  prismctl queue subscribe orders --group billing --max 1 --ack
  prismctl queue subscribe orders --from earliest --to latest`,
		Args:              cli.ExactArgs("QUEUE"),
		ValidArgsFunction: completeNames(f),
		RunE: func(cmd *cobra.Command, args []string) error {
			o.Queue, o.Changed = args[0], cmd.Flags().Changed
			return run(cmd.Context(), o)
		},
	}
	o.Out = cli.AddListOutput(f, cmd, receivedKind().Info())
	flags := cmd.Flags()
	flags.IntVar(&o.Max, "max", 0, "end after `N` messages")
	flags.BoolVar(&o.Ack, "ack", false, "acknowledge what was printed")
	flags.Var(&o.Lease, "lease", "of a work queue, hold each message for this `DURATION`")
	flags.StringVar(&o.Group, "group", "", "of a log, read as a member of this `GROUP`")
	addRange(cmd, &o.From, &o.Partition)
	flags.StringVar(&o.To, "to", "", "of a log, end before this `PLACE`, as --from; latest: what there is now")
	cli.SetDefault(cmd, "max", "until Ctrl-C")
	cli.SetDefault(cmd, "lease", "the queue's")
	cli.SetDefault(cmd, "limit", "as --max")
	cli.SetDefault(cmd, "group", "none")
	cli.SetDefault(cmd, "to", "until Ctrl-C")
	_ = cmd.RegisterFlagCompletionFunc("group", completeGroups(f))
	return cmd
}

// pause is the wait before a gateway that is away is asked again.
const pause = 500 * time.Millisecond

// longestWait is how long the gateway is asked to wait for a message.
const longestWait = 20 * time.Second

func runSubscribe(ctx context.Context, o *subscribeOptions) error {
	if err := o.begin(); err != nil {
		return err
	}
	var err error
	if o.h, err = o.enter(ctx); err != nil {
		return err
	}
	o.list = cli.NewList(o.Out, receivedKind(), "")
	asLog := false // a flag that only logs have says so
	for _, flag := range []string{"group", "from", "to", "partition"} {
		asLog = asLog || o.Changed(flag)
	}
	if !asLog {
		err = o.keep(ctx, func(ctx context.Context) (bool, error) {
			n, err := o.receive(ctx)
			o.left = max(o.left-n, 0)
			return o.enough(), err
		})
	}
	if asLog || isLog(err) {
		err = o.followLog(ctx)
	}
	if closed := o.list.Close(); err == nil {
		err = closed
	}
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if err != nil {
		return explain(err, o.h.ns)
	}
	return nil
}

// begin settles how many messages are shown.
func (o *subscribeOptions) begin() error {
	if o.left = o.Max; o.left == 0 {
		o.left = o.Out.Limit
	}
	switch {
	case o.left < 0:
		return cli.Usage("--max N, a positive number", "--max is negative")
	case o.left > 0 || o.To != "":
		o.endless = o.left == 0
		return nil
	}
	o.endless = true
	return o.Out.Endless()
}

// enough reports whether all has been shown that was asked for.
func (o *subscribeOptions) enough() bool { return !o.endless && o.left == 0 }

// keep calls some again and again until it is done. A gateway that answered
// once is waited for when it goes away.
func (o *subscribeOptions) keep(ctx context.Context, some func(context.Context) (done bool, err error)) error {
	for {
		done, err := some(ctx)
		switch {
		case ctx.Err() != nil:
			return context.Cause(ctx)
		case err != nil && !(o.started && away(err)):
			return err
		case done:
			return nil
		case err == nil:
			continue
		}
		if err := o.wait(ctx); err != nil {
			return err
		}
	}
}

// wait says that the gateway is away, and waits a moment.
func (o *subscribeOptions) wait(ctx context.Context) error {
	o.gone()
	timer := o.Clock.NewTimer(pause)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-timer.C:
		return nil
	}
}

func (o *subscribeOptions) gone() {
	if !o.said {
		o.Out.Note("the gateway is away; waiting to go on")
		o.said = true
	}
}

// answered says that the gateway is back, if it was away.
func (o *subscribeOptions) answered() {
	o.started = true
	if o.said {
		o.Out.Note("the gateway is back")
		o.said = false
	}
}

// receive prints what one call to a work queue gives, and acknowledges it.
func (o *subscribeOptions) receive(ctx context.Context) (int, error) {
	most := 100
	if !o.endless {
		most = min(most, o.left)
	}
	wait := min(longestWait, o.Timeout()*3/4)
	r, err := o.h.work.Receive(ctx, &queuev1.ReceiveRequest{
		Namespace: o.h.ns, Queue: o.Queue, MaxMessages: int32(most), LeaseMs: o.Lease.Milliseconds(), WaitMs: wait.Milliseconds(),
	})
	if err != nil {
		return 0, err
	}
	o.answered()
	var leases []string
	for _, m := range r.GetMessages() {
		if err := o.list.Add(fromLeased(m)); err != nil {
			return 0, err
		}
		leases = append(leases, m.GetLease())
	}
	if err := o.list.Flush(); err != nil {
		return 0, err
	}
	if !o.Ack || len(leases) == 0 {
		return len(leases), nil
	}
	a, err := o.h.work.Acknowledge(ctx, &queuev1.WorkQueueServiceAcknowledgeRequest{Namespace: o.h.ns, Queue: o.Queue, Leases: leases})
	if err != nil {
		return len(leases), err
	}
	for i, res := range a.GetResults() {
		if e := res.GetError(); e != nil {
			return len(leases), prism.From(wire.FromItem(e)).WithMeta("message_id", r.GetMessages()[i].GetMessageId())
		}
	}
	return len(leases), nil
}
