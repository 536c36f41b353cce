//go:build linux

package supervise

import (
	"bufio"
	"context"
	"errors"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/prism-data-layer/prism/pkg/prism"
)

func dial(t *testing.T, path string) *Client {
	t.Helper()
	c, err := Dial(path)
	if err != nil {
		t.Fatal(err)
	}
	c.Silence = patience
	return c
}

func TestClientSeesWhatTheSupervisorSees(t *testing.T) {
	r := supervise(t, Options{ID: "demo-1a2b3c", Services: []Spec{server("gateway")}})
	r.ready()
	c := dial(t, r.opts.Socket)
	st, err := c.Status(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	g := st.Service("gateway")
	if !st.Running || !st.Ready || st.ID != "demo-1a2b3c" || st.Supervisor != os.Getpid() || g.State != Ready || g.Listen["data"] != r.Addr("gateway", "data") {
		t.Fatalf("got %+v", st)
	}
	if r.Addr("gateway", "nothing") != "" || r.Addr("nobody", "data") != "" {
		t.Fatal("an address of nothing")
	}
	old := g.PID
	if err := c.Restart(context.Background(), "gateway"); err != nil {
		t.Fatal(err)
	}
	st, err = c.Status(context.Background())
	if err != nil || st.Service("gateway").PID == old || st.Service("gateway").Restarts != 0 {
		t.Fatalf("after the restart: %+v, %v", st, err)
	}
	if err := c.Restart(context.Background(), "nobody"); !errors.Is(err, prism.ReasonNotFound) {
		t.Fatalf("got %v", err)
	}
}

func TestAttachedClientGetsStatusThenEveryEvent(t *testing.T) {
	r := supervise(t, Options{Services: []Spec{childSpec("app", "sleep", "")}})
	r.ready()
	c := dial(t, r.opts.Socket)
	attached := make(chan struct{})
	var states []State
	over := make(chan error, 1)
	go func() {
		over <- c.Events(context.Background(),
			func(st Status) error { states = append(states, st.Service("app").State); close(attached); return nil },
			func(e Event) error { states = append(states, e.State); return nil })
	}()
	<-attached
	if err := r.Restart(context.Background(), "app"); err != nil {
		t.Fatal(err)
	}
	r.Stop()
	if err := <-over; err != nil {
		t.Fatal(err)
	}
	want := []State{Ready, Stopping, Starting, Ready, Stopping, Stopped}
	if len(states) != len(want) {
		t.Fatalf("got %v, want %v", states, want)
	}
	for i := range want {
		if states[i] != want[i] {
			t.Fatalf("got %v, want %v", states, want)
		}
	}
}

func TestStopAnswersWhenAnotherMayStart(t *testing.T) {
	dir := shortDir(t)
	app := childSpec("app", "stubborn", "")
	app.Stop = 100 * time.Millisecond
	for _, kill := range []bool{false, true, false} {
		r := supervise(t, Options{Dir: dir, Services: []Spec{server("gateway"), app}})
		r.ready()
		stopped := map[string]bool{}
		err := dial(t, r.opts.Socket).Stop(context.Background(), kill, func(e Event) {
			if e.State == Stopped {
				stopped[e.Service] = true
			}
		})
		if err != nil {
			t.Fatal(err)
		}
		if len(stopped) != 2 {
			t.Fatalf("told of %v", stopped)
		}
		if left := r.mark.living(); len(left) > 0 {
			t.Fatalf("left behind: %v", describe(left))
		}
	}
	if _, err := Dial(filepath.Join(dir, "control.sock")); !errors.Is(err, prism.ReasonUnavailable) {
		t.Fatalf("got %v", err)
	}
}

func TestClientFollowsLogs(t *testing.T) {
	r := supervise(t, Options{Services: []Spec{childSpec("app", "talk", "first words")}})
	r.ready()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	c := dial(t, r.opts.Socket)
	enough := errors.New("enough")
	seen := 0
	err := c.Logs(ctx, LogQuery{Follow: true, Grep: "words"}, func(l Line) error {
		seen++
		switch {
		case l.Service != "app" || l.Text != "first words":
			return errors.New("got " + l.Text)
		case seen == 1:
			go r.Restart(ctx, "app")
			return nil
		}
		return enough
	})
	if err != enough {
		t.Fatal(err)
	}
	gone, stop := context.WithCancel(ctx)
	time.AfterFunc(20*time.Millisecond, stop)
	if err := c.Logs(gone, LogQuery{Follow: true, Grep: "nothing like it"}, func(Line) error { return nil }); !errors.Is(err, prism.ReasonCancelled) {
		t.Fatalf("got %v", err)
	}
	if err := c.Logs(ctx, LogQuery{Grep: "("}, func(Line) error { return nil }); !errors.Is(err, prism.ReasonInvalidArgument) {
		t.Fatalf("got %v", err)
	}
}

func TestHungSupervisorIsSaidToHang(t *testing.T) {
	dir, m := shortDir(t), newMark()
	p := startSupervisor(t, script{Dir: dir, GraceMS: 50, Services: []scriptService{{Name: "app", Mode: "sleep"}}}, m)
	p.hear(t, "ready")
	p.freeze(t)
	c := dial(t, filepath.Join(dir, "control.sock"))
	c.Silence = 200 * time.Millisecond
	_, err := c.Status(context.Background())
	var e *prism.Error
	if !errors.As(err, &e) || e.Reason != prism.ReasonDeadlineExceeded || e.Meta["kind"] != "hung" {
		t.Fatalf("got %v", err)
	}
	st, err := Inspect(dir)
	if err != nil || st.Supervisor != p.cmd.Process.Pid || !strings.Contains(strings.Join(st.Warnings, " "), "does not answer") {
		t.Fatalf("Inspect: %+v, %v", st, err)
	}
	if _, err := Cleanup(Options{ID: "t", Dir: dir}); !errors.Is(err, prism.ReasonAlreadyExists) {
		t.Fatalf("Cleanup: %v", err)
	}
}

func TestSupervisorKilledInTheMiddleOfAnAnswerIsUnavailable(t *testing.T) {
	dir, m := shortDir(t), newMark()
	p := startSupervisor(t, script{Dir: dir, GraceMS: 50, Services: []scriptService{{Name: "app", Mode: "sleep"}}}, m)
	p.hear(t, "ready")
	c := dial(t, filepath.Join(dir, "control.sock"))
	err := c.Events(context.Background(), func(Status) error { return p.cmd.Process.Kill() }, nil)
	var e *prism.Error
	if !errors.As(err, &e) || e.Reason != prism.ReasonUnavailable || e.Meta["kind"] != "gone" {
		t.Fatalf("got %v", err)
	}
}

func TestBadRequestsAreAnswered(t *testing.T) {
	r := supervise(t, Options{Services: []Spec{childSpec("app", "sleep", "")}})
	r.ready()
	for in, want := range map[string]string{
		"{}\n":                         "INVALID_ARGUMENT",
		"nonsense\n":                   "INVALID_ARGUMENT",
		`{"v":2,"op":"status"}` + "\n": "protocol version 1",
		`{"v":1,"op":"dance"}` + "\n":  "UNIMPLEMENTED",
		strings.Repeat("x", 70<<10):    "INVALID_ARGUMENT",
	} {
		c, err := net.Dial("unix", r.opts.Socket)
		if err != nil {
			t.Fatal(err)
		}
		c.SetDeadline(time.Now().Add(patience))
		c.Write([]byte(in))
		line, err := bufio.NewReader(c).ReadString('\n')
		// A request that is too long may be cut off by a reset instead.
		if !strings.Contains(line, want) && len(in) < 60<<10 {
			t.Errorf("%.30q: got %q, %v", in, line, err)
		}
		c.Close()
	}
	if !r.Status().Ready {
		t.Fatal("it had an effect")
	}
}

func TestInspectOfNothingIsNothing(t *testing.T) {
	dir := shortDir(t)
	if st, err := Inspect(dir); err != nil || st.Running || len(st.Services) != 0 {
		t.Fatalf("got %+v, %v", st, err)
	}
	if n, err := Cleanup(Options{Dir: dir}); err != nil || n != 0 {
		t.Fatalf("got %d, %v", n, err)
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(statePath(dir), []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	if st, err := Inspect(dir); err != nil || len(st.Warnings) != 1 {
		t.Fatalf("got %+v, %v", st, err)
	}
	if _, err := os.Stat(statePath(dir)); err != nil {
		t.Fatal("Inspect moved the file")
	}
}

func TestReexecLeavesOrdinaryArgumentsAlone(t *testing.T) {
	for _, args := range [][]string{nil, {"prismctl"}, {"prismctl", "dev", "up"}} {
		if code, ran := Reexec(args); ran || code != 0 {
			t.Errorf("%v was taken", args)
		}
	}
	for _, args := range [][]string{{"x", argExec}, {"x", argExec, "many", "/bin/true"}} {
		if code, ran := Reexec(args); !ran || code != 2 {
			t.Errorf("%v: exit %d, %v", args, code, ran)
		}
	}
}
