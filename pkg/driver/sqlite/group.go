package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"

	"github.com/prism-data-layer/prism/pkg/driver"
	"github.com/prism-data-layer/prism/pkg/driver/series"
	"github.com/prism-data-layer/prism/pkg/prism"
)

// A group is bounded, so that its first request does not wait long for its last.
const (
	groupRequests = 256
	groupEvents   = 262_144
)

// A request is a change that waits for the writer.
type request struct {
	ctx     context.Context
	ns      prism.Namespace
	batch   *driver.EventBatch
	receipt driver.Receipt
	res     driver.AppendResult
	apply   func(*group, *request) error
	err     error
	done    chan struct{}
}

// do has the writer run a request and waits for it to be durable: the batch is
// not the caller's before.
func (s *store) do(ctx context.Context, r *request) error {
	if err := s.ready(ctx); err != nil {
		return err
	}
	r.ctx, r.done = ctx, make(chan struct{})
	select {
	case s.requests <- r:
	case <-s.quit:
		return s.unavailable()
	case <-ctx.Done():
		return prism.From(ctx.Err())
	}
	select {
	case <-r.done:
		return r.err
	case <-s.written:
	}
	select {
	case <-r.done: // the last that was run
		return r.err
	default:
		return s.unavailable()
	}
}

// write is the goroutine that writes.
func (s *store) write() {
	defer close(s.written)
	for {
		select {
		case r := <-s.requests:
			s.commit(s.gather(r))
		case <-s.quit:
			return
		}
	}
}

// gather takes what waits, without waiting for more.
func (s *store) gather(first *request) []*request {
	list, events := []*request{first}, first.events()
	for len(list) < groupRequests && events < groupEvents {
		select {
		case r := <-s.requests:
			list, events = append(list, r), events+r.events()
		default:
			return list
		}
	}
	return list
}

func (r *request) events() int {
	if r.batch == nil {
		return 0
	}
	return r.batch.Len()
}

// A group is the requests of one transaction. What they do to memory happens
// after it.
type group struct {
	s       *store
	now     int64
	touched map[prism.Namespace]*changes
	order   []prism.Namespace
	dropped map[prism.Namespace]bool
	after   []func()
}

// changes are what a group does to a namespace.
type changes struct {
	*space
	left    []*piece // what the group begins with
	batches []*driver.EventBatch
	rows    []series.Row
	ids     map[series.ID]struct{}
	fresh   int64 // receipts, more than before
}

func (s *store) commit(list []*request) {
	err := s.transact(list)
	if err != nil {
		e := prism.From(s.fault("write", err))
		s.failed.Store(e)
		err = e
	} else {
		s.failed.Store(nil)
	}
	for _, r := range list {
		if r.err == nil {
			r.err = err
		}
		close(r.done)
	}
}

// transact runs the requests in one transaction. A request that is refused
// changes nothing and does not harm the others.
func (s *store) transact(list []*request) (err error) {
	if err := s.exec("BEGIN IMMEDIATE"); err != nil {
		return err
	}
	g := &group{s: s, now: s.clock.Now().UnixNano(), touched: map[prism.Namespace]*changes{}, dropped: map[prism.Namespace]bool{}}
	defer func() {
		if p := recover(); p != nil {
			err = prism.Internal(fmt.Errorf("panic in a write of time series: %v", p))
		}
		if err != nil {
			_ = s.exec("ROLLBACK") // refused when there is no transaction any more
		}
	}()
	for _, r := range list {
		if r.ctx.Err() != nil {
			r.err = prism.From(r.ctx.Err()) // given up while it waited
			continue
		}
		if err := r.apply(g, r); err != nil {
			return err
		}
	}
	if err := g.finish(); err != nil {
		return err
	}
	if err := s.exec("COMMIT"); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, f := range g.after {
		f()
	}
	return nil
}

func (s *store) exec(query string, args ...any) error {
	_, err := s.conn.ExecContext(context.Background(), query, args...)
	return err
}

