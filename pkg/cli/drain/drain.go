// Package drain is `prismctl drain`: ending open streams, so that their clients
// go on elsewhere.
package drain

import (
	"context"
	"fmt"
	"time"

	"github.com/spf13/cobra"
	"google.golang.org/grpc"

	"github.com/prism-data-layer/prism/pkg/cli"
	"github.com/prism-data-layer/prism/pkg/clock"
	"github.com/prism-data-layer/prism/pkg/iostreams"
	"github.com/prism-data-layer/prism/pkg/prism"
	adminv1 "github.com/prism-data-layer/prism/proto/prism/admin/v1"
)

type drainer interface {
	DrainConnections(context.Context, *adminv1.DrainConnectionsRequest, ...grpc.CallOption) (*adminv1.DrainConnectionsResponse, error)
	GetOperation(context.Context, *adminv1.GetOperationRequest, ...grpc.CallOption) (*adminv1.GetOperationResponse, error)
}

type options struct {
	IO      *iostreams.IOStreams
	Clock   clock.Clock
	Out     *cli.Output
	Client  func(context.Context) (drainer, error)
	Confirm func(context.Context) error

	Namespace string // only what --namespace says: the context's default does not narrow
	Timeout   time.Duration
	DryRun    bool
}

// drained is what a drain did.
type drained struct {
	*adminv1.Operation
	namespace           string
	initial, left, gone int64
}

func kind() cli.Kind[drained] {
	return cli.Kind[drained]{Name: "Drain", Fields: []cli.Field[drained]{
		cli.Text("operation_id", "OPERATION", "its id", func(d drained) string { return d.GetOperationId() }),
		cli.Text("namespace", "NAMESPACE", "whose streams; none: all", func(d drained) string { return d.namespace }),
		cli.State("state", "STATE", "running, done or failed", func(d drained) string {
			return cli.EnumWord(d.GetState().String(), "OPERATION_STATE_")
		}),
		cli.Int("initial_count", "STREAMS", "streams that were open", func(d drained) int64 { return d.initial }),
		cli.Int("drained_count", "DRAINED", "those that have ended", func(d drained) int64 { return d.gone }),
		cli.Int("remaining_count", "REMAINING", "those that have not", func(d drained) int64 { return d.left }),
	}}
}

// New is the command.
func New(f *cli.Factory) *cobra.Command { return newDrain(f, run) }

func newDrain(f *cli.Factory, run func(context.Context, *options) error) *cobra.Command {
	o := &options{IO: f.IO, Clock: f.Clock, Client: func(ctx context.Context) (drainer, error) { return f.Admin(ctx) }}
	cmd := &cobra.Command{
		Use:   "drain",
		Short: "End open streams, so that their clients go on elsewhere",
		Long: `Ends the open streams of the namespace that --namespace names, or of all, after asking: each with
DRAINING and a position to go on from. Until they have ended, or --timeout has passed, no new ones
of it are let in. Other namespaces, and calls that are no streams, notice nothing.`,
		Example: "  prismctl drain --namespace kv --yes\n  prismctl drain --dry-run",
		Args:    cli.NoArgs,
	}
	confirm := cli.AddConfirmation(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		o.Namespace, o.Timeout = f.Globals.Namespace, f.Globals.Timeout
		o.Confirm = func(ctx context.Context) error {
			return confirm.Ask(ctx, f, "end the streams of "+o.whose(), o.Namespace)
		}
		return run(cmd.Context(), o)
	}
	o.Out = cli.AddOutput(f, cmd, kind().Info())
	cmd.Flags().BoolVar(&o.DryRun, "dry-run", false, "count them, and change nothing")
	return cmd
}

func (o *options) whose() string {
	if o.Namespace == "" {
		return "all namespaces"
	}
	return "namespace " + o.Namespace
}

func run(ctx context.Context, o *options) error {
	if !o.DryRun {
		if err := o.Confirm(ctx); err != nil {
			return err
		}
	}
	c, err := o.Client(ctx)
	if err != nil {
		return err
	}
	r, err := c.DrainConnections(ctx, &adminv1.DrainConnectionsRequest{Namespace: o.Namespace, TimeoutMs: o.Timeout.Milliseconds(), DryRun: o.DryRun})
	if err != nil {
		return cli.NotFoundFix(err, "prismctl namespace list")
	}
	d := drained{Operation: r.GetOperation(), namespace: o.Namespace, initial: r.GetInitialCount(), left: r.GetRemainingCount(), gone: r.GetDrainedCount()}
	if o.DryRun {
		return cli.PrintChanged(o.Out, kind(), d, fmt.Sprintf("would end %s of %s (dry run)", cli.Plural(d.initial, "stream"), o.whose()), "")
	}
	progress := o.IO.StartProgress("ending the streams of " + iostreams.Escape(o.whose()))
	err = o.wait(ctx, c, &d)
	progress.Stop()
	if err != nil {
		return err
	}
	return cli.PrintChanged(o.Out, kind(), d, fmt.Sprintf("ended %s of %s", cli.Plural(d.initial, "stream"), o.whose()), "prismctl session list")
}

// pollEvery is how often a running drain is asked about.
const pollEvery = 100 * time.Millisecond

// wait follows a drain to its end.
func (o *options) wait(ctx context.Context, c drainer, d *drained) error {
	for d.GetState() == adminv1.OperationState_OPERATION_STATE_RUNNING {
		timer := o.Clock.NewTimer(pollEvery)
		select {
		case <-ctx.Done():
			timer.Stop()
			return context.Cause(ctx)
		case <-timer.C:
		}
		r, err := c.GetOperation(ctx, &adminv1.GetOperationRequest{OperationId: d.GetOperationId()})
		if err != nil {
			return err
		}
		d.Operation = r.GetOperation()
	}
	if d.GetState() == adminv1.OperationState_OPERATION_STATE_FAILED {
		err := prism.New(prism.ReasonDeadlineExceeded, "the drain of %s did not end: %s", o.whose(), d.GetMessage())
		return cli.WithFix(err, "allow more time with --timeout, or look at prismctl session list")
	}
	d.left, d.gone = 0, d.initial
	return nil
}
