package ui

import (
	"context"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/prism-data-layer/prism/pkg/cli"
	adminv1 "github.com/prism-data-layer/prism/proto/prism/admin/v1"
	"github.com/prism-data-layer/prism/tui/page/backends"
)

// backendSource answers the pages of backends.
type backendSource struct{ *source }

// Backends asks for all of them.
func (s backendSource) Backends(ctx context.Context) (*backends.List, error) {
	out := &backends.List{}
	err := s.together(ctx,
		func(ctx context.Context) (err error) { out.Now, out.Started, err = s.clock(ctx); return err },
		func(ctx context.Context) error {
			r, err := s.client.ListBackends(ctx, &adminv1.ListBackendsRequest{})
			for _, b := range r.GetBackends() {
				out.Backends = append(out.Backends, backendRow(b))
			}
			return err
		})
	if err != nil {
		return nil, err
	}
	return out, nil
}

// Backend asks for one.
func (s backendSource) Backend(ctx context.Context, name string) (*backends.One, error) {
	out := &backends.One{}
	var b *adminv1.Backend
	err := s.together(ctx,
		func(ctx context.Context) error {
			r, err := s.client.GetStatus(ctx, &adminv1.GetStatusRequest{})
			out.Now, out.Started, out.FaultsOn = moment(r.GetNowMs()), moment(r.GetStartedAtMs()), r.GetFaultsEnabled()
			return err
		},
		func(ctx context.Context) error {
			r, err := s.client.GetBackend(ctx, &adminv1.GetBackendRequest{Name: name})
			b = r.GetBackend()
			return err
		})
	if err != nil {
		return nil, err
	}
	out.Backend, out.Capabilities = backendRow(b), b.GetCapabilities()
	for _, m := range b.GetMissing() {
		out.Missing = append(out.Missing, backends.Missing{Name: m.GetName(), Why: m.GetWhy()})
	}
	for _, k := range slices.Sorted(maps.Keys(b.GetErrorsByReason())) {
		out.Reasons = append(out.Reasons, backends.Count{Name: k, Of: b.GetErrorsByReason()[k]})
	}
	for _, k := range slices.Sorted(maps.Keys(b.GetFacts())) {
		out.Facts = append(out.Facts, backends.Figure{Name: strings.ReplaceAll(k, "_", " "), Value: b.GetFacts()[k]})
	}
	return out, nil
}

func backendRow(b *adminv1.Backend) backends.Backend {
	micros := func(us int64) time.Duration { return time.Duration(us) * time.Microsecond }
	row := backends.Backend{
		Name: b.GetName(), Driver: b.GetDriver(), Health: cli.EnumWord(b.GetHealth().String(), "HEALTH_STATE_"), Message: b.GetMessage(),
		Probe: micros(b.GetLatencyUs()), Checked: moment(b.GetCheckedAtMs()),
		Breaker: b.GetBreaker(), BreakerSince: moment(b.GetBreakerSinceMs()), BreakerOpened: b.GetBreakerOpened(),
		InFlight: b.GetInFlight(), Calls: b.GetCalls(), Errors: b.GetErrors(), RejectedOpen: b.GetRejectedOpen(), RejectedBusy: b.GetRejectedBusy(),
		P50: micros(b.GetP50Us()), P99: micros(b.GetP99Us()), LastError: b.GetLastError(), LastFailed: moment(b.GetLastErrorMs()),
		Durability: b.GetDurability(), Durable: b.GetDurable(), Declared: b.GetDeclaredIn(), Added: b.GetAdded(), Namespaces: b.GetNamespaces(),
	}
	for _, f := range b.GetFaults() {
		row.Faults = append(row.Faults, backends.Fault{ID: f.GetFaultId(), What: cli.FaultWords(f), By: f.GetActor(), Ends: moment(f.GetEndsAtMs())})
	}
	return row
}
