// Package sqlitefile opens files of SQLite that are ours: each of one kind and
// format, which stand in its header. What is newer than this program, damaged,
// or somebody else's is refused before a byte of it is touched.
package sqlitefile

import (
	"context"
	"database/sql"
	"errors"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"

	_ "modernc.org/sqlite" // the driver "sqlite"

	"github.com/prism-data-layer/prism/pkg/prism"
)

// A Kind is what a file is. Its first step makes a table meta with the columns
// name and value.
type Kind struct {
	Name string // for people: "control store"
	ID   uint32 // the application's, in SQLite's header
	// Steps are SQL texts of which the i-th takes format i to i+1. None is ever
	// changed once it was released.
	Steps []string
}

// Format is what this program writes.
func (k *Kind) Format() uint32 { return uint32(len(k.Steps)) }

// OpenWriter opens the one connection that writes, after Prepare, and brings the
// file's format up to date. What is committed is synced.
func (k *Kind) OpenWriter(ctx context.Context, path string, fresh bool, pragmas []string) (*sql.Conn, *sql.DB, error) {
	db, err := sql.Open("sqlite", dsn(path, append(pragmas, "journal_mode(WAL)", "synchronous("+synchronous+")")))
	if err != nil {
		return nil, nil, err
	}
	db.SetMaxOpenConns(1)
	conn, err := db.Conn(ctx)
	if err != nil {
		return nil, nil, errors.Join(err, db.Close())
	}
	if err := k.prepare(ctx, conn, fresh); err != nil {
		return nil, nil, errors.Join(err, conn.Close(), db.Close())
	}
	return conn, db, nil
}

// OpenReaders opens connections that only read.
func OpenReaders(path string, pragmas []string) (*sql.DB, error) {
	return sql.Open("sqlite", dsn(path, append(pragmas, "query_only(1)")))
}

// dsn is a file: URI, so that a path may hold any character.
func dsn(path string, pragmas []string) string {
	q := url.Values{"_pragma": pragmas}
	u := url.URL{Scheme: "file", Opaque: (&url.URL{Path: filepath.ToSlash(path)}).EscapedPath(), RawQuery: q.Encode()}
	return u.String()
}

// Prepare makes the folder and the file for the owner alone, and refuses
// what it should not touch. fresh: there is nothing in it yet.
func (k *Kind) Prepare(path string) (fresh bool, err error) {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return false, prism.New(prism.ReasonInvalidConfig, "cannot make the folder of the %s", k.Name).WithCause(err)
	}
	info, err := os.Lstat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		// SQLite gives its other files the mode of this one.
		f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_RDWR, 0o600)
		if err != nil {
			return false, prism.New(prism.ReasonInvalidConfig, "cannot make the %s", k.Name).WithCause(err)
		}
		return true, f.Close()
	case err != nil:
		return false, prism.New(prism.ReasonInvalidConfig, "cannot look at the %s", k.Name).WithCause(err)
	case !info.Mode().IsRegular():
		return false, prism.New(prism.ReasonInvalidConfig, "the %s is not a regular file", k.Name)
	}
	if err := k.check(path); err != nil {
		return false, err
	}
	if info.Mode().Perm()&0o077 != 0 {
		if err := os.Chmod(path, 0o600); err != nil {
			return false, prism.New(prism.ReasonInvalidConfig, "others may read the %s", k.Name).WithCause(err)
		}
	}
	return info.Size() == 0, nil
}
