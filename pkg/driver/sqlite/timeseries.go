package sqlite

import (
	"context"
	"database/sql"
	"time"

	"github.com/prism-data-layer/prism/pkg/driver"
	"github.com/prism-data-layer/prism/pkg/driver/series"
	"github.com/prism-data-layer/prism/pkg/prism"
)

// AppendEvents stores a batch.
func (s *store) AppendEvents(ctx context.Context, ns prism.Namespace, batch *driver.EventBatch, r driver.Receipt) (driver.AppendResult, error) {
	q := &request{ns: ns, batch: batch, receipt: r, apply: (*group).append}
	if err := s.do(ctx, q); err != nil {
		return driver.AppendResult{}, err
	}
	return q.res, nil
}

// An eventReader reads pieces as they are needed.
type eventReader struct {
	store  *store
	cursor *series.Cursor
}

// QueryEvents reads a range.
func (s *store) QueryEvents(ctx context.Context, ns prism.Namespace, q driver.EventQuery) (driver.EventReader, error) {
	if err := s.ready(ctx); err != nil {
		return nil, err
	}
	cursor, err := series.NewCursor(q, func(context.Context) ([]series.Piece, error) { return s.list(ns), nil })
	if err != nil {
		return nil, err
	}
	return &eventReader{s, cursor}, nil
}

// list is the pieces of a namespace as they are now.
func (s *store) list(ns prism.Namespace) []series.Piece {
	s.mu.RLock()
	defer s.mu.RUnlock()
	sp := s.spaces[ns]
	if sp == nil {
		return nil
	}
	pieces := make([]series.Piece, len(sp.pieces))
	for i, p := range sp.pieces {
		pieces[i] = p
	}
	return pieces
}

func (r *eventReader) Page(ctx context.Context) (driver.EventPage, error) {
	if err := r.store.ready(ctx); err != nil {
		return driver.EventPage{}, err
	}
	return r.cursor.Page(ctx)
}

func (r *eventReader) Close() error { return nil }

// AggregateEvents goes through the pieces of the range, in one statement and so
// in one state of the file.
func (s *store) AggregateEvents(ctx context.Context, ns prism.Namespace, q driver.AggregateQuery) (driver.Aggregates, error) {
	if err := s.ready(ctx); err != nil {
		return driver.Aggregates{}, err
	}
	a := series.NewAggregation(q)
	s.mu.RLock()
	sp := s.spaces[ns]
	s.mu.RUnlock()
	if sp == nil {
		return a.Result(), nil
	}
	err := s.each(ctx, "SELECT id, data FROM pieces WHERE namespace = ? AND first < ? AND last >= ?", []any{sp.id, q.End, q.Start}, func(row *sql.Rows) error {
		var id int64
		var data sql.RawBytes
		if err := row.Scan(&id, &data); err != nil {
			return err
		}
		c, err := s.decode(id, data)
		if err != nil {
			return err
		}
		return a.Add(c)
	})
	if err != nil {
		return driver.Aggregates{}, s.fault("read events", err)
	}
	return a.Result(), nil
}

// RetainEvents says how long events are kept.
func (s *store) RetainEvents(ctx context.Context, ns prism.Namespace, age time.Duration) error {
	err := s.do(ctx, &request{ns: ns, apply: func(g *group, r *request) error {
		if err := g.retain(r, int64(age)); err != nil {
			return err
		}
		g.after = append(g.after, func() {
			if sp := s.spaces[ns]; sp != nil {
				sp.age = age
			}
		})
		return nil
	}})
	if err != nil {
		return err
	}
	select {
	case s.poke <- struct{}{}:
	default:
	}
	return nil
}
