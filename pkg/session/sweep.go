package session

import (
	"context"
	"time"
)

const (
	sweepPeriod = 500 * time.Millisecond // an end is noticed within a second
	touchPeriod = 30 * time.Second       // how far the store's last activity is behind

	// How long, and for how many, an ended session's token is answered with
	// why it ended; after that it is one that nobody knows.
	goneFor = 10 * time.Minute
	goneMax = 10_000
)

// Load brings back the sessions of the store; call it once, before the first
// Open. A session whose client could not be heard while the gateway was down
// has Options.Grace to be heard now.
func (m *Manager) Load(ctx context.Context) error {
	if m.store == nil {
		return nil
	}
	records, err := m.store.LoadSessions(ctx)
	if err != nil {
		return err
	}
	now := m.now()
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, r := range records {
		if r.ExpiresAt.UnixMilli() <= now {
			m.erase = append(m.erase, r.ID)
			continue
		}
		m.restore(r, now)
	}
	m.log.Info("sessions loaded", "sessions", m.living, "expired", len(records)-m.living)
	return nil
}

func (m *Manager) restore(r Record, now int64) {
	st := &state{
		m: m, id: r.ID, principal: r.Principal, keyID: r.KeyID,
		namespaces: r.Namespaces, clientID: r.ClientID, clientVersion: r.ClientVersion,
		metadata: r.Metadata, config: r.Config, created: r.CreatedAt.UnixMilli(),
	}
	st.expires.Store(r.ExpiresAt.UnixMilli())
	heard := now - m.o.Idle.Milliseconds() + min(m.o.Grace, m.o.Idle).Milliseconds()
	st.active.Store(min(now, max(r.LastActivity.UnixMilli(), heard)))
	st.saved.Store(r.LastActivity.UnixMilli())
	st.requests.Store(r.Requests)
	st.bytesIn.Store(r.BytesIn)
	st.bytesOut.Store(r.BytesOut)
	for _, t := range r.Tokens {
		g := &grant{state: st, hash: t.Hash}
		if !t.Until.IsZero() {
			g.until.Store(t.Until.UnixMilli())
		}
		st.tokens = append(st.tokens, g)
		m.byToken[t.Hash] = g
	}
	m.byID[st.id] = st
	m.explicit[st.principal]++
	m.living++
	m.totals.restored.Add(1)
}

// Run ends what is over and tells the store what changed, until ctx ends; then
// it tells it once more.
func (m *Manager) Run(ctx context.Context) error {
	touched := m.clock.Now()
	for {
		t := m.clock.NewTimer(sweepPeriod)
		select {
		case <-ctx.Done():
			t.Stop()
			ctx = context.WithoutCancel(ctx)
			if err := m.eraseNow(ctx); err != nil {
				return err
			}
			return m.Flush(ctx)
		case now := <-t.C:
			m.Sweep(ctx)
			if now.Sub(touched) >= touchPeriod {
				touched = now
				if err := m.Flush(ctx); err != nil && ctx.Err() == nil {
					m.log.Warn("session activity not saved", "error", err)
				}
			}
		}
	}
}

// Sweep ends at once what is over: sessions by their times, and holds of
// credentials that expired or were revoked. Run does it twice a second.
func (m *Manager) Sweep(ctx context.Context) {
	now := m.clock.Now()
	ms := now.UnixMilli()
	m.coarse.Store(ms)
	m.mu.RLock()
	var over []*state
	for _, st := range m.byID {
		if cause, _ := st.due(ms); cause != "" {
			over = append(over, st)
			continue
		}
		st.endDeadHolds(now)
	}
	m.mu.RUnlock()
	for _, st := range over {
		if cause, err := st.due(ms); err != nil {
			m.end(st, cause, err)
		}
	}
	m.dropGone(ms)
	if err := m.eraseNow(ctx); err != nil && ctx.Err() == nil {
		m.log.Warn("ended sessions not deleted from the store, trying again", "error", err)
	}
}

// endDeadHolds ends what was opened with a credential that no longer holds.
// The session lives on for other credentials of its principal.
func (st *state) endDeadHolds(now time.Time) {
	if h := st.first.Load(); h != nil && !h.who.Live(now) {
		h.finish(errCredential())
	}
	st.mu.Lock()
	defer st.mu.Unlock()
	kept := st.others[:0]
	for _, h := range st.others {
		if h.who.Live(now) {
			kept = append(kept, h)
		} else {
			h.finish(errCredential())
		}
	}
	clear(st.others[len(kept):])
	st.others = kept
}

// dropGone forgets sessions that ended long ago, and their tokens with them.
func (m *Manager) dropGone(now int64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	n := 0
	for n < len(m.gone) && (len(m.gone)-n > goneMax || now-m.gone[n].ended >= goneFor.Milliseconds()) {
		st := m.gone[n]
		st.mu.Lock()
		for _, g := range st.tokens {
			delete(m.byToken, g.hash)
		}
		st.mu.Unlock()
		n++
	}
	if n > 0 {
		m.gone = append([]*state(nil), m.gone[n:]...)
	}
}

// Flush tells the store the last activity and the counts of sessions that were
// used since the last time.
func (m *Manager) Flush(ctx context.Context) error {
	if m.store == nil {
		return nil
	}
	var touches []Touch
	var touched []*state
	m.mu.RLock()
	for _, st := range m.byID {
		if active := st.active.Load(); !st.implicit && active > st.saved.Load() {
			touches = append(touches, Touch{
				ID: st.id, LastActivity: time.UnixMilli(active),
				Requests: st.requests.Load(), BytesIn: st.bytesIn.Load(), BytesOut: st.bytesOut.Load(),
			})
			touched = append(touched, st)
		}
	}
	m.mu.RUnlock()
	if len(touches) == 0 {
		return nil
	}
	if err := m.store.TouchSessions(ctx, touches); err != nil {
		return err
	}
	for i, st := range touched {
		st.saved.Store(touches[i].LastActivity.UnixMilli())
	}
	return nil
}
