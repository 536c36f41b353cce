package ts

import (
	"context"

	"github.com/spf13/cobra"
	"google.golang.org/grpc"

	"github.com/prism-data-layer/prism/pkg/cli"
	"github.com/prism-data-layer/prism/pkg/clock"
	timeseriesv1 "github.com/prism-data-layer/prism/proto/prism/timeseries/v1"
)

type querier interface {
	StreamQuery(context.Context, *timeseriesv1.StreamQueryRequest, ...grpc.CallOption) (grpc.ServerStreamingClient[timeseriesv1.StreamQueryResponse], error)
}

type queryOptions struct {
	Clock clock.Clock
	Out   *cli.Output
	cli.Door[querier]

	selection
	Descending bool
}

// usual is how many events are shown unless a flag says otherwise.
const usual = "100"

func newQuery(f *cli.Factory, run func(context.Context, *queryOptions) error) *cobra.Command {
	o := &queryOptions{
		Clock: f.Clock,
		Door:  cli.OpenDoor(f, model, func(ctx context.Context) (querier, error) { return f.TimeSeries(ctx) }),
	}
	cmd := &cobra.Command{
		Use:     "query",
		Aliases: []string{"list", "ls"},
		Short:   "List events in order of time",
		Long: `Lists events, the oldest first, as they come: a large answer needs no memory, and a reader that has
seen enough (head) ends it. What -o jsonl prints can be given to ts append.`,
		Example: "  prismctl ts query --since 1h --type http_request --where 'host=web-1'\n  prismctl ts query --start 2026-03-01T00:00:00Z --where 'route^=/cart' --where '!user' --all -o jsonl",
		Args:    cli.NoArgs,
		RunE:    func(cmd *cobra.Command, _ []string) error { return run(cmd.Context(), o) },
	}
	o.Out = cli.AddListOutput(f, cmd, eventKind().Info())
	o.addTo(cmd)
	cmd.Flags().BoolVar(&o.Descending, "descending", false, "the newest first")
	cli.SetDefault(cmd, "limit", usual)
	_ = cmd.Flags().Lookup("limit").Value.Set(usual)
	return cmd
}

func runQuery(ctx context.Context, o *queryOptions) error {
	which, err := o.proto(o.Clock.Now())
	if err != nil {
		return err
	}
	c, ns, err := o.Enter(ctx)
	if err != nil {
		return err
	}
	req := &timeseriesv1.StreamQueryRequest{Namespace: ns, Selection: which, Descending: o.Descending}
	limit := o.Out.Fetch()
	if limit > 0 {
		req.Limit = int64(limit) + 1 // the last tells that there are more
	}
	list := cli.NewList(o.Out, eventKind(), "there are no such events in "+ns+"; prismctl ts append stores some")
	more := ""
	s := &cli.Stream[timeseriesv1.StreamQueryResponse]{
		Clock: o.Clock, Out: o.Out, List: list,
		Open: func(ctx context.Context) (grpc.ServerStreamingClient[timeseriesv1.StreamQueryResponse], error) {
			return c.StreamQuery(ctx, req)
		},
		Show: func(_ context.Context, r *timeseriesv1.StreamQueryResponse) error {
			req.After = r.GetPosition()
			for _, e := range r.GetEvents() {
				if limit > 0 && list.Len() == limit {
					more = r.GetPosition()
					return cli.ErrEnough
				}
				if err := list.Add(e); err != nil {
					return err
				}
			}
			return nil
		},
		Resume:  func(position string) { req.After = position },
		Back:    func() string { return "the gateway is back; going on" },
		Explain: func(err error) error { return explain(err, ns) },
	}
	if err := s.Follow(ctx); err != nil {
		return err
	}
	o.Out.MoreHint(more, list.Len())
	return nil
}
