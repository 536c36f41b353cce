package dev

import (
	"context"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"github.com/prism-data-layer/prism/pkg/cli"
	"github.com/prism-data-layer/prism/pkg/client"
	"github.com/prism-data-layer/prism/pkg/prism"
	"github.com/prism-data-layer/prism/pkg/supervise"
	"github.com/prism-data-layer/prism/stacks"
)

type statusOptions struct {
	Out     *cli.Output
	Project func() (project, error)
}

// A part is a service, and what we know of it beside its supervisor.
type part struct {
	supervise.ServiceStatus
	Form  string   // of a stack
	Runs  []string // images, or the program
	Links []stacks.Link
}

func parts() cli.Kind[part] {
	return cli.Kind[part]{Name: "DevService", Fields: []cli.Field[part]{
		cli.Text("name", "SERVICE", "its name", func(s part) string { return s.Name }),
		cli.State("state", "STATE", "starting, ready, degraded, crashed, crash-loop, stopping, stopped or done", func(s part) string { return string(s.State) }),
		cli.Int("pid", "PID", "its process", func(s part) int64 { return int64(s.PID) }).Optional(func(s part) bool { return s.PID != 0 }),
		cli.Time("since", "SINCE", "when it came into this state", func(s part) int64 { return millis(s.Since) }),
		cli.Int("restarts", "RESTARTS", "how often it was started again", func(s part) int64 { return int64(s.Restarts) }),
		cli.Text("form", "FORM", "container or native, of a stack", func(s part) string { return s.Form }),
		cli.Words("ports", "PORTS", "what it listens on", func(s part) []string { return portList(s.Listen) }),
		cli.Text("data_address", "", "the data API", func(s part) string { return s.Listen["data"] }),
		cli.Text("admin_address", "", "the admin API", func(s part) string { return s.Listen["admin"] }),
		cli.Text("metrics_address", "", "metrics, health and profiles", func(s part) string { return s.Listen["metrics"] }),
		cli.Words("runs", "RUNS", "the images of its containers, or its program", func(s part) []string { return s.Runs }).OnlyWide(),
		cli.Millis("ready_ms", "", "how long it took to be ready", func(s part) int64 { return s.ReadyMS }),
		cli.Words("after", "", "what must be ready before it", func(s part) []string { return s.After }),
		cli.Text("exit", "", "how the last run ended", exit),
		cli.Text("message", "MESSAGE", "why it is not ready", func(s part) string { return s.Message }),
		cli.Words("last_log", "", "its last lines, when it crashed or is late", func(s part) []string { return s.LastLog }),
	}}
}

func exit(s part) string {
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
		Long:    "Asks the supervisor what runs, and then each part itself whether it answers, all at once and each\nwith a deadline of its own. Without a supervisor it tells what the last one has left. Ends with 0\nonly if everything is ready.",
		Example: "  prismctl dev status\n  prismctl dev status -o json",
		Args:    cli.NoArgs,
		RunE:    func(cmd *cobra.Command, _ []string) error { return run(cmd.Context(), o) },
	}
	o.Out = cli.AddListOutput(f, cmd, parts().Info())
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
	list := p.parts(ctx, &st)
	if err := cli.PrintList(o.Out, parts(), list, "nothing was started for this folder; prismctl dev up does"); err != nil {
		return err
	}
	for _, w := range st.Warnings {
		o.Out.Note("warning: %s", w)
	}
	switch {
	case !st.Running:
		return cli.WithFix(prism.New(prism.ReasonUnavailable, "nothing runs for %s", p.Root), "prismctl dev up")
	case !st.Ready:
		return notReady(st)
	}
	return nil
}

// answerTime is how long a part has to answer us.
const answerTime = time.Second

// parts are the services with what else is known of them. Those that are called
// ready are asked, all at once: one that does not answer us is not ready,
// whatever it last told its supervisor.
func (p project) parts(ctx context.Context, st *supervise.Status) []part {
	records, _ := stacks.Running(p.state) //nolint:errcheck // the supervisor's picture stands without
	list := make([]part, len(st.Services))
	var wg sync.WaitGroup
	for i := range st.Services {
		s := &st.Services[i]
		one := &list[i]
		ask := p.ask(s, records, one)
		if ask == nil || !st.Running || s.State != supervise.Ready {
			continue
		}
		wg.Go(func() {
			ctx, cancel := context.WithTimeout(ctx, answerTime)
			defer cancel()
			if err := ask(ctx); err != nil {
				s.State, s.Message = supervise.Degraded, "it does not answer: "+err.Error()
			}
		})
	}
	wg.Wait()
	for i, s := range st.Services {
		list[i].ServiceStatus = s
		st.Ready = st.Ready && s.State.Up()
	}
	return list
}

// ask fills in what the records tell of a service, and is the question to it;
// nil where there is none.
func (p project) ask(s *supervise.ServiceStatus, records []stacks.Record, one *part) func(context.Context) error {
	if s.Name == gateway {
		return p.askGateway(s.Listen["data"])
	}
	for _, r := range records {
		if r.Name != s.Name {
			continue
		}
		one.Form, one.Links = string(r.Form), r.Links
		for _, name := range slices.Sorted(maps.Keys(r.Images)) {
			one.Runs = append(one.Runs, r.Images[name])
		}
		if r.Form == stacks.FormNative {
			one.Runs = []string{r.Program}
		}
		return r.Probe.Again
	}
	return nil
}

// askGateway asks a gateway for its health.
func (p project) askGateway(addr string) func(context.Context) error {
	return func(ctx context.Context) error {
		c, err := client.Dial(addr, client.WithFailFast(), client.WithoutSession(), client.WithID("prismctl dev", ""))
		if err != nil {
			return err
		}
		defer c.Close()
		return serving(ctx, c)
	}
}
