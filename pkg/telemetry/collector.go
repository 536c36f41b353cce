package telemetry

import (
	"github.com/prometheus/client_golang/prometheus"
)

// What /metrics says, beside the process's own and the gauges.
var (
	requestsDesc = prometheus.NewDesc("prism_requests_total",
		"RPCs that have ended, by method and status code.", []string{"method", "code"}, nil)
	requestSecondsDesc = prometheus.NewDesc("prism_request_duration_seconds",
		"How long RPCs took in the gateway; of streams: how long they were open.", []string{"method"}, nil)
	operationsDesc = prometheus.NewDesc("prism_namespace_operations_total",
		"Operations on a namespace: kind is read or write.", []string{"namespace", "kind"}, nil)
	namespaceErrorsDesc = prometheus.NewDesc("prism_namespace_errors_total",
		"Calls on a namespace that failed.", []string{"namespace"}, nil)
	namespaceSecondsDesc = prometheus.NewDesc("prism_namespace_duration_seconds",
		"How long calls on a namespace took.", []string{"namespace"}, nil)
	errorsDesc = prometheus.NewDesc("prism_errors_total",
		"Errors answered, by category, stable code, backend at fault and namespace.", []string{"category", "code", "backend", "namespace"}, nil)
)

// codeNames are the gRPC status codes by number.
var codeNames = [codes]string{
	"OK", "CANCELLED", "UNKNOWN", "INVALID_ARGUMENT", "DEADLINE_EXCEEDED", "NOT_FOUND", "ALREADY_EXISTS",
	"PERMISSION_DENIED", "RESOURCE_EXHAUSTED", "FAILED_PRECONDITION", "ABORTED", "OUT_OF_RANGE",
	"UNIMPLEMENTED", "INTERNAL", "UNAVAILABLE", "DATA_LOSS", "UNAUTHENTICATED",
}

// collector turns the counters into Prometheus's form when scraped.
type collector Metrics

func (c *collector) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{
		requestsDesc, requestSecondsDesc, operationsDesc, namespaceErrorsDesc, namespaceSecondsDesc, errorsDesc,
	} {
		ch <- d
	}
}

func (c *collector) Collect(ch chan<- prometheus.Metric) {
	m := (*Metrics)(c)
	m.each(func(x *Method) {
		l, byCode := x.read()
		if l.Total() == 0 {
			return
		}
		for code, n := range byCode {
			if n > 0 {
				ch <- counter(requestsDesc, n, x.name, codeNames[code])
			}
		}
		ch <- l.metric(requestSecondsDesc, x.name)
	}, func(x *Namespace) {
		l, n := x.read()
		if l.Total() == 0 {
			return
		}
		ch <- counter(operationsDesc, n[slotReads], string(x.name), "read")
		ch <- counter(operationsDesc, n[slotWrites], string(x.name), "write")
		ch <- counter(namespaceErrorsDesc, n[slotErrors], string(x.name))
		ch <- l.metric(namespaceSecondsDesc, string(x.name))
	})
	for l, n := range *m.errors.Load() {
		info := l.reason.Info()
		ch <- counter(errorsDesc, n.Load(), category(info.Class), info.Code(), l.backend, l.namespace)
	}
}

func gauge(d *prometheus.Desc, v float64, labels ...string) prometheus.Metric {
	return prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v, labels...)
}

func counter(d *prometheus.Desc, n int64, labels ...string) prometheus.Metric {
	return prometheus.MustNewConstMetric(d, prometheus.CounterValue, float64(n), labels...)
}

// metric is l in Prometheus's form, with one bucket an octave: half as many
// series, and the counts at the bounds it has are the same.
func (l Latency) metric(d *prometheus.Desc, labels ...string) prometheus.Metric {
	cumulative := make(map[float64]uint64, boundCount/2+1)
	var n uint64
	for i, b := range l.BoundsUS {
		n += uint64(l.Counts[i])
		if i%2 == 0 {
			cumulative[float64(b)/1e6] = n
		}
	}
	n += uint64(l.Counts[len(l.BoundsUS)])
	return prometheus.MustNewConstHistogram(d, n, float64(l.SumUS)/1e6, cumulative, labels...)
}

// category sorts a class of errors as RFC-012 does.
func category(class int) string {
	switch class {
	case 400, 422:
		return "validation"
	case 401, 403:
		return "authorization"
	case 409:
		return "concurrency"
	case 429:
		return "rate_limit"
	case 413, 507:
		return "resource"
	case 504:
		return "timeout"
	case 600, 604:
		return "backend"
	case 502, 503:
		return "network"
	}
	if class < 500 || class == 602 {
		return "client"
	}
	return "server"
}
