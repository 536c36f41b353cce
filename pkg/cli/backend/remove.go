package backend

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"
	"google.golang.org/grpc"

	"github.com/prism-data-layer/prism/pkg/cli"
	adminv1 "github.com/prism-data-layer/prism/proto/prism/admin/v1"
)

type remover interface {
	GetBackend(context.Context, *adminv1.GetBackendRequest, ...grpc.CallOption) (*adminv1.GetBackendResponse, error)
	RemoveBackend(context.Context, *adminv1.RemoveBackendRequest, ...grpc.CallOption) (*adminv1.RemoveBackendResponse, error)
}

type removeOptions struct {
	Out     *cli.Output
	Client  func(context.Context) (remover, error)
	Confirm func(context.Context) error

	Name string
}

func newRemove(f *cli.Factory, run func(context.Context, *removeOptions) error) *cobra.Command {
	o := &removeOptions{Client: func(ctx context.Context) (remover, error) { return f.Admin(ctx) }}
	cmd := &cobra.Command{
		Use:               "remove NAME",
		Aliases:           []string{"rm", "delete"},
		Short:             "Remove a backend that was added",
		Long:              "Closes and forgets a backend that prismctl backend add has made, after asking. It must hold no\nnamespace. What is in its store is left alone.",
		Example:           "  prismctl backend remove spare --yes\n  prismctl backend rm spare --yes -o json",
		Args:              cli.ExactArgs("NAME"),
		ValidArgsFunction: cli.CompleteBackends(f),
	}
	confirm := cli.AddConfirmation(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		o.Name = args[0]
		o.Confirm = func(ctx context.Context) error {
			return confirm.Ask(ctx, f, "remove backend "+o.Name, o.Name)
		}
		return run(cmd.Context(), o)
	}
	o.Out = cli.AddOutput(f, cmd, kind().Info())
	return cmd
}

func runRemove(ctx context.Context, o *removeOptions) error {
	if err := o.Confirm(ctx); err != nil {
		return err
	}
	c, err := o.Client(ctx)
	if err != nil {
		return err
	}
	was, err := c.GetBackend(ctx, &adminv1.GetBackendRequest{Name: o.Name})
	if err == nil {
		_, err = c.RemoveBackend(ctx, &adminv1.RemoveBackendRequest{Name: o.Name})
	}
	if err != nil {
		return cli.NotFoundFix(err, seeList)
	}
	return cli.PrintChanged(o.Out, kind(), was.GetBackend(), fmt.Sprintf("removed backend %s", o.Name), "")
}
