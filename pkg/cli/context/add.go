package context

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/prism-data-layer/prism/pkg/cli"
	"github.com/prism-data-layer/prism/pkg/config"
)

type addOptions struct {
	Out     *cli.Output
	File    func() string
	User    func() (*config.User, error)
	Globals *cli.Globals

	Name      string
	Protected bool
}

func newAdd(f *cli.Factory, run func(context.Context, *addOptions) error) *cobra.Command {
	o := &addOptions{File: f.UserFile, User: f.User, Globals: f.Globals}
	cmd := &cobra.Command{
		Use:   "add NAME",
		Short: "Remember a gateway by name",
		Long: `Remembers a gateway under a name, or changes the one that has it: what --data, --admin,
--namespace, --insecure, --ca and --token-file say is kept. Comments in your file stay.`,
		Example: "  prismctl context add lab --data 10.0.0.7:8980 --admin 10.0.0.7:8981 --insecure\n  prismctl context add prod --data prism.example.com:8980 --admin prism.example.com:8981 --protected",
		Args:    cli.ExactArgs("NAME"),
		RunE: func(cmd *cobra.Command, args []string) error {
			o.Name = args[0]
			return run(cmd.Context(), o)
		},
	}
	o.Out = cli.AddOutput(f, cmd, kind().Info())
	cmd.Flags().BoolVar(&o.Protected, "protected", false, "let commands that destroy ask for the name")
	return cmd
}

func runAdd(_ context.Context, o *addOptions) error {
	g := o.Globals
	c := config.Context{
		Name: o.Name, Data: g.Data, Admin: g.Admin, Namespace: g.Namespace,
		Insecure: g.Insecure, CA: g.CA, TokenFile: g.TokenFile, Protected: o.Protected,
	}
	if err := config.AddContext(o.File(), c); err != nil {
		return err
	}
	u, err := o.User()
	if err != nil {
		return err
	}
	c, _ = u.Context(o.Name)
	return cli.PrintChanged(o.Out, kind(), known{c, u.Current == c.Name}, fmt.Sprintf("saved context %s (data %s, admin %s)", c.Name, c.Data, c.Admin), "prismctl context use "+c.Name)
}
