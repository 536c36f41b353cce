package namespace

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"google.golang.org/grpc"

	"github.com/prism-data-layer/prism/pkg/cli"
	"github.com/prism-data-layer/prism/pkg/clock"
	"github.com/prism-data-layer/prism/pkg/iostreams"
	"github.com/prism-data-layer/prism/pkg/prism"
	adminv1 "github.com/prism-data-layer/prism/proto/prism/admin/v1"
)

type moveClient interface {
	MoveNamespace(context.Context, *adminv1.MoveNamespaceRequest, ...grpc.CallOption) (*adminv1.MoveNamespaceResponse, error)
	AbortMove(context.Context, *adminv1.AbortMoveRequest, ...grpc.CallOption) (*adminv1.AbortMoveResponse, error)
	GetOperation(context.Context, *adminv1.GetOperationRequest, ...grpc.CallOption) (*adminv1.GetOperationResponse, error)
}

type moveOptions struct {
	IO     *iostreams.IOStreams
	Clock  clock.Clock
	Out    *cli.Output
	Client func(context.Context) (moveClient, error)

	Name, To              string
	AllowFewer, Overwrite bool
	Keep                  cli.DurationFlag
	Rate, RateBytes       int64
	Abort, DryRun, NoWait bool
}

func newMove(f *cli.Factory, run func(context.Context, *moveOptions) error) *cobra.Command {
	o := &moveOptions{Keep: cli.DurationFlag(10 * time.Minute), IO: f.IO, Clock: f.Clock, Client: func(ctx context.Context) (moveClient, error) { return f.Admin(ctx) }}
	cmd := &cobra.Command{
		Use:   "move NAME --to BACKEND",
		Short: "Move a namespace to another backend while it is used",
		Long: `Copies a namespace of key-values to another backend, follows what is changed meanwhile, compares
everything, holds writes for a moment and switches. Calls and streams go along: none fails. Versions,
expiries and idempotency keys stay. A cache begins empty and live events are switched; queues and
kept events are refused. The gateway goes on when this command is interrupted, and after a restart.`,
		Example:           "  prismctl namespace move kv --to volatile --dry-run\n  prismctl namespace move kv --to volatile",
		Args:              cli.ExactArgs("NAME"),
		ValidArgsFunction: cli.CompleteNamespaces(f),
	}
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		o.Name = args[0]
		if (o.To == "") != o.Abort {
			return cli.Usage("pass --to BACKEND, or --abort", "a move needs a backend to move to")
		}
		return run(cmd.Context(), o)
	}
	o.Out = cli.AddOutput(f, cmd, cli.OperationKind().Info())
	flags := cmd.Flags()
	flags.StringVar(&o.To, "to", "", "the `BACKEND` to move to")
	flags.BoolVar(&o.AllowFewer, "allow-fewer", false, "move although the namespace then lacks capabilities that it has")
	flags.BoolVar(&o.Overwrite, "overwrite", false, "drop what the backend holds of a namespace of this name")
	flags.Var(&o.Keep, "keep-source", "how long the data that was left is kept for watchers who were away, as a `DURATION`")
	flags.Int64Var(&o.Rate, "rate", 0, "copy at most `N` keys a second; 0: no bound")
	flags.Int64Var(&o.RateBytes, "rate-bytes", 0, "copy at most `N` bytes a second; 0: no bound")
	flags.BoolVar(&o.Abort, "abort", false, "end a move that has not switched: everything stays where it is")
	flags.BoolVar(&o.DryRun, "dry-run", false, "check, and change nothing")
	flags.BoolVar(&o.NoWait, "no-wait", false, "do not wait until it has moved")
	_ = cmd.RegisterFlagCompletionFunc("to", cli.CompleteBackends(f))
	return cmd
}

func runMove(ctx context.Context, o *moveOptions) error {
	c, err := o.Client(ctx)
	if err != nil {
		return err
	}
	if o.Abort {
		return o.abort(ctx, c)
	}
	r, err := c.MoveNamespace(ctx, &adminv1.MoveNamespaceRequest{
		Name: o.Name, To: o.To, AllowFewer: o.AllowFewer, Overwrite: o.Overwrite, DryRun: o.DryRun,
		KeepSourceMs: time.Duration(o.Keep).Milliseconds(), KeysPerSecond: o.Rate, BytesPerSecond: o.RateBytes,
	})
	if err != nil {
		return cli.NotFoundFix(o.fix(err), seeList)
	}
	for _, note := range r.GetNotes() {
		o.Out.Note("note: %s", note)
	}
	if fewer := r.GetFewer(); len(fewer) > 0 {
		o.Out.Note("note: it will lack %s", strings.Join(fewer, ", "))
	}
	op, next := r.GetOperation(), "prismctl namespace describe "+o.Name
	switch {
	case o.DryRun:
		return cli.PrintChanged(o.Out, cli.OperationKind(), op, fmt.Sprintf("would move namespace %s to backend %s (dry run)", o.Name, o.To), "")
	case o.NoWait:
		return cli.PrintChanged(o.Out, cli.OperationKind(), op, fmt.Sprintf("moving namespace %s to backend %s", o.Name, o.To), next)
	}
	if op, err = o.wait(ctx, c, op); err != nil {
		return err
	}
	return cli.PrintChanged(o.Out, cli.OperationKind(), op, fmt.Sprintf("moved namespace %s to backend %s: %s", o.Name, o.To, op.GetMessage()), next)
}

// fix says what to type where the gateway asks for consent.
func (o *moveOptions) fix(err error) error {
	e := prism.From(err)
	switch {
	case e.Meta["fewer"] != "":
		return cli.WithFix(err, "prismctl namespace move %s --to %s --allow-fewer", o.Name, o.To)
	case e.Reason == prism.ReasonNamespaceBusy:
		return cli.WithFix(err, "prismctl namespace describe %s", o.Name)
	}
	return err
}

func (o *moveOptions) abort(ctx context.Context, c moveClient) error {
	r, err := c.AbortMove(ctx, &adminv1.AbortMoveRequest{Name: o.Name})
	if err != nil {
		return cli.NotFoundFix(err, seeList)
	}
	return cli.PrintChanged(o.Out, cli.OperationKind(), r.GetOperation(), fmt.Sprintf("aborted the move of namespace %s: it is where it was", o.Name), "prismctl namespace describe "+o.Name)
}

// wait shows how the move goes until it has ended.
func (o *moveOptions) wait(ctx context.Context, c moveClient, op *adminv1.Operation) (*adminv1.Operation, error) {
	label := fmt.Sprintf("moving namespace %s to backend %s", iostreams.Escape(o.Name), iostreams.Escape(o.To))
	progress := o.IO.StartProgress(label)
	defer func() { progress.Stop() }()
	phase := ""
	return follow(ctx, o.Clock, c.GetOperation, op, func(op *adminv1.Operation) {
		if m := op.GetMove(); m.GetPhase() != phase && m != nil {
			phase = m.GetPhase()
			progress.Phase(label + ": " + iostreams.Escape(phase))
		}
		progress.Detail(op.GetMessage())
	}, "moving", o.Name)
}
