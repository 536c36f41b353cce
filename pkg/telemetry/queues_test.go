package telemetry_test

import (
	"net/http/httptest"
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
	handler := telemetry.NewHandler(telemetry.HTTPOptions{Metrics: m, Ready: func() bool { return true }})
	var page string
	for range 2 {
		w := httptest.NewRecorder()
		r := httptest.NewRequest("GET", "/metrics", nil)
		r.Host, r.RemoteAddr = "127.0.0.1:9090", "127.0.0.1:5"
		handler.ServeHTTP(w, r)
		page = w.Body.String()
	}
	for _, line := range []string{
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
	} {
		if !strings.Contains(page, line+"\n") {
			t.Errorf("/metrics lacks %s", line)
		}
	}
}
