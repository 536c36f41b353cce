package report

import (
	"encoding/csv"
	"fmt"
	"io"
	"strconv"
	"strings"
)

// WriteCSV writes one table: the total, each operation, each stream of messages
// and each interval of the timeline are a row, told apart by the column kind.
func (r *Report) WriteCSV(w io.Writer) error {
	c := csv.NewWriter(w)
	head := []string{"kind", "name", "at_s", "target_rps", "throughput_rps", "ok", "failed", "missed", "error_pct", "sent_bytes", "received_bytes"}
	for _, of := range []string{"response", "service"} {
		for _, q := range []string{"count", "min_ms", "mean_ms", "stdev_ms", "p50_ms", "p75_ms", "p90_ms", "p95_ms", "p99_ms", "p99_9_ms", "p99_99_ms", "max_ms"} {
			head = append(head, of+"_"+q)
		}
	}
	_ = c.Write(head) // errors stay in the writer until Flush
	line := func(cells ...string) {
		_ = c.Write(append(cells, make([]string, len(head)-len(cells))...))
	}
	q := r.Requests
	total := []string{"total", cell(r.Workload), "", exact(r.TargetRPS), exact(r.ThroughputRPS), whole(q.OK), whole(q.Failed), whole(q.Missed), exact(q.ErrorPct), whole(q.SentBytes), whole(q.ReceivedBytes)}
	line(append(total, append(r.Response.cells(), r.Service.cells()...)...)...)
	for _, o := range r.Operations {
		cells := []string{"operation", cell(o.Name), "", "", exact(o.ThroughputRPS), whole(o.OK), whole(o.Failed), whole(o.Missed), exact(o.ErrorPct), whole(o.SentBytes), whole(o.ReceivedBytes)}
		line(append(cells, append(o.Response.cells(), o.Service.cells()...)...)...)
	}
	for _, s := range r.Streams {
		cells := []string{"stream", cell(s.Name), "", "", exact(s.ThroughputRPS), whole(s.Messages), whole(s.Failed), whole(s.Missing()), "", "", whole(s.Bytes)}
		line(append(cells, append(s.Response.cells(), s.Delay.cells()...)...)...)
	}
	for _, p := range r.Timeline {
		cells := []string{"interval", "", exact(p.AtS), exact(p.TargetRPS), exact(p.ThroughputRPS), whole(p.OK), whole(p.Failed), "", "", "", ""}
		line(append(cells, whole(p.OK+p.Failed), "", "", "", exact(p.P50Ms), "", "", exact(p.P95Ms), exact(p.P99Ms), "", "", exact(p.MaxMs))...)
	}
	c.Flush()
	if err := c.Error(); err != nil {
		return fmt.Errorf("write report: %w", err)
	}
	return nil
}

func (l Latency) cells() []string {
	all := []string{strconv.FormatInt(l.Count, 10)}
	for _, v := range []float64{l.MinMs, l.MeanMs, l.StdevMs, l.P50Ms, l.P75Ms, l.P90Ms, l.P95Ms, l.P99Ms, l.P999Ms, l.P9999Ms, l.MaxMs} {
		if l.Count == 0 {
			all = append(all, "")
			continue
		}
		all = append(all, exact(v))
	}
	return all
}

// cell is a stranger's text that no spreadsheet takes for a formula.
func cell(s string) string {
	s = clean(s, 200)
	if s != "" && strings.ContainsRune("=+-@", rune(s[0])) {
		return "'" + s
	}
	return s
}

func exact(v float64) string { return strconv.FormatFloat(v, 'f', -1, 64) }
func whole(n uint64) string  { return strconv.FormatUint(n, 10) }
