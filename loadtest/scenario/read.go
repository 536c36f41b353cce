package scenario

import (
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"

	"github.com/prism-data-layer/prism/loadtest/report"
	"github.com/prism-data-layer/prism/pkg/config"
	"github.com/prism-data-layer/prism/pkg/prism"
)

//go:embed catalog/*.yaml
var catalog embed.FS

// Names lists the catalogue.
func Names() []string {
	files, _ := fs.Glob(catalog, "catalog/*.yaml")
	names := make([]string, len(files))
	for i, f := range files {
		names[i] = strings.TrimSuffix(path.Base(f), ".yaml")
	}
	return names
}

// Text is the file of a scenario of the catalogue.
func Text(name string) ([]byte, error) {
	if !slices.Contains(Names(), name) {
		return nil, prism.New(prism.ReasonNotFound, "there is no scenario %q", name)
	}
	return catalog.ReadFile("catalog/" + name + ".yaml")
}

// Find reads a scenario of the catalogue.
func Find(name string) (*Scenario, error) {
	text, err := Text(name)
	if err != nil {
		return nil, err
	}
	return Parse(name+".yaml", text)
}

// Parse reads a file; every mistake in it is told with its line and column.
func Parse(name string, text []byte) (*Scenario, error) {
	s := new(Scenario)
	if err := config.Decode(name, text, Kind, s, config.Load{}); err != nil {
		return nil, documented(err)
	}
	if problems := s.check(); len(problems) > 0 {
		return nil, documented(config.NewError(problems...))
	}
	return s, nil
}

// documented points to our page where the decoder knows only its own.
func documented(err error) error {
	var e *config.Error
	if errors.As(err, &e) {
		for i := range e.Problems {
			e.Problems[i].Doc = "docs/loadtest.md#scenario-files"
		}
	}
	return err
}

// check finds what the words alone do not show.
func (s *Scenario) check() []config.Problem {
	var all []config.Problem
	say := func(w config.Where, field, suggest, format string, args ...any) {
		all = append(all, w.Problem(field, suggest, format, args...))
	}
	s.checkLoad(say)
	names := map[string]bool{}
	for i := range s.Workloads {
		w := &s.Workloads[i]
		if names[w.Label()] {
			say(w.Where, "name", "", "there are two workloads %q: give each a name", w.Label())
		}
		names[w.Label()] = true
		w.check(say)
	}
	if len(s.Workloads) > 1 && len(all) == 0 {
		if _, err := s.Build("check", make([]any, len(s.Workloads))); err != nil {
			say(s.Where, "workloads", "", "the shares %s", words(err))
		}
	}
	for i, text := range s.Thresholds {
		if _, err := report.ParseThresholds(text); err != nil {
			say(s.Where, fmt.Sprintf("thresholds[%d]", i), "", "%s", words(err))
		}
	}
	for _, f := range s.Faults {
		if f.Latency == 0 && f.Jitter == 0 && f.Errors == 0 {
			say(f.Where, "", "", "the fault does nothing: give it a latency or errors")
		}
		if end := s.Length(); end > 0 && f.At >= end {
			say(f.Where, "at", "", "the fault begins at %s, when the run of %s is over", config.FormatDuration(f.At), config.FormatDuration(end))
		}
	}
	return all
}

type sayer func(w config.Where, field, suggest, format string, args ...any)

func (s *Scenario) checkLoad(say sayer) {
	ways := 0
	for _, given := range []bool{s.Rate != 0, s.Closed != 0, len(s.Phases) > 0} {
		if given {
			ways++
		}
	}
	switch {
	case ways == 0:
		say(s.Where, "", "", "there is no load: give a rate, phases or closed")
		return
	case ways > 1:
		say(s.Where, "closed", "", "rate, phases and closed are three kinds of load: give one of them")
		return
	case s.Closed < 0:
		say(s.Where, "closed", "", "closed must be more than 0")
		return
	case len(s.Phases) > 0 && s.For > 0:
		say(s.Where, "duration", "", "phases last as long as they say: leave the duration out")
		return
	case len(s.Phases) == 0 && s.For == 0:
		say(s.Where, "duration", "", "the duration is missing: how long it is measured")
		return
	}
	for _, p := range s.Phases {
		if p.Declared("rate") && (p.Declared("from") || p.Declared("to")) {
			say(p.Where, "rate", "", "a phase has a rate, or goes from one to another")
			return
		}
	}
	if _, err := s.Schedule(); err != nil {
		field, where := "rate", s.Where
		var e *prism.Error
		if errors.As(err, &e) && len(e.Fields) > 0 {
			field = e.Fields[0].Field
		}
		var i int
		if n, _ := fmt.Sscanf(field, "phases[%d].", &i); n == 1 && i < len(s.Phases) {
			where, field = s.Phases[i].Where, "rate"
		}
		say(where, field, "", "the load %s", words(err))
	}
}

// keys are what a file calls the fields of a workload's configuration.
func keyOf(field string) string {
	switch field {
	case "value_bytes":
		return "value_size"
	case "prefix":
		return ""
	}
	return field
}

func (w *Workload) check(say sayer) {
	_, err := w.Build(nil, 1, Place{Run: "check"})
	if err == nil {
		return
	}
	e := prism.From(err)
	if len(e.Fields) == 0 {
		say(w.Where, "", "", "%s", e.Message)
		return
	}
	field, suggest := keyOf(e.Fields[0].Field), ""
	if field == "mix" {
		suggest = w.nearestMix()
	}
	say(w.Where, field, suggest, "%s: %s", field, e.Fields[0].Message)
}

// nearestMix puts the nearest operation in place of an unknown one.
func (w *Workload) nearestMix() string {
	known := Operations(w.Model)
	parts := strings.Split(w.Mix, ",")
	for i, part := range parts {
		name, share, ok := strings.Cut(strings.TrimSpace(part), "=")
		if ok && !slices.Contains(known, name) {
			near := config.Nearest(name, known)
			if near == "" {
				return ""
			}
			parts[i] = near + "=" + share
		}
	}
	return strings.Join(parts, ",")
}
