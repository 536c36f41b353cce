package dev

import (
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"syscall"

	"github.com/prism-data-layer/prism/pkg/cli"
	"github.com/prism-data-layer/prism/pkg/iostreams"
	"github.com/prism-data-layer/prism/pkg/prism"
	"github.com/prism-data-layer/prism/pkg/supervise"
)

// lastLines is how much of a log a complaint shows.
const lastLines = 20

// complain says what is wrong and names each part that is not ready: what it
// was asked and what it answered, how it ended, its last lines, and what to do.
func (o *upOptions) complain(what string, st supervise.Status) {
	w := o.IO.ErrOut
	if o.Progress == progressJSON {
		o.tellJSON(map[string]any{"time": o.Clock.Now(), "message": what, "services": st.Services})
		return
	}
	fmt.Fprintln(w, iostreams.Escape(what))
	for _, s := range st.Services {
		if s.State.Up() || s.State == supervise.Starting && !s.Late && len(s.LastLog) == 0 {
			continue
		}
		fmt.Fprintf(w, "  %s is %s\n", s.Name, iostreams.Escape(plight(s)))
		for _, l := range s.LastLog[max(0, len(s.LastLog)-lastLines):] {
			if l = strings.TrimRight(l, " \t\r\n"); l != "" {
				fmt.Fprintf(w, "  %s | %s\n", s.Name, iostreams.Escape(l))
			}
		}
		fmt.Fprintf(w, "  fix: %s\n", remedy(s))
	}
}

// plight is a service's state, why it is in it, and how its last run ended.
func plight(s supervise.ServiceStatus) string {
	text := string(s.State)
	if s.Message != "" {
		text += ": " + s.Message
	}
	if s.Exit != nil && !strings.Contains(text, s.Exit.String()) {
		text += " (" + s.Exit.String() + ")"
	}
	return text
}

// remedy is what to type for a service that is not ready.
func remedy(s supervise.ServiceStatus) string {
	if s.State == supervise.CrashLoop || s.State == supervise.Crashed {
		return "prismctl dev logs " + s.Name + " says more; when it is mended: prismctl dev up"
	}
	return "prismctl dev logs " + s.Name + " -f"
}

// goesOn says what becomes of what is not ready.
func goesOn(st supervise.Status) string {
	if looping(st) {
		return "it crashes again and again; prismctl dev up or prismctl dev restart tries once more, prismctl dev down ends it"
	}
	return "it goes on trying; prismctl dev down ends it"
}

// notReady says which service is not ready and why.
func notReady(st supervise.Status) error {
	for _, s := range st.Services {
		if !s.State.Up() {
			return cli.WithFix(prism.New(prism.ReasonUnavailable, "%s is %s", s.Name, plight(s)), "prismctl dev logs %s", s.Name)
		}
	}
	return nil
}

func portAdvice(err error) error {
	var e *prism.Error
	if errors.As(err, &e) && e.Meta["kind"] == "port_taken" {
		return cli.WithFix(err, "stop that process, or choose other ports with --port-offset N, --auto-ports or --port NAME=PORT")
	}
	return err
}

func stateAdvice(err error) error {
	if errors.Is(err, fs.ErrPermission) || errors.Is(err, syscall.EROFS) || errors.Is(err, syscall.ENOTDIR) {
		return cli.WithFix(prism.New(prism.ReasonFailedPrecond, "the folder for the state of services cannot be made").WithCause(err), "set HOME or XDG_STATE_HOME to a place that can be written to")
	}
	return err
}
