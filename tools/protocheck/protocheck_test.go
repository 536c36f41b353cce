// Package protocheck holds the script behind `make lint` that compares the
// protos with those of an earlier commit.
package protocheck

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// repo is a git repository whose buf says what it is asked and compares x.proto.
type repo struct {
	t   *testing.T
	dir string
}

func newRepo(t *testing.T) repo {
	t.Helper()
	r := repo{t, t.TempDir()}
	r.write("buf", "#!/bin/sh\necho \"asked: $*\" in $(basename \"$PWD\")\ncmp -s x.proto \"$3/x.proto\" || exit 100\n")
	if err := os.Chmod(filepath.Join(r.dir, "buf"), 0o755); err != nil {
		t.Fatal(err)
	}
	r.git("init", "-q")
	return r
}

func (r repo) write(name, text string) {
	r.t.Helper()
	file := filepath.Join(r.dir, name)
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		r.t.Fatal(err)
	}
	if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
		r.t.Fatal(err)
	}
}

func (r repo) git(args ...string) {
	r.t.Helper()
	c := exec.Command("git", append([]string{"-c", "user.name=t", "-c", "user.email=t@example.com"}, args...)...)
	c.Dir = r.dir
	// The repository that the tests run in must not be the one that is changed.
	c.Env = append(os.Environ(), "GIT_DIR="+filepath.Join(r.dir, ".git"), "GIT_CONFIG_GLOBAL=/dev/null")
	if out, err := c.CombinedOutput(); err != nil {
		r.t.Fatalf("git %v: %v\n%s", args, err, out)
	}
}

func (r repo) commit(proto string) {
	r.t.Helper()
	r.write("proto/buf.yaml", "version: v2\n")
	r.write("proto/x.proto", proto)
	r.git("add", "proto")
	r.git("commit", "-q", "-m", "x")
}

func (r repo) check(base string) (out string, code int) {
	r.t.Helper()
	script, err := filepath.Abs("breaking.sh")
	if err != nil {
		r.t.Fatal(err)
	}
	c := exec.Command("sh", script)
	c.Dir = r.dir
	c.Env = append(os.Environ(), "BUF="+filepath.Join(r.dir, "buf"), "BASE="+base, "GIT_DIR="+filepath.Join(r.dir, ".git"))
	b, _ := c.CombinedOutput()
	return string(b), c.ProcessState.ExitCode()
}

func TestTheTreeIsComparedWithTheCommitBefore(t *testing.T) {
	t.Parallel()
	r := newRepo(t)
	r.commit("one")
	if out, code := r.check(""); code != 0 || !strings.Contains(out, "asked: breaking --against") || !strings.Contains(out, "in proto") {
		t.Errorf("only one commit: exit %d\n%s", code, out)
	}
	r.write("proto/x.proto", "uncommitted")
	if out, code := r.check(""); code != 100 {
		t.Errorf("an uncommitted change: exit %d\n%s", code, out)
	}
	r.commit("two")
	if out, code := r.check(""); code != 100 {
		t.Errorf("a change in the last commit: exit %d\n%s", code, out)
	}
	if out, code := r.check("HEAD"); code != 0 {
		t.Errorf("BASE=HEAD: exit %d\n%s", code, out)
	}
	r.commit("one")
	if out, code := r.check("HEAD~2"); code != 0 {
		t.Errorf("BASE=HEAD~2: exit %d\n%s", code, out)
	}
}

func TestACommitWithoutProtosIsNothingToCompareWith(t *testing.T) {
	t.Parallel()
	r := newRepo(t)
	r.write("readme", "x")
	r.git("add", "readme")
	r.git("commit", "-q", "-m", "x")
	r.commit("one")
	if out, code := r.check(""); code != 0 || !strings.Contains(out, "nothing to compare with") {
		t.Errorf("exit %d\n%s", code, out)
	}
}

func TestABaseThatIsNotThereIsAnError(t *testing.T) {
	t.Parallel()
	r := newRepo(t)
	r.commit("one")
	if out, code := r.check("v99"); code == 0 || code == 100 {
		t.Errorf("exit %d\n%s", code, out)
	}
}
