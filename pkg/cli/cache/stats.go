package cache

import (
	"context"

	"github.com/spf13/cobra"
	"google.golang.org/grpc"

	"github.com/prism-data-layer/prism/pkg/cli"
	"github.com/prism-data-layer/prism/pkg/iostreams"
	cachev1 "github.com/prism-data-layer/prism/proto/prism/cache/v1"
)

type teller interface {
	GetStats(context.Context, *cachev1.GetStatsRequest, ...grpc.CallOption) (*cachev1.GetStatsResponse, error)
}

type statsOptions struct {
	IO  *iostreams.IOStreams
	Out *cli.Output
	cli.Door[teller]
}

type stats struct {
	namespace string
	*cachev1.GetStatsResponse
}

// ratio is the part of the reads that found an entry.
func (s stats) ratio() float64 {
	return float64(s.GetHits()) / float64(max(s.GetHits()+s.GetMisses(), 1))
}

func statsKind() cli.Kind[stats] {
	bounded := func(s stats) bool { return s.MaxSizeBytes != nil }
	return cli.Kind[stats]{Name: "CacheStats", Fields: []cli.Field[stats]{
		cli.Text("namespace", "NAMESPACE", "the cache", func(s stats) string { return s.namespace }),
		cli.Int("hits", "HITS", "reads that found an entry, since the gateway was started", func(s stats) int64 { return s.GetHits() }),
		cli.Int("misses", "MISSES", "reads that found none", func(s stats) int64 { return s.GetMisses() }),
		cli.Number("hit_ratio", "RATIO", "hits of all reads; 0 without reads", stats.ratio),
		cli.Int("entries", "ENTRIES", "what it holds, of a bounded cache", func(s stats) int64 { return s.GetEntries() }).Optional(bounded),
		cli.Bytes("size_bytes", "SIZE", "what that takes", func(s stats) int64 { return s.GetSizeBytes() }).Optional(bounded),
		cli.Bytes("max_size_bytes", "BOUND", "what it may take", func(s stats) int64 { return s.GetMaxSizeBytes() }).Optional(bounded),
		cli.Int("evictions", "EVICTIONS", "entries given up to make room", func(s stats) int64 { return s.GetEvictions() }).Optional(bounded),
	}}
}

func newStats(f *cli.Factory, run func(context.Context, *statsOptions) error) *cobra.Command {
	o := &statsOptions{
		IO:   f.IO,
		Door: cli.OpenDoor(f, model, func(ctx context.Context) (teller, error) { return f.Cache(ctx) }),
	}
	cmd := &cobra.Command{
		Use:     "stats",
		Short:   "Show how well a cache does",
		Long:    "Shows hits, misses and their ratio since the gateway was started and, of a bounded cache, what it\nholds and gave up.",
		Example: "  prismctl cache stats\n  prismctl cache stats -n cache -o json",
		RunE:    func(cmd *cobra.Command, _ []string) error { return run(cmd.Context(), o) },
	}
	o.Out = cli.AddOutput(f, cmd, statsKind().Info())
	return cmd
}

func runStats(ctx context.Context, o *statsOptions) error {
	c, ns, err := o.Enter(ctx)
	if err != nil {
		return err
	}
	r, err := c.GetStats(ctx, &cachev1.GetStatsRequest{Namespace: ns})
	if err != nil {
		return explain(err)
	}
	return cli.PrintOne(o.Out, statsKind(), stats{ns, r})
}
