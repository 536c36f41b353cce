package dev

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/prism-data-layer/prism/pkg/cli"
	"github.com/prism-data-layer/prism/pkg/config"
	"github.com/prism-data-layer/prism/pkg/iostreams"
	"github.com/prism-data-layer/prism/pkg/prism"
	"github.com/prism-data-layer/prism/pkg/supervise"
)

type downOptions struct {
	IO      *iostreams.IOStreams
	Project func() (project, error)
	Every   func() ([]project, error)
	Confirm func(ctx context.Context, what string) error

	Kill    bool
	Volumes bool
	All     bool
}

func newDown(f *cli.Factory, run func(context.Context, *downOptions) error) *cobra.Command {
	o := &downOptions{IO: f.IO, Project: func() (project, error) { return find(f) }, Every: func() ([]project, error) { return findAll(f) }}
	cmd := &cobra.Command{
		Use:   "down",
		Short: "Stop everything that runs for this folder",
		Long: "Stops the gateway, the stacks and their supervisor, removes the containers and networks of the\nproject, and looks whether anything is left: a process, container, network, socket, port or pid file.\n" +
			"What is left is named, and the command fails. The data stays unless --volumes is given. What a\nkilled supervisor has left is ended too.",
		Example: "  prismctl dev down\n  prismctl dev down --volumes --yes\n  prismctl dev down --all",
		Args:    cli.NoArgs,
	}
	confirm := cli.AddConfirmation(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		o.Confirm = func(ctx context.Context, what string) error { return confirm.Ask(ctx, f, what, "data") }
		return run(cmd.Context(), o)
	}
	cmd.Flags().BoolVar(&o.Kill, "kill", false, "do not wait for calls in flight")
	cmd.Flags().BoolVar(&o.Volumes, "volumes", false, "delete the data of the gateway and the stacks too, after asking")
	cmd.Flags().BoolVar(&o.All, "all", false, "stop every project of this machine")
	return cmd
}

// findAll are the projects for which something was started on this machine.
func findAll(f *cli.Factory) ([]project, error) {
	dirs := f.Dirs()
	all, err := supervise.List(filepath.Join(dirs.State, "dev"))
	if err != nil {
		return nil, err
	}
	var list []project
	for _, st := range all {
		place := config.Place{Root: st.Root, ID: st.ID}
		list = append(list, project{
			Place: place, dirs: dirs, state: place.StateDir(dirs), socket: place.Socket(dirs, f.Place.Temp), look: f.IO.LookupEnv,
		})
	}
	return list, nil
}

func runDown(ctx context.Context, o *downOptions) error {
	var list []project
	var err error
	if o.All {
		list, err = o.Every()
	} else {
		list = make([]project, 1)
		list[0], err = o.Project()
	}
	if err != nil {
		return err
	}
	if o.Volumes {
		if err := o.Confirm(ctx, o.whatGoes(list)); err != nil {
			return err
		}
	}
	var failed []string
	for _, p := range list {
		if o.All {
			fmt.Fprintf(o.IO.Out, "%s (%s)\n", p.ID, iostreams.Escape(p.Root))
		}
		switch err := o.down(ctx, p); {
		case err == nil:
		case !o.All || ctx.Err() != nil:
			return err
		default:
			fmt.Fprintln(o.IO.ErrOut, iostreams.Escape(err.Error()))
			failed = append(failed, p.ID)
		}
	}
	if failed != nil {
		return cli.Partial("see above", "not all went down: %s", strings.Join(failed, ", "))
	}
	if o.All && len(list) == 0 {
		fmt.Fprintln(o.IO.Out, "nothing was ever started on this machine")
	}
	return nil
}

func (o *downOptions) whatGoes(list []project) string {
	if !o.All {
		return "delete all data in .prism, and the volumes of its containers"
	}
	names := make([]string, len(list))
	for i, p := range list {
		names[i] = p.ID
	}
	return "delete all data of " + strings.Join(names, ", ")
}

// down stops one project, removes what its containers leave, and looks whether
// anything is left.
func (o *downOptions) down(ctx context.Context, p project) error {
	before, _ := p.status(ctx) //nolint:errcheck // only what to look for afterwards
	if err := o.stop(ctx, p); err != nil {
		return err
	}
	things, err := p.removeContainers(ctx, o.Volumes)
	for _, t := range things {
		fmt.Fprintf(o.IO.Out, "removed %s %s\n", t.Kind, iostreams.Escape(t.Name))
	}
	if err != nil {
		return err
	}
	if o.Volumes {
		if err := o.deleteData(p); err != nil {
			return err
		}
	}
	if left := p.remains(ctx, before); left != nil {
		return cli.WithFix(prism.New(prism.ReasonFailedPrecond, "not everything is gone: %s", strings.Join(left, "; ")), "prismctl dev doctor --fix, then prismctl dev down --kill")
	}
	fmt.Fprintln(o.IO.Out, "looked again: no process, container, network, socket, port or pid file is left")
	return nil
}

// stop ends the supervisor, or what a killed one has left.
func (o *downOptions) stop(ctx context.Context, p project) error {
	c, err := supervise.Dial(p.socket)
	switch {
	case err == nil:
		err = c.Stop(ctx, o.Kill, func(e supervise.Event) { fmt.Fprintln(o.IO.ErrOut, eventLine(e)) })
		if err != nil {
			return err
		}
		fmt.Fprintln(o.IO.Out, "stopped")
	case notRunning(err):
		ended, err := supervise.Cleanup(p.options())
		if err != nil {
			return err
		}
		if ended > 0 {
			fmt.Fprintf(o.IO.Out, "ended %s that a killed supervisor had left\n", cli.Plural(ended, "process"))
		} else {
			fmt.Fprintln(o.IO.Out, "nothing was running")
		}
	default:
		return err
	}
	return nil
}

// deleteData deletes the folders of the gateway's and the stacks' data. What
// else lies in .prism stays.
func (o *downOptions) deleteData(p project) error {
	root, err := os.OpenRoot(p.Root)
	if os.IsNotExist(err) {
		return nil
	}
	if err != nil {
		return err
	}
	defer root.Close()
	for _, name := range p.dataFolders() {
		dir := filepath.Join(".prism", name)
		if _, err := root.Lstat(dir); err != nil {
			continue
		}
		if err := root.RemoveAll(dir); err != nil {
			return err
		}
		fmt.Fprintf(o.IO.Out, "deleted the data in %s\n", dir)
	}
	return nil
}
