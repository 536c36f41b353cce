package report

import (
	"bufio"
	"fmt"
	"io"
	"strings"
	"time"
)

// WriteHDR writes an HdrHistogram log (version 1.3) that its tools plot and
// merge: response times by interval, and behind them, tagged, the whole run's
// service times and those of each operation. Values are nanoseconds, the column
// of maxima is in milliseconds.
func (r *Report) WriteHDR(w io.Writer) error {
	b := bufio.NewWriter(w)
	epoch := float64(r.StartedAt.UnixMilli())/1000 + r.WarmUp.DurationS
	fmt.Fprintf(b, "#[Prism load test %s]\n#[Histogram log format version 1.3]\n#[StartTime: %.3f (seconds since epoch), %s]\n#[MaxValueDivisor: 1000000.0]\n",
		clean(r.Workload, 80), epoch, r.StartedAt.UTC().Format(time.RFC3339))
	fmt.Fprintln(b, `"StartTimestamp","Interval_Length","Interval_Max","Interval_Compressed_Histogram"`)
	at := 0.0
	for _, x := range r.Blocks {
		if x.HDR != "" {
			fmt.Fprintf(b, "%.3f,%.3f,%.3f,%s\n", at, x.LengthS, Millis(x.histogram().Max()), x.HDR)
		}
		at += x.LengthS
	}
	tagged := func(tag string, l Latency) {
		if l.HDR != "" {
			fmt.Fprintf(b, "Tag=%s,0.000,%.3f,%.3f,%s\n", hdrTag(tag), r.DurationS, l.MaxMs, l.HDR)
		}
	}
	tagged("response", r.Response)
	tagged("service", r.Service)
	for _, o := range r.Operations {
		tagged("response."+o.Name, o.Response)
		tagged("service."+o.Name, o.Service)
	}
	for _, s := range r.Streams {
		tagged("delay."+s.Name, s.Delay)
	}
	if err := b.Flush(); err != nil {
		return fmt.Errorf("write report: %w", err)
	}
	return nil
}

// hdrTag has no comma and no space.
func hdrTag(s string) string {
	return strings.Map(func(r rune) rune {
		if r == ',' || r == ' ' || r == '"' {
			return '_'
		}
		return r
	}, clean(s, 80))
}
