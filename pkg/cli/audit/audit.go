// Package audit is `prismctl audit`: who did what to the gateway.
package audit

import (
	"strings"

	"github.com/spf13/cobra"

	"github.com/prism-data-layer/prism/pkg/cli"
	adminv1 "github.com/prism-data-layer/prism/proto/prism/admin/v1"
)

// New is the noun.
func New(f *cli.Factory) *cobra.Command {
	return cli.Group("audit", "Read the audit record",
		"Every call of the admin API leaves a record, refused ones too.",
		"  prismctl audit list\n  prismctl audit list --actor user:ann --since 1h",
		newList(f, runList))
}

type record = *adminv1.AuditRecord

func kind() cli.Kind[record] {
	return cli.Kind[record]{Name: "AuditRecord", Fields: []cli.Field[record]{
		cli.Int("id", "", "grows with each record", func(r record) int64 { return r.GetId() }),
		cli.Time("time", "TIME", "when", func(r record) int64 { return r.GetTimeMs() }),
		cli.Text("actor", "ACTOR", "who", func(r record) string { return r.GetActor() }),
		cli.Text("action", "ACTION", "the call, without its service", func(r record) string {
			return r.GetMethod()[strings.LastIndexByte(r.GetMethod(), '/')+1:]
		}),
		cli.Text("resource", "RESOURCE", "to what", func(r record) string { return r.GetResource() }),
		cli.State("decision", "DECISION", "allowed or denied", func(r record) string { return r.GetDecision() }),
		cli.Text("result", "RESULT", "OK, or the reason of the error", func(r record) string { return r.GetResult() }),
		cli.Int("calls", "CALLS", "how many it stands for: reads that come again within a minute share a record", func(r record) int64 { return r.GetCalls() }).OnlyWide(),
		cli.Micros("latency_us", "LATENCY", "how long it took", func(r record) int64 { return r.GetLatencyUs() }).OnlyWide(),
		cli.Text("peer", "PEER", "from where", func(r record) string { return r.GetPeer() }).OnlyWide(),
		cli.Text("request_id", "REQUEST", "the request in the logs", func(r record) string { return r.GetRequestId() }).OnlyWide(),
		cli.Text("trace_id", "", "the trace", func(r record) string { return r.GetTraceId() }),
		cli.Text("detail", "", "what became of it", func(r record) string { return r.GetDetail() }),
		cli.Text("method", "", "the full name of the call", func(r record) string { return r.GetMethod() }),
	}}
}
