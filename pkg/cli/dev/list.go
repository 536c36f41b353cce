package dev

import (
	"context"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/prism-data-layer/prism/pkg/cli"
	"github.com/prism-data-layer/prism/pkg/supervise"
)

type listOptions struct {
	Out   *cli.Output
	State string // the folder of all projects
}

// projects describes a line of dev list.
func projects() cli.Kind[supervise.Status] {
	type st = supervise.Status
	return cli.Kind[st]{Name: "DevProject", Fields: []cli.Field[st]{
		cli.Text("project", "PROJECT", "its id: the folder's name, and what tells it from others of that name", func(s st) string { return s.ID }),
		cli.State("state", "STATE", "ready, starting, degraded, crashed, crash-loop or stopped", overall),
		cli.Int("pid", "PID", "its supervisor", func(s st) int64 { return int64(s.Supervisor) }).Optional(func(s st) bool { return s.Supervisor != 0 }),
		cli.Time("since", "SINCE", "when the supervisor began", func(s st) int64 { return millis(s.Since) }),
		cli.Words("services", "SERVICES", "what it runs", func(s st) []string {
			var names []string
			for _, one := range s.Services {
				names = append(names, one.Name)
			}
			return names
		}),
		cli.Text("folder", "FOLDER", "where it is", func(s st) string { return s.Root }),
		cli.Words("warnings", "", "what is wrong with it", func(s st) []string { return s.Warnings }),
	}}
}

// overall is the worst state of a project's services.
func overall(st supervise.Status) string {
	if !st.Running {
		for _, s := range st.Services {
			if s.PID != 0 {
				return string(supervise.Degraded)
			}
		}
		return string(supervise.Stopped)
	}
	worst := supervise.Ready
	rank := map[supervise.State]int{supervise.Starting: 1, supervise.Stopping: 2, supervise.Degraded: 3, supervise.Crashed: 4, supervise.CrashLoop: 5}
	for _, s := range st.Services {
		if rank[s.State] > rank[worst] {
			worst = s.State
		}
	}
	return string(worst)
}

func newList(f *cli.Factory, run func(context.Context, *listOptions) error) *cobra.Command {
	o := &listOptions{}
	cmd := &cobra.Command{
		Use:     "list",
		Aliases: []string{"ls"},
		Short:   "List all projects of this machine",
		Long:    "Lists every folder of yours for which dev up ran, wherever you are, and asks each supervisor for\nits state, all at once and each with a deadline.",
		Example: "  prismctl dev list\n  prismctl dev list -o json --jq '.[] | select(.state == \"ready\") | .folder'",
		Args:    cli.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			o.State = filepath.Join(f.Dirs().State, "dev")
			return run(cmd.Context(), o)
		},
	}
	o.Out = cli.AddListOutput(f, cmd, projects().Info())
	return cmd
}

func runList(_ context.Context, o *listOptions) error {
	all, err := supervise.List(o.State)
	if err != nil {
		return err
	}
	for _, st := range all {
		for _, w := range st.Warnings {
			o.Out.Note("%s: %s", st.ID, w)
		}
	}
	return cli.PrintList(o.Out, projects(), all, "no project was ever started on this machine; prismctl dev up starts one")
}
