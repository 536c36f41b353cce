package config

import (
	"context"
	"encoding/json"
	"strings"

	"github.com/spf13/cobra"

	"github.com/prism-data-layer/prism/pkg/cli"
	"github.com/prism-data-layer/prism/pkg/config"
	"github.com/prism-data-layer/prism/pkg/iostreams"
	"github.com/prism-data-layer/prism/pkg/prism"
)

type schemaOptions struct {
	IO *iostreams.IOStreams

	Kind string
}

func newSchema(f *cli.Factory, run func(context.Context, *schemaOptions) error) *cobra.Command {
	o := &schemaOptions{IO: f.IO}
	cmd := &cobra.Command{
		Use:   "schema [KIND]",
		Short: "Show the JSON schema of a file",
		Long: `Prints the JSON schema (draft 2020-12) of a kind of file, by which editors complete and check:
Gateway, Project, User, and Namespace and Backend for apply. Without KIND it is that of Gateway.`,
		Example:   "  prismctl config schema > gateway.schema.json\n  prismctl config schema Namespace",
		Args:      cli.OptionalArgs("KIND"),
		ValidArgs: config.Kinds(),
		RunE: func(cmd *cobra.Command, args []string) error {
			if o.Kind = config.KindGateway; len(args) > 0 {
				o.Kind = args[0]
			}
			return run(cmd.Context(), o)
		},
	}
	cli.SkipFiles(cmd)
	return cmd
}

func runSchema(_ context.Context, o *schemaOptions) error {
	v := config.New(o.Kind)
	if v == nil {
		fix := "use one of: " + strings.Join(config.Kinds(), ", ")
		if near := config.Nearest(o.Kind, config.Kinds()); near != "" {
			fix = "prismctl config schema " + near
		}
		return cli.WithFix(prism.NotFound("kind of file", o.Kind), "%s", fix)
	}
	title := o.Kind
	for _, k := range config.Kinds() {
		if strings.EqualFold(k, o.Kind) {
			title = k
		}
	}
	text, err := json.MarshalIndent(config.JSONSchema(title, v), "", "  ")
	if err != nil {
		return err
	}
	_, err = o.IO.Out.Write(append(text, '\n'))
	return err
}
