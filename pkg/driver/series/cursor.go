package series

import (
	"cmp"
	"container/heap"
	"context"
	"encoding/binary"
	"errors"
	"slices"

	"github.com/prism-data-layer/prism/pkg/driver"
	"github.com/prism-data-layer/prism/pkg/prism"
)

// A Piece is a chunk that may have to be fetched.
type Piece interface {
	First() int64
	Last() int64
	Load(ctx context.Context) (*Chunk, error)
}

// Load is the chunk itself.
func (c *Chunk) Load(context.Context) (*Chunk, error) { return c, nil }

// ErrGone is what Load says of a piece that was merged with others or swept
// away. The cursor then asks for a new list.
var ErrGone = errors.New("the piece is no longer there")

// A Cursor reads pieces as one, in order of time.
type Cursor struct {
	q    driver.EventQuery
	list func(ctx context.Context) ([]Piece, error)

	listed  bool
	at      place // of the last event that was read
	started bool  // at counts
	read    int64
	waiting []Piece // that are not needed yet, the next one last
	open    runs
}

// NewCursor makes a cursor; list gives all pieces, those out of range too.
func NewCursor(q driver.EventQuery, list func(ctx context.Context) ([]Piece, error)) (*Cursor, error) {
	c := &Cursor{q: q, list: list}
	if q.After == nil {
		return c, nil
	}
	if len(q.After) != 16 {
		return nil, prism.InvalidField("after", "is not a position of a time series")
	}
	c.started = true
	c.at = place{binary.BigEndian.Uint64(q.After), binary.BigEndian.Uint64(q.After[8:])}
	return c, nil
}

// A place is an event's in the order that events are read in.
type place struct{ time, seq uint64 }

func (p place) compare(q place) int {
	return cmp.Or(cmp.Compare(p.time, q.time), cmp.Compare(p.seq, q.seq))
}

func (p place) position() driver.Position {
	return binary.BigEndian.AppendUint64(binary.BigEndian.AppendUint64(nil, p.time), p.seq)
}

// A run is what is still to be read of a chunk.
type run struct {
	chunk *Chunk
	rows  []int32 // in the order of reading
	batch int32   // of the page that is being made; -1: none yet
}

func (r *run) place() place {
	i := r.rows[0]
	return place{uint64(r.chunk.Events.Times[i]), r.chunk.Seqs[i]}
}

// runs are a heap: the one that is read next comes first.
type runs struct {
	list       []*run
	descending bool
}

func (r *runs) Len() int      { return len(r.list) }
func (r *runs) Swap(i, j int) { r.list[i], r.list[j] = r.list[j], r.list[i] }
func (r *runs) Push(x any)    { r.list = append(r.list, x.(*run)) }

func (r *runs) Less(i, j int) bool {
	return (r.list[i].place().compare(r.list[j].place()) < 0) != r.descending
}

func (r *runs) Pop() any {
	last := r.list[len(r.list)-1]
	r.list = r.list[:len(r.list)-1]
	return last
}

// Page reads on. An empty page is the end.
func (c *Cursor) Page(ctx context.Context) (page driver.EventPage, err error) {
	n := c.q.Page
	if c.q.Limit > 0 {
		n = int(min(int64(n), c.q.Limit-c.read))
	}
	var batches []*driver.EventBatch
	var rows []Row
	for _, r := range c.open.list {
		r.batch = -1
	}
	for len(rows) < n {
		r, err := c.next(ctx)
		if err != nil {
			return page, err
		}
		if r == nil {
			break
		}
		if r.batch < 0 {
			r.batch = int32(len(batches))
			batches = append(batches, &r.chunk.Events)
		}
		rows = append(rows, Row{r.batch, r.rows[0]})
		c.at, c.started = r.place(), true
		if r.rows = r.rows[1:]; len(r.rows) > 0 {
			heap.Fix(&c.open, 0)
		} else {
			heap.Pop(&c.open)
		}
	}
	if len(rows) > 0 {
		c.read += int64(len(rows))
		page = driver.EventPage{Events: Gather(batches, rows), Position: c.at.position()}
	}
	return page, nil
}

// next is the run whose first event comes next; nil at the end.
func (c *Cursor) next(ctx context.Context) (*run, error) {
	for {
		if err := c.fetch(ctx); err != nil {
			return nil, err
		}
		if len(c.waiting) > 0 && (len(c.open.list) == 0 || c.needed(c.waiting[len(c.waiting)-1])) {
			piece := c.waiting[len(c.waiting)-1]
			chunk, err := piece.Load(ctx)
			if errors.Is(err, ErrGone) {
				c.listed = false
				continue
			}
			if err != nil {
				return nil, err
			}
			c.waiting = c.waiting[:len(c.waiting)-1]
			if rows := c.rest(chunk); len(rows) > 0 {
				heap.Push(&c.open, &run{chunk, rows, -1})
			}
			continue
		}
		if len(c.open.list) == 0 {
			return nil, nil
		}
		return c.open.list[0], nil
	}
}

// needed tells that a piece may hold what comes before all that is open.
func (c *Cursor) needed(p Piece) bool {
	at := int64(c.open.list[0].place().time)
	if c.q.Descending {
		return p.Last() >= at
	}
	return p.First() <= at
}

// fetch lists the pieces in range, unless that is done.
func (c *Cursor) fetch(ctx context.Context) error {
	if c.listed {
		return nil
	}
	pieces, err := c.list(ctx)
	if err != nil {
		return err
	}
	c.listed, c.waiting, c.open = true, nil, runs{descending: c.q.Descending}
	for _, p := range pieces {
		if p.First() < c.q.End && p.Last() >= c.q.Start {
			c.waiting = append(c.waiting, p)
		}
	}
	slices.SortFunc(c.waiting, func(a, b Piece) int {
		if c.q.Descending {
			return cmp.Compare(a.Last(), b.Last())
		}
		return cmp.Compare(b.First(), a.First())
	})
	return nil
}

// rest is what is still to be read of a chunk.
func (c *Cursor) rest(chunk *Chunk) []int32 {
	lo, hi := chunk.search(uint64(max(c.q.Start, 0)), 0), chunk.search(uint64(max(c.q.End, 0)), 0)
	if c.started && c.q.Descending {
		hi = min(hi, chunk.search(c.at.time, c.at.seq))
	} else if c.started {
		lo = max(lo, chunk.search(c.at.time, c.at.seq+1))
	}
	rows := chunk.rows(nil, &c.q.Selection, lo, hi)
	if c.q.Descending {
		slices.Reverse(rows)
	}
	return rows
}
