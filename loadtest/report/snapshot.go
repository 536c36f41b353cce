package report

import (
	"fmt"
	"io"
	"time"
)

// A Phase is what a run is doing.
type Phase string

// Phases, in their order.
const (
	Preparing Phase = "preparing" // filling the store
	Warming   Phase = "warm-up"
	Running   Phase = "running"
	Draining  Phase = "draining" // nothing new is started; answers are waited for
	Done      Phase = "done"
)

// A Snapshot is a run while it goes on, and its receiver's to keep. Counts and Total percentiles are of the
// measurement so far; those named Recent are of the time since the snapshot
// before. In the warm-up the rates are real and the counts still 0.
type Snapshot struct {
	Phase         Phase
	Elapsed       time.Duration // since the first request
	Remaining     time.Duration // of the plan
	TargetRPS     float64       // now; 0 in a closed loop
	RecentRPS     float64       // answers per second, failures too
	ThroughputRPS float64       // successful answers per second of the measurement so far
	InFlight      int
	Backlog       int
	OK            uint64
	Failed        uint64
	Dropped       uint64

	Total  Percentiles // response time
	Recent Percentiles
	Lag    Percentiles // the generator's own

	Workload   string
	Load       string        // "open loop, constant 5000/s"
	WarmUp     time.Duration // Elapsed begins with it
	Length     time.Duration // of the measurement that was asked for
	Operations []OperationSnapshot
	Streams    []StreamSnapshot
	Errors     []Error  // the most frequent, at most five
	Reasons    []Reason // all failures
	Faults     []string // that act just now
}

// An OperationSnapshot is one kind of call so far.
type OperationSnapshot struct {
	Name       string
	OK, Failed uint64
	RPS        float64 // successful answers per second of the measurement so far
	Total      Percentiles
	Response   Buckets // by the plan's bounds; none without
}

// A Reason is why requests of an operation failed, and how many.
type Reason struct {
	Operation, Reason string
	Count             uint64
}

// A StreamSnapshot is the messages of one stream so far.
type StreamSnapshot struct {
	Name     string
	Messages uint64
	Failed   uint64 // times that receiving failed
	Delay    Percentiles
}

// Percentiles are the four that are watched.
type Percentiles struct{ P50, P95, P99, Max time.Duration }

// Watched reads the percentiles that snapshots show.
func Watched(h *Histogram) Percentiles {
	return Percentiles{h.At(50), h.At(95), h.At(99), h.Max()}
}

// Line is the snapshot as one plain line.
func (s Snapshot) Line() string {
	rate := decimal(s.RecentRPS, 0) + "/s"
	if s.TargetRPS > 0 {
		rate += " of " + decimal(s.TargetRPS, 0) + "/s"
	}
	line := fmt.Sprintf("[%4.0fs] %-8s %s  in flight %d  ok %s  failed %s", s.Elapsed.Seconds(), s.Phase, rate, s.InFlight, count(s.OK), count(s.Failed))
	if s.Backlog > 0 {
		line += fmt.Sprintf("  waiting %d", s.Backlog)
	}
	if s.Dropped > 0 {
		line += "  dropped " + count(s.Dropped)
	}
	if t := s.Total; t.Max > 0 {
		line += fmt.Sprintf("  ms: p50 %s  p95 %s  p99 %s  max %s", ms(Millis(t.P50)), ms(Millis(t.P95)), ms(Millis(t.P99)), ms(Millis(t.Max)))
	}
	return line
}

// Lines gives a progress function that prints a line for each interval: the
// form for logs and pipes. Errors of w are not its business; the report is.
func Lines(w io.Writer, every time.Duration) func(Snapshot) {
	next := every
	var recent float64
	var n int
	return func(s Snapshot) {
		// The line's rate is that of its whole interval.
		if s.Phase == Warming || s.Phase == Running {
			recent += s.RecentRPS
			n++
		}
		if s.Elapsed < next || n == 0 {
			return
		}
		s.RecentRPS = recent / float64(n)
		recent, n = 0, 0
		for next <= s.Elapsed {
			next += every
		}
		fmt.Fprintln(w, s.Line())
	}
}
