// Package errors is `prismctl errors`: the catalogue of errors.
package errors

import (
	"strings"

	"github.com/spf13/cobra"

	"github.com/prism-data-layer/prism/pkg/cli"
	"github.com/prism-data-layer/prism/pkg/prism"
)

// New is the noun.
func New(f *cli.Factory) *cobra.Command {
	return cli.Group("errors", "Look errors up",
		"Every error has a code that never changes its meaning.",
		"  prismctl errors lookup PRISM-40401\n  prismctl errors list",
		newList(f, runList), newLookup(f, runLookup))
}

func kind() cli.Kind[prism.Info] {
	return cli.Kind[prism.Info]{Name: "ErrorCode", Fields: []cli.Field[prism.Info]{
		cli.Text("code", "CODE", "the stable code", func(i prism.Info) string { return i.Code() }),
		cli.Text("reason", "REASON", "the identity, for programs", func(i prism.Info) string { return string(i.Reason) }),
		cli.Text("cause", "CAUSE", "what it means", func(i prism.Info) string { return i.Summary }),
		cli.Text("remedy", "", "what to do", func(i prism.Info) string { return i.Fix }),
		cli.Text("grpc_status", "STATUS", "the gRPC status it travels as", func(i prism.Info) string { return string(i.Status) }).OnlyWide(),
		cli.Bool("retryable", "RETRYABLE", "whether the same call may succeed later", func(i prism.Info) bool { return i.Retryable }),
		cli.Millis("retry_after_ms", "", "how long to wait by default", func(i prism.Info) int64 { return i.RetryAfter.Milliseconds() }).
			Optional(func(i prism.Info) bool { return i.RetryAfter > 0 }),
		cli.Int("exit_code", "EXIT", "what prismctl ends with", func(i prism.Info) int64 {
			return int64(cli.Code(prism.New(i.Reason, "")))
		}),
		cli.Text("example", "", "what it looks like", example),
	}}
}

func example(i prism.Info) string {
	return "error: " + i.Summary + " (" + strings.ToLower(string(i.Status)) + ")"
}
