package context

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/prism-data-layer/prism/pkg/cli"
	"github.com/prism-data-layer/prism/pkg/config"
)

type useOptions struct {
	Out  *cli.Output
	File func() string

	Name   string
	DryRun bool
}

func newUse(f *cli.Factory, run func(context.Context, *useOptions) error) *cobra.Command {
	o := &useOptions{File: f.UserFile}
	cmd := &cobra.Command{
		Use:               "use NAME",
		Short:             "Use another gateway from now on",
		Long:              "Makes a context the current one. With - it is the one before.",
		Example:           "  prismctl context use prod\n  prismctl context use -",
		Args:              cli.ExactArgs("NAME"),
		ValidArgsFunction: cli.CompleteContexts(f),
		RunE: func(cmd *cobra.Command, args []string) error {
			o.Name = args[0]
			return run(cmd.Context(), o)
		},
	}
	o.Out = cli.AddOutput(f, cmd, kind().Info())
	cmd.Flags().BoolVar(&o.DryRun, "dry-run", false, "check, and change nothing")
	return cmd
}

func runUse(_ context.Context, o *useOptions) error {
	file := config.UserFile{Path: o.File(), Dry: o.DryRun}
	if err := file.UseContext(o.Name); err != nil {
		return advice(err)
	}
	c, _ := file.Now.Context(file.Now.Current)
	sentence, next := fmt.Sprintf("now using context %s (%s)", c.Name, c.Data), "prismctl health"
	if o.DryRun {
		sentence, next = fmt.Sprintf("would use context %s (%s) (dry run)", c.Name, c.Data), ""
	}
	return cli.PrintChanged(o.Out, kind(), known{c, true}, sentence, next)
}
