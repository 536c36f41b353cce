package control

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"

	"github.com/prism-data-layer/prism/pkg/prism"
)

// Format is the version of the file that this program writes. It stands in the
// file's header (PRAGMA user_version) and in the table meta.
const Format = 1

// applicationID marks the file as ours in SQLite's header: "PRSM".
const applicationID = 0x5052534d

// Where SQLite keeps things: https://www.sqlite.org/fileformat2.html
const (
	headerSize       = 100
	magic            = "SQLite format 3\x00"
	pageCountAt      = 28
	userVersionAt    = 60
	applicationIDAt  = 68
	walHeaderSize    = 32
	walFrameHeader   = 24
	walPageSizeAt    = 8
	smallestPageSize = 512
	largestPageSize  = 65536
)

// foldLog moves what is in the log into the file.
const foldLog = "PRAGMA wal_checkpoint(TRUNCATE)"

// checkFormat reads the header of the file without SQLite, which could write
// even while it only opens: replaying its log, changing its mode. A file that
// is empty is a new one.
func checkFormat(path string) error {
	header, err := readHead(path, headerSize)
	switch {
	case err != nil:
		return prism.New(prism.ReasonUnavailable, "cannot read the control store").WithCause(err)
	case len(header) == 0:
		return nil
	case len(header) < headerSize || string(header[:len(magic)]) != magic:
		return prism.New(prism.ReasonDataLoss, "the file is damaged, or is not a control store; restore it from a copy")
	}
	version := binary.BigEndian.Uint32(header[userVersionAt:])
	// A newer program that was killed may have its format only in the log.
	logged, err := walVersion(path + "-wal")
	if err != nil {
		return prism.New(prism.ReasonUnavailable, "cannot read the log of the control store").WithCause(err)
	}
	if v := max(version, logged); v > Format {
		return newerFormat(v)
	}
	// One whose making was cut short has no id yet, and no table: one page.
	id, pages := binary.BigEndian.Uint32(header[applicationIDAt:]), binary.BigEndian.Uint32(header[pageCountAt:])
	if unborn := id == 0 && version == 0 && pages <= 1; id != applicationID && !unborn {
		return prism.New(prism.ReasonInvalidConfig, "the file is an SQLite database of another program")
	}
	return nil
}

func newerFormat(version uint32) error {
	return prism.New(prism.ReasonNewerFormat, "the control store has format %d, and this program knows format %d", version, Format)
}

func readHead(path string, n int) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	b := make([]byte, n)
	n, err = io.ReadFull(f, b)
	if err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
		return nil, err
	}
	return b[:n], nil
}

// walVersion finds the highest format in the log's copies of the first page.
// Copies of a transaction that was not finished count too: refusing is safe.
func walVersion(path string) (uint32, error) {
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	defer f.Close()
	var head [walHeaderSize]byte
	if _, err := io.ReadFull(f, head[:]); err != nil {
		return 0, nil // empty, or cut before the first frame
	}
	size := int64(binary.BigEndian.Uint32(head[walPageSizeAt:]))
	if size < smallestPageSize || size > largestPageSize {
		return 0, nil // not a log: SQLite passes over it
	}
	var version uint32
	frame := make([]byte, walFrameHeader+headerSize)
	for at := int64(walHeaderSize); ; at += walFrameHeader + size {
		if _, err := f.ReadAt(frame, at); err != nil {
			return version, nil
		}
		page := frame[walFrameHeader:]
		if binary.BigEndian.Uint32(frame) == 1 && string(page[:len(magic)]) == magic {
			version = max(version, binary.BigEndian.Uint32(page[userVersionAt:]))
		}
	}
}

// checkedSize bounds the check of the whole file at the start: the time grows
// with the file, and the audit trail may be long. Beyond it, damage is reported
// where it is met.
const checkedSize = 32 << 20

// prepare checks the file and brings its format up to date.
func (w *writer) prepare(ctx context.Context, fresh bool) error {
	conn := w.tx.conn
	var version uint32
	if err := conn.QueryRowContext(ctx, "PRAGMA user_version").Scan(&version); err != nil {
		return err
	}
	if version > Format {
		return newerFormat(version)
	}
	if !fresh {
		if err := w.check(ctx); err != nil {
			return err
		}
	}
	if version == Format {
		return nil
	}
	if err := w.migrate(ctx, version); err != nil {
		return err
	}
	// The header must tell the format even if this process is killed now.
	_, err := conn.ExecContext(ctx, foldLog)
	return err
}

