package loadtest_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/prism-data-layer/prism/pkg/cli/clitest"
)

// A report that cannot be written is one error that names the file, and takes
// nothing from an older one.
func TestAReportOnADiskThatCannotBeWrittenTo(t *testing.T) {
	if !clitest.OwnMounts(t) {
		return
	}
	r, _ := gateway(t)
	for disk, spoil := range map[string]func(*testing.T, string){"read-only": clitest.ReadOnly, "full": clitest.Full} {
		for path, more := range map[string][]string{"old.json": {"--report", "DIR/old.json"}, ".local": {"--save", "first"}} {
			t.Run(path+", "+disk, func(t *testing.T) {
				r.Dir = t.TempDir()
				r.Write("old.json", "{}\n")
				more[1] = strings.ReplaceAll(more[1], "DIR", r.Dir)
				spoil(t, r.Dir)
				before := clitest.Tree(t, r.Dir)
				r.Want(1, []string{"error: ", path, "\n  fix: "}, short(more...)...)
				if after := clitest.Tree(t, r.Dir); !slices.Equal(before, after) {
					t.Errorf("it left\n%q\nwhere there was\n%q", after, before)
				}
			})
		}
	}
}
