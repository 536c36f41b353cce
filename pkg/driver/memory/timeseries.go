package memory

import (
	"cmp"
	"context"
	"math"
	"slices"
	"sync"
	"time"

	"github.com/prism-data-layer/prism/pkg/driver"
	"github.com/prism-data-layer/prism/pkg/driver/series"
	"github.com/prism-data-layer/prism/pkg/prism"
)

var (
	_ driver.TimeSeries            = (*timelines)(nil)
	_ driver.TimeSeriesAggregation = (*timelines)(nil)
	_ driver.TimeSeriesRetention   = (*timelines)(nil)
)

// timelines is the store as time series.
type timelines struct {
	store *store

	mu     sync.RWMutex
	spaces map[prism.Namespace]*timeline

	tidied int64 // when, in milliseconds; owned by the sweeper
}

func newTimelines(s *store) *timelines {
	return &timelines{store: s, spaces: make(map[prism.Namespace]*timeline)}
}

// A timeline is the events of a namespace.
type timeline struct {
	store *store

	mu       sync.RWMutex
	gone     bool            // its namespace was dropped, or the store was closed
	chunks   []*series.Chunk // in order of their making; replaced, never changed
	events   int64
	bytes    int64
	next     uint64        // number of the next event
	age      time.Duration // how long events are kept; 0: for ever
	ids      series.IDs
	receipts receipts
}

// find is the timeline of a namespace, nil if nothing was ever written to it.
func (m *timelines) find(ctx context.Context, ns prism.Namespace) (*timeline, error) {
	if err := ctx.Err(); err != nil {
		return nil, prism.From(err)
	}
	if m.store.closed.Load() {
		return nil, m.store.unavailable()
	}
	m.mu.RLock()
	defer m.mu.RUnlock()
	return m.spaces[ns], nil
}

// with calls f with the lock of a namespace's timeline held, which is made if it
// is new.
func (m *timelines) with(ctx context.Context, ns prism.Namespace, f func(*timeline) error) error {
	for {
		t, err := m.find(ctx, ns)
		if err != nil {
			return err
		}
		if t == nil {
			t = m.make(ns)
		}
		t.mu.Lock()
		if !t.gone {
			defer t.mu.Unlock()
			return f(t)
		}
		t.mu.Unlock() // dropped or closed meanwhile
	}
}

func (m *timelines) make(ns prism.Namespace) *timeline {
	m.mu.Lock()
	defer m.mu.Unlock()
	t := m.spaces[ns]
	if t == nil {
		t = &timeline{
			store: m.store, gone: m.store.closed.Load(),
			ids: series.IDs{Max: m.store.opts.EventIDs}, receipts: newReceipts(m.store.opts.Receipts),
		}
		if !t.gone {
			m.spaces[ns] = t
		}
	}
	return t
}

// AppendEvents stores a batch.
func (m *timelines) AppendEvents(ctx context.Context, ns prism.Namespace, batch *driver.EventBatch, r driver.Receipt) (res driver.AppendResult, err error) {
	err = m.with(ctx, ns, func(t *timeline) error {
		now := m.store.now()
		if !r.IsZero() {
			if first, ok, err := t.receipts.replay(r, now/1e6); err != nil {
				return err
			} else if ok {
				res = driver.AppendResult{Stored: first[0].Number, Duplicates: int64(first[0].Version), Replayed: true}
				return nil
			}
		}
		res = t.append(batch, now)
		if !r.IsZero() {
			t.receipts.keep(r, now/1e6, driver.Result{Number: res.Stored, Version: uint64(res.Duplicates)})
		}
		return nil
	})
	return res, err
}

func (t *timeline) append(batch *driver.EventBatch, now int64) driver.AppendResult {
	t.ids.Expire(now)
	fresh := map[series.ID]struct{}{}
	rows := t.ids.Fresh(0, batch, fresh)
	t.ids.Add(fresh, now)
	made := series.New([]*driver.EventBatch{batch}, rows, t.next)
	t.next += uint64(len(rows))
	t.due(made)
	chunks := slices.Concat(t.chunks, made) // readers keep the list that they have
	sizes := make([]int, len(chunks))
	for i, c := range chunks {
		sizes[i] = c.Len()
	}
	var crowd []*series.Chunk
	for _, i := range series.Crowd(sizes) { // the last first
		crowd = append(crowd, chunks[i])
		chunks = slices.Delete(chunks, i, i+1)
	}
	merged := series.Merge(crowd, 0)
	t.chunks = append(chunks, merged...)
	t.count(1, made)
	t.count(-1, crowd)
	t.count(1, merged)
	return driver.AppendResult{Stored: int64(len(rows)), Duplicates: int64(batch.Len() - len(rows))}
}

// count adds chunks to what the timeline holds, or takes them away.
func (t *timeline) count(sign int64, chunks []*series.Chunk) {
	for _, c := range chunks {
		t.events, t.bytes = t.events+sign*int64(c.Len()), t.bytes+sign*c.Bytes()
	}
}

