package completion_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc/metadata"

	"github.com/prism-data-layer/prism/pkg/cli"
	"github.com/prism-data-layer/prism/pkg/cli/clitest"
	"github.com/prism-data-layer/prism/pkg/clock"
	"github.com/prism-data-layer/prism/pkg/iostreams"
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

// A shell that asks again is told what it was told, for five seconds.
func TestNamesAreAskedForOnceInFiveSeconds(t *testing.T) {
	t.Parallel()
	r := clitest.New(t)
	now := iostreams.TestTime()
	r.Prepare = func(f *cli.Factory) { f.Clock = clock.NewFake(now) }
	tab := func(want string, calls int, args ...string) {
		t.Helper()
		if out := r.OK(append([]string{"__complete"}, args...)...); !strings.HasPrefix(out, want) {
			t.Errorf("%q: got %q, want %q", args, out, want)
		}
		if got := len(r.Gateway.Calls()); got != calls {
			t.Errorf("%q: %d calls, want %d", args, got, calls)
		}
	}
	tab("kv\t", 1, "namespace", "describe", "")
	tab("kv\t", 1, "namespace", "describe", "k")
	tab("local\t", 2, "backend", "describe", "")            // other names
	tab("kv\t", 3, "namespace", "describe", "-n", "kv", "") // another command line
	tab("kv\t", 4, "namespace", "describe", "-n", "")       // another argument
	tab("mail\t", 6, "queue", "info", "")                   // of two calls
	r.Gateway.Change(func(s *clitest.State) { *s.Namespaces = (*s.Namespaces)[1:] })
	now = now.Add(4999 * time.Millisecond)
	tab("kv\t", 6, "namespace", "describe", "")
	now = now.Add(time.Millisecond)
	tab("scratch\t", 7, "namespace", "describe", "")
	files, _ := filepath.Glob(filepath.Join(r.Dir, ".cache", "prism", "completion", "*"))
	if len(files) == 0 {
		t.Fatal("nothing is kept")
	}
	for _, f := range files { // a cache that is broken is none
		if err := os.WriteFile(f, []byte("{"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	tab("scratch\t", 8, "namespace", "describe", "")
	r.Env["XDG_CACHE_HOME"] = os.DevNull
	tab("scratch\t", 9, "namespace", "describe", "")
	tab("scratch\t", 10, "namespace", "describe", "")
}

// A gateway that takes connections and says nothing holds nobody up.
func TestASilentGatewayHoldsAShellUpForHalfASecond(t *testing.T) {
	t.Parallel()
	r := clitest.New(t)
	silent := make(chan struct{})
	t.Cleanup(func() { close(silent) })
	r.Gateway.Fail = func(string, metadata.MD) error { <-silent; return nil }
	start := time.Now()
	got := r.Run("__complete", "namespace", "describe", "")
	if took := time.Since(start); took < 450*time.Millisecond || took > 3*time.Second {
		t.Errorf("it took %s", took)
	}
	if got.Code != 0 || got.Out != ":4\n" || strings.Contains(got.ErrOut, "error") {
		t.Errorf("got %+v", got)
	}
}
