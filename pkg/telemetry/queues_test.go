package telemetry_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/prism-data-layer/prism/pkg/telemetry"
)

func TestQueuesAreAskedForAtEachScrape(t *testing.T) {
	t.Parallel()
	m := telemetry.NewMetrics(0)
	asked := int64(0)
	m.Queues(func() []telemetry.QueueStats {
		asked++
		return []telemetry.QueueStats{
			{Namespace: "shop", Queue: "mail", Ready: 1, Delayed: 2, Leased: 3, Dead: asked, OldestAge: 90 * time.Second, Published: 9, Delivered: 8, Acknowledged: 7, Redelivered: 6},
			{Namespace: "shop", Queue: telemetry.Other, Ready: 5},
		}
	})
	scrape(t, m)
	tells(t, m,
		`prism_queue_messages{namespace="shop",queue="mail",state="ready"} 1`,
		`prism_queue_messages{namespace="shop",queue="mail",state="delayed"} 2`,
		`prism_queue_messages{namespace="shop",queue="mail",state="leased"} 3`,
		`prism_queue_messages{namespace="shop",queue="mail",state="dead"} 2`,
		`prism_queue_messages{namespace="shop",queue="_other",state="ready"} 5`,
		`prism_queue_oldest_age_seconds{namespace="shop",queue="mail"} 90`,
		`prism_queue_published_total{namespace="shop",queue="mail"} 9`,
		`prism_queue_delivered_total{namespace="shop",queue="mail"} 8`,
		`prism_queue_acknowledged_total{namespace="shop",queue="mail"} 7`,
		`prism_queue_redelivered_total{namespace="shop",queue="mail"} 6`,
	)
}

// tells wants lines on the page of metrics.
func tells(t *testing.T, m *telemetry.Metrics, lines ...string) {
	t.Helper()
	series := scrape(t, m)
	for _, line := range lines {
		name, value, _ := strings.Cut(line, " ")
		if v, ok := series[name]; !ok || fmt.Sprint(v) != value {
			t.Errorf("/metrics has %v (%v) for %s", v, ok, line)
		}
	}
}

func TestLogsAndTheirGroupsAreAskedForAtEachScrape(t *testing.T) {
	t.Parallel()
	m := telemetry.NewMetrics(0)
	m.Logs(func() ([]telemetry.LogStats, []telemetry.LogGroupStats) {
		return []telemetry.LogStats{{Namespace: "shop", Topic: "orders", Messages: 1, Bytes: 2, Published: 3}},
			[]telemetry.LogGroupStats{{
				Namespace: "shop", Topic: "orders", Group: "billing", Members: 4, Lag: 5, LagAge: 90 * time.Second, Delivered: 6, Redelivered: 7, Skipped: 8,
			}}
	})
	tells(t, m,
		`prism_log_messages{namespace="shop",topic="orders"} 1`,
		`prism_log_size_bytes{namespace="shop",topic="orders"} 2`,
		`prism_log_published_total{namespace="shop",topic="orders"} 3`,
		`prism_log_group_members{group="billing",namespace="shop",topic="orders"} 4`,
		`prism_log_group_lag{group="billing",namespace="shop",topic="orders"} 5`,
		`prism_log_group_lag_age_seconds{group="billing",namespace="shop",topic="orders"} 90`,
		`prism_log_group_delivered_total{group="billing",namespace="shop",topic="orders"} 6`,
		`prism_log_group_redelivered_total{group="billing",namespace="shop",topic="orders"} 7`,
		`prism_log_group_skipped_total{group="billing",namespace="shop",topic="orders"} 8`,
	)
}
