package report

import (
	"fmt"
	"html"
	"math"
	"strconv"
	"strings"
)

// A plot draws into one SVG. Everything that is a stranger's goes through text.
// Colours are classes: the page's style knows light and dark.
type plot struct {
	b             strings.Builder
	width, height float64
	x0, x1        float64 // of the data
	y0, y1        float64
	log           bool // the y axis
}

// margins around the drawing.
const (
	plotLeft   = 62
	plotRight  = 14
	plotTop    = 30
	plotBottom = 34
)

func newPlot(title string, width, height, x0, x1, y0, y1 float64, log bool) *plot {
	if x1 <= x0 {
		x1 = x0 + 1
	}
	if y1 <= y0 {
		y1 = y0 + 1
	}
	p := &plot{width: width, height: height, x0: x0, x1: x1, y0: y0, y1: y1, log: log}
	fmt.Fprintf(&p.b, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %g %g" role="img"><title>%s</title>`, width, height, html.EscapeString(title))
	p.text(plotLeft, 16, "start", "h", title)
	return p
}

func (p *plot) x(v float64) float64 {
	return plotLeft + (v-p.x0)/(p.x1-p.x0)*(p.width-plotLeft-plotRight)
}

func (p *plot) y(v float64) float64 {
	share := (v - p.y0) / (p.y1 - p.y0)
	if p.log {
		share = math.Log(max(v, p.y0)/p.y0) / math.Log(p.y1/p.y0)
	}
	return p.height - plotBottom - share*(p.height-plotTop-plotBottom)
}

func (p *plot) text(x, y float64, anchor, class, s string) {
	fmt.Fprintf(&p.b, `<text x="%.1f" y="%.1f" text-anchor="%s" class="%s">%s</text>`, x, y, anchor, class, html.EscapeString(clean(s, 80)))
}

// A tick is a place on an axis.
type tick struct {
	at    float64
	label string
}

func (p *plot) axes(xs, ys []tick, unit string) {
	for _, t := range ys {
		y := p.y(t.at)
		fmt.Fprintf(&p.b, `<path class="grid" d="M%d %.1fH%.1f"/>`, plotLeft, y, p.width-plotRight)
		p.text(plotLeft-6, y+4, "end", "tick", t.label)
	}
	for _, t := range xs {
		x := p.x(t.at)
		fmt.Fprintf(&p.b, `<path class="axis" d="M%.1f %.1fv4"/>`, x, p.height-plotBottom)
		p.text(x, p.height-plotBottom+17, "middle", "tick", t.label)
	}
	fmt.Fprintf(&p.b, `<path class="axis" d="M%d %.1fH%.1f"/>`, plotLeft, p.height-plotBottom, p.width-plotRight)
	p.text(p.width-plotRight, p.height-3, "end", "tick", unit)
}

// line joins points; NaN breaks it. A single point is a dot.
func (p *plot) line(class string, xs, ys []float64) {
	var d strings.Builder
	var dots []int
	open, alone := false, -1
	for i := range xs {
		if math.IsNaN(ys[i]) || p.log && ys[i] <= 0 {
			if alone >= 0 {
				dots = append(dots, alone)
			}
			open, alone = false, -1
			continue
		}
		c := "L"
		if !open {
			c, alone = "M", i
		} else {
			alone = -1
		}
		open = true
		fmt.Fprintf(&d, "%s%.1f %.1f", c, p.x(xs[i]), p.y(ys[i]))
	}
	if alone >= 0 {
		dots = append(dots, alone)
	}
	if d.Len() > 0 {
		fmt.Fprintf(&p.b, `<path class="line %s" d="%s"/>`, class, d.String())
	}
	for _, i := range dots {
		fmt.Fprintf(&p.b, `<circle class="dot %s" cx="%.1f" cy="%.1f" r="3"/>`, class, p.x(xs[i]), p.y(ys[i]))
	}
}

// box is from x0 to x1 and from the axis up to y.
func (p *plot) box(class string, x0, x1, y float64) {
	left, right := p.x(max(x0, p.x0)), p.x(min(x1, p.x1))
	top, bottom := p.y(y), p.height-plotBottom
	fmt.Fprintf(&p.b, `<rect class="%s" x="%.1f" y="%.1f" width="%.1f" height="%.1f"/>`, class, left, top, max(right-left, 1), max(bottom-top, 0))
}

// band marks what went on between x0 and x1.
func (p *plot) band(x0, x1 float64, name string) {
	if x0 > p.x1 {
		return
	}
	p.box("band", x0, x1, p.y1)
	p.text(p.x(max(x0, p.x0))+3, plotTop+11, "start", "tick", name)
}

// legend names the lines, at the right of the title.
func (p *plot) legend(names ...[2]string) {
	x := p.width - plotRight
	for i := len(names) - 1; i >= 0; i-- {
		class, name := names[i][0], names[i][1]
		p.text(x, 16, "end", "tick", name)
		x -= 7*float64(len(name)) + 6
		fmt.Fprintf(&p.b, `<path class="line %s" d="M%.1f 12h-18"/>`, class, x)
		x -= 30
	}
}

func (p *plot) end() string { return p.b.String() + "</svg>" }

// linearTicks are some five round steps from 0 to most.
func linearTicks(most float64) []tick {
	if most <= 0 {
		return []tick{{0, "0"}}
	}
	step := math.Pow(10, math.Floor(math.Log10(most/5)))
	for _, m := range []float64{1, 2, 5, 10} {
		if most/(step*m) <= 6 {
			step *= m
			break
		}
	}
	var all []tick
	for i := 0; float64(i)*step <= most*1.0001; i++ {
		all = append(all, tick{float64(i) * step, short(float64(i) * step)})
	}
	return all
}

// logTicks are the decades, and 2 and 5 between them where there are few.
func logTicks(low, high float64) []tick {
	steps := []float64{1}
	if high/low < 2000 {
		steps = []float64{1, 2, 5}
	}
	var all []tick
	for decade := math.Pow(10, math.Floor(math.Log10(low))); decade <= high; decade *= 10 {
		for _, s := range steps {
			if v := decade * s; v >= low*0.999 && v <= high*1.001 {
				all = append(all, tick{v, short(v)})
			}
		}
	}
	return all
}

// short is a round number with few digits: 0.2, 15, 2k, 1.5M.
func short(v float64) string {
	unit := ""
	switch {
	case v >= 1e6:
		v, unit = v/1e6, "M"
	case v >= 1e4:
		v, unit = v/1e3, "k"
	}
	return strconv.FormatFloat(math.Round(v*1e6)/1e6, 'f', -1, 64) + unit
}
