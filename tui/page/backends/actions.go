package backends

import (
	"context"
	"fmt"
	"regexp"
	"strings"

	tea "charm.land/bubbletea/v2"

	"github.com/prism-data-layer/prism/pkg/prism"
	"github.com/prism-data-layer/prism/tui/component/figure"
	"github.com/prism-data-layer/prism/tui/component/text"
	"github.com/prism-data-layer/prism/tui/component/toast"
	"github.com/prism-data-layer/prism/tui/keys"
	"github.com/prism-data-layer/prism/tui/page"
)

// What can be done with a backend, in the list and on its own page.
const (
	actOpen   keys.Action = "open"
	actProbe  keys.Action = "probe"
	actAdd    keys.Action = "add"
	actTest   keys.Action = "test"
	actRemove keys.Action = "remove"
	actFault  keys.Action = "fault"
	actHeal   keys.Action = "heal"
)

func changes() keys.Table {
	return keys.Table{
		{Action: actTest, Keys: []string{"t"}, Label: "test", Help: "write, read back and delete a little on the backend", Changes: true},
		{Action: actFault, Keys: []string{"f"}, Label: "fault", Help: "make the backend slow or failing for a while, where the gateway allows it", Changes: true},
		{Action: actHeal, Keys: []string{"F"}, Help: "end the faults of the backend", Changes: true},
		{Action: actRemove, Keys: []string{"x"}, Label: "remove", Help: "remove a backend that was added, after asking", Changes: true},
	}
}

func probe(e page.Env, s Source, b Backend) page.Show {
	return e.Printed(s, "Health of "+text.Clean(b.Name), "backend", "health", b.Name)
}

// change performs one of changes.
func change(e page.Env, s Source, a keys.Action, b Backend) tea.Cmd {
	switch a {
	case actTest:
		return page.Do(e.Printed(s, "Test of "+text.Clean(b.Name), "backend", "test", b.Name))
	case actFault:
		return page.Do(fault(e, s, b))
	case actHeal:
		return heal(e, s, b)
	case actRemove:
		return remove(e, s, b)
	}
	return nil
}

func remove(e page.Env, s Source, b Backend) tea.Cmd {
	switch {
	case !b.Added && b.Declared != "":
		return toast.Warn("it is declared in " + text.Clean(b.Declared) + ": take it out there")
	case !b.Added:
		return toast.Warn("only a backend that was added can be removed")
	case len(b.Namespaces) > 0:
		return toast.Warn("it holds " + figure.Many(len(b.Namespaces), "namespace") + ": move or delete first what is there")
	}
	return page.Do(page.Ask{
		Title: "Remove backend " + text.Clean(b.Name), Verb: "Remove", Name: b.Name,
		Lines: []string{"It is closed and forgotten. What is in its store is left alone."},
		Job:   e.Job(s, []string{"backend", "remove", b.Name}, "--yes"),
	})
}

// heal ends all faults of a backend.
func heal(e page.Env, s Source, b Backend) tea.Cmd {
	if len(b.Faults) == 0 {
		return toast.Warn("no fault acts on " + text.Clean(b.Name))
	}
	lines, ids := []string{}, []string{}
	for _, f := range b.Faults {
		lines, ids = append(lines, text.Clean(f.What)), append(ids, f.ID)
	}
	return page.Do(page.Ask{
		Title: fmt.Sprintf("End %s of %s", figure.Many(len(ids), "fault"), text.Clean(b.Name)), Verb: "End them", Name: b.Name, Lines: lines,
		Job: page.Job{Command: e.Line("fault", "remove", ids[0]), Do: func(ctx context.Context, say func(string)) (string, error) {
			for _, id := range ids {
				if _, err := s.Run(ctx, []string{"fault", "remove", id}, "", say); err != nil {
					return "", err
				}
			}
			return "ended " + figure.Many(len(ids), "fault"), nil
		}},
	})
}

