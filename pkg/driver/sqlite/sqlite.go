// Package sqlite keeps time series in one SQLite file: durable, for
// development and small installations.
//
// Events lie in pieces, chunks of columns that package series makes; SQLite
// finds pieces by time and makes what is written one unit. One goroutine
// writes. What waits while the disk is busy goes into one transaction and
// shares its sync. The pieces of each namespace are listed in memory; readers
// fetch those that they need.
package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"sync/atomic"

	"github.com/prism-data-layer/prism/pkg/clock"
	"github.com/prism-data-layer/prism/pkg/driver"
	"github.com/prism-data-layer/prism/pkg/prism"
	"github.com/prism-data-layer/prism/pkg/sqlitefile"
)

// Spec describes the sqlite driver.
func Spec() driver.Spec {
	return driver.Spec{
		Name: "sqlite",
		Doc:  "keeps time series in an SQLite file, durably, at development scale",
		Open: open,
	}
}

var (
	_ driver.Store                 = (*store)(nil)
	_ driver.TimeSeries            = (*store)(nil)
	_ driver.TimeSeriesAggregation = (*store)(nil)
	_ driver.TimeSeriesRetention   = (*store)(nil)
)

// readers is how many queries read the file at once.
const readers = 4

type store struct {
	backend string
	path    string
	opts    options
	clock   clock.Clock
	log     *slog.Logger

	lock   *sql.DB // holds the folder
	db     *sql.DB // of the writer
	conn   *sql.Conn
	read   *sql.DB
	pieces *sql.Stmt // one, by its id

	mu     sync.RWMutex
	spaces map[prism.Namespace]*space // the writer alone changes it and what is in it

	closed   atomic.Bool
	requests chan *request
	quit     chan struct{} // closed to stop
	written  chan struct{} // closed when the writer has ended
	stopped  sync.WaitGroup
	poke     chan struct{} // a retention was set
	failed   atomic.Pointer[prism.Error]
}

func open(ctx context.Context, c driver.Config) (driver.Set, error) {
	var opts options
	if err := c.Decode(&opts); err != nil {
		return driver.Set{}, err
	}
	if err := opts.check(c.Name); err != nil {
		return driver.Set{}, err
	}
	opts.fill()
	if c.Clock == nil {
		c.Clock = clock.Real()
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	s := &store{
		backend: c.Name, path: filepath.Join(c.Dir, "series.db"), opts: opts, clock: c.Clock, log: c.Log,
		spaces: make(map[prism.Namespace]*space), requests: make(chan *request, groupRequests),
		quit: make(chan struct{}), written: make(chan struct{}), poke: make(chan struct{}, 1),
	}
	if err := s.open(ctx, c.Dir); err != nil {
		return driver.Set{}, errors.Join(s.openFailed(err), s.closeFiles())
	}
	s.stopped.Go(s.write)
	s.stopped.Go(s.sweep)
	return driver.Fill(driver.Info{
		Driver:     "sqlite",
		Durability: "acked means written to the file's log and synced (fsync); it survives a power cut",
		Durable:    true,
	}, s), nil
}

// openFailed adds the file, which a person at the start of a gateway must know.
func (s *store) openFailed(err error) error {
	e := *prism.From(s.fault("open", err))
	e.Message += " (" + s.path + ")"
	return &e
}

func (s *store) open(ctx context.Context, dir string) error {
	if err := s.hold(ctx, dir); err != nil {
		return err
	}
	fresh, err := kind().Prepare(s.path)
	if err != nil {
		return err
	}
	if s.conn, s.db, err = kind().OpenWriter(ctx, s.path, fresh, pragmas()); err != nil {
		return err
	}
	if s.read, err = sqlitefile.OpenReaders(s.path, pragmas()); err != nil {
		return err
	}
	s.read.SetMaxOpenConns(readers)
	s.read.SetMaxIdleConns(readers)
	if s.pieces, err = s.read.PrepareContext(ctx, "SELECT data FROM pieces WHERE id = ?"); err != nil {
		return err
	}
	return s.load(ctx)
}

// hold keeps others out of the folder: SQLite itself would let them write
// between our transactions.
func (s *store) hold(ctx context.Context, dir string) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return prism.New(prism.ReasonInvalidConfig, "backend %q: cannot make its folder", s.backend).WithCause(err)
	}
	var err error
	if s.lock, err = sqlitefile.Hold(ctx, filepath.Join(dir, "lock")); err != nil {
		return prism.New(prism.ReasonFailedPrecond, "backend %q: folder %s is in use by another process or backend", s.backend, dir).WithBackend(s.backend).WithCause(err)
	}
	return nil
}

