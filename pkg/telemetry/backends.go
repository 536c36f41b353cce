package telemetry

import (
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/prism-data-layer/prism/pkg/prism"
)

// A Recorder counts and times calls of one kind, for those who keep figures of
// their own.
type Recorder struct{ recorder }

// NewRecorder returns an empty one.
func NewRecorder() *Recorder { return &Recorder{newRecorder()} }

// Observe records a call that took so long.
func (r *Recorder) Observe(d time.Duration) {
	s := r.shard()
	s.codes[slotCalls].Add(1)
	s.observe(d)
}

// Count records a call that was not timed.
func (r *Recorder) Count() { r.shard().codes[slotCalls].Add(1) }

// slotCalls is where a Recorder's shards count calls, in the place of a code.
const slotCalls = 0

// Calls is how many were recorded.
func (r *Recorder) Calls() (n int64) {
	for i := range r.shards {
		n += r.shards[i].codes[slotCalls].Load()
	}
	return n
}

// Latency reads what was timed.
func (r *Recorder) Latency() Latency {
	l, _ := r.read()
	return l
}

// Plus is both together.
func (l Latency) Plus(o Latency) Latency { return l.combine(o, 1) }

// Minus is what was recorded after o, an earlier reading.
func (l Latency) Minus(o Latency) Latency { return l.combine(o, -1) }

func (l Latency) combine(o Latency, sign int64) Latency {
	if len(l.Counts) == 0 {
		return o
	}
	l.Counts = slices.Clone(l.Counts)
	for i, n := range o.Counts {
		l.Counts[i] += sign * n
	}
	l.SumUS += sign * o.SumUS
	return l
}

// BackendStats are the numbers of one backend.
type BackendStats struct {
	Backend  string
	Up       bool // as its last probe found it
	Breaker  int  // 0 closed, 1 half open, 2 open
	Opened   int64
	InFlight int64
	Rejected map[string]int64 // by cause: breaker, limit
	Errors   map[prism.Reason]int64
	Classes  []BackendClass
	Facts    map[string]string // of its last probe; those of its pool are told
	Faults   int               // put on it on purpose, that act
}

// A BackendClass is the calls of one class: how many, and how long those took
// that were timed.
type BackendClass struct {
	Class   string
	Calls   int64
	Latency Latency
}

var (
	backendUpDesc = prometheus.NewDesc("prism_backend_up",
		"Whether the last probe of a backend succeeded.", []string{"backend"}, nil)
	backendBreakerDesc = prometheus.NewDesc("prism_backend_breaker_state",
		"The breaker of a backend: 0 closed, 1 half open, 2 open.", []string{"backend"}, nil)
	backendOpenedDesc = prometheus.NewDesc("prism_backend_breaker_opened_total",
		"How often the breaker of a backend has opened.", []string{"backend"}, nil)
	backendInFlightDesc = prometheus.NewDesc("prism_backend_in_flight",
		"Calls under way on a backend.", []string{"backend"}, nil)
	backendRejectedDesc = prometheus.NewDesc("prism_backend_rejected_total",
		"Calls that did not reach a backend, by cause: breaker or limit.", []string{"backend", "cause"}, nil)
	backendErrorsDesc = prometheus.NewDesc("prism_backend_errors_total",
		"Calls of a backend that ended with an error, by reason.", []string{"backend", "reason"}, nil)
	backendCallsDesc = prometheus.NewDesc("prism_backend_calls_total",
		"Calls of a backend that have ended, by model and whether they write.", []string{"backend", "class"}, nil)
	backendSecondsDesc = prometheus.NewDesc("prism_backend_duration_seconds",
		"How long calls of a backend took, by model and whether they write. Of a store that never waits: a sample.", []string{"backend", "class"}, nil)
	backendFaultsDesc = prometheus.NewDesc("prism_backend_faults",
		"Faults that an operator has put on a backend and that act.", []string{"backend"}, nil)
	backendPoolDesc = prometheus.NewDesc("prism_backend_pool",
		"The pool of connections to a backend, as its last probe told: size, in_use, timeouts.", []string{"backend", "what"}, nil)
)

// Backends asks f at each scrape for the numbers of backends.
func (m *Metrics) Backends(f func() []BackendStats) { m.registry.MustRegister(backendCollector(f)) }

type backendCollector func() []BackendStats

func (backendCollector) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{
		backendUpDesc, backendBreakerDesc, backendOpenedDesc, backendInFlightDesc,
		backendRejectedDesc, backendErrorsDesc, backendCallsDesc, backendSecondsDesc, backendPoolDesc, backendFaultsDesc,
	} {
		ch <- d
	}
}

func (f backendCollector) Collect(ch chan<- prometheus.Metric) {
	for _, b := range f() {
		up := 0.0
		if b.Up {
			up = 1
		}
		ch <- gauge(backendUpDesc, up, b.Backend)
		ch <- gauge(backendBreakerDesc, float64(b.Breaker), b.Backend)
		ch <- gauge(backendFaultsDesc, float64(b.Faults), b.Backend)
		ch <- counter(backendOpenedDesc, b.Opened, b.Backend)
		ch <- gauge(backendInFlightDesc, float64(b.InFlight), b.Backend)
		for cause, n := range b.Rejected {
			ch <- counter(backendRejectedDesc, n, b.Backend, cause)
		}
		for reason, n := range b.Errors {
			ch <- counter(backendErrorsDesc, n, b.Backend, string(reason))
		}
		for _, c := range b.Classes {
			ch <- counter(backendCallsDesc, c.Calls, b.Backend, c.Class)
			ch <- c.Latency.metric(backendSecondsDesc, b.Backend, c.Class)
		}
		for _, fact := range slices.Sorted(maps.Keys(b.Facts)) {
			what, ofPool := strings.CutPrefix(fact, "pool_")
			if v, err := strconv.ParseFloat(b.Facts[fact], 64); ofPool && err == nil {
				ch <- gauge(backendPoolDesc, v, b.Backend, what)
			}
		}
	}
}
