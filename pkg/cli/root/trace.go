package root

import (
	"context"

	"github.com/spf13/cobra"
	"go.opentelemetry.io/otel/trace"

	"github.com/prism-data-layer/prism/pkg/cli"
	"github.com/prism-data-layer/prism/pkg/cli/tracing"
	"github.com/prism-data-layer/prism/pkg/config"
)

// A command's own trace: its root span, and what sends it.
type commandTrace struct {
	span trace.Span
	send func()
}

type commandTraceKey struct{}

// withTrace makes room for the trace of the command that will run.
func withTrace(ctx context.Context) (context.Context, *commandTrace) {
	t := &commandTrace{}
	return context.WithValue(ctx, commandTraceKey{}, t), t
}

// begin starts it, if there is a collector.
func begin(f *cli.Factory, c *cobra.Command) {
	t, _ := c.Context().Value(commandTraceKey{}).(*commandTrace)
	endpoint := f.IO.Env(config.EnvOTLP)
	if t == nil || endpoint == "" {
		return
	}
	p, send := tracing.Start(c.Context(), endpoint, f.Build.Version)
	if p == nil {
		return
	}
	f.Tracing, t.send = p, send
	ctx, span := f.Root(c.Context(), c.CommandPath())
	t.span = span
	c.SetContext(ctx)
}

// end sends it.
func (t *commandTrace) end(err error) {
	if t.send == nil {
		return
	}
	cli.EndRoot(t.span, err)
	t.send()
}
