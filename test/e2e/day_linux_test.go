package e2e_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
)

// A day is a person at a terminal: a shell above, the dashboards below. The
// terminal is tmux.
type day struct {
	t    *testing.T
	p    *project
	name string // of a tmux server of its own
	keep string // the folder for captures; "" for none
	n    int
}

// A working day: up, create, write, watch, load, a backend that is killed, see it
// red, heal, down. What the screens show is kept in docs/day by `make day`, and
// compared loosely: each scene has its words, here and there.
func TestAWorkingDay(t *testing.T) {
	t.Parallel()
	for _, program := range []string{"tmux", "redis-server"} {
		if _, err := exec.LookPath(program); err != nil {
			need(t, program+" is not there (tools/setup.sh sees to it)")
		}
	}
	p := newProject(t)
	p.write(".profile-day", "PS1='$ '\n")
	p.write(".tmux.conf", "set -g default-command 'exec /bin/sh'\nset -g default-terminal screen-256color\n")
	d := &day{t: t, p: p, name: filepath.Base(p.home), keep: os.Getenv("PRISM_DAY")}
	d.tmux("new-session", "-d", "-x", "120", "-y", "60", "-s", "day")
	t.Cleanup(func() { _ = d.command("kill-server").Run() })
	d.tmux("split-window", "-v", "-l", "36")

	d.types(shell, "prismctl dev up --detach --auto-ports --with redis")
	d.scene("up", shell, "redis", "prismd", "ready")
	d.types(shell, "prismctl namespace create carts --model keyvalue --backend redis")
	d.scene("create", shell, "created namespace carts", "next: prismctl")
	d.types(shell, "prismctl kv set greeting hello -n carts; prismctl kv get greeting -n carts")
	d.scene("write", shell, "set greeting in carts", "hello\n")
	d.types(dashboards, "prismctl ui")
	d.scene("watch", dashboards, "overview", "carts", "redis", "healthy")
	d.types(shell, "prismctl loadtest run kv -n carts --rate 100 --duration 5s --keys 100 --allow-shortfall")
	d.scene("load", shell, "response time", "prismctl loadtest run", "passed")

	// Killed once it is there again after a tenth of a second. The supervisor waits
	// twice as long each time, so after the eighth it is away for ten: long enough to
	// be seen on any machine.
	const pid = `$(prismctl dev status -o json --jq '.[] | select(.name == "redis" and .pid > 0) | .pid')`
	d.types(shell, "clear")
	d.types(shell, "for n in 1 2 3 4 5 6 7 8; do until kill -9 "+pid+"; do sleep 0.1; done; done 2>/dev/null")
	d.types(shell, "prismctl backend health redis")
	d.scene("red", shell, "kill -9", "✗ unhealthy")
	d.scene("red-seen", dashboards, "✗ unhealthy")
	d.types(shell, "clear; until prismctl backend health redis 2>/dev/null; do sleep 1; done")
	d.types(shell, "prismctl kv set greeting again -n carts; prismctl kv get greeting -n carts")
	d.scene("healed", shell, "✓ healthy", "again\n")
	d.waits(dashboards, "the red is gone", func(s string) bool { return !strings.Contains(s, "unhealthy") && strings.Contains(s, "redis") })
	d.tmux("send-keys", "-t", dashboards, "q")
	d.types(shell, "clear; prismctl dev down")
	d.scene("down", shell, "stopped")
}

// The panes.
const (
	shell      = "day:0.0"
	dashboards = "day:0.1"
)

func (d *day) command(args ...string) *exec.Cmd {
	c := exec.Command("tmux", append([]string{"-L", d.name, "-f", filepath.Join(d.p.dir, ".tmux.conf")}, args...)...)
	c.Dir, c.Env = d.p.dir, append(d.p.env(), "ENV="+filepath.Join(d.p.dir, ".profile-day"), "SHELL=/bin/sh", "TMUX_TMPDIR="+d.p.home)
	return c
}

func (d *day) tmux(args ...string) string {
	d.t.Helper()
	out, err := d.command(args...).CombinedOutput()
	if err != nil {
		d.t.Fatalf("tmux %v: %v\n%s", args, err, out)
	}
	return string(out)
}

// types waits for the shell's prompt and types a line.
func (d *day) types(pane, line string) {
	d.t.Helper()
	d.waits(pane, "a prompt", prompts)
	d.tmux("send-keys", "-t", pane, "-l", line)
	d.tmux("send-keys", "-t", pane, "Enter")
	if pane == shell {
		d.waits(pane, "the end of "+line, func(s string) bool { return prompts(s) })
	}
}

// prompts reports whether the last line is the shell's prompt and nothing else.
func prompts(s string) bool {
	lines := strings.Split(strings.TrimSpace(s), "\n")
	return strings.TrimSpace(lines[len(lines)-1]) == "$"
}

func (d *day) screen(pane string) string { return d.tmux("capture-pane", "-p", "-t", pane) }

func (d *day) waits(pane, what string, ok func(string) bool) {
	d.t.Helper()
	if !within(time.Minute, func() bool { time.Sleep(50 * time.Millisecond); return ok(d.screen(pane)) }) {
		d.t.Fatalf("%s never came:\n%s\n%s", what, d.screen(shell), d.screen(dashboards))
	}
}

// scene waits for the words of a scene and keeps what is seen.
func (d *day) scene(name, pane string, words ...string) {
	d.t.Helper()
	d.n++
	d.waits(pane, fmt.Sprintf("%q of the scene %s", words, name), func(s string) bool { return holds(s, words) })
	seen := d.clean(d.screen(pane))
	file := fmt.Sprintf("%02d-%s.txt", d.n, name)
	if d.keep != "" {
		if err := os.MkdirAll(d.keep, 0o755); err != nil {
			d.t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(d.keep, file), []byte(seen), 0o644); err != nil {
			d.t.Fatal(err)
		}
	}
	kept, err := os.ReadFile(filepath.Join("..", "..", "docs", "day", file))
	if err != nil || !holds(string(kept), words) {
		d.t.Errorf("docs/day/%s does not show the scene (%v): make day; now it is\n%s", file, err, seen)
	}
}

func holds(text string, words []string) bool {
	for _, w := range words {
		if !strings.Contains(text, w) {
			return false
		}
	}
	return true
}

var trailing = regexp.MustCompile(`[ \t]+\n`)

// clean takes out what differs from run to run: the folder.
func (d *day) clean(s string) string {
	s = strings.ReplaceAll(s, d.p.home, "/home/ann")
	return strings.TrimRight(trailing.ReplaceAllString(s, "\n"), "\n") + "\n"
}
