package main

import (
	"sync"
	"time"
)

// sessions are the connections of the engine that clients asked to keep by
// session_id: settings and temporary tables live in them. A request without
// one has a connection of its own.
type sessions struct {
	engine *engine

	mu   sync.Mutex
	kept map[string]*session
}

type session struct {
	conn  *conn
	busy  bool
	until time.Time // if not busy
}

const maxSessions = 1000

// acquire gives the connection for a request, and what gives it back.
func (s *sessions) acquire(req *request) (c *conn, release func(), err error) {
	if req.session == "" {
		c, err := s.engine.connect()
		if err != nil {
			return nil, nil, err
		}
		return c, c.close, nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.sweep(time.Now())
	kept := s.kept[req.session]
	switch {
	case kept == nil && req.sessionCheck:
		return nil, nil, sessionNotFound.with("Session %s not found", req.session)
	case kept == nil && len(s.kept) >= maxSessions:
		return nil, nil, tooManyQueries.with("%d sessions are kept already", maxSessions)
	case kept != nil && kept.busy:
		return nil, nil, sessionLocked.with("Session %s is locked by a concurrent client", req.session)
	case kept == nil:
		c, err := s.engine.connect()
		if err != nil {
			return nil, nil, err
		}
		kept = &session{conn: c}
		s.kept[req.session] = kept
	}
	kept.busy = true
	return kept.conn, func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		kept.busy, kept.until = false, time.Now().Add(req.sessionTimeout)
	}, nil
}

// sweep ends the sessions that nobody has used for their time.
func (s *sessions) sweep(now time.Time) {
	for id, kept := range s.kept {
		if !kept.busy && now.After(kept.until) {
			kept.conn.close()
			delete(s.kept, id)
		}
	}
}

// close ends all of them; none may be busy.
func (s *sessions) close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for id, kept := range s.kept {
		kept.conn.close()
		delete(s.kept, id)
	}
}
