package backend

import (
	"context"
	"strings"

	"github.com/spf13/cobra"
	"google.golang.org/grpc"

	"github.com/prism-data-layer/prism/pkg/cli"
	"github.com/prism-data-layer/prism/pkg/prism"
	adminv1 "github.com/prism-data-layer/prism/proto/prism/admin/v1"
)

type checker interface {
	CheckBackendHealth(context.Context, *adminv1.CheckBackendHealthRequest, ...grpc.CallOption) (*adminv1.CheckBackendHealthResponse, error)
}

type healthOptions struct {
	Out    *cli.Output
	Client func(context.Context) (checker, error)

	Name string
}

func newHealth(f *cli.Factory, run func(context.Context, *healthOptions) error) *cobra.Command {
	o := &healthOptions{Client: func(ctx context.Context) (checker, error) { return f.Admin(ctx) }}
	cmd := &cobra.Command{
		Use:               "health [NAME]",
		Short:             "Probe backends now",
		Long:              "Probes one backend, or all side by side. Ends with 6 if one of them is unhealthy.",
		Example:           "  prismctl backend health\n  prismctl backend health local -o json",
		Args:              cli.OptionalArgs("NAME"),
		ValidArgsFunction: cli.CompleteBackends(f),
		RunE: func(cmd *cobra.Command, args []string) error {
			o.Name = strings.Join(args, "")
			return run(cmd.Context(), o)
		},
	}
	o.Out = cli.AddListOutput(f, cmd, kind().Info())
	return cmd
}

func runHealth(ctx context.Context, o *healthOptions) error {
	c, err := o.Client(ctx)
	if err != nil {
		return err
	}
	progress := o.Out.IO.StartProgress("probing backends")
	r, err := c.CheckBackendHealth(ctx, &adminv1.CheckBackendHealthRequest{Name: o.Name})
	progress.Stop()
	if err != nil {
		return cli.NotFoundFix(err, seeList)
	}
	if err := cli.PrintList(o.Out, kind(), cli.Cut(o.Out, r.GetBackends()), "there are no backends"); err != nil {
		return err
	}
	return verdict(r.GetBackends())
}

// verdict is an error when a backend is unhealthy: the first one's words.
func verdict(all []*adminv1.Backend) error {
	var bad []string
	var first *adminv1.Backend
	for _, b := range all {
		if b.GetHealth() == adminv1.HealthState_HEALTH_STATE_UNHEALTHY {
			if first == nil {
				first = b
			}
			bad = append(bad, b.GetName())
		}
	}
	if first == nil {
		return nil
	}
	err := prism.New(prism.ReasonBackendUnavailable, "%s unhealthy: %s", cli.Plural(len(bad), "backend"), strings.Join(bad, ", "))
	if first.GetMessage() != "" {
		err.Err = prism.New(prism.ReasonBackendUnavailable, "%s: %s", first.GetName(), first.GetMessage())
	}
	return cli.WithFix(err, "prismctl backend describe %s", first.GetName())
}
