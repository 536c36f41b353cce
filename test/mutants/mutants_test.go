package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

const root = "../.."

// Each mutation fits its file, and breaks a line that names its test.
func TestMutationsAreUpToDate(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile(filepath.Join(root, "docs", "interface.md"))
	if err != nil {
		t.Fatal(err)
	}
	_, commands, _ := strings.Cut(string(page), "\n## Commands\n")
	commands, _, _ = strings.Cut(commands, "\n## ")
	broken := map[int]bool{}
	for _, m := range mutations() {
		broken[m.Line] = true
		if text, err := m.applied(root); err != nil {
			t.Error(err)
		} else if m.Old == m.New || text == "" {
			t.Errorf("line %d: nothing is broken", m.Line)
		}
		named := false
		for row := range strings.Lines(commands) {
			named = named || strings.HasPrefix(row, "| "+strconv.Itoa(m.Line)+" | ") && strings.Contains(row, "`"+m.Package+"."+m.Test+"`")
		}
		if !named {
			t.Errorf("line %d does not name %s.%s", m.Line, m.Package, m.Test)
		}
	}
	if len(broken) < 30 {
		t.Errorf("%d lines can be broken, want 30", len(broken))
	}
}

func TestASeedDrawsTheSameLines(t *testing.T) {
	t.Parallel()
	a, b, c := draw(6, 20), draw(6, 20), draw(7, 20)
	if len(a) != 20 || len(b) != 20 {
		t.Fatalf("%d and %d drawn", len(a), len(b))
	}
	same := true
	for i := range a {
		if a[i] != b[i] {
			t.Errorf("%d: %d and %d", i, a[i].Line, b[i].Line)
		}
		if i > 0 && a[i].Line <= a[i-1].Line {
			t.Errorf("line %d comes behind %d", a[i].Line, a[i-1].Line)
		}
		same = same && a[i] == c[i]
	}
	if same {
		t.Error("another seed draws the same")
	}
}

// What is run is judged: in a module of the test's own, one line is seen broken,
// one is not, and one does not compile.
func TestMutantsAreJudged(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for name, text := range map[string]string{
		"go.mod":        "module tiny\n\ngo 1.24\n",
		"p/one.go":      "package p\n\nfunc One() int { return 1 }\n\nfunc Two() int { return 2 }\n",
		"p/one_test.go": "package p\n\nimport \"testing\"\n\nfunc TestOne(t *testing.T) {\n\tif One() != 1 {\n\t\tt.Error(\"no\")\n\t}\n}\n",
	} {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	for want, m := range map[string]mutation{
		red:      {1, "p/one.go", "return 1", "return 3", "p", "TestOne"},
		survived: {1, "p/one.go", "return 2", "return 3", "p", "TestOne"},
		broken:   {1, "p/one.go", "return 1", "return x", "p", "TestOne"},
	} {
		if got, err := m.try(t.Context(), dir, 5*60e9); got != want || err != nil {
			t.Errorf("%v: %s, %v, want %s", m, got, err, want)
		}
	}
	if _, err := (mutation{File: "p/one.go", Old: "absent"}).try(t.Context(), dir, 1e9); err == nil {
		t.Error("a text that is not there was replaced")
	}
}

func TestAPageIsWrittenBetweenItsMarks(t *testing.T) {
	t.Parallel()
	page := filepath.Join(t.TempDir(), "page.md")
	if err := os.WriteFile(page, []byte("a\n"+begin+"old\n"+end+"b\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := write(page, "new\n"); err != nil {
		t.Fatal(err)
	}
	if got, _ := os.ReadFile(page); string(got) != "a\n"+begin+"new\n"+end+"b\n" {
		t.Errorf("got %q", got)
	}
	if err := os.WriteFile(page, []byte("a\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	if write(page, "new\n") == nil || write(page+"x", "") == nil {
		t.Error("a page without marks was written")
	}
	var out, errs bytes.Buffer
	if code := run([]string{"-quasars"}, &out, &errs); code != 2 {
		t.Errorf("exit %d", code)
	}
	if got := cell("a|b\n\t`c`"); got != `a\|b 'c'` {
		t.Errorf("got %q", got)
	}
}
