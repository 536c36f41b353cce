//go:build linux

package supervise

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"syscall"
	"testing"
	"time"
)

// patience bounds every wait of these tests: five times and more what they take.
const patience = 30 * time.Second

// full tells whether the counts of RELIABILITY.md are run, not the quick ones.
func full() bool { return os.Getenv("PRISM_FAULTS") == "full" }

func rounds(quick, all int) int {
	if full() {
		return all
	}
	return quick
}

// report prints the one JSON line of a fault test.
func report(t *testing.T, id string, began time.Time, counts map[string]any) {
	t.Helper()
	counts["id"], counts["duration_ms"] = id, time.Since(began).Milliseconds()
	if _, ok := counts["seed"]; !ok {
		counts["seed"] = 0 // nothing in it is random
	}
	b, err := json.Marshal(counts)
	if err != nil {
		t.Fatal(err)
	}
	if full() {
		fmt.Println(string(b))
	} else {
		t.Log(string(b))
	}
}

// seeded gives the randomness of a test and its seed, settable to repeat a run.
func seeded(t *testing.T) (*rand.Rand, uint64) {
	t.Helper()
	seed := rand.Uint64() >> 12 // exact in JSON
	if s, err := strconv.ParseUint(os.Getenv("PRISM_SEED"), 10, 64); err == nil {
		seed = s
	}
	return rand.New(rand.NewPCG(seed, 1)), seed
}

// until polls cond.
func until(t *testing.T, what string, cond func() bool) {
	t.Helper()
	for end := time.Now().Add(patience); !cond(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("after %s still not: %s", patience, what)
		}
	}
}

// shortDir is a folder whose socket path fits.
func shortDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "sv")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	return filepath.Join(dir, "s")
}

// A mark is in the environment of all that a test starts.
type mark string

func newMark() mark { return mark(newNonce()) }

func (m mark) env() string { return envMark + "=" + string(m) }

// living are the processes with the mark, zombies not counted.
func (m mark) living() (pids []int) {
	for pid, s := range allProcesses() {
		env, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/environ")
		if err == nil && !s.zombie && slices.ContainsFunc(bytes.Split(env, []byte{0}), func(kv []byte) bool { return string(kv) == m.env() }) {
			pids = append(pids, pid)
		}
	}
	return pids
}

// describe shows what they are, for failures.
func describe(pids []int) (out []string) {
	for _, pid := range pids {
		env, _ := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/environ")
		mode := ""
		for _, kv := range bytes.Split(env, []byte{0}) {
			if bytes.HasPrefix(kv, []byte(envChild+"=")) {
				mode = string(kv)
			}
		}
		out = append(out, fmt.Sprintf("%d %s %s", pid, commandOf(pid), mode))
	}
	return out
}

// A rig is a supervisor inside the test's own process.
type rig struct {
	*Supervisor
	t    *testing.T
	mark mark
	over chan error
}

// supervise opens and runs a supervisor for the services.
func supervise(t *testing.T, o Options) *rig {
	t.Helper()
	m := newMark()
	if o.Dir == "" {
		o.Dir = shortDir(t)
	}
	for i := range o.Services {
		o.Services[i].Env = append(slices.Clone(o.Services[i].Env), m.env())
	}
	s, err := Open(o)
	if err != nil {
		t.Fatal(err)
	}
	r := &rig{Supervisor: s, t: t, mark: m, over: make(chan error, 1)}
	go func() { r.over <- s.Run(context.Background()) }()
	t.Cleanup(func() {
		s.Kill()
		<-s.done
		if left := m.living(); len(left) > 0 {
			t.Errorf("left behind: %v", describe(left))
		}
	})
	return r
}

func (r *rig) ready() {
	r.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if err := r.WaitReady(ctx); err != nil {
		r.t.Fatal(err)
	}
}

// in waits until the service is in a state.
func (r *rig) in(name string, st State) ServiceStatus {
	r.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	svc := r.service(name)
	var got ServiceStatus
	if err := r.await(ctx, func() bool { got = svc.st; return got.State == st }); err != nil {
		r.t.Fatalf("%s is %s (%s), want %s", name, got.State, got.Message, st)
	}
	return got
}

// child is a spec of a test program.
func childSpec(name, mode, arg string) Spec {
	return scriptService{Name: name, Mode: mode, Arg: arg}.spec()
}

func server(name string) Spec {
	return scriptService{Name: name, Mode: "serve", Listen: "127.0.0.1:0"}.spec()
}

