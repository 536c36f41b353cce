// Package maintenance is `prismctl maintenance`: letting a gateway refuse data
// calls on purpose.
package maintenance

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"
	"google.golang.org/grpc"

	"github.com/prism-data-layer/prism/pkg/cli"
	adminv1 "github.com/prism-data-layer/prism/proto/prism/admin/v1"
)

// New is the noun.
func New(f *cli.Factory) *cobra.Command {
	return cli.Group("maintenance", "Let the gateway refuse data calls on purpose",
		`In maintenance a gateway refuses data calls, those that write or all, with MAINTENANCE, a message
and when to come again. It outlives a restart. Each gateway has its own.`,
		"  prismctl maintenance on --message 'the disk is changed' --for 10m --yes\n  prismctl maintenance status",
		newOn(f, runSet), newOff(f, runSet), newStatus(f, runStatus))
}

type setter interface {
	SetMaintenanceMode(context.Context, *adminv1.SetMaintenanceModeRequest, ...grpc.CallOption) (*adminv1.SetMaintenanceModeResponse, error)
}

type asker interface {
	GetStatus(context.Context, *adminv1.GetStatusRequest, ...grpc.CallOption) (*adminv1.GetStatusResponse, error)
}

// A mode is how it stands; a nil maintenance is none.
type mode = *adminv1.Maintenance

func kind() cli.Kind[mode] {
	on := func(m mode) bool { return m != nil }
	return cli.Kind[mode]{Name: "Maintenance", Fields: []cli.Field[mode]{
		cli.State("state", "STATE", "on or off", func(m mode) string {
			if m == nil {
				return "off"
			}
			return "on"
		}),
		cli.Text("refuses", "REFUSES", "writes or all", func(m mode) string { return m.GetRefuses() }).Optional(on),
		cli.Text("message", "MESSAGE", "what callers are told", func(m mode) string { return m.GetMessage() }).Optional(on),
		cli.Time("started_at", "STARTED", "when it began", func(m mode) int64 { return m.GetStartedAtMs() }),
		cli.Time("ends_at", "ENDS", "when it ends by itself", func(m mode) int64 { return m.GetEndsAtMs() }),
		cli.Text("actor", "ACTOR", "who asked for it", func(m mode) string { return m.GetActor() }).Optional(on),
		cli.Int("refused", "REFUSED", "calls and operations that were refused", func(m mode) int64 { return m.GetRefused() }).Optional(on),
	}}
}

type setOptions struct {
	Out     *cli.Output
	Client  func(context.Context) (setter, error)
	Confirm func(context.Context) error

	On, All bool
	Message string
	For     cli.DurationFlag
	DryRun  bool
}

func newOn(f *cli.Factory, run func(context.Context, *setOptions) error) *cobra.Command {
	o := &setOptions{On: true, Client: func(ctx context.Context) (setter, error) { return f.Admin(ctx) }}
	cmd := &cobra.Command{
		Use:   "on",
		Short: "Refuse data calls",
		Long: `Lets the gateway refuse the data calls that write, or with --all all of them, after asking: open
streams end then, each with a position to go on from, and no sessions are made. Calling it again
changes the message and the end.`,
		Example: "  prismctl maintenance on --message 'the disk is changed' --for 10m --yes\n  prismctl maintenance on --all --dry-run",
		Args:    cli.NoArgs,
	}
	confirm := cli.AddConfirmation(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		o.Confirm = func(ctx context.Context) error { return confirm.Ask(ctx, f, "refuse "+o.what(), "maintenance") }
		return run(cmd.Context(), o)
	}
	o.Out = cli.AddOutput(f, cmd, kind().Info())
	cmd.Flags().BoolVar(&o.All, "all", false, "refuse reads too")
	cmd.Flags().StringVar(&o.Message, "message", "", "tell callers this `TEXT`")
	cmd.Flags().Var(&o.For, "for", "end it by itself after this `DURATION`")
	cmd.Flags().BoolVar(&o.DryRun, "dry-run", false, "check, and change nothing")
	cli.SetDefault(cmd, "for", "until it is switched off")
	return cmd
}

func (o *setOptions) what() string {
	if o.All {
		return "all data calls"
	}
	return "data calls that write"
}

func newOff(f *cli.Factory, run func(context.Context, *setOptions) error) *cobra.Command {
	o := &setOptions{Client: func(ctx context.Context) (setter, error) { return f.Admin(ctx) }}
	cmd := &cobra.Command{
		Use:     "off",
		Short:   "Serve data calls again",
		Long:    "Ends the maintenance. That there is none is no error.",
		Example: "  prismctl maintenance off\n  prismctl maintenance off --dry-run",
		Args:    cli.NoArgs,
		RunE:    func(cmd *cobra.Command, _ []string) error { return run(cmd.Context(), o) },
	}
	o.Out = cli.AddOutput(f, cmd, kind().Info())
	cmd.Flags().BoolVar(&o.DryRun, "dry-run", false, "check, and change nothing")
	return cmd
}

func runSet(ctx context.Context, o *setOptions) error {
	if o.On && !o.DryRun {
		if err := o.Confirm(ctx); err != nil {
			return err
		}
	}
	c, err := o.Client(ctx)
	if err != nil {
		return err
	}
	r := &adminv1.SetMaintenanceModeRequest{Enabled: o.On, Message: o.Message, DurationMs: o.For.Milliseconds(), DryRun: o.DryRun}
	if o.All {
		r.Refuses = "all"
	}
	answer, err := c.SetMaintenanceMode(ctx, r)
	if err != nil {
		return err
	}
	return cli.PrintChanged(o.Out, kind(), answer.GetMaintenance(), o.sentence(answer.GetActiveSessions()), o.next())
}

func (o *setOptions) sentence(sessions int64) string {
	would := ""
	if o.DryRun {
		would = "would be "
	}
	text := would + "out of maintenance"
	if o.On {
		text = fmt.Sprintf("%sin maintenance: %s are refused", would, o.what())
		if o.For > 0 {
			text += " for " + o.For.String()
		}
		text += fmt.Sprintf(" (%s open)", cli.Plural(sessions, "session"))
	}
	if o.DryRun {
		text += " (dry run)"
	}
	return text
}

func (o *setOptions) next() string {
	switch {
	case o.DryRun:
		return ""
	case o.On:
		return "prismctl maintenance off"
	}
	return "prismctl health"
}

type statusOptions struct {
	Out    *cli.Output
	Client func(context.Context) (asker, error)
}

func newStatus(f *cli.Factory, run func(context.Context, *statusOptions) error) *cobra.Command {
	o := &statusOptions{Client: func(ctx context.Context) (asker, error) { return f.Admin(ctx) }}
	cmd := &cobra.Command{
		Use:     "status",
		Short:   "Show whether the gateway refuses data calls",
		Long:    "Shows whether the gateway is in maintenance: what it refuses, until when, and who asked for it.",
		Example: "  prismctl maintenance status\n  prismctl maintenance status -o json",
		Args:    cli.NoArgs,
		RunE:    func(cmd *cobra.Command, _ []string) error { return run(cmd.Context(), o) },
	}
	o.Out = cli.AddOutput(f, cmd, kind().Info())
	return cmd
}

func runStatus(ctx context.Context, o *statusOptions) error {
	c, err := o.Client(ctx)
	if err != nil {
		return err
	}
	r, err := c.GetStatus(ctx, &adminv1.GetStatusRequest{})
	if err != nil {
		return err
	}
	return cli.PrintOne(o.Out, kind(), r.GetMaintenance())
}
