package dev

import (
	"context"
	"encoding/json"
	"fmt"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/prism-data-layer/prism/pkg/cli"
	"github.com/prism-data-layer/prism/pkg/clock"
	"github.com/prism-data-layer/prism/pkg/iostreams"
	"github.com/prism-data-layer/prism/pkg/prism"
	"github.com/prism-data-layer/prism/pkg/supervise"
)

type logsOptions struct {
	IO      *iostreams.IOStreams
	Clock   clock.Clock
	Project func() (project, error)
	JSON    func() bool

	Services []string
	Follow   bool
	Since    string
	Grep     string
	Tail     int
	Level    string
	Previous bool
	Back     int
}

func newLogs(f *cli.Factory, run func(context.Context, *logsOptions) error) *cobra.Command {
	o := &logsOptions{
		IO: f.IO, Clock: f.Clock, Project: func() (project, error) { return find(f) },
		JSON: func() bool { return f.Globals.Output == cli.FormatJSON || f.Globals.Output == cli.FormatJSONL },
	}
	cmd := &cobra.Command{
		Use:     "logs [SERVICE...]",
		Short:   "Print what the services have written",
		Long:    "Prints the logs of all services, or of those that are named, merged by time. Works after they have\nstopped too; -f follows while they run. With -o json each line is an object.",
		Example: "  prismctl dev logs --tail 20\n  prismctl dev logs prismd -f\n  prismctl dev logs --since 10m --level warn",
		Args:    cobra.ArbitraryArgs,
		RunE: func(cmd *cobra.Command, args []string) error {
			o.Services = args
			return run(cmd.Context(), o)
		},
	}
	cmd.Flags().BoolVarP(&o.Follow, "follow", "f", false, "go on with what comes")
	cmd.Flags().StringVar(&o.Since, "since", "", "only lines since this `TIME`: 10m, or 2026-01-02T15:04:05Z")
	cli.SetDefault(cmd, "since", "the start")
	cmd.Flags().StringVar(&o.Grep, "grep", "", "only lines that match this `REGEXP`")
	cli.SetDefault(cmd, "grep", "all lines")
	cmd.Flags().IntVar(&o.Tail, "tail", 0, "only the last `N` lines; 0 is all")
	cmd.Flags().StringVar(&o.Level, "level", "", "only lines of this `LEVEL` or a graver one: debug, info, warn, error")
	cli.Enum(cmd, "level", "debug", "info", "warn", "error")
	cli.SetDefault(cmd, "level", "all lines")
	cmd.Flags().BoolVar(&o.Previous, "previous", false, "the run before the last one")
	cmd.Flags().IntVar(&o.Back, "back", 0, "with --previous: go `N` runs back")
	cli.SetDefault(cmd, "back", "1")
	return cmd
}

func runLogs(ctx context.Context, o *logsOptions) error {
	p, err := o.Project()
	if err != nil {
		return err
	}
	q := supervise.LogQuery{Services: o.Services, Grep: o.Grep, Tail: o.Tail, Level: o.Level, Previous: o.Previous, Back: o.Back, Follow: o.Follow}
	if o.Since != "" {
		if q.Since, err = cli.ParseMoment(o.Since, o.Clock.Now()); err != nil {
			return cli.Usage("write it as 10m, or 2026-01-02T15:04:05Z", "--since: %v", err)
		}
	}
	if o.Follow {
		c, err := p.client()
		if err != nil {
			return err
		}
		err = c.Logs(ctx, q, o.print)
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		return wrongQuery(err)
	}
	for _, name := range o.Services {
		if !prism.ValidName(name) || !exists(filepath.Join(p.logs(), name+".log")) {
			return cli.NotFoundFix(prism.NotFound("service", name), "prismctl dev status")
		}
	}
	lines, err := supervise.ReadLogs(p.logs(), q)
	if err != nil {
		return wrongQuery(err)
	}
	for _, l := range lines {
		if err := o.print(l); err != nil {
			return err
		}
	}
	return nil
}

// wrongQuery tells a wrong flag from all else.
func wrongQuery(err error) error {
	if e := prism.From(err); err != nil && e.Reason == prism.ReasonInvalidArgument {
		return cli.Usage("prismctl dev logs --help", "--%s", e.Message)
	}
	return cli.NotFoundFix(err, "prismctl dev status")
}

// print writes a line as text that is safe for a terminal, or as JSON.
func (o *logsOptions) print(l supervise.Line) error {
	if o.JSON() {
		return json.NewEncoder(o.IO.Out).Encode(l)
	}
	text := strings.TrimRight(l.Text, "\r\n")
	if o.IO.IsTTY(iostreams.Out) { // programs get what was written
		text = iostreams.LogLine(text)
	}
	if l.Missed > 0 {
		fmt.Fprintf(o.IO.ErrOut, "%s of %s were not shown: this reader was too slow\n", cli.Plural(l.Missed, "line"), l.Service)
	}
	_, err := fmt.Fprintf(o.IO.Out, "%s %s | %s\n", l.Time.Local().Format("15:04:05.000"), l.Service, iostreams.Escape(text))
	return err
}
