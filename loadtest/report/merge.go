package report

import (
	"cmp"
	"maps"
	"slices"
	"strings"

	"github.com/prism-data-layer/prism/pkg/prism"
)

// Merge makes one report of generators that loaded the same thing together.
// Counts and rates are added and histograms merged exactly: percentiles are
// those of all requests, not means of percentiles. Thresholds and verdicts are
// judged anew.
func Merge(all ...*Report) (*Report, error) {
	if len(all) < 2 {
		return nil, prism.New(prism.ReasonInvalidArgument, "merging takes two reports or more")
	}
	first := all[0]
	out := *first
	out.RunID, out.Command = joined(all, func(r *Report) string { return r.RunID }), joined(all, func(r *Report) string { return r.Command })
	out.Options = maps.Clone(first.Options)
	out.Requests, out.WarmUp, out.Attempts = Requests{}, WarmUp{}, nil
	out.TargetRPS, out.AchievedRPS, out.ThroughputRPS, out.Plan.RateRPS = 0, 0, 0, 0
	out.Plan.Workers, out.Plan.MaxInFlight, out.Plan.MaxBacklog = 0, 0, 0
	out.Operations, out.Streams, out.Errors, out.Blocks, out.Events = nil, nil, nil, nil, nil
	out.Generator = Generator{}
	response, service, lag := NewHistogram(), NewHistogram(), NewHistogram()
	for _, r := range all {
		if r.Workload != first.Workload || r.Plan.Model != first.Plan.Model {
			return nil, prism.New(prism.ReasonInvalidArgument, "only runs of one workload merge: there are %s (%s loop) and %s (%s loop)",
				clean(first.Workload, 40), first.Plan.Model, clean(r.Workload, 40), r.Plan.Model)
		}
		out.mergeCounts(r)
		for _, x := range []struct {
			to   *Histogram
			from Latency
		}{{response, r.Response}, {service, r.Service}, {lag, r.Generator.Lag}} {
			if x.from.Count > 0 && x.from.Histogram() == nil {
				return nil, prism.New(prism.ReasonInvalidArgument, "a report without histograms cannot be merged")
			}
			x.to.Merge(x.from.Histogram())
		}
		out.mergeOperations(r)
		out.mergeErrors(r)
		out.Events = append(out.Events, r.Events...)
	}
	out.Response, out.Service, out.Generator.Lag = NewLatency(response), NewLatency(service), NewLatency(lag)
	out.Requests.ErrorPct = share(out.Requests.Failed, out.Requests.Finished())
	if out.AchievedPct = 100; out.TargetRPS > 0 {
		out.AchievedPct = out.AchievedRPS / out.TargetRPS * 100
	}
	for i := range out.Operations {
		o := &out.Operations[i]
		o.SharePct, o.ErrorPct = share(o.OK+o.Failed, out.Requests.Finished()), share(o.Failed, o.OK+o.Failed)
	}
	out.Timeline = mergeTimelines(all)
	ts, err := first.thresholds()
	if err != nil {
		return nil, err
	}
	out.Thresholds = out.Check(ts)
	if out.Verdicts = out.Judge(); out.Verdicts == nil {
		out.Verdicts = []Verdict{}
	}
	return &out, nil
}

func joined(all []*Report, of func(*Report) string) string {
	var words []string
	for _, r := range all {
		if s := of(r); s != "" && !slices.Contains(words, s) {
			words = append(words, s)
		}
	}
	return strings.Join(words, " + ")
}

// thresholds are those the run was checked against.
func (r *Report) thresholds() ([]Threshold, error) {
	var all []Threshold
	for _, c := range r.Thresholds {
		t, err := ParseThreshold(c.Expression)
		if err != nil {
			return nil, err
		}
		all = append(all, t)
	}
	return all, nil
}

func (r *Report) mergeCounts(from *Report) {
	q, f := &r.Requests, from.Requests
	q.Scheduled, q.Started, q.OK, q.Failed = q.Scheduled+f.Scheduled, q.Started+f.Started, q.OK+f.OK, q.Failed+f.Failed
	q.Missed, q.Dropped, q.Late, q.Waited, q.Unfinished = q.Missed+f.Missed, q.Dropped+f.Dropped, q.Late+f.Late, q.Waited+f.Waited, q.Unfinished+f.Unfinished
	q.SentBytes, q.ReceivedBytes = q.SentBytes+f.SentBytes, q.ReceivedBytes+f.ReceivedBytes
	u, w := &r.WarmUp, from.WarmUp
	u.OK, u.Failed, u.Dropped = u.OK+w.OK, u.Failed+w.Failed, u.Dropped+w.Dropped
	u.DurationS, u.PreparedS = max(u.DurationS, w.DurationS), max(u.PreparedS, w.PreparedS)
	r.TargetRPS, r.AchievedRPS, r.ThroughputRPS = r.TargetRPS+from.TargetRPS, r.AchievedRPS+from.AchievedRPS, r.ThroughputRPS+from.ThroughputRPS
	r.DurationS, r.ElapsedS = max(r.DurationS, from.DurationS), max(r.ElapsedS, from.ElapsedS)
	r.Plan.RateRPS, r.Plan.Workers = r.Plan.RateRPS+from.Plan.RateRPS, r.Plan.Workers+from.Plan.Workers
	r.Plan.MaxInFlight, r.Plan.MaxBacklog = r.Plan.MaxInFlight+from.Plan.MaxInFlight, r.Plan.MaxBacklog+from.Plan.MaxBacklog
	if r.StartedAt.After(from.StartedAt) {
		r.StartedAt = from.StartedAt
	}
	if from.Aborted {
		r.Aborted, r.AbortReason = true, cmp.Or(r.AbortReason, from.AbortReason)
	}
	if a := from.Attempts; a != nil {
		if r.Attempts == nil {
			r.Attempts = &Attempts{}
		}
		*r.Attempts = Attempts{r.Attempts.Attempts + a.Attempts, r.Attempts.Retries + a.Retries, r.Attempts.Hedges + a.Hedges, r.Attempts.Coalesced + a.Coalesced}
	}
	g, h := &r.Generator, from.Generator
	before := g.CPUS
	g.CPUS, g.GCPauses, g.GCPauseMs = g.CPUS+h.CPUS, g.GCPauses+h.GCPauses, g.GCPauseMs+h.GCPauseMs
	g.CPUPct = max(g.CPUPct, h.CPUPct)
	g.PeakInFlight, g.PeakBacklog, g.OpenFiles, g.Stuck = g.PeakInFlight+h.PeakInFlight, g.PeakBacklog+h.PeakBacklog, g.OpenFiles+h.OpenFiles, g.Stuck+h.Stuck
	if done := r.Requests.Finished(); done > 0 {
		g.CPUPerRequestUs = (g.CPUPerRequestUs*before + h.CPUPerRequestUs*h.CPUS) / max(g.CPUS, 1e-9)
	}
}

