package namespace

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

type deleter interface {
	DeleteNamespace(context.Context, *adminv1.DeleteNamespaceRequest, ...grpc.CallOption) (*adminv1.DeleteNamespaceResponse, error)
	GetOperation(context.Context, *adminv1.GetOperationRequest, ...grpc.CallOption) (*adminv1.GetOperationResponse, error)
}

type deleteOptions struct {
	IO      *iostreams.IOStreams
	Clock   clock.Clock
	Out     *cli.Output
	Client  func(context.Context) (deleter, error)
	Confirm func(context.Context) error

	Name   string
	DryRun bool
	NoWait bool
}

// pollEvery is how often a running operation is asked about.
const pollEvery = 200 * time.Millisecond

func newDelete(f *cli.Factory, run func(context.Context, *deleteOptions) error) *cobra.Command {
	o := &deleteOptions{IO: f.IO, Clock: f.Clock, Client: func(ctx context.Context) (deleter, error) { return f.Admin(ctx) }}
	cmd := &cobra.Command{
		Use:               "delete NAME",
		Aliases:           []string{"rm"},
		Short:             "Delete a namespace and its data",
		Long:              "Deletes a namespace with all its data, after asking. Its history is kept. Waits until the data\nis gone unless --no-wait is given.",
		Example:           "  prismctl namespace delete scratch --dry-run\n  prismctl namespace delete scratch --yes",
		Args:              cli.ExactArgs("NAME"),
		ValidArgsFunction: cli.CompleteNamespaces(f),
	}
	confirm := cli.AddConfirmation(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		o.Name = args[0]
		o.Confirm = func(ctx context.Context) error {
			return confirm.Ask(ctx, f, fmt.Sprintf("delete namespace %s and all its data", o.Name), o.Name)
		}
		return run(cmd.Context(), o)
	}
	o.Out = cli.AddOutput(f, cmd, cli.OperationKind().Info())
	cmd.Flags().BoolVar(&o.DryRun, "dry-run", false, "check, and change nothing")
	cmd.Flags().BoolVar(&o.NoWait, "no-wait", false, "do not wait until the data is gone")
	return cmd
}

func runDelete(ctx context.Context, o *deleteOptions) error {
	if !o.DryRun {
		if err := o.Confirm(ctx); err != nil {
			return err
		}
	}
	c, err := o.Client(ctx)
	if err != nil {
		return err
	}
	r, err := c.DeleteNamespace(ctx, &adminv1.DeleteNamespaceRequest{Name: o.Name, DryRun: o.DryRun})
	if err != nil {
		return cli.NotFoundFix(err, seeList)
	}
	op := r.GetOperation()
	if o.DryRun {
		return cli.PrintChanged(o.Out, cli.OperationKind(), op, fmt.Sprintf("would delete namespace %s (dry run)", o.Name), "")
	}
	if o.NoWait {
		return cli.PrintChanged(o.Out, cli.OperationKind(), op, fmt.Sprintf("deleting namespace %s", o.Name), "prismctl namespace history "+o.Name)
	}
	progress := o.IO.StartProgress("deleting namespace " + iostreams.Escape(o.Name))
	op, err = o.wait(ctx, c, op)
	progress.Stop()
	if err != nil {
		return err
	}
	return cli.PrintChanged(o.Out, cli.OperationKind(), op, fmt.Sprintf("deleted namespace %s", o.Name), "prismctl namespace history "+o.Name)
}

func (o *deleteOptions) wait(ctx context.Context, c deleter, op *adminv1.Operation) (*adminv1.Operation, error) {
	return follow(ctx, o.Clock, c.GetOperation, op, func(*adminv1.Operation) {}, "deleting", o.Name)
}

// follow asks about an operation until it has ended, and tells what it heard.
func follow(
	ctx context.Context, c clock.Clock,
	get func(context.Context, *adminv1.GetOperationRequest, ...grpc.CallOption) (*adminv1.GetOperationResponse, error),
	op *adminv1.Operation, heard func(*adminv1.Operation), what, name string,
) (*adminv1.Operation, error) {
	for {
		heard(op)
		switch op.GetState() {
		case adminv1.OperationState_OPERATION_STATE_DONE:
			return op, nil
		case adminv1.OperationState_OPERATION_STATE_FAILED:
			err := prism.New(prism.ReasonFailedPrecond, "%s namespace %s failed: %s", what, name, op.GetMessage())
			return op, cli.WithFix(err, "prismctl namespace describe %s", name)
		}
		if op.GetOperationId() == "" { // nobody could be asked about it
			return op, cli.WithFix(prism.New(prism.ReasonInternal, "the gateway's answer names no operation"), "prismctl version tells whether it is of another version")
		}
		timer := c.NewTimer(pollEvery)
		select {
		case <-ctx.Done():
			timer.Stop()
			return op, context.Cause(ctx)
		case <-timer.C:
		}
		r, err := get(ctx, &adminv1.GetOperationRequest{OperationId: op.GetOperationId()})
		if err != nil {
			return op, err
		}
		op = r.GetOperation()
	}
}
