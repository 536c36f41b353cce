package control

import "github.com/prism-data-layer/prism/pkg/sqlitefile"

// Format is the version of the file that this program writes.
const Format = 2

// kind marks the file as ours in SQLite's header: "PRSM".
func kind() *sqlitefile.Kind {
	return &sqlitefile.Kind{Name: "control store", ID: 0x5052534d, Steps: []string{schema1, schema2}}
}

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

const schema2 = `
ALTER TABLE audit ADD COLUMN calls INTEGER NOT NULL DEFAULT 1;
ALTER TABLE audit ADD COLUMN detail TEXT NOT NULL DEFAULT '';
`
