package pace

import (
	"fmt"
	"math"
	"strings"
	"time"

	"github.com/prism-data-layer/prism/pkg/prism"
)

// Profiles are the shapes of a load that have a name.
func Profiles() []string { return []string{"constant", "ramp", "step", "spike", "burst", "soak"} }

// Defaults of a [Profile].
const (
	DefaultSteps = 5
	peakFactor   = 10
	burstShare   = 6 // of each period a sixth is the burst
	burstPeriods = 5
)

// A Profile names the shape of a load: what stands between a number and a list
// of phases.
type Profile struct {
	Kind  string        // one of [Profiles]; "" is constant
	Rate  float64       // the rate; that at the end of a ramp and of steps
	Start float64       // where a ramp begins, and steps begin above; beside bursts
	Peak  float64       // of a spike or burst; 0: ten times Rate, or Rate for a burst
	Steps int           // default 5
	Hold  time.Duration // of a ramp: at Rate, after it; of a spike or burst: how long it lasts
	Every time.Duration // from one burst to the next
	For   time.Duration // all of it
}

// Phases draws the shape:
//
//	constant, soak  Rate
//	ramp            from Start to Rate in a straight line, then Hold at Rate
//	step            Steps equal steps up to Rate
//	spike           Rate, in the middle Peak for Hold (a tenth), Rate
//	burst           Peak for Hold, then Start, again every Every
func (p Profile) Phases() ([]Phase, error) {
	if p.For <= 0 {
		return nil, prism.InvalidField("duration", "must be more than 0")
	}
	if p.Hold < 0 || p.Hold > p.For || p.Every < 0 || p.Steps < 0 {
		return nil, prism.InvalidField("profile", "its parts must fit into the duration")
	}
	switch p.Kind {
	case "", "constant", "soak":
		return []Phase{{From: p.Rate, To: p.Rate, For: p.For}}, nil
	case "ramp":
		all := []Phase{{From: p.Start, To: p.Rate, For: p.For - p.Hold}}
		if p.Hold > 0 {
			all = append(all, Phase{From: p.Rate, To: p.Rate, For: p.Hold})
		}
		return all, nil
	case "step":
		return p.steps(), nil
	case "spike":
		return p.spike(), nil
	case "burst":
		return p.bursts()
	}
	return nil, prism.InvalidField("profile", fmt.Sprintf("%q must be one of %s", p.Kind, strings.Join(Profiles(), ", ")))
}

func (p Profile) steps() []Phase {
	n := p.Steps
	if n == 0 {
		n = DefaultSteps
	}
	var all []Phase
	for i := range n {
		rate := p.Start + (p.Rate-p.Start)*float64(i+1)/float64(n)
		from, to := p.For*time.Duration(i)/time.Duration(n), p.For*time.Duration(i+1)/time.Duration(n)
		all = append(all, Phase{From: rate, To: rate, For: to - from})
	}
	return all
}

func (p Profile) spike() []Phase {
	hold, peak := p.Hold, p.Peak
	if hold == 0 {
		hold = p.For / 10
	}
	if peak == 0 {
		peak = peakFactor * p.Rate
	}
	before := (p.For - hold) / 2
	after := p.For - hold - before
	all := []Phase{{From: p.Rate, To: p.Rate, For: before}, {From: peak, To: peak, For: hold}, {From: p.Rate, To: p.Rate, For: after}}
	if before == 0 {
		return all[1:2]
	}
	return all
}

func (p Profile) bursts() ([]Phase, error) {
	every, hold, peak := p.Every, p.Hold, p.Peak
	if every == 0 {
		every = p.For / burstPeriods
	}
	if hold == 0 {
		hold = every / burstShare
	}
	if peak == 0 {
		peak = p.Rate
	}
	if every <= hold {
		return nil, prism.InvalidField("profile", "a burst must be shorter than the time from one to the next")
	}
	if n := math.Ceil(float64(p.For) / float64(every)); n > maxBursts {
		return nil, prism.InvalidField("profile", fmt.Sprintf("has more than %d bursts", maxBursts))
	}
	var all []Phase
	for at := time.Duration(0); at < p.For; at += every {
		all = append(all, Phase{From: peak, To: peak, For: min(hold, p.For-at)})
		if rest := min(every, p.For-at) - hold; rest > 0 {
			all = append(all, Phase{From: p.Start, To: p.Start, For: rest})
		}
	}
	return all, nil
}

// maxBursts bounds what a schedule looks through for each request.
const maxBursts = 500

// Schedule is the shape as a schedule.
func (p Profile) Schedule() (Schedule, error) {
	phases, err := p.Phases()
	if err != nil {
		return Schedule{}, err
	}
	s, err := New(phases...)
	if err == nil && p.Kind != "" && p.Kind != "constant" {
		s.name = p.Kind
	}
	return s, err
}

// Named calls a schedule's shape by a name in the report.
func (s Schedule) Named(name string) Schedule {
	s.name = name
	return s
}

// Name is the shape's name; "" where it has none.
func (s Schedule) Name() string { return s.name }
