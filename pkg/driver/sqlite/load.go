package sqlite

import (
	"context"
	"database/sql"
	"slices"

	"github.com/prism-data-layer/prism/pkg/driver"
	"github.com/prism-data-layer/prism/pkg/driver/series"
	"github.com/prism-data-layer/prism/pkg/prism"
)

// load lists in memory what the file holds.
func (s *store) load(ctx context.Context) error {
	byID := map[int64]*space{}
	err := s.each(ctx, "SELECT id, name, next, age FROM namespaces", nil, func(row *sql.Rows) error {
		sp := &space{ids: series.IDs{Max: s.opts.EventIDs}}
		var name []byte
		if err := row.Scan(&sp.id, &name, &sp.next, &sp.age); err != nil {
			return err
		}
		byID[sp.id], s.spaces[prism.Namespace(name)] = sp, sp
		return nil
	})
	if err != nil {
		return err
	}
	pieces := map[int64][]*piece{}
	err = s.each(ctx, "SELECT namespace, id, first, last, events, length(data) FROM pieces ORDER BY id", nil, func(row *sql.Rows) error {
		p := &piece{store: s}
		var of int64
		err := row.Scan(&of, &p.id, &p.first, &p.last, &p.events, &p.bytes)
		pieces[of] = append(pieces[of], p)
		return err
	})
	if err != nil {
		return err
	}
	for id, sp := range byID {
		sp.replace(pieces[id])
		if err := s.loadIDs(ctx, sp); err != nil {
			return err
		}
	}
	return s.each(ctx, "SELECT namespace, count(*) FROM receipts GROUP BY namespace", nil, func(row *sql.Rows) error {
		var id, n int64
		err := row.Scan(&id, &n)
		if sp := byID[id]; sp != nil {
			sp.receipts = n
		}
		return err
	})
}

func (s *store) each(ctx context.Context, query string, args []any, f func(*sql.Rows) error) error {
	rows, err := s.read.QueryContext(ctx, query, args...)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		if err := f(rows); err != nil {
			return err
		}
	}
	return rows.Err()
}

// loadIDs finds the ids that are still looked for.
func (s *store) loadIDs(ctx context.Context, sp *space) error {
	since := s.clock.Now().UnixNano() - int64(driver.DedupeWindow)
	return s.each(ctx, "SELECT at, ids FROM arrivals WHERE namespace = ? AND at > ? ORDER BY n", []any{sp.id, since}, func(row *sql.Rows) error {
		var at int64
		var ids sql.RawBytes
		err := row.Scan(&at, &ids)
		sp.ids.Add(unpacked(ids), at)
		return err
	})
}

// packed puts ids one after the other.
func packed(ids map[series.ID]struct{}) []byte {
	b := make([]byte, 0, len(ids)*len(series.ID{}))
	for id := range ids {
		b = append(b, id[:]...)
	}
	return b
}

func unpacked(b []byte) map[series.ID]struct{} {
	ids := make(map[series.ID]struct{}, len(b)/len(series.ID{}))
	for id := range slices.Chunk(b, len(series.ID{})) {
		if len(id) == len(series.ID{}) {
			ids[series.ID(id)] = struct{}{}
		}
	}
	return ids
}
