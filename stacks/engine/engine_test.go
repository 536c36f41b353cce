package engine_test

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prism-data-layer/prism/pkg/prism"
	"github.com/prism-data-layer/prism/stacks/engine"
)

// What is asked of an engine is tested in test/real/engine.

func TestProgramIsLookedForWhereItIsSaidThenWhereItIsKept(t *testing.T) {
	native, path := t.TempDir(), t.TempDir()
	t.Setenv("PATH", path)
	named := map[string]string{}
	lookup := func(k string) (string, bool) { v, ok := named[k]; return v, ok }
	find := func(want string) {
		t.Helper()
		e, err := engine.Find(lookup, native)
		if err != nil || e.Program() != want {
			t.Errorf("got %v, %v, want %s", e, err, want)
		}
	}
	_, err := engine.Find(lookup, native)
	wantKind(t, err, "compose_missing", native, "tools/compose.sh")

	onPath := program(t, path, "")
	find(onPath)
	kept := program(t, native, "")
	find(kept)
	other := program(t, t.TempDir(), "")
	named[engine.Variable] = other
	find(other)
	if err := os.Chmod(other, 0o600); err != nil {
		t.Fatal(err)
	}
	_, err = engine.Find(lookup, native)
	wantKind(t, err, "compose_missing", engine.Variable, other)
}

func program(t *testing.T, dir, script string) string {
	t.Helper()
	path := filepath.Join(dir, engine.Name)
	if err := os.WriteFile(path, []byte("#!/bin/sh\n"+script+"\n"), 0o700); err != nil {
		t.Fatal(err)
	}
	return path
}

func wantKind(t *testing.T, err error, kind string, words ...string) {
	t.Helper()
	var e *prism.Error
	if !errors.As(err, &e) || e.Meta["kind"] != kind {
		t.Errorf("got %v, want the kind %s", err, kind)
		return
	}
	for _, w := range words {
		if !strings.Contains(e.Message+"\n"+e.Meta["fix"], w) {
			t.Errorf("%q with the fix %q lacks %q", e.Message, e.Meta["fix"], w)
		}
	}
}

func TestAProgramThatBreaksIsSaid(t *testing.T) {
	t.Parallel()
	if runtime.GOOS == "windows" {
		t.Skip("not run: the programs are scripts")
	}
	for name, c := range map[string]struct {
		script, kind string
		words        []string
	}{
		"it fails without a word": {"exit 3", "compose_failed", []string{"exit status 3"}},
		"it fails with words":     {"echo what >&2; exit 1", "compose_failed", []string{"what"}},
		"it says no JSON":         {"echo hello", "compose_failed", []string{"invalid character"}},
		"it says what is not known": {
			`echo '{"error":{"kind":"new_kind","message":"new","fix":"do it"}}'; exit 1`,
			"new_kind",
			[]string{"new", "do it"},
		},
		"it writes for ever": {"yes aaaaaaaaaaaaaaa | tr -d '\\n'", "compose_failed", []string{"too long"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			path := program(t, t.TempDir(), c.script)
			e, err := engine.Find(func(string) (string, bool) { return path, true }, "")
			if err != nil {
				t.Fatal(err)
			}
			_, err = e.Info(t.Context())
			wantKind(t, err, c.kind, c.words...)
		})
	}
}

func TestAQuestionEndsWithItsContext(t *testing.T) {
	t.Parallel()
	if runtime.GOOS == "windows" {
		t.Skip("not run: the program is a script")
	}
	path := program(t, t.TempDir(), "exec sleep 60")
	e, err := engine.Find(func(string) (string, bool) { return path, true }, "")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	began := time.Now()
	if _, err := e.List(ctx, ""); !errors.Is(err, context.DeadlineExceeded) {
		t.Error(err)
	}
	if took := time.Since(began); took > 10*time.Second {
		t.Errorf("it took %v", took)
	}
}

func TestARequestIsWholeAndItsOwnersAlone(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "request.json")
	p := engine.Project{ID: "p1", Root: "/r", Stack: "redis", Dir: "/r/redis", Env: map[string]string{"A": "b"}}
	for range 2 { // and over one that is there
		if err := engine.WriteRequest(file, p, time.Second); err != nil {
			t.Fatal(err)
		}
	}
	info, err := os.Stat(file)
	if err != nil || info.Mode().Perm() != 0o600 && runtime.GOOS != "windows" {
		t.Errorf("%v, %v", info.Mode(), err)
	}
	text, err := os.ReadFile(file)
	var got map[string]any
	if err != nil || json.Unmarshal(text, &got) != nil || got["project"] != "p1" || got["stop"] != 1e9 {
		t.Errorf("%s, %v", text, err)
	}
	if names, _ := os.ReadDir(filepath.Dir(file)); len(names) != 1 {
		t.Errorf("there is %v", names)
	}
	if err := engine.WriteRequest(filepath.Join(file, "none", "x"), p, 0); err == nil {
		t.Error("it wrote into a folder that is none")
	}
	if got := engine.RunArgs("/f"); !slices.Equal(got, []string{"run", "--request", "/f"}) {
		t.Error(got)
	}
	if p.Name() != "prism-p1-redis" {
		t.Error(p.Name())
	}
}
