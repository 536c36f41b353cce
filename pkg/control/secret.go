package control

import (
	"context"
	"crypto/rand"
	"database/sql"
	"errors"
)

// secretBytes is the length of a secret: a key for HMAC-SHA-256 or AES-256.
const secretBytes = 32

// Secret answers the gateway's own random key of that name, which is made on
// first use and kept: "cursor". It never leaves the process.
func (s *Store) Secret(ctx context.Context, name string) ([]byte, error) {
	const query = "SELECT value FROM secrets WHERE name = ?"
	var value []byte
	err := s.row(ctx, "read a secret", query, []any{name}, &value)
	if !errors.Is(err, sql.ErrNoRows) {
		return value, err
	}
	fresh := make([]byte, secretBytes)
	rand.Read(fresh)
	err = s.writer.write(ctx, "make a secret", func(t *tx) error {
		// Two callers may be here at once; the first one's stays.
		if err := t.exec("INSERT OR IGNORE INTO secrets (name, value) VALUES (?, ?)", name, fresh); err != nil {
			return err
		}
		return t.row(query, []any{name}, &value)
	}, nil)
	if err != nil {
		return nil, err
	}
	return value, nil
}
