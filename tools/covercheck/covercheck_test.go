package main

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// repo is a repository in a temporary folder.
type repo struct {
	t   *testing.T
	dir string
}

const rulesForTests = "# first match wins\npkg/util 90\npkg/driver/** 85\npkg/** 80\ncmd/** 80\n"

func newRepo(t *testing.T) repo {
	t.Helper()
	r := repo{t, t.TempDir()}
	r.write("go.mod", "module example.com/m\n\ngo 1.26\n")
	r.write("thresholds.txt", rulesForTests)
	return r
}

func (r repo) path(name string) string { return filepath.Join(r.dir, filepath.FromSlash(name)) }

func (r repo) write(name, text string) {
	r.t.Helper()
	if err := os.MkdirAll(filepath.Dir(r.path(name)), 0o755); err != nil {
		r.t.Fatal(err)
	}
	if err := os.WriteFile(r.path(name), []byte(text), 0o644); err != nil {
		r.t.Fatal(err)
	}
}

// code writes a package of which covered out of total statements are covered,
// and gives its lines of the profile.
func (r repo) code(dir string, covered, total int) string {
	r.t.Helper()
	r.write(dir+"/x.go", "package x\n\nfunc F() int {\n\treturn 1\n}\n")
	return fmt.Sprintf("example.com/m/%s/x.go:3.1,4.1 %d 7\nexample.com/m/%s/x.go:4.1,5.1 %d 0\n", dir, covered, dir, total-covered)
}

// check runs the gate over a profile with the given lines.
func (r repo) check(lines string, flags ...string) (code int, out, errs string) {
	r.t.Helper()
	r.write("cover.out", "mode: atomic\n"+lines)
	return r.run(append(flags, r.path("cover.out"))...)
}

func (r repo) run(args ...string) (code int, out, errs string) {
	var o, e bytes.Buffer
	code = run(append([]string{"-root", r.dir, "-thresholds", "thresholds.txt"}, args...), &o, &e)
	return code, o.String(), e.String()
}

func TestTheGateOpensAtTheThresholdAndNotBelow(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		pkg            string
		covered, total int
		code           int
		says           string
	}{
		{"pkg/driver/foo", 850, 1000, exitOK, ""},
		{"pkg/driver/foo", 849, 1000, exitBelow, "pkg/driver/foo: coverage is 84.9 %, pkg/driver/** requires 85 %"},
		{"pkg/driver/foo", 84999, 100000, exitBelow, "84.9 %"},
		{"pkg/driver", 84, 100, exitBelow, "pkg/driver: "},
		{"pkg/util", 899, 1000, exitBelow, "pkg/util: coverage is 89.9 %, pkg/util requires 90 %"},
		{"pkg/util", 9, 10, exitOK, ""},
		{"pkg/util/deep", 8, 10, exitOK, ""},
		{"pkg/other", 79, 100, exitBelow, "requires 80 %"},
		{"internal/new", 100, 100, exitBelow, "internal/new: no rule in the thresholds names it"},
	} {
		r := newRepo(t)
		code, out, errs := r.check(r.code(c.pkg, c.covered, c.total))
		if code != c.code || !strings.Contains(errs, c.says) || (c.says == "" && errs != "") {
			t.Errorf("%s %d/%d: exit %d, want %d\n%s%s", c.pkg, c.covered, c.total, code, c.code, out, errs)
		}
		if strings.Contains(out, "FAIL") != (c.code != exitOK) || !strings.Contains(out, c.pkg) {
			t.Errorf("%s: the table is\n%s", c.pkg, out)
		}
	}
}

func TestAPackageWithoutTestsFails(t *testing.T) {
	t.Parallel()
	r := newRepo(t)
	good := r.code("pkg/a", 1, 1)
	r.code("pkg/b", 0, 0)
	code, _, errs := r.check(good)
	if code != exitBelow || !strings.Contains(errs, "pkg/b: no coverage at all") || strings.Contains(errs, "pkg/a") {
		t.Errorf("exit %d\n%s", code, errs)
	}
}

