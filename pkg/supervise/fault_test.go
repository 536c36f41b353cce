//go:build linux

package supervise

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/prism-data-layer/prism/pkg/prism"
)

// The fault tests of RELIABILITY.md, "prismctl dev up". Quick by default;
// PRISM_FAULTS=full runs the stated counts and prints a JSON line each.

func TestFault_F30_KilledSupervisorLeavesNoOrphan(t *testing.T) {
	began := time.Now()
	rng, seed := seeded(t)
	n := rounds(3, 100)
	counts := map[string]any{"rounds": n, "seed": seed}
	everyone(t, func(t *testing.T, sc script) {
		dir := sc.Dir
		var slowest time.Duration
		restarts, ended := 0, 0
		addr := "127.0.0.1:0"
		for i := range n {
			m := newMark()
			sc.GraceMS = 300
			if i%20 == 19 {
				sc.GraceMS = 0 // the default
			}
			sc.Services = []scriptService{
				{Name: "gateway", Mode: "serve", Listen: addr},
				{Name: "family", Mode: "family"},
				{Name: "stubborn", Mode: "stubborn", After: []string{"family"}},
			}
			p := startSupervisor(t, sc, m)
			p.hear(t, "ready")
			// The next round must find the very same port free.
			st, err := Inspect(dir)
			if err != nil {
				t.Fatal(err)
			}
			addr = st.Service("gateway").Listen["data"]
			time.Sleep(time.Duration(rng.IntN(50)) * time.Millisecond)
			started := len(m.living())
			killed := time.Now()
			p.cmd.Process.Kill()
			p.cmd.Wait()
			for len(m.living()) > 0 && time.Since(killed) < 5*time.Second {
				time.Sleep(2 * time.Millisecond)
			}
			if left := m.living(); len(left) > 0 {
				t.Fatalf("round %d: %d of %d processes are left after 5 s: %v", i, len(left), started, describe(left))
			}
			slowest = max(slowest, time.Since(killed))
			restarts++
			ended += started
			l, err := takeLock(dir, patience) // the watcher has cleaned up
			if err != nil {
				t.Fatal(err)
			}
			l.release()
			if ln, err := net.Listen("tcp", addr); err != nil {
				t.Fatalf("round %d: the port is not free: %v", i, err)
			} else {
				ln.Close()
			}
			for _, path := range []string{filepath.Join(dir, "control.sock")} {
				if _, err := os.Lstat(path); !errors.Is(err, os.ErrNotExist) {
					t.Fatalf("round %d: %s is left", i, path)
				}
			}
		}
		counts[filepath.Base(t.Name())] = map[string]any{"kills": restarts, "processes_ended": ended, "orphans": 0, "slowest_ms": slowest.Milliseconds()}
	})
	report(t, "F30", began, counts)
}

// killBoth kills a supervisor and its watcher together once all of it runs, and
// proves that something is left to be ended.
func killBoth(t *testing.T, sc script, m mark) (st *state) {
	t.Helper()
	p := startSupervisor(t, sc, m)
	p.hear(t, "ready")
	want := 2 // it and the watcher
	for _, s := range sc.Services {
		want += map[string]int{"family": 3, "stubborn": 3}[s.Mode]
	}
	until(t, "it has forked", func() bool { return len(m.living()) >= want })
	st, err := readState(sc.Dir)
	if err != nil {
		t.Fatal(err)
	}
	syscall.Kill(st.Watcher.PID, syscall.SIGSTOP) // so that the supervisor's last moment is not used
	p.cmd.Process.Kill()
	syscall.Kill(st.Watcher.PID, syscall.SIGKILL)
	p.cmd.Wait()
	until(t, "the watcher is gone", func() bool { return !st.Watcher.Alive() })
	if len(m.living()) < 3 { // those that fork to daemonize come and go
		t.Fatalf("only %v live: this test proves nothing", describe(m.living()))
	}
	return st
}

