package guard

import (
	"maps"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prism-data-layer/prism/pkg/driver/around"
	"github.com/prism-data-layer/prism/pkg/prism"
	"github.com/prism-data-layer/prism/pkg/telemetry"
)

// A class is a kind of call that is counted and timed apart: of a model, reading
// or writing.
type class uint8

// classNames are the classes, in the words of metrics. Those of a model stand
// side by side, reads first.
var classNames = [...]string{
	"store",
	"keyvalue_read", "keyvalue_write",
	"cache_read", "cache_write",
	"queue_read", "queue_write",
	"stream_read", "stream_write",
	"pubsub_read", "pubsub_write",
	"timeseries_read", "timeseries_write",
}

const (
	storeCalls      class = 0
	keyValueCalls   class = 1
	cacheCalls      class = 3
	queueCalls      class = 5
	streamCalls     class = 7
	pubSubCalls     class = 9
	timeSeriesCalls class = 11
)

// classOf goes by the first letters of the capability: it is asked for every
// call.
func classOf(c *around.Call) class {
	k := storeCalls
	switch c.Capability[0] {
	case 'k':
		k = keyValueCalls
	case 'c':
		k = cacheCalls
	case 'q':
		k = queueCalls
	case 'p':
		k = pubSubCalls
	case 't':
		k = timeSeriesCalls
	case 's':
		if c.Capability == around.StoreCapability {
			return storeCalls
		}
		k = streamCalls
	}
	if c.Mutates && k != storeCalls {
		k++
	}
	return k
}

// Quantiles are of the last minute or so: what was observed since the oldest of
// a ring of marks.
const (
	markEvery = 10 * time.Second
	marks     = 6
)

// figures are what is counted of a backend.
type figures struct {
	calls      [len(classNames)]*telemetry.Recorder
	refused    atomic.Int64 // by the breaker
	overloaded atomic.Int64 // by the limit
	unanswered atomic.Int64 // calls that ended without a word of the store

	mu     sync.Mutex
	errors map[prism.Reason]int64
	faults int64 // errors that are the store's own, and probes that found it unwell
	last   string
	lastAt time.Time
	ring   []mark
	heard  int64 // calls that were answered, at the last probe
}

type mark struct {
	at      time.Time
	latency telemetry.Latency
}

func (f *figures) start() {
	f.errors = map[prism.Reason]int64{}
	for i := range f.calls {
		f.calls[i] = telemetry.NewRecorder()
	}
}

func (f *figures) failed(e *prism.Error, now time.Time) {
	f.mu.Lock()
	defer f.mu.Unlock()
	reason := e.Reason
	if !reason.Known() {
		reason = prism.ReasonInternal
	}
	f.errors[reason]++
	switch reason {
	case prism.ReasonInternal, prism.ReasonDataLoss, prism.ReasonBackendUnavailable, prism.ReasonUnavailable, prism.ReasonDiskFull:
		f.faults++
		f.last, f.lastAt = string(reason)+": "+e.Message, now
	}
}

// unwell takes note of a probe that found the store so.
func (f *figures) unwell(message string, now time.Time) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.faults++
	f.last, f.lastAt = message, now
}

// answered reports whether the store has answered a call since it was asked the
// last time.
func (f *figures) answered() bool {
	n := -f.unanswered.Load()
	for _, r := range f.calls {
		n += r.Calls()
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	more := n > f.heard
	f.heard = n
	return more
}

// turn sets a mark now and then.
func (f *figures) turn(now time.Time) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if n := len(f.ring); n > 0 && now.Sub(f.ring[n-1].at) < markEvery {
		return
	}
	f.ring = append(f.ring, mark{now, f.all()})
	if len(f.ring) > marks {
		f.ring = append(f.ring[:0], f.ring[1:]...)
	}
}

// all is the latency of all calls for data. What a gateway asks its store about
// itself, as for whoever looks at it, would tell of the onlooker.
func (f *figures) all() telemetry.Latency {
	var sum telemetry.Latency
	for _, r := range f.calls[storeCalls+1:] {
		sum = sum.Plus(r.Latency())
	}
	return sum
}

// recent is the latency of the last minute or so.
func (f *figures) recent() telemetry.Latency {
	all := f.all()
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(f.ring) == 0 {
		return all
	}
	return all.Minus(f.ring[0].latency)
}

// Figures are what is known of a backend's calls since the start.
type Figures struct {
	Breaker    State
	Since      time.Time // of the breaker's state; zero: always
	Opened     int64     // how often the breaker did
	InFlight   int64
	Calls      int64 // for data, as those that P50 and P99 are of
	Refused    int64 // by the breaker
	Overloaded int64 // by the bound on calls at once
	Errors     map[prism.Reason]int64
	// Faults are the errors that are the store's own, and the probes that found
	// it unwell; the last one in words.
	Faults      int64
	LastError   string
	LastErrorAt time.Time
	// P50 and P99 are of the last minute; 0 without calls.
	P50, P99 time.Duration
	Classes  []telemetry.BackendClass // those that were called
}

// Figures reads all.
func (g *Guard) Figures() Figures {
	f := &g.figures
	recent := f.recent()
	x := Figures{
		InFlight: g.inFlight.Load(), Refused: f.refused.Load(), Overloaded: f.overloaded.Load(),
		P50: recent.Quantile(0.5), P99: recent.Quantile(0.99),
	}
	for k, r := range f.calls {
		if n := r.Calls(); n > 0 {
			if class(k) != storeCalls {
				x.Calls += n
			}
			x.Classes = append(x.Classes, telemetry.BackendClass{Class: classNames[k], Calls: n, Latency: r.Latency()})
		}
	}
	f.mu.Lock()
	x.Errors, x.Faults, x.LastError, x.LastErrorAt = maps.Clone(f.errors), f.faults, f.last, f.lastAt
	f.mu.Unlock()
	g.breaker.mu.Lock()
	x.Breaker, x.Since, x.Opened = State(g.breaker.state.Load()), g.breaker.changed, g.breaker.opened
	g.breaker.mu.Unlock()
	return x
}
