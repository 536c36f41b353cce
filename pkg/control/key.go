package control

import (
	"context"
	"database/sql"
	"encoding/hex"
	"errors"
	"time"

	"github.com/prism-data-layer/prism/pkg/auth"
	"github.com/prism-data-layer/prism/pkg/prism"
)

// keyBody is what never changes of a key. Principal and roles are in it, under
// its checksum: a flipped bit must not make an admin.
type keyBody struct {
	Principal   string   `json:"principal"`
	Roles       []string `json:"roles,omitempty"`
	Hash        string   `json:"hash"`
	Description string   `json:"description,omitempty"`
	Expires     int64    `json:"expires,omitempty"`
}

// CreateKey stores the record of a new key; see auth.NewKey.
func (s *Store) CreateKey(ctx context.Context, r auth.KeyRecord) error {
	body, err := seal(keyBody{r.Principal, r.Roles, hex.EncodeToString(r.Hash[:]), r.Description, millis(r.ExpiresAt)})
	if err != nil {
		return prism.Internal(err)
	}
	return s.writer.write(ctx, "create a key", func(t *tx) error {
		n, err := t.execCount("INSERT OR IGNORE INTO keys (id, principal, created, body) VALUES (?, ?, ?, ?)", r.ID, r.Principal, millis(r.CreatedAt), body)
		if err == nil && n == 0 {
			return prism.New(prism.ReasonAlreadyExists, "key %q already exists", r.ID)
		}
		return err
	}, func() { s.keyGeneration.Add(1) })
}

const selectKey = "SELECT id, created, used, revoked, body FROM keys WHERE id = ?"

// Key implements auth.Keys.
func (s *Store) Key(ctx context.Context, id string) (auth.KeyRecord, error) {
	var row keyRow
	err := s.row(ctx, "read a key", selectKey, []any{id}, row.into()...)
	return row.record(id, err)
}

// keyRow is a row of keys.
type keyRow struct {
	id                     string
	created, used, revoked int64
	body                   string
}

func (k *keyRow) into() []any { return []any{&k.id, &k.created, &k.used, &k.revoked, &k.body} }

func (k *keyRow) record(id string, err error) (r auth.KeyRecord, _ error) {
	switch {
	case errors.Is(err, sql.ErrNoRows):
		return r, prism.NotFound("key", id)
	case err != nil:
		return r, err
	}
	var body keyBody
	if err := unseal("a key", k.body, &body); err != nil {
		return r, err
	}
	r = auth.KeyRecord{
		ID: k.id, Principal: body.Principal, Roles: body.Roles, Description: body.Description,
		CreatedAt: fromMillis(k.created), ExpiresAt: fromMillis(body.Expires),
		LastUsedAt: fromMillis(k.used), RevokedAt: fromMillis(k.revoked),
	}
	if n, err := hex.Decode(r.Hash[:], []byte(body.Hash)); err != nil || n != len(r.Hash) {
		return auth.KeyRecord{}, dataLoss("read a key", errors.New("hash malformed"))
	}
	return r, nil
}

// KeyGeneration implements auth.Keys.
func (s *Store) KeyGeneration() uint64 { return s.keyGeneration.Load() }

// KeysUsed implements auth.Keys.
func (s *Store) KeysUsed(ctx context.Context, at map[string]time.Time) error {
	return s.writer.write(ctx, "note the use of keys", func(t *tx) error {
		for id, used := range at {
			if err := t.exec("UPDATE keys SET used = max(used, ?) WHERE id = ?", millis(used), id); err != nil {
				return err
			}
		}
		return nil
	}, nil)
}

// Keys lists the keys, the oldest first.
func (s *Store) Keys(ctx context.Context, includeRevoked bool) ([]auth.KeyRecord, error) {
	var list []auth.KeyRecord
	err := s.query(ctx, "list the keys", "SELECT id, created, used, revoked, body FROM keys WHERE revoked = 0 OR ? ORDER BY created, id",
		[]any{includeRevoked}, func(rows *sql.Rows) error {
			var row keyRow
			r, err := row.record("", rows.Scan(row.into()...))
			if err == nil {
				list = append(list, r)
			}
			return err
		})
	return list, err
}

// RevokeKey ends a key and answers its record. Once it has answered, every
// Authenticator on this store refuses the key. Revoking again changes nothing.
func (s *Store) RevokeKey(ctx context.Context, id string) (auth.KeyRecord, error) {
	var r auth.KeyRecord
	err := s.writer.write(ctx, "revoke a key", func(t *tx) error {
		if err := t.exec("UPDATE keys SET revoked = ? WHERE id = ? AND revoked = 0", millis(s.now()), id); err != nil {
			return err
		}
		var row keyRow
		var err error
		r, err = row.record(id, t.row(selectKey, []any{id}, row.into()...))
		return err
	}, func() { s.keyGeneration.Add(1) })
	if err != nil {
		return auth.KeyRecord{}, err
	}
	return r, nil
}
