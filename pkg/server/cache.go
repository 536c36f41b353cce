package server

import (
	"context"
	"maps"
	"math"
	"slices"
	"time"

	"github.com/prism-data-layer/prism/pkg/prism"
	"github.com/prism-data-layer/prism/pkg/telemetry"
)

// scrapeTime bounds what a scrape asks of the backends.
const scrapeTime = time.Second

// cacheMetrics publishes how well each cache does.
func (s *Server) cacheMetrics() {
	s.metrics.PerNamespace([]telemetry.Family{
		{Name: "prism_cache_hits_total", Help: "Reads of a cache that found an entry.", Counter: true},
		{Name: "prism_cache_misses_total", Help: "Reads of a cache that found none.", Counter: true},
		{Name: "prism_cache_hit_ratio", Help: "Hits of all reads since the start; 0 without reads."},
		{Name: "prism_cache_evictions_total", Help: "Entries that a bounded cache gave up to make room.", Counter: true},
		{Name: "prism_cache_entries", Help: "Entries of a bounded cache."},
		{Name: "prism_cache_bytes", Help: "What a bounded cache takes."},
		{Name: "prism_cache_max_bytes", Help: "The bound of a bounded cache."},
	}, func(emit func(prism.Namespace, ...float64)) {
		ctx, cancel := context.WithTimeout(context.Background(), scrapeTime)
		defer cancel()
		stats := s.router.Caches(ctx)
		for _, ns := range slices.Sorted(maps.Keys(stats)) {
			c := stats[ns]
			bounded := func(n int64) float64 {
				if !c.Bounded {
					return math.NaN()
				}
				return float64(n)
			}
			emit(ns, float64(c.Hits), float64(c.Misses), c.HitRatio(), bounded(c.Evictions), bounded(c.Entries), bounded(c.Bytes), bounded(c.MaxBytes))
		}
	})
}
