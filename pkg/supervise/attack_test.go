//go:build linux

package supervise

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/prism-data-layer/prism/pkg/prism"
)

func TestAttack_A51_OtherUserIsRefusedByTheControlSocket(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root can become another user")
	}
	began := time.Now()
	// A folder that others may enter, and a socket they may write to: what is
	// left is the check of who calls.
	open, err := os.MkdirTemp("", "a51")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(open) })
	r := supervise(t, Options{Dir: shortDir(t), Socket: filepath.Join(open, "control.sock"), Services: []Spec{childSpec("a", "sleep", "")}})
	r.ready()
	ask := func() (string, int) {
		exe, _ := os.Executable()
		cmd := exec.Command(exe)
		cmd.Env = append(os.Environ(), envChild+"=nobody", envArg+"="+r.opts.Socket)
		out, _ := cmd.CombinedOutput()
		return string(out), cmd.ProcessState.ExitCode()
	}
	if fi, err := os.Lstat(r.opts.Socket); err != nil || fi.Mode().Perm() != 0o600 {
		t.Fatalf("the socket is %v (%v)", fi.Mode(), err)
	}
	if out, code := ask(); code != 13 || !strings.Contains(out, "permission denied") {
		t.Fatalf("as it is made: %q, exit %d", out, code)
	}
	for _, err := range []error{os.Chmod(open, 0o777), os.Chmod(r.opts.Socket, 0o666)} {
		if err != nil {
			t.Fatal(err)
		}
	}
	if out, code := ask(); code != 0 || !strings.Contains(out, "PERMISSION_DENIED") {
		t.Fatalf("with the modes widened: %q, exit %d", out, code)
	}
	if !r.Status().Ready {
		t.Fatal("the stranger's stop had an effect")
	}
	report(t, "A51", began, map[string]any{"rounds": 2, "refused": 2})
}

func TestAttack_A51_PlantedLinksAreRefusedAndTheirTargetsUntouched(t *testing.T) {
	for _, what := range []string{"control.sock", "state.json", "lock", "logs", "logs/gateway.log", "logs/watcher.out", "."} {
		for _, dangling := range []bool{false, true} {
			name := what
			if dangling {
				name += ", dangling"
			}
			t.Run(name, func(t *testing.T) {
				dir := shortDir(t)
				target := filepath.Join(t.TempDir(), "target")
				if !dangling {
					var err error
					if what == "." || what == "logs" {
						err = os.Mkdir(target, 0o755)
					} else {
						err = os.WriteFile(target, []byte("precious"), 0o644)
					}
					if err != nil {
						t.Fatal(err)
					}
				}
				planted := filepath.Join(dir, what)
				if err := os.MkdirAll(filepath.Dir(planted), 0o700); err != nil {
					t.Fatal(err)
				}
				if err := os.Symlink(target, planted); err != nil {
					t.Fatal(err)
				}
				s, err := Open(Options{Dir: dir, Services: []Spec{server("gateway")}})
				if err == nil {
					s.Close()
				}
				if !errors.Is(err, prism.ReasonPermissionDenied) || !strings.Contains(err.Error(), "symbolic link") {
					t.Fatalf("got %v", err)
				}
				fi, err := os.Lstat(target)
				switch {
				case dangling:
					if !errors.Is(err, os.ErrNotExist) {
						t.Fatalf("something was made behind the link: %v", err)
					}
				case fi.IsDir():
					if es, _ := os.ReadDir(target); len(es) > 0 || fi.Mode().Perm() != 0o755 {
						t.Fatalf("the target was changed: %v, %v", es, fi.Mode())
					}
				default:
					if b, _ := os.ReadFile(target); string(b) != "precious" {
						t.Fatalf("the target was changed: %q", b)
					}
				}
			})
		}
	}
}

func TestAttack_A51_SharedFolderIsRefusedAndKeepsItsMode(t *testing.T) {
	shared := t.TempDir()
	if err := os.Chmod(shared, 0o777|os.ModeSticky); err != nil { // as /tmp is
		t.Fatal(err)
	}
	for name, o := range map[string]Options{
		"state":  {Dir: shared},
		"socket": {Dir: shortDir(t), Socket: filepath.Join(shared, "control.sock")},
	} {
		o.Services = []Spec{server("gateway")}
		s, err := Open(o)
		if err == nil {
			s.Close()
		}
		if !errors.Is(err, prism.ReasonPermissionDenied) {
			t.Errorf("%s: got %v", name, err)
		}
	}
	if fi, err := os.Stat(shared); err != nil || fi.Mode().Perm() != 0o777 {
		t.Fatalf("its mode is %v now (%v)", fi.Mode(), err)
	}
}

func TestAttack_A51_ClientRefusesAPlantedSocket(t *testing.T) {
	real := supervise(t, Options{Services: []Spec{childSpec("a", "sleep", "")}})
	real.ready()
	link := filepath.Join(t.TempDir(), "control.sock")
	if err := os.Symlink(real.opts.Socket, link); err != nil {
		t.Fatal(err)
	}
	if _, err := Dial(link); !errors.Is(err, prism.ReasonPermissionDenied) {
		t.Fatalf("got %v", err)
	}
}

