package fault

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"google.golang.org/grpc"

	"github.com/prism-data-layer/prism/pkg/cli"
	"github.com/prism-data-layer/prism/pkg/prism"
	adminv1 "github.com/prism-data-layer/prism/proto/prism/admin/v1"
)

type adder interface {
	AddFault(context.Context, *adminv1.AddFaultRequest, ...grpc.CallOption) (*adminv1.AddFaultResponse, error)
}

type addOptions struct {
	Out    *cli.Output
	Client func(context.Context) (adder, error)

	Backend, Calls, Errors, Reason string
	Latency, Jitter, For           cli.DurationFlag
	DryRun                         bool
}

// reasons are those that calls can be made to fail with.
func reasons() []string {
	return []string{"BACKEND_UNAVAILABLE", "DEADLINE_EXCEEDED", "OVERLOADED", "DISK_FULL", "INTERNAL"}
}

func newAdd(f *cli.Factory, run func(context.Context, *addOptions) error) *cobra.Command {
	o := &addOptions{Client: func(ctx context.Context) (adder, error) { return f.Admin(ctx) }}
	cmd := &cobra.Command{
		Use:   "add --backend NAME --for DURATION",
		Short: "Make a backend slow or failing for a while",
		Long: `Lets calls of a backend take longer, or a share of them fail without reaching the store, until
--for has passed. Faults of one backend add up.`,
		Example: `  prismctl fault add --backend local --latency 200ms --errors 5% --for 60s
  prismctl fault add --backend volatile --calls write --errors 100% --reason DISK_FULL --for 10s --dry-run`,
		Args: cli.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return run(cmd.Context(), o) },
	}
	o.Out = cli.AddOutput(f, cmd, kind().Info())
	flags := cmd.Flags()
	flags.StringVar(&o.Backend, "backend", "", "do it to this `BACKEND`")
	flags.StringVar(&o.Calls, "calls", "all", "meet these `CALLS`: read, write or all")
	cli.Enum(cmd, "calls", "read", "write", "all")
	flags.Var(&o.Latency, "latency", "let them take this `DURATION` longer, a minute at most")
	flags.Var(&o.Jitter, "jitter", "up to this `DURATION` more or less")
	flags.StringVar(&o.Errors, "errors", "0%", "let this `SHARE` of them fail: 5%")
	flags.StringVar(&o.Reason, "reason", "BACKEND_UNAVAILABLE", "fail with this `REASON`: "+strings.Join(reasons(), ", "))
	cli.Enum(cmd, "reason", reasons()...)
	flags.Var(&o.For, "for", "end it after this `DURATION`, an hour at most")
	flags.BoolVar(&o.DryRun, "dry-run", false, "check, and change nothing")
	cli.SetDefault(cmd, "backend", "required")
	cli.SetDefault(cmd, "for", "required")
	cli.SetDefault(cmd, "latency", "none")
	cli.SetDefault(cmd, "jitter", "none")
	_ = cmd.RegisterFlagCompletionFunc("backend", cli.CompleteBackends(f))
	return cmd
}

func runAdd(ctx context.Context, o *addOptions) error {
	switch {
	case o.Backend == "":
		return cli.Usage("pass --backend, such as --backend local", "the backend is missing")
	case o.For == 0:
		return cli.Usage("pass --for, such as --for 60s", "it is not said when the fault ends")
	}
	share, err := share(o.Errors)
	if err != nil {
		return err
	}
	c, err := o.Client(ctx)
	if err != nil {
		return err
	}
	r, err := c.AddFault(ctx, &adminv1.AddFaultRequest{
		Backend: o.Backend, Calls: o.Calls, LatencyUs: time.Duration(o.Latency).Microseconds(), JitterUs: time.Duration(o.Jitter).Microseconds(),
		ErrorShare: share, Reason: o.Reason, DurationMs: o.For.Milliseconds(), DryRun: o.DryRun,
	})
	if err != nil {
		if e := prism.From(err); e.Meta["setting"] == "faults" {
			return cli.WithFix(err, "write faults: true into the gateway's file and restart it, or try it under prismctl dev up")
		}
		return cli.NotFoundFix(err, "prismctl backend list")
	}
	x := r.GetFault()
	words := fmt.Sprintf("backend %s, %s, for %s", x.GetBackend(), cli.FaultWords(x), o.For.String())
	if o.DryRun {
		return cli.PrintChanged(o.Out, kind(), x, "would put a fault on "+words+" (dry run)", "")
	}
	return cli.PrintChanged(o.Out, kind(), x, fmt.Sprintf("fault %s on %s", x.GetFaultId(), words), "prismctl fault remove "+x.GetFaultId())
}

// share reads "5%", or 0.05.
func share(text string) (float64, error) {
	number, percent := strings.CutSuffix(strings.TrimSpace(text), "%")
	v, err := strconv.ParseFloat(number, 64)
	if percent {
		v /= 100
	}
	if err != nil || !(v >= 0 && v <= 1) {
		return 0, cli.Usage("write it as --errors 5%", "--errors %q is no share from 0%% to 100%%", text)
	}
	return v, nil
}
