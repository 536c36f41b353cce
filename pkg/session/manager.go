package session

import (
	"context"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prism-data-layer/prism/pkg/auth"
	"github.com/prism-data-layer/prism/pkg/clock"
	"github.com/prism-data-layer/prism/pkg/prism"
)

// Options are the times and bounds of sessions. Zero fields get the defaults.
type Options struct {
	Idle      time.Duration // a session with nothing heard for so long ends; 5 min
	Lifetime  time.Duration // from creation, unless it is refreshed; 1 h
	Max       time.Duration // from creation, however often it is refreshed; 24 h
	Heartbeat time.Duration // what clients are told; 30 s
	// Grace is how long an old token holds after a refresh, an orderly close
	// waits for what is under way, and a session is kept after a restart of
	// the gateway until its client is heard; 30 s.
	Grace           time.Duration
	MaxPerPrincipal int // explicit sessions; 1,000
	MaxTotal        int // explicit sessions; 100,000
}

func (o Options) withDefaults() Options {
	d := func(v *time.Duration, def time.Duration) {
		if *v <= 0 {
			*v = def
		}
	}
	d(&o.Idle, 5*time.Minute)
	d(&o.Max, 24*time.Hour)
	d(&o.Lifetime, time.Hour)
	d(&o.Heartbeat, 30*time.Second)
	d(&o.Grace, 30*time.Second)
	o.Lifetime = min(o.Lifetime, o.Max)
	if o.MaxPerPrincipal <= 0 {
		o.MaxPerPrincipal = 1000
	}
	if o.MaxTotal <= 0 {
		o.MaxTotal = 100_000
	}
	return o
}

// A Manager makes, finds and ends sessions. It is safe for concurrent use.
type Manager struct {
	store  Store // nil: sessions do not outlive the process
	o      Options
	clock  clock.Clock
	log    *slog.Logger
	coarse atomic.Int64 // Unix milliseconds, at most a sweep behind
	grain  int64        // of last activities, in milliseconds
	totals totals

	mu       sync.RWMutex
	byToken  map[Hash]*grant
	byID     map[string]*state // all that live
	implicit map[string]*state // by principal
	explicit map[string]int    // how many by principal
	living   int               // explicit ones
	gone     []*state          // ended, the oldest first: their tokens still tell why
	erase    []string          // ended, and to be deleted from the store
}

// New returns a Manager. store may be nil. [Manager.Load] brings back what the
// store has; [Manager.Run] ends what is over.
func New(store Store, o Options, c clock.Clock, log *slog.Logger) *Manager {
	o = o.withDefaults()
	m := &Manager{
		store: store, o: o, clock: c, log: log,
		grain:    min(1000, max(1, o.Idle.Milliseconds()/100)),
		byToken:  make(map[Hash]*grant),
		byID:     make(map[string]*state),
		implicit: make(map[string]*state),
		explicit: make(map[string]int),
	}
	m.coarse.Store(c.Now().UnixMilli())
	return m
}

// Options tells the times and bounds in force.
func (m *Manager) Options() Options { return m.o }

// now reads the clock and lets calls that end soon use what it said.
func (m *Manager) now() int64 {
	now := m.clock.Now().UnixMilli()
	if now-m.coarse.Load() >= m.grain {
		m.coarse.Store(now)
	}
	return now
}

// Open finds the session of token, or with an empty token the implicit session
// of who, which is made when it is not there. A token of another principal is
// refused in the same words as one that nobody has.
//
// It allocates nothing for a session that is there.
func (m *Manager) Open(_ context.Context, who auth.Principal, token string) (Session, error) {
	if who.IsZero() {
		return Session{}, prism.New(prism.ReasonUnauthenticated, "the call carries no valid credential")
	}
	now := m.now()
	if token == "" {
		return m.openImplicit(who, now)
	}
	hash, ok := hashToken(token)
	if !ok {
		return Session{}, invalid()
	}
	m.mu.RLock()
	g := m.byToken[hash]
	m.mu.RUnlock()
	if g == nil || g.principal != who.Name() {
		return Session{}, invalid()
	}
	if until := g.until.Load(); until != 0 && now >= until {
		return Session{}, invalid()
	}
	return m.enter(g.state, who, now)
}

func (m *Manager) openImplicit(who auth.Principal, now int64) (Session, error) {
	// A session may end between being found and entered, so try again; one
	// that was made just now does not.
	for range 3 {
		m.mu.RLock()
		st := m.implicit[who.Name()]
		m.mu.RUnlock()
		if st == nil {
			st = m.makeImplicit(who, now)
		}
		if s, err := m.enter(st, who, now); err == nil {
			return s, nil
		}
	}
	return Session{}, prism.New(prism.ReasonUnavailable, "the session is being closed")
}

