package dev

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/prism-data-layer/prism/pkg/cli"
	"github.com/prism-data-layer/prism/pkg/cli/checkup"
	"github.com/prism-data-layer/prism/pkg/clock"
	"github.com/prism-data-layer/prism/pkg/iostreams"
	"github.com/prism-data-layer/prism/pkg/supervise"
)

type doctorOptions struct {
	IO      *iostreams.IOStreams
	Clock   clock.Clock
	Doctor  checkup.Doctor
	Up      *upOptions // what up would do
	Project func() (project, error)

	Fix bool
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
	o.Doctor = checkup.Doctor{Kind: "DevCheck", Title: "PRISM DEV", Metric: "prism_dev_check", Name: "prismctl dev doctor"}
	o.Doctor.AddOutput(f, cmd)
	cmd.Flags().BoolVar(&o.Fix, "fix", false, "repair what is safe to repair")
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
	return o.Doctor.Print(o.examine(ctx, p))
}

func (o *doctorOptions) examine(ctx context.Context, p project) []checkup.Finding {
	return checkup.Run(ctx, o.checks(p))
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
