package e2e_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// A project is a folder, a home and everything that was started for them. All
// processes carry its mark in their environment, so that none can be missed.
type project struct {
	t    *testing.T
	home string
	dir  string
	bin  string
	mark string
	more []string // of the environment
}

// newProject makes one that is taken down when the test ends; nothing of it may
// be left then.
func newProject(t *testing.T) *project {
	t.Helper()
	home, err := os.MkdirTemp("", "e2e") // short: the control socket's path is limited
	if err != nil {
		t.Fatal(err)
	}
	p := &project{t: t, home: home, dir: filepath.Join(home, "shop"), bin: programs(t), mark: "PRISM_E2E=" + filepath.Base(home)}
	if err := os.Mkdir(p.dir, 0o755); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		p.run("dev", "down", "--kill")
		p.gone()
		os.RemoveAll(home)
	})
	return p
}

func (p *project) env() []string {
	env := []string{"HOME=" + p.home, "PATH=" + p.bin + ":/usr/bin:/bin", "TERM=xterm", "LANG=C.UTF-8", p.mark}
	if cover := os.Getenv("PRISM_E2E_COVER"); cover != "" {
		env = append(env, "GOCOVERDIR="+cover)
	}
	return append(env, p.more...)
}

func (p *project) command(ctx context.Context, args ...string) *exec.Cmd {
	c := exec.CommandContext(ctx, filepath.Join(p.bin, "prismctl"), args...)
	c.Dir, c.Env = p.dir, p.env()
	return c
}

// A result is what one command line did.
type result struct {
	code        int
	out, errOut string
}

// run runs a command line to its end.
func (p *project) run(args ...string) result {
	p.t.Helper()
	return p.runIn(p.dir, args...)
}

func (p *project) runIn(dir string, args ...string) result {
	p.t.Helper()
	return p.runFor(time.Minute, dir, args...)
}

func (p *project) runFor(d time.Duration, dir string, args ...string) result {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), d)
	defer cancel()
	c := p.command(ctx, args...)
	c.Dir = dir
	var out, errOut bytes.Buffer
	c.Stdout, c.Stderr = &out, &errOut
	// What --detach leaves running must not hold these pipes.
	c.WaitDelay = time.Second
	err := c.Run()
	var exit *exec.ExitError
	switch {
	case err == nil, errors.As(err, &exit):
	default:
		p.t.Fatalf("prismctl %s: %v\n%s%s", strings.Join(args, " "), err, &out, &errOut)
	}
	return result{c.ProcessState.ExitCode(), out.String(), errOut.String()}
}

// want runs a command line that must end with code, and whose output of both
// kinds must hold each of the words.
func (p *project) want(code int, words []string, args ...string) result {
	p.t.Helper()
	r := p.run(args...)
	if r.code != code {
		p.t.Fatalf("prismctl %s: exit %d, want %d\n%s%s", strings.Join(args, " "), r.code, code, r.out, r.errOut)
	}
	for _, w := range words {
		if !strings.Contains(r.out+r.errOut, w) {
			p.t.Errorf("prismctl %s lacks %q:\n%s%s", strings.Join(args, " "), w, r.out, r.errOut)
		}
	}
	return r
}

func (p *project) ok(args ...string) string {
	p.t.Helper()
	return p.want(0, nil, args...).out
}

// up starts the gateway in the background.
func (p *project) up(more ...string) {
	p.t.Helper()
	p.ok(append([]string{"dev", "up", "--detach", "--auto-ports"}, more...)...)
}

// write makes a file in the project's folder.
func (p *project) write(name, text string) string {
	p.t.Helper()
	path := filepath.Join(p.dir, name)
	if err := os.WriteFile(path, []byte(text), 0o755); err != nil {
		p.t.Fatal(err)
	}
	return path
}

// addresses are those of `dev env`.
func (p *project) addresses() (data, admin, metrics string) {
	p.t.Helper()
	var v map[string]string
	if err := json.Unmarshal([]byte(p.ok("dev", "env", "--format", "json")), &v); err != nil {
		p.t.Fatal(err)
	}
	return v["PRISM_DATA"], v["PRISM_ADMIN"], v["PRISM_METRICS"]
}

// gateway is the pid of prismd.
func (p *project) gateway() int {
	p.t.Helper()
	pid, said := p.pid()
	if pid == 0 {
		p.t.Fatalf("dev status: %s", said)
	}
	return pid
}

// pid is that of prismd, 0 while it has none.
func (p *project) pid() (pid int, said string) {
	p.t.Helper()
	r := p.run("dev", "status", "-o", "json")
	var list []struct{ Pid int }
	if err := json.Unmarshal([]byte(r.out), &list); err != nil || len(list) != 1 {
		return 0, r.out + r.errOut
	}
	return list[0].Pid, r.out
}

// supervisor is the pid of the process that prismd is a child of.
func (p *project) supervisor() int {
	p.t.Helper()
	return parent(p.t, p.gateway())
}