// nothingLeft is what must hold when all is over: no process, no socket, no
// pid in a file, no cgroup.
func nothingLeft(t *testing.T, dir string, marks ...mark) {
	t.Helper()
	for _, m := range marks {
		until(t, "nothing lives", func() bool { return len(m.living()) == 0 })
	}
	if _, err := os.Lstat(filepath.Join(dir, "control.sock")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the control socket is left: %v", err)
	}
	if b, err := os.ReadFile(filepath.Join(dir, "lock")); err != nil || len(b) > 0 {
		t.Errorf("the lock names somebody: %q, %v", b, err)
	}
	st, err := readState(dir)
	if err != nil {
		t.Fatal(err)
	}
	if st == nil {
		st = &state{} // it was unusable, and is kept aside
	}
	if len(st.Processes) > 0 {
		t.Errorf("the state file has processes: %+v", st.Processes)
	}
	for _, s := range st.Status.Services {
		if s.PID != 0 || s.State != Stopped {
			t.Errorf("the state file says that %s is %s, pid %d", s.Name, s.State, s.PID)
		}
		for _, addr := range s.Listen {
			l, err := net.Listen("tcp", addr)
			if err != nil {
				t.Errorf("the port is not free: %v", err)
				continue
			}
			l.Close()
		}
	}
	if base, err := ownCgroup(); err == nil {
		if _, err := os.Stat(filepath.Join(base, cgroupName(cgroupID("t", dir)))); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("the cgroup is left: %v", err)
		}
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if !slices.Contains([]string{"lock", "logs", "state.json", "state.json.bad"}, e.Name()) {
			t.Errorf("left in the folder: %s", e.Name())
		}
	}
}

// Both die at once, again and again: then each next start is what cleans up.
func TestFault_F30_NextStartReapsWhenTheWatcherDiesToo(t *testing.T) {
	began := time.Now()
	n := rounds(2, 100)
	counts := map[string]any{"rounds": n, "watcher": "killed too"}
	everyone(t, func(t *testing.T, sc script) {
		sc.GraceMS = 200
		sc.Services = []scriptService{
			{Name: "gateway", Mode: "serve", Listen: "127.0.0.1:0"},
			{Name: "family", Mode: "family"},
			{Name: "stubborn", Mode: "stubborn"},
		}
		ended := 0
		for i := range n {
			m := newMark()
			st := killBoth(t, sc, m)
			left := len(m.living())
			// The very same port, so that it must be free.
			sc.Services[0].Listen = st.Status.Service("gateway").Listen["data"]
			m2 := newMark()
			p := startSupervisor(t, sc, m2)
			p.hear(t, "ready")
			if left := m.living(); len(left) > 0 {
				t.Fatalf("round %d: left behind: %v", i, describe(left))
			}
			ended += left
			p.cmd.Process.Kill()
			p.cmd.Wait()
			l, err := takeLock(sc.Dir, patience)
			if err != nil {
				t.Fatal(err)
			}
			l.release()
			until(t, "the second is gone too", func() bool { return len(m2.living()) == 0 })
		}
		counts[filepath.Base(t.Name())] = map[string]any{"kills": n, "processes_ended": ended, "orphans": 0}
	})
	report(t, "F30", began, counts)
}

// Both die at once: then the next start is what cleans up.
func TestFault_F30_NextStartEndsWhatIsLeftWhenTheWatcherDiesToo(t *testing.T) {
	both(t, func(t *testing.T, o Options) {
		dir := shortDir(t)
		m := newMark()
		sc := script{Dir: dir, NoCgroup: o.NoCgroup, Services: []scriptService{{Name: "stubborn", Mode: "stubborn"}}}
		p := startSupervisor(t, sc, m)
		p.hear(t, "ready")
		until(t, "it has forked", func() bool { return len(m.living()) >= 5 })
		st, err := readState(dir)
		if err != nil {
			t.Fatal(err)
		}
		syscall.Kill(st.Watcher.PID, syscall.SIGSTOP) // so that the supervisor's last moment is not used
		p.cmd.Process.Kill()
		syscall.Kill(st.Watcher.PID, syscall.SIGKILL)
		p.cmd.Wait()
		until(t, "the watcher is gone", func() bool { return !st.Watcher.Alive() })
		if len(m.living()) < 3 {
			t.Fatalf("only %v live: this test proves nothing", describe(m.living()))
		}
		seen, err := Inspect(dir)
		if err != nil {
			t.Fatal(err)
		}
		if s := seen.Service("stubborn"); seen.Running || seen.Supervisor != 0 || s.State != Degraded || s.PID == 0 {
			t.Fatalf("Inspect: %+v", seen)
		}
		ended, err := Cleanup(Options{ID: "t", Dir: dir, Grace: 50 * time.Millisecond})
		if err != nil {
			t.Fatal(err)
		}
		if left := m.living(); len(left) > 0 || ended < 3 {
			t.Fatalf("ended %d, left %v", ended, describe(left))
		}
		seen, err = Inspect(dir)
		if err != nil || seen.Service("stubborn").State != Stopped {
			t.Fatalf("Inspect afterwards: %+v, %v", seen, err)
		}
	})
}

