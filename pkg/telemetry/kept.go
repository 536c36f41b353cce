package telemetry

import (
	"container/list"
	"encoding/hex"
	"slices"
	"sync"
	"time"
	"unsafe"

	"github.com/prism-data-layer/prism/pkg/prism"
)

// What is kept in memory, at most. Of one trace only so many calls: a test that
// runs for hours in one trace must not push out all others.
const (
	maxTraces     = 1000
	maxTraceBytes = 4 << 20
	maxCalls      = 64
)

// A record is a call that is kept.
type record struct {
	Ending
	ids
	request string // id
	start   time.Time
	why     cause
	steps   []step
	spans   []spanID // of the steps
}

func (r *record) bytes() int {
	const one = int(unsafe.Sizeof(step{}) + unsafe.Sizeof(spanID{}))
	return int(unsafe.Sizeof(*r)) + len(r.request) + len(r.Namespace) + len(r.steps)*one
}

// keptTraces are the last traces of which something was kept.
type keptTraces struct {
	mu    sync.Mutex
	byID  map[traceID]*list.Element
	order list.List // of *keptTrace, the oldest first
	size  int
}

type keptTrace struct {
	id    traceID
	calls []*record
	size  int
}

// keptOverhead is about what a trace takes beside its calls.
const keptOverhead = 256

func (k *keptTraces) add(r *record) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.byID == nil {
		k.byID = map[traceID]*list.Element{}
	}
	at := k.byID[r.trace.trace]
	if at == nil {
		at = k.order.PushBack(&keptTrace{id: r.trace.trace, size: keptOverhead})
		k.byID[r.trace.trace] = at
		k.size += keptOverhead
	}
	t := at.Value.(*keptTrace)
	if len(t.calls) >= maxCalls {
		return
	}
	n := r.bytes()
	t.calls, t.size = append(t.calls, r), t.size+n
	for k.size += n; k.order.Len() > maxTraces || k.size > maxTraceBytes && k.order.Len() > 1; {
		old := k.order.Remove(k.order.Front()).(*keptTrace)
		delete(k.byID, old.id)
		k.size -= old.size
	}
}

// A KeptTrace is what this gateway keeps of a trace: its own spans, the first to
// begin first.
type KeptTrace struct {
	ID    string
	Spans []Span
}

// A Span is a call, or a step of one.
type Span struct {
	ID, Parent string // Parent may be a span of somebody else, or empty
	Name       string
	Service    string
	Start      time.Time
	Took       time.Duration
	Reason     prism.Reason // of its error
	Slow       bool         // kept because it was
	Attributes []Attribute
}

// An Attribute is named by OpenTelemetry's conventions.
type Attribute struct{ Key, Value string }

// Trace finds what is kept of a trace.
func (t *Tracer) Trace(id string) (KeptTrace, bool) {
	var key traceID
	if len(id) != 2*len(key) || !unhex(key[:], id) {
		return KeptTrace{}, false
	}
	t.kept.mu.Lock()
	defer t.kept.mu.Unlock()
	at := t.kept.byID[key]
	if at == nil {
		return KeptTrace{}, false
	}
	return at.Value.(*keptTrace).read(), true
}

// Traces lists what is kept, the newest first, as long as yield says so.
func (t *Tracer) Traces(yield func(KeptTrace) bool) {
	for _, k := range t.kept.all() {
		if !yield(k) {
			return
		}
	}
}

func (k *keptTraces) all() (all []KeptTrace) {
	k.mu.Lock()
	defer k.mu.Unlock()
	for at := k.order.Back(); at != nil; at = at.Prev() {
		all = append(all, at.Value.(*keptTrace).read())
	}
	return all
}

func (k *keptTrace) read() KeptTrace {
	out := KeptTrace{ID: hex.EncodeToString(k.id[:])}
	for _, r := range k.calls {
		out.Spans = append(out.Spans, r.read()...)
	}
	slices.SortStableFunc(out.Spans, func(a, b Span) int { return a.Start.Compare(b.Start) })
	return out
}

// read is the call as spans.
func (r *record) read() []Span {
	call := Span{
		ID: r.trace.SpanID(), Name: r.Method, Service: ServiceName, Start: r.start, Took: r.Took, Reason: r.Reason,
		Slow: r.why&bySlow != 0, Attributes: attributesOf(r),
	}
	if r.parent != (spanID{}) {
		call.Parent = hex.EncodeToString(r.parent[:])
	}
	spans := []Span{call}
	for i := range r.steps {
		s := &r.steps[i]
		spans = append(spans, Span{
			ID: hex.EncodeToString(r.spans[i][:]), Parent: call.ID, Name: s.name(), Service: ServiceName,
			Start: r.start.Add(s.began), Took: s.ended - s.began, Reason: s.reason, Attributes: s.attributes(r.Namespace),
		})
	}
	return spans
}
