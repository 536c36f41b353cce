package session

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"google.golang.org/grpc"

	"github.com/prism-data-layer/prism/pkg/cli"
	"github.com/prism-data-layer/prism/pkg/clock"
	adminv1 "github.com/prism-data-layer/prism/proto/prism/admin/v1"
)

type tracer interface {
	TraceSession(context.Context, *adminv1.TraceSessionRequest, ...grpc.CallOption) (grpc.ServerStreamingClient[adminv1.TraceSessionResponse], error)
}

type traceOptions struct {
	Out    *cli.Output
	Clock  clock.Clock
	Client func(context.Context) (tracer, error)

	ID         string
	Namespace  func() string // only what --namespace says
	MinLatency cli.DurationFlag
	Errors     bool
	Duration   cli.DurationFlag

	list    *cli.List[traced]
	left    int
	sum     summary
	dropped int64
}

type traced = *adminv1.TracedCall

func callKind() cli.Kind[traced] {
	return cli.Kind[traced]{Name: "Call", Fields: []cli.Field[traced]{
		cli.Text("trace_id", "TRACE", "its trace", func(c traced) string { return c.GetTraceId() }).OnlyWide(),
		cli.Nanos("time", "TIME", "when it began", func(c traced) int64 { return c.GetTimeUs() * 1000 }),
		cli.Text("method", "", "as in gRPC", func(c traced) string { return c.GetMethod() }),
		cli.Text("operation", "OPERATION", "the last part of the method", func(c traced) string { return c.GetMethod()[strings.LastIndexByte(c.GetMethod(), '/')+1:] }),
		cli.Text("namespace", "NAMESPACE", "that it named", func(c traced) string { return c.GetNamespace() }),
		cli.Text("subject", "KEY", "the key or name that it was about, the first of several", func(c traced) string { return c.GetSubject() }),
		cli.Int("operations", "OPS", "of a batch; otherwise 1", func(c traced) int64 { return int64(c.GetOperations()) }).OnlyWide(),
		cli.Micros("latency_us", "LATENCY", "how long it took", func(c traced) int64 { return c.GetLatencyUs() }),
		cli.Text("result", "RESULT", "OK, or the reason of its error", func(c traced) string {
			if c.GetReason() == "" {
				return "OK"
			}
			return c.GetReason()
		}),
		cli.Bytes("received_bytes", "IN", "of its message", func(c traced) int64 { return c.GetReceivedBytes() }).OnlyWide(),
		cli.Bytes("sent_bytes", "OUT", "of its answer", func(c traced) int64 { return c.GetSentBytes() }).OnlyWide(),
		cli.Text("session_id", "SESSION", "whose it was", func(c traced) string { return c.GetSessionId() }).OnlyWide(),
		cli.Text("principal", "PRINCIPAL", "who called", func(c traced) string { return c.GetPrincipal() }).OnlyWide(),
	}}
}

func newTrace(f *cli.Factory, run func(context.Context, *traceOptions) error) *cobra.Command {
	o := &traceOptions{
		Clock: f.Clock, Client: func(ctx context.Context) (tracer, error) { return f.Admin(ctx) },
		Namespace: func() string { return f.Globals.Namespace },
	}
	cmd := &cobra.Command{
		Use:   "trace [SESSION]",
		Short: "Follow calls as they end",
		Long: `Shows the calls of a session as they end, or without SESSION those of all, until the session ends,
Ctrl-C, --duration or --limit; --namespace narrows it. Keys and names are cut to 64 bytes, and values
are never told. Then it says on the standard error how they did. For programs, -o jsonl prints one
object a line.`,
		Example:           "  prismctl session trace s-7f3a --min-latency 100ms --duration 60s\n  prismctl session trace -n kv --errors --limit 20 -o jsonl",
		Args:              cli.OptionalArgs("SESSION"),
		ValidArgsFunction: cli.CompleteSessions(f),
		RunE: func(cmd *cobra.Command, args []string) error {
			o.ID = strings.Join(args, "")
			return run(cmd.Context(), o)
		},
	}
	o.Out = cli.AddListOutput(f, cmd, callKind().Info())
	cmd.Flags().Var(&o.MinLatency, "min-latency", "only calls that took at least this `DURATION`")
	cmd.Flags().BoolVar(&o.Errors, "errors", false, "only calls that failed")
	cmd.Flags().Var(&o.Duration, "duration", "stop after this `DURATION`")
	cli.SetDefault(cmd, "min-latency", "all")
	cli.SetDefault(cmd, "duration", "until Ctrl-C")
	cli.SetDefault(cmd, "limit", "0: until Ctrl-C")
	return cmd
}