func TestFault_F30_StoreClosesCleanWhenTheSupervisorIsKilled(t *testing.T) {
	dir := shortDir(t)
	clean := filepath.Join(t.TempDir(), "clean")
	m := newMark()
	p := startSupervisor(t, script{Dir: dir, Services: []scriptService{{Name: "store", Mode: "lastwords", Arg: clean}}}, m)
	p.hear(t, "ready")
	until(t, "it is up", func() bool {
		ls, err := ReadLogs(filepath.Join(dir, "logs"), LogQuery{})
		return err == nil && len(ls) > 0
	})
	p.cmd.Process.Kill()
	p.cmd.Wait()
	until(t, "all is gone", func() bool { return len(m.living()) == 0 })
	if b, _ := os.ReadFile(clean); string(b) != "clean" {
		t.Fatal("the store was killed in the middle of its clean end")
	}
	ls, err := ReadLogs(filepath.Join(dir, "logs"), LogQuery{Services: []string{"store"}, Grep: "^closing"})
	if err != nil || len(ls) != 200 {
		t.Fatalf("%d of its 200 last lines are in the log (%v)", len(ls), err)
	}
}

// A second SIGTERM means "hurry" to prismd, so a killed supervisor must not
// cause two.
func TestFault_F30_OrphanIsToldToEndOnce(t *testing.T) {
	dir := shortDir(t)
	count := filepath.Join(t.TempDir(), "count")
	m := newMark()
	p := startSupervisor(t, script{Dir: dir, GraceMS: 20_000, Services: []scriptService{{Name: "store", Mode: "counts", Arg: count}}}, m)
	p.hear(t, "ready")
	until(t, "it is up", func() bool {
		ls, err := ReadLogs(filepath.Join(dir, "logs"), LogQuery{})
		return err == nil && len(ls) > 0
	})
	p.cmd.Process.Kill()
	p.cmd.Wait()
	until(t, "all is gone", func() bool { return len(m.living()) == 0 })
	if b, _ := os.ReadFile(count); string(b) != "1" {
		t.Fatalf("it was told %q times", b)
	}
}

func TestFault_F30_WatcherThatHangsIsNoDeadEnd(t *testing.T) {
	dir, m := shortDir(t), newMark()
	p := startSupervisor(t, script{Dir: dir, Services: []scriptService{{Name: "app", Mode: "stubborn"}}}, m)
	p.hear(t, "ready")
	st, err := readState(dir)
	if err != nil {
		t.Fatal(err)
	}
	syscall.Kill(st.Watcher.PID, syscall.SIGSTOP)
	p.cmd.Process.Kill()
	p.cmd.Wait()
	l, err := takeLockFromTheDead(dir, 100*time.Millisecond)
	if err != nil {
		t.Fatal(err)
	}
	l.release()
	supervise(t, Options{ID: "t", Dir: dir, Grace: 50 * time.Millisecond, Services: []Spec{server("gateway")}}).ready()
	if left := m.living(); len(left) > 0 {
		t.Fatalf("left behind: %v", describe(left))
	}
}

