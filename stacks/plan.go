package stacks

import (
	"context"
	"fmt"
	"slices"

	"github.com/prism-data-layer/prism/pkg/prism"
)

// A Plan is what will run.
type Plan struct {
	Project   Project
	Instances []*Instance // in the order in which they can be started
	Skipped   []Skipped
	Warnings  []string
}

// Skipped is a stack that was asked for, or is needed, and cannot run here.
type Skipped struct {
	Name string
	Why  string
	Fix  string // what to type
}

// Instance is the instance of the stack; nil if it is not in the plan.
func (pl *Plan) Instance(name string) *Instance {
	for _, i := range pl.Instances {
		if i.Stack.Name == name {
			return i
		}
	}
	return nil
}

// Plan chooses form and ports for the stacks and for what they need. It starts
// and writes nothing.
//
// Its errors are mistakes of the person's: Meta "kind" is usage (a command line
// that can never be right) or another word, Meta "fix" says what to type. What
// is only not here is in Skipped.
func (p Project) Plan(ctx context.Context, names []string) (*Plan, error) {
	if err := p.checkChoices(); err != nil {
		return nil, err
	}
	order, err := p.order(names)
	if err != nil {
		return nil, err
	}
	pl := &Plan{Project: p}
	eng := &engineCall{find: p.Engine}
	for _, s := range order {
		if err := pl.place(ctx, s, eng); err != nil {
			return nil, err
		}
	}
	pl.leaveOutCovered()
	if err := pl.askEngine(ctx, eng); err != nil {
		return nil, err
	}
	if err := pl.assignPorts(); err != nil {
		return nil, err
	}
	for _, i := range pl.Instances {
		if err := i.fill(); err != nil {
			return nil, err
		}
	}
	return pl, nil
}

// Containers plans stacks in containers, whether or not an engine is here: for
// [Instance.Export].
func (p Project) Containers(names []string) ([]*Instance, error) {
	if err := p.checkChoices(); err != nil {
		return nil, err
	}
	order, err := p.order(names)
	if err != nil {
		return nil, err
	}
	pl := &Plan{Project: p}
	for _, s := range order {
		pl.add(s, FormContainer, "")
	}
	pl.leaveOutCovered()
	if err := pl.assignPorts(); err != nil {
		return nil, err
	}
	for _, i := range pl.Instances {
		if err := i.fill(); err != nil {
			return nil, err
		}
	}
	return pl.Instances, nil
}

// order gives the stacks with what they need before them.
func (p Project) order(names []string) ([]*Stack, error) {
	var order []*Stack
	state := map[string]bool{} // there: visited; true: done
	var visit func(name string) error
	visit = func(name string) error {
		if done, seen := state[name]; seen {
			if !done {
				return prism.New(prism.ReasonInvalidConfig, "the stack %s waits for itself", name)
			}
			return nil
		}
		s, err := p.find(name)
		if err != nil {
			return err
		}
		state[name] = false
		for _, a := range s.After {
			if err := visit(a); err != nil {
				return err
			}
		}
		state[name] = true
		order = append(order, s)
		return nil
	}
	for _, n := range names {
		if err := visit(n); err != nil {
			return nil, err
		}
	}
	return order, nil
}

// place chooses the form of a stack, or skips it.
func (pl *Plan) place(ctx context.Context, s *Stack, eng *engineCall) error {
	for _, a := range s.After {
		if pl.Instance(a) == nil {
			pl.skip(s.Name, fmt.Sprintf("it needs %s, which does not run", a), "")
			return nil
		}
	}
	form := pl.Project.form(s.Name)
	var engineErr *prism.Error
	if form != FormNative {
		engineErr = eng.ask(ctx)
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if engineErr == nil {
			pl.add(s, FormContainer, eng.engine.Program())
			return nil
		}
		if form == FormContainer {
			pl.skip(s.Name, engineErr.Message, engineErr.Meta["fix"])
			return nil
		}
	}
	if s.Native == nil {
		if engineErr == nil {
			pl.skip(s.Name, "it runs in containers only", "leave out --form native")
		} else {
			pl.skip(s.Name, "it runs in containers only: "+engineErr.Message, engineErr.Meta["fix"])
		}
		return nil
	}
	program, err := pl.Project.program(s.Native)
	switch {
	case err == nil:
		pl.add(s, FormNative, program)
		if engineErr != nil && !slices.Contains([]string{"engine_missing", "compose_missing"}, engineErr.Meta["kind"]) {
			pl.warnOnce("containers are not used: " + engineErr.Message)
		}
	case err.Meta["kind"] == "usage":
		return err
	case engineErr != nil:
		pl.skip(s.Name, err.Message+"; and in containers: "+engineErr.Message, err.Meta["fix"])
	default:
		pl.skip(s.Name, err.Message, err.Meta["fix"])
	}
	return nil
}

func (pl *Plan) add(s *Stack, form Form, program string) {
	pl.Instances = append(pl.Instances, &Instance{Stack: s, Form: form, Program: program, project: pl.Project, after: slices.Clone(s.After)})
}

func (pl *Plan) skip(name, why, fix string) {
	pl.Skipped = append(pl.Skipped, Skipped{name, why, fix})
}

func (pl *Plan) warnOnce(text string) {
	if !slices.Contains(pl.Warnings, text) {
		pl.Warnings = append(pl.Warnings, text)
	}
}

func (pl *Plan) warn(format string, args ...any) {
	pl.Warnings = append(pl.Warnings, fmt.Sprintf(format, args...))
}

// leaveOutCovered takes out the stacks whose work another one does.
func (pl *Plan) leaveOutCovered() {
	for _, i := range pl.Instances {
		for _, c := range i.Stack.Covers {
			if at := pl.Instance(c); at != nil {
				pl.warn("%s is left out: %s does its work", c, i.Stack.Name)
				pl.Instances = slices.DeleteFunc(slices.Clone(pl.Instances), func(x *Instance) bool { return x == at })
				for _, x := range pl.Instances {
					if n := slices.Index(x.after, c); n >= 0 {
						x.after[n] = i.Stack.Name
					}
				}
			}
		}
	}
}
