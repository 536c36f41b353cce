package context

import (
	"context"
	"strings"

	"github.com/spf13/cobra"

	"github.com/prism-data-layer/prism/pkg/cli"
	"github.com/prism-data-layer/prism/pkg/config"
	"github.com/prism-data-layer/prism/pkg/prism"
)

type showOptions struct {
	Out      *cli.Output
	Settings func() (*config.Settings, error)
	User     func() (*config.User, error)

	Name string
}

func newShow(f *cli.Factory, run func(context.Context, *showOptions) error) *cobra.Command {
	o := &showOptions{Settings: f.Settings, User: f.User}
	cmd := &cobra.Command{
		Use:               "show [NAME]",
		Aliases:           []string{"describe", "get"},
		Short:             "Show a context",
		Long:              "Shows a context, or the one in use with what flags and the environment change about it.",
		Example:           "  prismctl context show\n  prismctl context show prod -o yaml",
		Args:              cli.OptionalArgs("NAME"),
		ValidArgsFunction: cli.CompleteContexts(f),
		RunE: func(cmd *cobra.Command, args []string) error {
			o.Name = strings.Join(args, "")
			return run(cmd.Context(), o)
		},
	}
	o.Out = cli.AddOutput(f, cmd, kind().Info())
	return cmd
}

func runShow(_ context.Context, o *showOptions) error {
	s, err := o.Settings()
	if err != nil {
		return err
	}
	current := s.Context()
	if o.Name == "" || o.Name == current.Name {
		return cli.PrintOne(o.Out, kind(), known{current, true})
	}
	u, err := o.User()
	if err != nil {
		return err
	}
	c, ok := u.Context(o.Name)
	if !ok {
		return cli.WithFix(prism.NotFound("context", o.Name), seeList)
	}
	return cli.PrintOne(o.Out, kind(), known{c, false})
}
