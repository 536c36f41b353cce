package report

import (
	"fmt"
	"html"
	"io"
	"math"
	"time"
)

const (
	plotWidth  = 860
	plotHeight = 270
)

// span is how long the time axis is.
func (r *Report) span() float64 {
	end := r.DurationS
	for _, p := range r.Timeline {
		end = max(end, p.AtS)
	}
	return end
}

func (r *Report) bands(p *plot) {
	for _, e := range r.Events {
		p.band(e.AtS, e.AtS+e.ForS, e.Name)
	}
}

// limits are the powers of ten around latencies, in ms.
func limits(low, high float64) (float64, float64) {
	if !(low > 0) || math.IsInf(low, 0) {
		low = 0.01
	}
	high = max(high, low*2)
	return math.Pow(10, math.Floor(math.Log10(low))), math.Pow(10, math.Ceil(math.Log10(high)+1e-9))
}

// latencyPlot shows how latency went over the run.
func (r *Report) latencyPlot() string {
	var xs, p50, p95, p99, top []float64
	low, high := math.Inf(1), 0.0
	for _, t := range r.Timeline {
		xs = append(xs, t.AtS)
		if t.OK+t.Failed == 0 {
			p50, p95, p99, top = append(p50, math.NaN()), append(p95, math.NaN()), append(p99, math.NaN()), append(top, math.NaN())
			continue
		}
		p50, p95, p99, top = append(p50, t.P50Ms), append(p95, t.P95Ms), append(p99, t.P99Ms), append(top, t.MaxMs)
		low, high = min(low, t.P50Ms), max(high, t.MaxMs)
	}
	low, high = limits(low, high)
	p := newPlot("Response time over the run, ms", plotWidth, plotHeight, 0, r.span(), low, high, true)
	r.bands(p)
	p.axes(linearTicks(r.span()), logTicks(low, high), "seconds")
	p.line("c4", xs, top)
	p.line("c3", xs, p99)
	p.line("c2", xs, p95)
	p.line("c1", xs, p50)
	p.legend([2]string{"c1", "p50"}, [2]string{"c2", "p95"}, [2]string{"c3", "p99"}, [2]string{"c4", "max"})
	return p.end()
}

// ratePlot shows the target beside what was answered, and failures as bars.
func (r *Report) ratePlot() string {
	var xs, target, answered []float64
	most, before := 1.0, 0.0
	for _, t := range r.Timeline {
		xs = append(xs, t.AtS)
		target, answered = append(target, t.TargetRPS), append(answered, t.ThroughputRPS)
		if t.TargetRPS == 0 {
			target[len(target)-1] = math.NaN()
		}
		most = max(most, t.TargetRPS, t.ThroughputRPS)
	}
	p := newPlot("Answers per second", plotWidth, plotHeight, 0, r.span(), 0, most*1.08, false)
	r.bands(p)
	p.axes(linearTicks(r.span()), linearTicks(most*1.08), "seconds")
	for _, t := range r.Timeline {
		if length := t.AtS - before; t.Failed > 0 && length > 0 {
			p.box("bad", before, t.AtS, min(float64(t.Failed)/length, most*1.08))
		}
		before = t.AtS
	}
	p.line("c4", xs, target)
	p.line("c1", xs, answered)
	p.legend([2]string{"c4", "target"}, [2]string{"c1", "succeeded"}, [2]string{"badline", "failed"})
	return p.end()
}

// percentilePlot is the HdrHistogram's: its x axis grows with each nine.
func (r *Report) percentilePlot() string {
	const nines = 5
	low, high := math.Inf(1), 0.0
	curve := func(l Latency) (xs, ys []float64) {
		h := l.Histogram()
		if h == nil || h.Count() == 0 {
			return nil, nil
		}
		last := min(nines, max(math.Log10(float64(h.Count())), 0.5))
		for x := 0.0; x <= last+1e-9; x += 0.02 {
			v := Millis(h.At(100 * (1 - math.Pow(10, -x))))
			xs, ys = append(xs, x), append(ys, v)
			if v > 0 {
				low, high = min(low, v), max(high, v)
			}
		}
		return xs, ys
	}
	responseX, responseY := curve(r.Response)
	serviceX, serviceY := curve(r.Service)
	low, high = limits(low, high)
	p := newPlot("Latency by percentile, ms", plotWidth, plotHeight, 0, nines, low, high, true)
	ticks := []tick{{0, "0%"}, {math.Log10(2), "50%"}, {1, "90%"}, {2, "99%"}, {3, "99.9%"}, {4, "99.99%"}, {5, "99.999%"}}
	p.axes(ticks, logTicks(low, high), "")
	p.line("c2", serviceX, serviceY)
	if r.Plan.Model == Open {
		p.line("c1", responseX, responseY)
		p.legend([2]string{"c1", "response, from the time due"}, [2]string{"c2", "service, from the send"})
	} else {
		p.legend([2]string{"c2", "service"})
	}
	return p.end()
}

