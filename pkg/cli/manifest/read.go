package manifest

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/prism-data-layer/prism/pkg/cli"
	"github.com/prism-data-layer/prism/pkg/config"
	"github.com/prism-data-layer/prism/pkg/iostreams"
	"github.com/prism-data-layer/prism/pkg/prism"
)

// files are where objects are read from.
type files struct {
	io    *iostreams.IOStreams
	dir   string // where relative paths start
	kind  string // the only one that is wanted; "": any
	usage string

	names []string
}

func addFiles(f *cli.Factory, cmd *cobra.Command, kind, usage string) *files {
	from := &files{io: f.IO, dir: f.Place.Dir, kind: kind, usage: usage}
	cmd.Flags().StringArrayVarP(&from.names, "file", "f", nil, "read this `FILE`, the .yaml files of a folder, or standard input (-); may be given again")
	cli.SetDefault(cmd, "file", "required")
	return from
}

// read gives all objects, backends first, each kind in the order of the files.
// Every problem of every file is in the error.
func (from *files) read() ([]config.Object, error) {
	if len(from.names) == 0 {
		return nil, cli.Usage(from.usage, "no file is named: pass -f FILE, -f FOLDER or -f -")
	}
	paths, err := from.paths()
	if err != nil {
		return nil, err
	}
	var list []config.Object
	var problems []config.Problem
	for _, path := range paths {
		some, err := from.open(path)
		var told *config.Error
		switch {
		case errors.As(err, &told):
			problems = append(problems, told.Problems...)
		case err != nil:
			return nil, err
		}
		list = append(list, some...)
	}
	problems = append(problems, config.Twice(list)...)
	for _, o := range list {
		if from.kind != "" && o.Kind != from.kind {
			problems = append(problems, o.Where().Problem("", "", "this is a %s, and only %s are wanted here: use %s", o.Kind, things(from.kind), "prismctl apply and prismctl diff"))
		}
	}
	if len(problems) > 0 {
		return nil, invalid(problems)
	}
	slices.SortStableFunc(list, func(a, b config.Object) int { return strings.Compare(a.Kind, b.Kind) })
	return list, nil
}

func invalid(problems []config.Problem) error {
	return &cli.Failure{Err: config.NewError(problems...), Exit: cli.ExitInvalid, Fix: "correct the lines above; nothing was changed"}
}

// paths puts the files of a folder in its place.
func (from *files) paths() ([]string, error) {
	var list []string
	for _, name := range from.names {
		path := name
		if name != "-" && !filepath.IsAbs(name) {
			path = filepath.Join(from.dir, name)
		}
		info, err := os.Stat(path)
		if name == "-" || err != nil || !info.IsDir() {
			list = append(list, path) // that it is not there is told when it is opened
			continue
		}
		entries, err := os.ReadDir(path)
		if err != nil {
			return nil, &cli.Failure{Err: err, Exit: cli.ExitFailure}
		}
		before := len(list)
		for _, e := range entries {
			if ext := filepath.Ext(e.Name()); (ext == ".yaml" || ext == ".yml") && e.Name()[0] != '.' && !e.IsDir() {
				list = append(list, filepath.Join(path, e.Name()))
			}
		}
		if len(list) == before {
			return nil, cli.WithFix(prism.New(prism.ReasonNotFound, "there is no .yaml file in %s", name), "name the file, or another folder")
		}
	}
	return list, nil
}

func (from *files) open(path string) ([]config.Object, error) {
	r, err := cli.OpenInput(from.io, path)
	if err != nil {
		return nil, err
	}
	defer r.Close()
	data, err := io.ReadAll(io.LimitReader(r, config.MaxObjectsBytes+1))
	if err != nil {
		return nil, &cli.Failure{Err: fmt.Errorf("%s cannot be read: %w", filepath.Base(path), err), Exit: cli.ExitFailure}
	}
	return config.ParseObjects(from.shown(path), data, config.Load{Lookup: from.io.LookupEnv})
}

// shown is a path as a person would type it.
func (from *files) shown(path string) string {
	if path == "-" {
		return "standard input"
	}
	if short, err := filepath.Rel(from.dir, path); err == nil && filepath.IsLocal(short) {
		return short
	}
	return path
}
