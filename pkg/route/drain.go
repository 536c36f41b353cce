package route

import (
	"maps"

	"github.com/prism-data-layer/prism/pkg/prism"
)

// Stream turns the target of a call into that of a stream, which is counted and
// can be drained. It is refused while the streams of the namespace are being
// drained; t is released then.
func (t Target) Stream() (Target, error) {
	if t.n == nil {
		return t, denied()
	}
	if e := t.n.state.hold.Load(); e != nil {
		t.Release()
		refusal := *e
		return Target{}, &refusal
	}
	t.n.state.streams.Add(1)
	t.stream = true
	return t, nil
}

// A Drain waits for streams that were told to end.
type Drain struct {
	Initial int64 // streams that were open
	old     []*liveness
	held    []*liveness // into which no new streams are let
}

// Drain ends the open streams of a namespace, or of all, and lets no new ones in
// until End. Calls that are no streams notice nothing.
func (r *Router) Drain(name string) (*Drain, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	before := *r.table.Load()
	if name != "" && before[name] == nil {
		return nil, prism.NotFound("namespace", name)
	}
	d := &Drain{}
	for ns, n := range before {
		if name == "" || name == ns {
			d.old = append(d.old, n.state)
		}
	}
	d.held = r.renew(name, func(ns string) *prism.Error {
		return prism.New(prism.ReasonDraining, "the streams of namespace %q are being drained", ns).WithNamespace(prism.Namespace(ns))
	})
	d.Initial = d.Remaining()
	return d, nil
}

// Remaining is how many streams have not ended.
func (d *Drain) Remaining() (n int64) {
	for _, s := range d.old {
		n += s.streams.Load()
	}
	return n
}

// End lets new streams in.
func (d *Drain) End() {
	for _, s := range d.held {
		s.hold.Store(nil)
	}
}

// Streams is how many streams are open on a namespace, or on all.
func (r *Router) Streams(name string) (n int64, err error) {
	table := *r.table.Load()
	if name != "" && table[name] == nil {
		return 0, prism.NotFound("namespace", name)
	}
	for ns, x := range table {
		if name == "" || name == ns {
			n += x.state.streams.Load()
		}
	}
	return n, nil
}

// renew puts versions in force that differ from those before only in that no
// stream runs on them, or is let in until hold is cleared; the streams of those
// before end. Its caller holds r.mu.
func (r *Router) renew(name string, why func(ns string) *prism.Error) (fresh []*liveness) {
	old := *r.table.Load()
	next := maps.Clone(old)
	for ns, was := range old {
		if name != "" && name != ns {
			continue
		}
		n := *was
		n.state = &liveness{done: make(chan struct{})}
		n.state.hold.Store(why(ns))
		next[ns] = &n
		fresh = append(fresh, n.state)
	}
	r.table.Store(&next)
	for ns, was := range old {
		if next[ns] != was {
			was.state.end(why(ns))
		}
	}
	return fresh
}
