package session

import (
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prism-data-layer/prism/pkg/auth"
	"github.com/prism-data-layer/prism/pkg/prism"
)

// A Session is a principal's hold on the gateway, as one call or stream sees
// it. Only a [Manager] makes one; the zero value is refused by every method
// that can refuse and by every later stage. It is two pointers wide and safe
// for concurrent use.
type Session struct {
	h   *hold
	who auth.Principal
}

// A hold is a session together with the credential that opened it. Two keys of
// one principal may use one session; when one key is revoked, only what it
// opened ends.
type hold struct {
	*state
	who   auth.Principal
	done  chan struct{}
	cause atomic.Pointer[prism.Error] // set before done is closed
}

// finish closes done, once; the first cause stays.
func (h *hold) finish(cause *prism.Error) {
	if h.cause.CompareAndSwap(nil, cause) {
		close(h.done)
	}
}

// A state is what all holds of a session share. What may change without a
// lock is atomic; the rest never changes after it is made.
type state struct {
	m *Manager

	id            string
	principal     string
	implicit      bool
	namespaces    []prism.Namespace // sorted; nil: no narrowing
	clientID      string
	clientVersion string
	metadata      map[string]string
	config        Config
	created       int64 // Unix milliseconds, like every time below

	expires     atomic.Int64
	active      atomic.Int64 // last activity, about a second behind
	saved       atomic.Int64 // the activity that the store was told
	requests    atomic.Int64
	bytesIn     atomic.Int64
	bytesOut    atomic.Int64
	streams     atomic.Int32
	pending     atomic.Int32 // calls and streams between Begin and End
	terminating atomic.Int64 // when an orderly close must be over; 0: none

	keyID string                      // of the credential that made it
	first atomic.Pointer[hold]        // of the credential seen first
	why   atomic.Pointer[prism.Error] // set when it ends
	ended int64                       // when; guarded by Manager.mu

	mu     sync.Mutex
	others []*hold
	tokens []*grant // the last is the current one

	refresh sync.Mutex // one at a time, over the save
}

// A grant is a token that opens a session. Its hash is its key in the Manager.
type grant struct {
	*state
	hash  Hash
	until atomic.Int64 // 0: as long as the session
}

// ID is the public id. It names the session in lists and logs and opens
// nothing.
func (s Session) ID() string {
	if s.h == nil {
		return ""
	}
	return s.h.id
}

// Principal is who called, with the rights of the credential of this call.
func (s Session) Principal() auth.Principal { return s.who }

// Implicit reports whether the session was made for a caller that brought only
// a credential.
func (s Session) Implicit() bool { return s.h != nil && s.h.implicit }

// IsZero reports whether s is no session.
func (s Session) IsZero() bool { return s.h == nil }

// Config is the client configuration that the session was created with.
func (s Session) Config() Config {
	if s.h == nil {
		return Config{}
	}
	return s.h.config
}

// MayUse reports whether the session is open to ns. It narrows what the
// principal may do and never widens it.
func (s Session) MayUse(ns prism.Namespace) bool { return s.h != nil && s.h.mayUse(ns) }

func (st *state) mayUse(ns prism.Namespace) bool {
	return st.namespaces == nil || slices.Contains(st.namespaces, ns)
}

// Done is closed when the session ends, or the credential that opened s does.
// A long stream selects on it; the end is noticed within a second.
func (s Session) Done() <-chan struct{} {
	if s.h == nil {
		return closed()
	}
	return s.h.done
}

func closed() <-chan struct{} {
	c := make(chan struct{})
	close(c)
	return c
}

// Err says why Done is closed: SESSION_EXPIRED, SESSION_REVOKED,
// INVALID_SESSION after a close, UNAUTHENTICATED when the credential ended.
// It is nil until then.
func (s Session) Err() error {
	if s.h == nil {
		return invalid()
	}
	if e := s.h.cause.Load(); e != nil {
		return fresh(e)
	}
	return nil
}

// Valid is the check for hot paths: one atomic load, no clock. It is nil until
// the session ends; while one is being closed in an orderly way it stays nil
// for what has begun.
func (s Session) Valid() error { return s.Err() }

// fresh copies an error, so that no caller adds to a shared one.
func fresh(e *prism.Error) error {
	c := *e
	return &c
}

// Kind tells a unary call from a stream.
type Kind uint8

// The kinds of a call.
const (
	Unary Kind = iota
	Stream
)