// at is a namespace's changes, and makes the namespace when it is new.
func (g *group) at(ns prism.Namespace) (*changes, error) {
	if c := g.touched[ns]; c != nil {
		return c, nil
	}
	c := &changes{space: g.s.spaces[ns], ids: map[series.ID]struct{}{}}
	if c.space == nil || g.dropped[ns] {
		res, err := g.s.conn.ExecContext(context.Background(), "INSERT INTO namespaces (name, next, age) VALUES (?, 1, 0)", []byte(ns))
		if err != nil {
			return nil, err
		}
		id, err := res.LastInsertId()
		if err != nil {
			return nil, err
		}
		c.space = &space{id: id, next: 1, ids: series.IDs{Max: g.s.opts.EventIDs}}
		g.after = append(g.after, func() { g.s.spaces[ns] = c.space })
	}
	c.left = c.space.pieces
	c.space.ids.Expire(g.now)
	g.touched[ns] = c
	g.order = append(g.order, ns)
	return c, nil
}

// append takes a batch in. Its events are written with those of the others.
func (g *group) append(r *request) error {
	c, err := g.at(r.ns)
	if err != nil {
		return err
	}
	if !r.receipt.IsZero() {
		if found, err := g.replay(c, r); found || err != nil {
			return err
		}
	}
	rows := c.space.ids.Fresh(int32(len(c.batches)), r.batch, c.ids)
	c.batches, c.rows = append(c.batches, r.batch), append(c.rows, rows...)
	r.res = driver.AppendResult{Stored: int64(len(rows)), Duplicates: int64(r.batch.Len() - len(rows))}
	if r.receipt.IsZero() {
		return nil
	}
	return g.keep(c, r)
}

// replay looks for the first answer to a receipt. KEY_REUSED is the request's
// own error.
func (g *group) replay(c *changes, r *request) (found bool, err error) {
	var body []byte
	var expires int64
	var first driver.AppendResult
	err = g.s.conn.QueryRowContext(context.Background(), "SELECT body, stored, duplicates, expires FROM receipts WHERE namespace = ? AND id = ?", c.id, r.receipt.ID[:]).
		Scan(&body, &first.Stored, &first.Duplicates, &expires)
	switch {
	case errors.Is(err, sql.ErrNoRows):
		return false, nil
	case err != nil:
		return false, err
	case expires <= g.now:
		c.fresh--
		return false, g.s.exec("DELETE FROM receipts WHERE namespace = ? AND id = ?", c.id, r.receipt.ID[:])
	case string(body) != string(r.receipt.Body[:]):
		r.err = prism.New(prism.ReasonKeyReused, "the idempotency key was used before with another request")
		return true, nil
	}
	first.Replayed = true
	r.res = first
	return true, nil
}

// keep stores the answer to a receipt; beyond the bound the oldest go.
func (g *group) keep(c *changes, r *request) error {
	expires := g.now + int64(r.receipt.Keep)
	if expires < g.now {
		expires = prism.MaxEventTime
	}
	err := g.s.exec("INSERT INTO receipts (namespace, id, body, stored, duplicates, expires) VALUES (?, ?, ?, ?, ?, ?)",
		c.id, r.receipt.ID[:], r.receipt.Body[:], r.res.Stored, r.res.Duplicates, expires)
	if err != nil {
		return err
	}
	c.fresh++
	bound := int64(g.s.opts.Receipts)
	if r.receipt.Max > 0 {
		bound = min(bound, r.receipt.Max)
	}
	over := c.receipts + c.fresh - bound
	if over <= 0 {
		return nil
	}
	c.fresh -= over
	return g.s.exec("DELETE FROM receipts WHERE n IN (SELECT n FROM receipts WHERE namespace = ? ORDER BY n LIMIT ?)", c.id, over)
}

// finish writes what the requests gathered.
func (g *group) finish() error {
	for _, ns := range g.order {
		c := g.touched[ns]
		if c == nil {
			continue // dropped in this group
		}
		pieces, next, err := g.store(c)
		if err != nil {
			return err
		}
		g.after = append(g.after, func() {
			c.space.receipts += c.fresh
			c.space.next = next
			c.space.ids.Add(c.ids, g.now)
			c.space.replace(pieces)
		})
	}
	return nil
}