// errorPlot shows the kinds of error as bars, with their counts.
func (r *Report) errorPlot() string {
	if len(r.Errors) == 0 {
		return ""
	}
	shown := r.Errors[:min(len(r.Errors), 8)]
	const step = 24
	most := 1.0
	for _, e := range shown {
		most = max(most, float64(e.Count))
	}
	height := plotTop + step*float64(len(shown)) + 8
	p := newPlot("Errors by kind", plotWidth, height, 0, 1, 0, 1, false)
	for i, e := range shown {
		y := plotTop + step*float64(i)
		width := max(float64(e.Count)/most*280, 2)
		fmt.Fprintf(&p.b, `<rect class="bad" x="%d" y="%.1f" width="%.1f" height="14"/>`, plotLeft, y, width)
		p.text(plotLeft-6, y+12, "end", "tick", count(e.Count))
		p.text(plotLeft+width+8, y+12, "start", "tick", clean(e.Operation, 30)+": "+clean(e.Reason, 40)+" "+clean(e.Code, 20))
	}
	return p.end()
}

// plotStyle is what plots look like, in a page and as a file of their own.
const plotStyle = `:root{color-scheme:light dark;--fg:#1b1f24;--dim:#57606a;--bg:#ffffff;--soft:#f4f6f8;--rule:#d0d7de;--c1:#0b62a8;--c2:#1a7f5a;--c3:#b35a00;--c4:#8250a0;--bad:#c0262d;--band:#c0262d22;--good:#1a7f37}
@media (prefers-color-scheme:dark){:root{--fg:#e6edf3;--dim:#9aa5b1;--bg:#0d1117;--soft:#161b22;--rule:#30363d;--c1:#6cb6ff;--c2:#57d9a3;--c3:#f0a35e;--c4:#c9a0f0;--bad:#ff7b72;--band:#ff7b7226;--good:#3fb950}}
svg text{font:12px system-ui,sans-serif;fill:var(--dim)}svg text.h{font-weight:600;font-size:13px;fill:var(--fg)}
svg .grid{stroke:var(--rule);stroke-width:.5;fill:none}svg .axis{stroke:var(--dim);fill:none}
svg .line{fill:none;stroke-width:1.8;stroke-linejoin:round}svg .c1{stroke:var(--c1)}svg .c2{stroke:var(--c2);stroke-dasharray:7 3}svg .c3{stroke:var(--c3);stroke-dasharray:3 2}svg .c4{stroke:var(--c4);stroke-dasharray:1 3}
svg .dot{stroke-width:0}svg .dot.c1{fill:var(--c1)}svg .dot.c2{fill:var(--c2)}svg .dot.c3{fill:var(--c3)}svg .dot.c4{fill:var(--c4)}
svg .bad{fill:var(--bad)}svg .badline{stroke:var(--bad);stroke-width:6}svg .band{fill:var(--band)}`

// WriteSVG writes the run over time as a picture: latency above, rate below.
func (r *Report) WriteSVG(w io.Writer) error {
	const inner = `<svg x="0" y="%d" width="%d" height="%d"`
	nested := func(y int, svg string) string {
		const from = `<svg xmlns="http://www.w3.org/2000/svg"`
		return fmt.Sprintf(inner, y, plotWidth, plotHeight) + svg[len(from):]
	}
	_, err := fmt.Fprintf(w, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" role="img"><title>%s, %s</title><style>%s</style><rect width="100%%" height="100%%" style="fill:var(--bg)"/>%s%s</svg>`+"\n",
		plotWidth, 2*plotHeight, html.EscapeString(clean(r.Workload, 80)), r.StartedAt.UTC().Format(time.RFC3339), plotStyle,
		nested(0, r.latencyPlot()), nested(plotHeight, r.ratePlot()))
	if err != nil {
		return fmt.Errorf("write report: %w", err)
	}
	return nil
}
