package root_test

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/spf13/cobra"
	"google.golang.org/grpc/metadata"

	"github.com/prism-data-layer/prism/pkg/cli"
	"github.com/prism-data-layer/prism/pkg/cli/clitest"
	"github.com/prism-data-layer/prism/pkg/cli/root"
	"github.com/prism-data-layer/prism/pkg/prism"
)

func TestWhatIsPrinted(t *testing.T) {
	r := clitest.Offline(t)
	for name, args := range map[string][]string{
		"help":              {},
		"help-namespace":    {"help", "namespace", "list"},
		"help-environment":  {"help", "environment"},
		"help-exit-codes":   {"help", "exit-codes"},
		"help-flags":        {"help", "flags"},
		"help-formatting":   {"help", "formatting"},
		"help-config":       {"help", "config"},
		"help-errors":       {"help", "errors"},
		"help-unknown":      {"help", "quasars"},
		"help-near":         {"help", "namespac"},
		"help-verb":         {"help", "namespace", "lst"},
		"unknown":           {"namespac", "list"},
		"unknown-far":       {"quasars"},
		"unknown-verb":      {"namespace", "lst"},
		"unknown-with-flag": {"namespac", "--limit", "1"},
		"unknown-flag":      {"namespace", "list", "--limt", "1"},
		"unknown-flag-far":  {"namespace", "list", "--quasars"},
		"unknown-short":     {"namespace", "list", "-Z"},
		"no-abbreviation":   {"namesp"},
		"flag-value":        {"namespace", "list", "--limit", "many"},
		"flag-no-value":     {"namespace", "list", "--limit"},
		"too-many":          {"namespace", "describe", "a", "b"},
		"too-few":           {"namespace", "describe"},
		"none":              {"namespace", "list", "a"},
		"format":            {"namespace", "list", "-o", "xml"},
		"format-json":       {"namespace", "list", "-o", "json", "--limit", "-1"},
		"format-expr":       {"namespace", "list", "-o", "json=x"},
		"format-no-expr":    {"namespace", "list", "-o", "jsonpath"},
		"json-bare":         {"backend", "list", "--json"},
		"json-unknown":      {"backend", "list", "--json", "nam"},
		"json-and-table":    {"backend", "list", "--json", "name", "-o", "yaml"},
		"jq-bad":            {"backend", "list", "--jq", ".["},
		"sort-unknown":      {"backend", "list", "--sort-by", "nme"},
		"color":             {"backend", "list", "--color", "sometimes"},
		"timeout":           {"backend", "list", "--timeout", "soon"},
		"refused":           {"backend", "list"},
		"version":           {"--version"},
	} {
		t.Run(name, func(t *testing.T) { r.Golden(name, args...) })
	}
}

func TestShortHelpIsAtMost24Lines(t *testing.T) {
	if n := strings.Count(clitest.Offline(t).OK(), "\n"); n > 24 {
		t.Errorf("%d lines", n)
	}
}

func TestGlobalFlagsStandAnywhere(t *testing.T) {
	r := clitest.New(t)
	want := r.OK("namespace", "list", "-o", "json")
	for _, line := range []string{"-o json namespace list", "namespace -o json list", "namespace list --output=json", "--output json --no-pager namespace list", "ns ls -ojson"} {
		if got := r.OK(strings.Fields(line)...); got != want {
			t.Errorf("%s: got\n%s", line, got)
		}
	}
}

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
		len(got.Fields) != 4 || got.Quota.Subject != "namespace:kv" || got.Metadata["limit"] != "100" || got.RequestID != "r-test" || got.Cause != "the bucket is empty" {
		t.Errorf("got %+v", got)
	}
}

func TestUsageErrorsAreJSONToo(t *testing.T) {
	r := clitest.Offline(t)
	for _, args := range [][]string{{"namespac", "-o", "json"}, {"namespace", "list", "--quasars", "--output=json"}, {"-ojson", "namespace", "describe"}} {
		if got := r.Want(2, nil, args...); !json.Valid([]byte(got.ErrOut)) {
			t.Errorf("%q: not JSON: %s", args, got.ErrOut)
		}
	}
}

func TestARefusalIsShownWithinASecond(t *testing.T) {
	start := time.Now()
	clitest.Offline(t).Want(6, []string{"connection refused"}, "namespace", "list")
	if d := time.Since(start); d > time.Second {
		t.Errorf("it took %s", d)
	}
}

func TestAGatewayThatIsSilentEndsWithTheTimeoutAndNamesTheFlag(t *testing.T) {
	r := clitest.New(t)
	r.Gateway.Fail = func(string, metadata.MD) error { time.Sleep(300 * time.Millisecond); return nil }
	r.Want(6, []string{"no answer from the gateway at 127.0.0.1:8980 within 50ms", "--timeout"}, "namespace", "list", "--timeout", "50ms")
}

