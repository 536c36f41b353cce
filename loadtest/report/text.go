package report

import (
	"bufio"
	"cmp"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"time"
)

// barWidth is the longest bar of the latency picture.
const barWidth = 40

// WriteText writes the report for people: plain ASCII, columns of one width,
// the verdict last because that is where the eye ends up.
func (r *Report) WriteText(w io.Writer) error {
	b := bufio.NewWriter(w)
	r.writeHead(b)
	r.writeCounts(b)
	r.writeLatency(b)
	r.writeOperations(b)
	r.writeStreams(b)
	r.writeBars(b)
	r.writeChart(b)
	r.writeEvents(b)
	r.writeErrors(b)
	r.writeThresholds(b)
	r.writeFoot(b)
	if err := b.Flush(); err != nil {
		return fmt.Errorf("write report: %w", err)
	}
	return nil
}

func row(w io.Writer, name, format string, args ...any) {
	fmt.Fprintf(w, "%-12s %s\n", name, fmt.Sprintf(format, args...))
}

func (r *Report) writeHead(w io.Writer) {
	row(w, "load test", "%s: %s for %s", clean(r.Workload, 40), r.Plan.Load(), seconds(r.Plan.DurationS))
	options := make([]string, 0, len(r.Options)+1)
	for _, k := range slices.Sorted(maps.Keys(r.Options)) {
		options = append(options, clean(k+"="+r.Options[k], 80))
	}
	row(w, "with", "%s", strings.Join(append(options, fmt.Sprintf("seed=%d", r.Plan.Seed)), "  "))
	started := r.StartedAt.UTC().Format(time.RFC3339)
	if r.Aborted {
		started += fmt.Sprintf(", ABORTED after %s (%s)", seconds(r.DurationS), clean(r.AbortReason, 80))
	}
	row(w, "started", "%s", started)
	row(w, "warm-up", "%s", r.warmUpText())
	fmt.Fprintln(w)
}

// Load is the kind of load in words.
func (p Plan) Load() string {
	if p.Model == Closed {
		return fmt.Sprintf("closed loop, %s", plural(uint64(p.Workers), "worker"))
	}
	return "open loop, " + clean(p.Profile, 200)
}

func (r *Report) warmUpText() string {
	u := r.WarmUp
	text := "none"
	if r.Plan.WarmUpS > 0 {
		text = fmt.Sprintf("%s, %s ok, %s failed: in no figure below", seconds(u.DurationS), count(u.OK), count(u.Failed))
		if u.Dropped > 0 {
			text = fmt.Sprintf("%s, %s ok, %s failed, %s dropped: in no figure below", seconds(u.DurationS), count(u.OK), count(u.Failed), count(u.Dropped))
		}
	}
	if u.PreparedS >= 0.005 {
		text += fmt.Sprintf("; store filled in %s", seconds(u.PreparedS))
	}
	return text
}

func (r *Report) writeCounts(w io.Writer) {
	q := r.Requests
	text := fmt.Sprintf("%s scheduled, %s started, %s ok, %s failed (%s)", count(q.Scheduled), count(q.Started), count(q.OK), count(q.Failed), percent(q.ErrorPct))
	if q.Unfinished > 0 {
		text += fmt.Sprintf(", %s unfinished", count(q.Unfinished))
	}
	row(w, "requests", "%s", text)
	if r.Plan.Model == Open {
		row(w, "rate", "%s/s achieved of %s/s (%s), %s/s answered", decimal(r.AchievedRPS, 1), decimal(r.TargetRPS, 1), percent(r.AchievedPct), decimal(r.ThroughputRPS, 1))
		row(w, "starts", "%s late by more than 10 ms, %s waited for a slot, %s dropped", count(q.Late), count(q.Waited), count(q.Dropped))
	} else {
		row(w, "rate", "%s/s answered", decimal(r.ThroughputRPS, 1))
	}
	if a := r.Attempts; a != nil {
		row(w, "attempts", "%s: %s, %s, %s coalesced", count(a.Attempts), plural(a.Retries, "retry"), plural(a.Hedges, "hedge"), count(a.Coalesced))
	}
	row(w, "data", "%s sent, %s received", bytesOf(q.SentBytes), bytesOf(q.ReceivedBytes))
	fmt.Fprintln(w)
}

func (r *Report) writeLatency(w io.Writer) {
	fmt.Fprintf(w, "%-14s", "latency, ms")
	for _, h := range []string{"p50", "p75", "p90", "p95", "p99", "p99.9", "p99.99", "max", "mean", "stdev"} {
		fmt.Fprintf(w, "%8s", h)
	}
	fmt.Fprintln(w)
	line := func(name string, l Latency) {
		fmt.Fprintf(w, "%-14s", name)
		for _, v := range []float64{l.P50Ms, l.P75Ms, l.P90Ms, l.P95Ms, l.P99Ms, l.P999Ms, l.P9999Ms, l.MaxMs, l.MeanMs, l.StdevMs} {
			fmt.Fprintf(w, "%8s", orDash(l, v))
		}
		fmt.Fprintln(w)
	}
	if r.Plan.Model == Open {
		line("response", r.Response)
	}
	line("service", r.Service)
	if r.Plan.Model == Open {
		line("generator lag", r.Generator.Lag)
		fmt.Fprintln(w, "response: from the time a request was due; service: from the time it was sent")
	}
	fmt.Fprintln(w)
}

