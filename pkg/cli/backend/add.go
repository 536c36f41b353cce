package backend

import (
	"context"
	"fmt"
	"strings"

	"github.com/spf13/cobra"
	"google.golang.org/grpc"

	"github.com/prism-data-layer/prism/pkg/cli"
	adminv1 "github.com/prism-data-layer/prism/proto/prism/admin/v1"
)

type adder interface {
	AddBackend(context.Context, *adminv1.AddBackendRequest, ...grpc.CallOption) (*adminv1.AddBackendResponse, error)
}

type addOptions struct {
	Out    *cli.Output
	Client func(context.Context) (adder, error)

	Name, Driver string
	Options      []string
}

func newAdd(f *cli.Factory, run func(context.Context, *addOptions) error) *cobra.Command {
	o := &addOptions{Client: func(ctx context.Context) (adder, error) { return f.Admin(ctx) }}
	cmd := &cobra.Command{
		Use:     "add NAME --driver DRIVER",
		Aliases: []string{"create"},
		Short:   "Add a backend to the running gateway",
		Long: `Opens a backend, tests it, and keeps it: it is there again after a restart. One that cannot be
opened or fails the test is not kept. Values of options are written as in the gateway's file; a
password stands in a file that the gateway can read, and the option names that file.
A backend that a file of the gateway declares is changed there.`,
		Example: `  prismctl backend add scratch --driver memory
  prismctl backend add archive --driver pebble --option cache=64MiB --option durability=relaxed`,
		Args: cli.ExactArgs("NAME"),
		RunE: func(cmd *cobra.Command, args []string) error {
			o.Name = args[0]
			return run(cmd.Context(), o)
		},
	}
	o.Out = cli.AddOutput(f, cmd, kind().Info())
	cmd.Flags().StringVar(&o.Driver, "driver", "", "the `DRIVER` for this kind of store")
	cmd.Flags().StringArrayVar(&o.Options, "option", nil, "a setting of the driver, a `NAME=VALUE`; may be given again")
	cli.SetDefault(cmd, "driver", "required")
	return cmd
}

func runAdd(ctx context.Context, o *addOptions) error {
	if o.Driver == "" {
		return cli.Usage("pass --driver, such as --driver redis", "the driver is missing")
	}
	options := make(map[string]string, len(o.Options))
	for _, text := range o.Options {
		name, value, ok := strings.Cut(text, "=")
		if !ok || name == "" {
			return cli.Usage("write it as --option NAME=VALUE", "--option %q has no value", text)
		}
		if _, twice := options[name]; twice {
			return cli.Usage("give it once", "--option %s is given twice", name)
		}
		options[name] = value
	}
	c, err := o.Client(ctx)
	if err != nil {
		return err
	}
	progress := o.Out.IO.StartProgress("opening and testing the backend")
	r, err := c.AddBackend(ctx, &adminv1.AddBackendRequest{Name: o.Name, Driver: o.Driver, Options: options})
	progress.Stop()
	if err != nil {
		return err
	}
	return cli.PrintChanged(o.Out, kind(), r.GetBackend(), fmt.Sprintf("added backend %s, %s of its test passed", o.Name, cli.Plural(len(r.GetSteps()), "step")),
		"prismctl namespace create NAME --backend "+o.Name)
}
