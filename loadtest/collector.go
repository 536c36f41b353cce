package loadtest

import (
	"time"

	"github.com/prism-data-layer/prism/loadtest/report"
)

const (
	// watchEvery is the pace of snapshots.
	watchEvery    = 250 * time.Millisecond
	timelineEvery = time.Second // of a run that is long enough
	// timelinePoints bounds the timeline of a long run.
	timelinePoints = 600
)

// A collector empties the shards now and then: into the totals, the timeline
// and the snapshots. Between begin and finish only its goroutine touches them.
type collector struct {
	r        *runner
	total    *sheet
	all      *report.Histogram // response time of all operations
	recent   *report.Histogram // … since the last look
	interval *report.Histogram // … in the current point of the timeline
	points   []report.Point
	blocks   blocks
	every    time.Duration

	okBefore, failedBefore uint64        // at the start of the current point
	pointStart             time.Duration // offset
	lookedAt               time.Duration
	answersBefore          uint64
	measuring              bool
	attempts               report.Attempts // at the start of the measurement

	stop, done chan struct{}
}

func newCollector(r *runner, operations int) *collector {
	length := r.end - r.plan.WarmUp
	every := interval(length)
	return &collector{
		r: r, every: every, total: newSheet(operations),
		all: report.NewHistogram(), recent: report.NewHistogram(), interval: report.NewHistogram(),
		stop: make(chan struct{}), done: make(chan struct{}),
	}
}

// interval of the timeline: short enough that a short run has a shape too, and
// a whole number of seconds in a long one.
func interval(length time.Duration) time.Duration {
	switch {
	case length <= 2*time.Second:
		return 100 * time.Millisecond
	case length <= 15*time.Second:
		return watchEvery
	case length <= 30*time.Second:
		return 2 * watchEvery
	}
	return timelineEvery * max(1, (length+timelinePoints*timelineEvery-1)/(timelinePoints*timelineEvery))
}

// begin starts looking. The runner's start is set.
func (c *collector) begin() {
	if c.r.plan.WarmUp == 0 {
		c.measure()
	}
	go c.loop()
}

// measure marks the end of the warm-up. Attempts of requests that are on their
// way just now are counted with the measurement.
func (c *collector) measure() {
	c.measuring = true
	c.pointStart = c.r.plan.WarmUp
	if c.r.counter != nil {
		c.attempts, _ = c.r.counter.Attempts()
	}
}

func (c *collector) loop() {
	defer close(c.done)
	tick := min(c.every, timelineEvery)
	if c.r.plan.Progress != nil {
		tick = min(tick, watchEvery)
	}
	for now := c.r.now(); ; now = c.r.now() {
		t := c.r.plan.Clock.NewTimer(c.next(now, tick) - now)
		select {
		case <-t.C:
		case <-c.stop:
			t.Stop()
			return
		}
		now = c.r.now()
		if !c.measuring && now >= c.r.plan.WarmUp {
			c.measure()
		}
		c.look(now)
	}
}

// next is when to look again: at multiples of tick, counted from the start of
// the warm-up and again from the start of the measurement.
func (c *collector) next(now, tick time.Duration) time.Duration {
	if warm := c.r.plan.WarmUp; now < warm {
		return min(now.Truncate(tick)+tick, warm)
	}
	since := now - c.r.plan.WarmUp
	return c.r.plan.WarmUp + since.Truncate(tick) + tick
}

// look empties the shards.
func (c *collector) look(now time.Duration) {
	c.gather()
	ok, failed := c.total.finished()
	// A look that came late must not make the next one too early.
	if c.measuring && now-c.pointStart >= c.every*9/10 {
		c.point(now, ok, failed)
	}
	if c.r.plan.Progress != nil && now-c.lookedAt >= watchEvery-10*time.Millisecond {
		c.r.plan.Progress(c.snapshot(now, ok, failed))
		c.recent.Reset()
	}
}

