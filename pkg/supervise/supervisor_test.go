//go:build linux

package supervise

import (
	"context"
	"errors"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/prism-data-layer/prism/pkg/prism"
)

// both runs a test with cgroups, where they can be had, and without.
func both(t *testing.T, f func(t *testing.T, o Options)) {
	t.Run("cgroup", func(t *testing.T) {
		if dir, err := openCgroups("probe-" + newNonce()[:8]); err != nil {
			t.Skipf("this machine gives us no cgroup: %v", err)
		} else {
			os.Remove(dir)
		}
		f(t, Options{})
	})
	t.Run("process group", func(t *testing.T) { f(t, Options{NoCgroup: true}) })
}

func TestServiceBecomesReadyAndStopsClean(t *testing.T) {
	both(t, func(t *testing.T, o Options) {
		o.Services = []Spec{server("gateway")}
		r := supervise(t, o)
		r.ready()
		st := r.Status()
		g := st.Service("gateway")
		if !st.Ready || g.State != Ready || g.PID == 0 || g.ReadyMS == 0 {
			t.Fatalf("got %+v", g)
		}
		if pid, err := ask(g.Listen["data"], patience); err != nil || pid != g.PID {
			t.Fatalf("pid %d answered (%v), want %d", pid, err, g.PID)
		}
		r.Stop()
		if err := <-r.over; err != nil {
			t.Fatal(err)
		}
		if g := r.service("gateway").st; g.State != Stopped || g.Exit == nil || g.Exit.Code != 0 {
			t.Fatalf("got %+v, exit %+v", g, g.Exit)
		}
		if r.cgroup != "" {
			if _, err := os.Stat(r.cgroup); !errors.Is(err, os.ErrNotExist) {
				t.Fatalf("the cgroup is still there: %v", err)
			}
		}
		if _, err := os.Lstat(r.opts.Socket); !errors.Is(err, os.ErrNotExist) {
			t.Fatalf("the control socket is still there: %v", err)
		}
	})
}

func TestRestartRefusesNoConnection(t *testing.T) {
	r := supervise(t, Options{Services: []Spec{server("gateway")}})
	r.ready()
	addr := r.Addr("gateway", "data")
	var calls, failed atomic.Int64
	var firstErr atomic.Value
	pids := sync.Map{}
	quit := make(chan struct{})
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for {
				select {
				case <-quit:
					return
				default:
				}
				calls.Add(1)
				pid, err := ask(addr, patience)
				if err != nil {
					failed.Add(1)
					firstErr.CompareAndSwap(nil, err.Error())
					continue
				}
				pids.Store(pid, true)
			}
		})
	}
	for range 5 {
		if err := r.Restart(context.Background(), "gateway"); err != nil {
			t.Fatal(err)
		}
		time.Sleep(20 * time.Millisecond)
	}
	close(quit)
	wg.Wait()
	n := 0
	pids.Range(func(any, any) bool { n++; return true })
	t.Logf("%d calls over 5 restarts, %d failed, %d processes answered", calls.Load(), failed.Load(), n)
	if failed.Load() != 0 || n < 2 {
		t.Fatalf("%d of %d calls failed (%v), %d processes answered", failed.Load(), calls.Load(), firstErr.Load(), n)
	}
}

func TestDependantsWaitForReadinessAndStopFirst(t *testing.T) {
	var mu sync.Mutex
	open := false
	store := childSpec("store", "sleep", "")
	store.Ready = Probe{Name: "gate", Check: func(context.Context, Instance) error {
		mu.Lock()
		defer mu.Unlock()
		if !open {
			return errors.New("shut")
		}
		return nil
	}}
	app := childSpec("app", "sleep", "")
	app.After = []string{"store"}
	// In the wrong order on purpose.
	r := supervise(t, Options{Services: []Spec{app, store}})
	if got := r.in("app", Starting); got.PID != 0 {
		t.Fatalf("app runs as pid %d before store is ready", got.PID)
	}
	until(t, "app says what it waits for", func() bool { return r.Status().Service("app").Message == "waits for store" })
	mu.Lock()
	open = true
	mu.Unlock()
	r.ready()
	events := r.Events(context.Background())
	r.Stop()
	var stopped []string
	for e := range events {
		if e.State == Stopped {
			stopped = append(stopped, e.Service)
		}
	}
	if !slices.Equal(stopped, []string{"app", "store"}) {
		t.Fatalf("stopped in order %v", stopped)
	}
}