// errLongEnough ends a trace after its --duration.
var errLongEnough = errors.New("long enough")

func runTrace(ctx context.Context, o *traceOptions) error {
	if err := o.Out.Endless(); err != nil {
		return err
	}
	c, err := o.Client(ctx)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	if o.Duration > 0 {
		go o.stopLater(ctx, cancel)
	}
	o.list, o.left = cli.NewList(o.Out, callKind(), ""), o.Out.Limit
	stream := cli.Stream[adminv1.TraceSessionResponse]{
		Clock: o.Clock, Out: o.Out, List: o.list,
		Open: func(ctx context.Context) (grpc.ServerStreamingClient[adminv1.TraceSessionResponse], error) {
			o.dropped = 0
			return c.TraceSession(ctx, &adminv1.TraceSessionRequest{
				SessionId: o.ID, Namespace: o.Namespace(), MinLatencyUs: time.Duration(o.MinLatency).Microseconds(), Errors: o.Errors,
			})
		},
		Show:    func(_ context.Context, batch *adminv1.TraceSessionResponse) error { return o.show(batch) },
		Resume:  func(string) {},
		Back:    func() string { return "the gateway is back; calls in between were missed" },
		Explain: func(err error) error { return cli.NotFoundFix(err, seeList) },
	}
	err = stream.Follow(ctx)
	if errors.Is(err, errLongEnough) {
		err = nil
	}
	if err == nil || ctx.Err() != nil {
		o.Out.Note("%s", &o.sum)
	}
	return err
}

func (o *traceOptions) stopLater(ctx context.Context, cancel context.CancelCauseFunc) {
	timer := o.Clock.NewTimer(time.Duration(o.Duration))
	defer timer.Stop()
	select {
	case <-timer.C:
		cancel(errLongEnough)
	case <-ctx.Done():
	}
}

func (o *traceOptions) show(batch *adminv1.TraceSessionResponse) error {
	if n := batch.GetDropped() - o.dropped; n > 0 {
		o.Out.Note("%s dropped: they came faster than they are shown", cli.Plural(n, "call"))
		o.sum.dropped += n
		o.dropped = batch.GetDropped()
	}
	for _, c := range batch.GetCalls() {
		if err := o.list.Add(c); err != nil {
			return err
		}
		o.sum.add(c)
		if o.left--; o.left == 0 {
			return cli.ErrEnough
		}
	}
	return o.list.Flush()
}

// A summary is how the calls did. The quantile is of the last million.
type summary struct {
	calls, good, dropped int64
	total                time.Duration
	last                 []int64
}

const summaryRoom = 1_000_000

func (s *summary) add(c traced) {
	if len(s.last) < summaryRoom {
		s.last = append(s.last, c.GetLatencyUs())
	} else {
		s.last[s.calls%summaryRoom] = c.GetLatencyUs()
	}
	s.calls++
	s.total += time.Duration(c.GetLatencyUs()) * time.Microsecond
	if c.GetReason() == "" {
		s.good++
	}
}

func (s *summary) String() string {
	text := "no calls"
	if s.calls > 0 {
		sorted := slices.Sorted(slices.Values(s.last))
		p99 := time.Duration(sorted[(len(sorted)*99+99)/100-1]) * time.Microsecond
		text = fmt.Sprintf("%s, %.1f%% succeeded, %s on average, p99 %s", cli.Plural(s.calls, "call"), 100*float64(s.good)/float64(s.calls),
			cli.Duration(s.total/time.Duration(s.calls)), cli.Duration(p99))
	}
	if s.dropped > 0 {
		text += fmt.Sprintf(", %d dropped", s.dropped)
	}
	return text
}
