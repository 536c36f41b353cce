// Package schema is `prismctl schema`: what the JSON of a kind holds.
package schema

import (
	"context"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/prism-data-layer/prism/pkg/cli"
	"github.com/prism-data-layer/prism/pkg/iostreams"
	"github.com/prism-data-layer/prism/pkg/prism"
)

type options struct {
	IO    *iostreams.IOStreams
	Kinds func() []cli.KindInfo

	Kind string
}

// New is the command.
func New(f *cli.Factory) *cobra.Command { return newSchema(f, run) }

func newSchema(f *cli.Factory, run func(context.Context, *options) error) *cobra.Command {
	o := &options{IO: f.IO, Kinds: f.Kinds}
	cmd := &cobra.Command{
		Use:     "schema [KIND]",
		Short:   "Show the JSON schema of a kind",
		Long:    "Prints the JSON schema of the objects that -o json prints, or the names of all kinds.",
		Example: "  prismctl schema\n  prismctl schema Namespace",
		Args:    cli.OptionalArgs("KIND"),
		RunE: func(cmd *cobra.Command, args []string) error {
			o.Kind = strings.Join(args, "")
			return run(cmd.Context(), o)
		},
		ValidArgsFunction: func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
			return names(f.Kinds()), cobra.ShellCompDirectiveNoFileComp
		},
	}
	cli.SkipFiles(cmd)
	return cmd
}

func run(_ context.Context, o *options) error {
	kinds := o.Kinds()
	if o.Kind == "" {
		_, err := o.IO.Out.Write([]byte(strings.Join(names(kinds), "\n") + "\n"))
		return err
	}
	at := slices.IndexFunc(kinds, func(k cli.KindInfo) bool { return strings.EqualFold(k.Name, o.Kind) })
	if at < 0 {
		return cli.WithFix(prism.NotFound("kind", o.Kind), "prismctl schema")
	}
	_, err := o.IO.Out.Write(cli.Schema(kinds[at]))
	return err
}

func names(kinds []cli.KindInfo) []string {
	list := make([]string, len(kinds))
	for i, k := range kinds {
		list[i] = k.Name
	}
	slices.Sort(list)
	return list
}