// everyone runs a test of a supervisor process with cgroups, with process
// groups, and as a user without any right.
func everyone(t *testing.T, f func(t *testing.T, sc script)) {
	both(t, func(t *testing.T, o Options) {
		f(t, script{Dir: shortDir(t), NoCgroup: o.NoCgroup})
	})
	t.Run("unprivileged", func(t *testing.T) {
		if os.Geteuid() != 0 {
			t.Skip("only root can become another user; we have no right ourselves")
		}
		const nobody = 65534
		dir := shortDir(t)
		if err := os.Chown(filepath.Dir(dir), nobody, nobody); err != nil {
			t.Fatal(err)
		}
		f(t, script{Dir: dir, UID: nobody})
	})
}

func publicPath() string {
	return filepath.Join(os.TempDir(), fmt.Sprintf("prism-supervise-test-%d", os.Getpid()))
}

// publicCopy is this program where every user can run it, made once.
func publicCopy(t *testing.T, exe string) string {
	t.Helper()
	at := publicPath()
	if _, err := os.Stat(at); err == nil {
		return at
	}
	b, err := os.ReadFile(exe)
	if err != nil {
		t.Fatal(err)
	}
	f, err := os.CreateTemp("", "prism-supervise-test-")
	if err != nil {
		t.Fatal(err)
	}
	_, err = f.Write(b)
	if err := errors.Join(err, f.Chmod(0o755), f.Close(), os.Rename(f.Name(), at)); err != nil {
		t.Fatal(err)
	}
	return at
}

// A process is a supervisor in a process of its own, to be killed.
type supervisorProcess struct {
	cmd  *exec.Cmd
	mark mark
	said chan map[string]any
}

// program is this test as another program, run by the user of the script.
func program(t *testing.T, mode string, sc script, m mark) *exec.Cmd {
	t.Helper()
	arg, err := json.Marshal(sc)
	if err != nil {
		t.Fatal(err)
	}
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	if sc.UID != 0 {
		exe = publicCopy(t, exe)
	}
	cmd := exec.Command(exe)
	cmd.Env = append(os.Environ(), envChild+"="+mode, envArg+"="+string(arg), m.env())
	cmd.Stderr = os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if sc.UID != 0 {
		cmd.Dir = "/"
		cmd.SysProcAttr.Credential = &syscall.Credential{Uid: uint32(sc.UID), Gid: uint32(sc.UID)}
	}
	return cmd
}

// freeze stops the process where it is, and returns when it is.
func (p *supervisorProcess) freeze(t *testing.T) {
	t.Helper()
	if err := p.cmd.Process.Signal(syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	var ws syscall.WaitStatus
	if _, err := syscall.Wait4(p.cmd.Process.Pid, &ws, syscall.WUNTRACED, nil); err != nil || !ws.Stopped() {
		t.Fatalf("it did not stop: %v %v", ws, err)
	}
}

func startSupervisor(t *testing.T, sc script, m mark) *supervisorProcess {
	t.Helper()
	cmd := program(t, "supervisor", sc, m)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	p := &supervisorProcess{cmd: cmd, mark: m, said: make(chan map[string]any, 16)}
	read := make(chan struct{})
	go func() {
		defer close(read)
		defer close(p.said)
		for sc := bufio.NewScanner(out); sc.Scan(); {
			var v map[string]any
			if json.Unmarshal(sc.Bytes(), &v) == nil {
				p.said <- v
			}
		}
	}()
	t.Cleanup(func() {
		cmd.Process.Kill()
		<-read
		cmd.Wait()
		for end := time.Now().Add(patience); len(m.living()) > 0; time.Sleep(5 * time.Millisecond) {
			if time.Now().After(end) {
				t.Errorf("left behind: %v", describe(m.living()))
				for _, pid := range m.living() {
					syscall.Kill(pid, syscall.SIGKILL)
				}
			}
		}
	})
	return p
}

// hear waits for a line with the given key.
func (p *supervisorProcess) hear(t *testing.T, key string) any {
	t.Helper()
	timeout := time.After(patience)
	for {
		select {
		case v, ok := <-p.said:
			if !ok {
				t.Fatalf("the supervisor ended before it said %q", key)
			}
			if x, ok := v[key]; ok {
				return x
			}
			t.Fatalf("the supervisor said %v, want %q", v, key)
		case <-timeout:
			t.Fatalf("the supervisor did not say %q", key)
		}
	}
}

// starts is how often the service was started.
func (r *rig) starts(name string) int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.service(name).starts
}

// says waits until the last line of the service is text.
func (r *rig) says(name, text string) {
	r.t.Helper()
	until(r.t, name+" says "+text, func() bool {
		l := r.service(name).logs.last(1)
		return len(l) == 1 && l[0] == text
	})
}

func terminate(t *testing.T, pid int) {
	t.Helper()
	if err := syscall.Kill(pid, syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
}

func itoa(n int) string { return strconv.Itoa(n) }
