package dev

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"sync"

	"github.com/prism-data-layer/prism/pkg/cli"
	"github.com/prism-data-layer/prism/pkg/config"
	"github.com/prism-data-layer/prism/pkg/prism"
	"github.com/prism-data-layer/prism/stacks"
	"github.com/prism-data-layer/prism/stacks/engine"
)

// planStacks plans the stacks that are wished for.
func (pl *plan) planStacks(ctx context.Context) error {
	var err error
	pl.stacks, err = pl.stackProject(pl.wish).Plan(ctx, pl.names(pl.own))
	if err != nil {
		if told := stateAdvice(err); told != err {
			return told
		}
		return advised(err)
	}
	pl.skipped, pl.warnings = pl.stacks.Skipped, pl.stacks.Warnings
	pl.Skipped = nil
	for _, s := range pl.skipped {
		pl.Skipped = append(pl.Skipped, s.Name)
	}
	return nil
}

// stackProject is the project for package stacks.
func (p project) stackProject(w wish) stacks.Project {
	sp := stacks.Project{
		ID: p.ID, Root: p.Root, State: p.state, Native: p.dirs.Native(), Socket: p.socket, Lookup: p.look,
		Form: stacks.Form(w.Form), Offset: w.PortOffset, Auto: w.AutoPorts, Ports: w.stackPorts(p.own),
		Forms: map[string]stacks.Form{}, Images: map[string]string{}, Engine: p.engine(),
	}
	if p.own != nil {
		for name, form := range p.own.Forms {
			sp.Forms[name] = stacks.Form(form)
		}
		maps.Copy(sp.Images, p.own.Images)
	}
	return sp
}

// engine finds the container engine's client, once.
func (p project) engine() func(context.Context) (engine.Engine, error) {
	find := sync.OnceValues(func() (engine.Engine, error) { return engine.Find(p.look, p.dirs.Native()) })
	return func(context.Context) (engine.Engine, error) { return find() }
}

// advised gives an error of stacks or engine, which says in its Meta what to
// type, the form of one of the command line.
func advised(err error) error {
	var e *prism.Error
	if !errors.As(err, &e) || e.Meta["fix"] == "" {
		return err
	}
	f := &cli.Failure{Err: err, Fix: e.Meta["fix"]}
	if e.Meta["kind"] == "usage" {
		f.Exit = cli.ExitUsage
	}
	return f
}

// refuse refuses a command line of which nothing can be started here.
func (pl *plan) refuse() error {
	if !pl.asked() || len(pl.skipped) == 0 || len(pl.stacks.Instances) > 0 {
		return nil
	}
	s := pl.skipped[0]
	err := prism.New(prism.ReasonFailedPrecond, "%s cannot run here: %s", s.Name, s.Why)
	for _, more := range pl.skipped[1:] {
		err.Message += fmt.Sprintf("; nor can %s: %s", more.Name, more.Why)
	}
	return &cli.Failure{Err: err, Exit: cli.ExitUnavailable, Fix: s.Fix + "; without it: prismctl dev up"}
}

// declare gives the gateway the backend of a stack. A file of the project's own
// is its owner's: it must have it already.
func (pl *plan) declare(i *stacks.Instance) error {
	name, driver, options, ok := i.Backend()
	if !ok {
		return nil
	}
	line := fmt.Sprintf("{name: %s, driver: %s, options: %s}", name, driver, options)
	if _, ok := pl.gateway.Backend(name); ok {
		return nil
	}
	if pl.file != "" {
		return cli.WithFix(prism.New(prism.ReasonFailedPrecond, "%s declares no backend %q", filepath.Base(pl.file), name), "add to its backends: - %s", line)
	}
	more, err := config.ParseGateway(config.DefaultName, []byte("apiVersion: prism/v1\nbackends:\n  - "+line+"\n"), config.Load{})
	if err != nil {
		return err
	}
	pl.gateway.Backends = append(pl.gateway.Backends, more.Backends...)
	pl.settings = config.Marshal(pl.gateway)
	return nil
}

func (pl *plan) settingsFile() string { return filepath.Join(pl.state, "gateway.yaml") }

// prepare writes what the services need on disk. It is called under the
// supervisor's lock.
func (pl *plan) prepare() error {
	if len(pl.stacks.Instances) > 0 {
		if _, err := pl.MakeDataDir(); err != nil { // with its .gitignore
			return err
		}
	}
	if err := pl.stacks.Prepare(); err != nil {
		return advised(err)
	}
	if err := pl.saveWish(pl.wish); err != nil || pl.settings == nil {
		return err
	}
	return os.WriteFile(pl.settingsFile(), pl.settings, 0o600)
}

// contained are the instances that run in containers.
func (pl *plan) contained() []*stacks.Instance {
	return slices.DeleteFunc(slices.Clone(pl.stacks.Instances), func(i *stacks.Instance) bool { return i.Form != stacks.FormContainer })
}
