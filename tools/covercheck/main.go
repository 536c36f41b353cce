// Command covercheck is the coverage gate: it compares the coverage of every
// package with the least that thresholds.txt asks for and fails when one is
// lower, has no coverage at all, or is named by no rule.
//
//	go test -coverprofile=coverage.out ./...
//	go run ./tools/covercheck -root . coverage.out
//
// Generated files and the bodies of func main do not count.
package main

import (
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
)

func main() {
	os.Exit(run(os.Args[1:], os.Stdout, os.Stderr))
}

// Exit codes.
const (
	exitOK    = 0
	exitBelow = 1 // the gate is shut
	exitUsage = 2 // the question could not be answered
)

func run(args []string, out, errs io.Writer) int {
	flags := flag.NewFlagSet("covercheck", flag.ContinueOnError)
	flags.SetOutput(errs)
	flags.Usage = func() {
		fmt.Fprintln(errs, "usage: covercheck [flags] PROFILE...")
		flags.PrintDefaults()
	}
	root := flags.String("root", ".", "folder of the repository")
	modules := flags.String("modules", ".", "folders of the Go modules to check, inside root, separated by commas")
	thresholds := flags.String("thresholds", "tools/covercheck/thresholds.txt", "rules, relative to root")
	ratchet := flags.String("ratchet", "", "file with the best coverage so far, relative to root: lower is a failure")
	record := flags.Bool("record", false, "write what is higher into the ratchet file")
	markdown := flags.Bool("md", false, "print the table as Markdown")
	if err := flags.Parse(args); err != nil {
		return exitUsage
	}
	if flags.NArg() == 0 || *record && *ratchet == "" {
		flags.Usage()
		return exitUsage
	}
	fail := func(err error) int {
		fmt.Fprintln(errs, "covercheck:", err)
		return exitUsage
	}
	rules, err := readRules(filepath.Join(*root, *thresholds))
	if err != nil {
		return fail(err)
	}
	tree, err := readTree(*root, strings.Split(*modules, ","))
	if err != nil {
		return fail(err)
	}
	blocks, err := readProfiles(flags.Args())
	if err != nil {
		return fail(err)
	}
	if err := tree.count(blocks); err != nil {
		return fail(err)
	}
	best := map[string]float64{}
	if *ratchet != "" {
		if best, err = readRatchet(filepath.Join(*root, *ratchet)); err != nil {
			return fail(err)
		}
	}
	rows := judge(tree, rules, best)
	if *markdown {
		printMarkdown(out, rows)
	} else {
		printText(out, rows)
	}
	if failed := printFailures(errs, rows); failed > 0 {
		return exitBelow
	}
	if *record {
		if err := writeRatchet(filepath.Join(*root, *ratchet), rows); err != nil {
			return fail(err)
		}
	}
	return exitOK
}
