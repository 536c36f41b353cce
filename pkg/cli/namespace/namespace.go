// Package namespace is `prismctl namespace`: the datasets of a gateway, who may
// use them, and where they are kept.
package namespace

import (
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/prism-data-layer/prism/pkg/cli"
	"github.com/prism-data-layer/prism/pkg/cli/manifest"
	"github.com/prism-data-layer/prism/pkg/config"
	adminv1 "github.com/prism-data-layer/prism/proto/prism/admin/v1"
)

// New is the noun.
func New(f *cli.Factory) *cobra.Command {
	cmd := cli.Group("namespace", "Manage namespaces, the named datasets of a gateway",
		"A namespace is the unit of configuration, access, quota and isolation. Its data is on one\nbackend, chosen when it is created; a move takes it to another.",
		"  prismctl namespace list\n  prismctl namespace create orders --backend local",
		newList(f, runList), newDescribe(f), newCreate(f, runCreate),
		newUpdate(f, runUpdate), newMove(f, runMove), newDelete(f, runDelete), newHistory(f, runHistory),
		cli.NewWatch(newList(f, runList), "namespaces", "  prismctl namespace watch\n  prismctl namespace watch --backend local --interval 5s"),
		manifest.NewApply(f, config.KindNamespace), manifest.NewDiff(f, config.KindNamespace), manifest.NewExport(f, config.KindNamespace))
	cmd.Aliases = []string{"ns"}
	return cmd
}

const seeList = "prismctl namespace list"

type ns = *adminv1.Namespace

func kind() cli.Kind[ns] {
	return cli.Kind[ns]{Name: "Namespace", Fields: []cli.Field[ns]{
		cli.Text("name", "NAME", "its name", func(n ns) string { return n.GetSpec().GetName() }),
		cli.Text("model", "MODEL", "the kind of data API", func(n ns) string { return n.GetSpec().GetModel() }),
		cli.Text("backend", "BACKEND", "where its data is", func(n ns) string { return n.GetBoundBackend() }),
		cli.Text("driver", "DRIVER", "the driver of that backend", func(n ns) string { return n.GetBoundDriver() }).OnlyWide(),
		cli.State("state", "STATE", "provisioning, active, degraded, deleting or deleted", func(n ns) string {
			return cli.EnumWord(n.GetState().String(), "NAMESPACE_STATE_")
		}),
		cli.Int("keys", "KEYS", "how many keys it holds", func(n ns) int64 { return n.GetUsage().GetKeys() }).Optional(hasUsage),
		cli.Bytes("size_bytes", "SIZE", "how much it holds", func(n ns) int64 { return n.GetUsage().GetSizeBytes() }).Optional(hasUsage),
		cli.Bool("estimated", "", "whether keys and size are estimates", func(n ns) bool { return n.GetUsage().GetEstimated() }).Optional(hasUsage),
		cli.Int("active_sessions", "SESSIONS", "sessions that use it now", func(n ns) int64 { return n.GetUsage().GetActiveSessions() }).Optional(hasUsage),
		cli.Int("active_streams", "STREAMS", "streams that are open on it", func(n ns) int64 { return n.GetUsage().GetActiveStreams() }).Optional(hasUsage).OnlyWide(),
		cli.Int("revision", "REVISION", "grows by one with each change", func(n ns) int64 { return n.GetRevision() }).OnlyWide(),
		cli.Text("declared_in", "DECLARED", "the file and line that declares it", func(n ns) string { return n.GetDeclaredIn() }).OnlyWide(),
		cli.Text("durability", "", "what an answered write means", func(n ns) string { return n.GetDurability() }),
		cli.Text("description", "", "what it is for", func(n ns) string { return n.GetSpec().GetDescription() }),
		cli.Text("wanted_backend", "", "the backend that was asked for, where it differs", wanted),
		cli.Millis("default_ttl_ms", "", "given to a write that asks for none", func(n ns) int64 { return n.GetSpec().GetDefaultTtlMs() }).Optional(func(n ns) bool { return n.GetSpec().GetDefaultTtlMs() > 0 }),
		cli.Millis("max_ttl_ms", "", "the longest time to live", func(n ns) int64 { return n.GetSpec().GetMaxTtlMs() }).Optional(func(n ns) bool { return n.GetSpec().GetMaxTtlMs() > 0 }),
		cli.Millis("retention_ms", "", "how long events are kept", func(n ns) int64 { return n.GetSpec().GetRetentionMs() }).Optional(func(n ns) bool { return n.GetSpec().GetRetentionMs() > 0 }),
		cli.Bool("auto_create", "", "whether publishing makes topics and queues", func(n ns) bool { return !n.GetSpec().GetNoAutoCreate() }).Optional(ofQueues),
		cli.Text("default_kind", "", "the only kind that publishing makes, log or work", func(n ns) string { return n.GetSpec().GetDefaultKind() }).Optional(ofQueues),
		cli.Nested("needs", "what was asked of it", needs),
		cli.Nested("limits", "what callers may ask of it", limits),
		cli.Words("owners", "", "who may do everything", func(n ns) []string { return n.GetSpec().GetAccess().GetOwners() }),
		cli.Nested("consumers", "who else may do what", consumers),
		cli.Int("receipts", "", "idempotency keys that are held", func(n ns) int64 { return n.GetUsage().GetReceipts() }).Optional(hasUsage),
		cli.Int("receipts_limit", "", "how many may be held", func(n ns) int64 { return n.GetUsage().GetReceiptsLimit() }).Optional(hasUsage),
		cli.Words("capabilities", "", "what it can do", func(n ns) []string { return n.GetCapabilities() }),
		cli.Words("notes", "", "what an operator should know", func(n ns) []string { return n.GetNotes() }),
		cli.Time("created_at", "", "when it was made", func(n ns) int64 { return n.GetCreatedAtMs() }),
		cli.Time("updated_at", "UPDATED", "when it was last changed", func(n ns) int64 { return n.GetUpdatedAtMs() }),
	}}
}

