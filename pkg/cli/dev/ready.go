package dev

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/prism-data-layer/prism/pkg/iostreams"
	"github.com/prism-data-layer/prism/pkg/supervise"
	"github.com/prism-data-layer/prism/stacks"
)

// printReady prints where everything is, service by service: addresses, and for
// a stack what to open or to sign in with.
func (o *upOptions) printReady(p project, st supervise.Status) {
	records, _ := stacks.Running(p.state) //nolint:errcheck // the addresses stand without them
	width := nameWidth(st)
	for _, s := range st.Services {
		for _, name := range sockets {
			if addr := s.Listen[name]; addr != "" && s.Name == gateway {
				fmt.Fprintf(o.IO.Out, "%-*s %-8s %s\n", width, s.Name, name, addressOf(name, addr))
			}
		}
		printStack(o.IO.Out, s, records, width)
	}
}

// nameWidth is the width of the column of names.
func nameWidth(st supervise.Status) int {
	width := 8
	for _, s := range st.Services {
		width = max(width, len(s.Name))
	}
	return width
}

func printStack(out io.Writer, s supervise.ServiceStatus, records []stacks.Record, width int) {
	for _, r := range records {
		if r.Name != s.Name {
			continue
		}
		for _, l := range r.Links {
			fmt.Fprintf(out, "%-*s %-8s %s\n", width, r.Name, l.Name, iostreams.Escape(l.URL))
			if l.Note != "" {
				fmt.Fprintf(out, "%-*s %-8s   %s\n", width, "", "", iostreams.Escape(l.Note))
			}
		}
		if len(r.Links) == 0 { // nothing to open: what applications use
			for _, name := range slices.Sorted(maps.Keys(r.Env)) {
				fmt.Fprintf(out, "%-*s %s=%s\n", width, r.Name, name, iostreams.Escape(r.Env[name]))
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

// announce says that it is ready, how long that took, and what comes next.
func (o *upOptions) announce(pl *plan, st supervise.Status, took time.Duration, next string) {
	o.printReady(pl.project, st)
	if o.Progress == progressJSON {
		o.tellJSON(map[string]any{"time": o.Clock.Now(), "state": supervise.Ready, "took_ms": took.Milliseconds(), "services": st.Services})
		return
	}
	if len(st.Services) > 1 {
		var parts []string
		for _, s := range st.Services {
			parts = append(parts, fmt.Sprintf("%s %.1f s", s.Name, (time.Duration(s.ReadyMS)*time.Millisecond).Seconds()))
		}
		fmt.Fprintf(o.IO.ErrOut, "times: %s\n", strings.Join(parts, ", "))
	}
	fmt.Fprintln(o.IO.ErrOut, `addresses for applications: eval "$(prismctl dev env -o shell)"`)
	fmt.Fprintf(o.IO.ErrOut, "ready in %.1f s with %s; %s\n", took.Seconds(), pl.origin, next)
}