func TestFault_F30_HangUpAndInterruptLeaveNothing(t *testing.T) {
	for name, sigs := range map[string][]syscall.Signal{
		"SIGHUP":          {syscall.SIGHUP},
		"SIGTERM":         {syscall.SIGTERM},
		"Ctrl-C":          {syscall.SIGINT},
		"Ctrl-C, Ctrl-C":  {syscall.SIGINT, syscall.SIGINT},
		"SIGHUP, SIGKILL": {syscall.SIGHUP, syscall.SIGKILL},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir, m := shortDir(t), newMark()
			p := startSupervisor(t, script{Dir: dir, GraceMS: 100, Services: []scriptService{
				{Name: "gateway", Mode: "serve", Listen: "127.0.0.1:0"},
				{Name: "stubborn", Mode: "stubborn", StopMS: 400},
			}}, m)
			p.hear(t, "ready")
			for i, sig := range sigs {
				if i > 0 {
					time.Sleep(50 * time.Millisecond)
				}
				p.cmd.Process.Signal(sig)
			}
			p.cmd.Wait()
			until(t, "nothing is left", func() bool { return len(m.living()) == 0 })
		})
	}
}

func TestFault_F31_CrashLoopEndsWithAVerdict(t *testing.T) {
	began := time.Now()
	s := childSpec("broken", "crash", "3")
	if !full() {
		s.Policy = Policy{Min: time.Millisecond, Max: 300 * time.Millisecond}
	}
	r := supervise(t, Options{Services: []Spec{s}})
	events := r.Events(context.Background())
	var starts []time.Time
	for e := range events {
		if e.State == Starting && e.PID != 0 {
			starts = append(starts, e.Time)
		}
		if e.State == CrashLoop {
			break
		}
		if time.Since(began) > 10*patience {
			t.Fatal("no verdict")
		}
	}
	inFirstMinute := 1 // the first start may have been before we listened
	if len(starts) == 10 {
		inFirstMinute = 0
	}
	for _, at := range starts {
		if at.Sub(began) <= time.Minute {
			inFirstMinute++
		}
	}
	if inFirstMinute != 10 {
		t.Fatalf("%d starts in the first minute, want 10", inFirstMinute)
	}
	got := r.Status().Service("broken")
	if got.State != CrashLoop || got.Restarts != 9 || !strings.Contains(got.Message, "exit code 3; 10 starts in a row failed") {
		t.Fatalf("got %+v", got)
	}
	if len(got.LastLog) != 20 || got.LastLog[18] != "crash line 29" || got.LastLog[19] != "no newline at the end" {
		t.Fatalf("last log %q", got.LastLog)
	}
	if err := r.WaitReady(context.Background()); !errors.Is(err, prism.ReasonUnavailable) || !strings.Contains(err.Error(), "broken is crash-loop") {
		t.Fatalf("WaitReady: %v", err)
	}
	report(t, "F31", began, map[string]any{"rounds": 1, "starts": inFirstMinute, "verdict": got.State, "log_lines": len(got.LastLog)})
	// A person's restart gives it another ten.
	if full() {
		return
	}
	go r.Restart(context.Background(), "broken")
	until(t, "it is tried again", func() bool { r.mu.Lock(); defer r.mu.Unlock(); return r.service("broken").starts > 10 })
}

func TestFault_F32_WhatIgnoresSIGTERMIsKilledWithAllItForked(t *testing.T) {
	began := time.Now()
	stop := 300 * time.Millisecond
	if full() {
		stop = 0 // the default, 10 s
	}
	counts := map[string]any{"rounds": 1, "left": 0}
	both(t, func(t *testing.T, o Options) {
		s := childSpec("stubborn", "stubborn", "")
		s.Stop = stop
		o.Services = []Spec{s}
		r := supervise(t, o)
		until(t, "it and its two descendants run", func() bool { return len(r.mark.living()) >= 3 })
		started := len(r.mark.living())
		asked := time.Now()
		r.Stop()
		if err := <-r.over; err != nil {
			t.Fatal(err)
		}
		took := time.Since(asked)
		if left := r.mark.living(); len(left) > 0 {
			t.Fatalf("left behind: %v", describe(left))
		}
		want := r.service("stubborn").spec.Stop
		if took < want || took > want+patience {
			t.Fatalf("killed after %s, want %s", took, want)
		}
		if got := r.service("stubborn").st; got.Exit.Signal != "SIGKILL" {
			t.Fatalf("got %v", got.Exit)
		}
		counts[filepath.Base(t.Name())] = map[string]any{"processes": started, "killed_after_ms": took.Milliseconds()}
	})
	report(t, "F32", began, counts)
}

