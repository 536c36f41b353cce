package telemetry

import (
	"maps"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	grpccodes "google.golang.org/grpc/codes"

	"github.com/prism-data-layer/prism/pkg/prism"
)

// Other stands in a label for everything past its bound.
const Other = "_other"

// Bounds of what one gateway's metrics may hold, so that no caller can make
// them grow.
const (
	DefaultMaxNamespaces = 500
	maxErrorSeries       = 4096
)

// Metrics are a gateway's numbers since its start. Prometheus and Snapshot
// read the same counters.
type Metrics struct {
	registry *prometheus.Registry

	mu         sync.Mutex // held to add; readers take the published maps
	methods    atomic.Pointer[map[string]*Method]
	namespaces atomic.Pointer[map[prism.Namespace]*Namespace]
	errors     atomic.Pointer[map[errorLabels]*atomic.Int64]

	other          *Method
	otherNamespace *Namespace
	maxNamespaces  int
}

// NewMetrics makes empty metrics with the process's own beside them.
// maxNamespaces bounds the namespaces told apart; 0: DefaultMaxNamespaces.
func NewMetrics(maxNamespaces int) *Metrics {
	if maxNamespaces <= 0 {
		maxNamespaces = DefaultMaxNamespaces
	}
	m := &Metrics{registry: prometheus.NewRegistry(), maxNamespaces: maxNamespaces}
	m.other = &Method{name: Other, recorder: newRecorder()}
	m.otherNamespace = &Namespace{name: Other, recorder: newRecorder()}
	m.methods.Store(&map[string]*Method{})
	m.namespaces.Store(&map[prism.Namespace]*Namespace{})
	m.errors.Store(&map[errorLabels]*atomic.Int64{})
	m.registry.MustRegister(
		collectors.NewGoCollector(),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
		(*collector)(m),
	)
	return m
}

// A Method counts and times one RPC.
type Method struct {
	name string
	recorder
}

// Register makes the counters of a method that the gateway serves, named as in
// gRPC ("/prism.keyvalue.v1.KeyValueService/Get", the slash optional). It is
// for the start; calls use what it returned, or Method.
func (m *Metrics) Register(name string) *Method {
	name = strings.TrimPrefix(name, "/")
	m.mu.Lock()
	defer m.mu.Unlock()
	old := *m.methods.Load()
	if x := old[name]; x != nil {
		return x
	}
	x := &Method{name: name, recorder: newRecorder()}
	publish(&m.methods, old, name, x)
	return x
}

// publish replaces a map by a copy with one more entry; its readers take no
// lock.
func publish[K comparable, V any](p *atomic.Pointer[map[K]V], old map[K]V, k K, v V) {
	next := make(map[K]V, len(old)+1)
	maps.Copy(next, old)
	next[k] = v
	p.Store(&next)
}

// Method finds a registered method; all others share one, so that calls of
// made-up methods cost no memory.
func (m *Metrics) Method(name string) *Method {
	if x := (*m.methods.Load())[strings.TrimPrefix(name, "/")]; x != nil {
		return x
	}
	return m.other
}

// Observe records a call that has ended.
func (x *Method) Observe(code grpccodes.Code, d time.Duration) {
	s := x.shard()
	s.observe(d)
	if code >= codes {
		code = grpccodes.Unknown
	}
	s.codes[code].Add(1)
}

// A Namespace counts and times what happens to one namespace.
type Namespace struct {
	name prism.Namespace
	recorder
}

// What a namespace's shards count in the places of codes.
const (
	slotReads = iota
	slotWrites
	slotErrors
)

