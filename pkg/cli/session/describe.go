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

func newDescribe(f *cli.Factory) *cobra.Command {
	return cli.NewDescribe(f, cli.Description[*adminv1.Session]{
		Kind: kind(), Noun: "session", Arg: "SESSION", Complete: cli.CompleteSessions,
		Long:    "Shows a session: whose it is, what it may use, when it ends and what it has done.",
		Example: "  prismctl session describe s-7f3a\n  prismctl session describe s-7f3a -o yaml",
		Get: func(ctx context.Context, c adminv1.AdminServiceClient, id string) (*adminv1.Session, error) {
			r, err := c.GetSession(ctx, &adminv1.GetSessionRequest{SessionId: id})
			return r.GetSession(), err
		},
	})
}
