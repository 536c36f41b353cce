// Package route decides where a session's call on a namespace goes, and
// whether it may. It opens the backends, binds each namespace to one, and
// keeps what is in force while the control store changes; a change of a
// namespace needs no restart, and a bad one leaves the old in force.
package route

import (
	"context"
	"sync/atomic"
	"time"

	"github.com/prism-data-layer/prism/pkg/auth"
	"github.com/prism-data-layer/prism/pkg/control"
	"github.com/prism-data-layer/prism/pkg/data"
	"github.com/prism-data-layer/prism/pkg/data/cache"
	"github.com/prism-data-layer/prism/pkg/data/keyvalue"
	"github.com/prism-data-layer/prism/pkg/data/pubsub"
	"github.com/prism-data-layer/prism/pkg/data/queue"
	"github.com/prism-data-layer/prism/pkg/data/timeseries"
	"github.com/prism-data-layer/prism/pkg/data/workqueue"
	"github.com/prism-data-layer/prism/pkg/prism"
	"github.com/prism-data-layer/prism/pkg/session"
)

// A Target is a namespace that a session may use, and the proof of it. Only
// [Router.Resolve] makes one; the zero value answers every use with
// PERMISSION_DENIED. Every Target needs one Release.
type Target struct {
	n      *namespace
	who    auth.Principal
	stream bool // counted as one
}

// namespace is one namespace in force: immutable but for its counters. A
// change makes another and ends this one.
type namespace struct {
	record  control.Namespace
	backend *backend
	rules   rules
	limiter *limiter
	gate    *gate // of all namespaces

	home      *home // of key-values: of all versions, wherever they move
	keyvalue  *keyvalue.Store
	cache     *cache.Store
	queue     *queue.Store
	hub       *queue.Hub  // of all versions with this binding
	names     *data.Names // likewise
	workQueue *workqueue.Store
	pubsub    *pubsub.Store
	series    *timeseries.Store // its intake is of all versions with this binding

	inflight *atomic.Int64 // of all versions with this binding
	state    *liveness
}

// liveness is shared by the versions of a namespace that differ only in what
// running streams need not notice.
type liveness struct {
	done  chan struct{}
	cause atomic.Pointer[prism.Error]

	streams atomic.Int64
	hold    atomic.Pointer[prism.Error] // no new streams; nil: they are let in
}

func (l *liveness) end(cause *prism.Error) {
	if l.cause.CompareAndSwap(nil, cause) {
		close(l.done)
	}
}

// Namespace is the name.
func (t Target) Namespace() prism.Namespace {
	if t.n == nil {
		return ""
	}
	return prism.Namespace(t.n.record.Name)
}

// KeyValue is the namespace as key-value.
func (t Target) KeyValue() (*keyvalue.Store, error) {
	if t.n == nil {
		return nil, denied()
	}
	return as(t, t.n.keyvalue, "keyvalue", "keyvalue_basic")
}

// Queue is the namespace as logs.
func (t Target) Queue() (*queue.Store, error) {
	if t.n == nil {
		return nil, denied()
	}
	return as(t, t.n.queue, "queue", "stream_basic")
}

// WorkQueue is the namespace as work queues.
func (t Target) WorkQueue() (*workqueue.Store, error) {
	if t.n == nil {
		return nil, denied()
	}
	return as(t, t.n.workQueue, "queue", "queue_basic")
}

// Cache is the namespace as a cache.
func (t Target) Cache() (*cache.Store, error) {
	if t.n == nil {
		return nil, denied()
	}
	return as(t, t.n.cache, "cache", "cache_basic")
}

// PubSub is the namespace as publish and subscribe.
func (t Target) PubSub() (*pubsub.Store, error) {
	if t.n == nil {
		return nil, denied()
	}
	return as(t, t.n.pubsub, "pubsub", "pubsub_basic")
}