// fault turns what SQLite and our own codec say into a prism error. It is the
// only place that does.
func (s *store) fault(what string, err error) error {
	if err == nil {
		return nil
	}
	if s.closed.Load() {
		return s.unavailable()
	}
	return s.told(what, err)
}

func (s *store) told(what string, err error) error {
	if err == nil {
		return nil
	}
	e := *prism.From(kind().Fault("backend "+strconv.Quote(s.backend)+": "+what, err))
	e.Backend = s.backend
	return &e
}

func (s *store) unavailable() error {
	return prism.New(prism.ReasonBackendUnavailable, "backend %q: the store is closed", s.backend).WithBackend(s.backend)
}

// ready refuses calls that are over before they begin.
func (s *store) ready(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return prism.From(err)
	}
	if s.closed.Load() {
		return s.unavailable()
	}
	return nil
}

// Health asks the file, and tells of the last write if that failed.
func (s *store) Health(ctx context.Context) driver.Health {
	if s.closed.Load() {
		return driver.Health{State: driver.Unhealthy, Message: "closed"}
	}
	var pages, size int64
	err := s.read.QueryRowContext(ctx, "SELECT page_count, page_size FROM pragma_page_count, pragma_page_size").Scan(&pages, &size)
	if err != nil {
		return driver.Health{State: driver.Unhealthy, Message: prism.From(s.fault("ask", err)).Message}
	}
	h := driver.Health{State: driver.Healthy}
	if e := s.failed.Load(); e != nil {
		h = driver.Health{State: driver.Degraded, Message: e.Message}
	}
	var events int64
	s.mu.RLock()
	for _, sp := range s.spaces {
		events += sp.events
	}
	h.Facts = map[string]string{
		"namespaces": strconv.Itoa(len(s.spaces)), "events": strconv.FormatInt(events, 10), "disk_bytes": strconv.FormatInt(pages*size, 10),
	}
	s.mu.RUnlock()
	return h
}

// Usage counts events and the bytes of their pieces.
func (s *store) Usage(ctx context.Context, ns prism.Namespace) (driver.Usage, error) {
	if err := s.ready(ctx); err != nil {
		return driver.Usage{}, err
	}
	s.mu.RLock()
	defer s.mu.RUnlock()
	sp := s.spaces[ns]
	if sp == nil {
		return driver.Usage{}, nil
	}
	return driver.Usage{Keys: sp.events, Bytes: sp.bytes, Receipts: sp.receipts}, nil
}

// Drop removes a namespace.
func (s *store) Drop(ctx context.Context, ns prism.Namespace) error {
	return s.do(ctx, &request{ns: ns, apply: (*group).drop})
}

// Close waits for what is being written and read.
func (s *store) Close() error {
	if s.closed.Swap(true) {
		s.stopped.Wait()
		return nil
	}
	close(s.quit)
	s.stopped.Wait()
	return s.told("close", s.closeFiles())
}

func (s *store) closeFiles() error {
	var errs []error
	if s.pieces != nil {
		errs = append(errs, s.pieces.Close())
	}
	if s.read != nil {
		errs = append(errs, s.read.Close())
	}
	if s.conn != nil {
		errs = append(errs, sqlitefile.Fold(context.Background(), s.conn), s.conn.Close(), s.db.Close())
	}
	if s.lock != nil {
		errs = append(errs, s.lock.Close())
	}
	return errors.Join(errs...)
}
