package errors

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/prism-data-layer/prism/pkg/cli"
	"github.com/prism-data-layer/prism/pkg/prism"
)

type listOptions struct{ Out *cli.Output }

func newList(f *cli.Factory, run func(context.Context, *listOptions) error) *cobra.Command {
	o := &listOptions{}
	cmd := &cobra.Command{
		Use:     "list",
		Aliases: []string{"ls"},
		Short:   "List every error",
		Long:    "Lists every error that the gateway can answer with, by code.",
		Example: "  prismctl errors list\n  prismctl errors list --jq '.[] | select(.retryable) | .code'",
		Args:    cli.NoArgs,
		RunE:    func(cmd *cobra.Command, _ []string) error { return run(cmd.Context(), o) },
	}
	o.Out = cli.AddListOutput(f, cmd, kind().Info())
	cli.SkipFiles(cmd)
	return cmd
}

func runList(_ context.Context, o *listOptions) error {
	return cli.PrintList(o.Out, kind(), cli.Cut(o.Out, prism.Infos()), "")
}
