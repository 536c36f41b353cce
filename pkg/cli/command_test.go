package cli_test

import (
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc/metadata"

	"github.com/prism-data-layer/prism/pkg/cli"
	"github.com/prism-data-layer/prism/pkg/cli/clitest"
	"github.com/prism-data-layer/prism/pkg/config"
	"github.com/prism-data-layer/prism/pkg/prism"
	adminv1 "github.com/prism-data-layer/prism/proto/prism/admin/v1"
)

func TestMain(m *testing.M) { os.Exit(clitest.Main(m)) }

// failing makes every call of the gateway fail with e.
func failing(t *testing.T, e *prism.Error) *clitest.Rig {
	r := clitest.New(t)
	r.Gateway.Fail = func(string, metadata.MD) error { return e }
	return r
}

func TestEveryReasonHasItsExitCodeAndKeepsItsDetails(t *testing.T) {
	want := map[int]int{400: 7, 401: 4, 403: 4, 404: 3, 409: 5, 410: 5, 412: 5, 422: 7, 500: 1, 501: 1, 503: 6, 504: 6, 600: 6, 602: 1}
	for _, i := range prism.Infos() {
		code, ok := want[i.Class]
		switch {
		case i.Reason == prism.ReasonCancelled:
			code = 130
		case !ok && i.Retryable:
			code = 6
		case !ok:
			code = 1
		}
		r := failing(t, prism.New(i.Reason, "it went wrong"))
		got := r.Want(code, nil, "namespace", "list")
		if code != 130 && (!strings.Contains(got.ErrOut, "error: it went wrong") || !strings.Contains(got.ErrOut, i.Code())) {
			t.Errorf("%s: got\n%s", i.Reason, got.ErrOut)
		}
		if n := strings.Count(got.ErrOut, "\n"); n > 6 {
			t.Errorf("%s: the error has %d lines", i.Reason, n)
		}
	}
}

func full() *prism.Error {
	return prism.New(prism.ReasonRateLimited, "too many requests").
		WithField("a", "must be a").WithField("b", "must be b").WithField("c", "must be c").WithField("d", "must be \x1b[31md").
		WithQuota("namespace:kv", "100 requests a second").WithRetryAfter(1500*time.Millisecond).
		WithNamespace("kv").WithBackend("local").WithMeta("limit", "100").
		WithCause(prism.New(prism.ReasonOverloaded, "the bucket is empty"))
}

func TestAFullErrorIsSixLinesAndWithVTellsAll(t *testing.T) {
	r := failing(t, full())
	r.Golden("error-full", "namespace", "list")
	r.Golden("error-full-v", "namespace", "list", "-v")
	r.Golden("error-full-json", "namespace", "list", "-o", "json")
}

func TestErrorsAreJSONForPrograms(t *testing.T) {
	r := failing(t, full())
	var got struct {
		Kind, Code, Reason, Message, Cause, Hint string
		ExitCode                                 int    `json:"exit_code"`
		RetryAfterMs                             int    `json:"retry_after_ms"`
		RequestID                                string `json:"request_id"`
		Retryable                                bool
		Fields                                   []struct{ Field, Message string }
		Quota                                    struct{ Subject string }
		Metadata                                 map[string]string
	}
	res := r.Run("namespace", "list", "--output=jsonl")
	if err := json.Unmarshal([]byte(res.ErrOut), &got); err != nil {
		t.Fatalf("%v: %s", err, res.ErrOut)
	}
	if res.Out != "" || got.Kind != "Error" || got.Code != "PRISM-42901" || got.ExitCode != 6 || !got.Retryable || got.RetryAfterMs != 1500 ||
		len(got.Fields) != 4 || got.Quota.Subject != "namespace:kv" || got.Metadata["limit"] != "100" || got.RequestID != "r-test" || !strings.HasSuffix(got.Cause, "the bucket is empty") {
		t.Errorf("got %+v", got)
	}
}

// That it names the refusal shows that it did not wait: of a gateway that is
// waited for, only the timeout can be told.
func TestARefusalIsShownAtOnce(t *testing.T) {
	got := clitest.Offline(t).Want(6, []string{"connection refused"}, "namespace", "list")
	if strings.Contains(got.ErrOut, "no answer") {
		t.Errorf("it was waited for:\n%s", got.ErrOut)
	}
}

func TestAGatewayThatIsSilentEndsWithTheTimeoutAndNamesTheFlag(t *testing.T) {
	r := clitest.New(t)
	silent := make(chan struct{})
	t.Cleanup(func() { close(silent) })
	r.Gateway.Fail = func(string, metadata.MD) error { <-silent; return nil }
	r.Want(6, []string{"no answer from the gateway at 127.0.0.1:8980 within 50ms", "--timeout"}, "namespace", "list", "--timeout", "50ms")
}

