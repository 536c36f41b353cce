package dev

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/prism-data-layer/prism/pkg/cli/checkup"

	"github.com/prism-data-layer/prism/pkg/cli"
	"github.com/prism-data-layer/prism/pkg/config"
	"github.com/prism-data-layer/prism/pkg/iostreams"
	"github.com/prism-data-layer/prism/pkg/prism"
	"github.com/prism-data-layer/prism/pkg/supervise"
)

func TestComplaintNamesWhoIsNotReadyAndShowsItsLastLines(t *testing.T) {
	t.Parallel()
	st := supervise.Status{Running: true, Services: []supervise.ServiceStatus{
		{Name: "prismd", State: supervise.CrashLoop, Message: "10 starts", LastLog: []string{"fire\x1b[31m!", "", "  \n", "smoke"}},
	}}
	err := notReady(st)
	var f *cli.Failure
	if !errors.As(err, &f) || f.Fix != "prismctl dev logs prismd" || err.Error() != "prismd is crash-loop: 10 starts" || cli.Code(err) != cli.ExitUnavailable || !looping(st) {
		t.Errorf("got %v", err)
	}
	if !strings.Contains(goesOn(st), "dev restart") || strings.Contains(goesOn(supervise.Status{}), "dev restart") {
		t.Errorf("got %q", goesOn(st))
	}
	ios, _, _, errOut := iostreams.Test()
	(&upOptions{IO: ios}).complain("it burns", st)
	if got := errOut.String(); !strings.HasPrefix(got, "it burns\n  prismd is crash-loop: 10 starts\n  prismd | fire") || !strings.HasSuffix(got, "\n  fix: prismctl dev logs prismd says more; when it is mended: prismctl dev up\n") || strings.Count(got, "\n") != 5 || strings.Contains(got, "\x1b") {
		t.Errorf("got %q", got)
	}
	if st.Services[0].State, st.Services[0].Message = supervise.Starting, ""; notReady(st).Error() != "prismd is starting" {
		t.Errorf("got %v", notReady(st))
	}
	if st.Services[0].State = supervise.Ready; notReady(st) != nil || looping(st) {
		t.Errorf("got %v", notReady(st))
	}
}

func TestLateIsWhoeverStillTries(t *testing.T) {
	t.Parallel()
	for state, want := range map[supervise.State]bool{supervise.Degraded: true, supervise.Crashed: true, supervise.CrashLoop: false, supervise.Stopped: false, supervise.Ready: false} {
		if got := late(supervise.Status{Services: []supervise.ServiceStatus{{State: state, Late: true}}}); got != want {
			t.Errorf("%s: got %v, want %v", state, got, want)
		}
	}
}

func TestOnlyADecisionIsFinal(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		exit *supervise.Exit
		want bool
	}{
		{nil, false},
		{&supervise.Exit{Code: 1}, false},
		{&supervise.Exit{Code: 2}, true},
		{&supervise.Exit{Code: 5}, true},
		{&supervise.Exit{Code: 7}, true},
		{&supervise.Exit{Code: 7, Signal: "SIGKILL"}, false},
	} {
		if got := refuses(&supervise.ServiceStatus{Exit: c.exit}); got != c.want {
			t.Errorf("%v: got %v, want %v", c.exit, got, c.want)
		}
	}
	if refuses(nil) {
		t.Error("nobody refuses")
	}
}

func TestEventIsOneLineThatIsSafeForATerminal(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 3, 1, 12, 0, 0, 5e6, time.UTC)
	for want, e := range map[string]supervise.Event{
		"12:00:00.005  prismd         ready      pid 7":                {Time: at, Service: "prismd", State: supervise.Ready, PID: 7},
		`12:00:00.005  prismd         crashed     exit\x1b[31m code 3`: {Time: at, Service: "prismd", State: supervise.Crashed, Message: "exit\x1b[31m code 3"},
		"12:00:00.005    the watcher was replaced":                     {Time: at, Message: "the watcher was replaced"},
	} {
		if got := eventLine(e); got != want {
			t.Errorf("got  %q\nwant %q", got, want)
		}
	}
}

func TestTakenPortSaysHowToTakeAnother(t *testing.T) {
	t.Parallel()
	taken := prism.New(prism.ReasonFailedPrecond, "taken").WithMeta("kind", "port_taken")
	var f *cli.Failure
	if err := portAdvice(taken); !errors.As(err, &f) || !strings.Contains(f.Fix, "--auto-ports") {
		t.Errorf("got %v", err)
	}
	if other := errors.New("other"); portAdvice(other) != other || stateAdvice(other) != other || stateAdvice(nil) != nil {
		t.Error("other errors are changed")
	}
}

func TestNoContextWhereNothingWasStarted(t *testing.T) {
	t.Parallel()
	place, err := config.FindProject(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	if c, err := Context(place, config.Dirs{State: t.TempDir()}); c != nil || err != nil {
		t.Errorf("got %v, %v", c, err)
	}
}

func TestSupervisorIsStartedWithTheSameWishes(t *testing.T) {
	t.Parallel()
	o := &upOptions{AllowSkew: true, wish: wish{AutoPorts: true, PortOffset: 7}}
	if got := strings.Join(o.childArgs(&plan{program: "/bin/prismd"}), " "); got != "dev up --supervisor --progress plain --prismd /bin/prismd --allow-skew --auto-ports --port-offset=7" {
		t.Errorf("got %s", got)
	}
}

func TestTokenIsReadFromTheDataFolder(t *testing.T) {
	t.Parallel()
	if got := tokenIn(t.TempDir()); got != "" {
		t.Errorf("got %q", got)
	}
	if f := checkup.Folder("x", t.TempDir()+"/not/there/yet")(t.Context())[0]; f.State != checkup.Pass {
		t.Errorf("got %+v", f)
	}
}
