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
	User func() (*config.User, error)

	From, To string
}

func newRename(f *cli.Factory, run func(context.Context, *renameOptions) error) *cobra.Command {
	o := &renameOptions{File: f.UserFile, User: f.User}
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
	return cmd
}

func runRename(_ context.Context, o *renameOptions) error {
	if err := config.RenameContext(o.File(), o.From, o.To); err != nil {
		return cli.NotFoundFix(err, seeList)
	}
	u, err := o.User()
	if err != nil {
		return err
	}
	c, _ := u.Context(o.To)
	return cli.PrintChanged(o.Out, kind(), known{c, u.Current == o.To}, fmt.Sprintf("context %s is called %s now", o.From, o.To), seeList)
}
