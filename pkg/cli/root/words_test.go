package root_test

import (
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/prism-data-layer/prism/pkg/cli"
	"github.com/prism-data-layer/prism/pkg/cli/clitest"
)

// free are the placeholders of flags that take what they are given: a name that
// only the gateway knows, a text, a number or a file. Whatever else a flag is
// given is one of a few words, and it says so with cli.Enum.
var free = []string{
	"ADDRESS", "BACKEND", "COLUMNS", "COLUMNSxROWS", "CONDITION", "DRIVER", "ENDPOINT", "EXPRESSION", "FIELD", "FIELDS", "FIGURES", "FILE", "CALL",
	"GRANT", "GROUP", "ID", "KEY", "NAME", "NAMES", "NAMESPACE", "NAME=NUMBER", "NAME=PORT", "NAME=VALUE", "PLACE", "POSITION", "PRINCIPAL",
	"REFERENCE", "REGEXP", "RESOURCE", "SHARE", "SHARES", "SIZE", "SOURCE", "SOURCES", "TEXT", "TIME", "TOPIC", "TYPE", "TYPES", "FORMAT=FILE",
}

// A flag that takes a few words lists them in help, completes them, and refuses
// any other with all of them and the nearest.
func TestAFlagOfAFewWordsNamesThem(t *testing.T) {
	walk(t, func(c *cobra.Command) {
		if c.HasSubCommands() && c.HasParent() {
			return
		}
		path := strings.Fields(c.CommandPath())[1:]
		c.Flags().AddFlagSet(c.PersistentFlags())
		c.Flags().VisitAll(func(f *pflag.Flag) {
			if f.Hidden || f.Name == "help" || c.HasParent() && c.InheritedFlags().Lookup(f.Name) != nil {
				return
			}
			words := cli.WordsOf(f)
			placeholder, usage := pflag.UnquoteUsage(f)
			if words == nil {
				if strings.HasPrefix(f.Value.Type(), "string") && !slices.Contains(free, placeholder) {
					t.Errorf("%s --%s takes a %s: which words, or is it free?", c.CommandPath(), f.Name, placeholder)
				}
				return
			}
			at := path
			if !c.HasParent() {
				at = []string{"namespace", "list"}
			}
			t.Run(strings.Join(at, " ")+" --"+f.Name, func(t *testing.T) {
				t.Parallel()
				r := clitest.New(t)
				offered := r.Run(append(append([]string{"__complete"}, at...), "--"+f.Name, "")...).Out
				for _, w := range words {
					if !regexp.MustCompile(`(^|[ ,:(])` + regexp.QuoteMeta(w) + `($|[ ,;)…])`).MatchString(usage + " " + cli.FlagDefault(f)) {
						t.Errorf("help lacks %q: %s", w, usage)
					}
					if !slices.Contains(strings.Split(offered, "\n"), w) {
						t.Errorf("%q is not completed: %q", w, offered)
					}
				}
				args := slices.Clone(at)
				least, _ := arity(c)
				for range least {
					args = append(args, "kv")
				}
				complains(t, 2, r.Run(append(args, "--"+f.Name+"="+words[0]+"x")...), append([]string{`did you mean "` + words[0] + `"?`, `"` + words[0] + `x"`}, words...)...)
			})
		})
	})
}
