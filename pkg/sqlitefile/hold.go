package sqlitefile

import (
	"context"
	"database/sql"
	"errors"
)

// Hold takes a lock that ends with the process or with the database that it
// returns, whichever is first: a file of SQLite that nobody else can open.
func Hold(ctx context.Context, path string) (*sql.DB, error) {
	db, err := sql.Open("sqlite", dsn(path, []string{"busy_timeout(1000)", "locking_mode(EXCLUSIVE)", "journal_mode(MEMORY)"}))
	if err != nil {
		return nil, err
	}
	db.SetMaxOpenConns(1)
	db.SetMaxIdleConns(1)
	for _, q := range []string{"BEGIN EXCLUSIVE", "PRAGMA user_version = 1", "COMMIT"} {
		if _, err := db.ExecContext(ctx, q); err != nil {
			return nil, errors.Join(err, db.Close())
		}
	}
	return db, nil
}
