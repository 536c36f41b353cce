package loadtest

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/prism-data-layer/prism/loadtest/report"
	"github.com/prism-data-layer/prism/pkg/cli"
	"github.com/prism-data-layer/prism/pkg/config"
	"github.com/prism-data-layer/prism/pkg/prism"
)

// runs are the reports that were saved under a name: a folder of files.
type runs string

func runsOf(f *cli.Factory) runs { return runs(filepath.Join(f.Dirs().State, "loadtest")) }

func (r runs) path(name string) string { return filepath.Join(string(r), name+".json") }

// save keeps a report, in place of one of the same name.
func (r runs) save(name string, rep *report.Report) error {
	if err := config.MakePrivate(string(r)); err != nil {
		return &cli.Failure{Err: err, Exit: cli.ExitFailure}
	}
	var b bytes.Buffer
	if err := rep.WriteJSON(&b); err != nil {
		return err
	}
	if err := config.WriteFile(r.path(name), b.Bytes()); err != nil {
		return &cli.Failure{Err: err, Exit: cli.ExitFailure}
	}
	return nil
}

// names lists them.
func (r runs) names() []string {
	files, err := os.ReadDir(string(r))
	if err != nil {
		return nil
	}
	var names []string
	for _, f := range files {
		if name, ok := strings.CutSuffix(f.Name(), ".json"); ok && prism.ValidName(name) {
			names = append(names, name)
		}
	}
	return names
}

// read finds a report by the name it was saved under, or in a file.
func (r runs) read(what string) (*report.Report, error) {
	path := what
	if prism.ValidName(what) && slices.Contains(r.names(), what) {
		path = r.path(what)
	}
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		fix := "name a file that -o json or --report wrote"
		if near := config.Nearest(what, r.names()); near != "" {
			fix = "did you mean " + near + "?"
		}
		return nil, cli.WithFix(prism.NotFound("report", what), "%s", fix)
	}
	if err != nil {
		return nil, &cli.Failure{Err: err, Exit: cli.ExitFailure}
	}
	defer f.Close()
	rep, err := report.ReadJSON(f)
	if err != nil {
		return nil, cli.WithFix(fmt.Errorf("%s: %w", what, err), "name a file that -o json or --report wrote")
	}
	return rep, nil
}

// writeFile writes a report in the format of the file's name.
func writeFile(r *report.Report, path string) error {
	format, err := report.FormatOf(path)
	if err != nil {
		return err
	}
	if err := cli.Replace(path, 0o644, func(w io.Writer) error { return r.Write(w, format) }); err != nil {
		return &cli.Failure{Err: err, Exit: cli.ExitFailure}
	}
	return nil
}

func isNotFound(err error) bool { return errors.Is(err, prism.ReasonNotFound) }