func TestDebugShowsTheCall(t *testing.T) {
	r := clitest.New(t)
	r.Want(0, []string{"debug: grpc 127.0.0.1:8980 prism.admin.v1.AdminService/ListNamespaces OK", "request=r-test trace=TRACE"}, "namespace", "list", "--debug")
	r.Want(3, []string{"KeyValueService/Get NOT_FOUND"}, "kv", "get", "nothing", "-vv")
	r.Want(0, []string{"KeyValueService/Watch"}, "kv", "watch", "--debug")
}

// noun is a command of a test's own.
func noun(run func(*cli.Factory, *cobra.Command) error) []root.Noun {
	return []root.Noun{{Group: "help", New: func(f *cli.Factory) *cobra.Command {
		c := &cobra.Command{Use: "try", Short: "Try", RunE: func(c *cobra.Command, _ []string) error { return run(f, c) }}
		cli.SkipFiles(c)
		return c
	}}}
}

func TestAPanicBecomesAReportAndExit70(t *testing.T) {
	r := clitest.Offline(t)
	f, _, out, errOut := r.Factory()
	code := root.Run(context.Background(), f, noun(func(*cli.Factory, *cobra.Command) error { panic("boom") }), []string{"try", "--namespace", "canary"})
	if code != 70 || out.String() != "" {
		t.Errorf("exit %d, output %q", code, out.String())
	}
	files, _ := filepath.Glob(filepath.Join(r.Dir, ".local", "state", "prism", "crash", "*.txt"))
	if len(files) != 1 {
		t.Fatalf("reports: %v", files)
	}
	if !strings.Contains(errOut.String(), files[0]) || strings.Contains(errOut.String(), "goroutine") || strings.Contains(errOut.String(), "boom") {
		t.Errorf("the errors are\n%s", errOut.String())
	}
	report, _ := os.ReadFile(files[0])
	if !strings.Contains(string(report), "panic: boom") || !strings.Contains(string(report), "goroutine") {
		t.Errorf("the report is\n%s", report)
	}
	if strings.Contains(string(report), "canary") {
		t.Errorf("the report holds an argument")
	}
}

func TestAPanicWithoutAFolderIsStillExit70(t *testing.T) {
	r := clitest.Offline(t)
	f, _, _, errOut := r.Factory()
	f.Place.Home, f.Place.Temp = os.DevNull, os.DevNull
	if code := root.Run(context.Background(), f, noun(func(*cli.Factory, *cobra.Command) error { panic("boom") }), []string{"try"}); code != 70 {
		t.Errorf("exit %d: %s", code, errOut.String())
	}
}

func TestAReaderThatHasSeenEnoughIsNoError(t *testing.T) {
	r := clitest.New(t)
	for i := range 5000 {
		r.Gateway.Put("kv", strings.Repeat("k", 20)+time.Duration(i).String(), "v")
	}
	for _, args := range [][]string{{"kv", "scan", "--all"}, {"kv", "scan", "--all", "-o", "json"}, {"kv", "export"}, {"kv", "watch"}, {"namespace", "list"}, {"namespace", "describe", "kv"}} {
		f, _, _, errOut := r.Factory()
		pipe, w := io.Pipe()
		pipe.Close()
		f.IO.Redirect(w)
		if code := root.Main(context.Background(), f, args); code != 0 || errOut.String() != "" {
			t.Errorf("%v: exit %d, %s", args, code, errOut.String())
		}
	}
}

type full507 struct{}

func (full507) Write([]byte) (int, error) { return 0, errors.New("no space left on device") }

func TestOutputThatCannotBeWrittenIsAFailure(t *testing.T) {
	r := clitest.New(t)
	f, _, _, errOut := r.Factory()
	f.IO.Redirect(full507{})
	if code := root.Main(context.Background(), f, []string{"namespace", "list"}); code != 1 || !strings.Contains(errOut.String(), "no space left on device") {
		t.Errorf("exit %d: %s", code, errOut.String())
	}
}

func TestASignalEndsWithItsCode(t *testing.T) {
	for why, code := range map[cli.Interrupt]int{{}: 130, {Terminated: true}: 143} {
		r := clitest.New(t)
		ctx, cancel := context.WithCancelCause(context.Background())
		r.Context = ctx
		r.Gateway.Fail = func(string, metadata.MD) error { cancel(why); time.Sleep(50 * time.Millisecond); return nil }
		start := time.Now()
		got := r.Want(code, nil, "namespace", "list")
		if got.ErrOut != why.Error()+"\n" {
			t.Errorf("errors: %q", got.ErrOut)
		}
		if d := time.Since(start); d > 500*time.Millisecond {
			t.Errorf("it took %s", d)
		}
	}
}

func TestCtrlCAtAPromptIsObeyed(t *testing.T) {
	r := clitest.New(t)
	r.TTY = true
	ctx, cancel := context.WithCancelCause(context.Background())
	r.Context = ctx
	r.Prepare = func(f *cli.Factory) { f.IO.In = blocked{} }
	time.AfterFunc(30*time.Millisecond, func() { cancel(cli.Interrupt{}) })
	r.Want(130, []string{"cancelled"}, "namespace", "delete", "kv")
}

type blocked struct{}

func (blocked) Read([]byte) (int, error) { select {} }

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