func TestWhatDoesNotCountIsLeftOut(t *testing.T) {
	t.Parallel()
	r := newRepo(t)
	lines := r.code("pkg/a", 1, 1)
	body := "\n\nfunc F() {\n\tprintln()\n}\n"
	for _, name := range []string{"zz_generated.go", "zz_generated_more.go", "a.pb.go", "a_grpc.pb.go", "a_vtproto.pb.go"} {
		r.write("pkg/a/"+name, "package x"+body)
		lines += "example.com/m/pkg/a/" + name + ":3.1,5.1 1000 0\n"
	}
	r.write("pkg/proto/a.pb.go", "package x"+body)                              // generated only
	r.write("pkg/words/a.go", "package x\n\ntype T int\n")                      // no statements
	r.write("pkg/tests/a_test.go", "package x"+body)                            // tests only
	r.write("pkg/never/a.go", "//go:build never\n\npackage x"+body)             // not built
	r.write("pkg/other/a_plan9.go", "package x"+body)                           // of another system
	r.write("pkg/a/testdata/b/b.go", "package x"+body)                          // not go's
	r.write(".cache/b/b.go", "package x"+body)                                  // hidden
	r.write("third/go.mod", "module example.com/third\n")                       // another module
	r.write("third/b.go", "package x"+body)                                     //
	r.write("cmd/p/main.go", "package main\n\nfunc main() {\n\tprintln()\n}\n") // only main
	lines += "example.com/m/cmd/p/main.go:3.13,5.2 1000 0\n"
	code, out, errs := r.check(lines)
	if code != exitOK || strings.Count(out, "\n") != 2 {
		t.Errorf("exit %d\n%s%s", code, out, errs)
	}
}

func TestCodeBesideFuncMainCounts(t *testing.T) {
	t.Parallel()
	r := newRepo(t)
	r.write("cmd/p/main.go", "package main\n\nfunc main() {\n\trun()\n}\n\nfunc run() {\n\tprintln()\n}\n")
	code, _, errs := r.check("example.com/m/cmd/p/main.go:3.13,5.2 1 1\nexample.com/m/cmd/p/main.go:7.12,9.2 1 0\n")
	if code != exitBelow || !strings.Contains(errs, "cmd/p: coverage is 0.0 %") {
		t.Errorf("exit %d\n%s", code, errs)
	}
}

func TestAStatementThatAnyProfileCoversIsCovered(t *testing.T) {
	t.Parallel()
	r := newRepo(t)
	r.code("pkg/a", 1, 1)
	half := func(name string, first, second int) string {
		r.write(name, fmt.Sprintf("mode: set\nexample.com/m/pkg/a/x.go:3.1,4.1 1 %d\nexample.com/m/pkg/a/x.go:4.1,5.1 1 %d\n", first, second))
		return r.path(name)
	}
	if code, out, errs := r.run(half("1.out", 1, 0), half("2.out", 0, 1)); code != exitOK || !strings.Contains(out, "100.0        80           2  pkg/a\n") {
		t.Errorf("exit %d\n%s%s", code, out, errs)
	}
}

func TestOtherModulesAreCheckedWhenNamed(t *testing.T) {
	t.Parallel()
	r := newRepo(t)
	r.write("thresholds.txt", rulesForTests+"tools/** 90\n")
	lines := r.code("pkg/a", 1, 1)
	r.write("tools/go.mod", "module example.com/m/tools\n")
	lines += r.code("tools/t", 8, 10)
	if code, _, errs := r.check(lines, "-modules", ".,tools"); code != exitBelow || !strings.Contains(errs, "tools/t: coverage is 80.0 %, tools/** requires 90 %") {
		t.Errorf("exit %d\n%s", code, errs)
	}
	if code, _, errs := r.check(lines); code != exitUsage || !strings.Contains(errs, "stale profile, or a module not named") {
		t.Errorf("not named: exit %d\n%s", code, errs)
	}
}

func TestTheRatchetOnlyGoesUp(t *testing.T) {
	t.Parallel()
	r := newRepo(t)
	ratchet := []string{"-ratchet", "best.txt", "-record"}
	if code, _, errs := r.check(r.code("pkg/a", 90, 100), ratchet...); code != exitOK {
		t.Fatalf("exit %d\n%s", code, errs)
	}
	if code, _, errs := r.check(r.code("pkg/a", 89, 100), ratchet...); code != exitBelow || !strings.Contains(errs, "pkg/a: coverage is 89.0 %, it was 90.0 % before") {
		t.Errorf("lower: exit %d\n%s", code, errs)
	}
	if code, _, errs := r.check(r.code("pkg/a", 95, 100), ratchet...); code != exitOK {
		t.Errorf("higher: exit %d\n%s", code, errs)
	}
	if best, err := os.ReadFile(r.path("best.txt")); err != nil || !strings.Contains(string(best), "pkg/a 95.0\n") {
		t.Errorf("recorded %q, %v", best, err)
	}
}

func TestMarkdown(t *testing.T) {
	t.Parallel()
	r := newRepo(t)
	want := "| package | coverage | required |\n|---|---|---|\n| `pkg/a` | 95.0 % | 80 % |\n"
	if code, out, _ := r.check(r.code("pkg/a", 95, 100), "-md"); code != exitOK || out != want {
		t.Errorf("exit %d\n%s", code, out)
	}
}

