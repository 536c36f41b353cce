package session

import (
	"context"

	"github.com/spf13/cobra"
	"google.golang.org/grpc"

	"github.com/prism-data-layer/prism/pkg/cli"
	adminv1 "github.com/prism-data-layer/prism/proto/prism/admin/v1"
)

type getter interface {
	GetSession(context.Context, *adminv1.GetSessionRequest, ...grpc.CallOption) (*adminv1.GetSessionResponse, error)
}

type describeOptions struct {
	Out    *cli.Output
	Client func(context.Context) (getter, error)

	ID string
}

func newDescribe(f *cli.Factory, run func(context.Context, *describeOptions) error) *cobra.Command {
	o := &describeOptions{Client: func(ctx context.Context) (getter, error) { return f.Admin(ctx) }}
	cmd := &cobra.Command{
		Use:               "describe SESSION",
		Aliases:           []string{"get", "show"},
		Short:             "Show one session",
		Long:              "Shows a session: whose it is, what it may use, when it ends and what it has done.",
		Example:           "  prismctl session describe s-7f3a\n  prismctl session describe s-7f3a -o yaml",
		Args:              cli.ExactArgs("SESSION"),
		ValidArgsFunction: cli.CompleteSessions(f),
		RunE: func(cmd *cobra.Command, args []string) error {
			o.ID = args[0]
			return run(cmd.Context(), o)
		},
	}
	o.Out = cli.AddOutput(f, cmd, kind().Info())
	return cmd
}

func runDescribe(ctx context.Context, o *describeOptions) error {
	c, err := o.Client(ctx)
	if err != nil {
		return err
	}
	r, err := c.GetSession(ctx, &adminv1.GetSessionRequest{SessionId: o.ID})
	if err != nil {
		return cli.NotFoundFix(err, seeList)
	}
	return cli.PrintOne(o.Out, kind(), r.GetSession())
}
