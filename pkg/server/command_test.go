//go:build unix

package server_test

import (
	"bytes"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/prism-data-layer/prism/pkg/driver/all"
	"github.com/prism-data-layer/prism/pkg/server"
	"github.com/prism-data-layer/prism/test/harness"
)

func run(args ...string) (code int, stdout, stderr string) {
	var out, err bytes.Buffer
	code = server.Main(args, &out, &err, server.Build{Version: "v1.2.3", Commit: "abc", Drivers: all.Drivers()})
	return code, out.String(), err.String()
}

func TestExitCodes(t *testing.T) {
	dir := t.TempDir()
	file := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	good := file("good.yaml", harness.Small)
	typo := file("typo.yaml", strings.Replace(harness.Small, "backend: volatile", "bakcend: volatile", 1))
	level := file("level.yaml", harness.Volatile+"log: {level: loud}\n")
	busy := harness.Start(t, harness.Options{})
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = taken.Close() }()
	for _, c := range []struct {
		what         string
		args         []string
		code         int
		stdout, says string
	}{
		{"the version", []string{"--version"}, 0, "prismd v1.2.3 abc\n", ""},
		{"help", []string{"--help"}, 0, "", "Exit codes"},
		{"an unknown flag", []string{"--unknown"}, 2, "", "unknown"},
		{"a word too many", []string{"word"}, 2, "", `"word"`},
		{"a good file", []string{"--config", good, "--check"}, 0, "the configuration is valid\n", ""},
		{"the built-in settings", []string{"--check"}, 0, "the configuration is valid\n", ""},
		{"a typo", []string{"--config", typo}, 7, "", `did you mean "backend"`},
		{"a wrong level", []string{"--config", level}, 7, "", "level.yaml"},
		{"no such file", []string{"--config", filepath.Join(dir, "none.yaml")}, 7, "", "none.yaml"},
		{"everybody, without credentials", []string{"--config", good, "--data", "0.0.0.0:0"}, 7, "", "loopback"},
		{"a folder in use", []string{"--config", good, "--data-dir", filepath.Join(busy.Dir, "data")}, 5, "", "in use"},
		{"a port in use", []string{"--config", good, "--data", taken.Addr().String()}, 1, "", taken.Addr().String()},
	} {
		code, stdout, stderr := run(c.args...)
		if code != c.code || stdout != c.stdout || !strings.Contains(stderr, c.says) {
			t.Errorf("%s: exit code %d, want %d\nstdout %q\nstderr %s", c.what, code, c.code, stdout, stderr)
		}
		if c.code != 0 && c.code != 2 && strings.Contains(stderr, "goroutine ") {
			t.Errorf("%s shows a stack: %s", c.what, stderr)
		}
	}
}

// The program itself, by its signals: it reloads, then stops.
func TestTheProgramObeysItsSignals(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "prism.yaml")
	text := strings.Replace(harness.Small, "auth:", "listen: {data: auto, admin: auto, metrics: auto}\nauth:", 1)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	ended := make(chan int, 1)
	out := &lockedBuffer{}
	go func() {
		ended <- server.Main([]string{"--config", path}, out, out, server.Build{Version: "v1", Drivers: all.Drivers()})
	}()
	said := func(text string) func() bool { return func() bool { return strings.Contains(out.String(), text) } }
	harness.Eventually(t, 20*time.Second, "ready", said("ready"))
	if err := os.WriteFile(path, []byte(text+"# changed\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Kill(os.Getpid(), syscall.SIGHUP); err != nil {
		t.Fatal(err)
	}
	harness.Eventually(t, 30*time.Second, "reloaded", said("in force"))
	if err := syscall.Kill(os.Getpid(), syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	select {
	case code := <-ended:
		if code != 0 {
			t.Errorf("exit code %d:\n%s", code, out)
		}
	case <-time.After(30 * time.Second):
		t.Fatalf("it goes on after SIGTERM:\n%s", out)
	}
	if !said("AUTHENTICATION IS OFF")() {
		t.Errorf("that authentication is off is not said:\n%s", out)
	}
	// Nothing of the lock is left but its file: another may start.
	if b, err := os.ReadFile(filepath.Join(dir, "data", "prismd.lock")); err != nil || strings.TrimSpace(string(b)) != strconv.Itoa(os.Getpid()) {
		t.Errorf("the lock says %q, %v", b, err)
	}
}
