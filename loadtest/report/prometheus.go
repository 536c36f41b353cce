package report

import (
	"bufio"
	"fmt"
	"io"
	"strings"
)

// WritePrometheus writes the figures in the text format, for a node exporter's
// textfile folder or a push gateway.
func (r *Report) WritePrometheus(w io.Writer) error {
	b := bufio.NewWriter(w)
	base := label("workload", r.Workload)
	if r.RunID != "" {
		base += "," + label("run", r.RunID)
	}
	metric := func(name, kind, help string) { fmt.Fprintf(b, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, kind) }
	value := func(name, labels string, v float64) {
		if labels != "" {
			labels = "," + labels
		}
		fmt.Fprintf(b, "%s{%s%s} %s\n", name, base, labels, exact(v))
	}
	metric("prism_load_requests", "gauge", "Requests of the load test by operation and outcome.")
	for _, o := range r.Operations {
		op := label("operation", o.Name)
		value("prism_load_requests", op+`,outcome="ok"`, float64(o.OK))
		value("prism_load_requests", op+`,outcome="failed"`, float64(o.Failed))
	}
	metric("prism_load_dropped_requests", "gauge", "Requests that were due and never started.")
	value("prism_load_dropped_requests", "", float64(r.Requests.Dropped))
	metric("prism_load_rate", "gauge", "Requests per second: wanted, started, answered with success.")
	value("prism_load_rate", `of="target"`, r.TargetRPS)
	value("prism_load_rate", `of="achieved"`, r.AchievedRPS)
	value("prism_load_rate", `of="throughput"`, r.ThroughputRPS)
	metric("prism_load_latency_seconds", "summary", "Latency by clock: response from the time due, service from the send.")
	latency := func(labels string, l Latency) {
		if l.Count == 0 {
			return
		}
		for _, q := range []struct {
			name string
			ms   float64
		}{{"0.5", l.P50Ms}, {"0.75", l.P75Ms}, {"0.9", l.P90Ms}, {"0.95", l.P95Ms}, {"0.99", l.P99Ms}, {"0.999", l.P999Ms}, {"0.9999", l.P9999Ms}, {"1", l.MaxMs}} {
			value("prism_load_latency_seconds", labels+`,quantile="`+q.name+`"`, q.ms/1000)
		}
		value("prism_load_latency_seconds_sum", labels, l.MeanMs/1000*float64(l.Count))
		value("prism_load_latency_seconds_count", labels, float64(l.Count))
	}
	for _, o := range r.Operations {
		latency(label("operation", o.Name)+`,clock="response"`, o.Response)
		latency(label("operation", o.Name)+`,clock="service"`, o.Service)
	}
	for _, s := range r.Streams {
		latency(label("operation", s.Name)+`,clock="delivery"`, s.Delay)
	}
	metric("prism_load_passed", "gauge", "1 if the load test passed.")
	passed := 0.0
	if r.Pass() {
		passed = 1
	}
	value("prism_load_passed", "", passed)
	if err := b.Flush(); err != nil {
		return fmt.Errorf("write report: %w", err)
	}
	return nil
}

func label(name, value string) string {
	return name + `="` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(clean(value, 200)) + `"`
}
