package key

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"
	"google.golang.org/grpc"

	"github.com/prism-data-layer/prism/pkg/cli"
	"github.com/prism-data-layer/prism/pkg/prism"
	adminv1 "github.com/prism-data-layer/prism/proto/prism/admin/v1"
)

type revoker interface {
	lister
	RevokeKey(context.Context, *adminv1.RevokeKeyRequest, ...grpc.CallOption) (*adminv1.RevokeKeyResponse, error)
}

type revokeOptions struct {
	Out     *cli.Output
	Client  func(context.Context) (revoker, error)
	Confirm func(context.Context) error

	ID     string
	DryRun bool
}

func newRevoke(f *cli.Factory, run func(context.Context, *revokeOptions) error) *cobra.Command {
	o := &revokeOptions{Client: func(ctx context.Context) (revoker, error) { return f.Admin(ctx) }}
	cmd := &cobra.Command{
		Use:               "revoke KEY",
		Aliases:           []string{"delete", "rm"},
		Short:             "Revoke an API key",
		Long:              "Revokes a key after asking. Calls with it are refused from then on, and its sessions end.",
		Example:           "  prismctl key revoke k-19ab\n  prismctl key revoke k-19ab --yes",
		Args:              cli.ExactArgs("KEY"),
		ValidArgsFunction: cli.CompleteKeys(f),
	}
	confirm := cli.AddConfirmation(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		o.ID = args[0]
		o.Confirm = func(ctx context.Context) error { return confirm.Ask(ctx, f, "revoke key "+o.ID, o.ID) }
		return run(cmd.Context(), o)
	}
	o.Out = cli.AddOutput(f, cmd, kind().Info())
	cmd.Flags().BoolVar(&o.DryRun, "dry-run", false, "look for it, and change nothing")
	return cmd
}

func runRevoke(ctx context.Context, o *revokeOptions) error {
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
	r, err := c.RevokeKey(ctx, &adminv1.RevokeKeyRequest{KeyId: o.ID})
	if err != nil {
		return cli.NotFoundFix(err, seeList)
	}
	return cli.PrintChanged(o.Out, kind(), r.GetKey(), fmt.Sprintf("revoked key %s of %s", r.GetKey().GetKeyId(), r.GetKey().GetPrincipal()), seeList)
}

// would says which key a revocation would end.
func (o *revokeOptions) would(ctx context.Context, c lister) error {
	r, err := c.ListKeys(ctx, &adminv1.ListKeysRequest{IncludeRevoked: true})
	if err != nil {
		return err
	}
	for _, k := range r.GetKeys() {
		if k.GetKeyId() == o.ID {
			return cli.PrintChanged(o.Out, kind(), k, fmt.Sprintf("would revoke key %s of %s (dry run)", o.ID, k.GetPrincipal()), "")
		}
	}
	return cli.NotFoundFix(prism.NotFound("key", o.ID), seeList)
}
