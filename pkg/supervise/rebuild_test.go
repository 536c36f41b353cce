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

// A workshop is a service with a source and a build.
type workshop struct {
	t      *testing.T
	source string
	runs   string
	spec   Spec
}

func newWorkshop(t *testing.T) *workshop {
	t.Helper()
	dir := t.TempDir()
	w := &workshop{t: t, source: filepath.Join(dir, "src", "main.src"), runs: filepath.Join(dir, "runs")}
	program := filepath.Join(dir, "src", "app") // beside its sources, as many have it
	if err := os.MkdirAll(filepath.Dir(w.source), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(program, []byte("#!/bin/sh\necho version 0\nexec sleep 1000\n"), 0o700); err != nil {
		t.Fatal(err)
	}
	w.edit("ok 0")
	exe, _ := os.Executable()
	build := "env " + envChild + "=build '" + envArg + "=" + w.source + "|" + program + "|" + w.runs + "' " + exe
	w.spec = Spec{
		Name: "app", Path: program,
		Watch: &Rebuild{Paths: []string{"src"}, Ignore: []string{"*.new", "out/*"}, Dir: dir, Command: []string{"/bin/sh", "-c", build}, Quiet: 20 * time.Millisecond},
	}
	return w
}

func (w *workshop) edit(text string) {
	w.t.Helper()
	if err := os.WriteFile(w.source, []byte(text), 0o600); err != nil {
		w.t.Fatal(err)
	}
}

// builds is how often it was built.
func (w *workshop) builds() int {
	b, _ := os.ReadFile(w.runs)
	return len(b)
}

func (w *workshop) version(r *rig, v string) {
	w.t.Helper()
	until(w.t, "version "+v+" runs", func() bool {
		l := r.service("app").logs.last(1)
		return len(l) == 1 && l[0] == "version "+v && r.Status().Service("app").State == Ready
	})
}

func TestChangedSourceIsBuiltAndTheServiceStartsAgain(t *testing.T) {
	t.Parallel()
	both(t, func(t *testing.T, o Options) {
		w := newWorkshop(t)
		o.Services = []Spec{w.spec, childSpec("other", "sleep", "")}
		r := supervise(t, o)
		r.ready()
		w.version(r, "0")
		old := r.Status()
		w.edit("ok 1")
		w.version(r, "1")
		now := r.Status()
		if now.Service("app").PID == old.Service("app").PID || now.Service("app").Restarts != 0 || now.Service("app").Message != "" {
			t.Errorf("got %+v", now.Service("app"))
		}
		if now.Service("other").PID != old.Service("other").PID {
			t.Error("the other service was touched")
		}
		if n := w.builds(); n != 1 {
			t.Errorf("built %d times", n)
		}
	})
}

func TestBuildThatFailsKeepsWhatRunsAndSaysWhy(t *testing.T) {
	t.Parallel()
	w := newWorkshop(t)
	r := supervise(t, Options{Services: []Spec{w.spec}})
	r.ready()
	old := r.Status().Service("app").PID
	events := r.Events(t.Context())
	w.edit("nonsense")
	want := "the build failed, exit code 1: # shop; " + w.source + ":1:1: syntax error near nonsense"
	timeout := time.After(patience)
	for said := false; !said; {
		select {
		case e := <-events:
			said = e.Service == "app" && e.State == Ready && e.Message == want
		case <-timeout:
			t.Fatalf("no event says why; the message is %q", r.Status().Service("app").Message)
		}
	}
	got := r.Status().Service("app")
	if got.State != Ready || got.PID != old || got.Message != want || !r.Status().Ready {
		t.Errorf("got %+v", got)
	}
	var log []string
	if err := r.Logs(t.Context(), LogQuery{Grep: "syntax"}, func(l Line) error { log = append(log, l.Text); return nil }); err != nil || len(log) != 1 {
		t.Errorf("in the log: %q, %v", log, err)
	}
	w.edit("ok 2")
	w.version(r, "2")
	if got := r.Status().Service("app"); got.Message != "" {
		t.Errorf("afterwards: %q", got.Message)
	}
}

func TestChangeDuringABuildStartsAnother(t *testing.T) {
	t.Parallel()
	w := newWorkshop(t)
	// The build itself changes the source, once.
	w.spec.Watch.Command[2] += "; test -e $0.once || { touch $0.once; echo ok 3 > $0; }"
	w.spec.Watch.Command = append(w.spec.Watch.Command, w.source)
	w.spec.Watch.Ignore = append(w.spec.Watch.Ignore, "*.once")
	r := supervise(t, Options{Services: []Spec{w.spec}})
	r.ready()
	w.edit("ok 2")
	w.version(r, "3")
	if n := w.builds(); n != 2 {
		t.Errorf("built %d times", n)
	}
}

func TestBuildEndsWithItsSupervisor(t *testing.T) {
	t.Parallel()
	both(t, func(t *testing.T, o Options) {
		w := newWorkshop(t)
		o.Services = []Spec{w.spec}
		r := supervise(t, o)
		r.ready()
		w.edit("hang")
		until(t, "it builds", func() bool { return w.builds() == 1 })
		until(t, "it is said", func() bool {
			return strings.HasPrefix(r.Status().Service("app").Message, "builds: /bin/sh -c ")
		})
		until(t, "the build is on record", func() bool {
			st, err := readState(r.opts.Dir)
			return err == nil && len(st.Processes) == 2 && st.Processes[1].Name == "app.build"
		})
		r.Stop()
		if err := <-r.over; err != nil {
			t.Fatal(err)
		}
	})
}

func TestWatchThatCannotWorkIsRefused(t *testing.T) {
	t.Parallel()
	for want, w := range map[string]*Rebuild{
		"needs paths to watch":    {Command: []string{"true"}},
		"a command that builds":   {Paths: []string{"."}},
		".watch.command":          {Paths: []string{"."}, Command: []string{"/nowhere/go"}},
		"syntax error in pattern": {Paths: []string{"."}, Command: []string{"true"}, Ignore: []string{"[a"}},
	} {
		s := childSpec("app", "sleep", "")
		s.Watch = w
		if _, err := plan([]Spec{s}); !errors.Is(err, prism.ReasonInvalidConfig) || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v", want, err)
		}
	}
}

