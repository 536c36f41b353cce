package dev

import (
	"context"
	"fmt"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/prism-data-layer/prism/pkg/cli"
	"github.com/prism-data-layer/prism/pkg/config"
	"github.com/prism-data-layer/prism/pkg/iostreams"
	"github.com/prism-data-layer/prism/pkg/prism"
)

type exportOptions struct {
	IO      *iostreams.IOStreams
	Project func() (project, error)

	wish
	Check func(*config.Project) error
	Dir   string
}

func newExport(f *cli.Factory, run func(context.Context, *exportOptions) error) *cobra.Command {
	o := &exportOptions{IO: f.IO, Project: func() (project, error) { return find(f) }}
	cmd := &cobra.Command{
		Use:     "export DIR",
		Short:   "Write the stacks as files for docker compose",
		Long:    "Writes a folder for each stack, with which plain docker compose up runs it as dev up would. Needs no\nengine. The files hold passwords: only you may read them.",
		Example: "  prismctl dev export ./stacks --with redis,dex\n  prismctl dev export ./stacks --profile full",
		Args:    cli.ExactArgs("DIR"),
	}
	o.Check = o.addFlags(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		o.Dir = args[0]
		if !filepath.IsAbs(o.Dir) {
			o.Dir = filepath.Join(f.Place.Dir, o.Dir)
		}
		return run(cmd.Context(), o)
	}
	return cmd
}

func runExport(_ context.Context, o *exportOptions) error {
	p, err := o.Project()
	if err == nil {
		err = o.Check(p.own)
	}
	if err != nil {
		return err
	}
	names := o.names(p.own)
	if len(names) == 0 {
		return cli.Usage("prismctl dev export "+filepath.Base(o.Dir)+" --with redis", "no stack is named, and .prism.yaml names none in with")
	}
	if entries, err := os.ReadDir(o.Dir); err == nil && len(entries) > 0 {
		return cli.WithFix(prism.New(prism.ReasonAlreadyExists, "the folder is not empty: %s", o.Dir), "name another, or empty it")
	}
	instances, err := p.stackProject(o.wish).Containers(names)
	if err != nil {
		return advised(err)
	}
	for _, i := range instances {
		if err := i.Export(o.Dir); err != nil {
			return advised(err)
		}
		fmt.Fprintf(o.IO.Out, "%s  cd %s && docker compose up\n", i.Stack.Name, iostreams.Escape(filepath.Join(o.Dir, i.Stack.Name)))
	}
	return nil
}
