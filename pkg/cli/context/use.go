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
	User func() (*config.User, error)

	Name string
}

func newUse(f *cli.Factory, run func(context.Context, *useOptions) error) *cobra.Command {
	o := &useOptions{File: f.UserFile, User: f.User}
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
	return cmd
}

func runUse(_ context.Context, o *useOptions) error {
	if err := config.UseContext(o.File(), o.Name); err != nil {
		return cli.NotFoundFix(err, seeList)
	}
	u, err := o.User()
	if err != nil {
		return err
	}
	c, _ := u.Context(u.Current)
	return cli.PrintChanged(o.Out, kind(), known{c, true}, fmt.Sprintf("now using context %s (%s)", c.Name, c.Data), "prismctl health")
}
