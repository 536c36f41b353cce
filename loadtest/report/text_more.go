package report

import (
	"fmt"
	"io"
	"math"
	"strings"
)

const (
	chartRows  = 8
	chartWidth = 64
)

// writeChart draws p99 and p50 over the run, on a scale of powers.
func (r *Report) writeChart(w io.Writer) {
	n := min(len(r.Timeline), chartWidth)
	if n < 2 {
		return
	}
	p50, p99 := make([]float64, n), make([]float64, n)
	low, high := math.Inf(1), 0.0
	for i := range n {
		for _, p := range r.Timeline[i*len(r.Timeline)/n : (i+1)*len(r.Timeline)/n] {
			p50[i], p99[i] = max(p50[i], p.P50Ms), max(p99[i], p.P99Ms)
		}
		if p50[i] > 0 {
			low = min(low, p50[i])
		}
		high = max(high, p99[i])
	}
	if high <= 0 {
		return
	}
	low = min(low, high/2)
	at := func(v float64) int {
		if v <= 0 {
			return -1
		}
		return int(math.Round(math.Log(max(v, low)/low) / math.Log(high/low) * (chartRows - 1)))
	}
	fmt.Fprintln(w, "response time over the run, ms: * p99, . p50")
	for line := chartRows - 1; line >= 0; line-- {
		cells := []byte(strings.Repeat(" ", n))
		for i := range n {
			if at(p50[i]) == line {
				cells[i] = '.'
			}
			if at(p99[i]) == line {
				cells[i] = '*'
			}
		}
		label := low * math.Pow(high/low, float64(line)/(chartRows-1))
		fmt.Fprintf(w, "%10s |%s\n", ms(label), strings.TrimRight(string(cells), " "))
	}
	fmt.Fprintf(w, "%10s +%s %s\n\n", "", strings.Repeat("-", n), seconds(r.span()))
}

// writeStreams shows what came back apart from the requests.
func (r *Report) writeStreams(w io.Writer) {
	if len(r.Streams) == 0 {
		return
	}
	width := len("messages")
	for _, s := range r.Streams {
		width = max(width, len(s.Name))
	}
	fmt.Fprintf(w, "%-*s %11s %8s %10s %8s %9s %8s %8s %8s %8s\n", width, "messages", "came", "missing", "per second", "failed", "first ms", "p50 ms", "p95 ms", "p99 ms", "max ms")
	for _, s := range r.Streams {
		missing := "-"
		if s.Expected != nil {
			missing = count(s.Missing())
		}
		l := s.Delay
		fmt.Fprintf(w, "%-*s %11s %8s %10s %8s %9s %8s %8s %8s %8s\n", width, clean(s.Name, 80), count(s.Messages), missing, decimal(s.ThroughputRPS, 1), count(s.Failed),
			ms(s.FirstMs), orDash(l, l.P50Ms), orDash(l, l.P95Ms), orDash(l, l.P99Ms), orDash(l, l.MaxMs))
	}
	fmt.Fprint(w, "latency of messages: from the send of the request that made them\n\n")
}

func (r *Report) writeEvents(w io.Writer) {
	for _, e := range r.Events {
		text := fmt.Sprintf("%s, at %s for %s", clean(e.Name, 200), seconds(e.AtS), seconds(e.ForS))
		if e.Error != "" {
			text += ": " + CleanMessage(e.Error)
		}
		row(w, "fault", "%s", text)
	}
	if len(r.Events) > 0 {
		fmt.Fprintln(w)
	}
}
