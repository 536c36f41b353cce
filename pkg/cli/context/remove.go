package context

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/prism-data-layer/prism/pkg/cli"
	"github.com/prism-data-layer/prism/pkg/config"
)

type removeOptions struct {
	Out  *cli.Output
	File func() string
	User func() (*config.User, error)

	Name   string
	DryRun bool
}

func newRemove(f *cli.Factory, run func(context.Context, *removeOptions) error) *cobra.Command {
	o := &removeOptions{File: f.UserFile, User: f.User}
	cmd := &cobra.Command{
		Use:               "rm NAME",
		Aliases:           []string{"remove", "delete"},
		Short:             "Forget a gateway's name",
		Long:              "Removes a context from your file. The gateway is not touched.",
		Example:           "  prismctl context rm lab\n  prismctl context rm lab --quiet",
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

func runRemove(_ context.Context, o *removeOptions) error {
	u, err := o.User()
	if err != nil {
		return err
	}
	c, _ := u.Context(o.Name)
	file := config.UserFile{Path: o.File(), Dry: o.DryRun}
	if err := file.RemoveContext(o.Name); err != nil {
		return advice(err)
	}
	sentence, next := "removed context "+o.Name, seeList
	if o.DryRun {
		sentence, next = fmt.Sprintf("would remove context %s (dry run)", o.Name), ""
	}
	return cli.PrintChanged(o.Out, kind(), known{c, false}, sentence, next)
}
