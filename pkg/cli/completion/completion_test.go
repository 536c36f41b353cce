package completion_test

import (
	"os/exec"
	"strings"
	"testing"
	"time"

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
		t.Log("bash is not there: the script is not read")
		return
	}
	cmd := exec.Command(bash, "-n")
	cmd.Stdin = strings.NewReader(clitest.Offline(t).OK("completion", "bash"))
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("%v: %s", err, out)
	}
}

func TestLiveNamesComplete(t *testing.T) {
	r := clitest.New(t)
	r.Write(".config/prism/config.yaml", "apiVersion: prism/v1\nkind: User\ncontexts:\n  - name: lab\n    data: \"lab:1\"\n")
	for _, c := range []struct{ line, want string }{
		{"namespace describe ", "kv\tkeyvalue on local\nscratch\t"},
		{"backend describe ", "local\tpebble\n"},
		{"session terminate ", "s-7f3a\tuser:dev\n"},
		{"key revoke ", "k-19ab\tservice:checkout\n"},
		{"context use ", "lab\tlab:1\n"},
		{"kv get a -n ", "kv\tkeyvalue on local\n"},
		{"kv get a --context ", "lab\t"},
		{"queue info ", "mail\tqueue\norders\tlog\n"},
		{"queue seek ", "mail\tqueue\norders\tlog\n"},
		{"queue seek orders --group ", "billing\t2 messages behind\n"},
		{"kv get a -o ", "table\nwide\njson\n"},
		{"kv get a --color ", "auto\nalways\nnever\n"},
	} {
		if out := r.OK(append([]string{"__complete"}, strings.Split(c.line, " ")...)...); !strings.HasPrefix(out, c.want) {
			t.Errorf("%s: got %q, want %q", c.line, out, c.want)
		}
	}
	if out := r.OK("__complete", "namespace", "describe", "kv", ""); out != ":4\n" {
		t.Errorf("a second name is completed: %q", out)
	}
}

func TestCompletionIsQuickAndSilentWithoutAGateway(t *testing.T) {
	r := clitest.Offline(t)
	for _, line := range []string{"namespace describe ", "backend describe ", "session describe ", "key revoke ", "queue info "} {
		start := time.Now()
		got := r.Run(append([]string{"__complete"}, strings.Split(line, " ")...)...)
		if got.Code != 0 || got.Out != ":4\n" || strings.Contains(got.ErrOut, "error") {
			t.Errorf("%s: %+v", line, got)
		}
		if d := time.Since(start); d > time.Second {
			t.Errorf("%s took %s", line, d)
		}
	}
	r.Write(".config/prism/config.yaml", "nonsense: [")
	if got := r.Run("__complete", "context", "use", ""); got.Code != 0 || got.Out != ":4\n" {
		t.Errorf("a broken file: %+v", got)
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
