package dev

import (
	"context"
	"errors"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/prism-data-layer/prism/pkg/config"
	"github.com/prism-data-layer/prism/pkg/supervise"
	"github.com/prism-data-layer/prism/stacks"
)

// ownStop is how long a program of the project has to end.
const ownStop = 10 * time.Second

// addServices puts the project's own programs into the plan. They get what dev
// env prints, and wait for the gateway unless they say for what.
func (pl *plan) addServices() error {
	if pl.own == nil {
		return nil
	}
	env := pl.appEnv()
	for _, s := range pl.own.Services {
		if err := runnable(s); err != nil {
			return err
		}
		spec := supervise.Spec{
			Name: s.Name, Path: s.Command[0], Args: s.Command[1:], Dir: filepath.Join(pl.Root, s.Dir), Stop: ownStop,
			After: pl.present(s.After), Ready: supervise.Probe{Name: "it runs for " + steady.String(), Check: new(survivor).check},
		}
		if strings.ContainsRune(spec.Path, filepath.Separator) && !filepath.IsAbs(spec.Path) {
			spec.Path = filepath.Join(spec.Dir, spec.Path)
		}
		if !s.Declared("after") {
			spec.After = []string{gateway}
		}
		for _, v := range env {
			spec.Env = append(spec.Env, v.Name+"="+v.Value)
		}
		for _, name := range slices.Sorted(maps.Keys(s.Env)) {
			spec.Env = append(spec.Env, name+"="+s.Env[name])
		}
		pl.specs = append(pl.specs, spec)
	}
	return nil
}

// steady is how long a program of the project must run to be called ready: we
// have no question to it, and one that ends at once never was.
const steady = 500 * time.Millisecond

// A survivor asks whether a process has run for long enough.
type survivor struct {
	pid   int
	since time.Time
}

func (s *survivor) check(_ context.Context, i supervise.Instance) error {
	if s.pid != i.PID {
		s.pid, s.since = i.PID, time.Now()
	}
	if time.Since(s.since) < steady {
		return errors.New("it has only just begun")
	}
	return nil
}

// runnable refuses what a program that is started here cannot be given.
func runnable(s config.Service) error {
	switch {
	case len(s.Mounts) > 0:
		return config.NewError(s.Problem("mounts", "", "the service %q is a program of this machine, which sees its files: nothing is mounted", s.Name))
	case s.Privileged:
		return config.NewError(s.Problem("privileged", "", "the service %q is a program of this machine and has your privileges, not more", s.Name))
	}
	return nil
}

// present leaves out what is not started here, which was said already.
func (pl *plan) present(names []string) []string {
	return slices.DeleteFunc(slices.Clone(names), func(name string) bool {
		return slices.ContainsFunc(pl.skipped, func(s stacks.Skipped) bool { return s.Name == name })
	})
}
