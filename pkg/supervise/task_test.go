//go:build linux

package supervise

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/prism-data-layer/prism/pkg/prism"
)

// task is a program that ends with the given code when it has a moment.
func task(name, code string) Spec {
	s := childSpec(name, "crash", code)
	s.Task = true
	return s
}

func TestTaskThatEndsWellIsDoneAndLetsItsDependantsStart(t *testing.T) {
	t.Parallel()
	app := childSpec("app", "sleep", "")
	app.After = []string{"migrate"}
	r := supervise(t, Options{Services: []Spec{app, task("migrate", "0")}})
	r.ready()
	st := r.Status()
	m := st.Service("migrate")
	if !st.Ready || m.State != Done || m.PID != 0 || m.Exit.Code != 0 || m.Restarts != 0 || st.Service("app").State != Ready {
		t.Fatalf("got %+v", st)
	}
	if len(m.Dependants) != 1 || m.Dependants[0] != "app" || st.Service("app").Dependants != nil {
		t.Errorf("dependants %v and %v", m.Dependants, st.Service("app").Dependants)
	}
	// A person may run it again; what needs it is not touched.
	pid := st.Service("app").PID
	if err := r.Restart(t.Context(), "migrate"); err != nil {
		t.Fatal(err)
	}
	if now := r.Status(); now.Service("migrate").State != Done || now.Service("app").PID != pid {
		t.Errorf("got %+v", now)
	}
}

func TestTaskThatFailsIsSaidAndWaitsForARepair(t *testing.T) {
	t.Parallel()
	app := childSpec("app", "sleep", "")
	app.After = []string{"migrate"}
	r := supervise(t, Options{Services: []Spec{task("migrate", "3"), app, childSpec("other", "sleep", "")}})
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	err := r.WaitReady(ctx)
	if !errors.Is(err, prism.ReasonUnavailable) || !strings.Contains(err.Error(), "migrate is crashed: exit code 3") || !strings.Contains(err.Error(), "app is starting: waits for migrate") {
		t.Fatalf("got %v", err)
	}
	r.in("other", Ready)
	m := r.Status().Service("migrate")
	if len(m.LastLog) != 20 || m.Restarts != 0 {
		t.Errorf("got %+v", m)
	}
	other := r.Status().Service("other").PID
	for _, again := range []func() error{
		func() error { return r.Restart(ctx, "migrate") },
		func() error {
			names, err := dial(t, r.opts.Socket).Repair(ctx)
			if len(names) != 1 || names[0] != "migrate" {
				t.Errorf("repaired %v, %v", names, err)
			}
			return r.WaitReady(ctx)
		},
	} {
		before := r.starts("migrate")
		if err := again(); !errors.Is(err, prism.ReasonUnavailable) || !strings.Contains(err.Error(), "exit code 3") {
			t.Errorf("got %v", err)
		}
		until(t, "it was tried again", func() bool { return r.starts("migrate") == before+1 })
		r.in("migrate", Crashed)
	}
	if now := r.Status().Service("other"); now.PID != other || r.starts("other") != 1 {
		t.Errorf("what was ready is touched: %+v", now)
	}
}

func TestTaskThatDoesNotEndInTimeIsLateAndMayStillBeDone(t *testing.T) {
	t.Parallel()
	s := childSpec("migrate", "talk", "up")
	s.Task, s.Ready.Timeout = true, 50*time.Millisecond
	r := supervise(t, Options{Services: []Spec{s}})
	got := r.in("migrate", Degraded)
	if got.Message != "has not ended after 50ms" || !got.Late || got.PID == 0 {
		t.Fatalf("got %+v", got)
	}
	r.says("migrate", "up") // it listens for signals by then
	terminate(t, got.PID)
	if got = r.in("migrate", Done); got.Late || got.Message != "" {
		t.Errorf("got %+v", got)
	}
}

func TestTaskHasNoProbe(t *testing.T) {
	t.Parallel()
	s := task("migrate", "0")
	s.Ready.Check = func(context.Context, Instance) error { return nil }
	if _, err := plan([]Spec{s}); !errors.Is(err, prism.ReasonInvalidConfig) || !strings.Contains(err.Error(), "services[migrate].ready") {
		t.Errorf("got %v", err)
	}
}

func TestRepairStartsACrashLoopAtOnceAndNothingElse(t *testing.T) {
	t.Parallel()
	loop := childSpec("loop", "crash", "3")
	loop.Policy = Policy{Min: time.Millisecond, MaxStarts: 2}
	wait := childSpec("wait", "crash", "3")
	wait.Policy = Policy{Min: time.Hour, Max: time.Hour}
	r := supervise(t, Options{Services: []Spec{loop, wait, childSpec("fine", "sleep", "")}})
	r.in("loop", CrashLoop)
	r.in("wait", Crashed)
	fine := r.in("fine", Ready)
	if names := r.Repair(); strings.Join(names, " ") != "loop wait" {
		t.Errorf("repaired %v", names)
	}
	until(t, "both were started again", func() bool { return r.starts("loop") == 4 && r.starts("wait") == 2 })
	r.in("loop", CrashLoop)
	if now := r.Status().Service("fine"); now.PID != fine.PID || now.State != Ready {
		t.Errorf("what was ready is touched: %+v", now)
	}
}

// A service whose clean end takes longer than the watcher's grace has asked for
// the time.
func TestStopOfASpecHoldsAfterTheSupervisorsDeath(t *testing.T) {
	t.Parallel()
	both(t, func(t *testing.T, o Options) {
		dir, m := shortDir(t), newMark()
		clean := filepath.Join(t.TempDir(), "clean")
		p := startSupervisor(t, script{Dir: dir, NoCgroup: o.NoCgroup, GraceMS: 50, Services: []scriptService{
			{Name: "store", Mode: "slowend", Arg: clean + "|300ms", StopMS: 20_000},
			{Name: "stubborn", Mode: "stubborn"}, // has no wish, so the grace is its end
		}}, m)
		p.hear(t, "ready")
		until(t, "it is up", func() bool {
			ls, err := ReadLogs(filepath.Join(dir, "logs"), LogQuery{Services: []string{"store"}})
			return err == nil && len(ls) > 0
		})
		if st, err := readState(dir); err != nil || st.Processes[0].Stop+st.Processes[1].Stop != 20*time.Second {
			t.Errorf("on record: %+v, %v", st, err)
		}
		p.cmd.Process.Kill()
		p.cmd.Wait()
		until(t, "all is gone", func() bool { return len(m.living()) == 0 })
		if b, _ := os.ReadFile(clean); string(b) != "clean" {
			t.Error("it was killed in the middle of its clean end")
		}
	})
}
