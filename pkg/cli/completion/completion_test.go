package completion_test

import (
	"os/exec"
	"strings"
	"testing"

	"github.com/prism-data-layer/prism/pkg/cli/clitest"
)

func TestEveryShellGetsAScript(t *testing.T) {
	r := clitest.Offline(t)
	for shell, word := range map[string]string{"bash": "__start_prismctl", "zsh": "#compdef prismctl", "fish": "complete -c prismctl", "powershell": "Register-ArgumentCompleter"} {
		if out := r.OK("completion", shell); !strings.Contains(out, word) {
			t.Errorf("%s: the script lacks %q", shell, word)
		}
	}
}

func TestTheBashScriptParses(t *testing.T) {
	bash, err := exec.LookPath("bash")
	if err != nil {
		t.Skip("no bash")
	}
	cmd := exec.Command(bash, "-n")
	cmd.Stdin = strings.NewReader(clitest.Offline(t).OK("completion", "bash"))
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("%v: %s", err, out)
	}
}

func TestCommandsAndKindsComplete(t *testing.T) {
	r := clitest.Offline(t)
	for _, c := range []struct {
		args []string
		want string
	}{
		{[]string{"__complete", "names"}, "namespace"},
		{[]string{"__complete", "namespace", "de"}, "describe\tShow one namespace"},
		{[]string{"__complete", "schema", "Name"}, "NamespaceEvent"},
	} {
		if out := r.OK(c.args...); !strings.Contains(out, c.want) {
			t.Errorf("%q gave %q, want %q in it", c.args, out, c.want)
		}
	}
}
