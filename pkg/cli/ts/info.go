package ts

import (
	"context"

	"github.com/spf13/cobra"
	"google.golang.org/grpc"

	"github.com/prism-data-layer/prism/pkg/cli"
	timeseriesv1 "github.com/prism-data-layer/prism/proto/prism/timeseries/v1"
)

type describer interface {
	DescribeSeries(context.Context, *timeseriesv1.DescribeSeriesRequest, ...grpc.CallOption) (*timeseriesv1.DescribeSeriesResponse, error)
}

type infoOptions struct {
	Out *cli.Output
	cli.Door[describer]
}

// A series is what a namespace holds.
type series struct {
	namespace string
	*timeseriesv1.DescribeSeriesResponse
}

func seriesKind() cli.Kind[series] {
	return cli.Kind[series]{Name: "Series", Fields: []cli.Field[series]{
		cli.Text("namespace", "NAMESPACE", "where the events are", func(s series) string { return s.namespace }),
		cli.Int("events", "EVENTS", "how many there are; may be an estimate", func(s series) int64 { return s.GetEvents() }),
		cli.Bytes("size_bytes", "SIZE", "what they take; may be an estimate", func(s series) int64 { return s.GetSizeBytes() }),
		cli.Millis("retention_ms", "RETENTION", "how long they are kept; null: for ever", func(s series) int64 { return s.GetRetentionMs() }).
			Optional(func(s series) bool { return s.GetRetentionMs() > 0 }),
		cli.Int("sent", "SENT", "to this gateway since it was started: all that follow together", func(s series) int64 { return s.GetSent() }),
		cli.Int("stored", "STORED", "of those sent", func(s series) int64 { return s.GetStored() }),
		cli.Int("duplicates", "DUPLICATES", "not stored because their id was there", func(s series) int64 { return s.GetDuplicates() }),
		cli.Int("rejected", "REJECTED", "refused one by one", func(s series) int64 { return s.GetRejected() }),
		cli.Int("dropped", "DROPPED", "acked with --async and lost since", func(s series) int64 { return s.GetDropped() }),
		cli.Int("buffered", "BUFFERED", "acked with --async and not stored yet", func(s series) int64 { return s.GetBuffered() }),
		cli.Text("last_drop", "", "why some were dropped, the last time", func(s series) string { return s.GetLastDrop() }),
	}}
}

func newInfo(f *cli.Factory, run func(context.Context, *infoOptions) error) *cobra.Command {
	o := &infoOptions{Door: cli.OpenDoor(f, model, func(ctx context.Context) (describer, error) { return f.TimeSeries(ctx) })}
	cmd := &cobra.Command{
		Use:   "info",
		Short: "Show what the namespace holds",
		Long: `Shows how many events there are, and what became of what was sent to this gateway since it was
started: sent is stored, duplicates, rejected, dropped and buffered together.`,
		Example: "  prismctl ts info\n  prismctl ts info -o json --jq .events",
		Args:    cli.NoArgs,
		RunE:    func(cmd *cobra.Command, _ []string) error { return run(cmd.Context(), o) },
	}
	o.Out = cli.AddOutput(f, cmd, seriesKind().Info())
	return cmd
}

func runInfo(ctx context.Context, o *infoOptions) error {
	c, ns, err := o.Enter(ctx)
	if err != nil {
		return err
	}
	r, err := c.DescribeSeries(ctx, &timeseriesv1.DescribeSeriesRequest{Namespace: ns})
	if err != nil {
		return explain(err, ns)
	}
	return cli.PrintOne(o.Out, seriesKind(), series{ns, r})
}
