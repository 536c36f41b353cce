package report

import "fmt"

// A Severity says what a verdict does to the run.
type Severity string

// Severities: a note explains a figure, a warning says that figures mean less
// than they seem to, a failure makes the run fail.
const (
	Note Severity = "note"
	Warn Severity = "warn"
	Fail Severity = "fail"
)

// A Verdict is a conclusion drawn from the figures, in words.
type Verdict struct {
	Code     string   `json:"code"` // stable, such as "generator-bottleneck"
	Severity Severity `json:"severity"`
	Text     string   `json:"text"`
}

const (
	// leastAchievedPct of the target must have been offered.
	leastAchievedPct = 95
	// divergence of response from service time from which on it is said.
	divergence = 1.1
	// A Go timer wakes about 1 ms late; more lag than this is want of CPU.
	tolerableLagMs = 2.5
	// From here on the generator's own process leaves the machine too little.
	busyCPUPct = 85
)

// Judge draws the conclusions. It needs all the other figures.
func (r *Report) Judge() []Verdict {
	var all []Verdict
	say := func(code string, s Severity, format string, args ...any) {
		all = append(all, Verdict{code, s, fmt.Sprintf(format, args...)})
	}
	q, g := r.Requests, r.Generator
	if r.Aborted {
		severity := Warn
		if r.AbortReason != Interrupted {
			severity = Fail
		}
		say("aborted", severity, "ended early (%s): the figures are of what ran", r.AbortReason)
	}
	switch {
	case q.Finished() == 0:
		say("nothing-finished", Fail, "no request was answered: there is nothing to measure")
	case q.OK == 0:
		say("nothing-succeeded", Fail, "every request failed: the latencies are those of failures")
	}
	r.judgeRate(say)
	bottleneck := r.Generator.Lag.Count > 0 && (g.Lag.P99Ms > tolerableLagMs && g.Lag.P99Ms > (divergence-1)*r.Response.P99Ms)
	switch {
	case bottleneck:
		say("generator-bottleneck", Warn, "the generator was the bottleneck: one request in 100 was started more than %s ms late although a slot was free (this process used %s of %d cores); lower the rate or give the generator cores of its own",
			ms(g.Lag.P99Ms), percent(g.CPUPct), r.Environment.Cores)
	case g.CPUPct > busyCPUPct:
		say("generator-bottleneck", Warn, "the generator was the bottleneck: its process used %s of %d cores; lower the rate or give it cores of its own", percent(g.CPUPct), r.Environment.Cores)
	}
	r.judgeClocks(say, bottleneck)
	if g.Stuck > 0 {
		say("stuck", Warn, "%s did not return even when cancelled and are counted as unfinished", plural(uint64(g.Stuck), "request"))
	}
	for _, x := range r.Streams {
		if n := x.Missing(); n > 0 {
			say("undelivered", Warn, "%s: %s of %s messages had not come %s after the end", clean(x.Name, 40), count(n), count(uint64(*x.Expected)), seconds(r.Plan.GraceS))
		}
	}
	for _, e := range r.Events {
		if e.Error != "" {
			say("event-failed", Warn, "%s could not be done or undone: %s", clean(e.Name, 80), CleanMessage(e.Error))
		}
	}
	if a := r.Attempts; a != nil && a.Retries+a.Hedges > 0 {
		say("retried", Note, "the client made %s and %s by itself: they are inside these latencies, and the failures before them are not in the error rate",
			plural(a.Retries, "retry"), plural(a.Hedges, "hedge"))
	}
	return all
}

type sayer func(code string, s Severity, format string, args ...any)

func (r *Report) judgeRate(say sayer) {
	if r.Plan.Model == Closed {
		say("closed-loop", Note, "closed loop: a stalled server also stops the requests that would have met the stall, so that the percentiles are better than what callers at a fixed rate see")
		return
	}
	if r.Requests.Scheduled > 0 && r.AchievedPct < leastAchievedPct {
		severity := Fail
		if r.Plan.AllowShortfall {
			severity = Warn
		}
		say("shortfall", severity, "achieved %s of the target: %s/s of %s/s", percent(r.AchievedPct), decimal(r.AchievedRPS, 1), decimal(r.TargetRPS, 1))
	}
	if n := r.Requests.Dropped; n > 0 {
		say("dropped", Warn, "%s never started: all %s slots and the backlog of %s were full; their waits are in no percentile", plural(n, "due request"), count(uint64(r.Plan.MaxInFlight)), count(uint64(r.Plan.MaxBacklog)))
	}
}

// Models of load.
const (
	Open   = "open"
	Closed = "closed"
)

// judgeClocks compares response with service time. Between them lie only the
// wait for a free slot and the generator's own lag, so the cause is known: a
// percentile that more requests lie above than ever waited was not moved by
// waiting.
func (r *Report) judgeClocks(say sayer, bottleneck bool) {
	if r.Plan.Model == Closed {
		return
	}
	waited := 0.0
	if n := r.Requests.Finished(); n > 0 {
		waited = float64(r.Requests.Waited) / float64(n)
	}
	var lag *quantile
	for _, q := range r.quantiles() {
		if q.responseMs <= divergence*q.serviceMs {
			continue
		}
		if waited >= q.above {
			say("saturated", Warn, "client or server saturated: response time diverges from service time at %s (%s ms, %s ms from the send); %s waited for one of %s slots",
				q.name, ms(q.responseMs), ms(q.serviceMs), plural(r.Requests.Waited, "request"), count(uint64(r.Plan.MaxInFlight)))
			return
		}
		if lag == nil {
			lag = &q
		}
	}
	// A bottleneck was said already, with its cause.
	if lag != nil && !bottleneck {
		advice := ": timers wake up to 1 ms late; the precise mode spends CPU to avoid it"
		if r.Plan.Precise {
			advice = ""
		}
		say("timer-lag", Note, "response time is above service time at %s (%s ms, %s ms from the send) by the generator's own lag (p99 %s ms)%s",
			lag.name, ms(lag.responseMs), ms(lag.serviceMs), ms(r.Generator.Lag.P99Ms), advice)
	}
}

type quantile struct {
	name                  string
	above                 float64 // share of the requests above it
	responseMs, serviceMs float64
}

func (r *Report) quantiles() []quantile {
	return []quantile{
		{"p99", 0.01, r.Response.P99Ms, r.Service.P99Ms},
		{"p95", 0.05, r.Response.P95Ms, r.Service.P95Ms},
		{"p50", 0.50, r.Response.P50Ms, r.Service.P50Ms},
	}
}
