package drivertest

import (
	"context"
	"encoding/binary"
	"slices"
	"sync"
	"time"

	"github.com/prism-data-layer/prism/pkg/clock"
	"github.com/prism-data-layer/prism/pkg/driver"
	"github.com/prism-data-layer/prism/pkg/prism"
)

// PlainTimeSeries is the harness of time series as one would write them down:
// a slice of rows under one lock, tidied by every call. It keeps the promises
// and nothing else, and RunTimeSeriesModel holds drivers against it.
func PlainTimeSeries() Harness {
	return Harness{Name: "plain", Open: func(t TB, _ Options) Opened {
		t.Helper()
		now := clock.NewFake(time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC))
		p := &plainSeries{clock: now, spaces: map[prism.Namespace]*plainTimeline{}}
		open := func() driver.Set {
			return driver.Fill(driver.Info{Driver: "plain", Durability: "none"}, p)
		}
		return Opened{Set: open(), Clock: now, Reopen: func() driver.Set { _ = p.Close(); p.closed = false; return open() }}
	}}
}

type plainSeries struct {
	mu     sync.Mutex
	clock  clock.Clock
	closed bool
	spaces map[prism.Namespace]*plainTimeline
}

type plainTimeline struct {
	events   []plainRow // in order of time, then of arrival
	next     uint64
	age      time.Duration
	ids      map[string]time.Time // when each arrived
	receipts []plainBatch
}

type plainRow struct {
	seriesEvent
	n uint64 // as it arrived
}

type plainBatch struct {
	driver.Receipt
	ends   time.Time
	answer driver.AppendResult
}

// call runs f with the lock held and what is over taken away.
func (p *plainSeries) call(ctx context.Context, ns prism.Namespace, f func(s *plainTimeline, now time.Time) error) error {
	if ctx.Err() != nil {
		return prism.From(ctx.Err())
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return prism.New(prism.ReasonBackendUnavailable, "closed")
	}
	s, now := p.spaces[ns], p.clock.Now()
	if s == nil {
		s = &plainTimeline{ids: map[string]time.Time{}}
		p.spaces[ns] = s
	}
	s.tidy(now)
	err := f(s, now)
	s.tidy(now)
	return err
}

func (s *plainTimeline) tidy(now time.Time) {
	if s.age > 0 {
		s.events = slices.DeleteFunc(s.events, func(e plainRow) bool { return e.Time <= now.Add(-s.age).UnixNano() })
	}
	s.receipts = slices.DeleteFunc(s.receipts, func(r plainBatch) bool { return !r.ends.After(now) })
	for id, at := range s.ids {
		if now.Sub(at) >= driver.DedupeWindow {
			delete(s.ids, id)
		}
	}
}

func (p *plainSeries) AppendEvents(ctx context.Context, ns prism.Namespace, batch *driver.EventBatch, r driver.Receipt) (res driver.AppendResult, err error) {
	err = p.call(ctx, ns, func(s *plainTimeline, now time.Time) error {
		if !r.IsZero() {
			if i := slices.IndexFunc(s.receipts, func(b plainBatch) bool { return b.ID == r.ID }); i >= 0 {
				if s.receipts[i].Body != r.Body {
					return prism.New(prism.ReasonKeyReused, "used before")
				}
				res = s.receipts[i].answer
				res.Replayed = true
				return nil
			}
		}
		for _, e := range eventRows(batch) {
			if _, known := s.ids[e.ID]; known && e.ID != "" {
				res.Duplicates++
				continue
			}
			if e.ID != "" {
				s.ids[e.ID] = now
			}
			s.events = append(s.events, plainRow{e, s.next})
			s.next++
			res.Stored++
		}
		slices.SortStableFunc(s.events, func(a, b plainRow) int { return int(min(max(a.Time-b.Time, -1), 1)) })
		if !r.IsZero() {
			s.receipts = append(s.receipts, plainBatch{r, now.Add(r.Keep), res})
		}
		return nil
	})
	return res, err
}