// occupy listens as another program would, in a process of its own.
func occupy(t *testing.T, network, addr string) (pid int, port string) {
	t.Helper()
	l, err := net.Listen(network, addr)
	if err != nil {
		t.Fatal(err)
	}
	f, err := l.(*net.TCPListener).File()
	if err != nil {
		t.Fatal(err)
	}
	_, port, _ = net.SplitHostPort(l.Addr().String())
	cmd := exec.Command("sleep", "1000")
	cmd.ExtraFiles = []*os.File{f}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	f.Close()
	l.Close()
	t.Cleanup(func() { cmd.Process.Kill(); cmd.Wait() })
	return cmd.Process.Pid, port
}

func TestFault_F33_TakenPortNamesItsHolder(t *testing.T) {
	began := time.Now()
	named := 0
	for name, c := range map[string]struct{ network, theirs, ours string }{
		"the same address":         {"tcp4", "127.0.0.1", "127.0.0.1"},
		"all of IPv4":              {"tcp4", "0.0.0.0", "127.0.0.1"},
		"both families":            {"tcp", "", "127.0.0.1"},
		"IPv6 only":                {"tcp6", "[::1]", "127.0.0.1"},
		"IPv4 only, ours is IPv6":  {"tcp4", "127.0.0.1", "[::1]"},
		"IPv6, and so is ours":     {"tcp6", "[::1]", "[::1]"},
		"a host name on our side":  {"tcp4", "127.0.0.1", "localhost"},
		"ours is every interface":  {"tcp4", "127.0.0.1", ""},
		"ours is 0.0.0.0, on IPv4": {"tcp4", "127.0.0.1", "0.0.0.0"},
	} {
		t.Run(name, func(t *testing.T) {
			pid, port := occupy(t, c.network, c.theirs+":0")
			free := scriptService{Name: "free", Mode: "serve", Listen: "127.0.0.1:0"}.spec()
			busy := scriptService{Name: "gateway", Mode: "serve", Listen: c.ours + ":" + port}.spec()
			m := newMark()
			free.Env, busy.Env = append(free.Env, m.env()), append(busy.Env, m.env())
			dir := shortDir(t)
			_, err := Open(Options{Dir: dir, Services: []Spec{free, busy}})
			var e *prism.Error
			if !errors.As(err, &e) || e.Reason != prism.ReasonFailedPrecond || e.Meta["kind"] != "port_taken" {
				t.Fatalf("got %v", err)
			}
			for _, part := range []string{fmt.Sprintf("pid %d (sleep 1000)", pid), c.ours + ":" + port, "gateway.data", "prism.yaml:3"} {
				if !strings.Contains(e.Message, part) {
					t.Errorf("%q does not say %q", e.Message, part)
				}
			}
			if e.Meta["holder_pid"] != strconv.Itoa(pid) {
				t.Errorf("meta %v", e.Meta)
			}
			if got := m.living(); len(got) > 0 {
				t.Errorf("started: %v", describe(got))
			}
			if _, err := os.Lstat(filepath.Join(dir, "control.sock")); !errors.Is(err, os.ErrNotExist) {
				t.Error("the control socket was made")
			}
			// Nothing is half open either: the same folder starts at once.
			s, err := Open(Options{Dir: dir, Services: []Spec{free}})
			if err != nil {
				t.Fatal(err)
			}
			s.Close()
			named++
		})
	}
	report(t, "F33", began, map[string]any{"rounds": 9, "named": named})
}

func TestFault_F33_TimeWaitIsNotTaken(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := l.Addr().String()
	c, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	s, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	s.Close() // the side that closes first keeps TIME_WAIT
	buf := make([]byte, 1)
	c.Read(buf)
	c.Close()
	l.Close()
	port := uint16(l.Addr().(*net.TCPAddr).Port)
	if !slices.ContainsFunc(bounds(), func(b bound) bool { return b.addr.Port() == port && !b.listening }) {
		t.Fatal("there is no TIME_WAIT: this test proves nothing")
	}
	spec := scriptService{Name: "gateway", Mode: "serve", Listen: addr}.spec()
	supervise(t, Options{Services: []Spec{spec}}).ready()
}