func TestTreeSeesWhatABuildIsMadeOfAndNothingElse(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	write := func(name, text string) {
		t.Helper()
		name = filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(name), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("pkg/a.go", "a")
	write("go.mod", "m")
	tr := newTree(&Rebuild{Dir: dir, Paths: []string{"pkg", "go.mod", "gone.txt"}, Ignore: []string{"*.tmp", "gen/*"}}, filepath.Join(dir, "pkg", "prog"))
	was, _ := tr.look()
	for _, step := range []struct {
		what string
		do   func()
		want bool
	}{
		{"nothing", func() {}, false},
		{"a longer file", func() { write("pkg/a.go", "ab") }, true},
		{"a newer file", func() { touch(t, filepath.Join(dir, "pkg/a.go")) }, true},
		{"a new file", func() { write("pkg/sub/b.go", "b") }, true},
		{"a new folder", func() { os.Mkdir(filepath.Join(dir, "pkg/empty"), 0o700) }, true},
		{"a file by itself", func() { touch(t, filepath.Join(dir, "go.mod")) }, true},
		{"a file that was not there", func() { write("gone.txt", "") }, true},
		{"a file that is removed", func() { os.Remove(filepath.Join(dir, "pkg/sub/b.go")) }, true},
		{"a hidden folder", func() { write("pkg/.git/x", "x") }, false},
		{"an ignored name", func() { write("pkg/sub/x.tmp", "x") }, false},
		{"an ignored path", func() { write("pkg/gen/x.go", "x") }, true}, // the folder itself is new
		{"another ignored path", func() { write("pkg/gen/y.go", "y") }, false},
		{"the program", func() { write("pkg/prog", "x") }, false},
		{"a file beside", func() { write("other.go", "x") }, false},
	} {
		step.do()
		now, _ := tr.look()
		if (now != was) != step.want {
			t.Errorf("%s: a change is seen: %v", step.what, now != was)
		}
		was = now
	}
}

func touch(t *testing.T, name string) {
	t.Helper()
	at := time.Now().Add(time.Hour)
	if err := os.Chtimes(name, at, at); err != nil {
		t.Fatal(err)
	}
}

func TestTreeIsBoundedAndItsCostToo(t *testing.T) {
	t.Parallel()
	for cost, want := range map[time.Duration]time.Duration{0: shortestPause, 5 * time.Millisecond: 500 * time.Millisecond, time.Minute: longestPause} {
		if got := pollPause(cost); got != want {
			t.Errorf("a look of %s is followed by a pause of %s, want %s", cost, got, want)
		}
	}
	dir := t.TempDir()
	for i := range 5 {
		if err := os.WriteFile(filepath.Join(dir, itoa(i)), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	tr := newTree(&Rebuild{Paths: []string{dir}}, "")
	for most, want := range map[int]bool{maxWatched: false, 6: false, 5: true} {
		tr.most, tr.cut = most, false
		if tr.look(); tr.cut != want {
			t.Errorf("of 6 names %d may be watched: cut is %v", most, tr.cut)
		}
	}
}

func TestStoppedSupervisorLooksNoMore(t *testing.T) {
	t.Parallel()
	w := newWorkshop(t)
	s, err := Open(Options{Dir: shortDir(t), Services: []Spec{w.spec}})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := s.Run(ctx); err != nil {
		t.Fatal(err)
	}
	w.edit("ok 9")
	if w.builds() != 0 {
		t.Error("it was built")
	}
}
