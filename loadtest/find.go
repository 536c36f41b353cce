package loadtest

import (
	"context"
	"fmt"
	"math"

	"github.com/prism-data-layer/prism/loadtest/report"
	"github.com/prism-data-layer/prism/pkg/prism"
)

// Defaults of a [Search].
const (
	DefaultSearchFrom = 100
	DefaultPrecision  = 5 // per cent
	maxProbes         = 40
)

// A Search looks for the highest rate at which an objective holds.
type Search struct {
	From      float64 // the first rate tried. Default 100/s
	Max       float64 // the highest; 0: [pace.MaxRate]
	Precision float64 // when the two ends are this close, in per cent, it is found. Default 5
	// Probe runs at a rate, and says in its report whether the thresholds hold.
	Probe func(ctx context.Context, rate float64) (*report.Report, error)
	// Tried is told each probe.
	Tried func(Probe)
}

// A Probe is one rate that was tried.
type Probe struct {
	RateRPS       float64 `json:"rate_rps"`
	ThroughputRPS float64 `json:"throughput_rps"`
	P99Ms         float64 `json:"p99_ms"`
	Held          bool    `json:"held"`
	Why           string  `json:"why,omitempty"` // it did not hold
	Generator     bool    `json:"generator,omitempty"`
}

// Found is what a search came to.
type Found struct {
	RateRPS float64 `json:"rate_rps"` // the highest that held; 0: none
	Failed  float64 `json:"failed_rps,omitempty"`
	Probes  []Probe `json:"probes"`
	Verdict string  `json:"verdict"`
	// Generator is true when what failed is the generator: the system under test
	// may bear more.
	Generator bool `json:"generator_limited"`
}

// Run doubles the rate until the objective is missed, halves it as long as it
// is missed from the first, and then halves the distance between the highest
// rate that held and the lowest that did not. A rate is given up only when it
// was missed twice: one pause of a machine must not end the search.
func (s Search) Run(ctx context.Context) (*Found, error) {
	if s.From == 0 {
		s.From = DefaultSearchFrom
	}
	if s.Precision == 0 {
		s.Precision = DefaultPrecision
	}
	if s.Max == 0 {
		s.Max = math.Inf(1)
	}
	if !(s.From > 0) || s.From > s.Max || !(s.Precision >= 0.1 && s.Precision <= 100) {
		return nil, prism.InvalidField("rate", "the search begins above 0, below the highest rate, with a precision from 0.1% to 100%")
	}
	f := &Found{Probes: []Probe{}}
	rate := s.From
	for f.open(s) && len(f.Probes) < maxProbes {
		p, err := s.twice(ctx, f, rate)
		if err != nil {
			return f, err
		}
		if p.Held {
			f.RateRPS = rate
		} else {
			f.Failed, f.Generator = rate, p.Generator
		}
		switch {
		case f.Failed == 0:
			rate = min(2*rate, s.Max)
		case f.RateRPS == 0:
			rate /= 2
		default:
			rate = (f.RateRPS + f.Failed) / 2
		}
		rate = round(rate)
	}
	f.Verdict = f.verdict(s)
	return f, nil
}

// leastRate is where a search from above gives up.
const leastRate = 1

// open reports whether there is anything left to look for.
func (f *Found) open(s Search) bool {
	switch {
	case f.Failed == 0:
		return f.RateRPS < s.Max
	case f.RateRPS == 0:
		return f.Failed > leastRate
	}
	return f.Failed-f.RateRPS > f.RateRPS*s.Precision/100 && f.Failed-f.RateRPS > leastRate
}

// round keeps three digits: nobody wants 3,141.59/s.
func round(rate float64) float64 {
	if rate < 10 {
		return math.Max(math.Round(rate), leastRate)
	}
	unit := math.Pow(10, math.Floor(math.Log10(rate))-2)
	return math.Round(rate/unit) * unit
}

func (s Search) twice(ctx context.Context, f *Found, rate float64) (Probe, error) {
	var p Probe
	for range 2 {
		r, err := s.Probe(ctx, rate)
		if err != nil {
			return p, err
		}
		if r.Aborted && r.AbortReason == report.Interrupted {
			return p, context.Canceled
		}
		p = probed(rate, r)
		f.Probes = append(f.Probes, p)
		if s.Tried != nil {
			s.Tried(p)
		}
		if p.Held {
			break
		}
	}
	return p, nil
}

// probed judges a run.
func probed(rate float64, r *report.Report) Probe {
	p := Probe{RateRPS: rate, ThroughputRPS: r.ThroughputRPS, P99Ms: r.Response.P99Ms, Held: true}
	miss := func(why string) {
		if p.Held {
			p.Held, p.Why = false, why
		}
	}
	for _, t := range r.Thresholds {
		if !t.Pass {
			miss(fmt.Sprintf("%s was %s", t.Expression, t.Actual))
		}
	}
	for _, v := range r.Verdicts {
		if v.Severity == report.Fail {
			miss(v.Text)
		}
		if v.Code == "generator-bottleneck" {
			p.Generator = true
		}
	}
	return p
}

func (f *Found) verdict(s Search) string {
	last := ""
	for _, p := range f.Probes {
		if p.RateRPS == f.Failed && !p.Held {
			last = p.Why
		}
	}
	switch {
	case f.RateRPS == 0:
		return fmt.Sprintf("no rate was found at which it holds, down to %g/s: %s", f.Failed, last)
	case f.Failed == 0 && f.RateRPS >= s.Max:
		return fmt.Sprintf("it holds at %g/s, the highest rate that was allowed", f.RateRPS)
	case f.Failed == 0:
		return fmt.Sprintf("it holds at %g/s, where the search was given up", f.RateRPS)
	}
	text := fmt.Sprintf("it holds at %g/s, and not at %g/s: %s", f.RateRPS, f.Failed, last)
	if f.Generator {
		text += "; but there the generator was the bottleneck: more may be borne than it can offer"
	}
	return text
}
