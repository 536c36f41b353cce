package context

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/prism-data-layer/prism/pkg/cli"
	"github.com/prism-data-layer/prism/pkg/config"
)

type listOptions struct {
	Out      *cli.Output
	Settings func() (*config.Settings, error)
	User     func() (*config.User, error)
}

func newList(f *cli.Factory, run func(context.Context, *listOptions) error) *cobra.Command {
	o := &listOptions{Settings: f.Settings, User: f.User}
	cmd := &cobra.Command{
		Use:     "list",
		Aliases: []string{"ls"},
		Short:   "List contexts",
		Long:    "Lists the gateways that are known by name, and which one is in use here.",
		Example: "  prismctl context list\n  prismctl ctx ls -o name",
		Args:    cli.NoArgs,
		RunE:    func(cmd *cobra.Command, _ []string) error { return run(cmd.Context(), o) },
	}
	o.Out = cli.AddListOutput(f, cmd, kind().Info())
	return cmd
}

func runList(_ context.Context, o *listOptions) error {
	s, err := o.Settings()
	if err != nil {
		return err
	}
	u, err := o.User()
	if err != nil {
		return err
	}
	current := s.Context()
	var list []known
	if _, mine := u.Context(current.Name); current.Name != "" && !mine {
		list = append(list, known{current, true}) // the gateway of dev up
	}
	for _, c := range u.Contexts {
		list = append(list, known{c, c.Name == current.Name})
	}
	return cli.PrintList(o.Out, kind(), cli.Cut(o.Out, list), "there are no contexts; prismctl context add NAME --data ADDRESS makes one. Without one, 127.0.0.1:8980 is used")
}
