package telemetry

import (
	"context"
	"encoding/binary"
	"sync/atomic"
	"time"

	"github.com/prism-data-layer/prism/pkg/clock"
	"github.com/prism-data-layer/prism/pkg/prism"
)

// What holds where the settings say nothing, and what bounds an outage: a
// gateway whose every call fails must not be busy with keeping them.
const (
	DefaultSlow   = 250 * time.Millisecond
	DefaultSample = 0.01
	keptPerSecond = 1000
)

// TracerOptions say which calls are kept.
type TracerOptions struct {
	Slow   time.Duration // a unary call that takes longer is kept; 0: DefaultSlow
	Sample float64       // the share that is kept of all others, by trace id
	Clock  clock.Clock
	Export *Export // where they go, beside the memory; nil: nowhere
}

// A Tracer decides, when a call has ended, whether it is kept: all that failed
// and all that were slow can be, because those that were neither have cost two
// looks at the clock.
type Tracer struct {
	slow   time.Duration
	sample uint64 // trace ids below it, as OpenTelemetry samples by ratio
	clock  clock.Clock
	kept   keptTraces
	export *Export

	second atomic.Int64 // that is counted in
	count  atomic.Int64 // kept in it
	lost   atomic.Int64 // not kept because there were too many
}

// NewTracer returns one that has kept nothing yet.
func NewTracer(o TracerOptions) *Tracer {
	t := &Tracer{slow: o.Slow, clock: o.Clock, export: o.Export}
	if t.slow <= 0 {
		t.slow = DefaultSlow
	}
	t.sample = uint64(min(max(o.Sample, 0), 1) * (1 << 63))
	return t
}

// Begin marks the start of a call; requestID and traceparent are what the caller
// sent. A nil Tracer keeps nothing.
func (t *Tracer) Begin(ctx context.Context, start time.Time, requestID, traceparent string) *Call {
	return &Call{Context: ctx, tracer: t, start: start, ids: newIDs(requestID, traceparent)}
}

// A cause is why a call is kept; several may hold.
type cause uint8

const (
	bySampled cause = 1 << iota // the caller records the trace
	byError
	bySlow
	byChance
)

// judge tells why a call is kept; 0: it is not.
func (t *Tracer) judge(id Trace, e *Ending, waited bool) (why cause) {
	if id.Sampled() {
		why |= bySampled
	}
	if Failure(e.Reason) {
		why |= byError
	}
	if e.Took >= t.slow && !e.Stream && !waited {
		why |= bySlow
	}
	if binary.BigEndian.Uint64(id.trace[8:])>>1 < t.sample {
		why |= byChance
	}
	if why != 0 && !t.room() {
		return 0
	}
	return why
}

// Failure reports whether a call with that reason is kept for it. That a thing
// is not there, or has changed, is an answer; that the caller has left is its
// own affair, and that the gateway stops is ours.
func Failure(r prism.Reason) bool {
	switch r {
	case "", prism.ReasonCancelled, prism.ReasonDraining:
		return false
	}
	class := r.Info().Class
	return class != 404 && class != 409
}

// room counts a call to be kept against this second's bound.
func (t *Tracer) room() bool {
	now := t.clock.Now().Unix()
	if last := t.second.Load(); last != now && t.second.CompareAndSwap(last, now) {
		t.count.Store(0)
	}
	if t.count.Add(1) <= keptPerSecond {
		return true
	}
	t.lost.Add(1)
	return false
}

func (t *Tracer) keep(r *record) {
	t.kept.add(r)
	if t.export != nil {
		t.export.trace(r)
	}
}

// Lost is how many calls were to be kept and were not: too many in one second.
func (t *Tracer) Lost() int64 { return t.lost.Load() }
