package telemetry

import (
	"context"
	"strings"
	"sync"
	"sync/atomic"
	"time"
	"unicode/utf8"

	"github.com/prism-data-layer/prism/pkg/prism"
)

// An EndedCall is what is told of a call to those who listen.
type EndedCall struct {
	Start     time.Time
	Took      time.Duration
	Method    string // as in gRPC
	Session   string // its id
	Principal string
	Namespace prism.Namespace
	Subject   string       // the key or name that it is about, see Subject
	Ops       int          // of a batch; otherwise 1
	Reason    prism.Reason // of its error; empty: it worked
	Received  int          // bytes
	Sent      int
	Trace     string // id
}

// Bounds of those who listen: each may hold so many calls that it has not read,
// and no more may listen at once.
const (
	listenerRoom = 4096
	maxListeners = 16
	maxSubject   = 64
)

// Subject is a copy of a key or name, cut to what is told of it.
func Subject(name string) string {
	if len(name) <= maxSubject {
		return strings.Clone(name) // it may stand in a buffer that is used again
	}
	const cut = "…"
	n := maxSubject - len(cut)
	for n > 0 && !utf8.RuneStart(name[n]) {
		n--
	}
	return name[:n] + cut
}

// Calls tells of calls as they end. While nobody listens, that costs a look at a
// pointer. A nil Calls has no listeners.
type Calls struct {
	listeners atomic.Pointer[[]*Listener] // nil: nobody listens
	mu        sync.Mutex                  // held to change them
}

// Heard reports whether anybody listens.
func (c *Calls) Heard() bool { return c != nil && c.listeners.Load() != nil }

// A CallFilter says which calls a listener is told of; the zero value is all.
type CallFilter struct {
	Session    string
	Namespace  prism.Namespace
	MinLatency time.Duration
	Errors     bool // only those that failed
}

func (f *CallFilter) takes(e *EndedCall) bool {
	return (f.Session == "" || f.Session == e.Session) && (f.Namespace == "" || f.Namespace == e.Namespace) &&
		e.Took >= f.MinLatency && (!f.Errors || e.Reason != "")
}

// A Listener is told of calls from its making on. It is read by one caller at a
// time.
type Listener struct {
	calls  *Calls
	filter CallFilter
	news   chan struct{} // has a token when there is something to read

	mu      sync.Mutex
	full    []EndedCall // to be read
	read    []EndedCall // what was read last, to be used again
	dropped int64
}

// Listen adds a listener, which needs one Close.
func (c *Calls) Listen(f CallFilter) (*Listener, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	var all []*Listener
	if old := c.listeners.Load(); old != nil {
		all = *old
	}
	if len(all) >= maxListeners {
		return nil, prism.New(prism.ReasonTooManyStreams, "%d listen to calls already, as many as may", maxListeners)
	}
	l := &Listener{calls: c, filter: f, news: make(chan struct{}, 1)}
	all = append(all[:len(all):len(all)], l)
	c.listeners.Store(&all)
	return l, nil
}

// Close ends the listening.
func (l *Listener) Close() {
	c := l.calls
	c.mu.Lock()
	defer c.mu.Unlock()
	var left []*Listener
	for _, x := range *c.listeners.Load() {
		if x != l {
			left = append(left, x)
		}
	}
	if left == nil {
		c.listeners.Store(nil)
		return
	}
	c.listeners.Store(&left)
}

// Tell hands a call to those who listen. It waits for nobody: a listener that
// does not read loses what it has no room for, and is told how much.
func (c *Calls) Tell(e *EndedCall) {
	all := c.listeners.Load()
	if all == nil {
		return
	}
	for _, l := range *all {
		if l.filter.takes(e) {
			l.add(e)
		}
	}
}

func (l *Listener) add(e *EndedCall) {
	l.mu.Lock()
	if len(l.full) >= listenerRoom {
		l.dropped++
	} else {
		l.full = append(l.full, *e)
	}
	l.mu.Unlock()
	select {
	case l.news <- struct{}{}:
	default:
	}
}

// Next waits for calls, and gives them in the order in which they ended, with
// how many were dropped since the beginning. They hold until the next Next.
func (l *Listener) Next(ctx context.Context) (calls []EndedCall, dropped int64, err error) {
	for over := false; ; {
		l.mu.Lock()
		if len(l.full) > 0 {
			clear(l.read)
			l.full, l.read = l.read[:0], l.full
			calls, dropped = l.read, l.dropped
			l.mu.Unlock()
			return calls, dropped, nil
		}
		l.mu.Unlock()
		if over {
			return nil, 0, context.Cause(ctx)
		}
		select {
		case <-l.news:
		case <-ctx.Done():
			over = true // after what has come until now
		}
	}
}
