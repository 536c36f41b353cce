package root_test

import (
	"os/exec"
	"strings"
	"testing"

	"github.com/spf13/cobra"

	"github.com/prism-data-layer/prism/pkg/cli/clitest"
	"github.com/prism-data-layer/prism/pkg/cli/root"
)

func TestTheReferenceAndTheManualHoldEveryCommand(t *testing.T) {
	f, _, _, _ := clitest.Offline(t).Factory()
	page := root.Reference(f)
	f, _, _, _ = clitest.Offline(t).Factory()
	man := root.Man(f)
	walk(t, func(c *cobra.Command) {
		if !c.HasParent() || !c.IsAvailableCommand() {
			return
		}
		if !strings.Contains(page, "\n## "+c.CommandPath()+"\n") {
			t.Errorf("%s is not in the reference", c.CommandPath())
		}
		if !strings.Contains(man, ".SH "+strings.ReplaceAll(strings.ToUpper(c.CommandPath()), "-", `\-`)+"\n") {
			t.Errorf("%s is not in the manual", c.CommandPath())
		}
	})
	again, _, _, _ := clitest.Offline(t).Factory()
	if root.Reference(again) != page {
		t.Error("the reference differs from run to run")
	}
}

func TestTheManualIsTroff(t *testing.T) {
	man, err := exec.LookPath("groff")
	if err != nil {
		t.Log("groff is not there: the manual is not read")
		return
	}
	f, _, _, _ := clitest.Offline(t).Factory()
	cmd := exec.Command(man, "-k", "-man", "-Tutf8", "-ww", "-z")
	cmd.Stdin = strings.NewReader(root.Man(f))
	if out, err := cmd.CombinedOutput(); err != nil || len(out) > 0 {
		t.Errorf("%v: %s", err, out)
	}
}
