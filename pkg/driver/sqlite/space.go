package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/prism-data-layer/prism/pkg/driver/series"
)

// A space is what memory holds of a namespace.
type space struct {
	id       int64
	pieces   []*piece // in order of their making; replaced, never changed
	events   int64
	bytes    int64
	receipts int64
	next     uint64        // number of the next event
	age      time.Duration // how long events are kept; 0: for ever
	ids      series.IDs    // the writer's alone
}

// A piece is a row of the table pieces, without its data. It is never changed.
type piece struct {
	store       *store
	id          int64
	first, last int64
	events      int
	bytes       int
}

func (p *piece) First() int64 { return p.first }
func (p *piece) Last() int64  { return p.last }

// Load fetches the events.
func (p *piece) Load(ctx context.Context) (*series.Chunk, error) {
	var data []byte
	err := p.store.pieces.QueryRowContext(ctx, p.id).Scan(&data)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, series.ErrGone
	}
	if err != nil {
		return nil, p.store.fault("read events", err)
	}
	return p.store.decode(p.id, data)
}

func (s *store) decode(id int64, data []byte) (*series.Chunk, error) {
	c, err := series.Decode(data)
	if err != nil {
		return nil, s.fault("read events", kind().DataLoss(fmt.Sprintf("backend %q: read events, piece %d", s.backend, id), err))
	}
	return c, nil
}

// replace makes these the pieces of the space.
func (sp *space) replace(pieces []*piece) {
	sp.events, sp.bytes = 0, 0
	for _, p := range pieces {
		sp.events += int64(p.events)
		sp.bytes += int64(p.bytes)
	}
	sp.pieces = slices.Clip(pieces)
}
