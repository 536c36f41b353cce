package engine_test

import (
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/prism-data-layer/prism/stacks/engine"
)

// within are the bounds of fault F36: after the engine's return all is as it
// should be, and its events are heard again.
const (
	correctWithin = 10 * time.Second
	eventsWithin  = 5 * time.Second
)

const ticking = `
services:
  web:
    image: ${PRISM_IMAGE_ACTOR}
    command: [tick]
`

func TestFault_F36_TheEngineRestarts(t *testing.T) {
	r := newRig(t, ticking)
	x := r.run()
	x.sees("^tick 3$", x.runs())
	r.daemon.stop()
	if err := r.daemon.start(); err != nil {
		t.Fatal(err)
	}
	back := time.Now()
	seen := x.sees("waits for the container engine", 0)
	seen = x.sees("the container engine is back", seen)
	if took := time.Since(back); took > eventsWithin {
		t.Errorf("it was asked again after %v", took)
	}
	seen = x.sees("runs$", seen)
	if took := time.Since(back); took > correctWithin {
		t.Errorf("it ran after %v", took)
	}
	x.sees("^tick 3$", seen) // its lines are copied again
	if state := r.container("web").State; state != "running" {
		t.Errorf("web is %s", state)
	}
	r.docker("kill", r.Name()+"-web-1") // its events are heard again
	x.fails("exit code 137 (SIGKILL)")
	once := 0
	for _, l := range x.lines() {
		if l == "tick 0" {
			once++
		}
	}
	if once != 2 {
		t.Errorf("the first line of two starts came %d times", once)
	}
}

func TestFault_F36_TheEngineIsKilledAndItsContainersLive(t *testing.T) {
	r := newRig(t, ticking)
	x := r.run()
	x.sees("^tick 3$", x.runs())
	id := r.container("web").ID
	_ = r.cmd.Process.Kill()
	_ = r.cmd.Wait()
	seen := x.sees("waits for the container engine", 0)
	if err := r.daemon.start("--live-restore"); err != nil {
		t.Fatal(err)
	}
	seen = x.sees("runs$", seen)
	if r.container("web").ID != id {
		t.Error("the container was made anew")
	}
	x.sees("^tick", seen)
	x.stops()
	ticks := map[string]int{}
	for _, l := range x.lines() {
		if ticks[l]++; ticks[l] > 1 && strings.HasPrefix(l, "tick") {
			t.Errorf("%q came twice", l)
		}
	}
	r.daemon.stop()
	if err := r.daemon.start(); err != nil {
		t.Fatal(err)
	}
}

func TestFault_F36_TheEngineIsAwayWhenWeEnd(t *testing.T) {
	r := newRig(t, server)
	r.stopTime = time.Second
	x := r.run()
	x.runs()
	r.daemon.stop()
	x.sees("waits for the container engine", 0)
	began := time.Now()
	_ = x.cmd.Process.Signal(syscall.SIGTERM)
	x.fails("does not answer", "may be left", "prismctl dev down")
	if took := time.Since(began); took > r.stopTime+engine.RunnerStop {
		t.Errorf("it took %v", took)
	}
	if err := r.daemon.start(); err != nil {
		t.Fatal(err)
	}
	if got := r.remove(true); len(got) != 2 {
		t.Errorf("removed %v", got)
	}
}

func TestFault_F36_NoEngineAnswers(t *testing.T) {
	r := newRig(t, server)
	e := r.client()
	dir := t.TempDir()
	info := func(host string) error {
		t.Setenv("DOCKER_HOST", host)
		_, err := e.Info(t.Context())
		return err
	}
	wantKind(t, info("unix://"+dir+"/none.sock"), "engine_missing", dir+"/none.sock", "unset DOCKER_HOST")

	dead, err := net.Listen("unix", dir+"/dead.sock")
	if err != nil {
		t.Fatal(err)
	}
	dead.(*net.UnixListener).SetUnlinkOnClose(false)
	_ = dead.Close()
	wantKind(t, info("unix://"+dir+"/dead.sock"), "engine_stopped", "connection refused", "systemctl start docker")

	silent, err := net.Listen("unix", dir+"/silent.sock")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = silent.Close() }()
	wantKind(t, info("unix://"+dir+"/silent.sock"), "engine_stopped", "no answer in 5s")

	// No engine that is too old can be had: what one says is what matters of it.
	old, err := net.Listen("unix", dir+"/old.sock")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = old.Close() }()
	go func() {
		_ = http.Serve(old, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.Header().Set("Api-Version", "1.24") }))
	}()
	wantKind(t, info("unix://"+dir+"/old.sock"), "engine_old", "1.24", "20.10")

	t.Setenv("DOCKER_HOST", r.host)
	got, err := e.Info(t.Context())
	if err != nil || got.Endpoint != r.host || got.Version == "" || got.API == "" || got.Memory == 0 || got.Rootless {
		t.Errorf("the engine is %+v, %v", got, err)
	}
}