func (p *plainSeries) QueryEvents(ctx context.Context, ns prism.Namespace, q driver.EventQuery) (driver.EventReader, error) {
	return &plainRows{p, ns, q, 0}, p.call(ctx, ns, func(*plainTimeline, time.Time) error { return nil })
}

// A plainRows finds its place anew for every page.
type plainRows struct {
	*plainSeries
	ns   prism.Namespace
	q    driver.EventQuery
	read int64
}

func (r *plainRows) Page(ctx context.Context) (page driver.EventPage, err error) {
	err = r.call(ctx, r.ns, func(s *plainTimeline, _ time.Time) error {
		var found []seriesEvent
		for i := range s.events {
			e := s.events[i]
			if r.q.Descending {
				e = s.events[len(s.events)-1-i]
			}
			if len(found) == r.q.Page || r.q.Limit > 0 && r.read == r.q.Limit {
				break
			}
			if r.behind(e) || len(chosen([]seriesEvent{e.seriesEvent}, r.q.Selection)) == 0 {
				continue
			}
			found = append(found, e.seriesEvent)
			r.read++
			page.Position = binary.BigEndian.AppendUint64(binary.BigEndian.AppendUint64(nil, uint64(e.Time)), e.n)
		}
		if len(found) > 0 {
			r.q.After = page.Position
			page.Events = *eventColumns(found...)
		}
		return nil
	})
	return page, err
}

// behind tells that an event was read before.
func (r *plainRows) behind(e plainRow) bool {
	if r.q.After == nil {
		return false
	}
	at, n := int64(binary.BigEndian.Uint64(r.q.After)), binary.BigEndian.Uint64(r.q.After[8:])
	if r.q.Descending {
		return e.Time > at || e.Time == at && e.n >= n
	}
	return e.Time < at || e.Time == at && e.n <= n
}

func (r *plainRows) Close() error { return nil }

func (p *plainSeries) AggregateEvents(ctx context.Context, ns prism.Namespace, q driver.AggregateQuery) (a driver.Aggregates, err error) {
	err = p.call(ctx, ns, func(s *plainTimeline, _ time.Time) error {
		var events []seriesEvent
		for _, e := range s.events {
			events = append(events, e.seriesEvent)
		}
		a = driver.Aggregates{Rows: aggregated(events, q), Source: "raw"}
		if len(a.Rows) > q.Max {
			return prism.InvalidField("bucket_ns", "makes too many rows")
		}
		return nil
	})
	return a, err
}

func (p *plainSeries) RetainEvents(ctx context.Context, ns prism.Namespace, age time.Duration) error {
	return p.call(ctx, ns, func(s *plainTimeline, _ time.Time) error {
		s.age = age
		return nil
	})
}

func (p *plainSeries) Health(ctx context.Context) driver.Health {
	if err := p.call(ctx, "", func(*plainTimeline, time.Time) error { return nil }); err != nil {
		return driver.Health{State: driver.Unhealthy, Message: err.Error()}
	}
	return driver.Health{State: driver.Healthy}
}

func (p *plainSeries) Usage(ctx context.Context, ns prism.Namespace) (u driver.Usage, err error) {
	err = p.call(ctx, ns, func(s *plainTimeline, _ time.Time) error {
		u.Keys, u.Receipts = int64(len(s.events)), int64(len(s.receipts))
		for _, e := range s.events {
			u.Bytes += int64(len(e.String()) + len(e.Payload))
		}
		return nil
	})
	return u, err
}

func (p *plainSeries) Drop(ctx context.Context, ns prism.Namespace) error {
	return p.call(ctx, ns, func(*plainTimeline, time.Time) error {
		delete(p.spaces, ns)
		return nil
	})
}

func (p *plainSeries) Close() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.closed = true
	return nil
}
