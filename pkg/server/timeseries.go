package server

import (
	"maps"
	"slices"

	"github.com/prism-data-layer/prism/pkg/prism"
	"github.com/prism-data-layer/prism/pkg/telemetry"
)

// seriesMetrics publishes what became of the events of each namespace of time
// series: what was sent is the others together.
func (s *Server) seriesMetrics() {
	s.metrics.PerNamespace([]telemetry.Family{
		{Name: "prism_timeseries_sent_total", Help: "Events that came and were answered.", Counter: true},
		{Name: "prism_timeseries_stored_total", Help: "Events that were stored.", Counter: true},
		{Name: "prism_timeseries_duplicates_total", Help: "Events that were there already.", Counter: true},
		{Name: "prism_timeseries_rejected_total", Help: "Events that were refused one by one.", Counter: true},
		{Name: "prism_timeseries_dropped_total", Help: "Events that were acked with async and could not be stored.", Counter: true},
		{Name: "prism_timeseries_buffered", Help: "Events that were acked with async and wait for the store."},
		{Name: "prism_timeseries_buffer_bytes", Help: "Bytes of all events that wait for the store."},
	}, func(emit func(prism.Namespace, ...float64)) {
		stats := s.router.SeriesStats()
		for _, ns := range slices.Sorted(maps.Keys(stats)) {
			x := stats[ns]
			emit(ns, float64(x.Sent), float64(x.Stored), float64(x.Duplicates), float64(x.Rejected), float64(x.Dropped), float64(x.Buffered), float64(x.Bytes))
		}
	})
}
