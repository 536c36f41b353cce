// Package loadtest generates load and says honestly what came of it. Requests
// start by a schedule, whether or not earlier ones were answered (open loop),
// and their latency counts from the time they were due, so that a server that
// stalls cannot hide the requests it kept waiting. The command line and prismd's
// own bench call it; workloads know how to make a request.
package loadtest

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/prism-data-layer/prism/loadtest/pace"
	"github.com/prism-data-layer/prism/loadtest/report"
	"github.com/prism-data-layer/prism/pkg/clock"
	"github.com/prism-data-layer/prism/pkg/prism"
)

// Defaults of a [Plan].
const (
	DefaultMaxInFlight = 1024
	DefaultGrace       = 5 * time.Second
	DefaultTimeout     = 10 * time.Second
	leastBacklog       = 1000
)

// Limits that are not the caller's.
const (
	// lateAfter is when a start counts as late: far beyond a timer's slack.
	lateAfter = 10 * time.Millisecond
	// abortGrace leaves time for a clean end within the half second that a
	// person who pressed Ctrl-C will wait.
	abortGrace = 200 * time.Millisecond
	// stuckAfter is how long a cancelled request may take to return.
	stuckAfter = 200 * time.Millisecond
)

// A Plan says how to load and for how long. Schedule or Closed must be set; the
// rest has defaults.
type Plan struct {
	// Schedule is the open loop's rate over time. A warm-up comes before it.
	Schedule pace.Schedule
	// Closed asks for a closed loop of so many workers instead: each sends its
	// next request when it has its answer, for Duration.
	Closed   int
	Duration time.Duration // of a closed loop

	WarmUp      time.Duration // runs like the test and is in no figure
	MaxInFlight int           // requests at once; more wait. Default 1024
	MaxBacklog  int           // requests that may wait; more are dropped. Default: two seconds' worth, at least 1,000
	Timeout     time.Duration // of one request. Default 10 s; < 0: none
	Grace       time.Duration // for the last answers. Default 5 s
	MaxRequests uint64        // ends the run early; 0: no limit
	MaxErrors   uint64        // ends the run early, as a failure; 0: no limit

	Seed           uint64 // only for the report: workloads get theirs themselves
	Precise        bool   // start to within microseconds, for a good part of a core
	AllowShortfall bool   // achieving less than 95 % of the rate is no failure
	Thresholds     []report.Threshold
	Events         []Event

	RunID       string            // for the report: a word of the run's own
	Command     string            // for the report: what runs this test again
	Environment map[string]string // for the report: versions of what is tested

	// Progress is called at most four times a second, from one goroutine. It
	// must not block for long.
	Progress func(report.Snapshot)
	// Bounds ask for the response times in snapshots, counted by them.
	Bounds []time.Duration
	// Clock is the machine's unless a test says otherwise.
	Clock clock.Clock
}

// An Event is done to what is tested during the run, such as a fault.
type Event struct {
	Name    string
	At, For time.Duration // from the start of the measurement; it lasts to the end at most
	Begin   func(ctx context.Context) error
	End     func(ctx context.Context) error // called once begun, however the run ends; nil: nothing to do
}

// normal gives the plan with its defaults, or what is wrong with it.
func (p Plan) normal(names []string) (Plan, error) {
	if p.Closed < 0 {
		return p, prism.InvalidField("closed", "must not be negative")
	}
	if p.Closed > 0 {
		if p.Schedule.Total() > 0 {
			return p, prism.InvalidField("closed", "cannot be combined with a rate")
		}
		if p.Duration <= 0 {
			return p, prism.InvalidField("duration", "must be more than 0")
		}
		p.MaxInFlight = p.Closed
	} else if p.Schedule.Total() == 0 {
		return p, prism.InvalidField("rate", "must be set, or a closed loop asked for")
	}
	for _, f := range []struct {
		name  string
		wrong bool
	}{
		{"warm_up", p.WarmUp < 0},
		{"max_in_flight", p.MaxInFlight < 0},
		{"max_backlog", p.MaxBacklog < 0},
		{"grace", p.Grace < 0},
	} {
		if f.wrong {
			return p, prism.InvalidField(f.name, "must not be negative")
		}
	}
	if p.MaxInFlight == 0 {
		p.MaxInFlight = DefaultMaxInFlight
	}
	if p.MaxBacklog == 0 {
		p.MaxBacklog = max(leastBacklog, int(2*p.Schedule.Peak()))
	}
	if p.Timeout == 0 {
		p.Timeout = DefaultTimeout
	}
	if p.Grace == 0 {
		p.Grace = DefaultGrace
	}
	if p.Clock == nil {
		p.Clock = clock.Real()
	}
	for i, e := range p.Events {
		if e.At < 0 || e.For <= 0 || e.Begin == nil {
			return p, prism.InvalidField(fmt.Sprintf("events[%d]", i), "must begin at 0 or later, last, and do something")
		}
	}
	return p, checkThresholds(p.Thresholds, names)
}

// checkThresholds refuses a threshold about an operation that is not in the
// test before the test is run, not after.
func checkThresholds(ts []report.Threshold, names []string) error {
	for _, t := range ts {
		if t.Operation != "" && !slices.Contains(names, t.Operation) {
			return prism.InvalidField("threshold", fmt.Sprintf("%s: the test has no operation %q", t, t.Operation))
		}
	}
	return nil
}
