// Package version is `prismctl version`: which programs talk to each other.
package version

import (
	"context"
	"fmt"
	"runtime"
	"time"

	"github.com/spf13/cobra"
	"google.golang.org/grpc"

	"github.com/prism-data-layer/prism/pkg/cli"
	"github.com/prism-data-layer/prism/pkg/iostreams"
	"github.com/prism-data-layer/prism/pkg/prism"
	adminv1 "github.com/prism-data-layer/prism/proto/prism/admin/v1"
)

type client interface {
	GetStatus(context.Context, *adminv1.GetStatusRequest, ...grpc.CallOption) (*adminv1.GetStatusResponse, error)
}

type options struct {
	IO     *iostreams.IOStreams
	Out    *cli.Output
	Build  cli.Build
	Client func(context.Context) (client, error)

	ClientOnly bool
}

// versions are the two sides; server is nil when it was not asked or did not
// answer.
type versions struct {
	build  cli.Build
	server *adminv1.GetStatusResponse
	why    string
}

func kind() cli.Kind[versions] {
	return cli.Kind[versions]{Name: "Version", Fields: []cli.Field[versions]{
		cli.Text("client_version", "CLIENT", "of prismctl", func(v versions) string { return v.build.Version }),
		cli.Text("client_commit", "", "it was built from", func(v versions) string { return v.build.Commit }),
		cli.Text("client_date", "", "when it was built", func(v versions) string { return v.build.Date }),
		cli.Text("client_go", "", "it was built with", func(versions) string { return runtime.Version() }),
		cli.Text("client_platform", "", "it was built for", func(versions) string { return runtime.GOOS + "/" + runtime.GOARCH }),
		cli.Text("server_version", "SERVER", "of the gateway; none if it was not reached", func(v versions) string { return v.server.GetVersion() }),
		cli.Text("server_commit", "", "it was built from", func(v versions) string { return v.server.GetCommit() }),
		cli.Text("server_go", "", "it was built with", func(v versions) string { return v.server.GetGoVersion() }),
		cli.Text("server_error", "", "why it was not reached", func(v versions) string { return v.why }),
		cli.Bool("skew", "SKEW", "whether the two differ", func(v versions) bool { return cli.Skew(v.build.Version, v.server.GetVersion()) }).
			Optional(func(v versions) bool { return v.server != nil }),
	}}
}

// New is the command.
func New(f *cli.Factory) *cobra.Command { return newVersion(f, run) }

func newVersion(f *cli.Factory, run func(context.Context, *options) error) *cobra.Command {
	o := &options{IO: f.IO, Build: f.Build, Client: func(ctx context.Context) (client, error) { return f.Admin(ctx) }}
	cmd := &cobra.Command{
		Use:     "version",
		Short:   "Show the versions of prismctl and of the gateway",
		Long:    "Shows both versions and warns if they differ. A gateway that is not there is no error.",
		Example: "  prismctl version\n  prismctl version --client -o json",
		Args:    cli.NoArgs,
		RunE:    func(cmd *cobra.Command, _ []string) error { return run(cmd.Context(), o) },
	}
	o.Out = cli.AddOutput(f, cmd, kind().Info())
	cmd.Flags().BoolVar(&o.ClientOnly, "client", false, "do not ask the gateway")
	cli.SkipFiles(cmd)
	return cmd
}

// patience is how long the gateway may take to say its version.
const patience = 2 * time.Second

func run(ctx context.Context, o *options) error {
	v := versions{build: o.Build}
	if !o.ClientOnly {
		ctx, cancel := context.WithTimeout(ctx, patience)
		defer cancel()
		v.ask(ctx, o.Client)
	}
	if o.Out.Machine() {
		return cli.PrintOne(o.Out, kind(), v)
	}
	if o.Out.Quiet() {
		_, err := fmt.Fprintln(o.IO.Out, o.Build.Version)
		return err
	}
	fmt.Fprintf(o.IO.Out, "client: prismctl %s (%s, %s/%s)\n", o.Build.Version, runtime.Version(), runtime.GOOS, runtime.GOARCH)
	switch {
	case o.ClientOnly:
	case v.server == nil:
		fmt.Fprintf(o.IO.Out, "server: not reached (%s)\n", iostreams.Escape(v.why))
	default:
		fmt.Fprintf(o.IO.Out, "server: prismd %s (%s)\n", iostreams.Escape(v.server.GetVersion()), iostreams.Escape(v.server.GetGoVersion()))
		if cli.Skew(o.Build.Version, v.server.GetVersion()) {
			fmt.Fprintln(o.IO.ErrOut, "warning: prismctl and prismd have different versions; some commands may not work")
		}
	}
	return nil
}

func (v *versions) ask(ctx context.Context, connect func(context.Context) (client, error)) {
	c, err := connect(ctx)
	if err == nil {
		v.server, err = c.GetStatus(ctx, &adminv1.GetStatusRequest{})
	}
	if err != nil {
		v.server, v.why = nil, prism.From(err).Message
	}
}
