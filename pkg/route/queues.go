package route

import (
	"context"
	"maps"
	"slices"
	"time"

	"github.com/prism-data-layer/prism/pkg/data/queue"
	"github.com/prism-data-layer/prism/pkg/data/workqueue"
	"github.com/prism-data-layer/prism/pkg/prism"
	"github.com/prism-data-layer/prism/pkg/telemetry"
)

// Bounds of what a scrape asks of queues.
const (
	scrapeQueues = 100 // of a namespace, of each kind, and groups; the others are told together
	scrapeTime   = 2 * time.Second
)

// QueueStats tells what the work queues of the namespaces in force hold. What
// cannot be asked in time is left out.
func (r *Router) QueueStats() (stats []telemetry.QueueStats) {
	ctx, cancel := context.WithTimeout(context.Background(), scrapeTime)
	defer cancel()
	table := *r.table.Load()
	for _, name := range slices.Sorted(maps.Keys(table)) {
		q, ns := table[name].workQueue, prism.Namespace(name)
		if q == nil {
			continue
		}
		q.Figures(ctx, scrapeQueues, telemetry.Other, func(name string, i workqueue.Info) {
			stats = append(stats, telemetry.QueueStats{
				Namespace: ns, Queue: name,
				Ready: i.Ready, Delayed: i.Delayed, Leased: i.Leased, Dead: i.Dead, OldestAge: i.OldestAge,
				Published: i.Published, Delivered: i.Delivered, Acknowledged: i.Acked, Redelivered: i.Redelivered,
			})
		})
	}
	return stats
}

// LogStats tells what the logs of the namespaces in force hold and how their
// groups do. What cannot be asked in time is left out.
func (r *Router) LogStats() (logs []telemetry.LogStats, groups []telemetry.LogGroupStats) {
	ctx, cancel := context.WithTimeout(context.Background(), scrapeTime)
	defer cancel()
	table := *r.table.Load()
	for _, name := range slices.Sorted(maps.Keys(table)) {
		q, ns := table[name].queue, prism.Namespace(name)
		if q == nil {
			continue
		}
		q.Figures(ctx, scrapeQueues, telemetry.Other, func(topic string, t queue.TopicFigures) {
			logs = append(logs, telemetry.LogStats{Namespace: ns, Topic: topic, Messages: t.Messages, Bytes: t.Bytes, Published: t.Published})
		}, func(topic, group string, g queue.GroupFigures) {
			groups = append(groups, telemetry.LogGroupStats{
				Namespace: ns, Topic: topic, Group: group, Members: g.Members, Lag: g.Lag, LagAge: g.Age,
				Delivered: g.Delivered, Redelivered: g.Redelivered, Skipped: g.Skipped,
			})
		})
	}
	return logs, groups
}
