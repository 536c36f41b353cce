// Package checkup is the frame of doctors: what a check has found and how it is
// printed, the checks of the machine that every doctor makes, and bundles for
// bug reports, with secrets taken out. prismctl doctor and prismctl dev doctor
// are made of it.
package checkup

import (
	"context"
	"fmt"
	"strings"
	"sync"

	"github.com/spf13/cobra"

	"github.com/prism-data-layer/prism/pkg/cli"
)

// A Finding is what one check has found.
type Finding struct {
	ID, State, Text, Fix string // the id is stable: monitors know it

	Untried string `json:",omitempty"` // of a stack
}

// The states of a finding. Skip is no Pass: nothing was looked at.
const (
	Pass = "pass"
	Warn = "warn"
	Fail = "fail"
	Skip = "skip"
)

func states() []string { return []string{Pass, Warn, Fail, Skip} }

// A Check finds one thing or more.
type Check func(context.Context) []Finding

// One is a check that finds one thing.
func One(check func(context.Context) Finding) Check {
	return func(ctx context.Context) []Finding { return []Finding{check(ctx)} }
}

// Run runs every check at once; what they find stands in their order.
func Run(ctx context.Context, checks []Check) []Finding {
	found := make([][]Finding, len(checks))
	var wg sync.WaitGroup
	for i, check := range checks {
		wg.Go(func() { found[i] = check(ctx) })
	}
	wg.Wait()
	var list []Finding
	for _, some := range found {
		list = append(list, some...)
	}
	return list
}

// The forms of a doctor beside those that every list has.
const (
	formatNagios     = "nagios"
	formatPrometheus = "prometheus"
)

// A Doctor prints what was found.
type Doctor struct {
	Kind   string // of a finding: "Check"
	Title  string // of the line for monitors: "PRISM"
	Metric string // "prism_check"
	Name   string // of the command: "prismctl doctor"

	out    *cli.Output
	format string // nagios, prometheus; "" for one of out's
}

func (d *Doctor) kind() cli.Kind[Finding] {
	return cli.Kind[Finding]{Name: d.Kind, Fields: []cli.Field[Finding]{
		cli.Text("id", "CHECK", "its stable name", func(x Finding) string { return x.ID }),
		cli.State("state", "STATE", "pass, warn, fail or skip", func(x Finding) string { return x.State }),
		cli.Text("text", "FOUND", "what was found", func(x Finding) string { return x.Text }),
		cli.Text("fix", "FIX", "what to do", func(x Finding) string { return x.Fix }),
		cli.Text("untried", "UNTRIED", "what of a stack was never run by the tests of this version, and why", func(x Finding) string { return x.Untried }).OnlyWide(),
	}}
}

// AddOutput gives cmd the flags of a list, and the formats for monitors.
func (d *Doctor) AddOutput(f *cli.Factory, cmd *cobra.Command) {
	d.out = cli.AddListOutput(f, cmd, d.kind().Info())
	check := cmd.PreRunE
	cmd.PreRunE = func(c *cobra.Command, args []string) error {
		if out := f.Globals.Output; out == formatNagios || out == formatPrometheus {
			d.format = out
			return nil
		}
		return check(c, args)
	}
}

// Print prints what was found. It ends with 1 if a check has failed; for
// monitors with what they read.
func (d *Doctor) Print(list []Finding) error {
	switch d.format {
	case formatNagios:
		return d.nagios(list)
	case formatPrometheus:
		d.prometheus(list)
	default:
		if err := cli.PrintList(d.out, d.kind(), cli.Cut(d.out, list), ""); err != nil {
			return err
		}
	}
	if count(list, Fail) > 0 {
		return cli.ErrSilent(cli.ExitFailure)
	}
	return nil
}

func count(list []Finding, state string) (n int) {
	for _, x := range list {
		if x.State == state {
			n++
		}
	}
	return n
}

// nagios prints one line and ends with the code that monitors of that family
// read: 0 well, 1 doubtful, 2 bad.
func (d *Doctor) nagios(list []Finding) error {
	word, code, state := "OK", 0, ""
	switch {
	case count(list, Fail) > 0:
		word, code, state = "CRITICAL", 2, Fail
	case count(list, Warn) > 0:
		word, code, state = "WARNING", 1, Warn
	}
	var what []string
	for _, x := range list {
		if x.State == state {
			what = append(what, x.ID+": "+x.Text)
		}
	}
	text := strings.NewReplacer("|", "/", "\n", " ").Replace(strings.Join(what, "; "))
	if text == "" {
		text = "all is well"
	}
	var counts []string
	for _, s := range states() {
		counts = append(counts, fmt.Sprintf("%s=%d", s, count(list, s)))
	}
	fmt.Fprintf(d.out.IO.Out, "%s %s - %s | %s\n", d.Title, word, text, strings.Join(counts, " "))
	if code != 0 {
		return cli.ErrSilent(code)
	}
	return nil
}

func (d *Doctor) prometheus(list []Finding) {
	fmt.Fprintf(d.out.IO.Out, "# HELP %s Whether a check of %s is in this state.\n# TYPE %s gauge\n", d.Metric, d.Name, d.Metric)
	for _, x := range list {
		for _, state := range states() {
			n := 0
			if x.State == state {
				n = 1
			}
			fmt.Fprintf(d.out.IO.Out, "%s{check=%q,state=%q} %d\n", d.Metric, x.ID, state, n)
		}
	}
}
