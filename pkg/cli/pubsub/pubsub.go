// Package pubsub is `prismctl pubsub`: publish events, follow them, and see who
// else does.
package pubsub

import (
	b64 "encoding/base64"
	"maps"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/prism-data-layer/prism/pkg/cli"
	"github.com/prism-data-layer/prism/pkg/prism"
)

// model names the default namespace of these commands.
const model = "pubsub"

// New is the noun.
func New(f *cli.Factory) *cobra.Command {
	return cli.Group("pubsub", "Publish events, and follow them",
		"Works on the namespace that -n names, else the one of the context; dev up makes one called\npubsub. Topics are tokens parted by dots; in a pattern, * stands for one token and > at the end\nfor one or more.",
		"  prismctl pubsub publish orders.created '{\"id\":17}'\n  prismctl pubsub tail 'orders.>' --limit 10",
		newPublish(f, runPublish), newTail(f, runTail), newSubscriptions(f, runSubscriptions), newUnsubscribe(f, runUnsubscribe))
}

// explain turns what the gateway said into what a person needs.
func explain(err error) error {
	e := prism.From(err)
	switch {
	case e.Reason == prism.ReasonNotFound && strings.HasPrefix(e.Message, "namespace "):
		return cli.WithFix(err, "prismctl namespace list")
	case e.Reason == prism.ReasonCompacted:
		return cli.WithFix(err, "prismctl pubsub tail PATTERN --from earliest begins with the oldest that is kept")
	}
	return err
}

func base64(b []byte) string { return b64.StdEncoding.EncodeToString(b) }

// pairs reads NAME=VALUE.
func pairs(flag string, list []string) (map[string]string, error) {
	if len(list) == 0 {
		return nil, nil
	}
	m := make(map[string]string, len(list))
	for _, p := range list {
		name, value, ok := strings.Cut(p, "=")
		if !ok || name == "" {
			return nil, cli.Usage("--"+flag+" NAME=VALUE", "--%s %q is not NAME=VALUE", flag, p)
		}
		m[name] = value
	}
	return m, nil
}

func object(m map[string]string) any {
	o := make(cli.Object, 0, len(m))
	for _, k := range slices.Sorted(maps.Keys(m)) {
		o = append(o, cli.Member{Name: k, Value: m[k]})
	}
	return o
}
