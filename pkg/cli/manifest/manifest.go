// Package manifest is `prismctl apply`, `diff` and `export`: namespaces and
// backends as files, alone and as verbs of their nouns.
package manifest

import (
	"strings"

	"github.com/prism-data-layer/prism/pkg/cli"
	"github.com/prism-data-layer/prism/pkg/config"
)

// resource names an object: "namespace/orders".
func resource(o config.Object) string { return strings.ToLower(o.Kind) + "/" + o.Name() }

// verb is how a command of one kind, or of all, is typed.
func verb(kind, verb string) string {
	if kind == "" {
		return "prismctl " + verb
	}
	return "prismctl " + strings.ToLower(kind) + " " + verb
}

// things are what a command works on, in words.
func things(kind string) string {
	switch kind {
	case config.KindNamespace:
		return "namespaces"
	case config.KindBackend:
		return "backends"
	}
	return "namespaces and backends"
}

// The states of a change.
const (
	unchanged = "unchanged"
	planned   = "planned"
	done      = "done"
	failed    = "failed"
	notDone   = "not done"
	refused   = "refused"
)

func kinds() cli.Kind[*change] {
	return cli.Kind[*change]{Name: "ObjectChange", Fields: []cli.Field[*change]{
		cli.Text("resource", "RESOURCE", "kind and name", func(c *change) string { return resource(c.object) }),
		cli.Text("action", "ACTION", "create, update, replace (refused) or none", func(c *change) string { return c.action }),
		cli.State("state", "STATE", "unchanged, planned, done, failed, not done or refused", func(c *change) string { return c.state }),
		cli.Words("fields", "CHANGED", "of an update: the keys that differ", func(c *change) []string { return c.fields }),
		cli.Text("origin", "FROM", "where in the files it stands", func(c *change) string { return c.origin() }),
		cli.Words("changes", "", "each difference: - what is there, + what the file says", func(c *change) []string { return c.lines() }),
		cli.Text("error", "", "why it was not done", func(c *change) string { return c.why() }),
	}}
}
