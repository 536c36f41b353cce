// Package cache is `prismctl cache`: look at what a cache holds and how well it
// does, and change it, through the gateway's data API.
package cache

import (
	b64 "encoding/base64"
	"strings"
	"unicode/utf8"

	"github.com/spf13/cobra"

	"github.com/prism-data-layer/prism/pkg/cli"
	"github.com/prism-data-layer/prism/pkg/prism"
	cachev1 "github.com/prism-data-layer/prism/proto/prism/cache/v1"
)

// model names the default namespace of these commands.
const model = "cache"

// New is the noun.
func New(f *cli.Factory) *cobra.Command {
	return cli.Group("cache", "Look at a cache, and change it",
		`Works on the namespace that -n names, else the one of the context; dev up makes one called cache.
An entry ends after its time to live, and a bounded cache may give it up before.`,
		"  prismctl cache set greeting hello --ttl 5m\n  prismctl cache get greeting",
		newGet(f, runGet), newSet(f, runSet), newDelete(f, runDelete), newExists(f, runExists), newIncr(f, runIncr), newStats(f, runStats))
}

// An entry is a key with its value, in a namespace.
type entry struct {
	namespace, key string
	*cachev1.GetResponse
}

func kind() cli.Kind[entry] {
	return cli.Kind[entry]{Name: "CacheEntry", Fields: []cli.Field[entry]{
		cli.Text("key", "KEY", "the key", func(e entry) string { return e.key }),
		cli.Text("value", "VALUE", "the value; null where it is not UTF-8", func(e entry) string { return string(e.GetValue()) }).
			Optional(func(e entry) bool { return utf8.Valid(e.GetValue()) }),
		cli.Bytes("size_bytes", "SIZE", "bytes of the value", func(e entry) int64 { return int64(len(e.GetValue())) }),
		cli.Time("expires_at", "EXPIRES", "when the entry ends; none: never", func(e entry) int64 { return e.GetExpiresAtMs() }),
		cli.Text("value_base64", "", "the value, where it is not UTF-8", func(e entry) string { return b64.StdEncoding.EncodeToString(e.GetValue()) }).
			Optional(func(e entry) bool { return !utf8.Valid(e.GetValue()) }),
		cli.Text("namespace", "NAMESPACE", "where it is", func(e entry) string { return e.namespace }).OnlyWide(),
	}}
}

// explain turns what the gateway said into what a person needs.
func explain(err error) error {
	switch e := prism.From(err); {
	case e.Reason == prism.ReasonNotFound && strings.HasPrefix(e.Message, "namespace "):
		return cli.WithFix(err, "prismctl namespace list")
	case e.Reason == prism.ReasonCapabilityMissing:
		return cli.WithFix(err, "prismctl namespace list shows which are caches")
	}
	return err
}