func parent(t *testing.T, pid int) int {
	t.Helper()
	b, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	if err != nil {
		t.Fatal(err)
	}
	_, after, _ := strings.Cut(string(b), ") ")
	n, err := strconv.Atoi(strings.Fields(after)[1])
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func (p *project) kill(pid int, s syscall.Signal) {
	p.t.Helper()
	if err := syscall.Kill(pid, s); err != nil {
		p.t.Fatalf("kill -%d %d: %v", s, pid, err)
	}
}

// processes lists what runs with the project's mark.
func (p *project) processes() (list []int) {
	p.t.Helper()
	dirs, err := filepath.Glob("/proc/[0-9]*")
	if err != nil {
		p.t.Fatal(err)
	}
	for _, d := range dirs {
		b, err := os.ReadFile(d + "/environ")
		if err == nil && slices.Contains(strings.Split(string(b), "\x00"), p.mark) {
			pid, _ := strconv.Atoi(filepath.Base(d))
			list = append(list, pid)
		}
	}
	return list
}

// gone waits until no process of the project is left, and with them no port.
func (p *project) gone() {
	p.t.Helper()
	var left []int
	if !within(10*time.Second, func() bool { left = p.processes(); return len(left) == 0 }) {
		for _, pid := range left {
			cmdline, _ := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/cmdline")
			p.t.Errorf("left: pid %d %s", pid, bytes.ReplaceAll(cmdline, []byte{0}, []byte{' '}))
			_ = syscall.Kill(pid, syscall.SIGKILL)
		}
	}
}

// refused reports whether nothing listens there.
func refused(addr string) bool {
	c, err := net.DialTimeout("tcp", addr, time.Second)
	if err == nil {
		c.Close()
	}
	return errors.Is(err, syscall.ECONNREFUSED)
}

func within(d time.Duration, f func() bool) bool {
	for deadline := time.Now().Add(d); ; time.Sleep(10 * time.Millisecond) {
		if f() {
			return true
		}
		if time.Now().After(deadline) {
			return false
		}
	}
}

// listeners are the addresses on which the processes listen, from the kernel.
func listeners(t *testing.T, pids []int) (list []string) {
	t.Helper()
	inodes := map[string]bool{}
	for _, pid := range pids {
		fds, _ := filepath.Glob("/proc/" + strconv.Itoa(pid) + "/fd/*")
		for _, fd := range fds {
			to, _ := os.Readlink(fd)
			if inode, ok := strings.CutPrefix(to, "socket:["); ok {
				inodes[strings.TrimSuffix(inode, "]")] = true
			}
		}
	}
	for _, table := range []string{"/proc/net/tcp", "/proc/net/tcp6"} {
		f, err := os.Open(table)
		if err != nil {
			continue // no IPv6
		}
		defer f.Close()
		for lines := bufio.NewScanner(f); lines.Scan(); {
			fields := strings.Fields(lines.Text())
			const listening = "0A"
			if len(fields) > 9 && fields[3] == listening && inodes[fields[9]] {
				list = append(list, address(t, fields[1]))
			}
		}
	}
	return list
}

// address reads what /proc/net/tcp writes: words of four bytes, the lowest first.
func address(t *testing.T, s string) string {
	t.Helper()
	host, port, _ := strings.Cut(s, ":")
	b, err := hex.DecodeString(host)
	n, err2 := strconv.ParseUint(port, 16, 16)
	if err != nil || err2 != nil {
		t.Fatalf("not an address: %q", s)
	}
	for i := 0; i+4 <= len(b); i += 4 {
		slices.Reverse(b[i : i+4])
	}
	return net.JoinHostPort(net.IP(b).String(), strconv.FormatUint(n, 10))
}

// A foreground is a command that goes on.
type foreground struct {
	t     *testing.T
	cmd   *exec.Cmd
	mu    sync.Mutex
	text  bytes.Buffer // of both streams
	ended chan error
}

func (f *foreground) Write(b []byte) (int, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.text.Write(b)
}

func (f *foreground) String() string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.text.String()
}

// start starts a command line in a process group of its own, as a shell does.
func (p *project) start(args ...string) *foreground {
	p.t.Helper()
	f := &foreground{t: p.t, cmd: p.command(context.Background(), args...), ended: make(chan error, 1)}
	f.cmd.Stdout, f.cmd.Stderr = f, f
	f.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := f.cmd.Start(); err != nil {
		p.t.Fatal(err)
	}
	go func() { f.ended <- f.cmd.Wait() }()
	return f
}

// says waits until the command has printed a text.
func (f *foreground) says(text string) {
	f.t.Helper()
	if !within(20*time.Second, func() bool { return strings.Contains(f.String(), text) }) {
		f.t.Fatalf("it never said %q:\n%s", text, f)
	}
}

// ends waits for the command's end and returns its exit code.
func (f *foreground) ends() int {
	f.t.Helper()
	select {
	case <-f.ended:
		return f.cmd.ProcessState.ExitCode()
	case <-time.After(20 * time.Second):
		_ = f.cmd.Process.Kill()
		f.t.Fatalf("it does not end:\n%s", f)
		return -1
	}
}
