package telemetry

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/prism-data-layer/prism/pkg/prism"
)

// QueueStats are the numbers of one work queue, or of several under [Other].
type QueueStats struct {
	Namespace                                       prism.Namespace
	Queue                                           string
	Ready, Delayed, Leased, Dead                    int64
	OldestAge                                       time.Duration // of what is ready or leased
	Published, Delivered, Acknowledged, Redelivered int64
}

var (
	queueMessagesDesc = prometheus.NewDesc("prism_queue_messages",
		"Messages of a work queue, by state: ready, delayed, leased or dead.", []string{"namespace", "queue", "state"}, nil)
	queueOldestDesc = prometheus.NewDesc("prism_queue_oldest_age_seconds",
		"Age of the oldest message that is ready or leased.", []string{"namespace", "queue"}, nil)
	queuePublishedDesc = prometheus.NewDesc("prism_queue_published_total",
		"Messages published.", []string{"namespace", "queue"}, nil)
	queueDeliveredDesc = prometheus.NewDesc("prism_queue_delivered_total",
		"Deliveries of messages.", []string{"namespace", "queue"}, nil)
	queueAcknowledgedDesc = prometheus.NewDesc("prism_queue_acknowledged_total",
		"Messages acknowledged.", []string{"namespace", "queue"}, nil)
	queueRedeliveredDesc = prometheus.NewDesc("prism_queue_redelivered_total",
		"Deliveries that were not a message's first.", []string{"namespace", "queue"}, nil)
)

// Queues asks f at each scrape for the numbers of work queues. What f gives is
// bounded by f.
func (m *Metrics) Queues(f func() []QueueStats) { m.registry.MustRegister(queueCollector(f)) }

type queueCollector func() []QueueStats

func (queueCollector) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{
		queueMessagesDesc, queueOldestDesc, queuePublishedDesc, queueDeliveredDesc, queueAcknowledgedDesc, queueRedeliveredDesc,
	} {
		ch <- d
	}
}

func (f queueCollector) Collect(ch chan<- prometheus.Metric) {
	for _, q := range f() {
		labels := []string{string(q.Namespace), q.Queue}
		for state, n := range map[string]int64{"ready": q.Ready, "delayed": q.Delayed, "leased": q.Leased, "dead": q.Dead} {
			ch <- prometheus.MustNewConstMetric(queueMessagesDesc, prometheus.GaugeValue, float64(n), labels[0], labels[1], state)
		}
		ch <- prometheus.MustNewConstMetric(queueOldestDesc, prometheus.GaugeValue, q.OldestAge.Seconds(), labels...)
		ch <- counter(queuePublishedDesc, q.Published, labels...)
		ch <- counter(queueDeliveredDesc, q.Delivered, labels...)
		ch <- counter(queueAcknowledgedDesc, q.Acknowledged, labels...)
		ch <- counter(queueRedeliveredDesc, q.Redelivered, labels...)
	}
}
