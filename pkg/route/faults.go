package route

import (
	"context"

	"github.com/prism-data-layer/prism/pkg/driver/around"
	"github.com/prism-data-layer/prism/pkg/prism"
)

// faults is the hook around every backend: it counts the errors that are the
// store's own and keeps the last one, for `backend describe` and the dashboard.
type faults struct{ be *backend }

func (f faults) Begin(ctx context.Context, _ around.Call) (context.Context, struct{}, error) {
	return ctx, struct{}{}, nil
}

func (f faults) End(_ struct{}, err error) {
	if err == nil {
		return
	}
	switch e := prism.From(err); e.Reason {
	case prism.ReasonInternal, prism.ReasonDataLoss, prism.ReasonBackendUnavailable, prism.ReasonUnavailable, prism.ReasonDiskFull:
		f.be.mu.Lock()
		f.be.errors++
		f.be.last = string(e.Reason) + ": " + e.Message
		f.be.mu.Unlock()
	}
}
