// Package key is `prismctl key`: the API keys of a gateway.
package key

import (
	"github.com/spf13/cobra"

	"github.com/prism-data-layer/prism/pkg/cli"
	adminv1 "github.com/prism-data-layer/prism/proto/prism/admin/v1"
)

// New is the noun.
func New(f *cli.Factory) *cobra.Command {
	return cli.Group("key", "Manage API keys",
		"An API key is a credential that stands for a principal. Its secret is shown once, when it is\ncreated; the gateway keeps only a hash.",
		"  prismctl key create service:checkout --ttl 720h\n  prismctl key list",
		newCreate(f, runCreate), newList(f, runList), newRevoke(f, runRevoke))
}

const seeList = "prismctl key list"

type apiKey = *adminv1.Key

func fields[T any](get func(T) apiKey) []cli.Field[T] {
	return []cli.Field[T]{
		cli.Text("key_id", "KEY", "its public id", func(v T) string { return get(v).GetKeyId() }),
		cli.Text("principal", "PRINCIPAL", "who it stands for", func(v T) string { return get(v).GetPrincipal() }),
		cli.Words("roles", "ROLES", "admin, operator or viewer; none for a data client", func(v T) []string { return get(v).GetRoles() }),
		cli.Text("description", "DESCRIPTION", "what it is for", func(v T) string { return get(v).GetDescription() }),
		cli.Time("created_at", "CREATED", "when it was made", func(v T) int64 { return get(v).GetCreatedAtMs() }),
		cli.Time("expires_at", "EXPIRES", "when it ends; none: never", func(v T) int64 { return get(v).GetExpiresAtMs() }),
		cli.Time("last_used_at", "USED", "when it was last used", func(v T) int64 { return get(v).GetLastUsedMs() }),
		cli.Time("revoked_at", "REVOKED", "when it was revoked", func(v T) int64 { return get(v).GetRevokedAtMs() }).OnlyWide(),
	}
}

func kind() cli.Kind[apiKey] {
	return cli.Kind[apiKey]{Name: "Key", Fields: fields(func(k apiKey) apiKey { return k })}
}
