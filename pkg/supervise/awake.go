package supervise

import (
	"time"

	"github.com/prism-data-layer/prism/pkg/clock"
)

// An awake counts the time in which we ran. A machine that sleeps and a
// supervisor that is stopped age nobody: what waited for a service could not
// have come meanwhile either.
type awake struct {
	clk   clock.Clock
	last  time.Time
	total time.Duration
}

func newAwake(clk clock.Clock) *awake { return &awake{clk: clk, last: clk.Now()} }

// lap adds what passed since the last one. More than most is a sleep, which
// counts as most.
func (a *awake) lap(most time.Duration) (total time.Duration, slept bool) {
	now := a.clk.Now()
	gap := now.Sub(a.last)
	a.last = now
	a.total += min(gap, most)
	return a.total, gap > most
}

// sleep waits until d has passed awake; false: cancel came first.
func (s *service) sleep(d time.Duration, cancel <-chan struct{}) bool {
	const step = time.Second
	ran := newAwake(s.clk)
	for left := d; left > 0; {
		t := s.clk.NewTimer(min(left, step))
		select {
		case <-t.C:
		case <-cancel:
			t.Stop()
			return false
		}
		total, _ := ran.lap(2 * step)
		left = d - total
	}
	return true
}