func (c *collector) gather() {
	for _, s := range c.r.shards {
		sheet := s.take()
		c.total.merge(sheet)
		for i := range sheet.ops {
			if c.r.plan.Progress != nil {
				c.recent.Merge(sheet.ops[i].response)
			}
			c.interval.Merge(sheet.ops[i].response)
			c.all.Merge(sheet.ops[i].response)
		}
	}
}

func (c *collector) point(now time.Duration, ok, failed uint64) {
	length := (now - c.pointStart).Seconds()
	if length <= 0 {
		length = c.every.Seconds() // the last answers came together with the last look
	}
	c.points = append(c.points, report.Point{
		AtS:           (now - c.r.plan.WarmUp).Seconds(),
		TargetRPS:     c.r.schedule.Rate((c.pointStart + now) / 2),
		OK:            ok - c.okBefore,
		Failed:        failed - c.failedBefore,
		ThroughputRPS: float64(ok-c.okBefore) / length,
		P50Ms:         report.Millis(c.interval.At(50)),
		P95Ms:         report.Millis(c.interval.At(95)),
		P99Ms:         report.Millis(c.interval.At(99)),
		MaxMs:         report.Millis(c.interval.Max()),
	})
	c.blocks.add(length, ok-c.okBefore, failed-c.failedBefore, c.interval)
	c.interval.Reset()
	c.pointStart, c.okBefore, c.failedBefore = now, ok, failed
}

func (c *collector) snapshot(now time.Duration, ok, failed uint64) report.Snapshot {
	r := c.r
	busy := int(r.busy.Load())
	s := report.Snapshot{
		Phase:     c.phase(),
		Elapsed:   now,
		Remaining: max(0, r.plan.WarmUp+r.length()-now),
		TargetRPS: r.schedule.Rate(now),
		InFlight:  min(busy, r.plan.MaxInFlight),
		Backlog:   max(0, busy-r.plan.MaxInFlight),
		OK:        ok,
		Failed:    failed,
		Dropped:   r.dropped.Load(),
		Total:     report.Watched(c.all),
		Recent:    report.Watched(c.recent),
		Lag:       report.Watched(c.total.lag),

		Workload: r.workload.Name(),
		Load:     r.asked().Load(),
		WarmUp:   r.plan.WarmUp,
		Length:   r.length(),
		Streams:  r.streams.watched(),
		Errors:   r.failures.top(5),
		Reasons:  r.failures.reasons(),
		Faults:   r.events.now(),
	}
	for i, name := range r.workload.Operations() {
		t := &c.total.ops[i]
		o := report.OperationSnapshot{
			Name: name, OK: t.ok, Failed: t.failed, RPS: perSecond(t.ok, now-r.plan.WarmUp), Total: report.Watched(t.response),
		}
		if len(r.plan.Bounds) > 0 {
			o.Response = t.response.Buckets(r.plan.Bounds)
		}
		s.Operations = append(s.Operations, o)
	}
	answers := ok + failed + r.warmOK.Load() + r.warmFailed.Load()
	if d := (now - c.lookedAt).Seconds(); d > 0 {
		s.RecentRPS = float64(answers-c.answersBefore) / d
	}
	if d := (now - r.plan.WarmUp).Seconds(); d > 0 {
		s.ThroughputRPS = float64(ok) / d
	}
	c.lookedAt, c.answersBefore = now, answers
	return s
}

func (c *collector) phase() report.Phase {
	switch {
	case c.r.draining.Load():
		return report.Draining
	case c.measuring:
		return report.Running
	}
	return report.Warming
}

// finish takes what is left; the totals are complete then.
func (c *collector) finish() {
	close(c.stop)
	<-c.done
	now := c.r.now()
	c.gather()
	ok, failed := c.total.finished()
	if c.measuring && ok+failed > c.okBefore+c.failedBefore {
		c.point(now, ok, failed)
	}
	if c.r.plan.Progress != nil {
		s := c.snapshot(now, ok, failed)
		s.Phase = report.Done
		c.r.plan.Progress(s)
	}
}
