package control

import (
	"context"
	"database/sql"

	"github.com/prism-data-layer/prism/pkg/prism"
	"github.com/prism-data-layer/prism/pkg/session"
)

// SaveSession implements session.Store.
func (s *Store) SaveSession(ctx context.Context, r session.Record) error {
	body, err := seal(r)
	if err != nil {
		return prism.Internal(err)
	}
	return s.writer.write(ctx, "store a session", func(t *tx) error {
		return t.exec("INSERT OR REPLACE INTO sessions (id, body, active, requests, bytes_in, bytes_out) VALUES (?, ?, ?, ?, ?, ?)",
			r.ID, body, millis(r.LastActivity), r.Requests, r.BytesIn, r.BytesOut)
	}, nil)
}

// TouchSessions implements session.Store.
func (s *Store) TouchSessions(ctx context.Context, touches []session.Touch) error {
	return s.writer.write(ctx, "note the activity of sessions", func(t *tx) error {
		for _, c := range touches {
			if err := t.exec("UPDATE sessions SET active = ?, requests = ?, bytes_in = ?, bytes_out = ? WHERE id = ?",
				millis(c.LastActivity), c.Requests, c.BytesIn, c.BytesOut, c.ID); err != nil {
				return err
			}
		}
		return nil
	}, nil)
}

// DeleteSessions implements session.Store.
func (s *Store) DeleteSessions(ctx context.Context, ids []string) error {
	return s.writer.write(ctx, "delete sessions", func(t *tx) error {
		for _, id := range ids {
			if err := t.exec("DELETE FROM sessions WHERE id = ?", id); err != nil {
				return err
			}
		}
		return nil
	}, nil)
}

// LoadSessions implements session.Store. A damaged record is left out and said
// in the log: its client opens another session, and the gateway starts.
func (s *Store) LoadSessions(ctx context.Context) ([]session.Record, error) {
	var list []session.Record
	err := s.query(ctx, "load the sessions", "SELECT id, body, active, requests, bytes_in, bytes_out FROM sessions", nil, func(rows *sql.Rows) error {
		var r session.Record
		var id, body string
		var active, requests, in, out int64
		if err := rows.Scan(&id, &body, &active, &requests, &in, &out); err != nil {
			return err
		}
		if err := unseal("a session", body, &r); err != nil {
			s.log.Warn("stored session is damaged and left out", "session", id, "error", err)
			return nil
		}
		r.LastActivity, r.Requests, r.BytesIn, r.BytesOut = fromMillis(active), requests, in, out
		list = append(list, r)
		return nil
	})
	return list, err
}