func TestProbeThatFailsLaterDegradesAndRecovers(t *testing.T) {
	var ill atomic.Bool
	s := childSpec("app", "sleep", "")
	s.Ready = Probe{Name: "a question", Every: 10 * time.Millisecond, Check: func(context.Context, Instance) error {
		if ill.Load() {
			return errors.New("no answer today")
		}
		return nil
	}}
	r := supervise(t, Options{Services: []Spec{s}})
	r.ready()
	ill.Store(true)
	if got := r.in("app", Degraded); got.Message != "a question fails: no answer today" {
		t.Fatalf("got %q", got.Message)
	}
	ill.Store(false)
	r.in("app", Ready)
}

func TestCrashSaysCodeOrSignalAndRestarts(t *testing.T) {
	r := supervise(t, Options{Services: []Spec{childSpec("a", "crash", "3"), childSpec("b", "abort", "")}})
	for name, want := range map[string]string{"a": "exit code 3", "b": "killed by SIGKILL"} {
		until(t, name+" crashed twice", func() bool { return r.Status().Service(name).Restarts >= 2 })
		got := r.in(name, Crashed)
		if got.Exit.String() != want || !strings.HasPrefix(got.Message, want+"; starts again in ") {
			t.Errorf("%s: got %q, message %q, want %q", name, got.Exit, got.Message, want)
		}
	}
}

func TestMissingProgramIsRefusedBeforeAnythingStarts(t *testing.T) {
	dir := shortDir(t)
	_, err := Open(Options{Dir: dir, Services: []Spec{{Name: "a", Path: "/nowhere/at/all"}}})
	if !errors.Is(err, prism.ReasonInvalidConfig) || !strings.Contains(err.Error(), "/nowhere/at/all") {
		t.Fatalf("got %v", err)
	}
	if _, err := os.Stat(dir); !errors.Is(err, os.ErrNotExist) {
		t.Fatal("something was made")
	}
}

func TestProgramThatCannotBeExecutedCrashesWithAReason(t *testing.T) {
	path := filepath.Join(t.TempDir(), "broken")
	if err := os.WriteFile(path, []byte("\x7fELFnonsense"), 0o755); err != nil {
		t.Fatal(err)
	}
	s := Spec{Name: "broken", Path: path, Policy: Policy{Min: time.Millisecond, MaxStarts: 2}}
	r := supervise(t, Options{Services: []Spec{s}})
	got := r.in("broken", CrashLoop)
	if got.Exit.Code != 127 {
		t.Fatalf("got %v", got.Exit)
	}
	if log := r.Status().Service("broken").LastLog; len(log) == 0 || !strings.Contains(log[0], "exec format error") {
		t.Fatalf("last log %q", log)
	}
}

func TestScriptIsSupervisedToo(t *testing.T) {
	path := filepath.Join(t.TempDir(), "script")
	if err := os.WriteFile(path, []byte("#!/bin/sh\necho from a script\nsleep 1000 &\nwait\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	both(t, func(t *testing.T, o Options) {
		o.Services = []Spec{{Name: "script", Path: path}}
		r := supervise(t, o)
		r.ready()
		until(t, "the process on record is alive", func() bool {
			r.mu.Lock()
			defer r.mu.Unlock()
			return r.service("script").proc.Alive()
		})
	})
}