func TestFault_F33_OurOwnSupervisorIsNamedByTheLock(t *testing.T) {
	dir := shortDir(t)
	r := supervise(t, Options{Dir: dir, Services: []Spec{server("gateway")}})
	r.ready()
	_, err := Open(Options{Dir: dir, Services: []Spec{server("gateway")}})
	var held *Held
	if !errors.As(err, &held) || held.PID != os.Getpid() || !errors.Is(err, prism.ReasonAlreadyExists) {
		t.Fatalf("got %v", err)
	}
}

func TestFault_F34_TwoAtOnceOneWins(t *testing.T) {
	began := time.Now()
	n := rounds(5, 50)
	dir := shortDir(t)
	named := 0
	for i := range n {
		m := newMark()
		sc := script{Dir: dir, Services: []scriptService{{Name: "app", Mode: "sleep"}}}
		a, b := startSupervisor(t, sc, m), startSupervisor(t, sc, m)
		type answer struct {
			p    *supervisorProcess
			said map[string]any
		}
		answers := make(chan answer, 2)
		for _, p := range []*supervisorProcess{a, b} {
			go func() { answers <- answer{p, <-p.said} }()
		}
		var winner *supervisorProcess
		held := -1.0
		for range 2 {
			select {
			case x := <-answers:
				if _, ok := x.said["ready"]; ok {
					if winner != nil {
						t.Fatalf("round %d: both won", i)
					}
					winner = x.p
				} else if pid, ok := x.said["held"]; ok {
					held = pid.(float64)
				} else {
					t.Fatalf("round %d: said %v", i, x.said)
				}
			case <-time.After(patience):
				t.Fatalf("round %d: no answer", i)
			}
		}
		if winner == nil || int(held) != winner.cmd.Process.Pid {
			t.Fatalf("round %d: the loser names pid %v, the winner is %v", i, held, winner)
		}
		named++
		winner.cmd.Process.Signal(syscall.SIGTERM)
		a.cmd.Wait()
		b.cmd.Wait()
	}
	report(t, "F34", began, map[string]any{"rounds": n, "one_winner": n, "pid_named": named})
}

func TestFault_F35_SlowAndNeverReady(t *testing.T) {
	began := time.Now()
	delay, limit := 400*time.Millisecond, patience
	if full() {
		delay = 20 * time.Second
	}
	slow := scriptService{Name: "slow", Mode: "late", Arg: delay.String(), Listen: "127.0.0.1:0"}.spec()
	slow.Ready.Timeout = limit
	app := childSpec("app", "sleep", "")
	app.After = []string{"slow"}
	r := supervise(t, Options{Services: []Spec{slow, app}})
	// The port is open from the first moment; that is not readiness.
	c, err := net.Dial("tcp", r.Addr("slow", "data"))
	if err != nil {
		t.Fatal(err)
	}
	c.Close()
	r.ready()
	waited := time.Since(began)
	if waited < delay {
		t.Fatalf("ready after %s, before it could answer", waited)
	}
	st := r.Status()
	if st.Service("app").Since.Before(st.Service("slow").Since) {
		t.Fatal("app was ready before slow")
	}

	never := scriptService{Name: "never", Mode: "late", Arg: "1h", Listen: "127.0.0.1:0"}.spec()
	never.Ready.Timeout = 200 * time.Millisecond
	app2 := childSpec("app", "sleep", "")
	app2.After = []string{"never"}
	other := childSpec("other", "sleep", "")
	r2 := supervise(t, Options{Services: []Spec{never, app2, other}})
	err = r2.WaitReady(context.Background())
	if !errors.Is(err, prism.ReasonUnavailable) {
		t.Fatalf("got %v", err)
	}
	for _, part := range []string{"never is degraded", "not ready after 200ms", "an answer on data", "app is starting: waits for never"} {
		if !strings.Contains(err.Error(), part) {
			t.Errorf("%q does not say %q", err, part)
		}
	}
	if got := r2.Status(); got.Service("other").State != Ready || got.Service("app").PID != 0 {
		t.Fatalf("got %+v", got)
	}
	report(t, "F35", began, map[string]any{"rounds": 2, "slow_ready_ms": waited.Milliseconds(), "dependants_waited": true, "probe_named": true})
}

