package config

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/prism-data-layer/prism/pkg/cli"
	"github.com/prism-data-layer/prism/pkg/config"
	"github.com/prism-data-layer/prism/pkg/iostreams"
)

type showOptions struct {
	IO      *iostreams.IOStreams
	Gateway func() (path string, err error)
	Load    config.Load

	File       string
	ShowOrigin bool
}

func newShow(f *cli.Factory, run func(context.Context, *showOptions) error) *cobra.Command {
	o := &showOptions{IO: f.IO, Load: config.Load{Lookup: f.IO.LookupEnv}}
	o.Gateway = func() (string, error) {
		place, project, err := f.Project()
		if err != nil {
			return "", err
		}
		return place.GatewayFile(project), nil
	}
	cmd := &cobra.Command{
		Use:   "show [FILE]",
		Short: "Show a file with every default filled in",
		Long: `Shows, as YAML, what a file means with every default filled in and secrets hidden. Without FILE
it is the gateway's file of this project, or the built-in settings where there is none: what
dev up would run.`,
		Example: "  prismctl config show\n  prismctl config show --show-origin",
		Args:    cli.OptionalArgs("FILE"),
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) > 0 {
				o.File = args[0]
			}
			return run(cmd.Context(), o)
		},
	}
	cli.SkipFiles(cmd)
	cmd.Flags().BoolVar(&o.ShowOrigin, "show-origin", false, "say behind each value where it comes from")
	return cmd
}

func runShow(_ context.Context, o *showOptions) error {
	v, err := o.read()
	if err != nil {
		return err
	}
	if list, ok := v.([]config.Object); ok {
		return showObjects(o, list)
	}
	text := config.Marshal(v)
	if o.ShowOrigin {
		text = config.MarshalOrigins(v)
	}
	_, err = o.IO.Out.Write(text)
	return err
}

// showObjects shows the documents of a file for apply.
func showObjects(o *showOptions, list []config.Object) error {
	for i, x := range list {
		if i > 0 {
			fmt.Fprintln(o.IO.Out, "---")
		}
		if _, err := o.IO.Out.Write(config.MarshalObject(x)); err != nil {
			return err
		}
	}
	return nil
}

func (o *showOptions) read() (any, error) {
	if o.File != "" {
		return config.Validate(o.File, o.Load)
	}
	path, err := o.Gateway()
	if err != nil {
		return nil, err
	}
	if path == "" {
		return config.Default(), nil
	}
	return config.LoadGateway(path, o.Load)
}
