package report

import (
	_ "embed"
	"fmt"
	"html/template"
	"io"
	"time"
)

//go:embed report.html.tmpl
var page string

// WriteHTML writes one page that needs nothing else: no script, no other file,
// no network. Its style follows the reader's light or dark.
func (r *Report) WriteHTML(w io.Writer) error {
	t, err := template.New("report").Funcs(template.FuncMap{
		"clean": func(s string) string { return clean(s, 1000) },
		"count": count, "percent": percent, "ms": ms, "seconds": seconds, "dash": orDash,
		"rate":  func(v float64) string { return decimal(v, 1) },
		"bytes": bytesOf,
	}).Parse(page)
	if err != nil {
		return fmt.Errorf("read the page: %w", err)
	}
	// What plots hold was escaped where it was drawn.
	plots := []template.HTML{template.HTML(r.latencyPlot()), template.HTML(r.ratePlot()), template.HTML(r.percentilePlot())}
	if p := r.errorPlot(); p != "" {
		plots = append(plots, template.HTML(p))
	}
	type line struct {
		Name string
		Latency
	}
	lines := []line{{"service, from the send", r.Service}}
	if r.Plan.Model == Open {
		lines = []line{{"response, from the time due", r.Response}, lines[0], {"generator lag", r.Generator.Lag}}
	}
	for _, o := range r.Operations {
		lines = append(lines, line{clean(o.Name, 80), o.Response})
	}
	for _, s := range r.Streams {
		lines = append(lines, line{clean(s.Name, 80) + ", from the send", s.Delay})
	}
	err = t.Execute(w, map[string]any{
		"R": r, "Style": template.CSS(plotStyle), "Plots": plots, "Lines": lines, "Pass": r.Pass(), "Word": r.word(), "Load": r.Plan.Load(),
		"Open": r.Plan.Model == Open, "WarmUp": r.warmUpText(), "Started": r.StartedAt.UTC().Format(time.RFC3339), "Environment": r.environment(),
	})
	if err != nil {
		return fmt.Errorf("write report: %w", err)
	}
	return nil
}