// A Call is one call or stream under way in a session. The zero value does
// nothing.
type Call struct {
	st   *state
	kind Kind
}

// Begin counts a call and holds the session open: one with a call under way is
// not idle, and an orderly close waits for it. It is refused when the session
// has ended or is about to. Every Begin that is not refused needs one End.
func (s Session) Begin(kind Kind) (Call, error) {
	if s.h == nil {
		return Call{}, invalid()
	}
	st := s.h.state
	// Counted first and looked at after: a close that runs meanwhile either
	// sees this call or is seen by it.
	st.pending.Add(1)
	if e := s.h.cause.Load(); e != nil {
		st.pending.Add(-1)
		return Call{}, fresh(e)
	}
	if st.terminating.Load() != 0 {
		st.leave()
		return Call{}, errClosing()
	}
	st.requests.Add(1)
	if kind == Stream {
		st.streams.Add(1)
	}
	return Call{st, kind}, nil
}

// Add counts what a stream has carried so far; its requests are the messages
// after the first.
func (c Call) Add(requests, bytesIn, bytesOut int64) {
	if c.st == nil {
		return
	}
	c.st.requests.Add(requests)
	c.count(bytesIn, bytesOut)
	c.st.touch(c.st.m.coarse.Load())
}

func (c Call) count(in, out int64) {
	if in != 0 {
		c.st.bytesIn.Add(in)
	}
	if out != 0 {
		c.st.bytesOut.Add(out)
	}
}

// End counts the rest and lets go.
func (c Call) End(bytesIn, bytesOut int64) {
	if c.st == nil {
		return
	}
	c.count(bytesIn, bytesOut)
	if c.kind == Stream {
		c.st.streams.Add(-1)
	}
	c.st.touch(c.st.m.coarse.Load())
	c.st.leave()
}

// leave ends a session that waited for its last call.
func (st *state) leave() {
	if st.pending.Add(-1) == 0 && st.terminating.Load() != 0 {
		st.m.end(st, CauseClosed, errClosed())
	}
}

// touch moves the last activity forward. Within a grain it only reads, so
// that calls of one session do not fight for a cache line.
func (st *state) touch(now int64) {
	if now-st.active.Load() >= st.m.grain {
		st.active.Store(now)
	}
}

// Status is where a session stands.
type Status uint8

// The statuses, numbered as on the wire. ReadOnly is for maintenance, which no
// session is in yet.
const (
	Active Status = iota + 1
	Expiring
	ReadOnly
	Terminating
)

func (s Status) String() string {
	switch s {
	case Active:
		return "ACTIVE"
	case Expiring:
		return "EXPIRING"
	case ReadOnly:
		return "READ_ONLY"
	case Terminating:
		return "TERMINATING"
	}
	return "UNKNOWN"
}

// Status is where the session stands now; 0 once it has ended.
func (s Session) Status() Status {
	if s.Err() != nil {
		return 0
	}
	return s.h.status(s.h.m.now())
}

// Info is a snapshot of a session. There is no token in it.
type Info struct {
	ID            string
	Principal     string
	KeyID         string // of the credential that made it
	Implicit      bool
	Status        Status
	Namespaces    []prism.Namespace
	ClientID      string
	ClientVersion string
	Metadata      map[string]string
	Config        Config
	CreatedAt     time.Time
	ExpiresAt     time.Time
	LastActivity  time.Time
	Requests      int64
	BytesIn       int64
	BytesOut      int64
	Streams       int32
	Pending       int32
}

// Info takes a snapshot. The caller must not change its map and slices.
func (s Session) Info() Info {
	if s.h == nil {
		return Info{}
	}
	return s.h.info(s.h.m.now())
}

func (st *state) info(now int64) Info {
	return Info{
		ID:            st.id,
		Principal:     st.principal,
		KeyID:         st.keyID,
		Implicit:      st.implicit,
		Status:        st.status(now),
		Namespaces:    st.namespaces,
		ClientID:      st.clientID,
		ClientVersion: st.clientVersion,
		Metadata:      st.metadata,
		Config:        st.config,
		CreatedAt:     time.UnixMilli(st.created),
		ExpiresAt:     time.UnixMilli(st.expires.Load()),
		LastActivity:  time.UnixMilli(st.active.Load()),
		Requests:      st.requests.Load(),
		BytesIn:       st.bytesIn.Load(),
		BytesOut:      st.bytesOut.Load(),
		Streams:       st.streams.Load(),
		Pending:       st.pending.Load(),
	}
}