func TestFault_F36_AUserWithoutPermission(t *testing.T) {
	r := newRig(t, server)
	r.cred = &syscall.Credential{Uid: 65534, Gid: 1}
	r.env = []string{"HOME=/nonexistent"}
	r.run().fails("may not speak to the container engine", "usermod -aG docker nobody")
}

func TestTheEngineIsFoundAsDockerFindsIt(t *testing.T) {
	r := newRig(t, server)
	e := r.client()
	t.Setenv("DOCKER_HOST", "")
	home := t.TempDir()
	t.Setenv("HOME", home)
	for _, c := range []struct {
		name string
		set  func()
	}{
		{"a rootless engine's socket", func() {
			run := t.TempDir()
			if err := os.Symlink(filepath.Join(r.dir, "docker.sock"), filepath.Join(run, "docker.sock")); err != nil {
				t.Fatal(err)
			}
			t.Setenv("XDG_RUNTIME_DIR", run)
		}},
		{"the current context", func() {
			t.Setenv("XDG_RUNTIME_DIR", "")
			for _, args := range [][]string{{"context", "create", "there", "--docker", "host=" + r.host}, {"context", "use", "there"}} {
				cmd := r.command(args...)
				cmd.Env = append(os.Environ(), "HOME="+home)
				if out, err := cmd.CombinedOutput(); err != nil {
					t.Fatalf("%v: %s", err, out)
				}
			}
		}},
	} {
		c.set()
		if got, err := e.Info(t.Context()); err != nil || got.Version == "" {
			t.Errorf("%s: %+v, %v", c.name, got, err)
		}
	}
	t.Setenv("HOME", "/root")
	t.Setenv("DOCKER_HOST", r.host)
}

func TestAnImageThatCannotBePulledIsNamed(t *testing.T) {
	const ref = "registry.invalid/nothing:1"
	r := newRig(t, server)
	r.Env["PRISM_IMAGE_ACTOR"] = ref
	x := r.run()
	x.fails("image "+ref+" cannot be pulled", "lookup registry.invalid", "docker pull "+ref)
	x.sees("pulls "+ref, 0)
	e := r.client()
	if got, err := e.Image(t.Context(), ref); err != nil || got.Present {
		t.Errorf("it is said to be there: %+v, %v", got, err)
	}
	if got, err := e.Image(t.Context(), image); err != nil || !got.Present || got.Size == 0 || !strings.HasPrefix(got.ID, "sha256:") {
		t.Errorf("the other is %+v, %v", got, err)
	}
	var notes []string
	err := e.Pull(t.Context(), ref, func(n string) { notes = append(notes, n) })
	wantKind(t, err, "image_missing", ref)
	if len(notes) == 0 {
		t.Error("it told nothing of what it did")
	}
}

func TestMistakesAndNamesAreRefusedBeforeAnythingIsMade(t *testing.T) {
	r := newRig(t, strings.Replace(server, "image:", "imgae:", 1))
	file := filepath.Join(r.Dir, "compose.yaml")
	e := r.client()
	wantKind(t, e.Check(t.Context(), r.Project), "compose_invalid", file+":4", "imgae")
	r.run().fails(file + ":4")
	r.write(server)
	if err := e.Check(t.Context(), r.Project); err != nil {
		t.Error(err)
	}
	other := r.Project
	other.Stack = "../../etc"
	wantKind(t, e.Check(t.Context(), other), "compose_refused", "../../etc")
	other = r.Project
	other.ID = "../x"
	wantKind(t, e.Check(t.Context(), other), "compose_refused", "../x")
}
