package e2e_test

import (
	"io"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/charmbracelet/x/vt"
	"github.com/creack/pty"
)

// A person's shell stops the dashboards and goes on with them: the terminal is
// the shell's in between, with its cursor and no mouse, and is drawn on again.
func TestCtrlZGivesTheTerminalBackAndFgDrawsAgain(t *testing.T) {
	t.Parallel()
	p := newProject(t)
	ctl := p.command(t.Context(), "ui")
	shell := exec.CommandContext(t.Context(), "sh", "-i")
	shell.Dir, shell.Env = ctl.Dir, append(ctl.Env, "PS1=ready> ", "ENV=", "TERM=xterm-256color", "PRISM_ADMIN="+silent(t))
	tty, err := pty.StartWithSize(shell, &pty.Winsize{Rows: 30, Cols: 100})
	if err != nil {
		t.Fatal(err)
	}
	raw := &foreground{t: t}
	screen := vt.NewSafeEmulator(100, 30)
	read := make(chan struct{})
	go func() { defer close(read); _, _ = io.Copy(io.MultiWriter(raw, screen), tty) }()
	go func() { _, _ = io.Copy(tty, screen) }() // what it asks the terminal
	t.Cleanup(func() {
		_ = shell.Process.Kill()
		_ = shell.Wait()
		tty.Close()
		<-read
		_ = screen.InputPipe().(io.Closer).Close()
	})
	typed := func(s string) {
		t.Helper()
		if _, err := tty.WriteString(s); err != nil {
			t.Fatal(err)
		}
	}
	// since waits for texts after a place in what was written.
	since := func(from int, parts ...string) {
		t.Helper()
		for _, part := range parts {
			if !within(20*time.Second, func() bool { return strings.Contains(raw.String()[from:], part) }) {
				t.Fatalf("%q never came; since then:\n%q", part, raw.String()[from:])
			}
		}
	}
	since(0, "ready> ")
	typed("'" + ctl.Path + "' ui\n")
	since(0, "\x1b[?1049h", "\x1b[?25l", "\x1b[?1002h", "overview")

	from := len(raw.String())
	typed("\x1a")
	since(from, "\x1b[?1049l", "\x1b[?25h", "\x1b[?1002l", "ready> ")
	if s := screen.String(); strings.Contains(s, "overview") || !strings.Contains(s, "ui") {
		t.Errorf("the shell's screen is not as it was:\n%s", s)
	}
	from = len(raw.String())
	typed("stty -a; jobs\n")
	since(from, " echo ", " icanon ", "Stopped")

	from = len(raw.String())
	typed("fg\n")
	since(from, "\x1b[?1049h", "\x1b[?1002h", "overview")
	if !within(20*time.Second, func() bool { return strings.Contains(screen.String(), "prism › overview") }) {
		t.Errorf("it is not drawn again:\n%s", screen.String())
	}
	from = len(raw.String())
	typed("q")
	since(from, "\x1b[?1049l", "\x1b[?25h", "ready> ")
}
