package dev

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/spf13/cobra"

	"github.com/prism-data-layer/prism/pkg/cli"
	"github.com/prism-data-layer/prism/pkg/config"
	"github.com/prism-data-layer/prism/pkg/iostreams"
	"github.com/prism-data-layer/prism/pkg/prism"
	"github.com/prism-data-layer/prism/pkg/supervise"
	"github.com/prism-data-layer/prism/stacks"
)

type updateOptions struct {
	IO      *iostreams.IOStreams
	Project func() (project, error)

	Stack string
	Image string
	Name  string
}

func newUpdate(f *cli.Factory, run func(context.Context, *updateOptions) error) *cobra.Command {
	o := &updateOptions{IO: f.IO, Project: func() (project, error) { return find(f) }}
	cmd := &cobra.Command{
		Use:   "update STACK",
		Short: "Run a stack with another image, or go back",
		Long: "Says what breaks, pulls the image, starts the stack with it and asks whether it works. If it does\nnot, the stack goes back to the image that ran before. Without --image it is the one that is wanted:\n" +
			"of .prism.yaml, or pinned. It says which line of .prism.yaml keeps the image.",
		Example: "  prismctl dev update redis\n  prismctl dev update redis --image redis:8.8-alpine",
		Args:    cli.ExactArgs("STACK"),
		RunE: func(cmd *cobra.Command, args []string) error {
			o.Stack = args[0]
			return run(cmd.Context(), o)
		},
	}
	cmd.Flags().StringVar(&o.Image, "image", "", "the image's `REFERENCE`")
	cli.SetDefault(cmd, "image", "the one that is wanted")
	cmd.Flags().StringVar(&o.Name, "name", "", "of a stack of several images: the `NAME` of the one to change")
	cli.SetDefault(cmd, "name", "the first one")
	return cmd
}

func runUpdate(ctx context.Context, o *updateOptions) error {
	p, err := o.Project()
	if err != nil {
		return err
	}
	s, err := stacks.Find(o.Stack)
	if err != nil {
		return advised(err)
	}
	u, err := o.prepare(p, s)
	if err != nil {
		return err
	}
	if u.to == u.from {
		fmt.Fprintf(o.IO.Out, "%s runs %s already\n", s.Name, u.to)
		return nil
	}
	for _, text := range u.image.Breaking {
		fmt.Fprintf(o.IO.ErrOut, "breaking: %s\n", iostreams.Escape(text))
	}
	e, err := p.engine()(ctx)
	if err != nil {
		return advised(err)
	}
	if image, err := e.Image(ctx, u.to); err != nil {
		return advised(err)
	} else if !image.Present {
		if err := e.Pull(ctx, u.to, func(text string) { fmt.Fprintln(o.IO.ErrOut, iostreams.Escape(text)) }); err != nil {
			return advised(err)
		}
	}
	fmt.Fprintf(o.IO.ErrOut, "%s: %s → %s\n", s.Name, u.from, u.to)
	err = u.run(ctx, u.to)
	if err == nil {
		fmt.Fprintf(o.IO.Out, "%s runs %s and answers\n", s.Name, u.to)
		if u.to != u.wanted {
			fmt.Fprintf(o.IO.Out, "to keep it, write into %s:\n  images: {%s: %q}\n", config.ProjectFile, u.key, u.to)
		}
		return nil
	}
	// Whatever told us to stop, the stack is to be left as it was.
	if back := u.run(context.WithoutCancel(ctx), u.from); back != nil {
		return cli.WithFix(errors.Join(err, back), "prismctl dev logs %s; going back to %s failed too", s.Name, u.from)
	}
	e2 := prism.New(prism.ReasonUnavailable, "%s does not work with %s: it runs %s again", s.Name, u.to, u.from).WithCause(err)
	return cli.WithFix(e2, "prismctl dev logs %s --previous", s.Name)
}

// An update is one image of a stack that runs, from one reference to another.
type update struct {
	project          project
	stack            string
	image            stacks.Image
	key              string // in images of .prism.yaml
	from, to, wanted string
	names            []string       // all stacks of the project
	ports            map[string]int // that they have
	images           map[string]string
}

// prepare reads what runs.
func (o *updateOptions) prepare(p project, s *stacks.Stack) (*update, error) {
	records, err := stacks.Running(p.state)
	if err != nil {
		return nil, advised(err)
	}
	i := slices.IndexFunc(records, func(r stacks.Record) bool { return r.Name == s.Name })
	if _, err := p.client(); err != nil {
		return nil, err
	}
	switch {
	case i < 0:
		return nil, cli.WithFix(prism.New(prism.ReasonUnavailable, "%s does not run here", s.Name), "prismctl dev down, then prismctl dev up --with %s", s.Name)
	case records[i].Form != stacks.FormContainer:
		return nil, cli.WithFix(prism.New(prism.ReasonFailedPrecond, "%s runs as the program %s of this machine", s.Name, records[i].Program), "update that as it was installed, then prismctl dev restart %s", s.Name)
	}
	n := 0
	if o.Name != "" {
		if n = slices.IndexFunc(s.Images, func(i stacks.Image) bool { return i.Name == o.Name }); n < 0 {
			var names []string
			for _, i := range s.Images {
				names = append(names, i.Name)
			}
			return nil, cli.Usage(cli.Meant(o.Name, names), "%s has no image %q", s.Name, o.Name)
		}
	}
	u := &update{
		project: p, stack: s.Name, image: s.Images[n], key: s.Name, from: records[i].Images[s.Images[n].Name],
		wanted: p.wantedImage(s, n), ports: map[string]int{}, images: map[string]string{},
	}
	if n > 0 {
		u.key = s.Name + "." + u.image.Name
	}
	if u.to = o.Image; u.to == "" {
		u.to = u.wanted
	}
	for _, r := range records {
		u.names = append(u.names, r.Name)
		for name, port := range r.Ports {
			u.ports[r.Name+"."+name] = port
		}
		for name, ref := range r.Images {
			u.images[r.Name+"."+name] = ref
		}
	}
	return u, nil
}

// run lets the stack run with an image, and returns when our own question to it
// was answered.
func (u *update) run(ctx context.Context, ref string) error {
	last, err := u.project.lastWish()
	if err != nil {
		return err
	}
	sp := u.project.stackProject(last)
	sp.Auto, sp.Offset, sp.Ports = false, 0, u.ports
	sp.Images = maps.Clone(u.images)
	sp.Images[u.stack+"."+u.image.Name] = ref
	pl, err := sp.Plan(ctx, u.names)
	if err != nil {
		return advised(err)
	}
	if pl.Instance(u.stack) == nil {
		return prism.New(prism.ReasonFailedPrecond, "%s cannot run here now", u.stack)
	}
	if err := pl.Prepare(); err != nil {
		return advised(err)
	}
	c, err := u.project.client()
	if err != nil {
		return err
	}
	return u.restart(ctx, c)
}

// restart starts the stack again. One that ends is not given the many tries
// that a supervisor gives: the image before works.
func (u *update) restart(ctx context.Context, c *supervise.Client) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	go func() {
		_ = c.Events(ctx, nil, func(e supervise.Event) error { //nolint:errcheck // the restart says it
			if e.Service == u.stack && e.State == supervise.Crashed {
				cancel(prism.New(prism.ReasonUnavailable, "%s ended: %s", u.stack, e.Message))
			}
			return nil
		})
	}()
	err := c.Restart(ctx, u.stack)
	if err != nil && ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return err
}
