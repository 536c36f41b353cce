package dev

import (
	"context"
	"encoding/json"
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/prism-data-layer/prism/pkg/cli"
	"github.com/prism-data-layer/prism/pkg/config"
	"github.com/prism-data-layer/prism/pkg/iostreams"
	"github.com/prism-data-layer/prism/pkg/prism"
)

type envOptions struct {
	IO      *iostreams.IOStreams
	Project func() (project, error)

	Format string
}

// formats of env: for a file, for eval in a shell, for programs.
var envFormats = []string{"dotenv", "shell", "json"}

func newEnv(f *cli.Factory, run func(context.Context, *envOptions) error) *cobra.Command {
	o := &envOptions{IO: f.IO, Project: func() (project, error) { return find(f) }}
	cmd := &cobra.Command{
		Use:     "env",
		Short:   "Print the addresses as environment variables",
		Long:    "Prints what an application needs to reach the gateway of this folder.",
		Example: "  prismctl dev env > .env\n  eval \"$(prismctl dev env --format shell)\"",
		Args:    cli.NoArgs,
		RunE:    func(cmd *cobra.Command, _ []string) error { return run(cmd.Context(), o) },
	}
	cmd.Flags().StringVar(&o.Format, "format", "dotenv", "`FORMAT`: dotenv, shell or json")
	return cmd
}

func runEnv(ctx context.Context, o *envOptions) error {
	if !slices.Contains(envFormats, o.Format) {
		return cli.Usage("use one of: "+strings.Join(envFormats, ", "), "--format %q is not known", o.Format)
	}
	p, err := o.Project()
	if err != nil {
		return err
	}
	st, err := p.status(ctx)
	if err != nil {
		return err
	}
	s := st.Service(gateway)
	if s == nil {
		return cli.WithFix(prism.New(prism.ReasonUnavailable, "nothing runs for %s", p.Root), "prismctl dev up")
	}
	if !st.Running {
		fmt.Fprintln(o.IO.ErrOut, "nothing runs here now: these are the addresses of the last time; prismctl dev up starts it")
	}
	vars := []struct{ name, value string }{
		{config.EnvData, s.Listen["data"]}, {config.EnvAdmin, s.Listen["admin"]}, {"PRISM_METRICS", "http://" + s.Listen["metrics"] + "/metrics"},
	}
	if key := filepath.Join(p.DataDir(), "admin.key"); exists(key) {
		vars = append(vars, struct{ name, value string }{"PRISM_TOKEN_FILE", key})
	}
	if o.Format == "json" {
		m := map[string]string{}
		for _, v := range vars {
			m[v.name] = v.value
		}
		enc := json.NewEncoder(o.IO.Out)
		enc.SetIndent("", "  ")
		return enc.Encode(m)
	}
	for _, v := range vars {
		if o.Format == "shell" {
			fmt.Fprintf(o.IO.Out, "export %s='%s'\n", v.name, strings.ReplaceAll(v.value, "'", `'\''`))
			continue
		}
		fmt.Fprintf(o.IO.Out, "%s=%s\n", v.name, v.value)
	}
	return nil
}
