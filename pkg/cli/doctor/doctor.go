// Package doctor is `prismctl doctor`: what stands between this machine and a
// gateway, and how that gateway is.
package doctor

import (
	"context"
	"fmt"
	"path/filepath"
	"sync"

	"github.com/spf13/cobra"

	"github.com/prism-data-layer/prism/pkg/cli"
	"github.com/prism-data-layer/prism/pkg/cli/checkup"
	"github.com/prism-data-layer/prism/pkg/clock"
	"github.com/prism-data-layer/prism/pkg/iostreams"
	adminv1 "github.com/prism-data-layer/prism/proto/prism/admin/v1"
)

type options struct {
	IO      *iostreams.IOStreams
	Clock   clock.Clock
	Build   cli.Build
	Factory *cli.Factory // for all that is read and dialled, each when a check wants it
	Doctor  checkup.Doctor

	Fix    bool
	Bundle string

	admin    func() (adminv1.AdminServiceClient, error) // one for all: a factory dials for one at a time
	status   func() (answered, error)
	backends func() ([]*adminv1.Backend, error)
}

// New is the command.
func New(f *cli.Factory) *cobra.Command { return newDoctor(f, run) }

func newDoctor(f *cli.Factory, run func(context.Context, *options) error) *cobra.Command {
	o := &options{
		IO: f.IO, Clock: f.Clock, Build: f.Build, Factory: f,
		Doctor: checkup.Doctor{Kind: "Check", Title: "PRISM", Metric: "prism_check", Name: "prismctl doctor"},
	}
	cmd := &cobra.Command{
		Use:   "doctor",
		Short: "Check this machine, the way to the gateway, and the gateway",
		Long: `Checks the configuration, the context and its names, ports, TLS and credential, the gateway with
each of its backends, clocks and versions, and what this machine has to give, and says of each what
to do. --fix repairs what is safe: who may read your files. Ends with 1 if a check fails; what was
not looked at is skipped, not passed. -o nagios and -o prometheus are for monitors.
--bundle writes what a bug report needs, with secrets taken out.
What dev up needs is checked by prismctl dev doctor.`,
		Example: "  prismctl doctor\n  prismctl doctor --fix\n  prismctl doctor -o prometheus\n  prismctl doctor --bundle bug.zip",
		Args:    cli.NoArgs,
		RunE:    func(cmd *cobra.Command, _ []string) error { return run(cmd.Context(), o) },
	}
	o.Doctor.AddOutput(f, cmd)
	cmd.Flags().BoolVar(&o.Fix, "fix", false, "repair what is safe to repair")
	cmd.Flags().StringVar(&o.Bundle, "bundle", "", "write a zip `FILE` for a bug report instead")
	cli.SkipFiles(cmd) // a file that is wrong is a finding
	return cmd
}

func run(ctx context.Context, o *options) error {
	o.admin = sync.OnceValues(func() (adminv1.AdminServiceClient, error) { return o.Factory.Admin(ctx) })
	o.status = sync.OnceValues(func() (answered, error) { return o.ask(ctx) })
	o.backends = sync.OnceValues(func() ([]*adminv1.Backend, error) { return o.probe(ctx) })
	if o.Fix {
		done, err := o.repair()
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
	if o.Bundle != "" {
		return o.bundle(ctx)
	}
	progress := o.IO.StartProgress("looking")
	list := checkup.Run(ctx, o.checks())
	progress.Stop()
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return o.Doctor.Print(list)
}

func (o *options) bundle(ctx context.Context) error {
	if !filepath.IsAbs(o.Bundle) {
		o.Bundle = filepath.Join(o.Factory.Place.Dir, o.Bundle)
	}
	hide, err := o.redactor()
	if err != nil {
		return err
	}
	return checkup.Bundle(ctx, o.IO, o.Bundle, hide, o.parts())
}
