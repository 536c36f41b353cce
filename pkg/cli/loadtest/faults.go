package loadtest

import (
	"context"
	"fmt"
	"strings"

	"github.com/prism-data-layer/prism/loadtest"
	"github.com/prism-data-layer/prism/loadtest/scenario"
	"github.com/prism-data-layer/prism/pkg/cli"
	adminv1 "github.com/prism-data-layer/prism/proto/prism/admin/v1"
)

// events are a scenario's faults. Each is tried without being made first: what
// the gateway refuses is told before anything is loaded.
func (s *site) events(ctx context.Context, faults []scenario.Fault) ([]loadtest.Event, error) {
	if len(faults) == 0 {
		return nil, nil
	}
	admin, err := s.f.Admin(ctx)
	if err != nil {
		return nil, err
	}
	var all []loadtest.Event
	for _, f := range faults {
		req := &adminv1.AddFaultRequest{
			Backend: f.Backend, Calls: f.Calls, LatencyUs: f.Latency.Microseconds(), JitterUs: f.Jitter.Microseconds(),
			ErrorShare: float64(f.Errors) / 100, Reason: f.Reason, DurationMs: f.For.Milliseconds(), DryRun: true,
		}
		if _, err := admin.AddFault(ctx, req); err != nil {
			return nil, cli.WithFix(err, "start the gateway with faults: true in its file, or take the faults out of the scenario")
		}
		real := &adminv1.AddFaultRequest{
			Backend: req.Backend, Calls: req.Calls, LatencyUs: req.LatencyUs, JitterUs: req.JitterUs,
			ErrorShare: req.ErrorShare, Reason: req.Reason, DurationMs: req.DurationMs,
		}
		var id string
		all = append(all, loadtest.Event{
			Name: faultName(f), At: f.At, For: f.For,
			Begin: func(ctx context.Context) error {
				got, err := admin.AddFault(ctx, real)
				id = got.GetFault().GetFaultId()
				return err
			},
			// It ends by itself; if the run ends before, it must not stay.
			End: func(ctx context.Context) error {
				_, err := admin.RemoveFault(ctx, &adminv1.RemoveFaultRequest{FaultId: id})
				if isNotFound(err) {
					return nil
				}
				return err
			},
		})
	}
	return all, nil
}

// faultName is what a fault is called in the report.
func faultName(f scenario.Fault) string {
	var does []string
	if f.Latency > 0 {
		does = append(does, "+"+f.Latency.String())
	}
	if f.Errors > 0 {
		does = append(does, fmt.Sprintf("%g%% errors", float64(f.Errors)))
	}
	name := f.Backend + " " + strings.Join(does, " ")
	if f.Calls != "" && f.Calls != "all" {
		name += " of " + f.Calls + "s"
	}
	return name
}
