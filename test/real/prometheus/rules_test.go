// Package prometheus_test holds docs/alerts/rules.yaml to Prometheus itself: it
// reads the file, and each alert fires where it should and nowhere else. A
// module of its own, since Prometheus is large.
package prometheus_test

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/rulefmt"
	"github.com/prometheus/prometheus/promql/parser"
	"github.com/prometheus/prometheus/promql/promqltest"
)

func rules(t *testing.T) map[string]rulefmt.Rule {
	t.Helper()
	groups, errs := rulefmt.ParseFile("../../../docs/alerts/rules.yaml", false, model.UTF8Validation, parser.NewParser(parser.Options{}), slog.New(slog.DiscardHandler))
	for _, err := range errs {
		t.Error(err)
	}
	if groups == nil {
		t.FailNow()
	}
	all := map[string]rulefmt.Rule{}
	for _, g := range groups.Groups {
		for _, r := range g.Rules {
			if _, twice := all[r.Alert]; twice {
				t.Errorf("%s is there twice", r.Alert)
			}
			all[r.Alert] = r
		}
	}
	return all
}

// scenes have two hours of series, a sample a minute. At their end the alert
// fires for what is called bad, and for nothing else.
var scenes = map[string]string{
	"PrismGatewayDown":     `up{job="prismd",instance="bad"} 1x110 0x10;  up{job="prismd",instance="good"} 1x120;  up{job="other",instance="x"} 0x120`,
	"PrismGatewayStopping": `prism_state{instance="bad"} 1x115 2x5;  prism_state{instance="good"} 1x120`,
	"PrismGatewayRestarts": `process_start_time_seconds{job="prismd",instance="bad"} 1x110 2 3 4 5x10;  process_start_time_seconds{job="prismd",instance="good"} 1x115 2x5`,
	"PrismRequestsFail": `prism_requests_total{instance="bad",code="OK"} 0+90x120;  prism_requests_total{instance="bad",code="UNAVAILABLE"} 0+10x120;
		prism_requests_total{instance="good",code="OK"} 0+90x120;  prism_requests_total{instance="good",code="NOT_FOUND"} 0+50x120`,
	"PrismBugs":           `prism_errors_total{instance="bad",code="PRISM-50001"} _x115 1x5;  prism_errors_total{instance="old",code="PRISM-50001"} 3x120;  prism_errors_total{instance="good",code="PRISM-40401"} 0+9x120`,
	"PrismCallersRefused": `prism_errors_total{instance="bad",category="authorization",code="PRISM-40301"} 0+120x120;  prism_errors_total{instance="good",category="authorization"} 0+10x120`,
	"PrismRateLimited":    `prism_errors_total{namespace="bad",category="rate_limit"} 0+120x120;  prism_errors_total{namespace="good",category="rate_limit"} 0+10x120`,
	"PrismMemory":         `process_resident_memory_bytes{job="prismd",instance="bad"} 600000000x120;  process_resident_memory_bytes{job="prismd",instance="good"} 400000000x120`,
	"PrismFiles": `process_open_fds{job="prismd",instance="bad"} 900x120;  process_max_fds{job="prismd",instance="bad"} 1000x120;
		process_open_fds{job="prismd",instance="good"} 100x120;  process_max_fds{job="prismd",instance="good"} 1000x120`,

	"PrismTelemetryDropped": `prism_telemetry_dropped_total{instance="bad",signal="traces"} 0+1x120;  prism_telemetry_dropped_total{instance="good",signal="traces"} 9x120;  prism_telemetry_dropped_total{instance="good",signal="logs"} 0x90 5x30`,

	"PrismNamespaceFails": `prism_namespace_errors_total{namespace="bad"} 0+10x120;  prism_namespace_operations_total{namespace="bad",kind="read"} 0+60x120;
		prism_namespace_errors_total{namespace="good"} 0+1x120;  prism_namespace_operations_total{namespace="good",kind="read"} 0+60x120;  prism_namespace_operations_total{namespace="idle",kind="read"} 0x120`,
	"PrismNamespaceSlow": slow("prism_namespace_duration_seconds", `namespace="bad"`) + ";" + fast("prism_namespace_duration_seconds", `namespace="good"`) + ";" +
		slow("prism_namespace_duration_seconds", `namespace="jobs"`) + `;  prism_queue_messages{namespace="jobs",queue="q",state="ready"} 0x120;` +
		slow("prism_namespace_duration_seconds", `namespace="logs"`) + `;  prism_log_messages{namespace="logs",topic="t"} 0x120`,

	"PrismBackendDown":  `prism_backend_up{backend="bad"} 1x110 0x10;  prism_backend_up{backend="good"} 1x120`,
	"PrismBreakerOpen":  `prism_backend_breaker_state{backend="bad"} 0x110 2x10;  prism_backend_breaker_state{backend="good"} 1x120`,
	"PrismBreakerFlaps": `prism_backend_breaker_opened_total{backend="bad"} 0x110 2 4 6x10;  prism_backend_breaker_opened_total{backend="good"} 0x110 1x10`,
	"PrismBackendFails": `prism_backend_errors_total{backend="bad",reason="BACKEND_UNAVAILABLE"} 0+5x120;  prism_backend_calls_total{backend="bad",class="keyvalue_read"} 0+60x120;
		prism_backend_errors_total{backend="good",reason="NOT_FOUND"} 0+50x120;  prism_backend_calls_total{backend="good",class="keyvalue_read"} 0+60x120`,
	"PrismBackendSlow": slow("prism_backend_duration_seconds", `backend="bad",class="keyvalue_read"`) + ";" + fast("prism_backend_duration_seconds", `backend="good",class="keyvalue_read"`) + ";" +
		slow("prism_backend_duration_seconds", `backend="good",class="queue_read"`),
	"PrismBackendFull": `prism_backend_rejected_total{backend="bad",cause="limit"} 0+1x120;  prism_backend_rejected_total{backend="good",cause="limit"} 7x120;  prism_backend_rejected_total{backend="good",cause="breaker"} 0+9x120`,
	"PrismPoolExhausted": `prism_backend_pool{backend="bad",what="in_use"} 48x120;  prism_backend_pool{backend="bad",what="size"} 50x120;
		prism_backend_pool{backend="good",what="in_use"} 10x120;  prism_backend_pool{backend="good",what="size"} 50x120;  prism_backend_pool{backend="none",what="in_use"} 0x120;  prism_backend_pool{backend="none",what="size"} 0x120`,
	"PrismDiskFull":    `prism_backend_errors_total{backend="bad",reason="DISK_FULL"} _x117 1x3;  prism_backend_errors_total{backend="old",reason="DISK_FULL"} 4x120;  prism_backend_errors_total{backend="good",reason="NOT_FOUND"} 0+4x120`,
	"PrismFaultLeft":   `prism_backend_faults{backend="bad"} 1x120;  prism_backend_faults{backend="good"} 0x120`,
	"PrismDataDamaged": `prism_backend_errors_total{backend="bad",reason="DATA_LOSS"} _x80 1x40;  prism_backend_errors_total{backend="old",reason="DATA_LOSS"} 4x120`,

	"PrismCacheMisses": `prism_cache_hits_total{namespace="bad"} 0+60x120;  prism_cache_misses_total{namespace="bad"} 0+120x120;
		prism_cache_hits_total{namespace="good"} 0+120x120;  prism_cache_misses_total{namespace="good"} 0+60x120;  prism_cache_hits_total{namespace="idle"} 0x120;  prism_cache_misses_total{namespace="idle"} 0+1x120`,
	"PrismCacheTooSmall": `prism_cache_evictions_total{namespace="bad"} 0+120x120;  prism_cache_bytes{namespace="bad"} 95x120;  prism_cache_max_bytes{namespace="bad"} 100x120;
		prism_cache_evictions_total{namespace="good"} 9x120;  prism_cache_bytes{namespace="good"} 95x120;  prism_cache_max_bytes{namespace="good"} 100x120`,

	"PrismQueueOld":    `prism_queue_oldest_age_seconds{queue="bad"} 400x120;  prism_queue_oldest_age_seconds{queue="good"} 20x120`,
	"PrismQueueGrows":  `prism_queue_messages{queue="bad",state="ready"} 2000x100 4000x20;  prism_queue_messages{queue="good",state="ready"} 9000x120;  prism_queue_messages{queue="small",state="ready"} 1x100 99x20`,
	"PrismDeadLetters": `prism_queue_messages{queue="bad",state="dead"} 0x110 1x10;  prism_queue_messages{queue="good",state="dead"} 0x120;  prism_queue_messages{queue="good",state="ready"} 7x120`,
	"PrismQueueRedelivers": `prism_queue_redelivered_total{queue="bad"} 0+30x120;  prism_queue_delivered_total{queue="bad"} 0+100x120;
		prism_queue_redelivered_total{queue="good"} 0+1x120;  prism_queue_delivered_total{queue="good"} 0+100x120`,

	"PrismLogLag": `prism_log_group_lag_age_seconds{group="bad"} 400x120;  prism_log_group_lag_age_seconds{group="good"} 20x120`,
	"PrismLogUnread": `prism_log_group_lag{group="bad",instance="a"} 5x120;  prism_log_group_members{group="bad",instance="a"} 0x120;
		prism_log_group_lag{group="good",instance="a"} 5x120;  prism_log_group_members{group="good",instance="a"} 0x120;  prism_log_group_members{group="good",instance="b"} 1x120;
		prism_log_group_lag{group="done",instance="a"} 0x120;  prism_log_group_members{group="done",instance="a"} 0x120`,
	"PrismLogSkipped": `prism_log_group_skipped_total{group="bad"} 0x115 9x5;  prism_log_group_skipped_total{group="good"} 9x120`,

	"PrismEventsDropped": `prism_pubsub_dropped_total{instance="bad"} 0x115 9x5;  prism_pubsub_dropped_total{instance="good"} 9x120`,
	"PrismBacklog":       `prism_pubsub_backlog{instance="bad"} 200000x120;  prism_pubsub_backlog{instance="good"} 99x120`,

	"PrismSeriesDropped":  `prism_timeseries_dropped_total{namespace="bad"} 0x115 9x5;  prism_timeseries_dropped_total{namespace="good"} 9x120`,
	"PrismSeriesBuffered": `prism_timeseries_buffered{namespace="bad"} 20000x120;  prism_timeseries_buffered{namespace="good"} 20000x118 0 20000`,
	"PrismSeriesRejected": `prism_timeseries_rejected_total{namespace="bad"} 0+10x120;  prism_timeseries_sent_total{namespace="bad"} 0+100x120;
		prism_timeseries_rejected_total{namespace="good"} 0+1x120;  prism_timeseries_sent_total{namespace="good"} 0+100x120`,
}