// store writes the new events of a namespace, and makes one of pieces that have
// become many.
func (g *group) store(c *changes) ([]*piece, uint64, error) {
	next := c.space.next + uint64(len(c.rows))
	if len(c.rows) == 0 {
		return c.left, next, nil
	}
	pieces, err := g.insert(c, slices.Clone(c.left), series.New(c.batches, c.rows, c.space.next))
	if err != nil {
		return nil, 0, err
	}
	if err := g.s.exec("UPDATE namespaces SET next = ? WHERE id = ?", int64(next), c.id); err != nil {
		return nil, 0, err
	}
	if len(c.ids) > 0 {
		if err := g.s.exec("INSERT INTO arrivals (namespace, at, ids) VALUES (?, ?, ?)", c.id, g.now, packed(c.ids)); err != nil {
			return nil, 0, err
		}
	}
	pieces, err = g.merge(c, pieces)
	return pieces, next, err
}

// insert adds chunks to a list of pieces.
func (g *group) insert(c *changes, pieces []*piece, chunks []*series.Chunk) ([]*piece, error) {
	for _, chunk := range chunks {
		p := &piece{store: g.s, first: chunk.First(), last: chunk.Last(), events: chunk.Len()}
		data := chunk.Encode()
		res, err := g.s.conn.ExecContext(context.Background(), "INSERT INTO pieces (namespace, first, last, events, data) VALUES (?, ?, ?, ?, ?)",
			c.id, p.first, p.last, p.events, data)
		if err != nil {
			return nil, err
		}
		p.bytes = len(data)
		if p.id, err = res.LastInsertId(); err != nil {
			return nil, err
		}
		pieces = append(pieces, p)
	}
	return pieces, nil
}

func (g *group) merge(c *changes, pieces []*piece) ([]*piece, error) {
	sizes := make([]int, len(pieces))
	for i, p := range pieces {
		sizes[i] = p.events
	}
	var crowd []*piece
	left := slices.Clone(pieces)
	for _, i := range series.Crowd(sizes) { // the last first
		crowd = append(crowd, pieces[i])
		left = slices.Delete(left, i, i+1)
	}
	chunks, err := g.fetch(crowd)
	if err != nil {
		// A piece that is damaged stays as it is; who reads it is told.
		g.s.log.Error("pieces of a time series stay apart", "backend", g.s.backend, "error", err)
		return pieces, nil
	}
	if err := g.remove(crowd); err != nil {
		return nil, err
	}
	return g.insert(c, left, series.Merge(chunks, 0))
}

// fetch reads pieces, of this group too.
func (g *group) fetch(pieces []*piece) ([]*series.Chunk, error) {
	chunks := make([]*series.Chunk, len(pieces))
	for i, p := range pieces {
		var data []byte
		if err := g.s.conn.QueryRowContext(context.Background(), "SELECT data FROM pieces WHERE id = ?", p.id).Scan(&data); err != nil {
			return nil, err
		}
		var err error
		if chunks[i], err = g.s.decode(p.id, data); err != nil {
			return nil, err
		}
	}
	return chunks, nil
}

func (g *group) remove(pieces []*piece) error {
	for _, p := range pieces {
		if err := g.s.exec("DELETE FROM pieces WHERE id = ?", p.id); err != nil {
			return err
		}
	}
	return nil
}

// retain sets how long events are kept.
func (g *group) retain(r *request, age int64) error {
	c, err := g.at(r.ns)
	if err != nil {
		return err
	}
	return g.s.exec("UPDATE namespaces SET age = ? WHERE id = ?", age, c.id)
}

// drop removes a namespace.
func (g *group) drop(r *request) error {
	sp := g.s.spaces[r.ns]
	if c := g.touched[r.ns]; c != nil {
		sp = c.space
	}
	if sp == nil {
		return nil
	}
	for _, table := range []string{"pieces", "receipts", "arrivals"} {
		if err := g.s.exec("DELETE FROM "+table+" WHERE namespace = ?", sp.id); err != nil {
			return err
		}
	}
	g.after = append(g.after, func() { delete(g.s.spaces, r.ns) })
	delete(g.touched, r.ns)
	g.dropped[r.ns] = true
	return g.s.exec("DELETE FROM namespaces WHERE id = ?", sp.id)
}