func (r *Report) mergeOperations(from *Report) {
	for _, o := range from.Operations {
		i := slices.IndexFunc(r.Operations, func(x Operation) bool { return x.Name == o.Name })
		if i < 0 {
			o.Response, o.Service = joinLatency(o.Response), joinLatency(o.Service)
			r.Operations = append(r.Operations, o)
			continue
		}
		x := &r.Operations[i]
		x.OK, x.Failed, x.Missed, x.Items = x.OK+o.OK, x.Failed+o.Failed, x.Missed+o.Missed, x.Items+o.Items
		x.SentBytes, x.ReceivedBytes, x.ThroughputRPS = x.SentBytes+o.SentBytes, x.ReceivedBytes+o.ReceivedBytes, x.ThroughputRPS+o.ThroughputRPS
		x.Response, x.Service = joinLatency(x.Response, o.Response), joinLatency(x.Service, o.Service)
		if o.FailedService != nil {
			l := *o.FailedService
			if x.FailedService != nil {
				l = joinLatency(*x.FailedService, l)
			}
			x.FailedService = &l
		}
	}
	for _, s := range from.Streams {
		i := slices.IndexFunc(r.Streams, func(x Stream) bool { return x.Name == s.Name })
		if i < 0 {
			r.Streams = append(r.Streams, s)
			continue
		}
		x := &r.Streams[i]
		x.Messages, x.Failed, x.Bytes, x.ThroughputRPS = x.Messages+s.Messages, x.Failed+s.Failed, x.Bytes+s.Bytes, x.ThroughputRPS+s.ThroughputRPS
		x.FirstMs = min(x.FirstMs, s.FirstMs)
		x.Delay, x.Response = joinLatency(x.Delay, s.Delay), joinLatency(x.Response, s.Response)
		if x.Expected != nil && s.Expected != nil {
			sum := *x.Expected + *s.Expected
			x.Expected = &sum
		}
	}
}

func joinLatency(all ...Latency) Latency {
	h := NewHistogram()
	for _, l := range all {
		h.Merge(l.Histogram())
	}
	return NewLatency(h)
}

func (r *Report) mergeErrors(from *Report) {
	for _, e := range from.Errors {
		i := slices.IndexFunc(r.Errors, func(x Error) bool {
			return x.Operation == e.Operation && x.Reason == e.Reason && x.Message == e.Message
		})
		if i < 0 {
			r.Errors = append(r.Errors, e)
			continue
		}
		r.Errors[i].Count += e.Count
		r.Errors[i].TraceID = cmp.Or(r.Errors[i].TraceID, e.TraceID)
	}
	slices.SortStableFunc(r.Errors, func(a, b Error) int { return cmp.Compare(b.Count, a.Count) })
	if r.Errors == nil {
		r.Errors = []Error{}
	}
}

// mergeTimelines puts intervals over each other that end within half an
// interval. Their percentiles are the worst of them: what all requests of an
// interval saw is not known.
func mergeTimelines(all []*Report) []Point {
	points := slices.Clone(all[0].Timeline)
	for _, r := range all[1:] {
		for i, p := range r.Timeline {
			if i >= len(points) {
				points = append(points, p)
				continue
			}
			x := &points[i]
			x.OK, x.Failed = x.OK+p.OK, x.Failed+p.Failed
			x.ThroughputRPS, x.TargetRPS = x.ThroughputRPS+p.ThroughputRPS, x.TargetRPS+p.TargetRPS
			x.P50Ms, x.P95Ms, x.P99Ms, x.MaxMs = max(x.P50Ms, p.P50Ms), max(x.P95Ms, p.P95Ms), max(x.P99Ms, p.P99Ms), max(x.MaxMs, p.MaxMs)
		}
	}
	if points == nil {
		points = []Point{}
	}
	return points
}

func share(part, whole uint64) float64 {
	if whole == 0 {
		return 0
	}
	return float64(part) / float64(whole) * 100
}