// slow is a histogram of which half took up to a second, fast one of which all
// took a hundredth.
func slow(name, labels string) string {
	return fmt.Sprintf(`%[1]s_bucket{%[2]s,le="0.01"} 0+50x120;  %[1]s_bucket{%[2]s,le="1"} 0+100x120;  %[1]s_bucket{%[2]s,le="+Inf"} 0+100x120`, name, labels)
}

func fast(name, labels string) string {
	return fmt.Sprintf(`%[1]s_bucket{%[2]s,le="0.01"} 0+100x120;  %[1]s_bucket{%[2]s,le="1"} 0+100x120;  %[1]s_bucket{%[2]s,le="+Inf"} 0+100x120`, name, labels)
}

func TestEachAlertFiresForWhatIsBadAlone(t *testing.T) {
	t.Parallel()
	all := rules(t)
	for name := range scenes {
		if _, ok := all[name]; !ok {
			t.Errorf("there is no alert %s", name)
		}
	}
	engine := promqltest.NewTestEngine(t, false, 0, promqltest.DefaultMaxSamplesPerQuery)
	for name, r := range all {
		scene, ok := scenes[name]
		if !ok {
			t.Errorf("%s has no scene", name)
			continue
		}
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var load strings.Builder
			load.WriteString("load 1m\n")
			for _, series := range strings.Split(scene, ";") {
				fmt.Fprintf(&load, "  %s\n", strings.TrimSpace(series))
			}
			store := promqltest.LoadedStorage(t, load.String())
			query, err := engine.NewInstantQuery(context.Background(), store, nil, r.Expr, time.Unix(0, 0).Add(2*time.Hour))
			if err != nil {
				t.Fatal(err)
			}
			defer query.Close()
			fired, err := query.Exec(context.Background()).Vector()
			if err != nil || len(fired) != 1 || !strings.Contains(fired[0].Metric.String(), `="bad"`) {
				t.Errorf("%s\nfires for %v (%v), want what is bad alone", r.Expr, fired, err)
			}
		})
	}
}