func (w *writer) check(ctx context.Context) error {
	var pages, size int64
	if err := w.tx.conn.QueryRowContext(ctx, "PRAGMA page_count").Scan(&pages); err != nil {
		return err
	}
	if err := w.tx.conn.QueryRowContext(ctx, "PRAGMA page_size").Scan(&size); err != nil {
		return err
	}
	if pages*size > checkedSize {
		return nil
	}
	var verdict string
	if err := w.tx.conn.QueryRowContext(ctx, "PRAGMA quick_check(1)").Scan(&verdict); err != nil {
		return err
	}
	if verdict != "ok" {
		return dataLoss("check the control store", errors.New(verdict))
	}
	return nil
}

// migrate runs the steps from version to Format in one transaction.
func (w *writer) migrate(ctx context.Context, version uint32) (err error) {
	conn := w.tx.conn
	if _, err := conn.ExecContext(ctx, "BEGIN IMMEDIATE"); err != nil {
		return err
	}
	defer func() {
		if err != nil {
			_, rerr := conn.ExecContext(ctx, "ROLLBACK")
			err = errors.Join(err, rerr)
		}
	}()
	for _, step := range migrations()[version:] {
		if _, err := conn.ExecContext(ctx, step); err != nil {
			return err
		}
	}
	for _, q := range []string{
		fmt.Sprintf("INSERT OR REPLACE INTO meta (name, value) VALUES ('format', '%d')", Format),
		fmt.Sprintf("PRAGMA application_id = %d", applicationID),
		fmt.Sprintf("PRAGMA user_version = %d", Format),
		"COMMIT",
	} {
		if _, err := conn.ExecContext(ctx, q); err != nil {
			return err
		}
	}
	return nil
}

// migrations lists the steps; step i takes format i to i+1. A step is never
// changed once it was released.
func migrations() []string { return []string{schema1} }

// Bodies are sealed JSON: see seal. Times are Unix milliseconds, 0 for none.
const schema1 = `
CREATE TABLE meta (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE namespaces (name TEXT PRIMARY KEY, revision INTEGER NOT NULL, body TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE namespace_events (
	id INTEGER PRIMARY KEY AUTOINCREMENT,
	name TEXT NOT NULL, revision INTEGER NOT NULL, time INTEGER NOT NULL,
	kind TEXT NOT NULL, actor TEXT NOT NULL, detail TEXT NOT NULL);
CREATE INDEX namespace_events_name ON namespace_events (name, id);
CREATE TABLE configs (
	id INTEGER PRIMARY KEY AUTOINCREMENT,
	name TEXT NOT NULL, version TEXT NOT NULL, pattern TEXT NOT NULL, namespace TEXT NOT NULL, body TEXT NOT NULL,
	UNIQUE (name, version));
CREATE TABLE backends (name TEXT PRIMARY KEY, body TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE keys (
	id TEXT PRIMARY KEY, principal TEXT NOT NULL, created INTEGER NOT NULL,
	used INTEGER NOT NULL DEFAULT 0, revoked INTEGER NOT NULL DEFAULT 0, body TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE sessions (
	id TEXT PRIMARY KEY, body TEXT NOT NULL,
	active INTEGER NOT NULL, requests INTEGER NOT NULL, bytes_in INTEGER NOT NULL, bytes_out INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE audit (
	id INTEGER PRIMARY KEY AUTOINCREMENT,
	time INTEGER NOT NULL, actor TEXT NOT NULL, method TEXT NOT NULL, resource TEXT NOT NULL,
	decision TEXT NOT NULL, result TEXT NOT NULL, request TEXT NOT NULL, trace TEXT NOT NULL,
	peer TEXT NOT NULL, latency INTEGER NOT NULL);
CREATE INDEX audit_time ON audit (time);
CREATE INDEX audit_actor ON audit (actor, id);
CREATE INDEX audit_resource ON audit (resource, id);
CREATE TABLE operations (
	id TEXT PRIMARY KEY, kind TEXT NOT NULL, resource TEXT NOT NULL, actor TEXT NOT NULL,
	state INTEGER NOT NULL, message TEXT NOT NULL, started INTEGER NOT NULL, ended INTEGER NOT NULL) WITHOUT ROWID;
CREATE INDEX operations_running ON operations (started) WHERE state = 1;
CREATE TABLE state (scope TEXT NOT NULL, key TEXT NOT NULL, value BLOB NOT NULL, PRIMARY KEY (scope, key)) WITHOUT ROWID;
CREATE TABLE secrets (name TEXT PRIMARY KEY, value BLOB NOT NULL) WITHOUT ROWID;
`
