// Package session is `prismctl session`: who holds the gateway, and what they
// do with it.
package session

import (
	"github.com/spf13/cobra"

	"github.com/prism-data-layer/prism/pkg/cli"
	adminv1 "github.com/prism-data-layer/prism/proto/prism/admin/v1"
)

// New is the noun.
func New(f *cli.Factory) *cobra.Command {
	return cli.Group("session", "Look at sessions, and end them",
		"A session is a principal's time-limited hold on the gateway. A caller that brings only a\ncredential gets one by itself; it is marked as implicit.",
		"  prismctl session list --namespace kv\n  prismctl session describe s-7f3a",
		newList(f, runList), newDescribe(f), newTerminate(f, runTerminate), newTrace(f, runTrace))
}

const seeList = "prismctl session list"

type hold = *adminv1.Session

func kind() cli.Kind[hold] {
	return cli.Kind[hold]{Name: "Session", Fields: []cli.Field[hold]{
		cli.Text("session_id", "SESSION", "its public id", func(s hold) string { return s.GetSessionId() }),
		cli.Text("principal", "PRINCIPAL", "whose it is", func(s hold) string { return s.GetPrincipal() }),
		cli.State("status", "STATUS", "active, expiring, read_only or terminating", func(s hold) string {
			return cli.EnumWord(s.GetStatus().String(), "SESSION_STATUS_")
		}),
		cli.Words("namespaces", "NAMESPACES", "what it is narrowed to; none: all that the principal may use", func(s hold) []string { return s.GetNamespaces() }),
		cli.Int("requests", "REQUESTS", "requests answered", func(s hold) int64 { return s.GetMetrics().GetRequestsProcessed() }),
		cli.Int("active_streams", "STREAMS", "streams that are open", func(s hold) int64 { return int64(s.GetMetrics().GetActiveStreams()) }),
		cli.Text("client_id", "CLIENT", "what the client calls itself", func(s hold) string { return s.GetClientId() }).OnlyWide(),
		cli.Text("client_version", "VERSION", "the client's version", func(s hold) string { return s.GetClientVersion() }).OnlyWide(),
		cli.Bool("implicit", "IMPLICIT", "made for a caller that brought only a credential", func(s hold) bool { return s.GetImplicit() }).OnlyWide(),
		cli.Time("created_at", "CREATED", "when it began", func(s hold) int64 { return s.GetCreatedAtMs() }),
		cli.Time("last_activity_at", "ACTIVE", "when it was last used", func(s hold) int64 { return s.GetLastActivityMs() }),
		cli.Time("expires_at", "EXPIRES", "when it ends", func(s hold) int64 { return s.GetExpiresAtMs() }),
		cli.Bytes("sent_bytes", "", "sent to the client", func(s hold) int64 { return s.GetMetrics().GetBytesSent() }),
		cli.Bytes("received_bytes", "", "received from the client", func(s hold) int64 { return s.GetMetrics().GetBytesReceived() }),
		cli.Text("config", "", "the client configuration it is bound to", func(s hold) string { return s.GetConfig() }),
	}}
}
