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
	Globals *cli.Globals

	Name              string
	Protected, DryRun bool
}

func newAdd(f *cli.Factory, run func(context.Context, *addOptions) error) *cobra.Command {
	o := &addOptions{File: f.UserFile, Globals: f.Globals}
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
	cmd.Flags().BoolVar(&o.DryRun, "dry-run", false, "check, and change nothing")
	return cmd
}

func runAdd(_ context.Context, o *addOptions) error {
	g := o.Globals
	c := config.Context{
		Name: o.Name, Data: g.Data, Admin: g.Admin, Namespace: g.Namespace,
		Insecure: g.Insecure, CA: g.CA, TokenFile: g.TokenFile, Protected: o.Protected,
	}
	file := config.UserFile{Path: o.File(), Dry: o.DryRun}
	if err := file.AddContext(c); err != nil {
		return advice(err)
	}
	c, _ = file.Now.Context(o.Name)
	which := fmt.Sprintf("context %s (data %s, admin %s)", c.Name, c.Data, c.Admin)
	sentence, next := "saved "+which, "prismctl context use "+c.Name
	if o.DryRun {
		sentence, next = "would save "+which+" (dry run)", ""
	}
	return cli.PrintChanged(o.Out, kind(), known{c, file.Now.Current == c.Name}, sentence, next)
}
