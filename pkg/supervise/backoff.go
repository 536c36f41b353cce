package supervise

import "time"

// restarts counts the starts of one service and gives the verdict.
type restarts struct {
	Policy
	jitter func() float64 // in [0, 1)
	inARow int            // starts in a row of which none stayed up for Steady
}

// started notes a start.
func (r *restarts) started() { r.inARow++ }

// forget begins anew: somebody asked for the start.
func (r *restarts) forget() { r.inARow = 0 }

// crashed notes the end of a run that lived for so long: how long to wait for
// the next start, or that there shall be none.
func (r *restarts) crashed(lived time.Duration) (wait time.Duration, loop bool) {
	if lived >= r.Steady {
		r.inARow = 1
	}
	if r.inARow >= r.MaxStarts {
		return 0, true
	}
	wait = r.Min
	for i := 1; i < r.inARow && wait < r.Max; i++ {
		wait *= 2
	}
	wait = min(wait, r.Max)
	// Only ever shorter: ten starts then always fit into the first minute, and
	// the verdict comes at the tenth.
	return wait - time.Duration(r.jitter()*0.2*float64(wait)), false
}
