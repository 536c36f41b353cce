package route

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"

	"github.com/prism-data-layer/prism/pkg/control"
	"github.com/prism-data-layer/prism/pkg/data/timeseries"
	"github.com/prism-data-layer/prism/pkg/prism"
)

// timeSeries makes the version of a namespace of time series that is in force
// from now on. What waits for the store goes on waiting.
func (r *Router) timeSeries(n, was *namespace) *timeseries.Store {
	record, ns := n.record, prism.Namespace(n.record.Name)
	var in *timeseries.Intake
	if was != nil && was.backend == n.backend && was.series != nil {
		in = was.series.Intake()
	} else {
		in = timeseries.NewIntake(r.clock, n.inflight)
	}
	if was == nil || was.series == nil || was.series.Intake() != in || was.record.Retention != record.Retention {
		in.Retain(n.backend.set, ns, record.Retention)
	}
	p := timeseries.Policy{Receipts: record.Limits.Receipts, Retention: record.Retention, Buffer: record.Limits.BufferBytes}
	return timeseries.New(n.backend.set, ns, p, r.sealer, r.clock, in)
}

// Retains refuses a namespace whose retention its backend would not put in force,
// with the reason: its events would stay for ever.
func (r *Router) Retains(n control.Namespace) error {
	const needed = "timeseries_retention"
	r.mu.Lock()
	be := r.backends[n.Binding.Backend]
	r.mu.Unlock()
	if n.Retention == 0 || be == nil || be.set.Has(needed) {
		return nil
	}
	text := fmt.Sprintf("backend %q lacks %s: it would keep the events for ever", be.Name, needed)
	if why := be.set.Info.Missing[needed]; why != "" {
		text += " (" + why + ")"
	}
	return prism.New(prism.ReasonCapabilityMissing, "%s", text).WithMeta("missing", needed).WithField("retention_ms", "cannot be put in force by backend "+be.Name).
		WithNamespace(prism.Namespace(n.Name)).WithBackend(be.Name)
}

// endSeries lets an intake that is no longer in force work off what waits; a
// drop of the namespace waits for it.
func endSeries(was, now *namespace) {
	if was.series == nil || now != nil && now.series != nil && now.series.Intake() == was.series.Intake() {
		return
	}
	go was.series.Intake().Close(context.Background())
}

// FlushEvents takes no more events, and returns when those that wait are stored.
// When ctx ends, the rest is dropped; it tells how many in all.
func (r *Router) FlushEvents(ctx context.Context) (dropped int64) {
	var wg sync.WaitGroup
	var n atomic.Int64
	for _, ns := range *r.table.Load() {
		if ns.series == nil {
			continue
		}
		wg.Go(func() {
			in := ns.series.Intake()
			before, _ := in.Figures()
			in.Close(ctx)
			after, _ := in.Figures()
			n.Add(after.Dropped - before.Dropped + after.Buffered) // what is stuck is lost too
		})
	}
	wg.Wait()
	return n.Load()
}

// SeriesStats are the figures of a namespace of time series.
type SeriesStats struct {
	timeseries.Figures
	Bytes int64 // that wait for the store
}

// SeriesStats tells what became of the events of the namespaces in force.
func (r *Router) SeriesStats() map[prism.Namespace]SeriesStats {
	stats := map[prism.Namespace]SeriesStats{}
	for name, n := range *r.table.Load() {
		if n.series != nil {
			f, _ := n.series.Intake().Figures()
			stats[prism.Namespace(name)] = SeriesStats{Figures: f, Bytes: n.series.Intake().Bytes()}
		}
	}
	return stats
}
