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
			ch <- gauge(queueMessagesDesc, float64(n), labels[0], labels[1], state)
		}
		ch <- gauge(queueOldestDesc, q.OldestAge.Seconds(), labels...)
		ch <- counter(queuePublishedDesc, q.Published, labels...)
		ch <- counter(queueDeliveredDesc, q.Delivered, labels...)
		ch <- counter(queueAcknowledgedDesc, q.Acknowledged, labels...)
		ch <- counter(queueRedeliveredDesc, q.Redelivered, labels...)
	}
}

// LogStats are the numbers of one log, or of several under [Other].
type LogStats struct {
	Namespace                  prism.Namespace
	Topic                      string
	Messages, Bytes, Published int64
}

// LogGroupStats are the numbers of one group of a log, or of several under
// [Other].
type LogGroupStats struct {
	Namespace                       prism.Namespace
	Topic, Group                    string
	Members, Lag                    int64
	LagAge                          time.Duration // of the oldest message that is not committed
	Delivered, Redelivered, Skipped int64
}

var (
	logMessagesDesc = prometheus.NewDesc("prism_log_messages",
		"Messages that a log keeps.", []string{"namespace", "topic"}, nil)
	logBytesDesc = prometheus.NewDesc("prism_log_size_bytes",
		"Payload bytes that a log keeps.", []string{"namespace", "topic"}, nil)
	logPublishedDesc = prometheus.NewDesc("prism_log_published_total",
		"Messages ever published to a log.", []string{"namespace", "topic"}, nil)
	logMembersDesc = prometheus.NewDesc("prism_log_group_members",
		"Members of a group that read through this gateway.", []string{"namespace", "topic", "group"}, nil)
	logLagDesc = prometheus.NewDesc("prism_log_group_lag",
		"Messages after what a group has acknowledged.", []string{"namespace", "topic", "group"}, nil)
	logLagAgeDesc = prometheus.NewDesc("prism_log_group_lag_age_seconds",
		"Age of the oldest message that a group has not acknowledged.", []string{"namespace", "topic", "group"}, nil)
	logDeliveredDesc = prometheus.NewDesc("prism_log_group_delivered_total",
		"Deliveries to members of a group.", []string{"namespace", "topic", "group"}, nil)
	logRedeliveredDesc = prometheus.NewDesc("prism_log_group_redelivered_total",
		"Deliveries that were not a message's first.", []string{"namespace", "topic", "group"}, nil)
	logSkippedDesc = prometheus.NewDesc("prism_log_group_skipped_total",
		"Messages that retention dropped before a group had read them.", []string{"namespace", "topic", "group"}, nil)
)

// Logs asks f at each scrape for the numbers of logs and of their groups. What f
// gives is bounded by f.
func (m *Metrics) Logs(f func() ([]LogStats, []LogGroupStats)) {
	m.registry.MustRegister(logCollector(f))
}

type logCollector func() ([]LogStats, []LogGroupStats)

func (logCollector) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{
		logMessagesDesc, logBytesDesc, logPublishedDesc,
		logMembersDesc, logLagDesc, logLagAgeDesc, logDeliveredDesc, logRedeliveredDesc, logSkippedDesc,
	} {
		ch <- d
	}
}

func (f logCollector) Collect(ch chan<- prometheus.Metric) {
	logs, groups := f()
	for _, l := range logs {
		labels := []string{string(l.Namespace), l.Topic}
		ch <- gauge(logMessagesDesc, float64(l.Messages), labels...)
		ch <- gauge(logBytesDesc, float64(l.Bytes), labels...)
		ch <- counter(logPublishedDesc, l.Published, labels...)
	}
	for _, g := range groups {
		labels := []string{string(g.Namespace), g.Topic, g.Group}
		ch <- gauge(logMembersDesc, float64(g.Members), labels...)
		ch <- gauge(logLagDesc, float64(g.Lag), labels...)
		ch <- gauge(logLagAgeDesc, g.LagAge.Seconds(), labels...)
		ch <- counter(logDeliveredDesc, g.Delivered, labels...)
		ch <- counter(logRedeliveredDesc, g.Redelivered, labels...)
		ch <- counter(logSkippedDesc, g.Skipped, labels...)
	}
}
