package errors

import (
	"context"
	"strings"

	"github.com/spf13/cobra"

	"github.com/prism-data-layer/prism/pkg/cli"
	"github.com/prism-data-layer/prism/pkg/config"
	"github.com/prism-data-layer/prism/pkg/prism"
)

type lookupOptions struct {
	Out *cli.Output

	Code string
}

func newLookup(f *cli.Factory, run func(context.Context, *lookupOptions) error) *cobra.Command {
	o := &lookupOptions{}
	cmd := &cobra.Command{
		Use:     "lookup CODE",
		Aliases: []string{"describe", "show"},
		Short:   "Explain an error",
		Long:    "Explains an error by its code or its reason: what it means, what to do, and what programs see.",
		Example: "  prismctl errors lookup PRISM-40401\n  prismctl errors lookup VERSION_MISMATCH",
		Args:    cli.ExactArgs("CODE"),
		RunE: func(cmd *cobra.Command, args []string) error {
			o.Code = args[0]
			return run(cmd.Context(), o)
		},
	}
	o.Out = cli.AddOutput(f, cmd, kind().Info())
	cli.SkipFiles(cmd)
	return cmd
}

func runLookup(_ context.Context, o *lookupOptions) error {
	word := strings.ToUpper(o.Code)
	info, ok := prism.LookupCode(word)
	if !ok {
		info, ok = prism.LookupCode("PRISM-" + word)
	}
	if r := prism.Reason(word); !ok && r.Known() {
		info, ok = r.Info(), true
	}
	if !ok {
		fix := "prismctl errors list"
		var words []string
		for _, i := range prism.Infos() {
			words = append(words, i.Code(), string(i.Reason))
		}
		if near := config.Nearest(word, words); near != "" {
			fix = "prismctl errors lookup " + near
		}
		return cli.WithFix(prism.NotFound("error code", o.Code), "%s", fix)
	}
	return cli.PrintOne(o.Out, kind(), info)
}
