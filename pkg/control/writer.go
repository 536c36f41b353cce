package control

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"sync"

	"github.com/prism-data-layer/prism/pkg/prism"
	"github.com/prism-data-layer/prism/pkg/sqlitefile"
)

// A writer is the one goroutine that writes. Changes that wait while the disk
// is busy go into one transaction, each in a savepoint of its own: they fail
// one by one and share the sync.
type writer struct {
	db      *sql.DB
	tx      *tx
	ops     chan *op
	quit    chan struct{} // closed to stop
	stopped chan struct{} // closed when the goroutine has ended
	once    sync.Once
	running bool
}

// An op is a change that waits.
type op struct {
	ctx   context.Context
	do    func(*tx) error
	after func() // once it is durable, before it is answered; may be nil
	done  chan error
	err   error
}

// maxBatch bounds a transaction.
const maxBatch = 256

func newWriter(db *sql.DB, conn *sql.Conn) *writer {
	return &writer{
		db: db, tx: &tx{conn: conn, stmts: make(map[string]*sql.Stmt)},
		ops: make(chan *op, maxBatch), quit: make(chan struct{}), stopped: make(chan struct{}),
	}
}

func closedError() error { return prism.New(prism.ReasonDraining, "the control store is closed") }

// write runs do in a transaction and returns once it is durable. When ctx ends
// first, whether it happened is not known: nothing that do sets may be read
// then. do must not call the store.
func (w *writer) write(ctx context.Context, what string, do func(*tx) error, after func()) error {
	o := &op{ctx: ctx, do: do, after: after, done: make(chan error, 1)}
	select {
	case <-w.quit:
		return closedError()
	default:
	}
	select {
	case w.ops <- o:
	case <-w.quit:
		return closedError()
	case <-ctx.Done():
		return prism.From(ctx.Err())
	}
	select {
	case err := <-o.done:
		return fault(what, err)
	case <-ctx.Done():
		return prism.From(ctx.Err())
	case <-w.stopped:
		// It may have been the last that was run.
		select {
		case err := <-o.done:
			return fault(what, err)
		default:
			return closedError()
		}
	}
}

func (w *writer) start() {
	w.running = true
	go w.run()
}

func (w *writer) run() {
	defer close(w.stopped)
	for {
		select {
		case o := <-w.ops:
			w.commit(w.gather(o))
		case <-w.quit:
			for {
				select {
				case o := <-w.ops:
					w.commit(w.gather(o))
				default:
					return
				}
			}
		}
	}
}

// gather takes what waits, without waiting for more.
func (w *writer) gather(first *op) []*op {
	batch := []*op{first}
	for len(batch) < maxBatch {
		select {
		case o := <-w.ops:
			batch = append(batch, o)
		default:
			return batch
		}
	}
	return batch
}

func (w *writer) commit(batch []*op) {
	err := w.tx.exec("BEGIN IMMEDIATE")
	if err == nil {
		for _, o := range batch {
			o.err = w.apply(o)
		}
		err = w.tx.exec("COMMIT")
		if err != nil {
			// Refused when there is no transaction any more, which is fine.
			_ = w.tx.exec("ROLLBACK")
		}
	}
	for _, o := range batch {
		if err != nil && o.err == nil {
			o.err = err
		}
		if o.err == nil && o.after != nil {
			o.after()
		}
		o.done <- o.err
	}
}

func (w *writer) apply(o *op) error {
	if err := o.ctx.Err(); err != nil {
		return err // given up while it waited
	}
	if err := w.tx.exec("SAVEPOINT op"); err != nil {
		return err
	}
	err := run(o.do, w.tx)
	if err != nil {
		err = errors.Join(err, w.tx.exec("ROLLBACK TO op"))
	}
	return errors.Join(err, w.tx.exec("RELEASE op"))
}

// run turns a panic of a caller's function into its error: it would otherwise
// take the gateway down from a goroutine that is not the caller's.
func run(do func(*tx) error, t *tx) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = prism.Internal(fmt.Errorf("panic in a change of the control store: %v", p))
		}
	}()
	return do(t)
}

func (w *writer) close() error {
	var err error
	w.once.Do(func() {
		close(w.quit)
		if w.running {
			<-w.stopped
		}
		cerr := sqlitefile.Fold(context.Background(), w.tx.conn)
		for _, s := range w.tx.stmts {
			_ = s.Close()
		}
		err = errors.Join(fault("close the control store", cerr), w.tx.conn.Close(), w.db.Close())
	})
	return err
}

// A tx is what a change may do. Its statements are prepared once.
type tx struct {
	conn  *sql.Conn
	stmts map[string]*sql.Stmt
}

func (t *tx) stmt(query string) (*sql.Stmt, error) {
	if s := t.stmts[query]; s != nil {
		return s, nil
	}
	s, err := t.conn.PrepareContext(context.Background(), query)
	if err == nil {
		t.stmts[query] = s
	}
	return s, err
}

func (t *tx) exec(query string, args ...any) error {
	_, err := t.execCount(query, args...)
	return err
}

// execCount also tells how many rows were changed.
func (t *tx) execCount(query string, args ...any) (int64, error) {
	s, err := t.stmt(query)
	if err != nil {
		return 0, err
	}
	r, err := s.ExecContext(context.Background(), args...)
	if err != nil {
		return 0, err
	}
	return r.RowsAffected()
}

// row scans one row; sql.ErrNoRows if there is none.
func (t *tx) row(query string, args []any, into ...any) error {
	s, err := t.stmt(query)
	if err != nil {
		return err
	}
	return s.QueryRowContext(context.Background(), args...).Scan(into...)
}

// A stmtCache prepares the statements of readers once.
type stmtCache struct {
	db     *sql.DB
	mu     sync.Mutex
	stmts  map[string]*sql.Stmt
	closed bool
}

func (c *stmtCache) get(ctx context.Context, query string) (*sql.Stmt, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return nil, closedError()
	}
	if s := c.stmts[query]; s != nil {
		return s, nil
	}
	s, err := c.db.PrepareContext(ctx, query)
	if err != nil {
		return nil, err
	}
	if c.stmts == nil {
		c.stmts = make(map[string]*sql.Stmt)
	}
	c.stmts[query] = s
	return s, nil
}

func (c *stmtCache) close() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	var errs []error
	for _, s := range c.stmts {
		errs = append(errs, s.Close())
	}
	c.stmts, c.closed = nil, true
	return errors.Join(errs...)
}

// query runs scan for every row. query must be one of a fixed few texts, which
// stay prepared.
func (s *Store) query(ctx context.Context, what, query string, args []any, scan func(*sql.Rows) error) error {
	stmt, err := s.stmts.get(ctx, query)
	if err != nil {
		return fault(what, err)
	}
	rows, err := stmt.QueryContext(ctx, args...)
	if err != nil {
		return fault(what, err)
	}
	defer rows.Close()
	for rows.Next() {
		if err := scan(rows); err != nil {
			return fault(what, err)
		}
	}
	return fault(what, rows.Err())
}

// row scans one row; sql.ErrNoRows, as it is, if there is none.
func (s *Store) row(ctx context.Context, what, query string, args []any, into ...any) error {
	stmt, err := s.stmts.get(ctx, query)
	if err != nil {
		return fault(what, err)
	}
	err = stmt.QueryRowContext(ctx, args...).Scan(into...)
	if errors.Is(err, sql.ErrNoRows) {
		return err
	}
	return fault(what, err)
}
