// Package e2e_test runs the whole programs as a person does.
package e2e_test

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"
)

// insideTour is set in the process that has the ports and processes of the tour
// to itself.
const insideTour = "PRISM_TEST_TOUR"

// The tour of the README is typed as it stands, in a network and a process
// namespace of its own: its ports are the well-known ones, and a gateway that
// the developer has running must not hear of it.
func TestReadmeTourRunsAsTyped(t *testing.T) {
	if bin := os.Getenv(insideTour); bin != "" {
		takeTour(t, bin)
		return
	}
	need(t, noNamespaces())
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	defer cancel()
	c := exec.CommandContext(ctx, "unshare", "-n", "-p", "-f", "--mount-proc", "--kill-child", self, "-test.run", "^TestReadmeTourRunsAsTyped$", "-test.v")
	c.Env = append(os.Environ(), insideTour+"="+programs(t))
	out, err := c.CombinedOutput()
	if err != nil {
		t.Fatalf("the tour: %v\n%s", err, out)
	}
	t.Logf("%s", out)
}

// A command is a line of the tour and what must come out of it.
type command struct {
	line string
	want []string
}

// tour reads the sh blocks of the README's tour.
func tour(t *testing.T) []command {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("..", "..", "README.md"))
	if err != nil {
		t.Fatal(err)
	}
	_, text, ok := strings.Cut(string(b), "\n## A tour")
	if !ok {
		t.Fatal("README.md has no tour")
	}
	text, _, _ = strings.Cut(text, "\n## ")
	var commands []command
	block := false
	for line := range strings.Lines(text) {
		line = strings.TrimRight(line, "\n")
		want, isWant := strings.CutPrefix(line, "#=> ")
		switch {
		case line == "```sh":
			block = true
		case line == "```":
			block = false
		case !block:
		case isWant && len(commands) > 0:
			last := &commands[len(commands)-1]
			last.want = append(last.want, want)
		default:
			commands = append(commands, command{line: line})
		}
	}
	if len(commands) < 15 {
		t.Fatalf("the tour has only %d commands", len(commands))
	}
	return commands
}

func takeTour(t *testing.T, bin string) {
	if out, err := exec.Command("ip", "link", "set", "lo", "up").CombinedOutput(); err != nil {
		t.Fatalf("no loopback: %v\n%s", err, out)
	}
	home, err := os.MkdirTemp("", "tour") // short: the control socket's path is limited
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(home)
	folder := filepath.Join(home, "project")
	if err := os.Mkdir(folder, 0o755); err != nil {
		t.Fatal(err)
	}
	env := []string{"HOME=" + home, "PATH=" + bin + ":/usr/bin:/bin", "TERM=xterm", "LANG=C.UTF-8", "GOCOVERDIR=" + os.Getenv("PRISM_E2E_COVER")}
	for _, c := range tour(t) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		sh := exec.CommandContext(ctx, "sh", "-c", c.line)
		sh.Dir, sh.Env = folder, env
		// What `--detach` leaves running has no hold on these: they are files.
		out := file(t, home)
		sh.Stdout, sh.Stderr = out, out
		err := sh.Run()
		cancel()
		text, _ := os.ReadFile(out.Name())
		out.Close()
		t.Logf("$ %s\n%s", c.line, text)
		if err != nil {
			t.Fatalf("%s: %v\n%s", c.line, err, text)
		}
		for _, w := range c.want {
			if !strings.Contains(string(text), w) {
				t.Errorf("%s\nlacks %q, got\n%s", c.line, w, text)
			}
		}
	}
}

func file(t *testing.T, dir string) *os.File {
	t.Helper()
	f, err := os.CreateTemp(dir, "out")
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// noNamespaces says why the tour cannot have ports of its own here.
func noNamespaces() string {
	switch {
	case runtime.GOOS != "linux":
		return "the tour runs in a network namespace, which only Linux has"
	case os.Geteuid() != 0:
		return "the tour runs in a network namespace, which only root can make"
	}
	for _, tool := range []string{"unshare", "ip"} {
		if _, err := exec.LookPath(tool); err != nil {
			return "the tour needs " + tool
		}
	}
	return ""
}

// programs is the folder of prismd and prismctl, which TestMain has seen to.
func programs(t *testing.T) string {
	t.Helper()
	bin := os.Getenv("PRISM_TEST_BIN")
	if bin == "" {
		t.Fatal("TestMain has built no programs")
	}
	return bin
}
