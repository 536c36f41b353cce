package main

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"text/tabwriter"
	"time"
)

// A bench collects rows and the processes that it has started.
type bench struct {
	bin    string
	rounds int
	length time.Duration
	pick   *regexp.Regexp
	rows   []row
	undo   []func()
}

// A row is one line of the table.
type row struct {
	Name   string  `json:"name"`
	Unit   string  `json:"unit"`
	Ours   float64 `json:"ours"`
	Theirs float64 `json:"theirs,omitempty"`
	Ratio  float64 `json:"ratio,omitempty"`
	Low    float64 `json:"ratio_low,omitempty"`
	High   float64 `json:"ratio_high,omitempty"`
	Goal   string  `json:"goal"`
	Met    bool    `json:"met"`
}

// wants reports whether any of the rows is picked.
func (b *bench) wants(names ...string) bool { return slices.ContainsFunc(names, b.pick.MatchString) }

// compare adds a row: the medians of both sides and of their ratio.
func (b *bench) compare(name, unit string, ours, theirs []sample, of func(sample) float64, op string, goal float64) {
	r := ratios(ours, theirs, of)
	x := row{
		Name: name, Unit: unit, Ours: medianOf(ours, of), Theirs: medianOf(theirs, of),
		Ratio: median(r), Low: r[0], High: r[len(r)-1], Goal: fmt.Sprintf("%s %g", op, goal),
	}
	x.Met = meets(x.Ratio, op, goal)
	b.add(x)
}

// figure adds a row without another side.
func (b *bench) figure(name, unit string, ours float64, op string, goal float64) {
	b.add(row{Name: name, Unit: unit, Ours: ours, Goal: fmt.Sprintf("%s %g", op, goal), Met: meets(ours, op, goal)})
}

// note adds a figure that has no goal.
func (b *bench) note(name, unit string, ours float64) {
	b.add(row{Name: name, Unit: unit, Ours: ours, Goal: "-", Met: true})
}

func (b *bench) add(x row) {
	b.rows = append(b.rows, x)
	fmt.Fprintf(os.Stderr, "%-60s ours %.4g theirs %.4g ratio %.3g (%s)\n", x.Name, x.Ours, x.Theirs, x.Ratio, x.Goal)
}

func meets(v float64, op string, goal float64) bool {
	if op == "<=" {
		return v <= goal
	}
	return v >= goal
}

func (b *bench) print(w io.Writer) {
	fmt.Fprintf(w, "\n%s\n\n", b.setting())
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(t, "figure\tunit\tours\ttheirs\tratio\tlow–high\tgoal\t\t")
	for _, x := range b.rows {
		fmt.Fprintln(t, strings.Join(x.cells(), "\t")+"\t")
	}
	t.Flush()
}

// setting says how it was measured.
func (b *bench) setting() string {
	return fmt.Sprintf("%d rounds of %s, alternately; medians. %s, %d cores, %s/%s.", b.rounds, b.length, runtime.Version(), runtime.NumCPU(), runtime.GOOS, runtime.GOARCH)
}

// cells are the row as it is printed: name, unit, ours, theirs, ratio, spread,
// goal, verdict.
func (x row) cells() []string {
	theirs, ratio, spread := "", "", ""
	if x.Ratio != 0 {
		theirs, ratio, spread = number(x.Theirs), fmt.Sprintf("%.2f", x.Ratio), fmt.Sprintf("%.2f–%.2f", x.Low, x.High)
	}
	verdict := "met"
	switch {
	case x.Goal == "-":
		verdict = ""
	case !x.Met:
		verdict = "NOT MET"
	}
	return []string{x.Name, x.Unit, number(x.Ours), theirs, ratio, spread, x.Goal, verdict}
}

// writePage writes the table for docs/bench.md.
func (b *bench) writePage(path string) error {
	var text strings.Builder
	fmt.Fprintf(&text, "# Speed and memory\n\nMade by `make bench` from a run; do not edit. What is compared with what, and what falls short and why,\nstands in [operations.md](operations.md#speed). Only ratios taken in one run count.\n\n%s\n\n", b.setting())
	text.WriteString("| figure | unit | ours | theirs | ratio | low–high | goal | |\n|---|---|---|---|---|---|---|---|\n")
	for _, x := range b.rows {
		fmt.Fprintf(&text, "| %s |\n", strings.Join(x.cells(), " | "))
	}
	return os.WriteFile(path, []byte(text.String()), 0o644)
}

func number(v float64) string {
	switch {
	case v >= 1000:
		return fmt.Sprintf("%.0f", v)
	case v >= 10:
		return fmt.Sprintf("%.1f", v)
	}
	return fmt.Sprintf("%.3g", v)
}

func (b *bench) write(path string) error {
	text, err := json.MarshalIndent(map[string]any{"apiVersion": "prism/v1", "kind": "BenchReport", "rows": b.rows}, "", "  ")
	if err != nil {
		return err
	}
	return os.WriteFile(path, append(text, '\n'), 0o644)
}

func (b *bench) cleanUp() {
	for i := len(b.undo) - 1; i >= 0; i-- {
		b.undo[i]()
	}
	b.undo = nil
}
