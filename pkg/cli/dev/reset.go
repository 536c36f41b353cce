package dev

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/prism-data-layer/prism/pkg/cli"
	"github.com/prism-data-layer/prism/pkg/iostreams"
	"github.com/prism-data-layer/prism/pkg/prism"
	"github.com/prism-data-layer/prism/pkg/supervise"
	"github.com/prism-data-layer/prism/stacks"
)

type resetOptions struct {
	IO      *iostreams.IOStreams
	Project func() (project, error)
	Confirm func(ctx context.Context, what string) error

	Names []string
}

func newReset(f *cli.Factory, run func(context.Context, *resetOptions) error) *cobra.Command {
	o := &resetOptions{IO: f.IO, Project: func() (project, error) { return find(f) }}
	cmd := &cobra.Command{
		Use:     "reset [STACK...]",
		Short:   "Delete the data of stacks and start them empty",
		Long:    "Stops each stack that is named, or all and the gateway, deletes its data, and starts it again empty.\nOthers go on. prismd is the gateway's own data. Passwords stay as they are.",
		Example: "  prismctl dev reset redis\n  prismctl dev reset --yes",
		Args:    cobra.ArbitraryArgs,
	}
	confirm := cli.AddConfirmation(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		o.Names = args
		o.Confirm = func(ctx context.Context, what string) error { return confirm.Ask(ctx, f, what, "data") }
		return run(cmd.Context(), o)
	}
	return cmd
}

func runReset(ctx context.Context, o *resetOptions) error {
	p, err := o.Project()
	if err != nil {
		return err
	}
	st, err := p.status(ctx)
	if err != nil {
		return err
	}
	known := p.withData(st)
	for _, name := range o.Names {
		if !slices.Contains(known, name) {
			return cli.WithFix(prism.NotFound("stack", name), "%s", cli.Meant(name, known))
		}
	}
	names := o.Names
	if len(names) == 0 {
		names = known
	}
	if len(names) == 0 {
		fmt.Fprintln(o.IO.ErrOut, "nothing was started for this folder: there is nothing to reset")
		return nil
	}
	if err := o.Confirm(ctx, "delete all data of "+strings.Join(names, ", ")); err != nil {
		return err
	}
	for _, name := range known { // in the order in which they start
		if !slices.Contains(names, name) {
			continue
		}
		if err := o.reset(ctx, p, name, st.Running); err != nil {
			return err
		}
	}
	return nil
}

// withData are the parts of the project that have data here, in the order in
// which they start.
func (p project) withData(st supervise.Status) (names []string) {
	records, _ := stacks.Running(p.state) //nolint:errcheck // those that run are known
	for _, s := range st.Services {
		if s.Name == gateway || slices.ContainsFunc(records, func(r stacks.Record) bool { return r.Name == s.Name }) {
			names = append(names, s.Name)
		}
	}
	return names
}

// reset empties one part. While it runs its supervisor does that, between two
// runs.
func (o *resetOptions) reset(ctx context.Context, p project, name string, running bool) error {
	if !running {
		if err := p.empty(name); err != nil {
			return err
		}
		fmt.Fprintf(o.IO.Out, "%s is empty\n", name)
		return nil
	}
	c, err := p.client()
	if err != nil {
		return err
	}
	if err := os.MkdirAll(p.resetDir(), 0o700); err != nil {
		return err
	}
	if err := os.WriteFile(p.resetMark(name), nil, 0o600); err != nil {
		return err
	}
	if err := c.Restart(ctx, name); err != nil {
		return cli.WithFix(err, "prismctl dev logs %s", name)
	}
	if exists(p.resetMark(name)) { // the supervisor is of a version that does not look
		os.Remove(p.resetMark(name))
		return cli.WithFix(prism.New(prism.ReasonFailedPrecond, "the supervisor did not empty %s", name), "prismctl dev down, then prismctl dev reset %s", name)
	}
	fmt.Fprintf(o.IO.Out, "%s is empty, and ready\n", name)
	return nil
}

// A mark in this folder asks the supervisor to empty a part before its next
// start.
func (p project) resetDir() string             { return filepath.Join(p.state, "reset") }
func (p project) resetMark(name string) string { return filepath.Join(p.resetDir(), name) }

// emptied is what the supervisor does before each start of a part.
func (p project) emptied(name string) func() error {
	return func() error {
		if _, err := os.Lstat(p.resetMark(name)); errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err := p.empty(name); err != nil {
			return err
		}
		return os.Remove(p.resetMark(name))
	}
}

// emptyTime is how long removing volumes may take.
const emptyTime = time.Minute

// empty deletes the data of a part that does not run: its folder, which is made
// anew, and its volumes.
func (p project) empty(name string) error {
	folder := name
	if name == gateway {
		folder = "data"
	}
	root, err := os.OpenRoot(p.Root)
	if err != nil {
		return err
	}
	defer root.Close()
	dir := filepath.Join(".prism", folder)
	if info, err := root.Lstat(dir); err == nil {
		if err := root.RemoveAll(dir); err != nil {
			return err
		}
		if err := root.Mkdir(dir, info.Mode().Perm()); err != nil {
			return err
		}
	}
	records, err := stacks.Running(p.state)
	if err != nil || !slices.ContainsFunc(records, func(r stacks.Record) bool { return r.Name == name && r.Form == stacks.FormContainer }) {
		return advised(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), emptyTime)
	defer cancel()
	e, err := p.engine()(ctx)
	if err != nil {
		return advised(err)
	}
	_, err = e.Remove(ctx, p.ID, name, true)
	return advised(err)
}
