package report

import (
	"bufio"
	"fmt"
	"html"
	"io"
	"maps"
	"slices"
	"strings"
	"time"
)

// WriteMarkdown writes the report for a pull request or a wiki.
func (r *Report) WriteMarkdown(w io.Writer) error {
	b := bufio.NewWriter(w)
	fmt.Fprintf(b, "# Load test: %s, %s\n\n", md(r.Workload), r.word())
	fmt.Fprintf(b, "%s for %s, started %s", md(r.Plan.Load()), seconds(r.Plan.DurationS), r.StartedAt.UTC().Format(time.RFC3339))
	if r.Aborted {
		fmt.Fprintf(b, ", **aborted** after %s (%s)", seconds(r.DurationS), md(r.AbortReason))
	}
	fmt.Fprintf(b, ". Warm-up: %s.\n\n", md(r.warmUpText()))
	q := r.Requests
	mdTable(b, []string{"", "scheduled", "started", "ok", "failed", "unfinished", "dropped", "late", "waited"},
		[]string{"requests", count(q.Scheduled), count(q.Started), count(q.OK), count(q.Failed) + " (" + percent(q.ErrorPct) + ")", count(q.Unfinished), count(q.Dropped), count(q.Late), count(q.Waited)})
	if r.Plan.Model == Open {
		fmt.Fprintf(b, "Achieved %s/s of %s/s (%s), %s/s answered.\n\n", decimal(r.AchievedRPS, 1), decimal(r.TargetRPS, 1), percent(r.AchievedPct), decimal(r.ThroughputRPS, 1))
	} else {
		fmt.Fprintf(b, "%s/s answered.\n\n", decimal(r.ThroughputRPS, 1))
	}
	r.mdLatency(b)
	r.mdOutcome(b)
	r.mdEnvironment(b)
	if err := b.Flush(); err != nil {
		return fmt.Errorf("write report: %w", err)
	}
	return nil
}

func (r *Report) mdLatency(w io.Writer) {
	row := func(name string, l Latency) []string {
		cells := []string{name}
		for _, v := range []float64{l.P50Ms, l.P75Ms, l.P90Ms, l.P95Ms, l.P99Ms, l.P999Ms, l.P9999Ms, l.MaxMs, l.MeanMs, l.StdevMs} {
			cells = append(cells, orDash(l, v))
		}
		return cells
	}
	rows := [][]string{{"latency, ms", "p50", "p75", "p90", "p95", "p99", "p99.9", "p99.99", "max", "mean", "stdev"}}
	if r.Plan.Model == Open {
		rows = append(rows, row("response, from the time due", r.Response))
	}
	rows = append(rows, row("service, from the send", r.Service))
	if r.Plan.Model == Open {
		rows = append(rows, row("generator lag", r.Generator.Lag))
	}
	for _, o := range r.Operations {
		rows = append(rows, row(md(o.Name), o.Response))
	}
	for _, s := range r.Streams {
		rows = append(rows, row(md(s.Name)+", from the send", s.Delay))
	}
	mdTable(w, rows...)
	rows = [][]string{{"operation", "ok", "share", "per second", "failed", "missed"}}
	for _, o := range r.Operations {
		rows = append(rows, []string{md(o.Name), count(o.OK), percent(o.SharePct), decimal(o.ThroughputRPS, 1), count(o.Failed), count(o.Missed)})
	}
	mdTable(w, rows...)
	if len(r.Streams) > 0 {
		rows = [][]string{{"messages", "came", "missing", "per second", "first after, ms", "failed"}}
		for _, s := range r.Streams {
			rows = append(rows, []string{md(s.Name), count(s.Messages), count(s.Missing()), decimal(s.ThroughputRPS, 1), ms(s.FirstMs), count(s.Failed)})
		}
		mdTable(w, rows...)
	}
}

func (r *Report) mdOutcome(w io.Writer) {
	if len(r.Errors) > 0 {
		rows := [][]string{{"errors", "operation", "reason", "code", "message", "trace"}}
		for _, e := range r.Errors {
			rows = append(rows, []string{count(e.Count), md(e.Operation), md(e.Reason), md(e.Code), md(e.Message), md(e.TraceID)})
		}
		mdTable(w, rows...)
	}
	if len(r.Thresholds) > 0 {
		rows := [][]string{{"threshold", "result", "measured"}}
		for _, t := range r.Thresholds {
			rows = append(rows, []string{md(t.Expression), passWord(t.Pass), md(t.Actual)})
		}
		mdTable(w, rows...)
	}
	for _, e := range r.Events {
		fmt.Fprintf(w, "- fault at %s for %s: %s %s\n", seconds(e.AtS), seconds(e.ForS), md(e.Name), md(e.Error))
	}
	for _, v := range r.Verdicts {
		fmt.Fprintf(w, "- %s: %s\n", v.Severity, md(v.Text))
	}
	fmt.Fprintf(w, "- verdict: **%s**\n\n", r.word())
}

func (r *Report) mdEnvironment(w io.Writer) {
	for _, e := range r.environment() {
		fmt.Fprintf(w, "- %s: %s\n", md(e[0]), md(e[1]))
	}
}

// environment is where and with what it ran, as pairs of name and value.
func (r *Report) environment() [][2]string {
	e, g := r.Environment, r.Generator
	all := [][2]string{{"machine", fmt.Sprintf("%s/%s, %s, %s", e.OS, e.Arch, plural(uint64(e.Cores), "core"), e.CPU)}, {"Go", e.Go}}
	add := func(name, value string) {
		if value != "" {
			all = append(all, [2]string{name, value})
		}
	}
	add("host", e.Host)
	add("version", strings.TrimSpace(e.Version+" "+e.Commit))
	add("run", r.RunID)
	for _, k := range slices.Sorted(maps.Keys(e.Extra)) {
		add(k, e.Extra[k])
	}
	for _, k := range slices.Sorted(maps.Keys(r.Options)) {
		add(k, r.Options[k])
	}
	add("seed", fmt.Sprint(r.Plan.Seed))
	add("generator", fmt.Sprintf("%s us CPU a request, %s of the cores; %s of %s ms in all; at most %d in flight",
		decimal(g.CPUPerRequestUs, 1), percent(g.CPUPct), plural(uint64(g.GCPauses), "GC pause"), ms(g.GCPauseMs), g.PeakInFlight))
	if a := r.Attempts; a != nil {
		add("attempts", fmt.Sprintf("%s: %s, %s, %s coalesced", count(a.Attempts), plural(a.Retries, "retry"), plural(a.Hedges, "hedge"), count(a.Coalesced)))
	}
	add("data", fmt.Sprintf("%s sent, %s received", bytesOf(r.Requests.SentBytes), bytesOf(r.Requests.ReceivedBytes)))
	add("again", r.Command)
	return all
}

func mdTable(w io.Writer, rows ...[]string) {
	for i, cells := range rows {
		fmt.Fprintf(w, "| %s |\n", strings.Join(cells, " | "))
		if i == 0 {
			fmt.Fprintf(w, "|---%s\n", strings.Repeat("|---:", len(cells)-1)+"|")
		}
	}
	fmt.Fprintln(w)
}

// md is a stranger's text that makes no markup.
func md(s string) string {
	s = html.EscapeString(clean(s, 1000))
	return strings.NewReplacer("|", "\\|", "*", "\\*", "_", "\\_", "`", "\\`", "[", "\\[", "]", "\\]").Replace(s)
}