// pieces are the chunks of a namespace as they are now.
func (m *timelines) pieces(ctx context.Context, ns prism.Namespace) ([]*series.Chunk, error) {
	t, err := m.find(ctx, ns)
	if t == nil {
		return nil, err
	}
	t.mu.RLock()
	defer t.mu.RUnlock()
	if t.gone {
		return nil, m.store.goneError()
	}
	return t.chunks, nil
}

// An eventReader reads the chunks that there were when it began.
type eventReader struct {
	store  *store
	cursor *series.Cursor
}

// QueryEvents reads a range.
func (m *timelines) QueryEvents(ctx context.Context, ns prism.Namespace, q driver.EventQuery) (driver.EventReader, error) {
	chunks, err := m.pieces(ctx, ns)
	if err != nil {
		return nil, err
	}
	cursor, err := series.NewCursor(q, func(context.Context) ([]series.Piece, error) {
		pieces := make([]series.Piece, len(chunks))
		for i, c := range chunks {
			pieces[i] = c
		}
		return pieces, nil
	})
	if err != nil {
		return nil, err
	}
	return &eventReader{m.store, cursor}, nil
}

func (r *eventReader) Page(ctx context.Context) (driver.EventPage, error) {
	if err := ctx.Err(); err != nil {
		return driver.EventPage{}, prism.From(err)
	}
	if r.store.closed.Load() {
		return driver.EventPage{}, r.store.unavailable()
	}
	return r.cursor.Page(ctx)
}

func (r *eventReader) Close() error { return nil }

// AggregateEvents goes through the columns of the range.
func (m *timelines) AggregateEvents(ctx context.Context, ns prism.Namespace, q driver.AggregateQuery) (driver.Aggregates, error) {
	chunks, err := m.pieces(ctx, ns)
	if err != nil {
		return driver.Aggregates{}, err
	}
	a := series.NewAggregation(q)
	for _, c := range chunks {
		if c.Last() < q.Start || c.First() >= q.End {
			continue
		}
		if err := ctx.Err(); err != nil {
			return driver.Aggregates{}, prism.From(err)
		}
		if err := a.Add(c); err != nil {
			return driver.Aggregates{}, err
		}
	}
	return a.Result(), nil
}

// RetainEvents says how long events are kept, and takes away what is over.
func (m *timelines) RetainEvents(ctx context.Context, ns prism.Namespace, age time.Duration) error {
	return m.with(ctx, ns, func(t *timeline) error {
		t.age = age
		t.trim(m.store.now())
		return nil
	})
}

// trim takes away events whose time is over.
func (t *timeline) trim(now int64) {
	since := now - int64(t.age) + 1
	if t.age == 0 || !slices.ContainsFunc(t.chunks, func(c *series.Chunk) bool { return c.First() < since }) {
		t.due(t.chunks)
		return
	}
	var left []*series.Chunk
	for _, c := range t.chunks {
		switch {
		case c.First() >= since:
			left = append(left, c)
		case c.Last() >= since:
			left = append(left, series.Merge([]*series.Chunk{c}, since)...)
		}
	}
	t.chunks, t.events, t.bytes = left, 0, 0
	t.count(1, left)
	t.due(left)
}

// due tells the sweeper when the first of these events is over.
func (t *timeline) due(chunks []*series.Chunk) {
	if t.age == 0 || len(chunks) == 0 {
		return
	}
	first := slices.MinFunc(chunks, func(a, b *series.Chunk) int { return cmp.Compare(a.First(), b.First()) }).First()
	if first <= math.MaxInt64-int64(t.age) {
		t.store.due(ceilMS(first + int64(t.age)))
	}
}

// drop forgets the events of a namespace.
func (m *timelines) drop(ns prism.Namespace) {
	m.mu.Lock()
	t := m.spaces[ns]
	delete(m.spaces, ns)
	m.mu.Unlock()
	if t != nil {
		t.release()
	}
}

func (t *timeline) release() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.gone, t.chunks, t.ids, t.receipts = true, nil, series.IDs{}, receipts{}
}

func (m *timelines) close() {
	m.mu.Lock()
	spaces := m.spaces
	m.spaces = map[prism.Namespace]*timeline{}
	m.mu.Unlock()
	for _, t := range spaces {
		t.release()
	}
}

// usage counts events and the bytes of their columns.
func (m *timelines) usage(ns prism.Namespace) driver.Usage {
	m.mu.RLock()
	t := m.spaces[ns]
	m.mu.RUnlock()
	if t == nil {
		return driver.Usage{}
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.trim(m.store.now())
	return driver.Usage{Keys: t.events, Bytes: t.bytes, Receipts: int64(t.receipts.len())}
}

// tidy forgets what is over; the sweeper calls it, when the first event's time
// is over too.
func (m *timelines) tidy() {
	now := m.store.now()
	if now/1e6 < m.tidied+tidyEvery {
		m.store.due(m.tidied + tidyEvery)
		return
	}
	m.tidied = now / 1e6
	m.mu.RLock()
	defer m.mu.RUnlock()
	for _, t := range m.spaces {
		t.mu.Lock()
		if !t.gone {
			t.trim(now)
			t.ids.Expire(now)
			t.receipts.sweep(now/1e6, 10_000)
		}
		t.mu.Unlock()
	}
}
