package otlp

import (
	"slices"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/sdk/instrumentation"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	"go.opentelemetry.io/otel/sdk/resource"

	"github.com/prism-data-layer/prism/loadtest/report"
)

// Bounds are those of the latency: two to an octave, from 125 µs to 64 s.
func Bounds() []time.Duration {
	var all []time.Duration
	for b := 125 * time.Microsecond; b <= 64*time.Second; b *= 2 {
		all = append(all, b, b*3/2)
	}
	return all[:len(all)-1]
}

// metrics are the figures of the last snapshot, of its phase alone: so that
// those of all phases can be added up.
func (x *Export) metrics() *metricdata.ResourceMetrics {
	s := &x.last
	// The schemas are the same, so that merging cannot fail.
	res, _ := resource.Merge(x.resource, resource.NewSchemaless(attribute.String("prism.loadtest.phase", string(s.Phase)))) //nolint:errcheck // see above
	metrics := []metricdata.Metrics{
		x.gauge("prism.loadtest.rate", "1/s", "Answers per second of late, failures too.", s.RecentRPS),
		x.gauge("prism.loadtest.rate.target", "1/s", "Requests per second that are wanted; 0 in a closed loop.", s.TargetRPS),
		x.gauge("prism.loadtest.in_flight", "{request}", "Requests, or virtual users of a closed loop, that wait for their answer.", float64(s.InFlight)),
		x.gauge("prism.loadtest.backlog", "{request}", "Requests that are due and wait for a free slot.", float64(s.Backlog)),
		x.sum("prism.loadtest.dropped", "Requests that were due and never started.", x.point(s.Dropped-x.base.Dropped)),
	}
	if p := x.requests(); len(p) > 0 {
		metrics = append(metrics,
			x.sum("prism.loadtest.requests", "Requests that were answered, by operation and outcome.", p...), x.latency())
	}
	if p := x.errors(); len(p) > 0 {
		metrics = append(metrics, x.sum("prism.loadtest.errors", "Requests that failed, by operation and reason.", p...))
	}
	return &metricdata.ResourceMetrics{
		Resource:     res,
		ScopeMetrics: []metricdata.ScopeMetrics{{Scope: instrumentation.Scope{Name: scope}, Metrics: metrics}},
	}
}

func (x *Export) gauge(name, unit, about string, v float64) metricdata.Metrics {
	return metricdata.Metrics{
		Name: name, Unit: unit, Description: about,
		Data: metricdata.Gauge[float64]{DataPoints: []metricdata.DataPoint[float64]{{Time: x.lastAt, Value: v}}},
	}
}

func (x *Export) sum(name, about string, points ...metricdata.DataPoint[int64]) metricdata.Metrics {
	return metricdata.Metrics{
		Name: name, Unit: "{request}", Description: about,
		Data: metricdata.Sum[int64]{DataPoints: points, Temporality: metricdata.CumulativeTemporality, IsMonotonic: true},
	}
}

func (x *Export) point(n uint64, attributes ...attribute.KeyValue) metricdata.DataPoint[int64] {
	return metricdata.DataPoint[int64]{Attributes: attribute.NewSet(attributes...), StartTime: x.begun, Time: x.lastAt, Value: int64(n)}
}

func operation(name string) attribute.KeyValue { return attribute.String("operation", name) }

func (x *Export) requests() (points []metricdata.DataPoint[int64]) {
	for i := range x.last.Operations {
		o, before := &x.last.Operations[i], x.before(i)
		points = append(points,
			x.point(o.OK-before.OK, operation(o.Name), attribute.String("outcome", "ok")),
			x.point(o.Failed-before.Failed, operation(o.Name), attribute.String("outcome", "failed")))
	}
	return points
}

// before is operation i when the phase began. There are none while a store is
// filled.
func (x *Export) before(i int) (o report.OperationSnapshot) {
	if i < len(x.base.Operations) {
		o = x.base.Operations[i]
	}
	return o
}

func (x *Export) errors() (points []metricdata.DataPoint[int64]) {
	for _, r := range x.last.Reasons {
		n := r.Count
		same := func(b report.Reason) bool { return b.Operation == r.Operation && b.Reason == r.Reason }
		if i := slices.IndexFunc(x.base.Reasons, same); i >= 0 {
			n -= x.base.Reasons[i].Count
		}
		points = append(points, x.point(n, operation(r.Operation), attribute.String("error.type", r.Reason)))
	}
	return points
}

// latency is the time from when requests were due to their answers.
func (x *Export) latency() metricdata.Metrics {
	var bounds []float64
	for _, b := range Bounds() {
		bounds = append(bounds, b.Seconds())
	}
	var points []metricdata.HistogramDataPoint[float64]
	for i := range x.last.Operations {
		o, before := &x.last.Operations[i], x.before(i)
		p := metricdata.HistogramDataPoint[float64]{
			Attributes: attribute.NewSet(operation(o.Name)), StartTime: x.begun, Time: x.lastAt,
			Bounds: bounds, BucketCounts: make([]uint64, len(bounds)+1), Sum: (o.Response.Sum - before.Response.Sum).Seconds(),
		}
		for b, n := range o.Response.Counts {
			if b < len(before.Response.Counts) {
				n -= before.Response.Counts[b]
			}
			p.BucketCounts[b] = uint64(n)
			p.Count += uint64(n)
		}
		points = append(points, p)
	}
	return metricdata.Metrics{
		Name: "prism.loadtest.response.duration", Unit: "s", Description: "Time from when a request was due to its answer.",
		Data: metricdata.Histogram[float64]{DataPoints: points, Temporality: metricdata.CumulativeTemporality},
	}
}
