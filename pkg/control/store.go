package control

import (
	"context"
	"database/sql"
	"errors"
	"log/slog"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prism-data-layer/prism/pkg/auth"
	"github.com/prism-data-layer/prism/pkg/clock"
	"github.com/prism-data-layer/prism/pkg/prism"
	"github.com/prism-data-layer/prism/pkg/session"
	"github.com/prism-data-layer/prism/pkg/sqlitefile"
)

var (
	_ auth.Keys     = (*Store)(nil)
	_ session.Store = (*Store)(nil)
)

// A Store is an open control store. It is safe for concurrent use.
type Store struct {
	clock clock.Clock
	log   *slog.Logger

	writer *writer
	read   *sql.DB
	stmts  stmtCache
	audit  *auditor

	keyGeneration atomic.Uint64

	mu      sync.Mutex
	changed chan struct{} // closed and replaced by every change of a namespace
}

// Open opens the control store in the file at path, which it creates, with its
// folder, when it is not there. A file of a newer format is refused with
// NEWER_FORMAT before a byte of it is touched; a damaged one with DATA_LOSS.
func Open(ctx context.Context, path string, c clock.Clock, log *slog.Logger) (*Store, error) {
	fresh, err := kind().Prepare(path)
	if err != nil {
		return nil, openFailed(path, err)
	}
	s := &Store{clock: c, log: log, changed: make(chan struct{})}
	if err := s.open(ctx, path, fresh); err != nil {
		return nil, errors.Join(openFailed(path, err), s.closeFiles())
	}
	s.audit = newAuditor(s)
	return s, nil
}

// openFailed adds the file, which a person at the start of a gateway must know.
func openFailed(path string, err error) error {
	e := *prism.From(fault("open the control store", err))
	e.Message = e.Message + " (" + path + ")"
	return &e
}

func (s *Store) open(ctx context.Context, path string, fresh bool) error {
	conn, db, err := kind().OpenWriter(ctx, path, fresh, pragmas())
	if err != nil {
		return err
	}
	s.writer = newWriter(db, conn)
	s.writer.start()
	if s.read, err = sqlitefile.OpenReaders(path, pragmas()); err != nil {
		return err
	}
	// Two, so that a slow list does not hold up the lookup of a key; one is
	// kept open.
	s.read.SetMaxOpenConns(2)
	s.read.SetMaxIdleConns(1)
	s.stmts.db = s.read
	return s.read.PingContext(ctx)
}

// pragmas are of every connection. The cache is small, for the gateway keeps
// in memory what it asks for often.
func pragmas() []string {
	return []string{"busy_timeout(5000)", "cache_size(-256)", "mmap_size(0)", "temp_store(MEMORY)", "trusted_schema(0)"}
}

// Close writes what is left of the audit trail, folds the log into the file and
// closes it.
func (s *Store) Close() error {
	return errors.Join(s.audit.close(), s.closeFiles())
}

func (s *Store) closeFiles() error {
	var errs []error
	if s.read != nil {
		errs = append(errs, s.stmts.close(), s.read.Close())
	}
	if s.writer != nil {
		errs = append(errs, s.writer.close())
	}
	return errors.Join(errs...)
}

// Changes returns a channel that the next change of any namespace closes. Take
// it before you read, so that no change is missed:
//
//	for {
//		changed := s.Changes()
//		list, err := s.Namespaces(ctx)
//		…
//		<-changed
//	}
func (s *Store) Changes() <-chan struct{} {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.changed
}

func (s *Store) notify() {
	s.mu.Lock()
	defer s.mu.Unlock()
	close(s.changed)
	s.changed = make(chan struct{})
}

// now is what records are stamped with: milliseconds, as they are stored.
func (s *Store) now() time.Time { return s.clock.Now().UTC().Truncate(time.Millisecond) }

// millis and fromMillis store a time; the zero time is 0.
func millis(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMilli()
}

func fromMillis(ms int64) time.Time {
	if ms == 0 {
		return time.Time{}
	}
	return time.UnixMilli(ms).UTC()
}

// A Page says which part of a list is wanted.
type Page struct {
	Limit int    // at most prism.MaxPageItems; 0: that many
	After string // Next of the page before; empty: the first page
}

func (p Page) limit() int {
	if p.Limit <= 0 || p.Limit > prism.MaxPageItems {
		return prism.MaxPageItems
	}
	return p.Limit
}

// before is the row id that a list of the newest first goes on from.
func (p Page) before() (int64, error) {
	if p.After == "" {
		return 1<<63 - 1, nil
	}
	id, err := strconv.ParseInt(p.After, 10, 64)
	if err != nil || id <= 0 {
		return 0, prism.New(prism.ReasonInvalidCursor, "the cursor is not valid")
	}
	return id, nil
}