// fault asks for what is to go wrong.
func fault(e page.Env, s Source, b Backend) page.Form {
	args := func(v map[string]string) []string {
		a := []string{"fault", "add", "--backend", b.Name, "--for", v["for"]}
		for _, f := range []struct{ flag, normal string }{{"latency", ""}, {"jitter", ""}, {"errors", ""}, {"reason", "BACKEND_UNAVAILABLE"}, {"calls", "all"}} {
			if x := v[f.flag]; x != "" && x != f.normal {
				a = append(a, "--"+f.flag, x)
			}
		}
		return a
	}
	duration := regexp.MustCompile(`^(\d+(\.\d+)?(h|m|s|ms|us))+$`)
	return page.Form{
		Title: "Make trouble on " + text.Clean(b.Name), Verb: "Begin",
		Fields: []page.Field{
			{Name: "latency", Label: "Latency", Help: "how much longer calls take, such as 200ms; empty: no longer"},
			{Name: "jitter", Label: "Jitter", Help: "up to so much more or less", When: func(v map[string]string) bool { return v["latency"] != "" }},
			{Name: "errors", Label: "Errors", Help: "the share of calls that fail, such as 10%; empty: none"},
			{
				Name: "reason", Label: "Reason", Help: "what they fail with", Value: "BACKEND_UNAVAILABLE", When: func(v map[string]string) bool { return v["errors"] != "" },
				Options: []string{"BACKEND_UNAVAILABLE", "DEADLINE_EXCEEDED", "OVERLOADED", "DISK_FULL", "INTERNAL"},
			},
			{Name: "calls", Label: "Calls", Help: "which calls it meets", Value: "all", Options: []string{"all", "read", "write"}},
			{Name: "for", Label: "For", Help: "it ends by itself, after an hour at the latest", Value: "1m", Required: true},
		},
		Check: func(v map[string]string) map[string]string {
			problems := map[string]string{}
			for _, f := range []string{"latency", "jitter", "for"} {
				if v[f] != "" && !duration.MatchString(v[f]) {
					problems[f] = "write a number and a unit, such as 200ms or 1m"
				}
			}
			if v["latency"] == "" && v["errors"] == "" {
				problems["errors"] = "name a latency or a share of errors"
			}
			return problems
		},
		Command: func(v map[string]string) string { return e.Line(args(v)...) },
		Do:      does(s, args),
	}
}

// add asks for a new backend.
func add(e page.Env, s Source, taken map[string]Backend) page.Form {
	args := func(v map[string]string) []string {
		a := []string{"backend", "add", v["name"], "--driver", v["driver"]}
		for _, o := range strings.Fields(v["options"]) {
			a = append(a, "--option", o)
		}
		return a
	}
	return page.Form{
		Title: "Add a backend", Verb: "Add",
		Fields: []page.Field{
			{Name: "name", Label: "Name", Help: "small letters, digits and -, such as archive", Required: true},
			{Name: "driver", Label: "Driver", Help: "the kind of store, such as memory, pebble or redis", Required: true},
			{Name: "options", Label: "Options", Help: "settings of the driver as NAME=VALUE, with spaces between; a secret by its file"},
		},
		Check: func(v map[string]string) map[string]string {
			problems := map[string]string{}
			if _, there := taken[v["name"]]; there {
				problems["name"] = "there is a backend of this name"
			} else if v["name"] != "" && !prism.ValidName(v["name"]) {
				problems["name"] = "small letters, digits and -, a letter first, at most 63"
			}
			for _, o := range strings.Fields(v["options"]) {
				if name, _, ok := strings.Cut(o, "="); !ok || name == "" {
					problems["options"] = fmt.Sprintf("%q is no NAME=VALUE", o)
				}
			}
			return problems
		},
		Command: func(v map[string]string) string { return e.Line(args(v)...) },
		Do:      does(s, args),
	}
}

func does(s Source, args func(map[string]string) []string) func(context.Context, map[string]string, func(string)) (string, error) {
	return func(ctx context.Context, v map[string]string, say func(string)) (string, error) {
		out, err := s.Run(ctx, args(v), "", say)
		return strings.TrimSpace(out), err
	}
}
