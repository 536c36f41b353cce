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
		"unknown-below":     {"up"},
		"unknown-meant":     {"status"},
		"unknown-many":      {"describe"},
		"unknown-workload":  {"loadtest", "kv"},
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

func TestUsageErrorsAreJSONToo(t *testing.T) {
	r := clitest.Offline(t)
	for _, args := range [][]string{{"namespac", "-o", "json"}, {"namespace", "list", "--quasars", "--output=json"}, {"-ojson", "namespace", "describe"}} {
		if got := r.Want(2, nil, args...); !json.Valid([]byte(got.ErrOut)) {
			t.Errorf("%q: not JSON: %s", args, got.ErrOut)
		}
	}
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
		silent := make(chan struct{}) // the call is not waited for
		t.Cleanup(func() { close(silent) })
		r.Gateway.Fail = func(string, metadata.MD) error { cancel(why); <-silent; return nil }
		got := r.Want(code, nil, "namespace", "list")
		if got.ErrOut != why.Error()+"\n" {
			t.Errorf("errors: %q", got.ErrOut)
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
