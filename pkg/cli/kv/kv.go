// Package kv is `prismctl kv`: look at keys and values and change them, through
// the gateway's data API.
package kv

import (
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/spf13/cobra"

	"github.com/prism-data-layer/prism/pkg/cli"
	"github.com/prism-data-layer/prism/pkg/prism"
	keyvaluev1 "github.com/prism-data-layer/prism/proto/prism/keyvalue/v1"
)

// model names the default namespace of these commands.
const model = "kv"

// New is the noun.
func New(f *cli.Factory) *cobra.Command {
	return cli.Group("kv", "Look at keys and values, and change them",
		"Works on the namespace that -n names, else the one of the context; dev up makes one called kv.",
		"  prismctl kv set greeting hello\n  prismctl kv get greeting",
		newGet(f, runGet), newSet(f, runSet), newDelete(f, runDelete), newScan(f, runScan),
		newWatch(f, runWatch), newImport(f, runImport), newExport(f, runExport))
}

// An entry is a key with its value, in a namespace.
type entry struct {
	namespace string
	*keyvaluev1.Entry
	size    int64
	noValue bool // only the key was asked for
}

func newEntry(namespace string, e *keyvaluev1.Entry) entry {
	return entry{namespace: namespace, Entry: e, size: int64(len(e.GetValue()))}
}

func kind() cli.Kind[entry] {
	return cli.Kind[entry]{Name: "Entry", Fields: []cli.Field[entry]{
		cli.Text("key", "KEY", "the key", func(e entry) string { return e.GetKey() }),
		cli.Text("value", "VALUE", "the value; null where it is not UTF-8", func(e entry) string { return string(e.GetValue()) }).
			Optional(func(e entry) bool { return !e.noValue && utf8.Valid(e.GetValue()) }),
		cli.Bytes("size_bytes", "SIZE", "bytes of the value", func(e entry) int64 { return e.size }),
		cli.Uint("version", "VERSION", "grows with each change of the key", func(e entry) uint64 { return e.GetVersion() }),
		cli.Time("expires_at", "EXPIRES", "when the key ends; none: never", func(e entry) int64 { return e.GetExpiresAtMs() }),
		cli.Text("value_base64", "", "the value, where it is not UTF-8", func(e entry) string { return base64(e.GetValue()) }).
			Optional(func(e entry) bool { return !e.noValue && !utf8.Valid(e.GetValue()) }),
		cli.Text("namespace", "NAMESPACE", "where it is", func(e entry) string { return e.namespace }).OnlyWide(),
	}}
}

// explain turns what the gateway said of a key into what a person needs.
func explain(err error, namespace, key string) error {
	e := prism.From(err)
	switch e.Reason {
	case prism.ReasonNotFound:
		if key != "" && !strings.HasPrefix(e.Message, "namespace ") {
			return cli.WithFix(err, "prismctl kv scan -n %s", namespace)
		}
		return cli.WithFix(err, "prismctl namespace list")
	case prism.ReasonVersionMismatch:
		fix := fmt.Sprintf("prismctl kv get %s -n %s -o json shows the version", key, namespace)
		if v := e.Meta["current_version"]; v != "" {
			fix = "its version is " + v + "; read it again and decide anew"
		}
		return cli.WithFix(err, "%s", fix)
	case prism.ReasonAlreadyExists:
		return cli.WithFix(err, "leave out --create-only to replace it")
	}
	return err
}
