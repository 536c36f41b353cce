package e2e_test

import (
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// copySource puts what prismd is built from into dir.
func copySource(t *testing.T, dir string) {
	t.Helper()
	root := filepath.Join("..", "..")
	for _, part := range []string{"go.mod", "go.sum", "cmd/prismd", "pkg", "proto", "loadtest"} {
		err := filepath.WalkDir(filepath.Join(root, part), func(path string, d fs.DirEntry, err error) error {
			name, _ := filepath.Rel(root, path)
			switch {
			case err != nil:
				return err
			case d.Name() == "testdata":
				return fs.SkipDir
			case d.IsDir():
				return os.MkdirAll(filepath.Join(dir, name), 0o755)
			case strings.HasSuffix(name, "_test.go"):
				return nil
			}
			b, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			to := filepath.Join(dir, name)
			if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
				return err
			}
			return os.WriteFile(to, b, 0o644)
		})
		if err != nil {
			t.Fatal(err)
		}
	}
}

// goEnv is where go finds what it has built and fetched before.
func goEnv(t *testing.T) []string {
	t.Helper()
	out, err := exec.Command("go", "env", "GOCACHE", "GOMODCACHE", "GOPROXY", "GOSUMDB", "GOROOT").Output()
	if err != nil {
		t.Fatal(err)
	}
	v := strings.Split(string(out), "\n")
	return []string{"GOCACHE=" + v[0], "GOMODCACHE=" + v[1], "GOPROXY=" + v[2], "GOSUMDB=" + v[3], "PATH=" + filepath.Join(v[4], "bin") + ":/usr/bin:/bin", "CGO_ENABLED=0"}
}

func TestAChangeOfTheSourceIsBuiltAndSwappedUnlessItIsBroken(t *testing.T) {
	t.Parallel()
	p := newProject(t)
	copySource(t, p.dir)
	p.more = goEnv(t)
	r := p.runFor(5*time.Minute, p.dir, "dev", "up", "--detach", "--auto-ports", "--watch", "--timeout", "4m")
	if r.code != 0 {
		t.Fatalf("exit %d\n%s%s", r.code, r.out, r.errOut)
	}
	p.ok("kv", "set", "greeting", "hello")
	was := p.gateway()

	const name = "cmd/prismd/broken.go"
	p.write(name, "package main\n\nvar x = undefinedName\n")
	if !within(2*time.Minute, func() bool { _, said := p.pid(); return strings.Contains(said, "undefinedName") }) {
		_, said := p.pid()
		t.Errorf("the compiler's error is not told:\n%s", said)
	}
	if now := p.gateway(); now != was {
		t.Errorf("a build that failed ended prismd: pid %d, now %d", was, now)
	}
	if got := p.ok("kv", "get", "greeting"); got != "hello\n" {
		t.Errorf("while the build is broken: %q", got)
	}

	p.write(name, "package main\n\nvar _ = 1\n")
	if !within(3*time.Minute, func() bool { now, _ := p.pid(); return now != was && now != 0 }) {
		t.Error("the build was mended and prismd is still the old one")
	}
	if got := p.ok("kv", "get", "greeting"); got != "hello\n" {
		t.Errorf("after the swap: %q", got)
	}
}
