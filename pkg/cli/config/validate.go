package config

import (
	"context"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/prism-data-layer/prism/pkg/cli"
	"github.com/prism-data-layer/prism/pkg/config"
	"github.com/prism-data-layer/prism/pkg/iostreams"
)

type validateOptions struct {
	IO   *iostreams.IOStreams
	Out  *cli.Output
	Load config.Load

	File string
}

// checked is a file that is valid.
type checked struct {
	file, kind                     string
	backends, namespaces, contexts int
}

func checkedKind() cli.Kind[checked] {
	return cli.Kind[checked]{Name: "ValidConfig", Fields: []cli.Field[checked]{
		cli.Text("file", "FILE", "the file", func(c checked) string { return c.file }),
		cli.Text("file_kind", "KIND", "Gateway, Project, User, Backend or Namespace", func(c checked) string { return c.kind }),
		cli.Int("backends", "BACKENDS", "how many it declares", func(c checked) int64 { return int64(c.backends) }),
		cli.Int("namespaces", "NAMESPACES", "how many it declares", func(c checked) int64 { return int64(c.namespaces) }),
		cli.Int("contexts", "CONTEXTS", "how many it declares", func(c checked) int64 { return int64(c.contexts) }),
	}}
}

func newValidate(f *cli.Factory, run func(context.Context, *validateOptions) error) *cobra.Command {
	o := &validateOptions{IO: f.IO, Load: config.Load{Lookup: f.IO.LookupEnv}}
	cmd := &cobra.Command{
		Use:   "validate FILE",
		Short: "Check a configuration file",
		Long: `Checks a gateway's, a project's or a person's file, or one for apply, and tells everything that is
wrong with it at once: file, line and column, the nearest right word, and where it is documented.
Nothing is started or changed. Ends with 7 if the file is not valid.`,
		Example: "  prismctl config validate prism.yaml\n  prismctl config validate .prism.yaml -o json",
		Args:    cli.ExactArgs("FILE"),
		RunE: func(cmd *cobra.Command, args []string) error {
			o.File = args[0]
			return run(cmd.Context(), o)
		},
	}
	o.Out = cli.AddOutput(f, cmd, checkedKind().Info())
	cli.SkipFiles(cmd)
	return cmd
}

func runValidate(_ context.Context, o *validateOptions) error {
	v, err := config.Validate(o.File, o.Load)
	if err != nil {
		var problems *config.Error
		if errors.As(err, &problems) {
			return &cli.Failure{Err: err, Exit: cli.ExitInvalid, Fix: "correct the lines above; nothing was started"}
		}
		return &cli.Failure{Err: err, Exit: cli.ExitInvalid, Fix: "name a file that is there and can be read"}
	}
	c := checked{file: o.File}
	switch v := v.(type) {
	case *config.Gateway:
		c.kind, c.backends, c.namespaces = config.KindGateway, len(v.Backends), len(v.Namespaces)
	case *config.Project:
		c.kind = config.KindProject
	case *config.User:
		c.kind, c.contexts = config.KindUser, len(v.Contexts)
	case []config.Object:
		for _, x := range v {
			if c.kind = x.Kind; x.Backend != nil {
				c.backends++
			} else {
				c.namespaces++
			}
		}
		if c.backends > 0 && c.namespaces > 0 {
			c.kind = "Backend and Namespace"
		}
	}
	sentence := fmt.Sprintf("%s is a valid file of kind %s", iostreams.Escape(c.file), c.kind)
	switch c.kind {
	case config.KindProject:
	case config.KindUser:
		sentence += fmt.Sprintf(" (%s)", cli.Plural(c.contexts, "context"))
	default:
		sentence += fmt.Sprintf(" (%s, %s)", cli.Plural(c.backends, "backend"), cli.Plural(c.namespaces, "namespace"))
	}
	return cli.PrintChanged(o.Out, checkedKind(), c, sentence, "")
}