// Namespace finds the counters of a namespace that is there. It is made for
// names that route has resolved, never for what a caller wrote.
func (m *Metrics) Namespace(ns prism.Namespace) *Namespace {
	if x := (*m.namespaces.Load())[ns]; x != nil {
		return x
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	old := *m.namespaces.Load()
	if x := old[ns]; x != nil {
		return x
	}
	if len(old) >= m.maxNamespaces {
		return m.otherNamespace
	}
	x := &Namespace{name: ns, recorder: newRecorder()}
	publish(&m.namespaces, old, ns, x)
	return x
}

// Forget drops the numbers of a namespace that was deleted.
func (m *Metrics) Forget(ns prism.Namespace) {
	m.mu.Lock()
	defer m.mu.Unlock()
	next := maps.Clone(*m.namespaces.Load())
	delete(next, ns)
	m.namespaces.Store(&next)
	series := maps.Clone(*m.errors.Load())
	maps.DeleteFunc(series, func(l errorLabels, _ *atomic.Int64) bool { return l.namespace == string(ns) })
	m.errors.Store(&series)
}

// Observe records a call on the namespace: how many operations it read and
// wrote, whether it failed, and how long it took.
func (x *Namespace) Observe(reads, writes int, failed bool, d time.Duration) {
	s := x.shard()
	s.observe(d)
	if reads > 0 {
		s.codes[slotReads].Add(int64(reads))
	}
	if writes > 0 {
		s.codes[slotWrites].Add(int64(writes))
	}
	if failed {
		s.codes[slotErrors].Add(1)
	}
}

type errorLabels struct {
	reason    prism.Reason
	backend   string
	namespace string
}

// Error counts an error that was answered. A namespace that has no counters of
// its own is not told apart.
func (m *Metrics) Error(e *prism.Error) {
	l := errorLabels{e.Reason, e.Backend, e.Namespace}
	if _, known := (*m.namespaces.Load())[prism.Namespace(l.namespace)]; !known && l.namespace != "" {
		l.namespace = Other
	}
	if c := (*m.errors.Load())[l]; c != nil {
		c.Add(1)
		return
	}
	if !l.reason.Known() {
		l.reason = prism.ReasonInternal
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	old := *m.errors.Load()
	if len(old) >= maxErrorSeries {
		l.backend, l.namespace = Other, Other
	}
	if c := old[l]; c != nil {
		c.Add(1)
		return
	}
	c := new(atomic.Int64)
	c.Add(1)
	publish(&m.errors, old, l, c)
}

// Gauge asks f at each scrape, for numbers that somebody else keeps: sessions,
// streams. name begins with "prism_".
func (m *Metrics) Gauge(name, help string, f func() float64) {
	m.registry.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: name, Help: help}, f))
}

// Counter asks f at each scrape, for numbers that somebody else counts and that
// only grow. name begins with "prism_" and ends with "_total".
func (m *Metrics) Counter(name, help string, f func() float64) {
	m.registry.MustRegister(prometheus.NewCounterFunc(prometheus.CounterOpts{Name: name, Help: help}, f))
}

// Snapshot is the numbers at one moment, for GetStats. Two of them make rates.
type Snapshot struct {
	Methods    []MethodStats    // by name
	Namespaces []NamespaceStats // by name
}

// MethodStats are the numbers of one RPC; Errors are the calls that did not
// end with OK, without those that their caller left, as streams often end.
type MethodStats struct {
	Method  string
	Calls   int64
	Errors  int64
	Latency Latency
}

// NamespaceStats are the numbers of one namespace.
type NamespaceStats struct {
	Namespace prism.Namespace
	Reads     int64
	Writes    int64
	Errors    int64
	Latency   Latency
}

// Snapshot reads everything that was called at least once.
func (m *Metrics) Snapshot() Snapshot {
	var s Snapshot
	m.each(func(x *Method) {
		l, byCode := x.read()
		total := l.Total()
		if total == 0 {
			return
		}
		s.Methods = append(s.Methods, MethodStats{x.name, total, total - byCode[grpccodes.OK] - byCode[grpccodes.Canceled], l})
	}, func(x *Namespace) {
		l, n := x.read()
		if l.Total() == 0 {
			return
		}
		s.Namespaces = append(s.Namespaces, NamespaceStats{x.name, n[slotReads], n[slotWrites], n[slotErrors], l})
	})
	return s
}

// each visits all there is in the order of names, the shared ones last.
func (m *Metrics) each(method func(*Method), namespace func(*Namespace)) {
	methods, namespaces := *m.methods.Load(), *m.namespaces.Load()
	for _, k := range slices.Sorted(maps.Keys(methods)) {
		method(methods[k])
	}
	method(m.other)
	for _, k := range slices.Sorted(maps.Keys(namespaces)) {
		namespace(namespaces[k])
	}
	namespace(m.otherNamespace)
}
