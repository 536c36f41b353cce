package root_test

import (
	"context"
	"fmt"
	"regexp"
	"strings"
	"testing"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/prism-data-layer/prism/pkg/cli"
	"github.com/prism-data-layer/prism/pkg/cli/clitest"
	"github.com/prism-data-layer/prism/pkg/cli/root"
)

func TestADeprecatedFlagWorksAndWarnsOnce(t *testing.T) {
	t.Parallel()
	tree := []root.Noun{{Group: "help", New: func(f *cli.Factory) *cobra.Command {
		var many int
		c := &cobra.Command{Use: "try", Short: "Try", RunE: func(*cobra.Command, []string) error {
			fmt.Fprintln(f.IO.Out, many)
			return nil
		}}
		c.Flags().IntVar(&many, "count", 0, "so `N`")
		c.Flags().IntVar(&many, "many", 0, "so `N`")
		cli.Deprecate(c, "many", "--count", "0.3.0")
		cli.SkipFiles(c)
		return c
	}}}
	run := func(args ...string) (string, string) {
		f, _, out, errOut := clitest.Offline(t).Factory()
		if code := root.Run(context.Background(), f, tree, args); code != 0 {
			t.Errorf("%v: exit %d: %s", args, code, errOut)
		}
		return out.String(), errOut.String()
	}
	if out, errOut := run("try", "--many", "1", "--many", "2"); out != "2\n" || errOut != "warning: --many is deprecated: use --count; it goes in 0.3.0\n" {
		t.Errorf("got %q, %q", out, errOut)
	}
	if out, errOut := run("try", "--count", "3"); out != "3\n" || errOut != "" {
		t.Errorf("got %q, %q", out, errOut)
	}
	if out, _ := run("try", "--help"); strings.Contains(out, "--many") || !strings.Contains(out, "--count") {
		t.Errorf("help is\n%s", out)
	}
}

func TestEveryDeprecatedFlagNamesItsSuccessorAndItsEnd(t *testing.T) {
	t.Parallel()
	form := regexp.MustCompile(`^use .+; it goes in \d+\.\d+\.\d+$`)
	walk(t, func(c *cobra.Command) {
		c.Flags().VisitAll(func(f *pflag.Flag) {
			if f.Deprecated != "" && !form.MatchString(f.Deprecated) {
				t.Errorf("%s --%s: %q", c.CommandPath(), f.Name, f.Deprecated)
			}
		})
		if c.Deprecated != "" {
			t.Errorf("%s: a command is not deprecated by cobra's field: nobody holds its form", c.CommandPath())
		}
	})
}
