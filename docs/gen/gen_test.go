package main

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/prism-data-layer/prism/pkg/driver"
	"github.com/prism-data-layer/prism/pkg/driver/all"
	"github.com/prism-data-layer/prism/pkg/prism"
)

func TestPagesOnDiskAreThoseOfTheCode(t *testing.T) {
	t.Parallel()
	made, err := pages()
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range made {
		got, err := os.ReadFile(filepath.Join("..", name))
		if err != nil || string(got) != want {
			t.Errorf("docs/%s is not up to date (%v): make generate", name, err)
		}
	}
}

func TestEveryDriverReasonAndCommandHasItsRow(t *testing.T) {
	t.Parallel()
	made, err := pages()
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range driver.Capabilities() {
		if !strings.Contains(made["capabilities.md"], "| `"+c.Name+"` |") {
			t.Errorf("capabilities.md lacks %s", c.Name)
		}
	}
	for _, s := range all.Drivers() {
		if !strings.Contains(made["capabilities.md"], "| `"+s.Name+"` | ") {
			t.Errorf("capabilities.md lacks the driver %s", s.Name)
		}
	}
	for _, i := range prism.Infos() {
		if !strings.Contains(made["errors.md"], "| "+i.Code()+" | `"+string(i.Reason)+"` |") {
			t.Errorf("errors.md lacks %s", i.Reason)
		}
	}
	for name, want := range map[string]string{
		"reference/README.md":         "[`prismctl kv`](kv.md)",
		"reference/kv.md":             "## prismctl kv set",
		"reference/prismd.md":         "data-dir",
		"reference/man/prismctl.1":    ".SH \"EXIT STATUS\"",
		"reference/man/prismctl-kv.1": ".SH \"KV SET\"",
	} {
		if !strings.Contains(made[name], want) {
			t.Errorf("%s lacks %q:\n%.400s", name, want, made[name])
		}
	}
}

func TestMatrixIsMadeOfOutcomes(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	outcomes := filepath.Join(dir, "outcomes")
	text := `{"backend":"memory","capability":"keyvalue_basic","promise":"x","state":"passed"}` + "\n"
	if err := os.WriteFile(outcomes, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	var errs strings.Builder
	if code := run([]string{"-matrix", outcomes, dir}, &errs); code != 0 {
		t.Fatalf("exit %d: %s", code, errs.String())
	}
	for _, name := range []string{"matrix.md", "matrix.json"} {
		if b, err := os.ReadFile(filepath.Join(dir, name)); err != nil || !strings.Contains(string(b), "memory") {
			t.Errorf("%s: %v\n%s", name, err, b)
		}
	}
}

func TestPageOfACommandThatIsGoneGoesToo(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	gone := filepath.Join(dir, referenceDir, "gone.md")
	if err := os.MkdirAll(filepath.Dir(gone), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(gone, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	var errs strings.Builder
	if code := run([]string{dir}, &errs); code != 0 {
		t.Fatalf("exit %d: %s", code, errs.String())
	}
	if _, err := os.Stat(gone); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("still there: %v", err)
	}
}

func TestWhatCannotBeMadeIsSaid(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	empty := filepath.Join(dir, "empty")
	bad := filepath.Join(dir, "bad")
	for file, text := range map[string]string{empty: "", bad: "{"} {
		if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	for _, c := range []struct {
		args []string
		code int
	}{
		{nil, 2},
		{[]string{"-nope"}, 2},
		{[]string{"-matrix", empty, dir}, 1},
		{[]string{"-matrix", bad, dir}, 1},
		{[]string{"-matrix", filepath.Join(dir, "absent"), dir}, 1},
		{[]string{empty}, 1}, // a file is no folder
	} {
		var errs strings.Builder
		if code := run(c.args, &errs); code != c.code || errs.Len() == 0 {
			t.Errorf("%v: exit %d, want %d, said %q", c.args, code, c.code, errs.String())
		}
	}
	broken := driver.Spec{Name: "broken", Open: func(context.Context, driver.Config) (driver.Set, error) {
		return driver.Set{}, errors.New("no disk")
	}}
	if _, err := capabilities(driver.Registry{broken}); err == nil || !strings.Contains(err.Error(), "open broken: no disk") {
		t.Errorf("a driver that does not open: %v", err)
	}
}

func TestTextIsNoCommandToTroff(t *testing.T) {
	t.Parallel()
	if got, want := roff(".x\n'y\na-b \\n"), "\\&.x\n\\&'y\na\\-b \\en"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}
