package session

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/prism-data-layer/prism/pkg/auth"
	"github.com/prism-data-layer/prism/pkg/prism"
)

// Bounds of what a client may say of itself.
const (
	maxClientBytes   = 256
	maxMetadata      = 64
	maxMetadataBytes = 16 << 10
	maxConfigBytes   = 64 << 10
	maxNamespaces    = 1000
)

// A CreateRequest is what a client asks of a session.
type CreateRequest struct {
	Namespaces    []prism.Namespace // narrows the session to these; empty: no narrowing
	ClientID      string
	ClientVersion string
	Metadata      map[string]string
	Config        Config
}

func (r CreateRequest) check() error {
	var wrong []prism.FieldError
	field := func(bad bool, name, message string) {
		if bad {
			wrong = append(wrong, prism.FieldError{Field: name, Message: message})
		}
	}
	field(len(r.ClientID) > maxClientBytes, "client_id", "must be at most 256 bytes")
	field(len(r.ClientVersion) > maxClientBytes, "client_version", "must be at most 256 bytes")
	bytes := 0
	for k, v := range r.Metadata {
		bytes += len(k) + len(v)
	}
	field(len(r.Metadata) > maxMetadata || bytes > maxMetadataBytes, "metadata", "must have at most 64 entries and 16 KiB")
	field(len(r.Namespaces) > maxNamespaces, "namespaces", "must have at most 1000 entries")
	for i, ns := range r.Namespaces {
		field(!prism.ValidName(string(ns)), fmt.Sprintf("namespaces[%d]", i), "must match [a-z][a-z0-9-]{0,62}")
	}
	field(len(r.Config.Body) > maxConfigBytes, "inline_config", "must be at most 64 KiB")
	if len(wrong) == 0 {
		return nil
	}
	e := prism.New(prism.ReasonInvalidArgument, "%s %s", wrong[0].Field, wrong[0].Message)
	e.Fields = wrong
	return e
}

// Create makes an explicit session and answers its token, which is not kept:
// this is the only time that it is seen. The session is durable by then.
func (m *Manager) Create(ctx context.Context, who auth.Principal, r CreateRequest) (Session, string, error) {
	if who.IsZero() {
		return Session{}, "", prism.New(prism.ReasonUnauthenticated, "the call carries no valid credential")
	}
	if err := r.check(); err != nil {
		return Session{}, "", err
	}
	if err := m.reserve(who.Name()); err != nil {
		return Session{}, "", err
	}
	now := m.now()
	st := m.newState(auth.RandomText(idLen), who, now)
	if len(r.Namespaces) > 0 {
		st.namespaces = slices.Compact(slices.Sorted(slices.Values(r.Namespaces)))
	}
	st.clientID, st.clientVersion, st.metadata, st.config = r.ClientID, r.ClientVersion, r.Metadata, r.Config
	st.expires.Store(now + m.o.Lifetime.Milliseconds())
	token, hash := newToken()
	st.tokens = []*grant{{state: st, hash: hash}}
	if err := m.save(ctx, st.record()); err != nil {
		m.release(who.Name())
		// Whether the record reached the disk is not known.
		m.mu.Lock()
		m.erase = append(m.erase, st.id)
		m.mu.Unlock()
		return Session{}, "", err
	}
	h, err := st.hold(who)
	if err != nil {
		return Session{}, "", err
	}
	m.mu.Lock()
	m.byID[st.id] = st
	m.byToken[hash] = st.tokens[0]
	m.mu.Unlock()
	m.totals.created.Add(1)
	m.log.Debug("session created", "session", st.id, "principal", st.principal, "client", st.clientID)
	return Session{h, who}, token, nil
}

// reserve takes a place for a session before the disk is asked.
func (m *Manager) reserve(principal string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	switch {
	case m.explicit[principal] >= m.o.MaxPerPrincipal:
		return prism.New(prism.ReasonQuotaExceeded, "you have %d sessions, which is the most", m.o.MaxPerPrincipal).
			WithQuota("principal:"+principal, fmt.Sprintf("at most %d sessions for a principal", m.o.MaxPerPrincipal))
	case m.living >= m.o.MaxTotal:
		return prism.New(prism.ReasonQuotaExceeded, "the gateway has %d sessions, which is the most", m.o.MaxTotal).
			WithQuota("gateway", fmt.Sprintf("at most %d sessions", m.o.MaxTotal))
	}
	m.explicit[principal]++
	m.living++
	return nil
}

func (m *Manager) release(principal string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.living--
	if m.explicit[principal]--; m.explicit[principal] <= 0 {
		delete(m.explicit, principal)
	}
}

func (m *Manager) save(ctx context.Context, r Record) error {
	if m.store == nil {
		return nil
	}
	return m.store.SaveSession(ctx, r)
}

// record is what is stored of a session that nobody else changes meanwhile.
func (st *state) record() Record {
	r := Record{
		ID: st.id, Principal: st.principal, KeyID: st.keyID,
		Namespaces: st.namespaces, ClientID: st.clientID, ClientVersion: st.clientVersion,
		Metadata: st.metadata, Config: st.config,
		CreatedAt: time.UnixMilli(st.created), ExpiresAt: time.UnixMilli(st.expires.Load()),
		LastActivity: time.UnixMilli(st.active.Load()),
		Requests:     st.requests.Load(), BytesIn: st.bytesIn.Load(), BytesOut: st.bytesOut.Load(),
	}
	for _, g := range st.tokens {
		r.Tokens = append(r.Tokens, g.token())
	}
	return r
}

func (g *grant) token() Token {
	t := Token{Hash: g.hash}
	if until := g.until.Load(); until != 0 {
		t.Until = time.UnixMilli(until)
	}
	return t
}