func hasUsage(n ns) bool { return n.GetUsage() != nil }

func ofQueues(n ns) bool { return n.GetSpec().GetModel() == "queue" }

func wanted(n ns) string {
	if w := n.GetSpec().GetBackend(); w != n.GetBoundBackend() {
		return w
	}
	return ""
}

func needs(n ns) any {
	x := n.GetSpec().GetNeeds()
	if x == nil {
		return nil
	}
	return cli.Object{
		{Name: "durability", Value: x.GetDurability()},
		{Name: "ttl_ms", Value: orNone(x.GetTtlMs())},
		{Name: "read_rps", Value: orNone(x.GetReadRps())},
		{Name: "write_rps", Value: orNone(x.GetWriteRps())},
		{Name: "size_bytes", Value: orNone(x.GetSizeBytes())},
	}
}

// orNone is nothing for the zero that means "not asked for".
func orNone(n int64) any {
	if n == 0 {
		return nil
	}
	return n
}

func limits(n ns) any {
	x := n.GetSpec().GetLimits()
	if x == nil {
		return nil
	}
	return cli.Object{
		{Name: "request_rps", Value: orNone(x.GetRequestRps())},
		{Name: "burst", Value: orNone(x.GetBurst())},
		{Name: "receipts", Value: orNone(x.GetReceipts())},
		{Name: "queues", Value: orNone(x.GetQueues())},
		{Name: "partitions", Value: orNone(x.GetPartitions())},
		{Name: "groups", Value: orNone(x.GetGroups())},
		{Name: "message_bytes", Value: orNone(x.GetMessageBytes())},
		{Name: "buffer_bytes", Value: orNone(x.GetBufferBytes())},
	}
}

func consumers(n ns) any {
	grants := n.GetSpec().GetAccess().GetConsumers()
	list := make([]any, len(grants))
	for i, g := range grants {
		permissions := make([]any, len(g.GetPermissions()))
		for j, p := range g.GetPermissions() {
			permissions[j] = p
		}
		list[i] = cli.Object{{Name: "principal", Value: g.GetPrincipal()}, {Name: "permissions", Value: permissions}}
	}
	return list
}

type event = *adminv1.NamespaceEvent

func eventKind() cli.Kind[event] {
	return cli.Kind[event]{Name: "NamespaceEvent", Fields: []cli.Field[event]{
		cli.Text("event", "EVENT", "created, updated, bound, moved, deleting or deleted", func(e event) string { return e.GetKind() }),
		cli.Int("revision", "REVISION", "of the namespace after it", func(e event) int64 { return e.GetRevision() }),
		cli.Time("time", "TIME", "when", func(e event) int64 { return e.GetTimeMs() }),
		cli.Text("actor", "ACTOR", "who", func(e event) string { return e.GetActor() }),
		cli.Text("detail", "DETAIL", "what changed", func(e event) string { return e.GetDetail() }),
	}}
}

// parseGrant reads PRINCIPAL=read,write. A principal may hold colons.
func parseGrant(s string) (*adminv1.Grant, error) {
	principal, list, ok := strings.Cut(s, "=")
	if !ok || principal == "" || list == "" {
		return nil, cli.Usage("write it as PRINCIPAL=read,write, such as service:checkout=read", "%q is not a grant", s)
	}
	permissions := strings.Split(list, ",")
	for _, p := range permissions {
		if p != "read" && p != "write" {
			return nil, cli.Usage("use read, write, or read,write", "%q is not a permission", p)
		}
	}
	return &adminv1.Grant{Principal: principal, Permissions: permissions}, nil
}

func parseGrants(list []string) ([]*adminv1.Grant, error) {
	var grants []*adminv1.Grant
	for _, s := range list {
		g, err := parseGrant(s)
		if err != nil {
			return nil, err
		}
		grants = append(grants, g)
	}
	return grants, nil
}

// withGrants puts grants over the present ones, one for each principal.
func withGrants(now, more []*adminv1.Grant, revoked []string) []*adminv1.Grant {
	var out []*adminv1.Grant
	replaced := func(p string) bool {
		return slices.Contains(revoked, p) || slices.ContainsFunc(more, func(g *adminv1.Grant) bool { return g.GetPrincipal() == p })
	}
	for _, g := range now {
		if !replaced(g.GetPrincipal()) {
			out = append(out, g)
		}
	}
	return append(out, more...)
}

func where(n ns) string {
	if n.GetBoundBackend() == "" {
		return ""
	}
	return fmt.Sprintf(" on backend %s", n.GetBoundBackend())
}
