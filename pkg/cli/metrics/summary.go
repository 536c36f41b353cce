package metrics

import (
	"context"
	"time"

	"github.com/spf13/cobra"

	"github.com/prism-data-layer/prism/pkg/cli"
	"github.com/prism-data-layer/prism/pkg/clock"
	"github.com/prism-data-layer/prism/pkg/prism"
	adminv1 "github.com/prism-data-layer/prism/proto/prism/admin/v1"
)

type summaryOptions struct {
	Out    *cli.Output
	Clock  clock.Clock
	Client func(context.Context) (client, error)

	Namespace string // the only one; "": all
	Since     cli.DurationFlag

	before *look // with --watch: the last one
}

// addSince gives cmd the flag of the while that it tells of.
func (o *summaryOptions) addSince(cmd *cobra.Command) {
	cmd.Flags().Var(&o.Since, "since", "tell only of this `DURATION`, which is waited for")
	cli.SetDefault(cmd, "since", "since the gateway started")
}

func newSummary(f *cli.Factory, run func(context.Context, *summaryOptions) error) *cobra.Command {
	o := &summaryOptions{Clock: f.Clock, Client: func(ctx context.Context) (client, error) { return f.Admin(ctx) }}
	cmd := &cobra.Command{
		Use:   "summary",
		Short: "Show requests, errors and latencies of all",
		Long: `Shows how many requests there were, how many failed and how long they took: of all namespaces of
the gateway, of each, the busiest first, and the calls that it made on its backends, with their
health. Of backends P50 and P99 are those of the last minute. With --watch, each look tells of the
time since the one before. -n leaves one namespace.`,
		Example: "  prismctl metrics summary\n  prismctl metrics summary --namespace kv -o json",
		Args:    cli.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			o.Namespace = f.Globals.Namespace
			return run(cmd.Context(), o)
		},
	}
	o.Out = cli.AddListOutput(f, cmd, kind().Info())
	o.addSince(cmd)
	cli.AddWatch(f, cmd, o.Out)
	return cmd
}

func runSummary(ctx context.Context, o *summaryOptions) error {
	c, err := o.Client(ctx)
	if err != nil {
		return err
	}
	l, err := o.look(ctx, c)
	if err != nil {
		return err
	}
	gateway, namespaces, backends := l.since(o.before)
	o.before = &l
	list := append([]row{gateway}, namespaces...)
	list = append(list, backends...)
	if o.Namespace != "" {
		one, err := find(ctx, c, namespaces, o.Namespace, gateway.seconds)
		if err != nil {
			return err
		}
		list = []row{one}
	}
	return cli.PrintList(o.Out, kind(), cli.Cut(o.Out, list), "")
}

// look takes the look to tell of. With --since it comes after another.
func (o *summaryOptions) look(ctx context.Context, c client) (look, error) {
	l, err := take(ctx, c)
	if err != nil || o.Since == 0 || o.before != nil {
		return l, err
	}
	o.before = &l
	timer := o.Clock.NewTimer(time.Duration(o.Since))
	select {
	case <-ctx.Done():
		timer.Stop()
		return l, context.Cause(ctx)
	case <-timer.C:
	}
	return take(ctx, c)
}

// find picks a namespace; one that nobody has used has no figures yet.
func find(ctx context.Context, c client, all []row, name string, seconds float64) (row, error) {
	for _, r := range all {
		if r.name == "namespace/"+name {
			return r, nil
		}
	}
	if _, err := c.GetNamespace(ctx, &adminv1.GetNamespaceRequest{Name: name}); err != nil {
		return row{}, cli.NotFoundFix(err, "prismctl namespace list")
	}
	return row{name: "namespace/" + name, seconds: seconds, isNamespace: true}, nil
}

func newNamespace(f *cli.Factory, run func(context.Context, *summaryOptions) error) *cobra.Command {
	o := &summaryOptions{Clock: f.Clock, Client: func(ctx context.Context) (client, error) { return f.Admin(ctx) }}
	cmd := &cobra.Command{
		Use:               "namespace NAME",
		Aliases:           []string{"ns"},
		Short:             "Show requests, errors and latencies of one namespace",
		Long:              "Shows how many requests a namespace had, how many failed and how long they took, since the gateway\nstarted or over the --since that is waited for.",
		Example:           "  prismctl metrics namespace kv\n  prismctl metrics namespace kv --json requests_per_second,p99_us",
		Args:              cli.ExactArgs("NAME"),
		ValidArgsFunction: cli.CompleteNamespaces(f),
		RunE: func(cmd *cobra.Command, args []string) error {
			o.Namespace = args[0]
			return run(cmd.Context(), o)
		},
	}
	o.Out = cli.AddOutput(f, cmd, kind().Info())
	o.addSince(cmd)
	return cmd
}

func runNamespace(ctx context.Context, o *summaryOptions) error {
	if !prism.ValidName(o.Namespace) {
		return cli.Usage("prismctl namespace list", "%q is not the name of a namespace", o.Namespace)
	}
	c, err := o.Client(ctx)
	if err != nil {
		return err
	}
	l, err := o.look(ctx, c)
	if err != nil {
		return err
	}
	gateway, namespaces, _ := l.since(o.before)
	one, err := find(ctx, c, namespaces, o.Namespace, gateway.seconds)
	if err != nil {
		return err
	}
	return cli.PrintOne(o.Out, kind(), one)
}
