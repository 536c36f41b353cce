package control

import (
	"context"
	"database/sql"
	"errors"
	"time"

	"github.com/prism-data-layer/prism/pkg/prism"
)

// A Backend is a declared one, as it was seen at a start of the gateway, or one
// that an operator has added. A declared one is kept so that a change of driver
// under existing data is noticed, an added one so that it is there again.
type Backend struct {
	Name        string `json:"name"`
	Driver      string `json:"driver"`
	OptionsHash string `json:"options_hash,omitempty"` // never the options: they may hold passwords
	DeclaredIn  string `json:"declared_in,omitempty"`
	Added       bool   `json:"added,omitempty"`
	// Options of an added one, as they were given; secrets are refused in them.
	Options   map[string]string `json:"options,omitempty"`
	FirstSeen time.Time         `json:"first_seen"`
	LastSeen  time.Time         `json:"last_seen"`
}

// SaveBackend stores b, keeping when it was first seen, and answers what was
// known before (zero: nothing).
func (s *Store) SaveBackend(ctx context.Context, b Backend) (before Backend, err error) {
	if !prism.ValidName(b.Name) {
		return before, prism.InvalidField("name", "must match [a-z][a-z0-9-]{0,62}")
	}
	err = s.writer.write(ctx, "store a backend", func(t *tx) error {
		var body string
		err := t.row("SELECT body FROM backends WHERE name = ?", []any{b.Name}, &body)
		if err == nil {
			err = unseal("a backend", body, &before)
		}
		if err != nil && !errors.Is(err, sql.ErrNoRows) {
			return err
		}
		b.LastSeen = s.now()
		if b.FirstSeen = before.FirstSeen; b.FirstSeen.IsZero() {
			b.FirstSeen = b.LastSeen
		}
		if body, err = seal(b); err != nil {
			return err
		}
		return t.exec("INSERT OR REPLACE INTO backends (name, body) VALUES (?, ?)", b.Name, body)
	}, nil)
	if err != nil {
		return Backend{}, err
	}
	return before, nil
}

// Backend finds what is known of a backend; NOT_FOUND if nothing is.
func (s *Store) Backend(ctx context.Context, name string) (Backend, error) {
	list, err := s.Backends(ctx)
	if err != nil {
		return Backend{}, err
	}
	for _, b := range list {
		if b.Name == name {
			return b, nil
		}
	}
	return Backend{}, prism.NotFound("backend", name)
}

// Backends lists all that were ever declared and not removed, by name.
func (s *Store) Backends(ctx context.Context) ([]Backend, error) {
	var list []Backend
	err := s.query(ctx, "list the backends", "SELECT body FROM backends ORDER BY name", nil, func(rows *sql.Rows) error {
		var body string
		if err := rows.Scan(&body); err != nil {
			return err
		}
		var b Backend
		if err := unseal("a backend", body, &b); err != nil {
			return err
		}
		list = append(list, b)
		return nil
	})
	return list, err
}

// RemoveBackend forgets a backend; one that is not there is no error.
func (s *Store) RemoveBackend(ctx context.Context, name string) error {
	return s.writer.write(ctx, "remove a backend", func(t *tx) error {
		return t.exec("DELETE FROM backends WHERE name = ?", name)
	}, nil)
}
