package dev

import (
	"context"
	"time"

	"github.com/spf13/cobra"

	"github.com/prism-data-layer/prism/pkg/cli"
	"github.com/prism-data-layer/prism/pkg/prism"
	"github.com/prism-data-layer/prism/pkg/supervise"
)

type statusOptions struct {
	Out     *cli.Output
	Project func() (project, error)
}

func kind() cli.Kind[supervise.ServiceStatus] {
	type svc = supervise.ServiceStatus
	return cli.Kind[svc]{Name: "DevService", Fields: []cli.Field[svc]{
		cli.Text("name", "SERVICE", "its name", func(s svc) string { return s.Name }),
		cli.State("state", "STATE", "starting, ready, degraded, crashed, crash-loop, stopping or stopped", func(s svc) string { return string(s.State) }),
		cli.Int("pid", "PID", "its process", func(s svc) int64 { return int64(s.PID) }).Optional(func(s svc) bool { return s.PID != 0 }),
		cli.Time("since", "SINCE", "when it came into this state", func(s svc) int64 { return millis(s.Since) }),
		cli.Int("restarts", "RESTARTS", "how often it was started again", func(s svc) int64 { return int64(s.Restarts) }),
		cli.Text("data_address", "DATA", "the data API", func(s svc) string { return s.Listen["data"] }),
		cli.Text("admin_address", "ADMIN", "the admin API", func(s svc) string { return s.Listen["admin"] }),
		cli.Text("metrics_address", "", "metrics, health and profiles", func(s svc) string { return s.Listen["metrics"] }),
		cli.Millis("ready_ms", "", "how long it took to be ready", func(s svc) int64 { return s.ReadyMS }),
		cli.Text("exit", "", "how the last run ended", exit),
		cli.Text("message", "MESSAGE", "why it is not ready", func(s svc) string { return s.Message }),
		cli.Words("last_log", "", "its last lines, when it crashed or is late", func(s svc) []string { return s.LastLog }),
	}}
}

func exit(s supervise.ServiceStatus) string {
	if s.Exit == nil {
		return ""
	}
	return s.Exit.String()
}

func millis(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMilli()
}

func newStatus(f *cli.Factory, run func(context.Context, *statusOptions) error) *cobra.Command {
	o := &statusOptions{Project: func() (project, error) { return find(f) }}
	cmd := &cobra.Command{
		Use:     "status",
		Short:   "Show what runs for this folder",
		Long:    "Asks the supervisor what runs, with a deadline of its own. Without one it tells what the last one\nhas left. Ends with 0 only if everything is ready.",
		Example: "  prismctl dev status\n  prismctl dev status -o json",
		Args:    cli.NoArgs,
		RunE:    func(cmd *cobra.Command, _ []string) error { return run(cmd.Context(), o) },
	}
	o.Out = cli.AddListOutput(f, cmd, kind().Info())
	return cmd
}

func runStatus(ctx context.Context, o *statusOptions) error {
	p, err := o.Project()
	if err != nil {
		return err
	}
	st, err := p.status(ctx)
	if err != nil {
		return err
	}
	if err := cli.PrintList(o.Out, kind(), st.Services, "nothing was started for this folder; prismctl dev up does"); err != nil {
		return err
	}
	switch {
	case !st.Running:
		return cli.WithFix(prism.New(prism.ReasonUnavailable, "nothing runs for %s", p.Root), "prismctl dev up")
	case !st.Ready:
		return notReady(st)
	}
	return nil
}
