package main

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math"
	"os"
	"strconv"
	"strings"
	"text/tabwriter"
)

// A row is one package's verdict.
type row struct {
	name       string
	actual     float64 // percent, cut to a tenth so that 84.96 is never shown as 85
	required   float64
	best       float64 // by the ratchet file
	statements int
	failure    string // why the gate is shut
}

// judge makes a row of every package.
func judge(t tree, rules []rule, best map[string]float64) []row {
	var rows []row
	for _, p := range t.packages() {
		w := row{name: p.name, statements: p.statements, best: best[p.name]}
		exact := 100.0
		if p.statements > 0 {
			exact = 100 * float64(p.covered) / float64(p.statements)
		}
		w.actual = math.Floor(exact*10) / 10
		r, ok := find(rules, p.name)
		w.required = r.min
		switch {
		case !ok:
			w.failure = "no rule in the thresholds names it"
		case !p.seen:
			w.actual = 0
			w.failure = fmt.Sprintf("no coverage at all, %s requires %g %%: has it tests, and were they run?", r.glob, r.min)
		case exact < r.min:
			w.failure = fmt.Sprintf("coverage is %.1f %%, %s requires %g %%", w.actual, r.glob, r.min)
		case w.actual < w.best:
			w.failure = fmt.Sprintf("coverage is %.1f %%, it was %.1f %% before", w.actual, w.best)
		}
		rows = append(rows, w)
	}
	return rows
}

func printText(out io.Writer, rows []row) {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(w, "ACTUAL\tREQUIRED\tSTATEMENTS\t  PACKAGE")
	for _, r := range rows {
		verdict := ""
		if r.failure != "" {
			verdict = "  FAIL"
		}
		fmt.Fprintf(w, "%.1f\t%g\t%d\t  %s%s\n", r.actual, r.required, r.statements, r.name, verdict)
	}
	_ = w.Flush()
}

func printMarkdown(out io.Writer, rows []row) {
	fmt.Fprintln(out, "| package | coverage | required |\n|---|---|---|")
	for _, r := range rows {
		fmt.Fprintf(out, "| `%s` | %.1f %% | %g %% |\n", r.name, r.actual, r.required)
	}
}

// printFailures says them again where they are seen, and how many there are.
func printFailures(out io.Writer, rows []row) int {
	n := 0
	for _, r := range rows {
		if r.failure != "" {
			n++
			fmt.Fprintf(out, "covercheck: %s: %s\n", r.name, r.failure)
		}
	}
	return n
}

// readRatchet reads lines of PACKAGE PERCENT; a file that is not there yet is
// empty.
func readRatchet(file string) (map[string]float64, error) {
	best := map[string]float64{}
	err := eachLine(file, func(fields []string) error {
		if len(fields) != 2 {
			return fmt.Errorf("want PACKAGE PERCENT, got %q", strings.Join(fields, " "))
		}
		v, err := strconv.ParseFloat(fields[1], 64)
		best[fields[0]] = v
		return err
	})
	if errors.Is(err, fs.ErrNotExist) {
		return best, nil
	}
	return best, err
}

func writeRatchet(file string, rows []row) error {
	var b strings.Builder
	fmt.Fprintln(&b, "# The best coverage so far, by package. Written by covercheck -record.")
	for _, r := range rows {
		fmt.Fprintf(&b, "%s %.1f\n", r.name, max(r.actual, r.best))
	}
	return os.WriteFile(file, []byte(b.String()), 0o644)
}