func TestDebugShowsTheCall(t *testing.T) {
	r := clitest.New(t)
	r.Want(0, []string{"debug: grpc 127.0.0.1:8980 prism.admin.v1.AdminService/ListNamespaces OK", "request=r-test trace=TRACE"}, "namespace", "list", "--debug")
	r.Want(3, []string{"KeyValueService/Get NOT_FOUND"}, "kv", "get", "nothing", "-vv")
	r.Want(0, []string{"KeyValueService/Watch"}, "kv", "watch", "--debug")
}

func TestSettingsOfTheFilesShapeTheOutput(t *testing.T) {
	r := clitest.New(t)
	r.Write(".config/prism/config.yaml", "apiVersion: prism/v1\nkind: User\noutput: name\ncolor: never\ntimeout: 5s\n")
	if out := r.OK("namespace", "list"); out != "kv\nscratch\n" {
		t.Errorf("the user's file: got %q", out)
	}
	r.Write(".prism.yaml", "apiVersion: prism/v1\nkind: Project\ndefaults:\n  output: jsonl\n")
	if out := r.OK("backend", "list", "--limit", "1"); !strings.HasPrefix(out, `{"apiVersion"`) {
		t.Errorf("the project's file: got %q", out)
	}
	r.Env["PRISM_OUTPUT"] = "csv"
	if out := r.OK("namespace", "list"); !strings.HasPrefix(out, "name,model") {
		t.Errorf("the environment: got %q", out)
	}
	if out := r.OK("namespace", "list", "-o", "name"); out != "kv\nscratch\n" {
		t.Errorf("the flag: got %q", out)
	}
}

func TestColourFollowsTheFlag(t *testing.T) {
	r := clitest.New(t)
	if out := r.OK("namespace", "list", "--color", "always"); !strings.Contains(out, "\x1b[32m") {
		t.Errorf("always: %q", out)
	}
	r.TTY = true
	if out := r.OK("namespace", "list", "--color", "never"); strings.Contains(out, "\x1b") {
		t.Errorf("never: %q", out)
	}
}

// These run whole commands: what they share is tested where it is.

func TestARefusalNamesTheContextAndWhatToTypeThere(t *testing.T) {
	r := clitest.Offline(t)
	r.Write(".config/prism/config.yaml", "apiVersion: prism/v1\nkind: User\ncurrent: far\ncontexts:\n  - name: far\n    admin: \"nowhere.invalid:1\"\n    insecure: true\n")
	delete(r.Env, "PRISM_ADMIN")
	r.Want(6, []string{"cannot reach the gateway at nowhere.invalid:1 (context far)", "prismctl context show"}, "namespace", "list")
	r.Want(6, []string{"prismctl dev up"}, "namespace", "list", "--admin", "127.0.0.1:1")
	r.Want(2, []string{`--admin: the address "a b" has no port`}, "namespace", "list", "--admin", "a b")
}

func TestAConfirmationIsNoUnlessItIsYes(t *testing.T) {
	r := clitest.New(t)
	r.Want(2, []string{"pass --yes"}, "session", "terminate", "s-7f3a")
	r.TTY = true
	for answer, code := range map[string]int{"y\n": 0, "YES\n": 0, "n\n": 1, "": 1} {
		r.Stdin = answer
		r.Want(code, []string{"[y/N]"}, "session", "terminate", "s-7f3a")
	}
	r.Write(".config/prism/config.yaml", "apiVersion: prism/v1\nkind: User\ncurrent: prod\ncontexts:\n  - name: prod\n    protected: true\n")
	for answer, code := range map[string]int{"y\n": 1, "s-7f3a\n": 0} {
		r.Stdin = answer
		r.Want(code, []string{"Type s-7f3a:"}, "session", "terminate", "s-7f3a")
	}
}

func TestPagesAreAskedForUntilTheLimit(t *testing.T) {
	r := clitest.New(t)
	r.Gateway.Change(func(s *clitest.State) {
		for range 1200 {
			*s.Sessions = append(*s.Sessions, &adminv1.Session{SessionId: "s"})
		}
	})
	for limit, want := range map[string]int{"0": 1202, "7": 7, "500": 500, "501": 501, "5000": 1202} {
		if n := strings.Count(r.OK("session", "list", "-q", "--limit", limit), "\n"); n != want {
			t.Errorf("--limit %s: %d", limit, n)
		}
	}
}

