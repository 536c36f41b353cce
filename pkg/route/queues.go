package route

import (
	"context"
	"maps"
	"slices"
	"time"

	"github.com/prism-data-layer/prism/pkg/data/workqueue"
	"github.com/prism-data-layer/prism/pkg/prism"
	"github.com/prism-data-layer/prism/pkg/telemetry"
)

// Bounds of what a scrape asks of work queues.
const (
	scrapeQueues = 100 // of a namespace; the others are told together
	scrapeTime   = 2 * time.Second
)

// QueueStats tells what the work queues of the namespaces in force hold. What
// cannot be asked in time is left out.
func (r *Router) QueueStats() (stats []telemetry.QueueStats) {
	ctx, cancel := context.WithTimeout(context.Background(), scrapeTime)
	defer cancel()
	table := *r.table.Load()
	for _, name := range slices.Sorted(maps.Keys(table)) {
		q := table[name].workQueue
		if q == nil {
			continue
		}
		q.Figures(ctx, scrapeQueues, telemetry.Other, func(queue string, i workqueue.Info) {
			stats = append(stats, telemetry.QueueStats{
				Namespace: prism.Namespace(name), Queue: queue,
				Ready: i.Ready, Delayed: i.Delayed, Leased: i.Leased, Dead: i.Dead, OldestAge: i.OldestAge,
				Published: i.Published, Delivered: i.Delivered, Acknowledged: i.Acked, Redelivered: i.Redelivered,
			})
		})
	}
	return stats
}