func TestChildSeesNoForeignHandOver(t *testing.T) {
	t.Setenv("LISTEN_FDS", "7")
	t.Setenv("LISTEN_PID", strconv.Itoa(os.Getpid()))
	t.Setenv("LISTEN_FDNAMES", "a:b")
	t.Setenv("NOTIFY_SOCKET", "/run/x")
	r := supervise(t, Options{Services: []Spec{childSpec("env", "env", "")}})
	r.ready()
	until(t, "the environment is printed", func() bool { return len(r.service("env").logs.last(500)) > 5 })
	for _, l := range r.service("env").logs.last(500) {
		if strings.HasPrefix(l, "LISTEN_") || strings.HasPrefix(l, "NOTIFY_") {
			t.Errorf("the child has %q", l)
		}
	}
}

func TestSecondInterruptKillsAtOnce(t *testing.T) {
	both(t, func(t *testing.T, o Options) {
		s := childSpec("stubborn", "stubborn", "")
		s.Stop = time.Hour
		o.Services = []Spec{s}
		r := supervise(t, o)
		until(t, "it has forked", func() bool { return len(r.mark.living()) >= 3 })
		restore := OnSignals(r.Supervisor, nil)
		syscall.Kill(os.Getpid(), syscall.SIGINT)
		r.in("stubborn", Stopping)
		time.Sleep(2 * oneSignal) // sooner it would be one and the same
		syscall.Kill(os.Getpid(), syscall.SIGINT)
		select {
		case err := <-r.over:
			if err != nil {
				t.Fatal(err)
			}
		case <-time.After(patience):
			t.Fatal("it still runs")
		}
		if got := restore(); got != syscall.SIGINT {
			t.Fatalf("the first signal was %v", got)
		}
		if left := r.mark.living(); len(left) > 0 {
			t.Fatalf("left behind: %v", describe(left))
		}
	})
}

func TestGrandchildrenOfACrashedServiceDieBeforeItsRestart(t *testing.T) {
	both(t, func(t *testing.T, o Options) {
		o.Services = []Spec{childSpec("family", "family", "")}
		r := supervise(t, o)
		until(t, "it has forked", func() bool { return len(r.mark.living()) >= 3 })
		first := r.mark.living()
		r.mu.Lock()
		pid := r.service("family").proc.PID
		r.mu.Unlock()
		syscall.Kill(pid, syscall.SIGKILL)
		until(t, "a new family runs", func() bool {
			now := r.mark.living()
			return len(now) >= 3 && !slices.ContainsFunc(now, func(p int) bool { return slices.Contains(first, p) })
		})
	})
}

