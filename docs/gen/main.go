// Command gen makes the pages that are made from code:
//
//	go run ./docs/gen docs                       capabilities, errors, config, the command reference, man pages
//	go run ./docs/gen -matrix OUTCOMES docs      matrix.md and matrix.json, from a run of the conformance suite
//
// It writes no dates and no versions, so that the same code makes the same bytes.
package main

import (
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/prism-data-layer/prism/pkg/config"
	"github.com/prism-data-layer/prism/pkg/driver/all"
	"github.com/prism-data-layer/prism/pkg/driver/drivertest"
	"github.com/prism-data-layer/prism/stacks"
)

func main() {
	os.Exit(run(os.Args[1:], os.Stderr))
}

// mark stands at the top of every page that is made.
const mark = "<!-- Made by make generate from code; do not edit. -->\n\n"

func run(args []string, errs io.Writer) int {
	flags := flag.NewFlagSet("gen", flag.ContinueOnError)
	flags.SetOutput(errs)
	outcomes := flags.String("matrix", "", "make only the matrix, from this `file` of outcomes")
	if err := flags.Parse(args); err != nil {
		return 2
	}
	if flags.NArg() != 1 {
		fmt.Fprintln(errs, "usage: gen [-matrix OUTCOMES] FOLDER")
		return 2
	}
	make := pages
	if *outcomes != "" {
		make = func() (map[string]string, error) { return matrix(*outcomes) }
	}
	made, err := make()
	if err == nil {
		err = write(flags.Arg(0), made)
	}
	if err != nil {
		fmt.Fprintln(errs, "gen:", err)
		return 1
	}
	return 0
}

// pages are all pages but the matrix, by file name.
func pages() (map[string]string, error) {
	made := reference()
	capabilities, err := capabilities(all.Drivers())
	if err != nil {
		return nil, err
	}
	made["capabilities.md"] = mark + capabilities
	made["errors.md"] = mark + errorPage()
	made["config.md"] = mark + config.Reference()
	catalogue, err := stacks.Reference()
	made["stacks.md"] = mark + catalogue
	return made, err
}

func matrix(outcomes string) (map[string]string, error) {
	f, err := os.Open(outcomes)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	read, err := drivertest.ReadOutcomes(f)
	if err != nil {
		return nil, err
	}
	if len(read) == 0 {
		return nil, fmt.Errorf("%s holds no outcomes: did the suite run?", outcomes)
	}
	m := drivertest.NewMatrix(read)
	data, err := m.JSON()
	return map[string]string{"matrix.md": m.Markdown(), "matrix.json": string(data)}, err
}

// write makes the folder of reference pages anew, so that the page of a command
// that is gone goes too.
func write(dir string, made map[string]string) error {
	if _, ok := made["errors.md"]; ok {
		if err := os.RemoveAll(filepath.Join(dir, referenceDir)); err != nil {
			return err
		}
	}
	for name, text := range made {
		file := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			return err
		}
		if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
			return err
		}
	}
	return nil
}