// TimeSeries is the namespace as time series.
func (t Target) TimeSeries() (*timeseries.Store, error) {
	if t.n == nil {
		return nil, denied()
	}
	return as(t, t.n.series, "timeseries", "timeseries_basic")
}

// as is the store of one model of the namespace, nil if it is of another.
func as[S any](t Target, store *S, model, basic string) (*S, error) {
	if store == nil {
		return nil, prism.New(prism.ReasonCapabilityMissing, "namespace %q is of model %s, not %s", t.n.record.Name, t.n.record.Model, model).
			WithMeta("missing", basic).WithNamespace(t.Namespace())
	}
	return store, nil
}

// Done is closed when a running stream must end: the namespace is deleted,
// moved, or its access has changed.
func (t Target) Done() <-chan struct{} {
	if t.n == nil {
		return nil
	}
	return t.n.state.done
}

// Err says why Done is closed.
func (t Target) Err() error {
	if t.n == nil {
		return denied()
	}
	if e := t.n.state.cause.Load(); e != nil {
		c := *e
		return &c
	}
	return nil
}

// May refuses when the target was not resolved for a caller who may do action:
// a stream is opened with one right, and some of what it carries needs another.
func (t Target) May(action prism.Action) error {
	if t.n == nil || !t.n.rules.allow(t.who, action) {
		return denied()
	}
	return nil
}

// Take counts n more requests against the rate limit.
func (t Target) Take(now time.Time, n int) error {
	if t.n == nil {
		return denied()
	}
	if err := t.n.limiter.take(now, n); err != nil {
		return err.WithNamespace(t.Namespace())
	}
	return nil
}

// Release lets go of the namespace: it may be dropped when nobody holds it.
func (t Target) Release() {
	if t.n == nil {
		return
	}
	if t.stream {
		t.n.state.streams.Add(-1)
	}
	t.n.inflight.Add(-1)
}

// Resolve finds the namespace and checks that the session may do action with
// it. n is how many requests it counts for against the rate limit.
func (r *Router) Resolve(_ context.Context, s session.Session, name string, action prism.Action, n int) (Target, error) {
	if !prism.ValidName(name) {
		return Target{}, prism.InvalidField("namespace", "must match [a-z][a-z0-9-]{0,62}")
	}
	found := (*r.table.Load())[name]
	for {
		t, err := r.take(found, s, name, action, n)
		now := (*r.table.Load())[name]
		if t.n != nil || found == nil || now == nil || now == found || found.state.cause.Load() == nil {
			return t, err
		}
		found = now // the version that was found has just been replaced
	}
}

// take checks and holds one version of a namespace.
func (r *Router) take(found *namespace, s session.Session, name string, action prism.Action, n int) (Target, error) {
	if found == nil {
		if s.Principal().MayListNamespaces() && s.MayUse(prism.Namespace(name)) {
			return Target{}, prism.NotFound("namespace", name).WithMeta("kind", "namespace").WithNamespace(prism.Namespace(name))
		}
		return Target{}, denied()
	}
	if !s.MayUse(prism.Namespace(name)) || !found.rules.allow(s.Principal(), action) {
		return Target{}, denied()
	}
	if err := found.gate.pass(action); err != nil {
		return Target{}, err
	}
	found.inflight.Add(1)
	t := Target{n: found, who: s.Principal()}
	// Counted first and looked at after, so that a deletion either sees this
	// call or is seen by it.
	if found.state.cause.Load() != nil {
		t.Release()
		return Target{}, t.Err()
	}
	if found.limiter == nil {
		return t, nil
	}
	if err := found.limiter.take(r.clock.Now(), n); err != nil {
		t.Release()
		return Target{}, err.WithNamespace(prism.Namespace(name))
	}
	return t, nil
}

// denied is the one refusal, byte for byte the same whether or not the
// namespace is there.
func denied() *prism.Error {
	return prism.New(prism.ReasonPermissionDenied, "permission denied, or no such namespace")
}