func TestFault_F39_BadStateFileNeverBlocksTheStart(t *testing.T) {
	began := time.Now()
	good, err := json.Marshal(state{Format: stateFormat, ID: "t"})
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for name, content := range map[string]string{
		"empty":       "",
		"truncated":   string(good[:len(good)/2]),
		"noise":       "\x00\xff\x13\x37",
		"newer":       `{"format": 2, "everything": "else"}`,
		"no format":   `{}`,
		"wrong types": `{"format": 1, "processes": "none"}`,
		"an array":    `[1,2,3]`,
		"huge":        strings.Repeat("x", maxStateBytes+1),
	} {
		t.Run(name, func(t *testing.T) {
			dir := shortDir(t)
			if err := os.MkdirAll(dir, 0o700); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(statePath(dir), []byte(content), 0o600); err != nil {
				t.Fatal(err)
			}
			r := supervise(t, Options{Dir: dir, Services: []Spec{server("gateway")}})
			r.ready()
			if bad, err := os.ReadFile(statePath(dir) + ".bad"); err != nil || string(bad) != content {
				t.Fatalf("kept aside: %d bytes, %v", len(bad), err)
			}
			st, err := readState(dir)
			if err != nil || len(st.Processes) != 1 {
				t.Fatalf("rebuilt: %+v, %v", st, err)
			}
			if w := r.Status().Warnings; len(w) != 1 || !strings.Contains(w[0], "state.json.bad") {
				t.Fatalf("warnings %q", w)
			}
			n++
		})
	}
	report(t, "F39", began, map[string]any{"rounds": 8, "started": n, "kept_aside": n})
}

func TestFault_F39_StateLostWithOrphansIsRebuilt(t *testing.T) {
	everyone(t, func(t *testing.T, sc script) {
		for _, damage := range []func(dir string) error{
			func(dir string) error { return os.Truncate(statePath(dir), 20) },
			func(dir string) error { return os.Remove(statePath(dir)) },
		} {
			m := newMark()
			sc.Services = []scriptService{{Name: "family", Mode: "family"}, {Name: "stubborn", Mode: "stubborn"}}
			killBoth(t, sc, m)
			if err := damage(sc.Dir); err != nil {
				t.Fatal(err)
			}
			m2 := newMark()
			sc.Services = []scriptService{{Name: "app", Mode: "sleep"}}
			p := startSupervisor(t, sc, m2)
			p.hear(t, "ready")
			if left := m.living(); len(left) > 0 {
				t.Fatalf("left behind: %v", describe(left))
			}
			p.cmd.Process.Signal(syscall.SIGTERM)
			p.cmd.Wait()
			nothingLeft(t, sc.Dir, m, m2)
		}
	})
}

func TestFault_F39_FullDiskNeitherBlocksNorKills(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "m")
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := unix.Mount("tmpfs", dir, "tmpfs", 0, "size=64k,mode=700"); err != nil {
		t.Skipf("no right to mount a small tmpfs: %v", err)
	}
	t.Cleanup(func() { unix.Unmount(dir, unix.MNT_DETACH) })
	sock := filepath.Join(shortDir(t), "control.sock")
	// The folders and the watcher's file are made while there is room.
	first, err := Open(Options{Dir: dir, Socket: sock, Services: []Spec{childSpec("spam", "spam", "5000")}})
	if err != nil {
		t.Fatal(err)
	}
	first.Close()
	fill, err := os.Create(filepath.Join(dir, "fill"))
	if err != nil {
		t.Fatal(err)
	}
	for err == nil {
		_, err = fill.Write(make([]byte, 4096))
	}
	fill.Close()
	r := supervise(t, Options{Dir: dir, Socket: sock, Services: []Spec{childSpec("spam", "spam", "5000")}})
	r.ready()
	until(t, "the child is not held up", func() bool {
		l := r.service("spam").logs.last(1)
		return len(l) == 1 && l[0] == "spam is over"
	})
	until(t, "it is said", func() bool {
		w := strings.Join(r.Status().Warnings, "\n")
		return strings.Contains(w, "no space left on device")
	})
	if err := os.Remove(fill.Name()); err != nil {
		t.Fatal(err)
	}
	r.save()
	if st, err := readState(dir); err != nil || len(st.Processes) != 1 {
		t.Fatalf("after there is room again: %+v, %v", st, err)
	}
}
