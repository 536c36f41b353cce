package session

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"
	"google.golang.org/grpc"

	"github.com/prism-data-layer/prism/pkg/cli"
	adminv1 "github.com/prism-data-layer/prism/proto/prism/admin/v1"
)

type terminator interface {
	getter
	TerminateSession(context.Context, *adminv1.TerminateSessionRequest, ...grpc.CallOption) (*adminv1.TerminateSessionResponse, error)
}

type terminateOptions struct {
	Out     *cli.Output
	Client  func(context.Context) (terminator, error)
	Confirm func(context.Context) error

	ID, Reason string
	DryRun     bool
}

// ended is what a termination did.
type ended struct {
	id      string
	pending int32
}

func endedKind() cli.Kind[ended] {
	return cli.Kind[ended]{Name: "SessionTermination", Fields: []cli.Field[ended]{
		cli.Text("session_id", "SESSION", "the session", func(e ended) string { return e.id }),
		cli.Int("pending_operations", "PENDING", "operations that were still running", func(e ended) int64 { return int64(e.pending) }),
	}}
}

func newTerminate(f *cli.Factory, run func(context.Context, *terminateOptions) error) *cobra.Command {
	o := &terminateOptions{Client: func(ctx context.Context) (terminator, error) { return f.Admin(ctx) }}
	cmd := &cobra.Command{
		Use:               "terminate SESSION",
		Aliases:           []string{"kill"},
		Short:             "End a session",
		Long:              "Ends a session after asking. Its client is told SESSION_REVOKED, with the reason, and has to\nbring its credential again.",
		Example:           "  prismctl session terminate s-7f3a\n  prismctl session terminate s-7f3a --reason 'key leaked' --yes",
		Args:              cli.ExactArgs("SESSION"),
		ValidArgsFunction: cli.CompleteSessions(f),
	}
	confirm := cli.AddConfirmation(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		o.ID = args[0]
		o.Confirm = func(ctx context.Context) error { return confirm.Ask(ctx, f, "end session "+o.ID, o.ID) }
		return run(cmd.Context(), o)
	}
	o.Out = cli.AddOutput(f, cmd, endedKind().Info())
	cmd.Flags().StringVar(&o.Reason, "reason", "", "tell the client this `TEXT`")
	cmd.Flags().BoolVar(&o.DryRun, "dry-run", false, "look for it, and change nothing")
	return cmd
}

func runTerminate(ctx context.Context, o *terminateOptions) error {
	if !o.DryRun {
		if err := o.Confirm(ctx); err != nil {
			return err
		}
	}
	c, err := o.Client(ctx)
	if err != nil {
		return err
	}
	if o.DryRun {
		return o.would(ctx, c)
	}
	r, err := c.TerminateSession(ctx, &adminv1.TerminateSessionRequest{SessionId: o.ID, Reason: o.Reason})
	if err != nil {
		return cli.NotFoundFix(err, seeList)
	}
	sentence := fmt.Sprintf("ended session %s", o.ID)
	if n := r.GetPendingOperations(); n > 0 {
		sentence += fmt.Sprintf(" (%s still running)", cli.Plural(n, "operation"))
	}
	return cli.PrintChanged(o.Out, endedKind(), ended{o.ID, r.GetPendingOperations()}, sentence, seeList)
}

// would says what a termination would end.
func (o *terminateOptions) would(ctx context.Context, c getter) error {
	r, err := c.GetSession(ctx, &adminv1.GetSessionRequest{SessionId: o.ID})
	if err != nil {
		return cli.NotFoundFix(err, seeList)
	}
	return cli.PrintChanged(o.Out, endedKind(), ended{id: o.ID}, fmt.Sprintf("would end session %s of %s (dry run)", o.ID, r.GetSession().GetPrincipal()), "")
}
