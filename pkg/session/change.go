package session

import (
	"context"
	"time"

	"github.com/prism-data-layer/prism/pkg/prism"
)

// closing says why nothing new may begin in the session, if so.
func (st *state) closing() error {
	if e := st.why.Load(); e != nil {
		return fresh(e)
	}
	if st.terminating.Load() != 0 {
		return errClosing()
	}
	return nil
}

// A Beat is the answer to a heartbeat.
type Beat struct {
	ServerTime time.Time
	TTL        time.Duration // until the session ends if nothing more is heard
	Status     Status
}

// Heartbeat keeps the session from being idle.
func (m *Manager) Heartbeat(_ context.Context, s Session) (Beat, error) {
	if err := s.Err(); err != nil {
		return Beat{}, err
	}
	now := m.now()
	s.h.active.Store(now)
	return Beat{
		ServerTime: time.UnixMilli(now),
		TTL:        time.Duration(s.h.left(now)) * time.Millisecond,
		Status:     s.h.status(now),
	}, nil
}

// maxTokens bounds the tokens of a session that hold at once: the current one
// and some that were refreshed within the grace.
const maxTokens = 4

// Refresh answers a new token and a later end: extension from now, 0 as far as
// is allowed, never beyond Options.Max from the creation and never earlier than
// before. The old token holds for Options.Grace more, so that calls under way
// and an answer that was lost do no harm. The new one is durable by then.
func (m *Manager) Refresh(ctx context.Context, s Session, extension time.Duration) (expires time.Time, token string, err error) {
	switch {
	case s.Err() != nil:
		return time.Time{}, "", s.Err()
	case s.h.implicit:
		return time.Time{}, "", prism.New(prism.ReasonFailedPrecond, "an implicit session has no token to refresh")
	case extension < 0:
		return time.Time{}, "", prism.InvalidField("extension_ms", "must not be negative")
	}
	st := s.h.state
	st.refresh.Lock()
	defer st.refresh.Unlock()
	if err := st.closing(); err != nil {
		return time.Time{}, "", err
	}
	now := m.now()
	limit := st.created + m.o.Max.Milliseconds()
	end := limit
	if extension > 0 && extension < m.o.Max {
		end = min(limit, max(st.expires.Load(), now+extension.Milliseconds()))
	}

	token, hash := newToken()
	g := &grant{state: st, hash: hash}
	until := now + m.o.Grace.Milliseconds()
	st.mu.Lock()
	old := st.tokens
	st.mu.Unlock()
	old = old[max(0, len(old)-(maxTokens-1)):]
	r := st.record()
	r.ExpiresAt = time.UnixMilli(end)
	r.Tokens = nil
	for _, o := range old {
		t := o.token()
		if t.Until.IsZero() {
			t.Until = time.UnixMilli(until)
		}
		if t.Until.UnixMilli() > now {
			r.Tokens = append(r.Tokens, t)
		}
	}
	r.Tokens = append(r.Tokens, g.token())
	if err := m.save(ctx, r); err != nil {
		return time.Time{}, "", err
	}

	m.mu.Lock()
	st.mu.Lock()
	kept := make([]*grant, 0, maxTokens)
	for i, o := range st.tokens {
		if o.until.Load() == 0 {
			o.until.Store(until)
		}
		if i >= len(st.tokens)-len(old) && o.until.Load() > now {
			kept = append(kept, o)
		} else {
			delete(m.byToken, o.hash)
		}
	}
	st.tokens = append(kept, g)
	m.byToken[hash] = g
	st.mu.Unlock()
	ended := st.closing()
	if ended != nil {
		// It was ended while the record was written, which brought it back.
		m.erase = append(m.erase, st.id)
	}
	m.mu.Unlock()
	if ended != nil {
		_ = m.eraseNow(ctx) // or by the next sweep
		return time.Time{}, "", ended
	}
	st.expires.Store(end)
	m.totals.refreshed.Add(1)
	return time.UnixMilli(end), token, nil
}

// Close ends a session for its owner and answers how many calls and streams
// were under way, the one that asks among them if it has begun. With force they
// are ended; without, they have Options.Grace to finish while new ones are
// refused. Either way the session does not outlive the process.
func (m *Manager) Close(ctx context.Context, s Session, force bool) (pending int, err error) {
	if err := s.Err(); err != nil {
		return 0, err
	}
	st := s.h.state
	pending = int(st.pending.Load())
	if !force && pending > 0 {
		st.terminating.CompareAndSwap(0, m.now()+m.o.Grace.Milliseconds())
		m.forget(st)
		// The last one may have left before it could see that.
		if st.pending.Load() == 0 {
			m.end(st, CauseClosed, errClosed())
		}
	} else {
		m.end(st, CauseClosed, errClosed())
	}
	return pending, m.eraseNow(ctx)
}

// Terminate ends any session for an operator, streams and all; reason is told
// to the client. An unknown id is NOT_FOUND.
func (m *Manager) Terminate(ctx context.Context, id, reason string) (pending int, err error) {
	m.mu.RLock()
	st := m.byID[id]
	m.mu.RUnlock()
	if st == nil {
		return 0, unknown(id)
	}
	pending = int(st.pending.Load())
	if !m.end(st, CauseRevoked, errRevoked(reason)) {
		return 0, unknown(id)
	}
	return pending, m.eraseNow(ctx)
}

// forget lets the record of a session that is being closed go, so that a
// restart does not bring it back.
func (m *Manager) forget(st *state) {
	if st.implicit {
		return
	}
	m.mu.Lock()
	m.erase = append(m.erase, st.id)
	m.mu.Unlock()
}

// eraseNow deletes what has ended from the store. What cannot be deleted is
// tried again by the next sweep.
func (m *Manager) eraseNow(ctx context.Context) error {
	m.mu.Lock()
	ids := m.erase
	m.erase = nil
	m.mu.Unlock()
	if len(ids) == 0 || m.store == nil {
		return nil
	}
	err := m.store.DeleteSessions(ctx, ids)
	if err != nil {
		m.mu.Lock()
		m.erase = append(m.erase, ids...)
		m.mu.Unlock()
	}
	return err
}
