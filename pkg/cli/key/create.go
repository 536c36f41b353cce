package key

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"
	"google.golang.org/grpc"

	"github.com/prism-data-layer/prism/pkg/cli"
	"github.com/prism-data-layer/prism/pkg/iostreams"
	"github.com/prism-data-layer/prism/pkg/wire"
	adminv1 "github.com/prism-data-layer/prism/proto/prism/admin/v1"
)

type creator interface {
	CreateKey(context.Context, *adminv1.CreateKeyRequest, ...grpc.CallOption) (*adminv1.CreateKeyResponse, error)
}

type createOptions struct {
	IO     *iostreams.IOStreams
	Out    *cli.Output
	Client func(context.Context) (creator, error)

	Principal, Description string
	Roles                  []string
	TTL                    cli.DurationFlag
	DryRun                 bool
}

type secret = *adminv1.CreateKeyResponse

func secretKind() cli.Kind[secret] {
	return cli.Kind[secret]{Name: "KeySecret", Fields: append(fields(func(s secret) apiKey { return s.GetKey() }),
		cli.Text("secret", "SECRET", "the key itself; it is not shown again", func(s secret) string { return s.GetSecret() }))}
}

func newCreate(f *cli.Factory, run func(context.Context, *createOptions) error) *cobra.Command {
	o := &createOptions{IO: f.IO, Client: func(ctx context.Context) (creator, error) { return f.Admin(ctx) }}
	cmd := &cobra.Command{
		Use:   "create PRINCIPAL",
		Short: "Create an API key",
		Long: `Creates a key for a principal, such as service:checkout, user:ann or team:shop, and prints its
secret, alone, to standard output. It is shown this once.`,
		Example: `  prismctl key create service:checkout --description 'the checkout' --ttl 720h
  prismctl key create user:ann --role operator -o json`,
		Args: cli.ExactArgs("PRINCIPAL"),
		RunE: func(cmd *cobra.Command, args []string) error {
			o.Principal = args[0]
			return run(cmd.Context(), o)
		},
	}
	o.Out = cli.AddOutput(f, cmd, secretKind().Info())
	cmd.Flags().StringArrayVar(&o.Roles, "role", nil, "give the `ROLE` admin, operator or viewer; may be given again")
	cli.Enum(cmd, "role", "admin", "operator", "viewer")
	cmd.Flags().StringVar(&o.Description, "description", "", "say in a `TEXT` what it is for")
	cmd.Flags().Var(&o.TTL, "ttl", "let it end after this `DURATION`")
	cmd.Flags().BoolVar(&o.DryRun, "dry-run", false, "check, and create nothing")
	cli.SetDefault(cmd, "ttl", "never")
	cli.SetDefault(cmd, "role", "none: a data client")
	return cmd
}

func runCreate(ctx context.Context, o *createOptions) error {
	req := &adminv1.CreateKeyRequest{Principal: o.Principal, Roles: o.Roles, Description: o.Description, TtlMs: o.TTL.Milliseconds()}
	if o.DryRun {
		if err := wire.Validate(req); err != nil {
			return err
		}
		key := &adminv1.Key{Principal: o.Principal, Roles: o.Roles, Description: o.Description}
		return cli.PrintChanged(o.Out, secretKind(), &adminv1.CreateKeyResponse{Key: key}, fmt.Sprintf("would create a key for %s (dry run)", iostreams.Escape(o.Principal)), "")
	}
	c, err := o.Client(ctx)
	if err != nil {
		return err
	}
	r, err := c.CreateKey(ctx, req)
	if err != nil {
		return err
	}
	if o.Out.Machine() {
		return cli.PrintOne(o.Out, secretKind(), r)
	}
	if o.Out.Quiet() { // the id alone would lose the secret for good
		_, err := fmt.Fprintln(o.IO.Out, iostreams.Escape(r.GetSecret()))
		return err
	}
	o.Out.Note("created key %s for %s; its secret is shown this once:", iostreams.Escape(r.GetKey().GetKeyId()), iostreams.Escape(r.GetKey().GetPrincipal()))
	if _, err := fmt.Fprintln(o.IO.Out, iostreams.Escape(r.GetSecret())); err != nil {
		return err
	}
	o.Out.Note("next: keep it in a file that only you may read, and name the file with --token-file")
	return nil
}