func TestWatcherThatDiesIsReplaced(t *testing.T) {
	r := supervise(t, Options{Services: []Spec{server("gateway")}})
	r.ready()
	old := r.Status().Watcher
	if err := syscall.Kill(old, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	until(t, "another watcher runs", func() bool {
		now := r.Status().Watcher
		return now != old && now != 0
	})
	until(t, "it is said", func() bool { return len(r.Status().Warnings) == 1 })
	if r.Status().Service("gateway").Restarts != 0 {
		t.Fatal("the service was touched")
	}
}

func TestRestartOfAnUnknownServiceIsNotFound(t *testing.T) {
	r := supervise(t, Options{Services: []Spec{childSpec("a", "sleep", "")}})
	if err := r.Restart(context.Background(), "b"); !errors.Is(err, prism.ReasonNotFound) {
		t.Fatalf("got %v", err)
	}
}

func TestCloseWithoutRunGivesEverythingBack(t *testing.T) {
	dir := shortDir(t)
	for range 2 {
		s, err := Open(Options{Dir: dir, Services: []Spec{server("gateway")}})
		if err != nil {
			t.Fatal(err)
		}
		s.Close()
		s.Close()
	}
}

func TestDeadOrphansAreCollectedWithoutACgroup(t *testing.T) {
	r := supervise(t, Options{NoCgroup: true, Services: []Spec{childSpec("app", "litter", "")}})
	r.ready()
	mine := func() (n int) {
		known := map[int]bool{r.Status().Watcher: true, r.Status().Service("app").PID: true}
		return len(zombieOrphans(known))
	}
	until(t, "its orphans are dead and ours", func() bool { return mine() >= 3 })
	// Orphans of other tests become ours too, whenever they die.
	until(t, "all are collected", func() bool { r.collectZombies(); return mine() == 0 })
}

func TestWaitReadySaysWhatItWaitedForWhenTheTimeIsUp(t *testing.T) {
	s := childSpec("app", "sleep", "")
	s.Ready = Probe{Name: "a write read back", Check: func(context.Context, Instance) error { return errors.New("nobody there") }}
	r := supervise(t, Options{Services: []Spec{s}})
	until(t, "it was asked once", func() bool { return r.Status().Service("app").Message != "" })
	ctx, cancel := context.WithTimeout(context.Background(), time.Millisecond)
	defer cancel()
	err := r.WaitReady(ctx)
	if !errors.Is(err, prism.ReasonDeadlineExceeded) || err.Error() != "app is starting: waits for a write read back: nobody there" {
		t.Fatalf("got %v", err)
	}
}

func TestRestartOfACrashLoopingServiceReportsItsFate(t *testing.T) {
	s := childSpec("app", "crash", "3")
	s.Policy = Policy{Min: time.Millisecond, MaxStarts: 2}
	r := supervise(t, Options{Services: []Spec{s}})
	r.in("app", CrashLoop)
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	// Ready in passing, between its start and its end, is possible too: without
	// a probe that is what ready means.
	if err := r.Restart(ctx, "app"); err != nil && !strings.Contains(err.Error(), "app is crash-loop: exit code 3") {
		t.Fatalf("got %v", err)
	}
}

func TestAddressThatTheChildOpensIsOnlySeenToBeFree(t *testing.T) {
	spec := Spec{Name: "nats", Listen: []ListenSpec{{Name: "client", Addr: "127.0.0.1:0", Own: true}}}
	open, err := openSockets([]Spec{spec})
	if err != nil || len(open["nats"]) != 1 || open["nats"][0].file != nil {
		t.Fatalf("got %+v, %v", open, err)
	}
	l, err := net.Listen("tcp", open["nats"][0].addr)
	if err != nil {
		t.Fatalf("it is not free: %v", err)
	}
	defer l.Close()
	spec.Listen[0].Addr = l.Addr().String()
	var e *prism.Error
	if _, err := openSockets([]Spec{spec}); !errors.As(err, &e) || e.Meta["kind"] != "port_taken" {
		t.Errorf("of a taken one: %v", err)
	}
}

func TestFolderWithAnAwkwardNameIsAFolder(t *testing.T) {
	t.Parallel()
	for i, name := range []string{"with space", "[x]*?", "ü\u202e'$HOME\"", "-rf", "new\nline"} {
		both(t, func(t *testing.T, o Options) {
			o.ID, o.Dir = name, filepath.Join(filepath.Dir(shortDir(t)), name)
			o.Services = []Spec{childSpec("app", "talk", "hello "+itoa(i)), server("gateway")}
			r := supervise(t, o)
			r.ready()
			r.says("app", "hello "+itoa(i))
			r.Stop()
			if err := <-r.over; err != nil {
				t.Fatal(err)
			}
			ls, err := ReadLogs(filepath.Join(o.Dir, "logs"), LogQuery{Services: []string{"app"}, Grep: "hello"})
			if err != nil || len(ls) != 1 {
				t.Errorf("%q: the log has %v, %v", name, texts(ls), err)
			}
			if st, err := Inspect(o.Dir); err != nil || st.ID != name || st.Service("app").State != Stopped {
				t.Errorf("%q: %+v, %v", name, st, err)
			}
		})
	}
}
