package dev

import (
	"context"
	"fmt"
	"strings"
	"sync"

	"github.com/spf13/cobra"

	"github.com/prism-data-layer/prism/pkg/cli"
	"github.com/prism-data-layer/prism/pkg/clock"
	"github.com/prism-data-layer/prism/pkg/iostreams"
	"github.com/prism-data-layer/prism/pkg/supervise"
)

type doctorOptions struct {
	IO      *iostreams.IOStreams
	Clock   clock.Clock
	Out     *cli.Output
	Up      *upOptions // what up would do
	Project func() (project, error)

	Fix    bool
	Format string // nagios, prometheus; "" for one of Out's
}

// A finding is what one check has found.
type finding struct {
	ID, State, Text, Fix string

	Untried string // of a stack
}

// The states of a finding.
const (
	pass = "pass"
	warn = "warn"
	bad  = "fail"
)

// The forms of doctor beside those that every list has.
const (
	formatNagios     = "nagios"
	formatPrometheus = "prometheus"
)

func findings() cli.Kind[finding] {
	return cli.Kind[finding]{Name: "DevCheck", Fields: []cli.Field[finding]{
		cli.Text("id", "CHECK", "its stable name", func(x finding) string { return x.ID }),
		cli.State("state", "STATE", "pass, warn or fail", func(x finding) string { return x.State }),
		cli.Text("text", "FOUND", "what was found", func(x finding) string { return x.Text }),
		cli.Text("fix", "FIX", "what to do", func(x finding) string { return x.Fix }),
		cli.Text("untried", "UNTRIED", "what of a stack was never run by the tests of this version, and why", func(x finding) string { return x.Untried }).OnlyWide(),
	}}
}

func newDoctor(f *cli.Factory, run func(context.Context, *doctorOptions) error) *cobra.Command {
	o := &doctorOptions{IO: f.IO, Clock: f.Clock, Project: func() (project, error) { return find(f) }, Up: upOf(f)}
	cmd := &cobra.Command{
		Use:   "doctor",
		Short: "Check what dev up needs",
		Long: "Checks the configuration, the programs, the folders, the container engine and the machine, and says of\neach what to do. --fix repairs what is safe: state files that cannot be read, what a killed supervisor\n" +
			"has left, modes of folders. Ends with 1 if a check fails. -o nagios and -o prometheus are for monitors.",
		Example: "  prismctl dev doctor\n  prismctl dev doctor --fix\n  prismctl dev doctor -o nagios",
		Args:    cli.NoArgs,
		RunE:    func(cmd *cobra.Command, _ []string) error { return run(cmd.Context(), o) },
	}
	o.Out = cli.AddListOutput(f, cmd, findings().Info())
	cmd.Flags().BoolVar(&o.Fix, "fix", false, "repair what is safe to repair")
	check := cmd.PreRunE
	cmd.PreRunE = func(c *cobra.Command, args []string) error {
		if out := f.Globals.Output; out == formatNagios || out == formatPrometheus {
			o.Format = out
			return nil
		}
		return check(c, args)
	}
	return cmd
}

func runDoctor(ctx context.Context, o *doctorOptions) error {
	p, err := o.Project()
	if err != nil {
		return err
	}
	if o.Fix {
		done, err := p.repair()
		for _, text := range done {
			fmt.Fprintf(o.IO.ErrOut, "fixed: %s\n", iostreams.Escape(text))
		}
		if err != nil {
			return err
		}
		if len(done) == 0 {
			fmt.Fprintln(o.IO.ErrOut, "there was nothing to fix that is safe to fix")
		}
	}
	list := o.examine(ctx, p)
	switch o.Format {
	case formatNagios:
		return o.nagios(list)
	case formatPrometheus:
		o.prometheus(list)
	default:
		if err := cli.PrintList(o.Out, findings(), list, ""); err != nil {
			return err
		}
	}
	if count(list, bad) > 0 {
		return cli.ErrSilent(cli.ExitFailure)
	}
	return nil
}

// examine runs every check, all at once.
func (o *doctorOptions) examine(ctx context.Context, p project) []finding {
	checks := o.checks(p)
	found := make([][]finding, len(checks))
	var wg sync.WaitGroup
	for i, check := range checks {
		wg.Go(func() { found[i] = check(ctx) })
	}
	wg.Wait()
	var list []finding
	for _, some := range found {
		list = append(list, some...)
	}
	return list
}

func count(list []finding, state string) (n int) {
	for _, x := range list {
		if x.State == state {
			n++
		}
	}
	return n
}

// nagios prints one line and ends with the code that monitors of that family
// read: 0 well, 1 doubtful, 2 bad.
func (o *doctorOptions) nagios(list []finding) error {
	word, code, state := "OK", 0, ""
	switch {
	case count(list, bad) > 0:
		word, code, state = "CRITICAL", 2, bad
	case count(list, warn) > 0:
		word, code, state = "WARNING", 1, warn
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
	fmt.Fprintf(o.IO.Out, "PRISM DEV %s - %s | pass=%d warn=%d fail=%d\n", word, text, count(list, pass), count(list, warn), count(list, bad))
	if code != 0 {
		return cli.ErrSilent(code)
	}
	return nil
}

func (o *doctorOptions) prometheus(list []finding) {
	fmt.Fprint(o.IO.Out, "# HELP prism_dev_check Whether a check of prismctl dev doctor is in this state.\n# TYPE prism_dev_check gauge\n")
	for _, x := range list {
		for _, state := range []string{pass, warn, bad} {
			n := 0
			if x.State == state {
				n = 1
			}
			fmt.Fprintf(o.IO.Out, "prism_dev_check{check=%q,state=%q} %d\n", x.ID, state, n)
		}
	}
}

// repair mends what is safe to mend, and says what it did.
func (p project) repair() (done []string, err error) {
	for _, dir := range []string{p.state, p.logs()} {
		if mended, err := closeFolder(dir); err != nil {
			return done, err
		} else if mended {
			done = append(done, "closed "+dir+" to others")
		}
	}
	if _, err := supervise.Dial(p.socket); err == nil || !notRunning(err) {
		return done, nil // what runs is in nobody's way
	}
	set, err := p.setAside()
	if err != nil {
		return done, err
	}
	done = append(done, set...)
	ended, err := supervise.Cleanup(p.options())
	if ended > 0 {
		done = append(done, fmt.Sprintf("ended %s that a killed supervisor had left", cli.Plural(ended, "process")))
	}
	return done, err
}