func TestADryRunShowsTheDifference(t *testing.T) {
	out := clitest.New(t).OK("namespace", "update", "kv", "--max-ttl", "1d", "--description", "", "--dry-run")
	if out != "- description: Keys and values\n+ max_ttl_ms: 86400000\nwould update namespace kv (dry run)\n" {
		t.Errorf("got %q", out)
	}
}

func TestHelpShowsPlaceholdersAndDefaults(t *testing.T) {
	out := clitest.Offline(t).OK("audit", "list", "--help")
	for _, want := range []string{"--actor PRINCIPAL", "(default all)", "--limit N", "(default 100)", "--no-headers", "(default off)"} {
		if !strings.Contains(out, want) {
			t.Errorf("%q is missing in\n%s", want, out)
		}
	}
}

func TestACredentialInAFileIsSent(t *testing.T) {
	r := clitest.New(t)
	path := r.Write("token", "canary\n")
	got := r.Want(0, nil, "namespace", "list", "--token-file", path, "--debug")
	if tokens := r.Gateway.Tokens(); len(tokens) != 1 || tokens[0] != "Bearer canary" {
		t.Errorf("the gateway got %q", tokens)
	}
	if strings.Contains(got.ErrOut, "canary") {
		t.Errorf("it is shown:\n%s", got.ErrOut)
	}
}

func TestTheDevGatewayIsUsedInItsFolder(t *testing.T) {
	r := clitest.New(t)
	addr := r.Gateway.Addr
	delete(r.Env, "PRISM_ADMIN")
	r.Prepare = func(f *cli.Factory) {
		f.Place.Dev = func(config.Place, config.Dirs) (*config.Context, error) {
			return &config.Context{Name: "dev-shop", Data: addr, Admin: addr}, nil
		}
	}
	r.OK("namespace", "list")
	r.Prepare = func(f *cli.Factory) {
		f.Place.Dev = func(config.Place, config.Dirs) (*config.Context, error) {
			return nil, prism.New(prism.ReasonInternal, "the state cannot be read")
		}
	}
	r.Want(1, []string{"the state cannot be read"}, "namespace", "list")
}

func TestAFlagThatCannotBeIsAUsageError(t *testing.T) {
	r := clitest.Offline(t)
	for _, args := range [][]string{{"-n", "Not A Name"}, {"--color", "pink"}, {"--timeout", "-1s"}, {"--timeout", "x"}, {"-v=x"}, {"--limit", "x"}, {"--no-headers=x"}, {"--nosuch"}} {
		r.Want(2, []string{"error: "}, append([]string{"namespace", "list"}, args...)...)
	}
}

func TestAnErrorOfTheGatewayLeadsToItsTrace(t *testing.T) {
	t.Parallel()
	r := clitest.New(t)
	got := r.Want(3, []string{"  trace: TRACE request r-test"}, "kv", "get", "absent")
	if strings.Contains(got.ErrOut, "open: ") {
		t.Errorf("a link to nowhere:\n%s", got.ErrOut)
	}
	r.Env["PRISM_TRACE_URL"] = "http://localhost:8080/trace/{trace}"
	r.Want(3, []string{" open: http://localhost:8080/trace/TRACE\n"}, "kv", "get", "absent")
	r.TTY = true
	r.Want(3, []string{" open: \x1b]8;;http://localhost:8080/trace/TRACE\x1b\\http://localhost:8080/trace/TRACE\x1b]8;;\x1b\\\n"}, "kv", "get", "absent")
	r.Env["NO_COLOR"] = "1"
	if got := r.Run("kv", "get", "absent"); strings.Contains(got.ErrOut, "\x1b") {
		t.Errorf("a link where none may be: %q", got.ErrOut)
	}
}

func TestEveryListTakesAllOfIt(t *testing.T) {
	t.Parallel()
	r := clitest.New(t)
	for i := range 150 {
		r.Gateway.Put("kv", fmt.Sprintf("key-%03d", i), "v")
	}
	if got := r.Run("kv", "scan", "-o", "name"); strings.Count(got.Out, "\n") != 100 || got.ErrOut != "the first 100; --all, or --limit N, shows more\n" {
		t.Errorf("%d keys, %q", strings.Count(got.Out, "\n"), got.ErrOut)
	}
	for _, args := range [][]string{{"--all"}, {"--limit", "0"}, {"--all", "--limit", "3"}} {
		if got := r.Run(append([]string{"kv", "scan", "-o", "name"}, args...)...); strings.Count(got.Out, "\n") != 150 || got.ErrOut != "" {
			t.Errorf("%v: %d keys, %q", args, strings.Count(got.Out, "\n"), got.ErrOut)
		}
	}
	if got := r.Run("namespace", "list", "--all", "--limit", "1", "-q"); got.Out != "kv\nscratch\n" {
		t.Errorf("got %q", got.Out)
	}
}
