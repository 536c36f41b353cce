package e2e_test

import (
	"bytes"
	"io"
	"net"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/creack/pty"
)

// silent is an address whose server takes connections and says nothing.
func silent(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() { _, _ = io.Copy(io.Discard, c) }()
		}
	}()
	return l.Addr().String()
}

// waiting starts a command that waits for an answer, on a terminal, and returns
// when it says so.
func waiting(t *testing.T, args ...string) (*exec.Cmd, *os.File, *foreground) {
	t.Helper()
	p := newProject(t)
	p.more = append(p.more, "PRISM_DATA="+silent(t), "PRISM_ADMIN="+silent(t))
	c := p.command(t.Context(), args...)
	tty, err := pty.StartWithSize(c, &pty.Winsize{Rows: 24, Cols: 80})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { tty.Close() })
	text := &foreground{t: t}
	go func() { _, _ = io.Copy(text, tty) }()
	if !within(20*time.Second, func() bool { return strings.Contains(text.String(), "waiting for the gateway") }) {
		t.Fatalf("it never said that it waits: %q", text)
	}
	return c, tty, text
}

// Ctrl-C is typed, as a person does: the terminal makes the signal.
func TestCtrlCIsObeyedAtOnceAndTwiceEndsIt(t *testing.T) {
	t.Parallel()
	c, tty, text := waiting(t, "namespace", "list", "--timeout", "1m")
	began := time.Now()
	if _, err := tty.Write([]byte{3}); err != nil {
		t.Fatal(err)
	}
	_ = c.Wait()
	if took := time.Since(began); took > 2*time.Second { // half a second, on a machine with nothing else to do
		t.Errorf("it took %s", took)
	}
	if code := c.ProcessState.ExitCode(); code != 130 {
		t.Errorf("exit %d, want 130", code)
	}
	if !within(time.Second, func() bool { return strings.HasSuffix(text.String(), "\r\x1b[Kcancelled\r\n") }) {
		t.Errorf("the last line is not \"cancelled\": %q", text)
	}

	p := newProject(t)
	p.up()
	f := p.start("loadtest", "run", "kv", "--rate", "50", "--duration", "10m", "--keys", "10")
	if !within(20*time.Second, func() bool { return strings.Contains(p.run("kv", "scan", "-o", "name").out, "loadtest/") }) {
		t.Fatalf("it never began:\n%s", f)
	}
	p.kill(f.cmd.Process.Pid, syscall.SIGSTOP) // so that it is busy when both come
	p.kill(f.cmd.Process.Pid, syscall.SIGINT)
	p.kill(f.cmd.Process.Pid, syscall.SIGCONT)
	time.Sleep(100 * time.Millisecond) // sooner it would be one and the same
	began = time.Now()
	_ = syscall.Kill(f.cmd.Process.Pid, syscall.SIGINT)
	if code := f.ends(); code != 130 {
		t.Errorf("twice: exit %d, want 130\n%s", code, f)
	}
	if took := time.Since(began); took > 2*time.Second {
		t.Errorf("twice: it took %s", took)
	}
}

// What head does: it reads a line and leaves.
func TestAReaderThatLeavesIsNoError(t *testing.T) {
	t.Parallel()
	p := newProject(t)
	for _, args := range [][]string{{"help", "formatting"}, {"completion", "bash"}, {"errors", "list"}, {"errors", "list", "-o", "json"}} {
		r, w, err := os.Pipe()
		if err != nil {
			t.Fatal(err)
		}
		c := p.command(t.Context(), args...)
		var errOut bytes.Buffer
		c.Stdout, c.Stderr = w, &errOut
		r.Close() // before the first byte: none can be taken
		err = c.Run()
		w.Close()
		if err != nil || errOut.Len() > 0 {
			t.Errorf("%v: %v, %q", args, err, errOut.String())
		}
	}
}

// The disk that is full is real: /dev/full.
func TestAFullDiskIsTold(t *testing.T) {
	t.Parallel()
	full, err := os.OpenFile("/dev/full", os.O_WRONLY, 0)
	if err != nil {
		need(t, err.Error())
	}
	defer full.Close()
	p := newProject(t)
	c := p.command(t.Context(), "errors", "list")
	var errOut bytes.Buffer
	c.Stdout, c.Stderr = full, &errOut
	_ = c.Run()
	if c.ProcessState.ExitCode() != 1 || !strings.Contains(errOut.String(), "error: the output cannot be written") {
		t.Errorf("exit %d: %s", c.ProcessState.ExitCode(), &errOut)
	}
}
