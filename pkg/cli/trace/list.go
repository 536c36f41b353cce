package trace

import (
	"context"

	"github.com/spf13/cobra"
	"google.golang.org/grpc"

	"github.com/prism-data-layer/prism/pkg/cli"
	adminv1 "github.com/prism-data-layer/prism/proto/prism/admin/v1"
)

type lister interface {
	ListTraces(context.Context, *adminv1.ListTracesRequest, ...grpc.CallOption) (*adminv1.ListTracesResponse, error)
}

type listOptions struct {
	Out    *cli.Output
	Client func(context.Context) (lister, error)
	Link   func(id string) string

	Errors, Slow bool
}

// mostTraces is more than a gateway keeps.
const mostTraces = 10_000

func newList(f *cli.Factory, run func(context.Context, *listOptions) error) *cobra.Command {
	o := &listOptions{
		Client: func(ctx context.Context) (lister, error) { return f.Admin(ctx) },
		Link:   f.TraceLink,
	}
	cmd := &cobra.Command{
		Use:     "list",
		Aliases: []string{"ls"},
		Short:   "List the last traces that are kept",
		Long:    "Lists the traces that the gateway keeps, the newest first: of calls that failed, were slow, or\nwere recorded by their caller, and a share of the others.",
		Example: "  prismctl trace list --errors\n  prismctl trace list --slow --sort-by -duration_us --limit 10",
		Args:    cli.NoArgs,
		RunE:    func(cmd *cobra.Command, _ []string) error { return run(cmd.Context(), o) },
	}
	o.Out = cli.AddListOutput(f, cmd, kind(o.Link).Info())
	cli.AddWatch(f, cmd, o.Out)
	cmd.Flags().BoolVar(&o.Errors, "errors", false, "only those with an error")
	cmd.Flags().BoolVar(&o.Slow, "slow", false, "only those that were slow")
	cli.SetDefault(cmd, "limit", "100")
	_ = cmd.Flags().Lookup("limit").Value.Set("100")
	return cmd
}

func runList(ctx context.Context, o *listOptions) error {
	c, err := o.Client(ctx)
	if err != nil {
		return err
	}
	limit := o.Out.Fetch()
	if limit == 0 {
		limit = mostTraces
	}
	r, err := c.ListTraces(ctx, &adminv1.ListTracesRequest{Errors: o.Errors, Slow: o.Slow, Limit: int32(min(limit, mostTraces))})
	if err != nil {
		return err
	}
	list := cli.NewList(o.Out, kind(o.Link), "no such trace is kept")
	for _, t := range r.GetTraces() {
		if err := list.Add(t); err != nil {
			return err
		}
	}
	if err := list.Close(); err != nil {
		return err
	}
	if r.GetMore() {
		o.Out.MoreHint("more", list.Len())
	}
	return nil
}
