package loadtest

import (
	"maps"
	"runtime"
	"time"

	"github.com/prism-data-layer/prism/loadtest/report"
)

// report puts the figures together. The collector has finished.
func (r *runner) report() *report.Report {
	total := r.collector.total
	operations := r.workload.Operations()
	out := &report.Report{
		APIVersion:  report.APIVersion,
		Kind:        report.Kind,
		Workload:    r.workload.Name(),
		Options:     r.workload.Options(),
		Plan:        r.asked(),
		Command:     r.plan.Command,
		RunID:       r.plan.RunID,
		StartedAt:   r.start.UTC(),
		Aborted:     r.abortReason != "",
		AbortReason: r.abortReason,
		DurationS:   max(0, r.end-r.plan.WarmUp).Seconds(),
		ElapsedS:    r.now().Seconds(),
		WarmUp: report.WarmUp{
			DurationS: min(r.plan.WarmUp, r.end).Seconds(), PreparedS: r.prepared.Seconds(),
			OK: r.warmOK.Load(), Failed: r.warmFailed.Load(), Dropped: r.warmDropped,
		},
		Errors:   r.failures.list(),
		Timeline: r.collector.points,
		Blocks:   r.collector.blocks.list(),
		Streams:  r.streams.report(),
		Events:   r.events.done,
	}
	if out.Timeline == nil {
		out.Timeline = []report.Point{}
	}
	if r.counter != nil {
		if a, ok := r.counter.Attempts(); ok {
			a = a.Since(r.collector.attempts)
			out.Attempts = &a
		}
	}
	response, service := report.NewHistogram(), report.NewHistogram()
	q := &out.Requests
	for i := range total.ops {
		t := &total.ops[i]
		response.Merge(t.response)
		service.Merge(t.service)
		q.OK += t.ok
		q.Failed += t.failed
		q.Missed += t.missed
		q.SentBytes += t.sent
		q.ReceivedBytes += t.received
	}
	out.Response, out.Service = report.NewLatency(response), report.NewLatency(service)
	r.count(out, total)
	r.rates(out, total)
	for i, name := range operations {
		out.Operations = append(out.Operations, operation(name, &total.ops[i], out, r.end-r.plan.WarmUp))
	}
	r.health(out, total)
	out.Environment = report.Here()
	out.Environment.Extra = maps.Clone(r.plan.Environment)
	out.Thresholds = out.Check(r.plan.Thresholds)
	out.Verdicts = out.Judge()
	if out.Verdicts == nil {
		out.Verdicts = []report.Verdict{}
	}
	return out
}

func (r *runner) asked() report.Plan {
	p := report.Plan{
		Model:          report.Open,
		DurationS:      r.length().Seconds(),
		WarmUpS:        r.plan.WarmUp.Seconds(),
		GraceS:         r.plan.Grace.Seconds(),
		TimeoutMs:      report.Millis(max(0, r.plan.Timeout)),
		MaxInFlight:    r.plan.MaxInFlight,
		MaxRequests:    r.plan.MaxRequests,
		MaxErrors:      r.plan.MaxErrors,
		Seed:           r.plan.Seed,
		Precise:        r.plan.Precise,
		AllowShortfall: r.plan.AllowShortfall,
	}
	if r.plan.Closed > 0 {
		p.Model, p.Workers = report.Closed, r.plan.Closed
		return p
	}
	p.Profile, p.RateRPS, p.MaxBacklog = r.plan.Schedule.String(), r.plan.Schedule.Peak(), r.plan.MaxBacklog
	return p
}

// count makes the numbers of requests add up.
func (r *runner) count(out *report.Report, total *sheet) {
	q := &out.Requests
	q.Unfinished = total.unfinished + uint64(r.stuck)
	q.Late, q.Waited = total.late, total.waited
	q.Started = q.OK + q.Failed + q.Unfinished
	q.Scheduled = q.Started
	if r.plan.Closed == 0 {
		q.Scheduled = max(r.scheduled, q.Started)
	}
	q.Dropped = q.Scheduled - q.Started
	q.ErrorPct = share(q.Failed, q.OK+q.Failed)
}

func (r *runner) rates(out *report.Report, total *sheet) {
	q := out.Requests
	var inTime uint64
	for i := range total.ops {
		inTime += total.ops[i].inTime
	}
	out.ThroughputRPS = perSecond(inTime, r.end-r.plan.WarmUp)
	out.AchievedRPS = perSecond(q.Started, max(r.end, total.lastSent)-r.plan.WarmUp)
	out.AchievedPct = 100
	if r.plan.Closed == 0 {
		out.TargetRPS = perSecond(q.Scheduled, r.end-r.plan.WarmUp)
		if out.TargetRPS > 0 {
			out.AchievedPct = out.AchievedRPS / out.TargetRPS * 100
		}
	}
}

func operation(name string, t *tally, out *report.Report, d time.Duration) report.Operation {
	o := report.Operation{
		Name:          name,
		SharePct:      share(t.ok+t.failed, out.Requests.Finished()),
		OK:            t.ok,
		Failed:        t.failed,
		Missed:        t.missed,
		ErrorPct:      share(t.failed, t.ok+t.failed),
		ThroughputRPS: perSecond(t.inTime, d),
		Items:         items(t),
		SentBytes:     t.sent,
		ReceivedBytes: t.received,
		Response:      report.NewLatency(t.response),
		Service:       report.NewLatency(t.service),
	}
	if t.failedService != nil {
		l := report.NewLatency(t.failedService)
		o.FailedService = &l
	}
	return o
}

// items says nothing where each request carries one.
func items(t *tally) uint64 {
	if t.items == t.ok {
		return 0
	}
	return t.items
}

func (r *runner) health(out *report.Report, total *sheet) {
	g := &out.Generator
	cpu := r.after.cpu - r.before.cpu
	g.CPUS = cpu.Seconds()
	if out.ElapsedS > 0 {
		g.CPUPct = cpu.Seconds() / out.ElapsedS / float64(runtime.NumCPU()) * 100
	}
	all := out.Requests.Finished() + out.WarmUp.OK + out.WarmUp.Failed
	if all > 0 {
		g.CPUPerRequestUs = float64(cpu.Microseconds()) / float64(all)
	}
	g.GCPauses = r.after.gcPauses - r.before.gcPauses
	g.GCPauseMs = report.Millis(r.after.gcPaused - r.before.gcPaused)
	peak := int(r.peakBusy.Load())
	g.PeakInFlight, g.PeakBacklog = min(peak, r.plan.MaxInFlight), max(0, peak-r.plan.MaxInFlight)
	g.OpenFiles = openFiles()
	g.Stuck = r.stuck
	if r.plan.Closed == 0 {
		g.Lag = report.NewLatency(total.lag)
	}
}

func perSecond(n uint64, d time.Duration) float64 {
	if d <= 0 {
		return 0
	}
	return float64(n) / d.Seconds()
}

func share(part, whole uint64) float64 {
	if whole == 0 {
		return 0
	}
	return float64(part) / float64(whole) * 100
}
