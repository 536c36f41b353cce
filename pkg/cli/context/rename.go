package context

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/prism-data-layer/prism/pkg/cli"
	"github.com/prism-data-layer/prism/pkg/config"
)

type renameOptions struct {
	Out  *cli.Output
	File func() string

	From, To string
	DryRun   bool
}

func newRename(f *cli.Factory, run func(context.Context, *renameOptions) error) *cobra.Command {
	o := &renameOptions{File: f.UserFile}
	cmd := &cobra.Command{
		Use:               "rename NAME NEW-NAME",
		Short:             "Give a context another name",
		Long:              "Gives a context another name. If it is the current one, it stays so.",
		Example:           "  prismctl context rename lab bench\n  prismctl ctx rename prod live",
		Args:              cli.ExactArgs("NAME", "NEW-NAME"),
		ValidArgsFunction: cli.CompleteContexts(f),
		RunE: func(cmd *cobra.Command, args []string) error {
			o.From, o.To = args[0], args[1]
			return run(cmd.Context(), o)
		},
	}
	o.Out = cli.AddOutput(f, cmd, kind().Info())
	cmd.Flags().BoolVar(&o.DryRun, "dry-run", false, "check, and change nothing")
	return cmd
}

func runRename(_ context.Context, o *renameOptions) error {
	file := config.UserFile{Path: o.File(), Dry: o.DryRun}
	if err := file.RenameContext(o.From, o.To); err != nil {
		return advice(err)
	}
	c, _ := file.Now.Context(o.To)
	sentence, next := fmt.Sprintf("context %s is called %s now", o.From, o.To), seeList
	if o.DryRun {
		sentence, next = fmt.Sprintf("would call context %s %s (dry run)", o.From, o.To), ""
	}
	return cli.PrintChanged(o.Out, kind(), known{c, file.Now.Current == o.To}, sentence, next)
}