func orDash(l Latency, v float64) string {
	if l.Count == 0 {
		return "-"
	}
	return ms(v)
}

func (r *Report) writeOperations(w io.Writer) {
	width := len("operation")
	for _, o := range r.Operations {
		width = max(width, len(o.Name))
	}
	fmt.Fprintf(w, "%-*s %11s %7s %10s %8s %8s %8s %8s %8s %8s\n", width, "operation", "ok", "share", "per second", "failed", "missed", "p50 ms", "p95 ms", "p99 ms", "max ms")
	for _, o := range r.Operations {
		l := o.Response
		fmt.Fprintf(w, "%-*s %11s %7s %10s %8s %8s %8s %8s %8s %8s\n", width, clean(o.Name, 80), count(o.OK), percent(o.SharePct), decimal(o.ThroughputRPS, 1),
			count(o.Failed), count(o.Missed), orDash(l, l.P50Ms), orDash(l, l.P95Ms), orDash(l, l.P99Ms), orDash(l, l.MaxMs))
	}
	fmt.Fprintln(w)
}

// writeBars draws the distribution over 1-2-5 steps, from the first step that
// holds anything to the last.
func (r *Report) writeBars(w io.Writer) {
	l := r.Response
	h := l.Histogram()
	if h == nil || h.Count() == 0 {
		return
	}
	var bounds []time.Duration
	for step := time.Microsecond; step <= time.Hour; step *= 10 {
		bounds = append(bounds, step, 2*step, 5*step)
	}
	counts := h.between(bounds)
	first := slices.IndexFunc(counts, func(n int64) bool { return n > 0 })
	last := len(counts) - 1
	for counts[last] == 0 {
		last--
	}
	most := slices.Max(counts)
	fmt.Fprintln(w, "response time")
	for i := first; i <= last; i++ {
		label := "over " + ms(Millis(bounds[len(bounds)-1]))
		if i < len(bounds) {
			label = "to " + shortMs(bounds[i])
		}
		share := float64(counts[i]) / float64(h.Count()) * 100
		bar := strings.Repeat("#", int((counts[i]*barWidth+most-1)/most))
		line := fmt.Sprintf("%13s ms %11s %8s  %s", label, count(uint64(counts[i])), percent(share), bar)
		fmt.Fprintln(w, strings.TrimRight(line, " "))
	}
	fmt.Fprintln(w)
}

// shortMs shows a round bound without noughts: 0.02, 1, 500.
func shortMs(d time.Duration) string {
	return strings.TrimSuffix(strings.TrimRight(decimal(Millis(d), 3), "0"), ".")
}

func (r *Report) writeErrors(w io.Writer) {
	if len(r.Errors) == 0 {
		return
	}
	fmt.Fprintf(w, "%10s  %-10s %-22s %-12s %s\n", "errors", "operation", "reason", "code", "message")
	for _, e := range r.Errors {
		line := fmt.Sprintf("%10s  %-10s %-22s %-12s %s", count(e.Count), clean(e.Operation, 40), clean(e.Reason, 60), cmp.Or(clean(e.Code, 20), "-"), CleanMessage(e.Message))
		if e.TraceID != "" {
			line += "  trace " + clean(e.TraceID, 64)
		}
		fmt.Fprintln(w, line)
	}
	fmt.Fprintln(w)
}

func (r *Report) writeThresholds(w io.Writer) {
	if len(r.Thresholds) == 0 {
		return
	}
	width := len("threshold")
	for _, t := range r.Thresholds {
		width = max(width, len(t.Expression))
	}
	fmt.Fprintf(w, "%-*s  result  measured\n", width, "threshold")
	for _, t := range r.Thresholds {
		fmt.Fprintf(w, "%-*s  %-6s  %s\n", width, clean(t.Expression, 200), passWord(t.Pass), clean(t.Actual, 80))
	}
	fmt.Fprintln(w)
}

func passWord(pass bool) string {
	if pass {
		return "pass"
	}
	return "FAIL"
}

func (r *Report) writeFoot(w io.Writer) {
	g, e := r.Generator, r.Environment
	row(w, "generator", "%s us CPU a request, %s of %d cores; %s of %s ms in all; at most %d in flight",
		decimal(g.CPUPerRequestUs, 1), percent(g.CPUPct), e.Cores, plural(uint64(g.GCPauses), "GC pause"), ms(g.GCPauseMs), g.PeakInFlight)
	where := []string{e.OS + "/" + e.Arch, plural(uint64(e.Cores), "core"), e.Go}
	for _, s := range []string{e.CPU, e.Version, e.Commit} {
		if s != "" {
			where = append(where, clean(s, 80))
		}
	}
	for _, k := range slices.Sorted(maps.Keys(e.Extra)) {
		where = append(where, clean(k+"="+e.Extra[k], 80))
	}
	row(w, "environment", "%s", strings.Join(where, ", "))
	if r.Command != "" {
		row(w, "again", "%s", clean(r.Command, 1000))
	}
	fmt.Fprintln(w)
	for _, v := range r.Verdicts {
		row(w, clean(string(v.Severity), 12), "%s", clean(v.Text, 1000))
	}
	row(w, "verdict", "%s", r.word())
}

func (r *Report) word() string {
	switch r.ExitCode() {
	case ExitOK:
		return "passed"
	case ExitThreshold:
		return "FAILED: a threshold was not kept"
	case ExitInterrupted:
		return "interrupted"
	}
	return "FAILED"
}
