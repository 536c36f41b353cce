// Package context is `prismctl context`: the gateways that are known by name.
package context

import (
	"github.com/spf13/cobra"

	"github.com/prism-data-layer/prism/pkg/cli"
	"github.com/prism-data-layer/prism/pkg/config"
)

// New is the noun.
func New(f *cli.Factory) *cobra.Command {
	use := newUse(f, runUse)
	cmd := cli.Group("context", "Know gateways by name",
		"A context is a gateway with a name: its addresses, and how to reach it. They are kept in your\nown config.yaml. In a folder where dev up runs, its gateway is the context.\nprismctl context - goes back to the one before.",
		"  prismctl context add prod --data prism.example.com:8980 --admin prism.example.com:8981\n  prismctl context list",
		newAdd(f, runAdd), newList(f, runList), newRemove(f, runRemove), newRename(f, runRename), newShow(f, runShow), use)
	cmd.Aliases = []string{"ctx"}
	verbs := cmd.RunE
	cmd.RunE = func(c *cobra.Command, args []string) error {
		if len(args) != 1 || args[0] != "-" {
			return verbs(c, args)
		}
		use.SetContext(c.Context())
		if err := use.PreRunE(use, args); err != nil {
			return err
		}
		return use.RunE(use, args) // the one before
	}
	return cmd
}

const seeList = "prismctl context list"

// advice says what to do about a name that is not there.
func advice(err error) error { return cli.NotFoundFix(err, seeList) }

// known is a context and whether it is in use.
type known struct {
	config.Context
	current bool
}

func kind() cli.Kind[known] {
	return cli.Kind[known]{Name: "Context", Fields: []cli.Field[known]{
		cli.Text("name", "NAME", "its name", func(k known) string { return k.Name }),
		cli.Bool("current", "CURRENT", "whether it is in use", func(k known) bool { return k.current }),
		cli.Text("data", "DATA", "the address of the data API", func(k known) string { return k.Data }),
		cli.Text("admin", "ADMIN", "the address of the admin API", func(k known) string { return k.Admin }),
		cli.Text("namespace", "NAMESPACE", "the namespace of data commands", func(k known) string { return k.Namespace }),
		cli.Bool("protected", "PROTECTED", "whether destroying asks for a name", func(k known) bool { return k.Protected }),
		cli.Bool("insecure", "INSECURE", "whether it is reached without TLS", func(k known) bool { return k.Insecure }).OnlyWide(),
		cli.Text("ca", "CA", "the certificates to trust", func(k known) string { return k.CA }).OnlyWide(),
		cli.Text("token_file", "TOKEN FILE", "the file with the credential", func(k known) string { return k.TokenFile }).OnlyWide(),
	}}
}