func TestAttack_A51_FilesAreClosedToOthers(t *testing.T) {
	dir := shortDir(t)
	if err := os.MkdirAll(dir, 0o755); err != nil { // as somebody made it before
		t.Fatal(err)
	}
	r := supervise(t, Options{Dir: dir, Services: []Spec{server("gateway")}})
	r.ready()
	err := filepath.Walk(dir, func(path string, fi os.FileInfo, err error) error {
		if err == nil && fi.Mode().Perm()&0o077 != 0 {
			t.Errorf("%s is %v", path, fi.Mode())
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestAttack_A51_NamedPipeAsStateFileDoesNotHang(t *testing.T) {
	dir := shortDir(t)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Mkfifo(statePath(dir), 0o600); err != nil {
		t.Fatal(err)
	}
	supervise(t, Options{Dir: dir, Services: []Spec{server("gateway")}}).ready()
}

// A52: the pid on record belongs to somebody else by now.
func TestAttack_A52_ForeignProcessIsNeverSignalled(t *testing.T) {
	began := time.Now()
	stranger := exec.Command("sleep", "1000")
	stranger.Env = append(os.Environ(), EnvNonce+"=theirs")
	stranger.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := stranger.Start(); err != nil {
		t.Fatal(err)
	}
	died := make(chan error, 1)
	go func() { died <- stranger.Wait() }()
	pid := stranger.Process.Pid
	t.Cleanup(func() { stranger.Process.Kill(); <-died })
	var self stat
	until(t, "it runs", func() bool { self, _ = readStat(pid); return commandOf(pid) == "sleep 1000" })
	exe, err := os.Readlink("/proc/" + itoa(pid) + "/exe")
	if err != nil {
		t.Fatal(err)
	}
	truth := Process{Name: "gateway", PID: pid, Start: self.start, Exe: exe, Nonce: "theirs"}
	if !truth.Alive() {
		t.Fatal("the true record is not alive: this test proves nothing")
	}
	for name, change := range map[string]func(*Process){
		"another start":       func(p *Process) { p.Start--; p.Nonce = "" },
		"another program":     func(p *Process) { p.Exe = "/usr/bin/true"; p.Nonce = "" },
		"another nonce":       func(p *Process) { p.Nonce = "ours" },
		"a foreign cgroup":    func(p *Process) { p.Nonce = "ours"; p.Cgroup = "/sys/fs/cgroup/unified" },
		"a cgroup by dots":    func(p *Process) { p.Nonce = "ours"; p.Cgroup = "/sys/fs/cgroup/unified/prism-x/.." },
		"a cgroup of another": func(p *Process) { p.Nonce = "ours"; p.Cgroup = "/sys/fs/cgroup/unified/prism-other/gateway" },
	} {
		t.Run(name, func(t *testing.T) {
			dir := shortDir(t)
			if err := os.MkdirAll(dir, 0o700); err != nil {
				t.Fatal(err)
			}
			p := truth
			p.Start = self.start
			change(&p)
			// As the group's members are found by the leader, that must not be
			// enough either.
			st := &state{
				Format: stateFormat, ID: "t", Supervisor: p, Processes: []Process{p},
				Status: Status{Services: []ServiceStatus{{Name: "gateway", State: Ready, PID: pid}}},
			}
			if err := writeState(dir, st); err != nil {
				t.Fatal(err)
			}
			if p.Alive() {
				t.Error("it is called alive")
			}
			got, err := Inspect(dir)
			if err != nil || got.Service("gateway").State != Stopped || got.Service("gateway").PID != 0 || got.Supervisor != 0 {
				t.Errorf("Inspect: %+v, %v", got, err)
			}
			if _, err := Cleanup(Options{ID: "t", Dir: dir, Grace: 50 * time.Millisecond}); err != nil {
				t.Error(err)
			}
			if err := writeState(dir, st); err != nil {
				t.Fatal(err)
			}
			supervise(t, Options{ID: "t", Dir: dir, Services: []Spec{server("gateway")}}).ready()
			select {
			case err := <-died:
				died <- err
				t.Fatalf("the stranger was ended: %v", err)
			default:
			}
		})
	}
	report(t, "A52", began, map[string]any{"rounds": 6, "signalled": 0})
}

func TestAttack_A52_StaleLockOfAReusedPidIsNoDeadEnd(t *testing.T) {
	dir := shortDir(t)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	me := myself("supervisor")
	if err := os.WriteFile(filepath.Join(dir, "lock"), []byte(`{"name":"supervisor","pid":`+itoa(me.PID)+`,"start":1}`), 0o600); err != nil {
		t.Fatal(err)
	}
	r := supervise(t, Options{Dir: dir, Services: []Spec{server("gateway")}})
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if err := r.WaitReady(ctx); err != nil {
		t.Fatal(err)
	}
}
