package sqlite

import "github.com/prism-data-layer/prism/pkg/sqlitefile"

// kind marks the file as ours in SQLite's header: "PRTS".
func kind() *sqlitefile.Kind {
	return &sqlitefile.Kind{Name: "store of time series", ID: 0x50525453, Steps: []string{schema1}}
}

// pragmas are of every connection. The rows are large and read once, so the
// cache is small.
func pragmas() []string {
	return []string{"busy_timeout(5000)", "cache_size(-2048)", "mmap_size(0)", "temp_store(MEMORY)", "trusted_schema(0)"}
}

// A piece is a chunk of events, as package series encodes it, with the times of
// its first and last. An arrival is the ids of events that arrived at one time,
// 16 bytes each, for as long as they are looked for.
const schema1 = `
CREATE TABLE meta (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE namespaces (
	id INTEGER PRIMARY KEY AUTOINCREMENT, name BLOB NOT NULL UNIQUE,
	next INTEGER NOT NULL, age INTEGER NOT NULL);
CREATE TABLE pieces (
	id INTEGER PRIMARY KEY AUTOINCREMENT, namespace INTEGER NOT NULL,
	first INTEGER NOT NULL, last INTEGER NOT NULL, events INTEGER NOT NULL, data BLOB NOT NULL);
CREATE INDEX pieces_time ON pieces (namespace, first, last);
CREATE TABLE receipts (
	n INTEGER PRIMARY KEY AUTOINCREMENT, namespace INTEGER NOT NULL, id BLOB NOT NULL,
	body BLOB NOT NULL, stored INTEGER NOT NULL, duplicates INTEGER NOT NULL, expires INTEGER NOT NULL,
	UNIQUE (namespace, id));
CREATE INDEX receipts_expires ON receipts (expires);
CREATE INDEX receipts_age ON receipts (namespace, n);
CREATE TABLE arrivals (n INTEGER PRIMARY KEY AUTOINCREMENT, namespace INTEGER NOT NULL, at INTEGER NOT NULL, ids BLOB NOT NULL);
CREATE INDEX arrivals_at ON arrivals (at);
CREATE INDEX arrivals_namespace ON arrivals (namespace, n);
`
