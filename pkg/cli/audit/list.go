package audit

import (
	"context"
	"time"

	"github.com/spf13/cobra"
	"google.golang.org/grpc"

	"github.com/prism-data-layer/prism/pkg/cli"
	"github.com/prism-data-layer/prism/pkg/clock"
	adminv1 "github.com/prism-data-layer/prism/proto/prism/admin/v1"
)

type lister interface {
	ListAudit(context.Context, *adminv1.ListAuditRequest, ...grpc.CallOption) (*adminv1.ListAuditResponse, error)
}

type listOptions struct {
	Out    *cli.Output
	Clock  clock.Clock
	Client func(context.Context) (lister, error)

	Actor, Method, Resource, Since, Until string
}

func newList(f *cli.Factory, run func(context.Context, *listOptions) error) *cobra.Command {
	o := &listOptions{Clock: f.Clock, Client: func(ctx context.Context) (lister, error) { return f.Admin(ctx) }}
	cmd := &cobra.Command{
		Use:     "list",
		Aliases: []string{"ls"},
		Short:   "List audit records, the newest first",
		Long:    "Lists who called the admin API, what for, and whether it was allowed. --since and --until take\nhow long ago (90m, 7d) or a time (2026-03-01T12:00:00Z).",
		Example: "  prismctl audit list --limit 20\n  prismctl audit list --since 24h --jq '.[] | select(.decision == \"denied\")'",
		Args:    cli.NoArgs,
		RunE:    func(cmd *cobra.Command, _ []string) error { return run(cmd.Context(), o) },
	}
	o.Out = cli.AddListOutput(f, cmd, kind().Info())
	cli.AddWatch(f, cmd, o.Out)
	flags := cmd.Flags()
	flags.StringVar(&o.Actor, "actor", "", "only what this `PRINCIPAL` did")
	flags.StringVar(&o.Method, "method", "", "only this `CALL`, such as CreateNamespace")
	flags.StringVar(&o.Resource, "resource", "", "only what was done to this `RESOURCE`")
	flags.StringVar(&o.Since, "since", "", "only after this `TIME`")
	flags.StringVar(&o.Until, "until", "", "only before this `TIME`")
	for _, name := range []string{"actor", "method", "resource"} {
		cli.SetDefault(cmd, name, "all")
	}
	cli.SetDefault(cmd, "since", "the beginning")
	cli.SetDefault(cmd, "until", "now")
	cli.SetDefault(cmd, "limit", "100")
	_ = flags.Lookup("limit").Value.Set("100")
	return cmd
}

func runList(ctx context.Context, o *listOptions) error {
	req := &adminv1.ListAuditRequest{Actor: o.Actor, Method: cli.AdminMethod(o.Method), Resource: o.Resource}
	var err error
	if req.SinceMs, err = o.moment("since", o.Since); err != nil {
		return err
	}
	if req.UntilMs, err = o.moment("until", o.Until); err != nil {
		return err
	}
	c, err := o.Client(ctx)
	if err != nil {
		return err
	}
	list := cli.NewList(o.Out, kind(), "there are no such records")
	more, err := cli.Pages(ctx, o.Out.Limit, func(ctx context.Context, cursor string, size int32) (int, string, error) {
		req.Cursor, req.Limit = cursor, size
		page, err := c.ListAudit(ctx, req)
		if err != nil {
			return 0, "", err
		}
		for _, r := range page.GetRecords() {
			if err := list.Add(r); err != nil {
				return 0, "", err
			}
		}
		return len(page.GetRecords()), page.GetCursor(), nil
	})
	if err != nil {
		return err
	}
	if err := list.Close(); err != nil {
		return err
	}
	o.Out.MoreHint(more, list.Len())
	return nil
}

func (o *listOptions) moment(flag, s string) (int64, error) {
	if s == "" {
		return 0, nil
	}
	at, err := cli.ParseMoment(s, o.Clock.Now())
	if err != nil {
		return 0, cli.Usage("write how long ago (90m, 7d) or a time (2026-03-01T12:00:00Z)", "--%s: %q is not a time", flag, s)
	}
	return at.Truncate(time.Millisecond).UnixMilli(), nil
}
