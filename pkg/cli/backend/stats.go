package backend

import (
	"context"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/prism-data-layer/prism/pkg/cli"
	"github.com/prism-data-layer/prism/pkg/clock"
	"github.com/prism-data-layer/prism/pkg/prism"
	adminv1 "github.com/prism-data-layer/prism/proto/prism/admin/v1"
)

type statsOptions struct {
	Out    *cli.Output
	Clock  clock.Clock
	Client func(context.Context) (lister, error)

	Name   string
	before map[string]look // with --watch: the last look
}

// A look is what was seen of a backend, and when.
type look struct {
	at    time.Time
	calls int64
}

// figures are a backend's, with the rate since the last look.
type figures struct {
	store
	rate  float64
	rated bool
}

func statsKind() cli.Kind[figures] {
	return cli.Kind[figures]{Name: "BackendStats", Fields: []cli.Field[figures]{
		cli.Text("name", "NAME", "its name", func(f figures) string { return f.GetName() }),
		cli.State("breaker", "BREAKER", "closed; half-open or open while the store does not answer", func(f figures) string { return f.GetBreaker() }),
		cli.Int("calls", "CALLS", "that have ended since the start", func(f figures) int64 { return f.GetCalls() }),
		cli.Number("calls_per_second", "RATE", "with --watch: since the look before", func(f figures) float64 { return f.rate }).Optional(func(f figures) bool { return f.rated }),
		cli.Int("in_flight", "ACTIVE", "calls under way", func(f figures) int64 { return f.GetInFlight() }),
		cli.Micros("p50_us", "P50", "half of the calls of the last minute took no longer", func(f figures) int64 { return f.GetP50Us() }).Optional(func(f figures) bool { return f.GetP50Us() > 0 }),
		cli.Micros("p99_us", "P99", "nor did all but one in a hundred", func(f figures) int64 { return f.GetP99Us() }).Optional(func(f figures) bool { return f.GetP99Us() > 0 }),
		cli.Int("errors", "ERRORS", "of the store since the start, failed probes too", func(f figures) int64 { return f.GetErrors() }),
		cli.Int("rejected_open", "REFUSED", "calls refused by the open breaker", func(f figures) int64 { return f.GetRejectedOpen() }),
		cli.Int("rejected_busy", "BUSY", "calls refused because too many were under way", func(f figures) int64 { return f.GetRejectedBusy() }),
		cli.Int("breaker_opened", "OPENED", "how often the breaker has", func(f figures) int64 { return f.GetBreakerOpened() }).OnlyWide(),
		cli.Text("last_error", "LAST ERROR", "the last error", func(f figures) string { return f.GetLastError() }).OnlyWide(),
		cli.Int("faults", "FAULTS", "put on it on purpose with prismctl fault, that act", func(f figures) int64 { return int64(len(f.GetFaults())) }).OnlyWide(),
		cli.Nested("errors_by_reason", "what calls ended with", func(f figures) any { return counts(f.GetErrorsByReason()) }),
	}}
}

func newStats(f *cli.Factory, run func(context.Context, *statsOptions) error) *cobra.Command {
	o := &statsOptions{Clock: f.Clock, Client: func(ctx context.Context) (lister, error) { return f.Admin(ctx) }}
	cmd := &cobra.Command{
		Use:   "stats [NAME]",
		Short: "Show how the calls of backends do",
		Long: `Shows the calls that the gateway makes on one backend or on all: how many, how long they take,
what failed, and what did not reach the store because its breaker was open or too many calls
were under way. With --watch it tells how many there are a second.`,
		Example:           "  prismctl backend stats\n  prismctl backend stats local -o json",
		Args:              cli.OptionalArgs("NAME"),
		ValidArgsFunction: cli.CompleteBackends(f),
		RunE: func(cmd *cobra.Command, args []string) error {
			o.Name = strings.Join(args, "")
			return run(cmd.Context(), o)
		},
	}
	o.Out = cli.AddListOutput(f, cmd, statsKind().Info())
	cli.AddWatch(f, cmd, o.Out)
	return cmd
}

func runStats(ctx context.Context, o *statsOptions) error {
	c, err := o.Client(ctx)
	if err != nil {
		return err
	}
	r, err := c.ListBackends(ctx, &adminv1.ListBackendsRequest{})
	if err != nil {
		return err
	}
	list := o.rates(r.GetBackends())
	if len(list) == 0 && o.Name != "" {
		return cli.NotFoundFix(prism.NotFound("backend", o.Name), seeList)
	}
	return cli.PrintList(o.Out, statsKind(), cli.Cut(o.Out, list), "there are no backends")
}

// rates picks the backends that are asked for, and compares them with the look
// before.
func (o *statsOptions) rates(all []store) (list []figures) {
	now := o.Clock.Now()
	next := map[string]look{}
	for _, b := range all {
		if o.Name != "" && b.GetName() != o.Name {
			continue
		}
		f := figures{store: b}
		was, seen := o.before[b.GetName()]
		if gone := now.Sub(was.at); seen && gone > 0 && b.GetCalls() >= was.calls {
			f.rate, f.rated = float64(int64(float64(b.GetCalls()-was.calls)/gone.Seconds()*10))/10, true
		}
		next[b.GetName()] = look{now, b.GetCalls()}
		list = append(list, f)
	}
	o.before = next
	return list
}