func (m *Manager) makeImplicit(who auth.Principal, now int64) *state {
	m.mu.Lock()
	defer m.mu.Unlock()
	if st := m.implicit[who.Name()]; st != nil {
		return st
	}
	st := m.newState(auth.RandomText(idLen), who, now)
	st.implicit = true
	st.expires.Store(now + m.o.Max.Milliseconds())
	m.implicit[st.principal] = st
	m.byID[st.id] = st
	m.totals.created.Add(1)
	m.log.Debug("session opened", "session", st.id, "principal", st.principal, "implicit", true)
	return st
}

// newState is a session that nobody can find yet.
func (m *Manager) newState(id string, who auth.Principal, now int64) *state {
	st := &state{m: m, id: id, principal: who.Name(), keyID: who.KeyID(), created: now}
	st.active.Store(now)
	st.saved.Store(now)
	return st
}

// enter lets who into a session, unless it is over.
func (m *Manager) enter(st *state, who auth.Principal, now int64) (Session, error) {
	if cause, err := st.due(now); err != nil {
		m.end(st, cause, err)
	}
	if err := st.closing(); err != nil {
		return Session{}, err
	}
	st.touch(now)
	if h := st.first.Load(); h != nil && h.who == who && h.cause.Load() == nil {
		return Session{h, who}, nil
	}
	h, err := st.hold(who)
	if err != nil {
		return Session{}, err
	}
	return Session{h, who}, nil
}

// hold finds or makes the hold of a credential.
func (st *state) hold(who auth.Principal) (*hold, error) {
	st.mu.Lock()
	defer st.mu.Unlock()
	if e := st.why.Load(); e != nil {
		return nil, fresh(e)
	}
	if h := st.first.Load(); h != nil && h.who == who && h.cause.Load() == nil {
		return h, nil
	}
	for _, h := range st.others {
		if h.who == who && h.cause.Load() == nil {
			return h, nil
		}
	}
	h := &hold{state: st, who: who, done: make(chan struct{})}
	if f := st.first.Load(); f == nil || f.cause.Load() != nil {
		st.first.Store(h)
	} else {
		st.others = append(st.others, h)
	}
	return h, nil
}

// due says why the session is over at now, if it is.
func (st *state) due(now int64) (Cause, *prism.Error) {
	if now >= st.expires.Load() {
		return CauseLifetime, errLifetime()
	}
	if t := st.terminating.Load(); t != 0 && now >= t {
		return CauseClosed, errClosed()
	}
	if st.pending.Load() == 0 && now-st.active.Load() >= st.m.o.Idle.Milliseconds() {
		return CauseIdle, errIdle()
	}
	return "", nil
}

// left is how long the session lasts if nothing more is heard.
func (st *state) left(now int64) int64 {
	left := st.expires.Load() - now
	if st.pending.Load() == 0 {
		left = min(left, st.active.Load()+st.m.o.Idle.Milliseconds()-now)
	}
	return max(left, 0)
}

// status announces the end when less than a tenth of the life or a minute is
// left, or a fifth of the idle time.
func (st *state) status(now int64) Status {
	if st.terminating.Load() != 0 {
		return Terminating
	}
	expires := st.expires.Load()
	if left := expires - now; left < 60_000 || left < (expires-st.created)/10 {
		return Expiring
	}
	if st.left(now) < min(60_000, st.m.o.Idle.Milliseconds()/5) {
		return Expiring
	}
	return Active
}

// end ends a session, once; false if it had ended. The record in the store is
// left for the next sweep, or for the caller who must know that it is gone.
func (m *Manager) end(st *state, cause Cause, err *prism.Error) bool {
	if !st.why.CompareAndSwap(nil, err) {
		return false
	}
	st.mu.Lock()
	if h := st.first.Load(); h != nil {
		h.finish(err)
	}
	for _, h := range st.others {
		h.finish(err)
	}
	st.others = nil
	st.mu.Unlock()

	m.mu.Lock()
	delete(m.byID, st.id)
	if st.implicit {
		if m.implicit[st.principal] == st {
			delete(m.implicit, st.principal)
		}
	} else {
		st.ended = m.now()
		m.gone = append(m.gone, st)
		m.erase = append(m.erase, st.id)
		m.living--
		if m.explicit[st.principal]--; m.explicit[st.principal] <= 0 {
			delete(m.explicit, st.principal)
		}
	}
	m.mu.Unlock()
	m.totals.end(cause)
	m.log.Debug("session ended", "session", st.id, "principal", st.principal, "cause", string(cause))
	return true
}
