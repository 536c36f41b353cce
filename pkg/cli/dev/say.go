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

// eventLine is a change in one line: when, what, which state, and why.
func eventLine(e supervise.Event) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s  ", e.Time.Format("15:04:05.000"))
	if e.Service != "" {
		fmt.Fprintf(&b, "%-8s %-10s", e.Service, e.State)
	}
	if e.PID != 0 {
		fmt.Fprintf(&b, " pid %d", e.PID)
	}
	if e.Message != "" {
		fmt.Fprintf(&b, "  %s", iostreams.Escape(e.Message))
	}
	return strings.TrimRight(b.String(), " ")
}

// printReady prints where everything is.
func (o *upOptions) printReady(st supervise.Status) {
	for _, s := range st.Services {
		for _, name := range []string{"data", "admin", "metrics"} {
			if addr := s.Listen[name]; addr != "" {
				fmt.Fprintf(o.IO.Out, "%-8s %-8s %s\n", s.Name, name, addressOf(name, addr))
			}
		}
	}
}

func addressOf(name, addr string) string {
	if name == "metrics" {
		return "http://" + addr + "/metrics"
	}
	return addr
}

// complain says what is wrong, and with it the last lines of whoever is not
// ready.
func (o *upOptions) complain(what string, st supervise.Status) {
	fmt.Fprintln(o.IO.ErrOut, iostreams.Escape(what))
	for _, s := range st.Services {
		for _, l := range s.LastLog {
			if l = strings.TrimRight(l, " \t\r\n"); l == "" {
				continue
			}
			fmt.Fprintf(o.IO.ErrOut, "  %s | %s\n", s.Name, iostreams.Escape(l))
		}
	}
}

// goesOn says what becomes of what is not ready.
func goesOn(st supervise.Status) string {
	if looping(st) {
		return "it crashes again and again; prismctl dev restart tries once more, prismctl dev down ends it"
	}
	return "it goes on trying; prismctl dev down ends it"
}

// notReady says which service is not ready and why.
func notReady(st supervise.Status) error {
	for _, s := range st.Services {
		if s.State != supervise.Ready {
			text := string(s.State)
			if s.Message != "" {
				text += ": " + s.Message
			}
			return cli.WithFix(prism.New(prism.ReasonUnavailable, "%s is %s", s.Name, text), "prismctl dev logs %s", s.Name)
		}
	}
	return nil
}

func portAdvice(err error) error {
	var e *prism.Error
	if errors.As(err, &e) && e.Meta["kind"] == "port_taken" {
		return cli.WithFix(err, "stop that process, or choose other ports with --port-offset N or --auto-ports")
	}
	return err
}

func stateAdvice(err error) error {
	if errors.Is(err, fs.ErrPermission) || errors.Is(err, syscall.EROFS) {
		return cli.WithFix(prism.New(prism.ReasonFailedPrecond, "the folder for the state of services cannot be made").WithCause(err), "set HOME or XDG_STATE_HOME to a place that can be written to")
	}
	return err
}