func TestWhatCannotBeAnsweredIsNoPass(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		change func(r repo)
		args   []string
		says   string
	}{
		"no profile named":       {nil, []string{}, "usage"},
		"an unknown flag":        {nil, []string{"-x", "cover.out"}, "usage"},
		"record without ratchet": {nil, []string{"-record", "cover.out"}, "usage"},
		"no such profile":        {nil, []string{"none.out"}, "none.out"},
		"no thresholds":          {func(r repo) { _ = os.Remove(r.path("thresholds.txt")) }, nil, "thresholds.txt"},
		"no rule":                {func(r repo) { r.write("thresholds.txt", "# none\n") }, nil, "holds no rule"},
		"a bad rule":             {func(r repo) { r.write("thresholds.txt", "\npkg/** 80 90\n") }, nil, "thresholds.txt:2: want GLOB MINIMUM"},
		"a bad minimum":          {func(r repo) { r.write("thresholds.txt", "pkg/** 101\n") }, nil, "no percentage"},
		"no module":              {nil, []string{"-modules", "none", "cover.out"}, "go.mod"},
		"a module without name":  {func(r repo) { r.write("go.mod", "go 1.26\n") }, nil, "names no module"},
		"source that is no Go":   {func(r repo) { r.write("pkg/a/y.go", "package x\nfunc {") }, nil, "y.go"},
		"a bad header":           {func(r repo) { r.write("pkg/a/z.go", "pack") }, nil, "z.go"},
		"no profile's head":      {func(r repo) { r.write("cover.out", "hello\n") }, nil, "cover.out:1: not a coverprofile"},
		"no colon":               {func(r repo) { r.write("cover.out", "mode: set\nhello\n") }, nil, "cover.out:2: no block"},
		"no numbers":             {func(r repo) { r.write("cover.out", "mode: set\na.go:1.1,2.2 x 1\n") }, nil, "no block"},
		"no place":               {func(r repo) { r.write("cover.out", "mode: set\na.go:x 1 1\n") }, nil, "no place"},
		"a file that went away":  {func(r repo) { r.write("cover.out", "mode: set\nexample.com/m/pkg/a/gone.go:1.1,2.2 1 1\n") }, nil, "stale profile"},
		"a bad ratchet":          {func(r repo) { r.write("best.txt", "pkg/a\n") }, []string{"-ratchet", "best.txt", "cover.out"}, "best.txt:1: want PACKAGE PERCENT"},
		"a bad percentage":       {func(r repo) { r.write("best.txt", "pkg/a x\n") }, []string{"-ratchet", "best.txt", "cover.out"}, "best.txt:1"},
		"a ratchet not writable": {nil, []string{"-ratchet", "none/best.txt", "-record", "cover.out"}, "best.txt"},
	} {
		r := newRepo(t)
		r.write("cover.out", "mode: set\n"+r.code("pkg/a", 1, 1))
		if c.change != nil {
			c.change(r)
		}
		if c.args == nil {
			c.args = []string{"cover.out"}
		}
		args := make([]string, len(c.args))
		for i, a := range c.args {
			if args[i] = a; strings.HasSuffix(a, ".out") {
				args[i] = r.path(a)
			}
		}
		if code, out, errs := r.run(args...); code != exitUsage || !strings.Contains(errs, c.says) {
			t.Errorf("%s: exit %d, want %d and %q\n%s%s", name, code, exitUsage, c.says, out, errs)
		}
	}
}

func TestTheRulesOfThisRepositoryCanBeRead(t *testing.T) {
	t.Parallel()
	rules, err := readRules("thresholds.txt")
	if err != nil {
		t.Fatal(err)
	}
	for pkg, want := range map[string]float64{
		"pkg/prism": 90, "pkg/telemetry": 90, "loadtest/pace": 90, "tools/covercheck": 90,
		"pkg/driver": 85, "pkg/driver/around": 85, "pkg/data/keyvalue": 85, "pkg/pattern/cache": 85, "pkg/gateway": 85,
		"pkg/admin": 80, "cmd/prismd": 80, "tui/page/home": 80, "loadtest": 80, "test/remote": 80,
	} {
		if r, ok := find(rules, pkg); !ok || r.min != want {
			t.Errorf("%s: %g by %q, want %g", pkg, r.min, r.glob, want)
		}
	}
	for _, pkg := range []string{"new", "pkgs/x", "."} {
		if r, ok := find(rules, pkg); ok {
			t.Errorf("%s is matched by %q", pkg, r.glob)
		}
	}
}
