package control

import (
	"context"
	"database/sql"
	"errors"
	"strings"
)

// A State is a small table of a pattern's own: positions, leases, progress.
// Scopes share no keys.
type State struct {
	s     *Store
	scope string
}

// State is the table of scope, such as "outbox/orders".
func (s *Store) State(scope string) State { return State{s, scope} }

// Get answers the value of key; found is false if there is none.
func (st State) Get(ctx context.Context, key string) (value []byte, found bool, err error) {
	err = st.s.row(ctx, "read the state of a pattern", "SELECT value FROM state WHERE scope = ? AND key = ?", []any{st.scope, key}, &value)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, false, nil
	}
	return value, err == nil, err
}

// Put stores a value.
func (st State) Put(ctx context.Context, key string, value []byte) error {
	if value == nil {
		value = []byte{}
	}
	return st.s.writer.write(ctx, "write the state of a pattern", func(t *tx) error {
		return t.exec("INSERT OR REPLACE INTO state (scope, key, value) VALUES (?, ?, ?)", st.scope, key, value)
	}, nil)
}

// Delete removes a key; one that is not there is no error.
func (st State) Delete(ctx context.Context, key string) error {
	return st.s.writer.write(ctx, "write the state of a pattern", func(t *tx) error {
		return t.exec("DELETE FROM state WHERE scope = ? AND key = ?", st.scope, key)
	}, nil)
}

// List calls each for every key that begins with prefix, in order of bytes.
func (st State) List(ctx context.Context, prefix string, each func(key string, value []byte) error) error {
	return st.s.query(ctx, "list the state of a pattern", "SELECT key, value FROM state WHERE scope = ? AND key >= ? ORDER BY key",
		[]any{st.scope, prefix}, func(rows *sql.Rows) error {
			var key string
			var value []byte
			if err := rows.Scan(&key, &value); err != nil || !strings.HasPrefix(key, prefix) {
				return err
			}
			return each(key, value)
		})
}
