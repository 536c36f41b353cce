package dev

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/prism-data-layer/prism/pkg/cli"
	"github.com/prism-data-layer/prism/pkg/config"
	"github.com/prism-data-layer/prism/pkg/iostreams"
	"github.com/prism-data-layer/prism/pkg/prism"
	"github.com/prism-data-layer/prism/pkg/supervise"
	"github.com/prism-data-layer/prism/stacks"
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
		Long:    "Prints what an application needs to reach the gateway of this folder and its stacks. Passwords are\nnot printed: variables name the files that hold them.",
		Example: "  prismctl dev env > .env\n  eval \"$(prismctl dev env -o shell)\"",
		Args:    cli.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if cmd.Flags().Changed("output") {
				o.Format = f.Globals.Output
			}
			return run(cmd.Context(), o)
		},
	}
	cmd.Flags().StringVar(&o.Format, "format", "dotenv", "`FORMAT`: dotenv, shell or json; -o says the same")
	cli.Enum(cmd, "format", envFormats...)
	return cmd
}

func runEnv(ctx context.Context, o *envOptions) error {
	if !slices.Contains(envFormats, o.Format) {
		return cli.NotAWord("output", o.Format, envFormats)
	}
	p, err := o.Project()
	if err != nil {
		return err
	}
	st, err := p.status(ctx)
	if err != nil {
		return err
	}
	vars, err := p.env(st)
	if err != nil {
		return err
	}
	if !st.Running {
		fmt.Fprintln(o.IO.ErrOut, "nothing runs here now: these are the addresses of the last time; prismctl dev up starts it")
	}
	if o.Format == "json" {
		m := map[string]string{}
		for _, v := range vars {
			m[v.Name] = v.Value
		}
		enc := json.NewEncoder(o.IO.Out)
		enc.SetIndent("", "  ")
		return enc.Encode(m)
	}
	for _, v := range vars {
		if o.Format == "shell" {
			fmt.Fprintf(o.IO.Out, "export %s='%s'\n", v.Name, strings.ReplaceAll(v.Value, "'", `'\''`))
			continue
		}
		fmt.Fprintf(o.IO.Out, "%s=%s\n", v.Name, v.Value)
	}
	return nil
}

// env is what applications get: of what runs, or ran last.
func (p project) env(st supervise.Status) ([]stacks.Var, error) {
	s := st.Service(gateway)
	if s == nil {
		return nil, cli.WithFix(prism.New(prism.ReasonUnavailable, "nothing runs for %s", p.Root), "prismctl dev up")
	}
	vars := p.gatewayEnv(s.Listen)
	records, err := stacks.Running(p.state)
	if err != nil {
		return nil, advised(err)
	}
	for _, r := range records {
		if st.Service(r.Name) == nil {
			continue
		}
		for _, name := range slices.Sorted(maps.Keys(r.Env)) {
			vars = append(vars, stacks.Var{Name: name, Value: r.Env[name]})
		}
	}
	return vars, nil
}

// gatewayEnv is what the gateway offers.
func (p project) gatewayEnv(listen map[string]string) []stacks.Var {
	vars := []stacks.Var{
		{Name: config.EnvData, Value: listen["data"]},
		{Name: config.EnvAdmin, Value: listen["admin"]},
		{Name: "PRISM_METRICS", Value: "http://" + listen["metrics"] + "/metrics"},
	}
	if key := filepath.Join(p.DataDir(), "admin.key"); exists(key) {
		vars = append(vars, stacks.Var{Name: "PRISM_TOKEN_FILE", Value: key})
	}
	return vars
}

// appEnv is what env will say once the plan runs, for the project's own
// programs.
func (pl *plan) appEnv() []stacks.Var {
	listen := map[string]string{}
	for _, s := range pl.specs {
		if s.Name == gateway {
			for _, l := range s.Listen {
				listen[l.Name] = l.Addr
			}
		}
	}
	vars := pl.gatewayEnv(listen)
	for _, i := range pl.stacks.Instances {
		vars = append(vars, i.Env()...)
	}
	return vars
}
