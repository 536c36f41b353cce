// Package pace decides when the requests of a load test are due: a pure
// function from a request's number to its intended start, and a way to sleep
// until then. Package loadtest calls it; nothing here knows what a request is.
package pace

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/prism-data-layer/prism/pkg/prism"
)

// MaxRate is the highest rate a phase may have, in requests per second. One
// generator cannot offer more; asking for it is a slip of the finger.
const MaxRate = 10_000_000

// A Phase is a stretch of time over which the rate goes in a straight line from
// From to To, in requests per second. A constant rate has From == To; a step is
// two constant phases; a spike is three.
type Phase struct {
	From, To float64
	For      time.Duration
}

// A Schedule says when each arrival is due. It is a value without state: the
// same arrival is due at the same offset however often it is asked.
type Schedule struct {
	phases []phase
	length time.Duration
	total  uint64
	name   string
}

type phase struct {
	Phase
	start  time.Duration
	before float64 // arrivals due before the phase
	count  float64 // arrivals due in it
}

// Constant is one phase of an even rate.
func Constant(rate float64, d time.Duration) (Schedule, error) {
	return New(Phase{From: rate, To: rate, For: d})
}

// New joins phases end to end. It refuses rates that are negative, not finite
// or above [MaxRate], and phases that last no time.
func New(phases ...Phase) (Schedule, error) {
	var s Schedule
	if len(phases) == 0 {
		return s, prism.InvalidField("phases", "must not be empty")
	}
	var sum float64
	for i, p := range phases {
		field := fmt.Sprintf("phases[%d]", i)
		for _, rate := range []float64{p.From, p.To} {
			if math.IsNaN(rate) || rate < 0 || rate > MaxRate {
				return Schedule{}, prism.InvalidField(field+".rate", fmt.Sprintf("must be from 0 to %d per second", MaxRate))
			}
		}
		if p.For <= 0 {
			return Schedule{}, prism.InvalidField(field+".duration", "must be more than 0")
		}
		ph := phase{Phase: p, start: s.length, before: sum, count: (p.From + p.To) / 2 * p.For.Seconds()}
		s.phases = append(s.phases, ph)
		s.length += p.For
		sum += ph.count
	}
	// An arrival is due at the start of its interval: the first one at 0, none
	// at the very end. The small term keeps 0.1 s * 30/s from being 2.9999….
	s.total = uint64(math.Ceil(sum - 1e-6))
	if s.total == 0 {
		return Schedule{}, prism.InvalidField("rate", "is too low for even one request in that time")
	}
	return s, nil
}

// At is when arrival n (from 0) is due, as an offset from the start of the run;
// false when the schedule has no arrival n. Offsets never decrease.
func (s Schedule) At(n uint64) (time.Duration, bool) {
	if n >= s.total {
		return 0, false
	}
	x := float64(n)
	// The last phase that begins at or before arrival n: phases of a rate of 0
	// begin with the same count as the one behind them.
	i, _ := slices.BinarySearchFunc(s.phases, x, func(p phase, x float64) int {
		if p.before <= x {
			return -1
		}
		return 1
	})
	p := s.phases[i-1]
	// Arrivals up to time t of a phase are From·t + slope·t²/2. This form of
	// the root holds for every slope, 0 included, and loses no digits near it.
	m := x - p.before
	if m <= 0 {
		return p.start, true
	}
	slope := (p.To - p.From) / p.For.Seconds()
	root := math.Sqrt(math.Max(0, p.From*p.From+2*slope*m))
	offset := time.Duration(2 * m / (p.From + root) * float64(time.Second))
	return p.start + min(offset, p.For), true
}

// Rate is the intended rate at offset t, in requests per second; 0 outside.
func (s Schedule) Rate(t time.Duration) float64 {
	for _, p := range s.phases {
		if t >= p.start && t < p.start+p.For {
			return p.From + (p.To-p.From)*float64(t-p.start)/float64(p.For)
		}
	}
	return 0
}

// Peak is the highest rate of the schedule, in requests per second.
func (s Schedule) Peak() float64 {
	var peak float64
	for _, p := range s.phases {
		peak = max(peak, p.From, p.To)
	}
	return peak
}

// Total is how many arrivals the schedule has.
func (s Schedule) Total() uint64 { return s.total }

// Length is how long the schedule lasts.
func (s Schedule) Length() time.Duration { return s.length }

// Lead puts d at the first phase's starting rate before the schedule, which is
// what a warm-up is.
func (s Schedule) Lead(d time.Duration) (Schedule, error) {
	if d == 0 {
		return s, nil
	}
	all := []Phase{{From: s.phases[0].From, To: s.phases[0].From, For: d}}
	if all[0].From == 0 {
		// A ramp from nothing warms up at the rate it is going to.
		all[0].From, all[0].To = s.phases[0].To, s.phases[0].To
	}
	for _, p := range s.phases {
		all = append(all, p.Phase)
	}
	return New(all...)
}

// shownPhases of a long list are enough to recognise it.
const shownPhases = 6

// String names the profile: "constant 5000/s", or its phases.
func (s Schedule) String() string {
	if len(s.phases) == 1 && s.phases[0].From == s.phases[0].To {
		name := "constant"
		if s.name != "" {
			name = s.name
		}
		return fmt.Sprintf("%s %g/s", name, s.phases[0].From)
	}
	parts := make([]string, min(len(s.phases), shownPhases))
	for i, p := range s.phases[:len(parts)] {
		if p.From == p.To {
			parts[i] = fmt.Sprintf("%g/s for %s", p.From, p.For)
		} else {
			parts[i] = fmt.Sprintf("%g/s to %g/s in %s", p.From, p.To, p.For)
		}
	}
	text := strings.Join(parts, ", ")
	if more := len(s.phases) - len(parts); more > 0 {
		text += fmt.Sprintf(", and %d more", more)
	}
	if s.name != "" {
		return s.name + ": " + text
	}
	return text
}
